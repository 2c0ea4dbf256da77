"""Reads one partition of the source, and files what it holds.

The source is acknowledged only when Kafka has what was filed of it. Nothing waits for that: messages are read on, and
acknowledged in rounds, in order, as Kafka confirms.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from models.record import encode
from models.trail import Batch, Rejected
from streams.closing import complete_until
from streams.filing import NEVER, QUIET_S, Filer, Unfiled
from streams.keeper import Course, Event, Place
from streams.outbox import Outbox
from streams.rejected import message_of
from streams.sources.kafka import read_message

LINGER_S: Final = 0.2  # how long events wait for others that go to the same shard
TICK_S: Final = 1.0  # how often all shards are told the time, while events come
TICKS_AFTER: Final = 3  # ticks after the last event
MAX_ROUNDS: Final = 20  # that wait for Kafka; then no more is read until one is done

_log = logging.getLogger(__name__)


class Count(Protocol):
    """Whoever counts what is read."""

    def read(self, batch: Batch, unfiled: list[Unfiled], watermark: int) -> None:
        """Count what a message of the source held; what is older than the watermark was late."""


class Inbox:
    """One partition of the source."""

    def __init__(
        self,
        filer: Filer,
        shards: int,
        outbox: Outbox,
        count: Count,
        *,
        course: Course,
        place: Place,
        begins_at: int,
        on_broken: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._filer = filer
        self._shards = shards
        self._outbox = outbox
        self._count = count
        self._course = course
        self._place = place
        self._next = begins_at  # the offset that comes next
        self._filed = begins_at  # before which all messages are filed
        self._on_broken = on_broken
        self._events: list[Event] = []  # of the round at hand
        self._sent: list[Awaitable[Any]] = []
        self._rounds: asyncio.Queue[tuple[list[Event], list[Awaitable[Any]], int]] = asyncio.Queue(MAX_ROUNDS)
        self._order = asyncio.Lock()  # what is sent to a shard is sent in the order in which it was filed
        self._read_at = time.monotonic()
        self._ticks_due = 0
        self._ticked_at = 0.0
        self._is_closing = False  # a closing came that shards have not been told of
        self._tasks = [asyncio.ensure_future(self._guarded(each)) for each in (self._beat, self._settle)]

    async def take(self, event: Event) -> None:
        """Read and file one message of the source, unless it was before it came again."""
        with self._course.taking():
            await self._take(event)

    async def _take(self, event: Event) -> None:
        offset = event.message.offset
        if offset > self._next and not await self._course.is_next(offset, self._next):
            return
        if offset < self._next:
            self._events.append(event)
            return
        self._next = offset + 1
        self._read_at = time.monotonic()
        self._ticks_due = TICKS_AFTER
        self._filer.is_idle = False
        where = f"partition {event.message.partition}, offset {event.message.offset}"
        try:
            await self._file(event.value, where)
        except Exception as error:  # noqa: BLE001 - whatever a message holds, the next one is read
            _log.exception("%s cannot be read", where)
            await self._reject(Rejected(where, 0, "", f"{type(error).__name__}: {error}", event.value or b""))
        self._events.append(event)
        self._filed = offset + 1
        async with self._order:
            for shard in self._filer.full():
                message = self._filer.message(shard)
                self._sent.append(await self._outbox.send("filed", message, None, shard))
        if self._rounds.full():
            await self._rounds.join()

    async def close(self) -> None:
        """Let go: what is not acknowledged will be read again by whoever has the partition next."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _file(self, value: bytes, where: str) -> None:
        if (until_at := complete_until(value)) is not None:
            self._filer.close(until_at)
            self._is_closing = True
            return
        for batch in read_message(value, where, self._filer):
            for rejected in batch.rejected:
                await self._reject(rejected)
            watermark = self._filer.watermark
            unfiled = self._filer.file(batch.events)
            for event, error in unfiled:
                if error is not None:
                    await self._reject(Rejected(where, 0, "", error, encode(event.record)))
            self._count.read(batch, unfiled, watermark)

    async def _beat(self) -> None:
        """Send what has waited long enough, and tell the time."""
        while True:
            await asyncio.sleep(LINGER_S)
            await self._course.go_back(self._next)
            async with self._order:
                # Made in one go: what is read meanwhile must not be told of before it is sent.
                messages = [(shard, self._filer.message(shard)) for shard in self._filer.piled()]
                if self._is_tick_due():
                    messages += [(shard, self._filer.message(shard)) for shard in range(self._shards)]
                events, self._events, done = self._events, [], self._filed
                for shard, message in messages:
                    self._sent.append(await self._outbox.send("filed", message, None, shard))
                if events:
                    sent, self._sent = self._sent, []
                    await self._rounds.put((events, sent, done))

    def _is_tick_due(self) -> bool:
        """Say whether to tell all shards the time: regularly while events come, at a closing at once."""
        now = time.monotonic()
        if now - self._read_at > QUIET_S and not self._filer.is_idle:
            self._filer.is_idle = True
            self._ticks_due = 1
        is_time = self._ticks_due > 0 and now - self._ticked_at >= TICK_S and self._filer.watermark > -NEVER
        if is_time or self._is_closing:
            self._ticked_at, self._is_closing = now, False
            self._ticks_due = max(self._ticks_due - 1, 0)
            return True
        return False

    async def _reject(self, rejected: Rejected) -> None:
        self._sent.append(await self._outbox.send("rejected", message_of(rejected)))

    async def _settle(self) -> None:
        """Acknowledge rounds, each when Kafka has all of it."""
        while True:
            events, sent, done = await self._rounds.get()
            await asyncio.gather(*sent)
            for event in events:
                event.ack()
            self._place.done(done)
            self._rounds.task_done()

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - Kafka took no more: without it there is no going on
            _log.exception("what was filed cannot be sent")
            await self._on_broken(error)
