"""What is committed, and what is known by it of whether partitions are still ours."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from streams import commits
from streams.commits import MEMBER_S, Commits

FILED, DRAFTS = TP("filed", 0), TP("drafts", 0)


class Done:
    """A desk that is done with some messages."""

    def __init__(self, done: int) -> None:
        self.done = done


class Group:
    """The consumer of a worker, as Kafka sees it."""

    def __init__(self) -> None:
        self._committed_offset: dict[TP, int | None] = {}
        self.assigned = {FILED, DRAFTS}
        self.is_member = True
        self.asked: list[dict[TP, int]] = []

    def assignment(self) -> set[TP]:
        """Give what it believes to have."""
        return self.assigned

    def topic_partitions(self, _topic: str) -> int | None:
        """Know of one."""
        return 1

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        """Know of nothing."""
        return dict.fromkeys(partitions, 0)

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Go nowhere."""

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.asked.append(offsets)
        return self.is_member


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the time of the machine, to be set."""
    now = [1_000.0]
    monkeypatch.setattr(commits, "since_boot_s", lambda: now[0])
    return now


def test_what_is_done_is_committed_once(clock: list[float]) -> None:
    """What is new is, and what was refused again; what is let go of is forgotten, and what is not ours left out."""
    assert clock
    group, desks = Group(), {FILED: Done(3), DRAFTS: Done(0)}
    ours = Commits(lambda: group, desks)
    group.is_member = False
    asyncio.run(ours.commit())
    group.is_member = True
    for _ in range(2):
        asyncio.run(ours.commit())
    desks[FILED].done = 5
    group.assigned = {FILED}
    ours.forget(DRAFTS)
    asyncio.run(ours.commit())
    assert group.asked == [{FILED: 3, DRAFTS: 0}, {FILED: 3, DRAFTS: 0}, {FILED: 5}]


def test_as_partitions_change_hands_all_is_committed_news_or_not(clock: list[float]) -> None:
    """Kafka's word says whether another has had them meanwhile; with nothing at hand there is nothing to ask."""
    assert clock
    group, desks = Group(), {FILED: Done(3)}
    ours = Commits(lambda: group, desks)
    asyncio.run(ours.commit())
    assert asyncio.run(ours.commit_all())
    group.is_member = False
    assert not asyncio.run(ours.commit_all())
    assert group.asked == [{FILED: 3}] * 3
    desks.clear()
    assert asyncio.run(ours.commit_all())
    assert group.asked == [{FILED: 3}] * 3


def test_a_partition_is_ours_while_kafka_takes_commits(clock: list[float]) -> None:
    """For a while after one was taken it need not be asked; then it is, and its word counts, not what we believe."""
    group = Group()
    ours = Commits(lambda: group, {FILED: Done(3)})
    assert asyncio.run(ours.is_ours(FILED))
    clock[0] += MEMBER_S - 1
    assert asyncio.run(ours.is_ours(FILED))
    assert group.asked == [{FILED: 3}]
    clock[0] += 2  # it stood still meanwhile
    group.is_member = False
    assert not asyncio.run(ours.is_ours(FILED))
    group.is_member = True
    assert asyncio.run(ours.is_ours(FILED))
    clock[0] += MEMBER_S
    group.assigned = {DRAFTS}
    assert not asyncio.run(ours.is_ours(FILED))
    assert group.asked == [{FILED: 3}] * 3


def test_a_partition_that_nobody_works_on_yet_is_asked_for_as_it_stands(clock: list[float]) -> None:
    """A process that stood still must not open what another has: Kafka is asked with what was committed before."""
    group = Group()
    group._committed_offset[DRAFTS] = 7  # noqa: SLF001 - as Faust keeps it
    ours = Commits(lambda: group, {})
    group.is_member = False
    assert not asyncio.run(ours.is_ours(DRAFTS))
    group.is_member = True
    assert asyncio.run(ours.is_ours(DRAFTS))
    clock[0] += MEMBER_S
    assert asyncio.run(ours.is_ours(FILED))
    assert group.asked == [{DRAFTS: 7}, {DRAFTS: 7}, {FILED: 0}]
