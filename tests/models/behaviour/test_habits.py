"""Habits: counted in bounded state, hour by hour, the same after a round trip; what they say as features."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.behaviour.features import FEATURES, MIN_ACTIVE_DAYS, MIN_EVENTS, is_enough, vector
from models.behaviour.habits import (
    BURST_GAP_S,
    FULL,
    HOUR_S,
    MAX_APART,
    MAX_APIS,
    MAX_CLIENTS,
    MAX_HOUR,
    MAX_PLACES,
    MAX_REGIONS,
    Habits,
    is_read,
    token,
)
from models.event import SLOTS, number_of

MONDAY = 1_772_409_600  # 2026-03-02T00:00:00Z
DAY_S = 24 * HOUR_S


def call(habits: Habits, at: int, api: str = "s3.amazonaws.com:GetObject", **fields: Any) -> None:
    """Note one call; the hour before is learned as the desk does it."""
    if habits.hour is not None and at >= habits.hour.ends_at:
        habits.learn(habits.hour)
    given_fields = {"place": "192.0.2.0/24", "client": 1, "region": "eu-west-1", "is_error": False, **fields}
    habits.note(at, api, number_of(api, SLOTS), **given_fields)


def cron(days: int = 14, every_s: int = 600) -> Habits:
    """Make a script's habits: the same two calls, day and night."""
    habits = Habits()
    for at in range(MONDAY, MONDAY + days * DAY_S, every_s):
        call(habits, at, "s3.amazonaws.com:ListObjects")
        call(habits, at + 1, "s3.amazonaws.com:PutObject")
    return habits


def person(days: int = 14) -> Habits:
    """Make a person's habits: office hours on weekdays, many calls, uneven pauses, two networks."""
    habits = Habits()
    for day in range(days):
        if day % 7 >= 5:
            continue
        at = MONDAY + day * DAY_S + 9 * HOUR_S + 137 * day
        for number in range(40):
            at += (37 * number * number + 11 * day) % 900
            place = "192.0.2.0/24" if day % 3 else "198.51.100.0/24"
            call(habits, at, f"ec2.amazonaws.com:Describe{(number * 7 + day) % 23}", place=place)
    return habits


def value(habits: Habits, name: str) -> float:
    """Give one feature."""
    return dict(zip([each.name for each in FEATURES], vector(habits), strict=True))[name]


def test_a_script_and_a_person_differ() -> None:
    """A script is there around the clock and repeats itself; a person sleeps, rests and varies."""
    script, human = cron(), person()
    assert value(script, "silent_hours") == 0
    assert value(human, "silent_hours") >= 12
    assert value(script, "weekend_share") == pytest.approx(2 / 7, abs=0.02)
    assert value(human, "weekend_share") == 0
    assert value(script, "gap_entropy") < value(human, "gap_entropy")
    assert value(script, "api_entropy") == pytest.approx(1, abs=0.01)
    assert value(human, "api_entropy") > 3
    assert value(script, "write_share") == pytest.approx(0.5, abs=0.02)
    assert value(human, "place_count") == 1


def test_an_hour_joins_when_it_is_over() -> None:
    """What the hour under way holds is not in the habits yet, so it stands out against them."""
    habits = Habits()
    call(habits, MONDAY)
    assert habits.hour is not None
    assert habits.hour.apis == {"s3.amazonaws.com:GetObject": 1}
    assert habits.apis == {}
    call(habits, MONDAY + HOUR_S)
    assert habits.apis == {token("s3.amazonaws.com:GetObject"): 1}
    assert habits.hours[0] == 1
    assert habits.hours[1] == 0


def test_the_week_begins_on_monday() -> None:
    """Hour 0 is Monday's first, hour 167 Sunday's last, UTC."""
    habits = Habits()
    for at in (MONDAY, MONDAY + 7 * DAY_S - 1, MONDAY + 8 * DAY_S):
        call(habits, at)
    assert (habits.hours[0], habits.hours[167]) == (1, 1)


def test_bursts_begin_after_silence() -> None:
    """Half an hour of silence parts two bursts; a burst's length is that from its first call to its last."""
    habits = Habits()
    for at in (0, 60, 120, 120 + BURST_GAP_S, 130 + BURST_GAP_S, 10 * HOUR_S):
        call(habits, MONDAY + at)
    assert habits.bursts == 3
    assert habits.lengths[(120).bit_length()] == 1
    assert habits.lengths[(10).bit_length()] == 1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 40 * DAY_S), st.integers(0, 300), st.integers(0, 300), st.booleans()), max_size=400
    )
)
def test_state_is_bounded_and_survives_being_stored(calls: list[tuple[int, int, int, bool]]) -> None:
    """Whatever comes, every collection keeps its bound, every feature its range, and bytes make the same habits again."""
    habits = Habits()
    for at, number, where, is_error in sorted(calls):
        call(
            habits, MONDAY + at, f"x.amazonaws.com:Do{number}", place=f"net{where}", client=where + 1,
            region=f"r{where}", is_error=is_error,
        )  # fmt: skip
    if habits.hour is not None:
        hour = habits.hour
        assert len(hour.apis) <= MAX_HOUR + 1
        assert max(len(hour.places), len(hour.clients), len(hour.regions)) <= MAX_HOUR
        habits.learn(habits.hour)
        habits.hour = None
    assert len(habits.apis) <= MAX_APIS
    assert len(habits.places) <= MAX_PLACES
    assert len(habits.clients) <= MAX_CLIENTS
    assert len(habits.regions) <= MAX_REGIONS
    for each, found in zip(FEATURES, vector(habits), strict=True):
        assert each.low <= found <= each.high
    data = msgspec.msgpack.encode(habits)
    again = msgspec.msgpack.decode(data, type=Habits)
    assert again == habits
    assert vector(again) == vector(habits)
    assert len(data) < 6_144


def test_what_was_long_ago_weighs_less() -> None:
    """Counts are halved when they are full; what was called once stays known."""
    habits = Habits()
    call(habits, MONDAY, "iam.amazonaws.com:CreateUser")
    for number in range(FULL + 10):
        call(habits, MONDAY + HOUR_S + number)
    call(habits, MONDAY + 10 * HOUR_S)
    assert habits.counted < FULL
    assert habits.apis[token("iam.amazonaws.com:CreateUser")] == 1


def test_what_is_kept_apart_is_learned_when_it_has_aged() -> None:
    """A strange hour waits; what is beyond the bound is not learned."""
    habits = Habits()
    for number in range(MAX_APART + 1):
        call(habits, MONDAY + number * HOUR_S, f"x.amazonaws.com:Odd{number}")
        assert habits.hour is not None
        habits.keep_apart(habits.hour)
        habits.hour = None
    habits.learn_aged(MONDAY + 3 * HOUR_S)
    assert set(habits.apis) == {token(f"x.amazonaws.com:Odd{number}") for number in range(3)}
    assert len(habits.apart) == MAX_APART - 3


def test_too_little_says_nothing() -> None:
    """Few events, few hours or few days are not enough."""
    habits = Habits()
    for number in range(MIN_EVENTS + 5):
        call(habits, MONDAY + number)
    call(habits, MONDAY + HOUR_S)
    assert not is_enough(habits)
    assert not is_enough(cron(days=MIN_ACTIVE_DAYS - 1))
    assert is_enough(cron(days=MIN_ACTIVE_DAYS + 1))


def test_words_and_tokens() -> None:
    """Verbs tell reads from writes; a token is the same in every process, whatever the text holds."""
    assert is_read("ec2.amazonaws.com:DescribeInstances")
    assert is_read("s3.amazonaws.com:GetObject")
    assert not is_read("s3.amazonaws.com:PutObject")
    assert not is_read("sts.amazonaws.com:AssumeRole")
    assert token("boto3/1.34") == 660_220_149
    assert token(None) == token("")
    assert token("\ud800") != token("")


def test_no_feature_says_who_it_is() -> None:
    """Names are single, ranges sound, and each feature is told in words."""
    assert len({each.name for each in FEATURES}) == len(FEATURES)
    for each in FEATURES:
        assert each.low < each.high
        assert each.what
        assert each.unit
