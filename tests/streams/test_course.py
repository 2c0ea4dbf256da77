"""The course of a partition: what is missing is gone back for, and what is not there is not waited for."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]  # it ships no types

from streams import course
from streams.course import Course


class Log:
    """A partition in memory, as Kafka would tell of it."""

    def __init__(self, *there: int) -> None:
        self.there = there
        self.steady = True
        self.answers = True
        self.sought: list[int] = []

    def is_steady(self) -> bool:
        """Say whether partitions stay with whom they are."""
        return self.steady

    async def is_ours(self) -> bool:
        """Nobody else has it."""
        return True

    async def first_at(self, offset: int) -> int | None:
        """Say what comes next; raises KafkaError where Kafka is away."""
        if not self.answers:
            raise KafkaConnectionError
        return min((each for each in self.there if each >= offset), default=None)

    async def go_to(self, offset: int) -> None:
        """Note where to go on."""
        self.sought.append(offset)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask Kafka at once what could be asked after seconds."""
    monkeypatch.setattr(course, "CHECK_S", 0.0)


def checked(log: Log, expected: int) -> float | None:
    """Check a course that has been waiting for an offset."""
    running = Course(log)
    assert asyncio.run(running.check(expected)) is None
    return asyncio.run(running.check(expected))


def test_what_does_not_come_is_gone_back_for() -> None:
    """What Faust threw away does not come by itself, and no later message tells of it."""
    log = Log(3, 4)
    assert checked(log, 2) is None
    assert log.sought == [3]


def test_where_there_is_nothing_it_is_known_since_when() -> None:
    """Kafka says that nothing is left to read: that, and not that nothing comes, makes a source quiet."""
    log, before = Log(0, 1), time.time()
    asked_at = checked(log, 2)
    assert asked_at is not None
    assert before <= asked_at <= time.time()
    assert log.sought == []


def test_nobody_is_quiet_while_kafka_is_away_or_partitions_change_hands() -> None:
    """Where Kafka cannot be asked, nothing is known; nothing is gone back for, and nothing raises."""
    log = Log()
    log.answers = False
    assert checked(log, 2) is None
    log.answers, log.steady = True, False
    assert checked(log, 2) is None
    assert log.sought == []


def test_a_message_that_waits_for_room_is_not_missing() -> None:
    """While one is being taken, Kafka is not asked for it."""
    log = Log(2, 3)
    running = Course(log)
    with running.taking():
        for _ in range(3):
            assert asyncio.run(running.check(2)) is None
    assert log.sought == []


def test_without_an_answer_no_message_is_taken_for_the_next() -> None:
    """A message after a gap waits until Kafka has said what is in the gap."""
    log = Log(1, 2, 3)
    log.answers = False
    running = Course(log)
    assert asyncio.run(running.is_next(1, 1))
    assert not asyncio.run(running.is_next(3, 2))
    log.answers = True
    assert not asyncio.run(running.is_next(3, 2))
    assert log.sought == [2]


def test_what_kafka_does_not_know_of_is_not_the_next() -> None:
    """A message in hand behind an end that Kafka tells too early: what lies between is not given up for it."""
    log = Log(0, 1)
    running = Course(log)
    assert not asyncio.run(running.is_next(3, 2))
    log.there = (0, 1, 2, 3)
    assert not asyncio.run(running.is_next(3, 2))
    assert log.sought == [2]


def test_where_nothing_was_another_may_have_come_meanwhile() -> None:
    """That there was nothing is not held against what Faust leaves out later."""
    log = Log(0, 1)
    running = Course(log)
    assert asyncio.run(running.check(2)) is None
    assert asyncio.run(running.check(2)) is not None
    log.there, log.answers = (0, 1, 2, 3), False
    assert not asyncio.run(running.is_next(3, 2))
    log.answers = True
    assert not asyncio.run(running.is_next(3, 2))
    assert log.sought == [2]
