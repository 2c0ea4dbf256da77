"""How surprising an hour is, given what the entity did before: a sum of parts, each the log of how seldom that comes.

An hour is held against the entity's own habits: calls, networks, clients, regions that are new, the time of day and
week, how much, how many errors and writes. How often something new came before weighs what is new now: a script that
never changed in months and a person who tries things are measured by their own rule. The sum becomes a p-value by how
such sums are spread over ordinary hours of entities as well known (`Calibration`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from math import exp, log, log2
from typing import Final

from msgspec import Struct

from models.behaviour.habits import OTHERS, Habits, Hour, token

MIN_ACTIVE_HOURS: Final = 24  # less known than that, an hour is not judged
MIN_ACTIVE_DAYS: Final = 5
MAX_PART: Final = 14.0  # nats that one part may add
FIRST_NATS: Final = 0.75  # parts below it are not told
MAX_NAMED: Final = 8  # new calls named

# By how many hours the entity was known to be active.
AGES: Final = (24, 72, 240, 720)


class Part(Struct, frozen=True):
    """One thing that is unusual: what, in words, and how much."""

    what: str
    nats: float
    detail: str


class Surprise(Struct, frozen=True):
    """What an hour comes to."""

    nats: float
    parts: tuple[Part, ...]  # the weightiest first


class Calibration(Struct, frozen=True, forbid_unknown_fields=True):
    """How sums are spread over ordinary hours, by age: ``tail`` of them reach ``start``, and beyond it they thin out.

    Below ``start`` p falls from 1 to ``tail``: rough, for nothing there is rare.
    """

    tail: float
    starts: list[float]  # for each of `AGES`
    scales: list[float]

    def p_value(self, nats: float, habits: Habits) -> float:
        """Say how seldom an ordinary hour of an entity as well known comes to as much; 1 where it is nothing special."""
        place = age_of(habits)
        start = self.starts[place]
        if nats < start:
            return float(self.tail ** (nats / start))
        return self.tail * exp(-(nats - start) / self.scales[place])


def age_of(habits: Habits) -> int:
    """Say in which of `AGES` habits fall."""
    return max(sum(habits.active_hours >= each for each in AGES) - 1, 0)


def is_known_enough(habits: Habits) -> bool:
    """Say whether there is enough to hold an hour against."""
    return habits.active_hours >= MIN_ACTIVE_HOURS and habits.active_days >= MIN_ACTIVE_DAYS


def surprise(habits: Habits, hour: Hour, told: Sequence[Hour] = ()) -> Surprise:
    """Hold an hour against habits that it has not joined; what is new but was so in a told hour is not weighed again."""
    calls = _unknown(hour.apis, habits.apis, [each.apis for each in told])
    places = _unknown(hour.places, habits.places, [each.places for each in told])
    regions = _unknown(hour.regions, habits.regions, [each.regions for each in told])
    clients = [each for each in hour.clients if each not in habits.clients]
    parts = [
        *_new(habits, "call", calls),
        *_new(habits, "network", places),
        *_new(habits, "client", [str(each) for each in clients if not any(each in seen.clients for seen in told)]),
        *_new(habits, "region", regions),
        _time_of_day(habits, hour),
        _day_of_week(habits, hour),
        _volume(habits, hour),
        _more("errors", hour.errors, habits.errors, habits, hour),
        _more("writes", hour.writes, habits.writes, habits, hour),
    ]
    found = tuple(sorted((each for each in parts if each.nats > 0), key=lambda each: (-each.nats, each.what)))
    return Surprise(sum(each.nats for each in found), found)


def _unknown(came: Iterable[str], known: Container[int], told: Sequence[Container[str]]) -> list[str]:
    return [
        each for each in came if each != OTHERS and token(each) not in known and not any(each in seen for seen in told)
    ]


def _new(habits: Habits, what: str, found: list[str]) -> list[Part]:
    """Weigh what is new by how often something new of its kind came before, and how much at once."""
    if not found:
        return []
    hours, things = habits.novelty(what)
    nats = -log((hours + 0.5) / (habits.active_hours + 1))
    usual = (things + 1) / (hours + 1)
    nats += (len(found) - 1) * log(1 + 1 / usual) / 2
    named = ", ".join(sorted(found)[:MAX_NAMED]) if what != "client" else ""
    return [Part(f"new {what}", min(nats, MAX_PART), named or f"{len(found)}")]


def _time_of_day(habits: Habits, hour: Hour) -> Part:
    of_day = hour.of_week % 24
    near = sum(sum(habits.hours[each % 24 :: 24]) for each in (of_day - 1, of_day, of_day + 1))
    share = (near + 0.5) / (habits.active_hours + 4)
    return Part("time of day", min(max(log(3 / 24 / share) / 1.5, 0.0), MAX_PART), f"{of_day:02}:00 UTC")


def _day_of_week(habits: Habits, hour: Hour) -> Part:
    day = hour.of_week // 24
    share = (sum(habits.hours[24 * day : 24 * day + 24]) + 0.5) / (habits.active_hours + 3.5)
    return Part("day of week", min(max(log(1 / 7 / share) / 2, 0.0), MAX_PART), _DAYS[day])


_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _volume(habits: Habits, hour: Hour) -> Part:
    mean, spread = habits.usual_volume()
    above = (log2(hour.events) - mean) / spread if hour.events else 0.0
    return Part("volume", min(above * above / 2, MAX_PART) if above > 1.5 else 0.0, f"{hour.events} calls")


def _more(what: str, count: int, known: int, habits: Habits, hour: Hour) -> Part:
    """Weigh more errors, or writes, than so many calls should bring: a Poisson tail."""
    expected = hour.events * (known + 1) / (habits.counted + 20)
    if count < 3 or count <= expected:
        return Part(what, 0.0, "")
    return Part(what, min((count * log(count / expected) - (count - expected)) / 2, MAX_PART), f"{count}")
