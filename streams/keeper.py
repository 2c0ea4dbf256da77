"""Keeps what one partition knows: applies its messages, sends what comes of them, and stores the state behind that.

The order of things is what makes a crash harmless. A message is applied, and what it yields is sent; on a timer Kafka is
waited for to have all of that, then the rows that changed go into the changelog, in one piece, together with the offset
up to which they hold; then into the local store; then the messages are acknowledged. Whoever takes up after a crash finds
the state of some offset, exact, and applies again what came after it. That yields the same messages once more, which
whoever gets them knows by their place.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

from models.rows import Row
from models.trail import Rejected
from streams.filing import FiledError
from streams.outbox import Outbox, StateRow
from streams.rejected import message_of
from streams.shard import Outgoing

SEEK_S: Final = 5.0  # for messages to come from where we went
FLUSH_S: Final = 2.0  # how much work a crash repeats at most, and how old the stored state is
MAX_PENDING: Final = 400  # messages that wait for a flush; then no more are applied until it is done

_log = logging.getLogger(__name__)


class Message(Protocol):
    """A message as Faust gives it."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its offset."""


class Event(Protocol):
    """A message that waits to be acknowledged, as Faust gives it."""

    @property
    def message(self) -> Message:
        """Where it stands."""

    @property
    def value(self) -> bytes:
        """Its bytes."""

    def ack(self) -> bool:
        """Say that it need not come again."""


class Place(Protocol):
    """Where messages of a partition come from."""

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are; while they change hands, tables are being read into."""

    def is_behind(self, offset: int) -> bool:
        """Say whether there is a message at an offset or after it, as far as is known."""

    async def earliest(self) -> int:
        """Give the offset of the oldest message that is still there."""

    async def go_to(self, offset: int) -> None:
        """Let messages come from an offset on."""

    def done(self, offset: int) -> None:
        """Take it that all before an offset is done for good."""


class State(Protocol):
    """What a partition knows, and what it makes of a message."""

    applied: int

    def apply(self, offset: int, data: bytes) -> list[Outgoing]:
        """Take in one message, and give what is to be sent; raises FiledError."""

    def rows(self) -> Iterator[Row]:
        """Write what has changed since this was last asked."""

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows."""


class LocalStore(Protocol):
    """Where rows of one partition lie on this machine."""

    changelog: str

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all rows."""

    def write(self, rows: Iterable[StateRow], offset: int) -> None:
        """Store rows, and the offset of the changelog up to which the store holds."""


class Course:
    """The messages of one partition, one after another without a gap, in whatever order Faust gives them.

    As partitions change hands Faust throws away what it has read ahead, goes back, and may yet give a message of before
    in between; what it skipped it takes for compacted, and would acknowledge.
    """

    def __init__(self, partition: int, place: Place) -> None:
        self._partition = partition
        self._place = place
        self._missing: int | None = None  # the offset that we last went back to
        self._sought_at = -SEEK_S
        self._moved_at = time.monotonic()
        self.is_busy = False  # a message is being taken: none is to come meanwhile

    async def is_next(self, offset: int, expected: int) -> bool:
        """Say whether there is nothing before a message; else go back to what is, after which the message comes again."""
        earliest = await self._place.earliest()
        if earliest >= offset:
            if expected > 0:
                _log.warning("partition %d: %d messages are gone unread", self._partition, offset - expected)
            return True
        self._missing = max(expected, earliest)
        await self.go_back(self._missing)
        return False

    async def go_back(self, expected: int) -> None:
        """Go back to a message that is missing, again and again until it comes: Faust may go elsewhere meanwhile."""
        now = time.monotonic()
        if self.is_busy:
            self._moved_at = now
        is_missing = self._missing is not None and self._missing >= expected
        # What Faust had read ahead and threw away does not come by itself, and no later message tells of it.
        has_stalled = now - self._moved_at > SEEK_S and self._place.is_behind(expected)
        if (is_missing or has_stalled) and self._place.is_steady() and now - self._sought_at > SEEK_S:
            self._sought_at = now
            await self._place.go_to(expected)

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Take a message: while that waits for room, none else is missing."""
        self.is_busy = True
        try:
            yield
        finally:
            self.is_busy = False
            self._moved_at = time.monotonic()


class Keeper:
    """One partition's state, its messages that wait for a flush, and the task that flushes."""

    def __init__(
        self,
        partition: int,
        state: State,
        store: LocalStore,
        outbox: Outbox,
        *,
        place: Place,
        on_close: Callable[[], None],
        on_broken: Callable[[BaseException], Awaitable[None]],
    ) -> None:
        self._partition = partition
        self._state = state
        self._store = store
        self._outbox = outbox
        self._place = place
        self._course = Course(partition, place)
        self._on_close = on_close
        self._on_broken = on_broken
        self._turn = asyncio.Lock()  # what a message yields is sent before state that has it is looked at
        self._pending: list[Event] = []
        self._sent: list[Awaitable[Any]] = []
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_wanted = asyncio.Event()
        state.restore(to_row(key, value) for key, value in store.read())
        self._flusher = asyncio.ensure_future(self._flush_on())

    async def take(self, event: Event) -> None:
        """Apply a message, unless it was applied before it came again; raises where Kafka takes no more."""
        with self._course.taking():
            await self._take(event)

    async def _take(self, event: Event) -> None:
        offset, expected = event.message.offset, self._state.applied + 1
        if offset > expected and not await self._course.is_next(offset, expected):
            return
        async with self._turn:
            if offset > self._state.applied:
                for role, key, value in self._apply(event):
                    self._sent.append(await self._send(role, value, key))
            self._pending.append(event)
        if len(self._pending) >= MAX_PENDING:
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
            self._flusher.cancel()  # what was applied is ahead of what was sent: that must not be stored
            raise

    async def close(self) -> None:
        """Let go of everything: what was not flushed will be applied again by whoever has the partition next."""
        self._flusher.cancel()
        with suppress(asyncio.CancelledError):
            await self._flusher
        self._on_close()

    async def _flush_on(self) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_wanted.wait(), FLUSH_S)
                self._is_wanted.clear()
                await self._course.go_back(self._state.applied + 1)
                if self._pending and self._place.is_steady():
                    await self.flush()
                    self._has_room.set()
        except Exception as error:  # noqa: BLE001 - rows that are given out count as stored: there is no going on
            _log.exception("state of partition %d cannot be stored", self._partition)
            await self._on_broken(error)

    async def flush(self) -> None:
        """Store what changed, once Kafka has what came of it, and acknowledge the messages that it came of."""
        async with self._turn:
            pending, self._pending = self._pending, []
            sent, self._sent = self._sent, []
            rows = [to_state_row(row) for row in self._state.rows()]
            done = self._state.applied + 1
        await asyncio.gather(*sent)
        offset = await self._outbox.keep(self._store.changelog, self._partition, rows)
        self._store.write(rows, offset)
        for event in pending:
            event.ack()
        if pending:
            self._place.done(done)


def to_state_row(row: Row) -> StateRow:
    """Write a desk's row as a row of a table."""
    return StateRow(f"{row.desk} {row.key}".encode("utf-8", "surrogatepass"), row.value)


def to_row(key: bytes, value: bytes) -> Row:
    """Read a row of a table as a desk's row."""
    desk, _, name = key.decode("utf-8", "surrogatepass").partition(" ")
    return Row(desk, name, value)
