"""Events come out in event-time order and once, however they came in, and in bounded memory."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event import Event, in_order
from models.record import epoch
from streams import order
from streams.order import DisorderError, Merge, Once, Records, SpillSort
from tests.records import START, events_of, instance_call, record, user


def many(count: int, seed: int = 1, span_minutes: float = 3_000) -> list[Event]:
    """Make events at random times, several of them in the same second."""
    random = Random(seed)
    names = ("GetObject", "CreateBucket", "DeleteBucket", "AssumeRole")
    return events_of(
        instance_call(random.randrange(int(span_minutes * 6)) / 6, random.choice(names), requestParameters={"n": n})
        for n in range(count)
    )


def keys(events: list[Event]) -> list[tuple[int, int, str]]:
    """List what the order goes by."""
    return [(event.at, event.rank, event.event_id) for event in events]


def spilled(events: list[Event], max_held: int) -> list[Event]:
    """Sort events that come in small lists."""
    with SpillSort(Records(), max_held) as spill:
        for at in range(0, len(events), 7):
            spill.add(events[at : at + 7])
        return list(chain.from_iterable(spill.batches()))


@pytest.mark.parametrize("max_held", [1, 10, 50, 1_000])
def test_the_sort_gives_the_same_whether_it_spills_or_not(max_held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory or over many runs, merged twice: the same events in the same order, with all that is read of them."""
    monkeypatch.setattr(order, "MAX_RUNS", 4)
    events = many(300)
    shuffled = events.copy()
    Random(2).shuffle(shuffled)
    sorted_again = spilled(shuffled, max_held)
    assert keys(sorted_again) == keys(sorted(events, key=in_order))
    assert [event.request() for event in sorted_again] == [event.request() for event in events]
    assert [event.facts for event in sorted_again] == [event.facts for event in events]


def test_nothing_spilled_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder goes with the sort, also after an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def interrupted() -> None:
        with SpillSort(Records(), 1) as spill:
            spill.add(many(10))
            assert len(list(tmp_path.rglob("run-*"))) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def in_files(events: list[Event], size: int) -> list[list[Event]]:
    """Cut sorted events into files as delivery does: each shuffled inside."""
    files = [events[at : at + size] for at in range(0, len(events), size)]
    for n, file in enumerate(files):
        Random(n).shuffle(file)
    return files


def test_the_merge_restores_the_order_of_files_that_overlap() -> None:
    """Files of several accounts that overlap for hours come out as one sorted trail, and long before the end."""
    merge: Merge[Event] = Merge()
    series = [many(400, seed) for seed in range(5)]
    files = sorted(
        (file for events in series for file in in_files(events, 40)), key=lambda file: min(e.at for e in file)
    )
    out: list[Event] = []
    largest = 0
    for n, file in enumerate(files):
        merge.add(file)
        begins_at = min(event.at for event in files[n + 1]) if n + 1 < len(files) else 1 << 60
        for events in merge.released(begins_at):
            out += events
        largest = max(largest, (n + 1) * 40 - len(out))
    assert keys(out) == keys(sorted(chain.from_iterable(series), key=in_order))
    assert largest < 1_000


def test_the_merge_says_when_it_cannot() -> None:
    """An event older than what was passed on, or more than it may hold, is disorder; nothing is passed on wrongly."""
    merge: Merge[Event] = Merge()
    events = many(100, span_minutes=600)
    merge.add(events[10:])
    list(merge.released(epoch(START) + 10 * 3600))
    with pytest.raises(DisorderError):
        merge.add(events[:10])
    merge = Merge()
    for _ in range(order.MAX_PENDING // len(events)):
        merge.add(events)
    with pytest.raises(DisorderError):
        merge.add(events)


def once(batches: list[list[Event]]) -> tuple[list[Event], int]:
    """Pass batches through, to the end."""
    passage = Once()
    passed = [event for batch in batches for event in passage.of(batch)]
    return passed + passage.rest(), passage.duplicates


@given(st.lists(st.integers(1, 4), min_size=30, max_size=30), st.integers(1, 9))
@settings(max_examples=50)
def test_each_event_is_passed_on_once(copies: list[int], size: int) -> None:
    """However many copies there are and wherever the batches end, each event comes once and the rest is counted."""
    events = many(30, span_minutes=5)
    doubled = [event for event, count in zip(events, copies, strict=True) for _ in range(count)]
    passed, duplicates = once([doubled[at : at + size] for at in range(0, len(doubled), size)])
    assert passed == events
    assert duplicates == sum(copies) - 30


def test_of_copies_that_differ_the_same_stays() -> None:
    """Whichever comes first, the copy with the smallest hash stays."""
    one, other = (
        events_of([record("GetObject", user("robot"), eventID="e-1", userAgent=agent)])[0] for agent in ("a", "b")
    )
    assert once([[one, other]]) == once([[other], [one]])
    assert once([[one, other]])[1] == 1
