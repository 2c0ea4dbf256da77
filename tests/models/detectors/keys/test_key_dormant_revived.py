"""key-dormant-revived: after ninety quiet days, or never used for so long; not after a shorter rest."""

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

NAME = "key-dormant-revived"
KEY = "AKIAEXAMPLE000000005"


def use(day: float, key: str = KEY, name: str = "robot", **fields: str) -> Json:
    """Use a key."""
    return record("GetObject", user(name, key), day * DAY, **fields)


POSITIVE: list[Json] = [use(0), use(1), use(95), use(95.01), use(95.5)]
NEAR_MISS: list[Json] = [use(0, "AKIAEXAMPLE000000006", "paul"), use(80, "AKIAEXAMPLE000000006", "paul")]


def test_after_ninety_quiet_days() -> None:
    """What is done on the first day is evidence, what comes after is ordinary again."""
    (found,) = findings([*POSITIVE, use(97)], only=NAME)
    assert (found.severity, found.subject, found.opened_at) == ("medium", KEY, time(95 * DAY))
    assert (found.evidence_count, found.seen["quiet_days"]) == (3, 94)
    assert findings(POSITIVE, only=NAME, toml=f"[detectors.{NAME}]\nmin_quiet_days = 95\n") == []


def test_a_quarter_s_rhythm() -> None:
    """A job that has slept like this before, and comes back to its place, is low; from elsewhere it is not."""
    quarters = [use(0), use(91), use(182)]
    severities = {each.opened_at: each.severity for each in findings([use(0), use(91)], only=NAME)}
    assert severities == {time(91 * DAY): "medium"}
    (found,) = findings(quarters[1:], only=NAME)
    assert found.severity == "medium"
    assert findings(quarters, only=NAME)[0].evidence_count == 2


def test_made_and_forgotten() -> None:
    """A key that was made in the trail and is first used a season later; one made before may have been used then."""
    made = key_call("CreateAccessKey", role("admin", "anna"), 0, "robot", KEY)
    (found,) = findings([made, use(100)], only=NAME)
    assert (found.opened_at, found.seen["quiet_days"]) == (time(100 * DAY), 100)
    assert findings([made, use(1), use(60)], only=NAME) == []
    assert findings([use(100)], only=NAME) == []


def test_an_inventory_tells_of_the_last_use() -> None:
    """The credential report's last use counts like one in the trail."""
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    robot = f"arn:aws:iam::{ACCOUNT}:user/robot"
    engine.seed_keys([KeyRow(robot, "access-key-1", True, None, epoch("2023-11-01T00:00:00Z"))], epoch(time(0)))
    engine.feed(events_of([use(1)]))
    (found,) = engine.findings()
    assert (found.subject, found.seen["quiet_since"]) == (KEY, "2023-11-01T00:00:00Z")
