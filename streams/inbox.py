"""Reads one partition of the source, and files what it holds.

A message of the source is done only when Kafka has what was filed of it, and shards have been told the time behind it.
Nothing waits for that: messages are read on, and are done in rounds, in order, as Kafka confirms.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol

from models.record import encode
from models.trail import Batch, Rejected
from streams.closing import complete_until
from streams.course import Course, Event
from streams.filing import NEVER, Filer, Unfiled
from streams.outbox import Outbox
from streams.rejected import message_of
from streams.sources.kafka import read_message

LINGER_S: Final = 0.2  # how long events wait for others that go to the same shard
TICK_S: Final = 1.0  # how often all shards are told the time, while it passes
MAX_ROUNDS: Final = 4  # that wait for Kafka; then no more is read until one is done

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
        begins_at: int,
        on_broken: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._filer = filer
        self._shards = shards
        self._outbox = outbox
        self._count = count
        self._course = course
        self._next = begins_at  # the offset that comes next
        self.done = begins_at  # before which offset all is done for good
        self._on_broken = on_broken
        self._sent: list[Awaitable[Any]] = []
        self._rounds: asyncio.Queue[tuple[list[Awaitable[Any]], int]] = asyncio.Queue(MAX_ROUNDS)
        self._order = asyncio.Lock()  # what is sent to a shard is sent in the order in which it was filed
        self._filed = begins_at  # before which all messages are filed
        self._told = (begins_at, -NEVER, False)  # what was filed, and how far the source had come, at the last tick
        self._ticked_at = 0.0
        self._tasks: list[asyncio.Future[None]] = []

    def start(self) -> None:
        """Begin to send from time to time."""
        self._tasks = [asyncio.ensure_future(self._guarded(each)) for each in (self._beat, self._settle, self._check)]

    async def take(self, event: Event) -> None:
        """Read and file one message of the source, unless it was before it came again."""
        with self._course.taking():
            await self._take(event)

    async def _take(self, event: Event) -> None:
        message = event.message
        offset = message.offset
        if offset < self._next or not await self._course.is_next(offset, self._next):
            return
        self._next = offset + 1
        written_at = message.timestamp or 0.0  # whoever wrote it may know no time, or one that is yet to come
        self._filer.wait(min(written_at, time.time()))
        rejected = self._file(event.value, f"partition {message.partition}, offset {offset}")
        async with self._order:
            for each in rejected:
                self._sent.append(await self._outbox.send("rejected", message_of(each)))
            await self._send(self._filer.full())
        self._filed = offset + 1

    async def close(self) -> None:
        """Let go: what is not done will be read again by whoever has the partition next."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _file(self, value: bytes, where: str) -> list[Rejected]:
        """File what a message holds; gives what of it cannot be read."""
        rejected: list[Rejected] = []
        try:
            if (until_at := complete_until(value)) is not None:
                self._filer.close(until_at)
                return []
            for batch in read_message(value, where, self._filer):
                rejected += batch.rejected
                watermark = self._filer.watermark
                unfiled = self._filer.file(batch.events)
                rejected += [Rejected(where, 0, "", error, encode(event.record)) for event, error in unfiled if error]
                self._count.read(batch, unfiled, watermark)
        except Exception as error:  # noqa: BLE001 - whatever a message holds, the next one is read
            _log.exception("%s cannot be read", where)
            rejected.append(Rejected(where, 0, "", f"{type(error).__name__}: {error}", value or b""))
        return rejected

    async def _beat(self) -> None:
        """Send what has waited long enough, and tell the time."""
        while True:
            await asyncio.sleep(LINGER_S)
            async with self._order:
                # Made in one go: what is read meanwhile must not be told of before it is sent.
                filer, filed = self._filer, self._filed
                messages = [*filer.full(), *((shard, filer.message(shard)) for shard in filer.piled())]
                now, news = time.monotonic(), (filed, filer.watermark, filer.is_idle)
                is_time = news != self._told and now - self._ticked_at >= TICK_S
                if is_time:
                    self._told, self._ticked_at = news, now
                    if filer.watermark > -NEVER or filer.is_idle:
                        messages += [(shard, filer.message(shard)) for shard in range(self._shards)]
                await self._send(messages)
                if is_time:
                    sent, self._sent = self._sent, []
                    await self._rounds.put((sent, filed))

    async def _send(self, messages: Iterable[tuple[int, bytes]]) -> None:
        for shard, message in messages:
            self._sent.append(await self._outbox.send("filed", message, None, shard))

    async def _settle(self) -> None:
        """Take rounds as done, each when Kafka has all of it."""
        while True:
            sent, done = await self._rounds.get()
            await asyncio.gather(*sent)
            self.done = done

    async def _check(self) -> None:
        """Wait for messages, and know whether there are none."""
        while True:
            await asyncio.sleep(TICK_S)
            if (until := await self._course.check(self._next)) is not None:
                self._filer.wait(until)

    async def _guarded(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - Kafka took no more: without it there is no going on
            _log.exception("what was filed cannot be sent")
            await self._on_broken(error)
