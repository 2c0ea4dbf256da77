"""What a change newly allows: (allowed after) - (allowed before), and the other way round.

A reformat is the same; the loss of a condition, a Deny or a boundary is a widening. Sound before complete: where it
cannot be decided the answer is unknown, and says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from models.grants.allowed import Comparison, Holding, Meeting, Side
from models.grants.cells import Cell, Element
from models.grants.conditions import Clause
from models.grants.document import Statement
from models.grants.match import Glob, TooComplexError, contains

Change = Literal["widened", "narrowed", "same", "unknown"]

MAX_SHOWN: Final = 100  # patterns listed of one grant


class Grant(Struct, frozen=True, omit_defaults=True):
    """Something allowed on one side only: patterns as the document has them, narrowed to where the sides part.

    "NotAction" and the like stand as ``not:`` before each pattern. `policy` is the place of the document among the
    entity's policies.
    """

    pointer: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    policy: int = 0
    principals: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


class Difference(Struct, frozen=True, omit_defaults=True):
    """The answer; `why` says what could not be decided."""

    change: Change
    added: tuple[Grant, ...] = ()
    removed: tuple[Grant, ...] = ()
    why: str | None = None


def difference(before: Holding, after: Holding) -> Difference:
    """Decide whether the later holding allows more than the earlier one, less, or the same."""
    try:
        comparison = Comparison(before, after)
        gained = list(comparison.gained(0, 1))
        lost = list(comparison.gained(1, 0))
    except TooComplexError as error:
        return Difference("unknown", why=str(error))
    added = grants(comparison, (meeting for meeting in gained if meeting.is_sure), comparison.sides[1])
    removed = grants(comparison, (meeting for meeting in lost if meeting.is_sure), comparison.sides[0])
    if doubts := (*before.doubts, *after.doubts):
        return Difference("unknown", added, removed, f"not read for certain: {doubts[0]}")
    if added:
        return Difference("widened", added, removed)
    if gained or (lost and not removed):
        doubtful = (gained or lost)[0]
        return Difference("unknown", added, removed, _doubt(comparison, doubtful))
    return Difference("narrowed" if removed else "same", added, removed)


def is_allowed(part: Holding, whole: Holding) -> bool | None:
    """Say whether everything that one holding allows is allowed by the other; None where that cannot be decided."""
    try:
        meetings = list(Comparison(whole, part).gained(0, 1))
    except TooComplexError:
        return None
    if not meetings:
        return None if part.doubts or whole.doubts else True
    return False if any(meeting.is_sure for meeting in meetings) else None


def grants(comparison: Comparison, meetings: Iterable[Meeting], side: Side) -> tuple[Grant, ...]:
    """Name the statements of a side that allow in the cells given, with the patterns that reach into those cells."""
    actions: dict[int, dict[str, None]] = {}
    resources: dict[int, dict[str, None]] = {}
    principals: dict[int, dict[str, None]] = {}
    shown: dict[tuple[int, int, int, int], tuple[str, ...]] = {}

    def show(dimension: int, patterns: list[Glob], cell: Cell, number: int, element: Element) -> tuple[str, ...]:
        key = (dimension, cell.mask, number, id(patterns))
        if key not in shown:
            shown[key] = _reaching(patterns, cell, element)
        return shown[key]

    for meeting in meetings:
        for number, origin in side.origins.items():
            if not meeting.mask >> number & 1:
                continue
            statement = origin.statement
            actions.setdefault(number, {}).update(
                dict.fromkeys(show(0, comparison.actions.patterns, meeting.action, number, statement.actions))
            )
            resources.setdefault(number, {}).update(
                dict.fromkeys(show(1, meeting.patterns, meeting.resource, number, statement.resources))
            )
            if statement.principals is not None:
                principals.setdefault(number, {}).update(
                    dict.fromkeys(
                        show(2, comparison.principals.patterns, meeting.principal, number, statement.principals)
                    )
                )
    return tuple(
        Grant(
            pointer=side.origins[number].statement.pointer,
            policy=side.origins[number].policy,
            actions=tuple(actions[number])[:MAX_SHOWN],
            resources=tuple(resources[number])[:MAX_SHOWN],
            principals=tuple(principals.get(number, ()))[:MAX_SHOWN],
            conditions=conditions(side.origins[number].statement),
        )
        for number in sorted(actions, key=lambda number: (side.origins[number].policy, number))
    )


def conditions(statement: Statement) -> tuple[str, ...]:
    """Write a statement's conditions, one text each."""
    return tuple(_written(clause) for clause in statement.tests)


def _written(clause: Clause) -> str:
    values = [each.text for each in clause.patterns] or sorted(clause.values)
    return f"{clause.operator} {clause.key} {', '.join(values)[:200]}"


def _reaching(patterns: list[Glob], cell: Cell, element: Element) -> tuple[str, ...]:
    """List an element's patterns that match in a cell, or those narrower ones of other statements that bound it."""
    if element.is_not:
        return tuple(f"not:{pattern.text}" for pattern in element.patterns)
    hit = [pattern for number, pattern in enumerate(patterns) if cell.hits >> number & 1]
    named = set(element.patterns)
    own = [pattern for pattern in hit if pattern in named]
    narrower = [each for each in hit if each not in named and any(_lies_within(each, mine) for mine in own)]
    if not narrower:
        return tuple(pattern.text for pattern in own)
    loose = [mine for mine in own if not any(_lies_within(each, mine) for each in narrower)]
    return tuple(pattern.text for pattern in (*loose, *narrower))


def _lies_within(inner: Glob, outer: Glob) -> bool:
    try:
        return contains(outer, inner)
    except TooComplexError:
        return False


def _doubt(comparison: Comparison, meeting: Meeting) -> str:
    if not meeting.resource.is_sure:
        texts = [each.text for each in meeting.patterns if each.has_variable]
        return f"hangs on the values of policy variables: {', '.join(texts[:3])}"
    keys = {clause.key for statement in comparison.statements for clause in statement.tests}
    return f"hangs on conditions that cannot be compared: {', '.join(sorted(keys)[:5])}"
