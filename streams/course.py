"""The course of a partition: its messages one after another, none left out, in whatever order Faust gives them.

As partitions change hands Faust throws away what it has read ahead, goes back, and may yet give a message of before in
between. Whether there is something between two messages Kafka alone can say: a transaction's marker and what was
compacted leave numbers out as well.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # it ships no types

CHECK_S: Final = 5.0  # without a message, before Kafka is asked whether there is one

_log = logging.getLogger(__name__)


class Message(Protocol):
    """A message as Faust gives it."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def timestamp(self) -> float:
        """When it was written, in seconds since 1970, by whoever wrote it."""


class Event(Protocol):
    """A message and what it holds, as Faust gives it."""

    @property
    def message(self) -> Message:
        """Where it stands."""

    @property
    def value(self) -> bytes:
        """Its bytes."""


class Place(Protocol):
    """Where messages of a partition come from."""

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are; while they change hands, tables are being read into."""

    async def is_ours(self) -> bool:
        """Say whether nobody else can have it: a process that stood still may have lost it, and not know yet."""

    async def first_at(self, offset: int) -> int | None:
        """Find the first message at an offset or after it; None where there is none. Raises KafkaError, TimeoutError."""

    async def go_to(self, offset: int) -> None:
        """Let messages come from an offset on. Raises KafkaError, TimeoutError."""


class Course:
    """Which message of a partition comes next."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: tuple[int, int | None] = (-1, None)  # an offset, and the first message from there on
        self._expected = -1  # what has been waited for
        self._waits_since = 0.0
        self._taken = 0
        self._is_busy = False

    @property
    def is_steady(self) -> bool:
        """Whether partitions stay with whom they are."""
        return self._place.is_steady()

    async def is_ours(self) -> bool:
        """Say whether nobody else can have the partition: a process that stood still may have lost it."""
        return await self._place.is_ours()

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Take a message: while that waits for room, none else is missing."""
        self._taken += 1
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    async def is_next(self, offset: int, expected: int) -> bool:
        """Say whether no message is missing before one; else go back to that, after which this one comes again."""
        if offset == expected:
            return True
        first = self._found[1] if self._found[0] == expected else None
        try:
            if first is None:  # not asked yet, or there was none then
                first = await self._find(expected)
                if first is not None and first < offset and self.is_steady:
                    await self._place.go_to(first)
        except (KafkaError, TimeoutError) as error:
            _log.info("not gone back: %s", error)  # `check` does it
            return False
        return first is not None and offset <= first

    async def check(self, expected: int) -> float | None:
        """Go back to a message that has not come for long, again and again: Faust may go elsewhere meanwhile.

        Where there is none, gives when Kafka was asked for it, in seconds since 1970; None where it was not asked.
        """
        now = time.monotonic()
        if self._is_busy or expected != self._expected:
            self._expected, self._waits_since = expected, now
            return None
        if now - self._waits_since < CHECK_S or not self.is_steady:
            return None
        self._waits_since = now
        taken, asked_at = self._taken, time.time()
        try:
            first = await self._find(expected)
            if first is None:
                return asked_at
            if taken == self._taken and self.is_steady:
                await self._place.go_to(first)
        except (KafkaError, TimeoutError) as error:
            _log.info("not gone back: %s", error)
        return None

    async def _find(self, expected: int) -> int | None:
        first = await self._place.first_at(expected)
        self._found = expected, first
        return first
