"""Behavioural features: numbers that say how an entity behaves and nothing of who it is.

All come from habits alone, so a replay and a stream compute them alike. Each has a unit and a range; `FEATURES` is their
order, and a model names the features it was made for. None reads a type, a name, a user agent or a console flag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log, log2
from typing import Final, NamedTuple

from models.behaviour.habits import DAY_S, WEEK_H, Habits, shares

MIN_EVENTS: Final = 20  # with fewer there is nothing to say
MIN_ACTIVE_HOURS: Final = 3
MIN_ACTIVE_DAYS: Final = 3  # of one day nothing repeats

_TINY: Final = 1e-9


class Feature(NamedTuple):
    """One number: what it is, its unit and range, and how it is computed."""

    name: str
    unit: str
    low: float
    high: float
    what: str
    of: Callable[[Habits], float]


def vector(habits: Habits) -> list[float]:
    """Compute all features, in the order of `FEATURES`, each within its range."""
    return [min(max(each.of(habits), each.low), each.high) for each in FEATURES]


def is_enough(habits: Habits) -> bool:
    """Say whether there is enough behind the features to say anything."""
    under_way = 0 if habits.hour is None else habits.hour.events
    return (
        habits.events + under_way >= MIN_EVENTS
        and habits.active_hours >= MIN_ACTIVE_HOURS
        and habits.active_days >= MIN_ACTIVE_DAYS
    )


def entropy(counts: Sequence[int]) -> float:
    """Compute the entropy of counts, in bits."""
    return -sum(share * log2(share) for share in shares(counts))


def evenness(counts: Sequence[int], bins: int) -> float:
    """Compute the entropy of counts as a share of what so many counts in so many bins could have."""
    total = sum(counts)
    possible = log2(min(total, bins)) if total > 1 else 0.0
    return entropy(counts) / possible if possible > _TINY else 0.0


def quantile(bins: Sequence[int], share: float) -> float:
    """Find in which bin a share of all counts is reached, to a fraction of a bin."""
    total = sum(bins)
    wanted, passed = share * total, 0.0
    for number, count in enumerate(bins):
        if count and passed + count >= wanted:
            return number + (wanted - passed) / count
        passed += count
    return 0.0


def of_day(habits: Habits) -> list[int]:
    """Fold the hours of the week into those of the day, UTC."""
    return [sum(habits.hours[hour::24]) for hour in range(24)]


def longest_silence(habits: Habits) -> float:
    """Find how many hours of the day in a row it is least there: those that hold no more than a fiftieth of its hours."""
    by_hour = of_day(habits)
    limit = sum(by_hour) / 50
    longest = run = 0
    for count in by_hour * 2:
        run = run + 1 if count <= limit else 0
        longest = max(longest, run)
    return min(longest, 24)


def _days(habits: Habits) -> float:
    return max((habits.last_at - habits.first_at) / DAY_S, 1.0)


def _per_call(count: int, habits: Habits) -> float:
    return count / max(habits.counted, 1)


def _weekend(habits: Habits) -> float:
    return sum(habits.hours[120:WEEK_H]) / max(sum(habits.hours), 1)


def _weekdays(habits: Habits) -> float:
    days = [sum(habits.hours[24 * day : 24 * day + 24]) for day in range(7)]
    return evenness(days, 7)


def _gap_mode(habits: Habits) -> float:
    """Compute the share of the commonest two neighbouring gaps among those of more than a minute."""
    long = habits.gaps[6:]
    return max((one + other for one, other in pairwise(long)), default=0) / max(sum(long), 1)


def _same_minute(habits: Habits) -> float:
    round_the_hour = [*habits.minutes, habits.minutes[0]]
    return max(map(sum, pairwise(round_the_hour))) / max(sum(habits.minutes), 1)


def _top(counts: dict[int, int]) -> float:
    return max(counts.values(), default=0) / max(sum(counts.values()), 1)


FEATURES: Final[tuple[Feature, ...]] = (
    Feature("hour_of_week_evenness", "share", 0, 1, "entropy of the hours of the week in which it comes",
            lambda h: evenness(h.hours, WEEK_H)),
    Feature("hour_of_day_evenness", "share", 0, 1, "entropy of the hours of the day in which it comes",
            lambda h: evenness(of_day(h), 24)),
    Feature("silent_hours", "h", 0, 24, "hours of the day in a row in which it is hardly ever there", longest_silence),
    Feature("weekend_share", "share", 0, 1, "share of its hours on Saturday and Sunday", _weekend),
    Feature("weekday_evenness", "share", 0, 1, "entropy of the days of the week on which it comes", _weekdays),
    Feature("active_days", "share", 0, 1, "days on which it came, of those since it was first seen",
            lambda h: h.active_days / (_days(h) + 1)),
    Feature("hours_per_day", "h", 0, 24, "hours in which it came, a day that it came",
            lambda h: h.active_hours / max(h.active_days, 1)),
    Feature("events_per_hour", "log2 of calls", 0, 24, "calls in an hour in which it came",
            lambda h: log2(max(h.events / max(h.active_hours, 1), 1))),
    Feature("minute_evenness", "share", 0, 1, "entropy of the minutes in which its bursts begin",
            lambda h: evenness(h.minutes, 60)),
    Feature("same_minute", "share", 0, 1, "bursts that begin in the commonest two minutes of the hour", _same_minute),
    Feature("gap_median", "log2 of s", 0, 24, "median time between calls", lambda h: quantile(h.gaps, 0.5)),
    Feature("gap_spread", "log2 of s", 0, 24, "time between calls: the ninth decile over the first",
            lambda h: quantile(h.gaps, 0.9) - quantile(h.gaps, 0.1)),
    Feature("gap_entropy", "bits", 0, 5, "entropy of the times between calls", lambda h: entropy(h.gaps)),
    Feature("gap_mode", "share", 0, 1, "of the times over half a minute, those about the commonest", _gap_mode),
    Feature("same_second", "share", 0, 1, "calls in the same second as the one before",
            lambda h: h.gaps[0] / max(sum(h.gaps), 1)),
    Feature("burst_length", "log2 of s", 0, 20, "median length of a burst of calls",
            lambda h: quantile(h.lengths, 0.5)),
    Feature("burst_spread", "log2 of s", 0, 20, "length of bursts: the ninth decile over the first",
            lambda h: quantile(h.lengths, 0.9) - quantile(h.lengths, 0.1)),
    Feature("burst_calls", "log2 of calls", 0, 20, "calls in a burst",
            lambda h: log2(max(h.counted / max(h.bursts, 1), 1))),
    Feature("api_count", "log2 of calls", 0, 7, "different calls known of it", lambda h: log2(max(len(h.apis), 1))),
    Feature("api_entropy", "bits", 0, 6, "entropy of its calls", lambda h: entropy(list(h.apis.values()))),
    Feature("pair_entropy", "bits", 0, 6, "entropy of one call after another, less that of the calls",
            lambda h: entropy(h.pairs) - entropy(list(h.apis.values()))),
    Feature("write_share", "share", 0, 1, "calls that change something", lambda h: _per_call(h.writes, h)),
    Feature("error_share", "share", 0, 1, "calls that failed", lambda h: _per_call(h.errors, h)),
    Feature("place_count", "log2 of networks", 0, 4, "different networks known of it",
            lambda h: log2(max(len(h.places), 1))),
    Feature("place_changes", "log of changes per burst", -3, 5, "changes of network, a burst",
            lambda h: log((h.place_changes + 0.1) / max(h.bursts, 1))),
    Feature("client_count", "log2 of clients", 0, 4, "different clients known of it",
            lambda h: log2(max(len(h.clients), 1))),
    Feature("client_changes", "log of changes per burst", -3, 5, "changes of client, a burst",
            lambda h: log((h.client_changes + 0.1) / max(h.bursts, 1))),
    Feature("region_count", "log2 of regions", 0, 3, "different regions known of it",
            lambda h: log2(max(len(h.regions), 1))),
    Feature("top_region", "share", 0, 1, "hours in its commonest region", lambda h: _top(h.regions)),
)  # fmt: skip
