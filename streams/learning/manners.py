"""The same principals in other manners, which a trail may not hold and life does: what they are stays what it was.

A machine may run once a day by the clock, or from ever other networks; a person may sit at one desk, or start the same
script by hand. What a model takes for a sign must not be how one trail's people and machines happened to come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from random import Random
from typing import Final

from models.behaviour.habits import DAY_S, Habits, Noted
from models.behaviour.routine import OWN_CALL, noted
from models.event import Event
from models.settings import Context

AS_THEY_ARE: Final = "as they are"
MAX_CALLS: Final = 5_000  # of a principal; the first ones
RUN_GAP_S: Final = 300  # of silence between two runs of a job
VISIT_GAP_S: Final = 900  # and between two times that somebody starts a script
SCRIPT_CALLS: Final = 4

Manner = Callable[[Sequence[Noted], Random], Iterable[Noted]]


class Diary:
    """What each principal called itself, in the order of time."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Noted]] = defaultdict(list)
        self._context = Context()

    def note(self, event: Event) -> None:
        """Take down an event that belongs to its actor's habits."""
        actor = event.actor
        if actor is not None and event.facts & OWN_CALL and len(calls := self.calls[actor.arn]) < MAX_CALLS:
            calls.append(noted(event, self._context.network_of(event)))

    def in_manners(self, arn: str, *, is_human: bool) -> Iterator[tuple[str, Habits]]:
        """Give the habits that a principal would have in each of the manners of its kind."""
        for name, manner in (OF_PEOPLE if is_human else OF_MACHINES).items():
            yield name, habits_of(manner(self.calls[arn], Random(f"{name}/{arn}")))  # noqa: S311 - no secret


def habits_of(calls: Iterable[Noted]) -> Habits:
    """Learn all calls."""
    habits = Habits()
    for call in calls:
        if habits.hour is not None and call[0] >= habits.hour.ends_at:
            habits.learn(habits.hour)
            habits.hour = None
        habits.note(*call)
    return habits


def _by_the_clock(calls: Sequence[Noted], rng: Random) -> Iterable[Noted]:
    """Run once or twice a day, a few seconds off the minute; one job in five on working days alone."""
    runs = rng.choice((1, 1, 2))
    minute_s, is_for_working_days = rng.randrange(DAY_S // runs), rng.random() < 0.2
    by_day: dict[int, list[list[Noted]]] = defaultdict(list)
    for run in _parted(calls, RUN_GAP_S):
        by_day[run[0][0] // DAY_S].append(run)
    moved: list[Noted] = []
    for day, held in by_day.items():
        if is_for_working_days and (day + 3) % 7 >= 5:
            continue
        for number, run in enumerate(held[:runs]):
            begin_at = day * DAY_S + minute_s + number * DAY_S // runs + rng.randrange(20)
            moved += [(begin_at + call[0] - run[0][0], *call[1:]) for call in run]
    return sorted(moved, key=itemgetter(0))


def _seldom(calls: Sequence[Noted], rng: Random) -> Iterable[Noted]:
    """Come one time in three, six or twelve."""
    every = rng.choice((3, 6, 12))
    return [call for run in _parted(calls, RUN_GAP_S) if rng.randrange(every) == 0 for call in run]


def _from_everywhere(calls: Sequence[Noted], rng: Random) -> Iterable[Noted]:
    """Come from other networks from one time to the next, as a fleet does, or a job on a provider's machines."""
    count = rng.choice((2, 4, 16, 200))
    for run in _parted(calls, RUN_GAP_S):
        place = f"network {rng.randrange(count)}"
        for call in run:
            yield (*call[:3], place, *call[4:])


def _at_one_desk(calls: Sequence[Noted], _rng: Random) -> Iterable[Noted]:
    """Come from one network with one client, always."""
    return [(*call[:3], calls[0][3], calls[0][4], *call[5:]) for call in calls]


def _by_hand(calls: Sequence[Noted], rng: Random) -> Iterable[Noted]:
    """Start the same script whenever one comes."""
    script = rng.choices(calls[:200], k=SCRIPT_CALLS)
    for visit in _parted(calls, VISIT_GAP_S):
        at, *_ = visit[0]
        for call in script:
            yield (at, *call[1:3], visit[0][3], *call[4:6], False)
            at += rng.randrange(3)


def _by_hand_at_one_desk(calls: Sequence[Noted], rng: Random) -> Iterable[Noted]:
    return _by_hand(list(_at_one_desk(calls, rng)), rng)


def _parted(calls: Sequence[Noted], gap_s: int) -> Iterator[list[Noted]]:
    """Part calls where there is silence."""
    run: list[Noted] = []
    for call in calls:
        if run and call[0] - run[-1][0] >= gap_s:
            yield run
            run = []
        run.append(call)
    if run:
        yield run


OF_MACHINES: Final[dict[str, Manner]] = {
    "once or twice a day, by the clock": _by_the_clock,
    "machines that come seldom": _seldom,
    "from ever other networks": _from_everywhere,
}
OF_PEOPLE: Final[dict[str, Manner]] = {
    "people who come seldom": _seldom,
    "at one desk": _at_one_desk,
    "a script by hand": _by_hand,
    "a script by hand, at one desk": _by_hand_at_one_desk,
}
