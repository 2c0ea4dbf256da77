"""AWS's actions: what a pattern expands to, at which access level, and whether resources can be named for it.

From AWS's service authorization reference, by way of the packaged table (models/grants/tables.py). The table is never
the limit of what is allowed: sets of actions stay patterns (models/grants/allowed.py), it only says how much a pattern
is worth. Access levels: permissions management, write, tagging (which counts as write: access may hang on tags), read,
list.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, Literal, NamedTuple

import msgspec

from models.grants.match import STAR, Automaton, Glob, TooComplexError, contains, glob
from models.grants.tables import ServiceRow, action_table

Level = Literal["permissions management", "write", "tagging", "read", "list"]

LIST, READ, TAGGING, WRITE, PERMISSIONS = 1, 2, 4, 8, 16
ALL_LEVELS: Final = LIST | READ | TAGGING | WRITE | PERMISSIONS
LEVELS: Final[dict[int, Level]] = {
    PERMISSIONS: "permissions management",
    WRITE: "write",
    TAGGING: "tagging",
    READ: "read",
    LIST: "list",
}
_LETTERS: Final = {"P": PERMISSIONS, "W": WRITE, "T": TAGGING, "R": READ, "L": LIST}
_COLON: Final = ord(":")
_LAST: Final = "\uffff"  # sorts behind every name


class Action(NamedTuple):
    """One action as the table has it."""

    service: str
    name: str
    level: int  # one of the bits above
    has_resources: bool  # False: only "*" can be its resource
    types: tuple[int, ...]  # places in its service's resource types

    @property
    def text(self) -> str:
        """The action as a policy names it."""
        return f"{self.service}:{self.name}"


class Service(NamedTuple):
    """One service's actions by lower-case name, in order, and its resource types' ARNs as patterns."""

    prefix: str
    names: list[str]
    actions: list[Action]
    joined: str  # all names, to see at once that none holds a piece of text
    types: list[Glob]
    keys: list[str]


class Expansion(NamedTuple):
    """What a pattern of actions is worth: levels of all actions and of those that support resources, as bits."""

    levels: int
    with_resources: int
    services: frozenset[str]  # those of which it covers every action, known or not
    cost: int  # names looked at; what a document's patterns may cost together is bounded


@cache
def service(prefix: str) -> Service | None:
    """Give one service's actions by its prefix in lower case; None for one that the table does not know."""
    packed = _packed().get(prefix)
    if packed is None:
        return None
    row = msgspec.json.decode(packed, type=ServiceRow)
    actions = sorted((_action(prefix, name, coded) for name, coded in row.actions.items()), key=_folded)
    names = [_folded(action) for action in actions]
    types = [glob(_open(str(kind[0]))) for kind in row.types]
    return Service(prefix, names, actions, "\n".join(names), types, row.keys)


def find(text: str) -> Action | None:
    """Find an action by its full name, in any case; None for one that the table does not know."""
    prefix, _, name = text.lower().partition(":")
    known = service(prefix)
    if known is None:
        return None
    at = bisect_left(known.names, name)
    return known.actions[at] if at < len(known.names) and known.names[at] == name else None


def is_service(prefix: str) -> bool:
    """Say whether the table knows a service."""
    return prefix in _packed()


def expand(pattern: Glob) -> Iterator[Action]:
    """List every known action that a pattern (in lower case) matches."""
    for known, names in _parts(pattern):
        for at in _matching(known, names):
            yield known.actions[at]


@lru_cache(maxsize=8_192)
def expansion(pattern: Glob) -> Expansion:
    """Work out what a pattern (in lower case) expands to."""
    levels = with_resources = cost = 0
    covered = set()
    for known, names in _parts(pattern):
        cost += 1
        if names.is_everything:
            covered.add(known.prefix)
        elif names.prefix not in known.joined or not _may_match(known, names):
            continue
        first, last = _span(known, names.prefix)
        cost += last - first if names.tokens[len(names.prefix) :] != (STAR,) else 0
        for at in _matching(known, names):
            action = known.actions[at]
            levels |= action.level
            with_resources |= action.level if action.has_resources else 0
    if pattern.prefix.endswith(":") and pattern.tokens[len(pattern.prefix) :] == (STAR,):
        covered.add(pattern.prefix[:-1])  # a service that the table may not know
    return Expansion(levels, with_resources, frozenset(covered), cost)


def level_names(levels: int) -> list[Level]:
    """Name the levels in a mask, the weightiest first."""
    return [name for bit, name in LEVELS.items() if levels & bit]


@lru_cache(maxsize=8_192)
def takes_every(resource: Glob, action: Action) -> bool:
    """Say whether an ARN pattern takes in all of a kind of thing that an action is done to, in whatever account.

    ``arn:aws:iam::111122223333:user/*`` takes in every user, ``.../user/app-*`` does not.
    """
    known = service(action.service)
    if known is None or resource.is_literal:
        return False
    parts = resource.text.split(":", 5)
    if len(parts) < 6:
        return any(_contains(resource, known.types[place]) for place in action.types)
    if not glob(parts[2]).matches(action.service):
        return False
    names = glob(parts[5])
    return any(_contains(names, glob(known.types[place].text.split(":", 5)[-1])) for place in action.types)


def _contains(outer: Glob, inner: Glob) -> bool:
    try:
        return contains(outer, inner)
    except TooComplexError:
        return False


def _parts(pattern: Glob) -> Iterator[tuple[Service, Glob]]:
    """Split a pattern into services and a pattern for the names of each: an action holds one colon."""
    if _COLON in pattern.tokens:
        at = pattern.tokens.index(_COLON)
        prefix, names = _split(pattern, at)
        if _COLON in names.tokens:
            return
        if prefix.is_literal:
            known = service(prefix.literal)
            if known is not None:
                yield known, names
            return
        for each in _packed():
            if prefix.matches(each) and (known := service(each)) is not None:
                yield known, names
        return
    for each in _packed():
        text = f"{each}:"
        if (text.startswith(pattern.prefix) or pattern.prefix.startswith(text)) and (
            known := service(each)
        ) is not None:
            yield known, _after(pattern, text)


@lru_cache(maxsize=8_192)
def _split(pattern: Glob, at: int) -> tuple[Glob, Glob]:
    return Glob("", pattern.tokens[:at]), Glob("", pattern.tokens[at + 1 :])


def _after(pattern: Glob, text: str) -> Glob:
    """Give what a pattern without a colon leaves for the rest of a text that begins so, as one pattern.

    Where it leaves several, all of them begin at a star or behind a single wildcard that took the colon; the last
    star reached accepts whatever those before it do. Nothing is left where the text does not fit.
    """
    automaton = Automaton([pattern.tokens])
    state = automaton.start
    for char in text:
        state = automaton.step(state, ord(char))
    places = [place for place in range(len(pattern.tokens)) if state >> place & 1]
    stars = [place for place in places if pattern.tokens[place] == STAR]
    if not places:
        return Glob("", ())
    # Places behind the last star lie on its own way, and are reached from it again; without a star there is but one.
    return Glob("", pattern.tokens[stars[-1] if stars else places[0] :])


def _matching(known: Service, names: Glob) -> Iterator[int]:
    first, last = _span(known, names.prefix)
    if names.tokens[len(names.prefix) :] == (STAR,):
        yield from range(first, last)
    else:
        yield from (at for at in range(first, last) if names.matches(known.names[at]))


def _span(known: Service, prefix: str) -> tuple[int, int]:
    if not prefix:
        return 0, len(known.names)
    return bisect_left(known.names, prefix), bisect_left(known.names, prefix + _LAST)


def _may_match(known: Service, names: Glob) -> bool:
    """See from the longest plain piece of a pattern that no name of a service holds it."""
    return max(_plain_pieces(names.tokens), key=len, default="") in known.joined


@lru_cache(maxsize=8_192)
def _plain_pieces(tokens: tuple[int, ...]) -> tuple[str, ...]:
    pieces, piece = [], ""
    for token in tokens:
        if token >= 0:
            piece += chr(token)
        elif piece:
            pieces.append(piece)
            piece = ""
    return (*pieces, piece)


@cache
def _packed() -> dict[str, msgspec.Raw]:
    return action_table().services


def _action(prefix: str, name: str, coded: str) -> Action:
    letter, _, rest = coded.partition(" ")
    types = rest.partition(" ")[0]
    numbers = tuple(int(each) for each in types.split(",")) if types not in ("", "-") else ()
    return Action(prefix, name, _LETTERS[letter], bool(types), numbers)


def _folded(action: Action) -> str:
    return action.name.lower()


def _open(arn: str) -> str:
    """Turn an ARN's ``${Partition}`` into aws and all its other blanks into stars."""
    pieces = arn.replace("${Partition}", "aws").split("${")
    return pieces[0] + "".join(f"*{piece.partition('}')[2]}" for piece in pieces[1:])
