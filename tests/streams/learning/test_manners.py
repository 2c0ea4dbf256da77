"""Principals in other manners: what changes is how they come, never who they are; the same each time, and bounded."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from models.behaviour.habits import DAY_S, Habits, Noted
from streams.learning.manners import MAX_CALLS, OF_MACHINES, OF_PEOPLE, Diary, habits_of
from tests.records import events_of, record, user

MONDAY = 1_772_409_600  # 2026-03-02T00:00:00Z


def calls_of(days: int = 30) -> list[Noted]:
    """Make somebody's calls: three an hour, by two networks, with two clients."""
    return [
        (MONDAY + hour * 3_600 + number * 5 + hour % 7 * 60, f"x.amazonaws.com:Get{number}", number, f"net{hour % 2}",
         1 + hour % 2, "eu-west-1", False)
        for hour in range(days * 24)
        for number in range(3)
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*OF_MACHINES, *OF_PEOPLE])
def test_a_manner_keeps_to_what_it_was_given(name: str) -> None:
    """Calls in the order of time, none that was never made, no more than there were; the same dice, the same calls."""
    manner = {**OF_MACHINES, **OF_PEOPLE}[name]
    given = calls_of()
    changed = list(manner(given, Random(1)))
    assert 0 < len(changed) <= len(given) * 4 / 3
    assert [at for at, *_ in changed] == sorted(at for at, *_ in changed)
    assert {api for _, api, *_ in changed} <= {api for _, api, *_ in given}
    assert changed == list(manner(given, Random(1)))
    assert isinstance(habits_of(changed), Habits)


def test_by_the_clock() -> None:
    """Once or twice a day, each time within the same half minute."""
    changed = list(OF_MACHINES["once or twice a day, by the clock"](calls_of(), Random(1)))
    begins = {after[0] for before, after in pairwise(changed) if after[0] - before[0] > 300}
    assert 20 <= len(begins) <= 60
    assert len({at % (DAY_S // 2) // 30 for at in begins}) <= 2


def test_at_one_desk() -> None:
    """One network and one client; the calls stay."""
    changed = list(OF_PEOPLE["at one desk"](calls_of(), Random(1)))
    assert {(place, client) for _, _, _, place, client, *_ in changed} == {("net0", 1)}
    assert [call[:3] for call in changed] == [call[:3] for call in calls_of()]


def test_a_script_by_hand() -> None:
    """The same calls whenever they come."""
    changed = list(OF_PEOPLE["a script by hand"](calls_of(), Random(1)))
    scripts = {tuple(api for _, api, *_ in changed[place : place + 4]) for place in range(0, len(changed), 4)}
    assert len(scripts) == 1


def test_a_diary_is_bounded() -> None:
    """Of a principal the first calls stand in it, and what services do on its behalf does not."""
    diary = Diary()
    own, behalf = events_of([
        record("GetObject", user("batch")),
        record("Decrypt", {**user("batch"), "invokedBy": "s3.amazonaws.com"}, 1, sourceIPAddress="s3.amazonaws.com"),
    ])  # fmt: skip
    for _ in range(MAX_CALLS + 5):
        diary.note(own)
        diary.note(behalf)
    ((arn, calls),) = diary.calls.items()
    assert arn.endswith(":user/batch")
    assert len(calls) == MAX_CALLS
