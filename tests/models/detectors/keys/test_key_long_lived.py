"""key-long-lived: exactly or at least so old, from the instant it is; closed when the key is turned off."""

from __future__ import annotations

from models.behaviour.keys import KeyRow
from models.engine import Engine
from models.record import epoch
from tests.records import (
    ACCOUNT,
    DAY,
    Json,
    events_of,
    findings,
    key_call,
    raise_fault,
    record,
    role,
    rules,
    time,
    user,
)

NAME = "key-long-lived"
KEY = "AKIAEXAMPLE000000005"
ADMIN = role("admin", "anna@example.com")
ROBOT = f"arn:aws:iam::{ACCOUNT}:user/robot"


def use(day: float, key: str = KEY, name: str = "robot") -> Json:
    """Use a key."""
    return record("GetObject", user(name, key), day * DAY)


POSITIVE: list[Json] = [use(0), use(50), use(100)]
NEAR_MISS: list[Json] = [
    use(0, "AKIAEXAMPLE000000006", "paul"),
    use(60, "AKIAEXAMPLE000000006", "paul"),
    key_call("Inactive", ADMIN, 80 * DAY, "paul", "AKIAEXAMPLE000000006"),
    use(80.5, "AKIAEXAMPLE000000007", "paul"),
]


def test_at_least_so_old() -> None:
    """From its first event, at the instant the ninety days are over, with that event as evidence."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.opened_at, found.updated_at) == (
        "low", KEY, time(90 * DAY), time(90 * DAY),
    )  # fmt: skip
    assert found.title == f"Key {KEY} of robot is at least 90 days old"
    assert [each.event_time for each in found.evidence] == [time(0)]
    assert (found.seen["is_exact"], found.actor.arn) == (False, ROBOT)


def test_exactly_so_old() -> None:
    """From its making, whether or not it is used; the instant does not hang on when one looks."""
    made = key_call("CreateAccessKey", ADMIN, 0, "robot", KEY)
    for until in (90 * DAY, 91 * DAY, 300 * DAY):
        (found,) = findings([made], only=NAME, until=until)
        assert (found.opened_at, found.seen["is_exact"], found.severity) == (time(90 * DAY), True, "low")
    (found,) = findings([made], only=NAME, until=366 * DAY)
    assert (found.opened_at, found.severity, found.evidence_count) == (time(90 * DAY), "medium", 1)
    assert found.title == f"Key {KEY} of robot is 365 days old"


def test_turned_off_and_on() -> None:
    """Disabling or deleting closes it, enabling opens it again."""
    off = key_call("Inactive", ADMIN, 110 * DAY, "robot", KEY)
    (found,) = findings([*POSITIVE, off], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")
    (found,) = findings([*POSITIVE, off, key_call("Active", ADMIN, 111 * DAY, "robot", KEY)], only=NAME)
    assert (found.status, found.opened_at) == ("updated", time(90 * DAY))
    (found,) = findings([*POSITIVE, key_call("DeleteAccessKey", ADMIN, 110 * DAY, "robot", KEY)], only=NAME)
    assert found.close_reason == "resolved"


def test_an_inventory_knows_the_age() -> None:
    """A key that is years old is found at once, since the day it came of age; its first use gives it its id."""
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    engine.seed_keys([KeyRow(ROBOT, "access-key-1", True, epoch("2020-01-01T00:00:00Z"))], epoch(time(0)))
    engine.tick(epoch(time(0)))
    (found,) = engine.findings()
    assert (found.subject, found.opened_at, found.severity) == ("access-key-1", "2020-03-31T00:00:00Z", "medium")
    assert found.seen["is_exact"] is True
    engine.feed(events_of([use(1)]))
    told, named = engine.findings()
    assert (told.subject, told.close_reason) == ("access-key-1", "superseded")
    assert (named.subject, named.status, named.severity) == (KEY, "open", "medium")


def test_tuning() -> None:
    """How old is too old is a setting."""
    (found,) = findings(POSITIVE, only=NAME, toml=f"[detectors.{NAME}]\nmax_age_days = 30\nmedium_age_days = 60\n")
    assert (found.opened_at, found.severity) == (time(30 * DAY), "medium")
