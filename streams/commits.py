"""What is done, told to Kafka; which takes it of a member of the group alone, and so says whether this worker is one.

A worker that stood still (a suspended machine) has lost its partitions, and does not know yet. What it knew of them
belongs to another now: nothing of it may be told or stored before Kafka has taken a commit again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from faust.types import TP

SESSION_TIMEOUT_S: Final = 10.0  # a worker that is not heard of for so long has lost its partitions
MEMBER_S: Final = SESSION_TIMEOUT_S / 2  # for so long after a commit was taken it surely has them
COMMIT_S: Final = 1.0
ANSWER_S: Final = 5.0


class Consumer(Protocol):
    """What is used of Faust's consumer."""

    _committed_offset: dict[TP, int | None]

    def assignment(self) -> set[TP]:
        """Give the partitions of this worker."""

    def topic_partitions(self, topic: str) -> int | None:
        """Count the partitions of a topic; None where it is not known."""

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        """Ask Kafka where partitions end."""

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Let messages come from offsets on; raises KafkaError. `seek` would race with the thread that fetches."""

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        """Commit; says whether it was taken."""


class Desk(Protocol):
    """Whoever works on a partition."""

    done: int  # before which offset all is done for good


class Commits:
    """What this worker has committed, and when Kafka last took it."""

    def __init__(self, consumer: Callable[[], Consumer], desks: Mapping[TP, Desk]) -> None:
        self._consumer = consumer  # there is none before Faust has started
        self._desks = desks
        self._committed: dict[TP, int] = {}
        self._taken_at_s = 0.0  # since the machine started

    async def commit(self) -> None:
        """Commit what is done, as our desks know it; Faust takes for done what it threw away, and what was refused."""
        news = {tp: offset for tp, offset in self._done().items() if offset != self._committed.get(tp)}
        if news and await self._is_taken(news):
            self._committed.update(news)

    async def commit_all(self) -> bool:
        """Commit what is done, news or not; says whether Kafka took it, so that nobody else can have had partitions."""
        done = self._done()
        return not done or await self._is_taken_soon(done)

    async def is_ours(self, tp: TP) -> bool:
        """Say whether nobody else can have a partition: Kafka took a commit lately, or takes one now."""
        if since_boot_s() - self._taken_at_s < MEMBER_S:
            return True
        consumer = self._consumer()
        if tp not in consumer.assignment():
            return False
        desk = self._desks.get(tp)
        done = (consumer._committed_offset.get(tp) or 0) if desk is None else desk.done  # noqa: SLF001 - nobody else's
        return await self._is_taken_soon({tp: done})

    def forget(self, tp: TP) -> None:
        """Learn that a partition is let go of."""
        self._committed.pop(tp, None)

    def _done(self) -> dict[TP, int]:
        if not self._desks:  # and perhaps no consumer yet
            return {}
        assigned = self._consumer().assignment()
        return {tp: desk.done for tp, desk in self._desks.items() if tp in assigned}

    async def _is_taken_soon(self, offsets: dict[TP, int]) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                return await self._is_taken(offsets)
        return False

    async def _is_taken(self, offsets: dict[TP, int]) -> bool:
        asked_at_s = since_boot_s()
        is_taken = await self._consumer()._commit(offsets)  # noqa: SLF001 - `commit` knows only what it is told by messages
        if is_taken:
            self._taken_at_s = asked_at_s
        return is_taken


def since_boot_s() -> float:
    """Tell the time of this machine, in seconds; it goes on while the machine sleeps, where that can be told."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
