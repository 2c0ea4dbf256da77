"""Events that wait: given in order up to a second, however many they are and wherever they lie."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from models.event import in_order
from streams.held import Held
from tests.records import events_of, record, user


@pytest.mark.parametrize("max_held", [10, 10_000])
def test_all_come_once_and_in_order(tmp_path: Path, max_held: int) -> None:
    """In memory or in files, taken in steps or at once, added in between: each event once, none too early."""
    random = Random(max_held)
    events = events_of(record("ListUsers", user(f"u{n}"), random.uniform(0, 90)) for n in range(500))
    shuffled = random.sample(events, len(events))
    held, given = Held(tmp_path / "held", max_held), []
    for at in range(0, 500, 100):
        held.add(shuffled[at : at + 100])
    begin_at = events[0].at
    for until in (begin_at + 61, begin_at + 1_000, begin_at + 1_000, begin_at + 1 << 40):
        for end_at, some in held.until(until):
            assert all(event.at <= end_at <= max(until, end_at) for event in some)
            given += some
    assert [in_order(event) for event in given] == [in_order(event) for event in events]
    assert [event.record for event in given] == [event.record for event in events]
    held.clear()
    assert not (tmp_path / "held").exists()


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    """Files of a process before do not come back."""
    first = Held(tmp_path / "held", 1)
    first.add(events_of(record("ListUsers", user(f"u{n}"), n) for n in range(9)))
    assert list((tmp_path / "held").iterdir())
    assert list(Held(tmp_path / "held", 1).until(1 << 40)) == []
