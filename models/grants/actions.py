"""AWS's actions: what a pattern expands to, at which access level, and whether resources can be named for it.

From AWS's service authorization reference, by way of the packaged table (models/grants/tables.py). The table is never
the limit of what is allowed: sets of actions stay patterns (models/grants/allowed.py), it only says how much a pattern
is worth. Access levels: permissions management, write, tagging (which counts as write: access may hang on tags), read,
list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import accumulate
from typing import Final, Literal, NamedTuple

import msgspec

from models.grants.match import STAR, Glob, glob, surely_contains
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


class Index:
    """Names in one text, one a line, to find those that hold a piece of text without looking at the others."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._text = "\n".join(names)
        self._starts = list(accumulate((len(name) + 1 for name in names[:-1]), initial=0))

    def search(self, pattern: Glob) -> Iterator[tuple[int, bool]]:
        """List the places of the names that hold a pattern's longest plain piece, and whether they match it."""
        piece = _longest_piece(pattern.tokens)
        at = self._text.find(piece)
        while 0 <= at < len(self._text):
            place = bisect_right(self._starts, at) - 1
            yield place, pattern.matches(self._names[place])
            if place + 1 == len(self._starts):
                return
            at = self._text.find(piece, self._starts[place + 1])


class Service(NamedTuple):
    """One service's actions by lower-case name, in order, and its resource types' ARNs as patterns."""

    prefix: str
    names: list[str]
    actions: list[Action]
    by_piece: Index
    types: list[Glob]
    keys: list[str]


class Expansion(NamedTuple):
    """What a pattern of actions is worth: the levels of all actions that it matches, as bits."""

    levels: int
    cost: int  # names looked at, about one microsecond each; what a document's patterns may cost together is bounded


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
    return Service(prefix, names, actions, Index(names), types, row.keys)


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
    return (action for action, _ in _matching(pattern) if action is not None)


@lru_cache(maxsize=8_192)
def expansion(pattern: Glob) -> Expansion:
    """Work out what a pattern (in lower case) expands to."""
    levels = total = 0
    for action, cost in _matching(pattern):
        total += cost
        if action is not None:
            levels |= action.level
    return Expansion(levels, total)


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
        return any(surely_contains(resource, known.types[place]) for place in action.types)
    service_in, names = glob(parts[2]), glob(parts[5])
    kinds = (known.types[place].text.split(":", 5) for place in action.types)
    return any(service_in.matches(kind[2]) and surely_contains(names, glob(kind[-1])) for kind in kinds)


def _matching(pattern: Glob) -> Iterator[tuple[Action | None, int]]:
    """List what a pattern matches, each with what it took to see that; misses that took something are None.

    An action holds one colon, so a pattern with a colon is one of services and one of names. Names are looked up by
    what the pattern begins with; if that is a wildcard, by its longest plain piece in the text of all names.
    """
    known: Iterable[Service]
    names = pattern
    if _COLON in pattern.tokens:
        at = pattern.tokens.index(_COLON)
        prefix, names = Glob("", pattern.tokens[:at]), Glob("", pattern.tokens[at + 1 :])
        if prefix.is_literal:
            found = service(prefix.literal)
            known = () if found is None else (found,)
        elif names.is_everything or names.prefix:
            yield None, 400
            known = (found for each in _packed() if prefix.matches(each) and (found := service(each)) is not None)
        else:
            yield from _searched(pattern, *_everything(), 200)
            return
    elif pattern.is_everything:
        known = (found for each in _packed() if (found := service(each)) is not None)
    else:
        yield from _searched(pattern, *_everything(), 200)
        return
    for each in known:
        if not names.prefix and not names.is_everything:
            yield from _searched(names, each.by_piece, each.actions, 10)
            continue
        first, last = bisect_left(each.names, names.prefix), bisect_left(each.names, names.prefix + _LAST)
        is_open = names.tokens[len(names.prefix) :] == (STAR,)
        for place in range(first, last):
            is_match = is_open or names.matches(each.names[place])
            yield each.actions[place] if is_match else None, 0 if is_open else 1


def _searched(pattern: Glob, index: Index, actions: list[Action], cost: int) -> Iterator[tuple[Action | None, int]]:
    yield None, cost
    for place, is_match in index.search(pattern):
        yield actions[place] if is_match else None, 1


@cache
def _everything() -> tuple[Index, list[Action]]:
    actions = [action for each in _packed() if (known := service(each)) is not None for action in known.actions]
    return Index([action.text.lower() for action in actions]), actions


@lru_cache(maxsize=8_192)
def _longest_piece(tokens: tuple[int, ...]) -> str:
    pieces = [""]
    for token in tokens:
        if token >= 0:
            pieces[-1] += chr(token)
        elif pieces[-1]:
            pieces.append("")
    return max(pieces, key=len)


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
    """Turn an ARN's ``${Partition}`` into aws, and all its other blanks into patterns for any name."""
    pieces = arn.replace("${Partition}", "aws").split("${")
    return pieces[0] + "".join(f"?*{piece.partition('}')[2]}" for piece in pieces[1:])
