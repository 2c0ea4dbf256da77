"""Events that wait for late ones, in bounded memory: minute by minute, in files where they are many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Final

from models.event import Event, in_order
from models.reader import EventReader
from models.record import decode_lines, encode

MINUTE_S: Final = 60  # of event time, sorted together
MAX_HELD: Final = 150_000  # events in memory; what is beyond lies in files, but for the minute that is next


class Held:
    """Holds events, and gives them in order up to a time. The folder is its own: what a killed process left there goes."""

    def __init__(self, folder: Path, max_held: int = MAX_HELD) -> None:
        self._max_held = max_held
        self._folder = folder
        self._minutes: dict[int, list[Event]] = {}
        self._filed: set[int] = set()  # minutes of which some lie in a file
        self._count = 0  # in memory
        self._reader = EventReader()
        self.clear()

    def clear(self) -> None:
        """Let go of all that waits."""
        rmtree(self._folder, ignore_errors=True)
        self._minutes.clear()
        self._filed.clear()
        self._count = 0

    def add(self, events: list[Event]) -> None:
        """Take in events in any order."""
        minutes = self._minutes
        for event in events:
            minutes.setdefault(event.at // MINUTE_S, []).append(event)
        self._count += len(events)
        if self._count > self._max_held:
            self._file()

    def until(self, at: int) -> Iterator[tuple[int, list[Event]]]:
        """Give events up to a second, it included, in order, minute by minute, each with the second up to which it goes."""
        for minute in sorted({*self._minutes, *self._filed}):
            if minute * MINUTE_S > at:
                return
            events = self._taken(minute)
            events.sort(key=in_order)
            end_at = minute * MINUTE_S + MINUTE_S - 1
            if end_at > at:
                later = [event for event in events if event.at > at]
                self.add(later)
                events, end_at = events[: len(events) - len(later)], at
            yield end_at, events

    def _taken(self, minute: int) -> list[Event]:
        events = self._minutes.pop(minute, [])
        self._count -= len(events)
        if minute in self._filed:
            self._filed.remove(minute)
            path = self._path(minute)
            events += self._reader.read_all(decode_lines(path.read_bytes()))
            path.unlink()
        return events

    def _file(self) -> None:
        """Put all but the first minute into files."""
        self._folder.mkdir(exist_ok=True)
        for minute in sorted(self._minutes)[1:]:
            events = self._minutes.pop(minute)
            self._count -= len(events)
            self._filed.add(minute)
            with self._path(minute).open("ab") as file:
                file.writelines(encode(event.record) + b"\n" for event in events)

    def _path(self, minute: int) -> Path:
        return self._folder / str(minute)
