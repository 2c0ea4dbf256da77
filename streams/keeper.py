"""Keeps what one partition knows: applies its messages, sends what comes of them, and stores the state behind that.

The order of things is what makes a crash harmless. A message is applied, and what it yields is sent; on a timer Kafka is
waited for to have all of that, then the rows that changed go into the table, in one piece, together with the offset up to
which they hold; then the messages count as done. Whoever takes up after a crash finds the state of some offset, exact,
and applies again what came after it. That yields the same messages once more, which whoever gets them knows by their
place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from models.rows import Row
from models.trail import Rejected
from streams.course import Course, Event
from streams.filing import FiledError
from streams.localstore import StateRow
from streams.outbox import Outbox
from streams.rejected import message_of
from streams.shard import Outgoing
from streams.table import LostError

FLUSH_S: Final = 2.0  # how much work a crash repeats at most, and how old the stored state is
MAX_PENDING: Final = 400  # messages that wait for a flush; then no more are applied until it is done

_log = logging.getLogger(__name__)


class State(Protocol):
    """What a partition knows, and what it makes of a message."""

    applied: int

    def apply(self, offset: int, data: bytes) -> list[Outgoing]:
        """Take in one message, and give what is to be sent; raises FiledError."""

    def rows(self) -> Iterator[Row]:
        """Write what has changed since this was last asked."""

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows."""


class Census(Protocol):
    """Whoever counts what is known."""

    def took(self, state: Any) -> None:  # noqa: ANN401 - of whichever kind it counts
        """Learn that this worker has a partition."""

    def gave(self, state: Any) -> None:  # noqa: ANN401
        """Learn that it has it no more."""


class Table(Protocol):
    """Where rows of one partition are kept."""

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all rows."""

    async def write(self, rows: Sequence[StateRow]) -> None:
        """Keep rows, all or none; raises LostError where the table is another worker's now."""

    async def close(self) -> None:
        """Let it go."""


class Keeper:
    """One partition's state, and the task that stores it."""

    def __init__(
        self,
        partition: int,
        state: State,
        table: Table,
        outbox: Outbox,
        *,
        course: Course,
        census: Census,
        on_lost: Callable[[], None],
        on_broken: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._partition = partition
        self._state = state
        self._table = table
        self._outbox = outbox
        self._course = course
        self._census = census
        self._on_lost = on_lost
        self._on_broken = on_broken
        self._turn = asyncio.Lock()  # what a message yields is sent before state that has it is looked at
        self._flushing = asyncio.Lock()
        self._pending = 0  # messages that wait for a flush
        self._sent: list[Awaitable[Any]] = []
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_wanted = asyncio.Event()
        self._flusher: asyncio.Future[None] | None = None
        state.restore(to_row(key, value) for key, value in table.read())
        self.done = state.applied + 1  # before which offset all is done for good

    def start(self) -> None:
        """Begin to flush from time to time."""
        self._census.took(self._state)
        self._flusher = asyncio.ensure_future(self._flush_on())

    async def take(self, event: Event) -> None:
        """Apply a message, unless it was applied before it came again; raises where Kafka takes no more."""
        with self._course.taking():
            await self._take(event)

    async def _take(self, event: Event) -> None:
        offset, expected = event.message.offset, self._state.applied + 1
        if offset < expected or not await self._course.is_next(offset, expected):
            return
        if not await self._course.is_ours():  # it comes again, to us or to whoever has the partition
            return
        async with self._turn:
            for role, key, value in self._apply(event):
                self._sent.append(await self._send(role, value, key))
            self._pending += 1
        if self._pending >= MAX_PENDING:
            self._has_room.clear()
            self._is_wanted.set()
        await self._has_room.wait()

    def _apply(self, event: Event) -> list[Outgoing]:
        offset = event.message.offset
        try:
            return self._state.apply(offset, event.value)
        except Exception as error:  # noqa: BLE001 - whatever a message holds, the next one is applied
            _log.log(logging.INFO if isinstance(error, FiledError) else logging.ERROR, "rejected", exc_info=error)
            where = f"partition {self._partition}, offset {offset}"
            rejected = Rejected(where, 0, "", f"{type(error).__name__}: {error}", event.value or b"")
            return [("rejected", None, message_of(rejected))]

    async def _send(self, role: str, value: bytes, key: bytes | None) -> Awaitable[Any]:
        try:
            return await self._outbox.send(role, value, key, 0)
        except BaseException:
            self._stop()  # what was applied is ahead of what was sent: that must not be stored
            raise

    def _stop(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()

    async def rest(self) -> None:
        """Wait until no flush is under way; none begins while partitions change hands."""
        async with self._flushing:
            pass

    async def close(self) -> None:
        """Let go of everything: what was not flushed will be applied again by whoever has the partition next."""
        self._stop()
        self._has_room.set()
        if self._flusher is not None:
            with suppress(asyncio.CancelledError):
                await self._flusher
        await self._table.close()
        self._census.gave(self._state)

    async def _flush_on(self) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_wanted.wait(), FLUSH_S)
                self._is_wanted.clear()
                await self._course.check(self._state.applied + 1)
                if self._pending and self._course.is_steady and await self._course.is_ours():
                    await self.flush()
                    self._has_room.set()
        except LostError as error:
            _log.warning("%s", error)
            self._on_lost()
        except Exception as error:  # noqa: BLE001 - rows that are given out count as stored: there is no going on
            _log.exception("state of partition %d cannot be stored", self._partition)
            await self._on_broken(error)

    async def flush(self) -> None:
        """Store what changed, once Kafka has what came of it; after that its messages are done."""
        async with self._flushing:
            async with self._turn:
                self._pending = 0
                sent, self._sent = self._sent, []
                rows = [to_state_row(row) for row in self._state.rows()]
                done = self._state.applied + 1
            await asyncio.gather(*sent)
            await self._table.write(rows)
            self.done = done


def to_state_row(row: Row) -> StateRow:
    """Write a desk's row as a row of a table."""
    return StateRow(f"{row.desk} {row.key}".encode("utf-8", "surrogatepass"), row.value)


def to_row(key: bytes, value: bytes) -> Row:
    """Read a row of a table as a desk's row."""
    desk, _, name = key.decode("utf-8", "surrogatepass").partition(" ")
    return Row(desk, name, value)
