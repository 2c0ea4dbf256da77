"""Event-time order, restored in bounded memory, and each event once.

Log files overlap in time and are not sorted inside. Where they follow one another about as they were delivered, they
are merged as they are read, which costs next to nothing. Where they do not, all events go through a sort that spills
to disk. Which of the two it was is not to be seen in the result.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Generic, Protocol, Self, TypeVar

from isal import igzip

from models.event import Event, in_order
from models.reader import EventReader, digest
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


class Placed(Protocol):
    """What has a place in the one order of events."""

    @property
    def at(self) -> int:
        """When, in seconds since 1970, UTC."""

    @property
    def rank(self) -> int:
        """The place within one second."""

    @property
    def event_id(self) -> str:
        """The place within one rank."""


_Placed = TypeVar("_Placed", bound=Placed)


class DisorderError(Exception):
    """Files overlap by more than the merge can hold, or an event is older than what was already passed on."""


class Merge(Generic[_Placed]):
    """Merges files that come in about the order of their events.

    Events wait in buckets of some minutes. A bucket is sorted once, when no file to come can add to it. Where that is
    not ``strict``, what comes too late is passed on next, and where too many wait the oldest are passed on early.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self._buckets: dict[int, list[_Placed]] = {}  # by event time // BUCKET_S
        self._count = 0
        self._released = -(1 << 62)  # all buckets before it have been passed on
        self._is_strict = strict

    def add(self, events: list[_Placed]) -> None:
        """Take in events of the next file; if strict, raises DisorderError where one comes too late or too many wait."""
        buckets, released = self._buckets, self._released if self._is_strict else -(1 << 62)
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
        if self._count > MAX_PENDING and self._is_strict:
            raise DisorderError

    def released(self, next_begins_at: int) -> Iterator[list[_Placed]]:
        """Pass on, in order, what no file to come can precede, as the next file begins at that time."""
        self._released = max(self._released, (next_begins_at - HORIZON_S) // BUCKET_S)
        for key in sorted(self._buckets):
            if key >= self._released and self._count <= MAX_PENDING:
                return
            bucket = self._buckets.pop(key)
            self._count -= len(bucket)
            bucket.sort(key=in_order)
            yield bucket

    def rest(self) -> Iterator[list[_Placed]]:
        """Pass on what is left, now that no file is to come."""
        return self.released(1 << 62)


class Lines(Protocol[_Placed]):
    """How events are written into a file, and read again."""

    def write(self, each: _Placed) -> bytes:
        """Write one as a line, without its end."""

    def read(self, lines: bytes) -> list[_Placed]:
        """Read some lines."""


class Records:
    """Events as lines: the record that each was read from."""

    def __init__(self) -> None:
        self._reader = EventReader()

    def write(self, each: Event) -> bytes:
        """Write an event's record."""
        return encode(each.record)

    def read(self, lines: bytes) -> list[Event]:
        """Read events from their records."""
        return self._reader.read_all(decode_lines(lines))


class SpillSort(Generic[_Placed]):
    """Sorts any number of events: in memory as far as they are few, else in sorted files of a temporary folder."""

    def __init__(self, lines: Lines[_Placed], max_held: int = MAX_HELD) -> None:
        self._lines = lines
        self._held: list[_Placed] = []
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

    def add(self, events: list[_Placed]) -> None:
        """Take in events in any order."""
        self._held += events
        if len(self._held) > self._max_held:
            self._held.sort(key=in_order)
            self._spill(self._held)
            self._held = []
            if len(self._runs) >= MAX_RUNS:
                runs, self._runs = self._runs, []
                self._spill(heapq.merge(*map(self._read_run, runs), key=in_order))
                for run in runs:
                    run.unlink()

    def batches(self) -> Iterator[list[_Placed]]:
        """Give all events in order, in lists."""
        self._held.sort(key=in_order)
        if not self._runs:
            yield self._held
            return
        yield from _in_batches(heapq.merge(*map(self._read_run, self._runs), self._held, key=in_order))

    def _spill(self, events: Iterable[_Placed]) -> None:
        """Write a sorted run, one record a line."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="rolehawk-")
        run = Path(self._folder.name, f"run-{self._made}")
        self._made += 1
        write = self._lines.write
        with igzip.open(run, "wb", compresslevel=0) as file:
            for event in events:
                file.write(write(event) + b"\n")
        self._runs.append(run)

    def _read_run(self, run: Path) -> Iterator[_Placed]:
        with igzip.open(run, "rb") as file:
            while lines := list(islice(file, LINES_AT_ONCE)):
                yield from self._lines.read(b"".join(lines))


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


def _in_batches(events: Iterator[_Placed]) -> Iterator[list[_Placed]]:
    while batch := list(islice(events, EVENTS_AT_ONCE)):
        yield batch
