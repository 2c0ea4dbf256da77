"""key-second-active: made, enabled or first used beside another; medium after a week of both; closed when one is left."""

from __future__ import annotations

from models.behaviour.keys import KeyRow
from models.engine import Engine
from models.record import epoch
from tests.records import ACCOUNT, DAY, Json, findings, key_call, raise_fault, record, role, rules, time, user

NAME = "key-second-active"
OLD, NEW = "AKIAEXAMPLE000000001", "AKIAEXAMPLE000000002"
ADMIN = role("admin", "anna@example.com")


def use(day: float, key: str = OLD, name: str = "robot") -> Json:
    """Use a key."""
    return record("GetObject", user(name, key), day * DAY)


POSITIVE: list[Json] = [use(0), key_call("CreateAccessKey", ADMIN, DAY, "robot", NEW), use(2, NEW), use(3)]
NEAR_MISS: list[Json] = [
    use(0, "AKIAEXAMPLE000000003", "paul"),
    key_call("DeleteAccessKey", ADMIN, DAY, "paul", "AKIAEXAMPLE000000003"),
    key_call("CreateAccessKey", ADMIN, DAY + 1, "paul", "AKIAEXAMPLE000000004"),
    record("GetObject", user("paul", "ASIAEXAMPLE000000009"), 2 * DAY),
]


def test_a_rotation() -> None:
    """It opens with the second key and closes when the first is disabled."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.opened_at, found.status) == ("low", None, time(DAY), "open")
    assert found.seen["keys"] == [NEW, OLD]
    (found,) = findings([*POSITIVE, key_call("Inactive", ADMIN, 4 * DAY, "robot", OLD)], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")
    again = [
        *POSITIVE,
        key_call("Inactive", ADMIN, 4 * DAY, "robot", OLD),
        key_call("Active", ADMIN, 5 * DAY, "robot", OLD),
    ]
    assert findings(again, only=NAME)[0].status == "updated"


def test_side_by_side_for_a_week() -> None:
    """Both used to the end of the week is medium; a new key beside one that nobody uses any more is not."""
    both = [*(use(n) for n in range(12)), *(use(n + 0.5, NEW) for n in range(2, 12))]
    (found,) = findings(both, only=NAME)
    assert (found.severity, found.opened_at) == ("medium", time(2.5 * DAY))
    assert found.seen["are_both_used"] is True
    moved = [*(use(n) for n in range(3)), *(use(n + 0.5, NEW) for n in range(2, 12))]
    assert [each.severity for each in findings(moved, only=NAME)] == ["low"]


def test_an_inventory_tells_of_two() -> None:
    """Two active keys that nobody uses are found as well, since the later one was made."""
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    robot = f"arn:aws:iam::{ACCOUNT}:user/robot"
    rows = [
        KeyRow(robot, OLD, True, epoch("2020-01-01T00:00:00Z")),
        KeyRow(robot, NEW, True, epoch("2021-01-01T00:00:00Z")),
        KeyRow(robot.replace("robot", "paul"), "AKIAEXAMPLE000000003", True, epoch("2020-01-01T00:00:00Z")),
        KeyRow(robot.replace("robot", "paul"), "AKIAEXAMPLE000000004", False, epoch("2020-01-01T00:00:00Z")),
    ]
    engine.seed_keys(rows, epoch(time(0)))
    engine.tick(epoch(time(0)))
    (found,) = engine.findings()
    assert (found.entity.arn, found.opened_at) == (robot, "2021-01-01T00:00:00Z")
