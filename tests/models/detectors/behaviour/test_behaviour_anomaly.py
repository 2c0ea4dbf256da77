"""behaviour-anomaly: an hour that does not fit an entity's habits, judged when it is over, within the budget."""

from __future__ import annotations

import pytest

from models.behaviour.habits import token
from models.behaviour.routine import AGED_DAYS
from tests.records import Json, events_of, findings, record, run, user

NAME = "behaviour-anomaly"
ROBOT = user("robot")
HOUR, DAY = 60, 24 * 60


def work(day: float, hour: int = 0, name: str = "PutObject", minute: int = 0, **fields: object) -> Json:
    """Make one of the robot's calls, so many days and hours after the start."""
    return record(name, ROBOT, day * DAY + hour * HOUR + minute, **fields)


# Five hours a day for six days: enough to be known by, and then one a day.
ROUTINE = [work(day, 2 * number) for day in range(6) for number in range(5)]
LATER = [work(day) for day in range(6, 18)]


def odd(day: float, *names: str) -> list[Json]:
    """Let the robot do within minutes what it never did, from elsewhere, with another client."""
    return [
        work(day, 1, name, 3 * number, eventSource="secretsmanager.amazonaws.com", sourceIPAddress="203.0.113.9",
             userAgent="aws-cli/2.15.0 md/awscrt#0.19.19 ua/2.0 os/linux#6.5.0 md/command#secretsmanager.list-secrets")
        for number, name in enumerate(names)
    ]  # fmt: skip


FIRST = odd(6, "ListSecrets", "DescribeSecret")  # in the first week of watching: a candidate, and no more
SECOND = [
    {**each, "awsRegion": "ap-south-1", "sourceIPAddress": "198.18.0.9"}
    for each in odd(15, "GetSecretValue", "PutSecretValue", "GetResourcePolicy", "ListSecretVersionIds")
]
POSITIVE = sorted([*ROUTINE, *LATER, *FIRST, *SECOND], key=lambda each: str(each["eventTime"]))
NEAR_MISS = sorted(
    [*ROUTINE, *LATER, *FIRST, work(15, 1), work(15, 1, minute=9)], key=lambda each: str(each["eventTime"])
)


def test_an_hour_that_does_not_fit() -> None:
    """Found when the hour is over, with what was new in it, when it was seen, and by whom."""
    (found,) = findings(POSITIVE, only=NAME, until=16 * DAY)
    assert found.entity.arn.endswith(":user/robot")
    assert found.actor.arn == found.entity.arn
    assert found.opened_at == SECOND[0]["eventTime"]
    assert {each.event_id for each in found.evidence} == {each["eventID"] for each in SECOND}
    assert {each["what"] for each in found.seen["parts"]} >= {"new call", "new network", "new region"}
    assert found.seen["p_value"] < 0.001
    assert found.subject is not None
    assert found.severity in ("low", "medium")


def test_it_is_not_said_before_the_hour_is_over() -> None:
    """While the hour is under way there is nothing to say."""
    minutes = 15 * DAY + HOUR + 40
    assert findings(POSITIVE, only=NAME, until=16 * DAY) != []
    assert findings([each for each in POSITIVE if each in SECOND or each in [*ROUTINE, *LATER[:9], *FIRST]],
                    only=NAME, until=minutes) == []  # fmt: skip


def test_the_first_week_only_watches() -> None:
    """As strange an hour, in the first week in which there was anything strange: a candidate alone."""
    assert findings([*ROUTINE, *FIRST], only=NAME, until=8 * DAY) == []


def test_what_is_not_known_well_is_not_judged() -> None:
    """Of an entity with a handful of hours behind it nothing is strange."""
    assert findings([*ROUTINE[:10], *FIRST, *SECOND], only=NAME, until=20 * DAY) == []


def test_the_budget_is_a_setting() -> None:
    """With hardly any budget it is not among the strangest that pass."""
    toml = "[detectors.behaviour-anomaly]\nalerts_per_week = 0.1"
    assert findings(POSITIVE, only=NAME, until=16 * DAY, toml=toml) == []


def test_what_is_strange_is_not_learned_at_once() -> None:
    """The incident does not become the new normal; after two weeks it does, or at once where it is accepted."""
    profile = next(iter(run(POSITIVE, only=NAME, until=17 * DAY).behaviour.profiles.values()))
    assert profile.habits is not None
    assert token("secretsmanager.amazonaws.com:GetSecretValue") not in profile.habits.apis
    aged = [*POSITIVE, work(16 + AGED_DAYS), work(17 + AGED_DAYS)]
    profile = next(iter(run(aged, only=NAME).behaviour.profiles.values()))
    assert profile.habits is not None
    assert token("secretsmanager.amazonaws.com:GetSecretValue") in profile.habits.apis
    accepted = f'[[suppressions]]\ndetector = "{NAME}"\nentity = "*:user/robot"\nreason = "a new task"'
    profile = next(iter(run([*POSITIVE, work(18)], only=NAME, toml=accepted).behaviour.profiles.values()))
    assert profile.habits is not None
    assert token("secretsmanager.amazonaws.com:GetSecretValue") in profile.habits.apis


@pytest.mark.parametrize("count", [1, 2])
def test_copies_change_nothing(count: int) -> None:
    """It is one finding, whatever else the hour holds."""
    assert len(findings(POSITIVE[: len(POSITIVE)], only=NAME, until=(15 + count) * DAY)) == 1


def test_what_a_service_does_on_its_behalf_is_none_of_its_habits() -> None:
    """Calls that AWS makes for an entity are not held against it."""
    behalf = [
        {**each, "userIdentity": {**ROBOT, "invokedBy": "cloudformation.amazonaws.com"}, "sourceIPAddress": "cloudformation.amazonaws.com"}
        for each in SECOND
    ]  # fmt: skip
    assert findings([*ROUTINE, *LATER, *FIRST, *behalf], only=NAME, until=16 * DAY) == []


NEW_CLIENT = "aws-sdk-go/1.51.0 (go1.22; linux; amd64)"


def moved_to_another_client(days: int) -> list[Json]:
    """Let the robot come every hour, eight days with its client, then so many with another."""
    old = [work(0, hour) for hour in range(8 * 24)]
    return old + [work(8, hour, userAgent=NEW_CLIENT) for hour in range(days * 24)]


def test_what_goes_on_is_a_matter_once() -> None:
    """A client that was new an hour ago is as new in each hour until it has aged; only the first hour is a candidate."""
    engine = run(moved_to_another_client(13), only=NAME)
    assert len(engine.incidents.quota.kept) == 1


def test_what_goes_on_is_learned_when_it_has_aged() -> None:
    """However busy an entity is: the hours kept apart are the first ones."""
    new = token(events_of([work(0, userAgent=NEW_CLIENT)])[0].client.kind)
    (profile,) = run(moved_to_another_client(AGED_DAYS - 1), only=NAME).behaviour.profiles.values()
    assert profile.habits is not None
    assert new not in profile.habits.clients
    (profile,) = run(moved_to_another_client(AGED_DAYS + 1), only=NAME).behaviour.profiles.values()
    assert profile.habits is not None
    assert new in profile.habits.clients
