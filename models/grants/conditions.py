"""Conditions: tests of what comes with a request, and which of them can hold together.

A condition block is a conjunction of tests, each of one key. Of all tests of a key, `outcomes` lists every combination
that some request really gives: absent, or each kind of value that the tests tell apart. Numbers, dates and addresses
are cut at the tests' own bounds, texts by their patterns; a key that several values may come with, by their sets.
Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network
from itertools import combinations, pairwise
from typing import Final, Literal, NamedTuple

from models.grants.cells import Element, cells_of
from models.grants.match import Glob, TooComplexError, exactly, glob

Family = Literal["text", "folded text", "boolean", "number", "date", "address", "null", "unknown"]
Relation = Literal["equal", "less", "less or equal", "greater", "greater or equal"]

MAX_KINDS: Final = 8  # kinds of value of a key that may come with several; their sets are 2 to that power
MAX_FREE: Final = 6  # tests of one key that cannot be told apart

_OPERATOR = re.compile(r"(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?", re.IGNORECASE)
_OPERATORS: Final[dict[str, tuple[Family, bool, Relation]]] = {
    "stringequals": ("text", False, "equal"),
    "stringnotequals": ("text", True, "equal"),
    "stringequalsignorecase": ("folded text", False, "equal"),
    "stringnotequalsignorecase": ("folded text", True, "equal"),
    "stringlike": ("text", False, "equal"),
    "stringnotlike": ("text", True, "equal"),
    "arnequals": ("text", False, "equal"),
    "arnlike": ("text", False, "equal"),
    "arnnotequals": ("text", True, "equal"),
    "arnnotlike": ("text", True, "equal"),
    "binaryequals": ("text", False, "equal"),
    "bool": ("boolean", False, "equal"),
    "numericequals": ("number", False, "equal"),
    "numericnotequals": ("number", True, "equal"),
    "numericlessthan": ("number", False, "less"),
    "numericlessthanequals": ("number", False, "less or equal"),
    "numericgreaterthan": ("number", False, "greater"),
    "numericgreaterthanequals": ("number", False, "greater or equal"),
    "dateequals": ("date", False, "equal"),
    "datenotequals": ("date", True, "equal"),
    "datelessthan": ("date", False, "less"),
    "datelessthanequals": ("date", False, "less or equal"),
    "dategreaterthan": ("date", False, "greater"),
    "dategreaterthanequals": ("date", False, "greater or equal"),
    "ipaddress": ("address", False, "equal"),
    "notipaddress": ("address", True, "equal"),
    "null": ("null", False, "equal"),
}
_WITH_WILDCARDS: Final = frozenset(
    {"stringlike", "stringnotlike", "arnequals", "arnlike", "arnnotequals", "arnnotlike"}
)


class Clause(NamedTuple):
    """One key tested by one operator; several values are alternatives."""

    key: str  # lower case: names of keys do not tell case apart
    family: Family
    is_negated: bool = False
    relation: Relation = "equal"
    quantifier: Literal["", "all", "any"] = ""
    if_exists: bool = False
    patterns: tuple[Glob, ...] = ()  # of texts
    values: frozenset[str] = frozenset()  # of all else
    operator: str = ""  # as it is written


class Outcome(NamedTuple):
    """One combination: bit i says that the i-th test holds. Not sure where no request may give it."""

    mask: int
    is_sure: bool


def read_test(operator: str, key: str, values: Sequence[str], *, has_variables: bool) -> Clause:
    """Read one line of a condition block; an operator that does not exist tests nothing that can be known."""
    found = _OPERATOR.fullmatch(operator.strip())
    name = found[2].lower() if found else ""
    key = key.strip().lower()
    if found is None or name not in _OPERATORS:
        return Clause(key, "unknown", values=frozenset(values), operator=operator.strip().lower())
    family, is_negated, relation = _OPERATORS[name]
    quantifier: Literal["", "all", "any"] = ""
    if found[1]:
        quantifier = "all" if found[1].lower() == "forallvalues" else "any"
    patterns: tuple[Glob, ...] = ()
    if family in ("text", "folded text"):
        if name in _WITH_WILDCARDS:
            read = [glob(value, has_variables=has_variables) for value in values]
        else:
            folded = [value.lower() for value in values] if family == "folded text" else values
            read = [exactly(value, has_variables=has_variables) for value in folded]
        patterns = tuple(sorted(set(read), key=lambda each: each.tokens))
    elif has_variables and any("${" in value for value in values):
        family = "unknown"
    kept = frozenset() if patterns else frozenset(value.strip().lower() for value in values)
    return Clause(key, family, is_negated, relation, quantifier, bool(found[3]), patterns, kept, _spelled(operator))


def _spelled(operator: str) -> str:
    return operator.strip()


@lru_cache(maxsize=4_096)
def outcomes(tests: tuple[Clause, ...]) -> tuple[Outcome, ...]:
    """List which of the tests of one key can hold together, for every value, set of values, and none at all.

    Raises TooComplexError where the values fall into too many kinds.
    """
    families = {test.family for test in tests} - {"null"}
    if len(families) > 1 or "unknown" in families:
        return _free(tests)
    try:
        kinds = _kinds(next(iter(families), "null"), tests)
    except ValueError as error:
        if isinstance(error, TooComplexError):
            raise
        return _free(tests)  # a value that is no number, date or address
    found: dict[int, bool] = {}
    for present, is_sure in _sets(kinds, tests):
        mask = sum(1 << place for place, test in enumerate(tests) if _holds(test, place, present))
        found[mask] = found.get(mask, False) or is_sure
    return tuple(Outcome(mask, is_sure) for mask, is_sure in found.items())


def _free(tests: tuple[Clause, ...]) -> tuple[Outcome, ...]:
    """Take tests as independent where their kinds of value do not go together; one alone may hold or not for sure."""
    if len(tests) > MAX_FREE:
        raise TooComplexError(f"too many kinds of test of {tests[0].key}")
    is_sure = len(tests) == 1 and tests[0].family != "unknown"
    return tuple(Outcome(mask, is_sure) for mask in range(1 << len(tests)))


def _sets(kinds: list[Outcome], tests: tuple[Clause, ...]) -> Iterable[tuple[tuple[int, ...], bool]]:
    """List the sets of values that a request may come with: none, one, and where a test asks for it several."""
    yield (), True
    yield from (((kind.mask,), kind.is_sure) for kind in kinds)
    if any(test.quantifier for test in tests):
        if len(kinds) > MAX_KINDS:
            raise TooComplexError(f"too many kinds of value of {tests[0].key}")
        # What a test without quantifier makes of several values AWS does not say.
        is_defined = all(test.quantifier or test.family == "null" for test in tests)
        for size in range(2, len(kinds) + 1):
            for several in combinations(kinds, size):
                yield tuple(kind.mask for kind in several), is_defined and all(kind.is_sure for kind in several)


def _holds(test: Clause, place: int, present: tuple[int, ...]) -> bool:
    if test.family == "null":
        return ("false" if present else "true") in test.values
    if not present:
        return test.if_exists or (test.quantifier == "all" if test.quantifier else test.is_negated)
    each = [bool(mask >> place & 1) != test.is_negated for mask in present]
    return all(each) if test.quantifier == "all" else any(each)


def _kinds(family: Family, tests: tuple[Clause, ...]) -> list[Outcome]:
    """Cut all values of a key into kinds: bit i says that the i-th test's own values match (before negation)."""
    if family in ("text", "folded text"):
        found = cells_of([Element(test.patterns) for test in tests])
        return [Outcome(cell.mask, cell.is_sure) for cell in found.cells]
    if family == "boolean":
        masks = {_mask(tests, [text in test.values for test in tests]) for text in ("true", "false")}
    elif family in ("number", "date"):
        masks = _line_masks(tests, _number if family == "number" else _date)
    elif family == "address":
        masks = _address_masks(tests)
    else:
        masks = {0}
    return [Outcome(mask, True) for mask in sorted(masks)]


def _mask(tests: tuple[Clause, ...], hold: Sequence[bool]) -> int:
    return sum(1 << place for place, test in enumerate(tests) if test.family != "null" and hold[place])


def _number(text: str) -> float:
    return float(text)


def _date(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.upper())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _line_masks(tests: tuple[Clause, ...], read: Callable[[str], float]) -> set[int]:
    bounds = {test: [read(value) for value in test.values] for test in tests if test.family != "null"}
    cuts = sorted({bound for each in bounds.values() for bound in each}) or [0.0]
    between = [(low + high) / 2 for low, high in pairwise(cuts)]
    points = [cuts[0] - 1, *cuts, *between, cuts[-1] + 1]

    def holds(test: Clause, point: float) -> bool:
        return any(_compare(point, test.relation, bound) for bound in bounds.get(test, ()))

    return {_mask(tests, [holds(test, point) for test in tests]) for point in points}


def _compare(value: float, relation: Relation, bound: float) -> bool:
    if relation == "equal":
        return value == bound
    if relation == "less":
        return value < bound
    if relation == "less or equal":
        return value <= bound
    return value > bound if relation == "greater" else value >= bound


def _address_masks(tests: tuple[Clause, ...]) -> set[int]:
    spans: dict[Clause, list[tuple[int, int, int]]] = {}
    for test in tests:
        if test.family != "null":
            blocks = [ip_network(value, strict=False) for value in test.values]
            spans[test] = [(b.version, int(b.network_address), int(b.broadcast_address)) for b in blocks]
    points = {(4, 0), (6, 0)}
    for each in spans.values():
        for version, first, last in each:
            points |= {(version, first)} | (
                {(version, last + 1)} if last + 1 < 1 << (32 if version == 4 else 128) else set()
            )

    def holds(test: Clause, version: int, at: int) -> bool:
        return any(version == its and first <= at <= last for its, first, last in spans.get(test, ()))

    return {_mask(tests, [holds(test, version, at) for test in tests]) for version, at in points}
