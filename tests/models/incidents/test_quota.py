"""The budget of a learned score is held, whatever the scores are and however they drift."""

from __future__ import annotations

import random

import msgspec
import pytest

from models.incidents.quota import MAX_KEPT, WEEK_S, Quota

DAYS = 90


def admitted(seed: int, *, per_week: float = 5, drift: float = 1.0, a_day: int = 24) -> int:
    """Count what is let through of so many candidates a day, whose scores shrink by a factor over the whole time."""
    rng, quota, count = random.Random(seed), Quota(), 0
    for day in range(DAYS):
        for number in range(a_day):
            p_value = rng.random() ** 3 * drift ** (day / DAYS)
            count += quota.admits(p_value, day * 86_400 + number * 3_600, per_week)
    return count


@pytest.mark.parametrize("drift", [1.0, 0.5, 2.0])
def test_the_budget_is_held_over_seeds(drift: float) -> None:
    """Pooled over twenty seeds of ninety days, within a fifth of the budget, scores drifting or not."""
    total = sum(admitted(seed, drift=drift) for seed in range(20))
    budget = 20 * 5 * (DAYS / 7 - 1)  # the first week only watches
    assert total == pytest.approx(budget, rel=0.2)


def test_the_most_unusual_are_let_through() -> None:
    """What is more unusual than all before passes; what is common does not."""
    quota = Quota()
    for number in range(2_000):
        quota.admits(0.01 + number % 97 / 10_000, number * 1_000, 5)
    assert quota.admits(1e-9, 2_000_000, 5)
    assert not quota.admits(0.5, 2_000_001, 5)


def test_the_first_week_only_watches() -> None:
    """Nothing passes before there is a week to compare with."""
    quota = Quota()
    assert not any(quota.admits(1e-12, at, 5) for at in range(0, WEEK_S, 3_600))
    assert quota.admits(1e-13, WEEK_S + 1, 5)


def test_it_is_bounded_and_survives_being_stored() -> None:
    """However many candidates come, so many are kept; stored and read it goes on alike."""
    quota, rng = Quota(), random.Random(1)
    for number in range(10_000):
        quota.admits(rng.random(), number * 60, 5)
    assert len(quota.kept) == MAX_KEPT
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(quota), type=Quota)
    assert again.admits(1e-6, 700_000, 5) == quota.admits(1e-6, 700_000, 5)
    assert again == quota


def test_what_was_four_weeks_ago_is_forgotten() -> None:
    """An old run of strange days does not raise the bar for ever."""
    quota = Quota()
    for number in range(100):
        quota.admits(1e-9, number, 5)
    assert not quota.admits(1e-6, 2 * WEEK_S, 5)
    assert quota.admits(1e-6, 6 * WEEK_S, 5)
