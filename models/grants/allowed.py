"""What a set of policies allows: the Allows, with Denies and boundary taken off, wildcards kept symbolic.

An action on a resource by a principal is allowed where some policy allows it, no policy and not the boundary denies it,
and the boundary, if there is one, allows it too (it grants nothing itself). Two such sets are compared over their
common cells (models/grants/cells.py): in each cell only the conditions decide, and those are finite too.
Source: IAM user guide, "Policy evaluation logic" and "Permissions boundaries for IAM entities".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

from msgspec import Struct

from models.grants.cells import Cell, Cells, Element, cells_of
from models.grants.conditions import Clause, outcomes
from models.grants.document import Policy, Statement
from models.grants.match import EVERYTHING, Glob, TooComplexError

MAX_CELLS: Final = 300_000  # of resources, for each cell of actions
MAX_CASES: Final = 20_000  # ways in which the conditions of one cell may hold
ANYBODY: Final = Element((EVERYTHING,))


class Holding(Struct, frozen=True):
    """All that one entity holds: its policies and its boundary. One resource or trust policy is a holding too."""

    policies: tuple[Policy, ...]
    boundary: Policy | None = None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Say what makes the reading of any of its documents doubtful."""
        documents = (*self.policies, *([self.boundary] if self.boundary else []))
        return tuple(doubt for document in documents for doubt in document.doubts)


class Origin(NamedTuple):
    """Where a statement stands: its document's place among the policies (-1: the boundary), and itself."""

    policy: int
    statement: Statement


class Side(NamedTuple):
    """One of the sets compared, in bits: bit i stands for the i-th distinct statement."""

    allow: int
    deny: int
    bound: int | None  # the boundary's Allows; None without a boundary
    origins: dict[int, Origin]


class Meeting(NamedTuple):
    """A cell in which the two sets part: which statements meet there, and whether that is sure to happen."""

    mask: int
    action: Cell
    resource: Cell
    principal: Cell
    patterns: list[Glob]  # of resources, which the resource's cell counts by
    is_sure: bool


class Comparison:
    """Two holdings over their common cells."""

    def __init__(self, *holdings: Holding) -> None:
        self._number: dict[tuple[bool, Element, Element, Element, tuple[Clause, ...]], int] = {}
        self.statements: list[Statement] = []
        self.sides = [self._side(holding) for holding in holdings]
        clauses = dict.fromkeys(_bare(each) for statement in self.statements for each in statement.tests)
        self._clause_number = {clause: number for number, clause in enumerate(clauses)}
        self._needs = [
            sum(1 << number for number in {self._clause_number[_bare(each)] for each in statement.tests})
            for statement in self.statements
        ]
        self._clauses = list(clauses)
        self._resource_cells: dict[int, Cells] = {}

    @cached_property
    def actions(self) -> Cells:
        """The cells of actions."""
        return cells_of([each.actions for each in self.statements], are_actions=True, within=self._parted())

    @cached_property
    def principals(self) -> Cells:
        """The cells of principals; one for all in policies of identities."""
        return cells_of([each.principals or ANYBODY for each in self.statements])

    def _parted(self) -> int | None:
        """List the statements that not all sides have: where none of them is met, nothing differs. None for any."""
        if len({side.bound is None for side in self.sides}) > 1:
            return None
        parted = 0
        for one in self.sides:
            for other in self.sides:
                parted |= (one.allow ^ other.allow) | (one.deny ^ other.deny) | ((one.bound or 0) ^ (other.bound or 0))
        return parted

    def _side(self, holding: Holding) -> Side:
        allow = deny = 0
        bound: int | None = None
        origins: dict[int, Origin] = {}
        documents = list(enumerate(holding.policies))
        if holding.boundary is not None:
            documents.append((-1, holding.boundary))
            bound = 0
        for place, document in documents:
            for statement in document.statements:
                bit = 1 << self._numbered(statement)
                if not statement.is_allow:
                    deny |= bit
                elif place < 0:
                    bound = (bound or 0) | bit
                else:
                    allow |= bit
                    origins.setdefault(bit.bit_length() - 1, Origin(place, statement))
        return Side(allow, deny, bound, origins)

    def _numbered(self, statement: Statement) -> int:
        tests = tuple(_bare(each) for each in statement.tests)
        key = (
            statement.is_allow,
            _sorted(statement.actions),
            _sorted(statement.resources),
            _sorted(statement.principals or ANYBODY),
            tests,
        )
        number = self._number.get(key)
        if number is None:
            number = self._number[key] = len(self.statements)
            self.statements.append(statement)
        return number

    def gained(self, before: int, after: int) -> Iterator[Meeting]:
        """List the cells in which one side allows what the other does not; sides are given by their places.

        Raises TooComplexError where there are too many cells or cases.
        """
        if self.sides[before][:3] == self.sides[after][:3]:
            return  # the same statements, in whatever order
        old, new = self.sides[before], self.sides[after]
        known: dict[int, tuple[bool, bool]] = {}
        count = 0
        for principal in self.principals.cells:
            for action in self.actions.cells:
                both = action.mask & principal.mask
                if not both & new.allow or _limited(old, both) == _limited(new, both):
                    continue
                resources = self._resources(both)
                count += len(resources.cells)
                if count > MAX_CELLS:
                    raise TooComplexError("too many different actions and resources meet")
                for resource in resources.cells:
                    mask = resource.mask
                    if not mask & new.allow:
                        continue
                    parted = known.get(mask)
                    if parted is None:
                        parted = known[mask] = self._parts(mask, old, new)
                    if parted[0]:
                        is_sure = parted[1] and action.is_sure and resource.is_sure and principal.is_sure
                        yield Meeting(mask, action, resource, principal, resources.patterns, is_sure)

    def _resources(self, mask: int) -> Cells:
        """Give the cells of resources that the statements of a mask tell apart, in bits of all statements."""
        found = self._resource_cells.get(mask)
        if found is None:
            numbers = list(_bits(mask))
            local = cells_of([self.statements[number].resources for number in numbers])
            spread = [
                cell._replace(mask=sum(1 << numbers[place] for place in _bits(cell.mask))) for cell in local.cells
            ]
            found = self._resource_cells[mask] = Cells(spread, local.patterns)
        return found

    def _parts(self, mask: int, before: Side, after: Side) -> tuple[bool, bool]:
        """Decide for the statements of one cell whether the later side may allow more than the earlier, and for sure."""
        old, new = self._case(mask, before), self._case(mask, after)
        if old == new:
            return False, False
        may = False
        for holding, is_sure in self._cases(mask):
            if new.allows(holding) and not old.allows(holding):
                if is_sure:
                    return True, True
                may = True
        return may, False

    def _case(self, mask: int, side: Side) -> _Case:
        return _Case(
            self._needed(mask & side.allow),
            self._needed(mask & side.deny),
            None if side.bound is None else self._needed(mask & side.bound),
        )

    def _needed(self, mask: int) -> frozenset[int]:
        """Give what the statements of a mask need to hold; what one without conditions covers is left out."""
        needs = {self._needs[number] for number in _bits(mask)}
        return frozenset({0}) if 0 in needs else frozenset(needs)

    def _cases(self, mask: int) -> Iterator[tuple[int, bool]]:
        """List every way in which the conditions of a cell's statements may hold together."""
        relevant = 0
        for number in _bits(mask):
            relevant |= self._needs[number]
        by_key: dict[str, list[Clause]] = {}
        for number in _bits(relevant):
            by_key.setdefault(self._clauses[number].key, []).append(self._clauses[number])
        choices: list[list[tuple[int, bool]]] = []
        cases = 1
        for clauses in by_key.values():
            places = [1 << self._clause_number[clause] for clause in clauses]
            found = outcomes(tuple(clauses))
            choices.append([(sum(places[at] for at in _bits(outcome.mask)), outcome.is_sure) for outcome in found])
            cases *= len(found)
            if cases > MAX_CASES:
                raise TooComplexError("too many conditions meet")
        yield from _products(choices)


class _Case(NamedTuple):
    """What must hold for one side to allow, deny and bound: sets of conjunctions of conditions."""

    allow: frozenset[int]
    deny: frozenset[int]
    bound: frozenset[int] | None

    def allows(self, holding: int) -> bool:
        return (
            any(not need & ~holding for need in self.allow)
            and not any(not need & ~holding for need in self.deny)
            and (self.bound is None or any(not need & ~holding for need in self.bound))
        )


def _products(choices: list[list[tuple[int, bool]]]) -> Iterator[tuple[int, bool]]:
    if not choices:
        yield 0, True
        return
    for mask, is_sure in choices[0]:
        for rest, rest_is_sure in _products(choices[1:]):
            yield mask | rest, is_sure and rest_is_sure


def _limited(side: Side, mask: int) -> tuple[int, int, int | None]:
    """Give what a side has among the statements of a mask."""
    return mask & side.allow, mask & side.deny, None if side.bound is None else mask & side.bound


def _sorted(element: Element) -> Element:
    if len(element.patterns) < 2:
        return element
    return Element(tuple(sorted(element.patterns, key=lambda pattern: pattern.tokens)), element.is_not)


def _bare(clause: Clause) -> Clause:
    """Forget how an operator is spelled: StringEquals and StringLike of plain values are one."""
    return clause._replace(operator="") if clause.family != "unknown" else clause


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
