"""Event-time order, restored in bounded memory, and each event once.

Log files overlap in time and are not sorted inside. Where they follow one another about as they were delivered, they
are merged as they are read, which costs next to nothing. Where they do not, all events go through a sort that spills
to disk. Which of the two it was is not to be seen in the result.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from isal import igzip

from models.event import Event, EventReader, digest, in_order
from models.record import decode_lines, encode

HORIZON_S: Final = (
    3_600  # how much later than a later file's start an event may still come: CloudTrail's worst is 45 min
)
MAX_PENDING: Final = 150_000  # events held while files are merged; more than that is no overlap but disorder
BUCKET_S: Final = 600  # seconds of event time that are sorted, and passed on, together
MAX_HELD: Final = 50_000  # events sorted in memory; more are spilled
MAX_RUNS: Final = 64  # sorted files merged at once
LINES_AT_ONCE: Final = 256  # records read of a sorted file at once
EVENTS_AT_ONCE: Final = 10_000  # passed on of merged files


class DisorderError(Exception):
    """Files overlap by more than the merge can hold, or an event is older than what was already passed on."""


class Merge:
    """Merges files that come in about the order of their events.

    Events wait in buckets of some minutes. A bucket is sorted once, when no file to come can add to it.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[Event]] = {}  # by event time // BUCKET_S
        self._count = 0
        self._released = -(1 << 62)  # all buckets before it have been passed on

    def add(self, events: list[Event]) -> None:
        """Take in events of the next file; raises DisorderError where one comes too late, or too many wait."""
        buckets, released = self._buckets, self._released
        for event in events:
            key = event.at // BUCKET_S
            bucket = buckets.get(key)
            if bucket is not None:
                bucket.append(event)
            elif key < released:
                raise DisorderError
            else:
                buckets[key] = [event]
        self._count += len(events)
        if self._count > MAX_PENDING:
            raise DisorderError

    def released(self, next_begins_at: int) -> Iterator[list[Event]]:
        """Pass on, in order, what no file to come can precede, as the next file begins at that time."""
        self._released = max(self._released, (next_begins_at - HORIZON_S) // BUCKET_S)
        for key in sorted(key for key in self._buckets if key < self._released):
            bucket = self._buckets.pop(key)
            self._count -= len(bucket)
            bucket.sort(key=in_order)
            yield bucket

    def rest(self) -> Iterator[list[Event]]:
        """Pass on what is left, now that no file is to come."""
        return self.released(1 << 62)


class SpillSort:
    """Sorts any number of events: in memory as far as they are few, else in sorted files of a temporary folder."""

    def __init__(self, max_held: int = MAX_HELD) -> None:
        self._held: list[Event] = []
        self._max_held = max_held
        self._runs: list[Path] = []
        self._made = 0
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was spilled."""
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, events: list[Event]) -> None:
        """Take in events in any order."""
        self._held += events
        if len(self._held) > self._max_held:
            self._held.sort(key=in_order)
            self._spill([self._held])
            self._held = []
            if len(self._runs) >= MAX_RUNS:
                runs, self._runs = self._runs, []
                self._spill(_in_batches(heapq.merge(*map(_read_run, runs), key=in_order)))
                for run in runs:
                    run.unlink()

    def batches(self) -> Iterator[list[Event]]:
        """Give all events in order, in lists."""
        self._held.sort(key=in_order)
        if not self._runs:
            yield self._held
            return
        yield from _in_batches(heapq.merge(*map(_read_run, self._runs), self._held, key=in_order))

    def _spill(self, batches: Iterable[list[Event]]) -> None:
        """Write a sorted run, one record a line."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="rolehawk-")
        run = Path(self._folder.name, f"run-{self._made}")
        self._made += 1
        with igzip.open(run, "wb", compresslevel=0) as file:
            for event in chain.from_iterable(batches):
                file.write(encode(event.record) + b"\n")
        self._runs.append(run)


class Once:
    """Passes on each event once. Copies share their time, so in order they lie side by side."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._held: Event | None = None

    def of(self, events: Iterable[Event]) -> list[Event]:
        """Pass on events in order, but for the last one, whose copies may still come.

        Of copies that differ the one with the smallest hash stays: so the order in which they came decides nothing.
        """
        held = self._held
        passed: list[Event] = []
        for event in events:
            if held is not None and event.event_id == held.event_id and event.at == held.at:
                self.duplicates += 1
                if event.record != held.record and digest(event.record) < digest(held.record):
                    held = event
                continue
            if held is not None:
                passed.append(held)
            held = event
        self._held = held
        return passed

    def rest(self) -> list[Event]:
        """Pass on the last one."""
        rest = [] if self._held is None else [self._held]
        self._held = None
        return rest


def _read_run(run: Path) -> Iterator[Event]:
    reader = EventReader()
    with igzip.open(run, "rb") as file:
        while lines := list(islice(file, LINES_AT_ONCE)):
            yield from reader.read_all(decode_lines(b"".join(lines)))


def _in_batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    while batch := list(islice(events, EVENTS_AT_ONCE)):
        yield batch
