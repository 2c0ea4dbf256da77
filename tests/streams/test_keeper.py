"""The keeper: whatever order messages are given in, a state sees each once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from typing import NamedTuple

from models.rows import Row
from streams.keeper import Keeper
from streams.outbox import StateRow
from streams.shard import Outgoing


class At(NamedTuple):
    """Where a message stands."""

    partition: int
    offset: int


class Given:
    """A message as Faust gives it."""

    def __init__(self, offset: int) -> None:
        self.message = At(0, offset)
        self.value = b"%d" % offset
        self.is_acknowledged = False

    def ack(self) -> bool:
        """Note that it is acknowledged."""
        self.is_acknowledged = True
        return True


class Log:
    """A state that writes down what it applied; a store, an outbox and a source beside it, all in memory."""

    changelog = "log"

    def __init__(self, earliest: int = 0, applied: int = -1) -> None:
        self.applied = applied
        self.oldest = earliest
        self.seen: list[int] = []
        self.sought: list[int] = []
        self.stored: list[int] = []
        self.done_before = 0

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

    def write(self, rows: Iterable[StateRow], _offset: int) -> None:
        """Store rows."""
        self.stored += [int(value or b"") for _, value in rows]

    async def send(self, *_message: object) -> Awaitable[None]:
        """Take a message, at once."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def keep(self, _changelog: str, _partition: int, rows: Iterable[StateRow]) -> int:
        """Take rows, at once."""
        return len(list(rows))

    def is_steady(self) -> bool:
        """Nothing changes hands."""
        return True

    def is_behind(self, _offset: int) -> bool:
        """Nothing is left to come."""
        return False

    async def earliest(self) -> int:
        """Say what the oldest message is."""
        return self.oldest

    async def go_to(self, offset: int) -> None:
        """Note where to go on."""
        self.sought.append(offset)

    def done(self, offset: int) -> None:
        """Note before which offset all is done."""
        self.done_before = offset


async def give(log: Log, offsets: Iterable[int]) -> list[Given]:
    """Give messages, flush, and close."""

    async def on_broken(error: BaseException) -> None:
        raise error

    keeper = Keeper(0, log, log, log, place=log, on_close=lambda: None, on_broken=on_broken)  # type: ignore[arg-type]
    given = [Given(offset) for offset in offsets]
    for each in given:
        await keeper.take(each)
    await keeper.flush()
    await keeper.close()
    return given


def test_a_message_that_comes_too_early_comes_again() -> None:
    """It is neither applied nor acknowledged, and the partition is read from where the state has come to."""
    log = Log()
    given = asyncio.run(give(log, [0, 2, 3, 1, 2, 3]))
    assert log.seen == [0, 1, 2, 3]
    assert log.sought == [1]
    assert [each.is_acknowledged for each in given] == [True, False, False, True, True, True]
    assert log.stored == [3]
    assert log.done_before == 4


def test_what_is_stored_says_where_to_go_on() -> None:
    """What was applied is not applied again; what was committed beyond it is gone back for."""
    log = Log(applied=4)
    asyncio.run(give(log, [3, 4, 7, 5]))
    assert log.seen == [5]
    assert log.sought == [5]


def test_messages_that_are_gone_are_passed_over() -> None:
    """Where retention has taken what comes next, the oldest that is left is next."""
    log = Log(earliest=9, applied=4)
    asyncio.run(give(log, [9, 10]))
    assert log.seen == [9, 10]
    assert log.sought == []
