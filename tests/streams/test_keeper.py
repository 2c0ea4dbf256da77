"""The keeper: whatever order messages are given in, a state sees each once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from typing import NamedTuple

import pytest

from models.rows import Row
from streams import keeper
from streams.course import Course
from streams.keeper import Keeper
from streams.localstore import StateRow
from streams.shard import Outgoing
from streams.table import LostError


class At(NamedTuple):
    """Where a message stands."""

    partition: int
    offset: int
    timestamp: float


class Given:
    """A message as Faust gives it."""

    def __init__(self, offset: int) -> None:
        self.message = At(0, offset, 0.0)
        self.value = b"%d" % offset


class Log:
    """A state that writes down what it applied; a table, an outbox and a source beside it, all in memory."""

    def __init__(self, there: Iterable[int] = range(100), applied: int = -1) -> None:
        self.applied = applied
        self.there = there  # offsets that hold a message
        self.seen: list[int] = []
        self.sought: list[int] = []
        self.stored: list[int] = []
        self.has_it = True
        self.lost = asyncio.Event()

    def apply(self, offset: int, _data: bytes) -> list[Outgoing]:
        """Write an offset down."""
        self.applied = offset
        self.seen.append(offset)
        return [("findings", None, b"%d" % offset)]

    def rows(self) -> Iterator[Row]:
        """Give how far it has come."""
        yield Row("log", "applied", b"%d" % self.applied)

    def restore(self, rows: Iterable[Row]) -> None:
        """Begin with nothing."""
        assert not list(rows)

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Hold nothing at first."""
        return iter(())

    async def write(self, rows: Sequence[StateRow]) -> None:
        """Store rows, unless another has the table; raises LostError."""
        if not self.has_it:
            raise LostError
        self.stored += [int(value or b"") for _, value in rows]

    async def send(self, *_message: object) -> Awaitable[None]:
        """Take a message, at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def close(self) -> None:
        """Do nothing."""

    def took(self, state: object) -> None:
        """Count nothing."""

    gave = took

    def is_steady(self) -> bool:
        """Nothing changes hands."""
        return True

    async def is_ours(self) -> bool:
        """Say so while nobody else has it."""
        return self.has_it

    async def first_at(self, offset: int) -> int | None:
        """Say what comes next."""
        return min((each for each in self.there if each >= offset), default=None)

    async def go_to(self, offset: int) -> None:
        """Note where to go on."""
        self.sought.append(offset)


class SlowLog(Log):
    """A log whose table takes rows only from a time on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def write(self, rows: Sequence[StateRow]) -> None:
        """Take rows when it may."""
        self.is_asked.set()
        await self.may_write.wait()
        await super().write(rows)


def keeper_of(log: Log) -> Keeper:
    """Make a keeper that has begun."""

    async def on_broken(error: BaseException) -> None:
        raise error

    keeper = Keeper(
        0,
        log,
        log,
        log,  # type: ignore[arg-type]  # what is used of an outbox
        course=Course(log),
        census=log,
        on_lost=log.lost.set,
        on_broken=on_broken,
    )
    keeper.start()
    return keeper


async def give(log: Log, offsets: Iterable[int]) -> Keeper:
    """Give messages, flush, and close."""
    keeper = keeper_of(log)
    for offset in offsets:
        await keeper.take(Given(offset))
    await keeper.flush()
    await keeper.close()
    return keeper


def test_a_message_that_comes_too_early_comes_again() -> None:
    """It is neither applied nor done, and the partition is read from where the state has come to."""
    log = Log()
    keeper = asyncio.run(give(log, [0, 2, 3, 1, 2, 3]))
    assert log.seen == [0, 1, 2, 3]
    assert log.sought == [1]
    assert log.stored == [3]
    assert keeper.done == 4


def test_what_is_stored_says_where_to_go_on() -> None:
    """What was applied is done and is not applied again; what was committed beyond it is gone back for."""
    log = Log(applied=4)
    keeper = asyncio.run(give(log, [3, 4, 7]))
    assert log.seen == []
    assert log.sought == [5]
    assert keeper.done == 5


def test_numbers_without_a_message_are_passed_over() -> None:
    """What retention or compaction took, and what was a transaction's marker, is not waited for."""
    log = Log(there=[9, 10, 12, 13], applied=4)
    asyncio.run(give(log, [9, 10, 12, 13]))
    assert log.seen == [9, 10, 12, 13]
    assert log.sought == []


def test_behind_numbers_without_a_message_none_is_left_out() -> None:
    """What is missing is gone back for, with or without such numbers before it."""
    log = Log(there=[1, 3, 4, 6])
    asyncio.run(give(log, [1, 6, 4, 3, 4, 6]))
    assert log.seen == [1, 3, 4, 6]
    assert log.sought == [3]


def test_a_flush_is_waited_for_before_partitions_change_hands() -> None:
    """Rows of a flush that is under way must not come after those of whoever has the partition next."""

    async def work() -> None:
        log = SlowLog()
        keeper = keeper_of(log)
        await keeper.take(Given(0))
        flush = asyncio.ensure_future(keeper.flush())
        await asyncio.sleep(0)
        rest = asyncio.ensure_future(keeper.rest())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not rest.done()
        log.may_write.set()
        await rest
        assert flush.done()
        assert log.stored == [0]
        await keeper.close()

    asyncio.run(work())


def test_what_another_worker_may_have_is_neither_told_nor_stored() -> None:
    """A process that stood still may have lost its partition: it applies no more, and stores nothing."""

    async def work() -> None:
        log = Log()
        keeper = keeper_of(log)
        await keeper.take(Given(0))
        log.has_it = False
        await keeper.take(Given(1))
        with pytest.raises(LostError):
            await keeper.flush()
        await keeper.close()
        assert log.seen == [0]
        assert log.stored == []
        assert keeper.done == 0

    asyncio.run(work())


def test_a_worker_that_lost_a_partition_goes_on_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush that came too late ends what is known of the partition, and not the process."""
    monkeypatch.setattr(keeper, "FLUSH_S", 0.01)

    async def work() -> None:
        log = SlowLog()
        running = keeper_of(log)
        await running.take(Given(0))
        await log.is_asked.wait()
        log.has_it = False
        log.may_write.set()
        await log.lost.wait()
        await running.close()
        assert log.stored == []
        assert running.done == 0

    asyncio.run(work())
