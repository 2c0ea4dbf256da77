"""The inbox: what of the source counts as done, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
import pytest

from models.desks.pair import Desks
from models.detectors import build
from models.settings import Context, Settings
from models.trail import Batch
from streams import inbox
from streams.course import Course
from streams.filing import Filed, Filer, Unfiled, decode_filed
from streams.inbox import Inbox
from tests.records import record, user
from tests.streams.test_course import Log


class At(NamedTuple):
    """Where a message stands."""

    partition: int
    offset: int
    timestamp: float


class Given:
    """A message as Faust gives it."""

    def __init__(self, offset: int, minute: int) -> None:
        self.message = At(0, offset, float(minute))
        self.value = msgspec.json.encode(record("GetObject", user("robot"), minute))


class Kafka:
    """Takes messages, and has them only from a time on."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.has_them = asyncio.Event()

    async def send(
        self, _role: str, value: bytes, _key: bytes | None = None, _partition: int | None = None
    ) -> Awaitable[object]:
        """Take a message."""
        self.taken.append(value)
        return asyncio.ensure_future(self.has_them.wait())

    def filed(self) -> list[Filed]:
        """Read what was taken."""
        return [decode_filed(value) for value in self.taken]


class SlowRejects(Kafka):
    """Has no room for what is rejected at first, and has that only from a time on; anything else it has at once."""

    def __init__(self) -> None:
        super().__init__()
        self.has_room = asyncio.Event()

    async def send(
        self, role: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> Awaitable[object]:
        """Take a message."""
        if role == "rejected":
            await self.has_room.wait()
            return asyncio.ensure_future(self.has_them.wait())
        await super().send(role, value, key, partition)
        return asyncio.sleep(0)


class Uncounted:
    """Counts nothing."""

    def read(self, batch: Batch, unfiled: list[Unfiled], watermark: int) -> None:
        """Do nothing."""


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    while not is_so():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send at once what could wait, and tell the time each time."""
    monkeypatch.setattr(inbox, "LINGER_S", 0.001)
    monkeypatch.setattr(inbox, "TICK_S", 0.001)


def inbox_on(kafka: Kafka) -> Inbox:
    """Make an inbox that has begun at offset 5, with two shards, and knows a time."""

    async def on_broken(error: BaseException) -> None:
        raise error

    filer = Filer(0, 2, Desks(build(Settings()), Context(Settings())), 900)
    filer.close(0)
    running = Inbox(
        filer,
        2,
        kafka,  # type: ignore[arg-type]  # what is used of an outbox
        Uncounted(),
        course=Course(Log(5, 6)),
        begins_at=5,
        on_broken=on_broken,
    )
    running.start()
    return running


def test_a_message_is_done_when_kafka_has_what_was_filed_of_it() -> None:
    """Not before, and with a tick behind it where time is known; what comes again is filed once."""

    async def work() -> None:
        kafka = Kafka()
        running = inbox_on(kafka)
        for offset in (5, 6, 5):
            await running.take(Given(offset, offset))
        await until(lambda: any(not each.hows for each in kafka.filed()))
        assert running.done == 5
        kafka.has_them.set()
        await until(lambda: running.done == 7)
        filed = kafka.filed()
        assert sum(len(each.hows) for each in filed) == 2
        assert not filed[-1].hows
        await running.close()

    asyncio.run(work())


def test_a_message_is_not_done_before_kafka_has_what_was_rejected_of_it() -> None:
    """Neither where that has to wait before it can be sent, and the time is told meanwhile."""

    async def work() -> None:
        kafka = SlowRejects()
        running = inbox_on(kafka)
        poison = Given(5, 5)
        poison.value = b"no json"
        taking = asyncio.ensure_future(running.take(poison))
        await asyncio.sleep(0.05)
        told = len(kafka.taken)
        kafka.has_room.set()
        await taking
        await until(lambda: len(kafka.taken) > told)
        await asyncio.sleep(0.05)
        assert running.done == 5
        kafka.has_them.set()
        await until(lambda: running.done == 6)
        await running.close()

    asyncio.run(work())
