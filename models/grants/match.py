"""Patterns of the policy language: what a pattern matches, what it contains, what two of them share.

``*`` stands for any run of characters, ``?`` for any one. Policy variables (``${aws:username}``) stand for one unknown
text each, ``${*}``, ``${?}`` and ``${$}`` for the character itself. Nothing here backtracks without bound: matching
costs at most pattern times text, containment and intersection walk the patterns' automata under a budget of states.
Sources: IAM user guide, "IAM JSON policy elements: Action", "... Resource", "... Variables and tags".
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

STAR: Final = -1
ANY: Final = -2
FIRST_VARIABLE: Final = -3  # and below: one number for each variable's text

MAX_STATES: Final = 4_000  # of an automaton that is walked; beyond it nothing is decided

_SPECIAL = re.compile(r"\$\{([^}]*)\}|\*|\?")


class TooComplexError(ValueError):
    """Patterns that could be told apart only with more work than a policy is worth."""


class Glob:
    """A pattern in its normal form: runs of ``*`` and ``?`` become the question marks and one star.

    Two globs are equal where they are written alike but for that (``**`` is ``*``, ``*?`` is ``?*``).
    """

    __slots__ = ("_parts", "has_variable", "is_literal", "literal", "text", "tokens")

    def __init__(self, text: str, tokens: tuple[int, ...]) -> None:
        self.text = text
        self.tokens = tokens
        self.has_variable = min(tokens, default=0) <= FIRST_VARIABLE
        self.is_literal = min(tokens, default=0) >= 0
        self.literal = "".join(map(chr, tokens)) if self.is_literal else ""
        self._parts: list[_Piece] | None = None  # read when first asked for

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __repr__(self) -> str:
        return f"Glob({self.text!r})"

    @property
    def is_everything(self) -> bool:
        """Say whether it matches every text."""
        return self.tokens == (STAR,)

    @property
    def prefix(self) -> str:
        """The plain text that it begins with."""
        plain: list[str] = []
        for token in self.tokens:
            if token < 0:
                break
            plain.append(chr(token))
        return "".join(plain)

    def matches(self, text: str) -> bool:
        """Say whether a text matches; a variable matches nothing here, for its value is not known."""
        if self.is_literal:
            return self.literal == text
        if self.has_variable:
            return False
        if self._parts is None:
            self._parts = _pieces(self.tokens)
        return _matches_pieces(self._parts, text)

    def widest(self) -> Glob:
        """Give the pattern with every variable as a star: what it matches at most, whatever the values."""
        if not self.has_variable:
            return self
        return Glob(self.text, _normal([STAR if token <= FIRST_VARIABLE else token for token in self.tokens]))


@lru_cache(maxsize=16_384)
def glob(text: str, *, has_variables: bool = False, ignores_case: bool = False) -> Glob:
    """Read a pattern.

    Variables are read where the document's version has them (2012-10-17). Where case does not count, as in actions,
    the pattern is folded to lower case and must be asked for lower-case text.
    """
    shown = text
    if ignores_case:
        text = text.lower()
    if not has_variables or "${" not in text:
        return Glob(shown, _normal([STAR if char == "*" else ANY if char == "?" else ord(char) for char in text]))
    tokens: list[int] = []
    end = 0
    for found in _SPECIAL.finditer(text):
        tokens.extend(map(ord, text[end : found.start()]))
        end = found.end()
        if found[0] == "*":
            tokens.append(STAR)
        elif found[0] == "?":
            tokens.append(ANY)
        elif found[1] in ("*", "?", "$"):
            tokens.append(ord(found[1]))
        else:
            tokens.append(_variable(found[1]))
    tokens.extend(map(ord, text[end:]))
    return Glob(shown, _normal(tokens))


def exactly(text: str, *, has_variables: bool = False) -> Glob:
    """Read a text in which ``*`` and ``?`` stand for themselves; variables are read where the version has them."""
    if not has_variables or "${" not in text:
        return Glob(text, tuple(map(ord, text)))
    read = glob(text, has_variables=True).tokens
    stars = [ord("*") if token == STAR else ord("?") if token == ANY else token for token in read]
    return Glob(text, tuple(stars))


@lru_cache(maxsize=16_384)
def contains(outer: Glob, inner: Glob) -> bool:
    """Say whether whatever matches the inner pattern matches the outer one too, whatever the variables' values.

    Exact for patterns without variables; with them a "no" may be a "not for certain". Raises TooComplexError where
    the outer pattern's automaton grows beyond MAX_STATES.
    """
    if outer.tokens == inner.tokens or outer.is_everything:
        return True
    if inner.is_literal:
        return outer.matches(inner.literal)
    if outer.is_literal:
        return False
    if STAR not in outer.tokens and STAR in inner.tokens:
        return False
    return _walk_contains(outer.tokens, inner.tokens)


def intersects(one: Glob, other: Glob) -> bool:
    """Say whether any text matches both; a variable counts as any text. Exact, in the product of their lengths."""
    first, second = one.widest(), other.widest()
    if first.is_literal:
        return second.matches(first.literal)
    if second.is_literal:
        return first.matches(second.literal)
    return _share(first.tokens, second.tokens)


def shared(one: Glob, other: Glob) -> Glob | None:
    """Give the pattern for what both match: the narrower where one contains the other, else the first as it is.

    None where they share nothing. Where the answer is not exact it is too wide, never too narrow.
    """
    if contains(other, one):
        return one
    if contains(one, other):
        return other
    return one if intersects(one, other) else None


def _variable(text: str) -> int:
    """Give a variable a number by its text: names do not tell case apart, default values do."""
    name, comma, default = text.partition(",")
    digest = blake2b(f"{name.strip().lower()}{comma}{default}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return FIRST_VARIABLE - int.from_bytes(digest)


def _normal(tokens: list[int]) -> tuple[int, ...]:
    normal: list[int] = []
    has_star = False
    for token in tokens:
        if token == STAR:
            has_star = True
            continue
        if has_star and token != ANY:
            normal.append(STAR)
            has_star = False
        normal.append(token)
    if has_star:
        normal.append(STAR)
    return tuple(normal)


def _pieces(tokens: tuple[int, ...]) -> list[_Piece]:
    """Cut a pattern at its stars: pieces of fixed length, each plain text or, with ``?``, an expression for it."""
    pieces: list[list[int]] = [[]]
    for token in tokens:
        if token == STAR:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [_Piece(piece) for piece in pieces]


class _Piece:
    """A piece of a pattern without stars: where it stands in a text is found in the product of their lengths."""

    __slots__ = ("_expression", "_text", "length")

    def __init__(self, tokens: list[int]) -> None:
        self.length = len(tokens)
        self._expression: re.Pattern[str] | None = None
        self._text = ""
        if ANY in tokens:
            self._expression = re.compile(
                "".join("." if each == ANY else re.escape(chr(each)) for each in tokens), re.DOTALL
            )
        else:
            self._text = "".join(map(chr, tokens))

    def stands_at(self, text: str, at: int) -> bool:
        if self._expression is None:
            return text.startswith(self._text, at)
        return self._expression.match(text, at) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self._expression is None:
            return text.find(self._text, start, end)
        found = self._expression.search(text, start, end)
        return -1 if found is None else found.start()


def _matches_pieces(pieces: list[_Piece], text: str) -> bool:
    """Match pieces between stars: each at its first place, which leaves the most room for the rest."""
    first, last = pieces[0], pieces[-1]
    at, end = first.length, len(text) - last.length
    if len(pieces) == 1:
        return at == len(text) and first.stands_at(text, 0)
    if end < at or not first.stands_at(text, 0) or not last.stands_at(text, end):
        return False
    for piece in pieces[1:-1]:
        at = piece.find(text, at, end)
        if at < 0:
            return False
        at += piece.length
    return True


def _share(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Decide by rows whether two patterns have a text in common: reachable[j] says they agree up to here and j."""
    reachable = [False] * (len(other) + 1)
    reachable[0] = True
    for j, token in enumerate(other):
        reachable[j + 1] = reachable[j] and token == STAR
    for mine in one:
        row = [reachable[0] and mine == STAR]
        for j, token in enumerate(other):
            if STAR in (mine, token):
                row.append(reachable[j + 1] or row[j] or (reachable[j] and mine == STAR and token == STAR))
            else:
                row.append(reachable[j] and (mine == token or ANY in (mine, token)))
        reachable = row
    return reachable[-1]


class Automaton:
    """Several patterns as one automaton over bits: a state is the set of places that a text has reached in each.

    Places before a pattern's last star reached are dropped: whatever they accept that star accepts too. So the number
    of states stays near the length of the patterns, and only ``?`` behind stars can make it grow.
    """

    def __init__(self, patterns: list[tuple[int, ...]], owners: list[int] | None = None) -> None:
        self.stars = self.anys = self.start = self.ends = 0
        self.chars: dict[int, int] = {}
        self.end_of: list[int] = []
        self.work = 0  # stars settled, which is what steps cost
        self._places: dict[int, int] = {}  # by star: all places of its pattern
        offset = 0
        for tokens in patterns:
            self.start |= 1 << offset
            stars = 0
            for place, token in enumerate(tokens, offset):
                bit = 1 << place
                if token == STAR:
                    stars |= bit
                elif token == ANY:
                    self.anys |= bit
                else:
                    self.chars[token] = self.chars.get(token, 0) | bit
            end = 1 << (offset + len(tokens))
            self.ends |= end
            self.end_of.append(end)
            self.stars |= stars
            while stars:
                self._places[stars & -stars] = (end << 1) - (1 << offset)
                stars &= stars - 1
            offset += len(tokens) + 1
        self._settled: dict[int, int] = {}  # by last star of a pattern that ends in it: places not to be followed on
        if owners is not None:
            self._settled = self._covered(patterns, owners)
        self.start = self._settle(self.start)

    def step(self, state: int, char: int | None) -> int:
        """Go on by one character; None is any that no pattern names. A variable's number is such a text, not one char.

        For a variable only stars and the variable itself go on.
        """
        own = self.chars.get(char, 0) if char is not None else 0
        moving = own if char is not None and char < 0 else own | self.anys
        return self._settle(((state & moving) << 1) | (state & self.stars))

    def next_chars(self, state: int) -> list[int]:
        """List the characters that some place of a state waits for; all others are alike."""
        return [char for char, places in self.chars.items() if places & state]

    def _settle(self, state: int) -> int:
        state |= (state & self.stars) << 1
        reached = state & self.stars
        self.work += 1
        while reached:
            last = 1 << (reached.bit_length() - 1)
            places = self._places[last]
            state &= ~places | -last
            reached &= ~places
            self.work += 1
            if (covered := self._settled.get(last)) is not None:
                state &= ~covered
                reached &= ~covered
        return state

    def _covered(self, patterns: list[tuple[int, ...]], owners: list[int]) -> dict[int, int]:
        """List by patterns that end in a star the places of all that say nothing once such a one matches for good."""
        by_owner: dict[int, int] = {}
        places_of: list[int] = []
        offset = 0
        for number, end in enumerate(self.end_of):
            places_of.append((end << 1) - (1 << offset))
            offset = end.bit_length()
            by_owner[owners[number]] = by_owner.get(owners[number], 0) | places_of[-1]
        settled: dict[int, int] = {}
        below: dict[int, int] = {}
        for number, tokens in enumerate(patterns):
            if tokens and tokens[-1] == STAR:
                owner = owners[number]
                if owner not in below:
                    below[owner] = sum(places for other, places in by_owner.items() if not other & ~owner)
                settled[self.end_of[number] >> 1] = below[owner] & ~places_of[number]
        return settled


def _walk_contains(outer: tuple[int, ...], inner: tuple[int, ...]) -> bool:
    automaton = Automaton([outer])
    waiting = [(0, automaton.start)]
    seen = set(waiting)
    while waiting:
        place, state = waiting.pop()
        if place == len(inner):
            if not state & automaton.ends:
                return False
            continue
        token = inner[place]
        onward: list[tuple[int, int]] = []
        if token == STAR:
            onward.append((place + 1, state))
        stay = place if token == STAR else place + 1
        if token in (STAR, ANY):
            chars = [char for char in automaton.next_chars(state) if char >= 0]
            onward.append((stay, automaton.step(state, None)))
            onward.extend((stay, automaton.step(state, char)) for char in chars)
        else:
            onward.append((stay, automaton.step(state, token)))
        for each in onward:
            if not each[1]:
                return False
            if each not in seen:
                seen.add(each)
                waiting.append(each)
        if len(seen) > MAX_STATES:
            raise TooComplexError("a pattern is too complex to compare")
    return True


def surely_contains(outer: Glob, inner: Glob) -> bool:
    """Say whether one pattern matches all that another does; not where they are too complex to compare."""
    try:
        return contains(outer, inner)
    except TooComplexError:
        return False


EVERYTHING: Final = glob("*")
