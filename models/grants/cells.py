"""Cells: the texts that a group of statements tell apart, each cell standing for all texts that the same ones match.

A policy's element (Action, Resource, Principal) is a set of patterns, or its complement. Of however many statements,
the cells are all combinations "these match, those do not" that some text really has: a finite picture of an infinite
set, in which wildcards stay symbolic. What holds for every cell holds for every text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from models.grants.match import ANY, FIRST_VARIABLE, Automaton, Glob, TooComplexError, contains

MAX_WORK: Final = 450_000  # steps of the automaton and stars settled in them; beyond it nothing is decided
MAX_OPEN: Final = 6  # patterns with variables that may hold or not at one place

_START: Final = 5  # characters by which patterns are told apart before they are matched
_OTHER: Final = "\N{WHITE SQUARE}"  # shown for the character that no pattern names
_COLON: Final = ord(":")


class Element(NamedTuple):
    """One statement's patterns for actions, resources or principals; negated for NotAction and its like."""

    patterns: tuple[Glob, ...]
    is_not: bool = False


class Cell(NamedTuple):
    """Texts that are matched alike."""

    mask: int  # bit i: the i-th element matches
    hits: int  # bit j: the j-th distinct pattern matches some text of the cell
    is_sure: bool  # False where no text may have this combination: it hangs on the values of variables
    example: str


class Cells(NamedTuple):
    """All cells of a group of elements, and the distinct patterns that `hits` counts by."""

    cells: list[Cell]
    patterns: list[Glob]


class _Found:
    """Collects combinations as they are met: how patterns' hits become elements' masks."""

    def __init__(self, elements: Sequence[Element], patterns: list[Glob]) -> None:
        number = {pattern: index for index, pattern in enumerate(patterns)}
        self.owners = [0] * len(patterns)
        self.inverted = 0
        for index, element in enumerate(elements):
            if element.is_not:
                self.inverted |= 1 << index
            for pattern in element.patterns:
                self.owners[number[pattern]] |= 1 << index
        self.cells: dict[int, Cell] = {}

    def add(self, hits: int, example: str, *, is_sure: bool) -> None:
        mask = 0
        left = hits
        while left:
            low = left & -left
            mask |= self.owners[low.bit_length() - 1]
            left ^= low
        mask ^= self.inverted
        known = self.cells.get(mask)
        if known is None:
            self.cells[mask] = Cell(mask, hits, is_sure, example)
        elif hits & ~known.hits or (is_sure and not known.is_sure):
            better = example if is_sure and not known.is_sure else known.example
            self.cells[mask] = Cell(mask, hits | known.hits, is_sure or known.is_sure, better)


def cells_of(elements: Sequence[Element], *, are_actions: bool = False, within: int | None = None) -> Cells:
    """Find every combination of elements that some text matches.

    Actions are texts of the form ``service:name``; resources and principals any text but the empty one. With `within`
    (bits of elements) only texts that one of those matches need be looked at, which may save most of the work. Raises
    TooComplexError where that takes more than MAX_WORK.
    """
    if within is not None and any(element.is_not for number, element in enumerate(elements) if within >> number & 1):
        within = None
    patterns = list(dict.fromkeys(pattern for element in elements for pattern in element.patterns))
    found = _Found(elements, patterns)
    plain = {pattern.literal: index for index, pattern in enumerate(patterns) if pattern.is_literal}
    wild = [(index, pattern) for index, pattern in enumerate(patterns) if not pattern.is_literal]
    universal = sum(1 << index for index, pattern in wild if pattern.is_everything)
    wild = [(index, pattern) for index, pattern in wild if not pattern.is_everything]
    has_variables = any(pattern.has_variable for _, pattern in wild)
    by_start: dict[str, list[tuple[int, Glob]]] = {}
    for other, pattern in wild:
        by_start.setdefault(pattern.prefix[:_START], []).append((other, pattern))
    for text, index in plain.items():
        if text and (not are_actions or _is_action(text)):
            hits = universal | 1 << index
            open_ones = 0
            starts = (text[:length] for length in range(min(len(text), _START) + 1))
            for other, pattern in (each for start in starts for each in by_start.get(start, ())):
                if pattern.has_variable:
                    open_ones |= (1 << other) if pattern.widest().matches(text) else 0
                elif pattern.matches(text):
                    hits |= 1 << other
            _add_open(found, hits, open_ones, patterns, text)
    if (
        within is not None
        and not any(found.owners[index] & within for index, _ in wild)
        and not any(found.owners[index] & within for index, pattern in enumerate(patterns) if pattern.is_everything)
    ):
        return Cells(list(found.cells.values()), patterns)  # all of those texts are plain
    if are_actions or not has_variables:
        _walk(found, patterns, wild, universal, plain, are_actions=are_actions)
        return Cells(list(found.cells.values()), patterns)
    # First variables as texts of their own, each value unlike all else: such combinations are certain. Then as any
    # text at all, which adds what may depend on their values.
    is_sure = all(ANY not in pattern.tokens for _, pattern in wild)
    for hits, example, _ in _reached(
        [(index, pattern.tokens) for index, pattern in wild], found.owners, are_actions=False
    ):
        found.add(universal | hits, example, is_sure=is_sure)
    widest = [(index, pattern.widest().tokens) for index, pattern in wild]
    depends = sum(1 << index for index, pattern in wild if pattern.has_variable)
    for hits, example, _ in _reached(widest, _apart(len(patterns)), are_actions=False):
        _add_open(found, universal | (hits & ~depends), hits & depends, patterns, example)
    return Cells(list(found.cells.values()), patterns)


def _is_action(text: str) -> bool:
    service, colon, name = text.partition(":")
    return bool(service and colon and name) and ":" not in name


def _add_open(found: _Found, hits: int, open_ones: int, patterns: list[Glob], example: str) -> None:
    """Add each way in which patterns with variables may hold or not; several at once hang together, so are not sure."""
    if not open_ones:
        found.add(hits, example, is_sure=True)
        return
    numbers = [index for index in range(len(patterns)) if open_ones >> index & 1]
    if len(numbers) > MAX_OPEN:
        raise TooComplexError("too many patterns with policy variables meet")
    for choice in range(1 << len(numbers)):
        chosen = [number for place, number in enumerate(numbers) if choice >> place & 1]
        left_out = [number for number in numbers if number not in chosen]
        if any(contains(patterns[wider], patterns[each]) for each in chosen for wider in left_out):
            continue
        is_sure = not chosen or (len(numbers) == 1 and not _repeats(patterns[chosen[0]]))
        found.add(hits | sum(1 << number for number in chosen), example, is_sure=is_sure)


def _repeats(pattern: Glob) -> bool:
    variables = [token for token in pattern.tokens if token <= FIRST_VARIABLE]
    return len(set(variables)) < len(variables)


def _apart(count: int) -> list[int]:
    """Make owners of which none stands for another: with variables it matters which patterns match."""
    return [1 << index for index in range(count)]


def _walk(
    found: _Found,
    patterns: list[Glob],
    wild: list[tuple[int, Glob]],
    universal: int,
    plain: dict[str, int],
    *,
    are_actions: bool,
) -> None:
    """Add what texts beside the plain ones match."""
    sure: dict[int, str] = {}
    doubtful: dict[int, str] = {}
    for hits, example, is_new in _reached(
        [(index, each.tokens) for index, each in wild], found.owners, are_actions=are_actions
    ):
        if is_new or example not in plain:
            sure.setdefault(hits, example)
        else:
            doubtful.setdefault(hits, example)
    if any(hits not in sure for hits in doubtful):
        # A combination was met only at a text that is itself a pattern: walk once more with those as patterns too.
        every = [(index, each.tokens) for index, each in enumerate(patterns) if not each.is_everything]
        sure = {hits: example for hits, example, _ in _reached(every, found.owners, are_actions=are_actions)}
    for hits, example in sure.items():
        found.add(universal | hits, example, is_sure=True)


def _reached(
    wild: list[tuple[int, tuple[int, ...]]], owners: list[int], *, are_actions: bool
) -> Iterator[tuple[int, str, bool]]:
    """Walk the patterns' common automaton: yields what matches, an example, and whether that names a new character.

    Where a pattern's last star is reached it matches whatever comes; other patterns of the same elements alone are
    then no longer followed.
    """
    automaton = Automaton([tokens for _, tokens in wild], [owners[index] for index, _ in wild])
    bits = {end: 1 << index for (index, _), end in zip(wild, automaton.end_of, strict=True)}
    phases = _ACTION_PHASES if are_actions else _TEXT_PHASES
    seen = {(automaton.start, 0, False)}
    waiting = deque([(automaton.start, 0, False, "")])
    yielded: set[tuple[int, bool]] = set()
    while waiting:
        state, phase, is_new, text = waiting.popleft()
        if phase == phases.accepting:
            reached = state & automaton.ends
            if (reached, is_new) not in yielded:
                yielded.add((reached, is_new))
                yield _joined(bits, reached), text, is_new
        for char in (None, *automaton.next_chars(state), *((_COLON,) if are_actions else ())):
            onward = phases.after_colon[phase] if char == _COLON else phases.after_char[phase]
            if onward is None:
                continue
            key = (automaton.step(state, char), onward, is_new or char is None)
            if key not in seen:
                seen.add(key)
                shown = _OTHER if char is None or char < 0 else chr(char)
                waiting.append((*key, text + shown))
        if automaton.work > MAX_WORK:
            raise TooComplexError("too many patterns overlap")


def _joined(bits: dict[int, int], reached: int) -> int:
    hits = 0
    while reached:
        hits |= bits[reached & -reached]
        reached &= reached - 1
    return hits


class _Phases(NamedTuple):
    """Where in a text one may be, and what follows by a colon and by any other character; None is not allowed."""

    after_char: tuple[int | None, ...]
    after_colon: tuple[int | None, ...]
    accepting: int


# Nothing yet, the service, its colon, the name.
_ACTION_PHASES: Final = _Phases((1, 1, 3, 3), (None, 2, None, None), 3)
_TEXT_PHASES: Final = _Phases((1, 1), (1, 1), 1)
