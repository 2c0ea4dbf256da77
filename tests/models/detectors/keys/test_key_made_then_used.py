"""key-made-then-used: at once, by another or from elsewhere; not by its maker in the same place, not by code."""

from __future__ import annotations

import pytest

from models.engine import Engine
from models.record import epoch
from tests.records import Json, events_of, findings, key_call, raise_fault, record, role, rules, time, user

NAME = "key-made-then-used"
KEY = "AKIAEXAMPLE000000005"
OTHER = "AKIAEXAMPLE000000006"
ADMIN = role("admin", "anna@example.com")
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.0 aws-sdk-go-v2/1.32.0"


def use(minutes: float, address: str = "203.0.113.9", key: str = KEY, name: str = "robot") -> Json:
    """Use a key."""
    return record("ListBuckets", user(name, key), minutes, sourceIPAddress=address)


MADE = key_call("CreateAccessKey", ADMIN, 0, "robot", KEY)
POSITIVE: list[Json] = [MADE, use(12), use(59), use(61)]
NEAR_MISS: list[Json] = [
    key_call("CreateAccessKey", user("paul", "AKIAEXAMPLE000000001"), 0, None, OTHER),
    use(5, "198.51.100.99", OTHER, "paul"),
    use(90, "203.0.113.9", OTHER, "paul"),
]


def test_within_the_hour() -> None:
    """Used from a stranger's network: what comes within the hour is evidence."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.opened_at, found.evidence_count) == ("medium", KEY, time(12), 2)
    assert found.seen["made_by"].endswith("assumed-role/admin/anna@example.com")
    assert (found.seen["is_by_another"], found.seen["is_from_another_network"]) == (True, True)


@pytest.mark.parametrize(
    ("made", "used", "severity"),
    [
        (MADE, use(12, "198.51.100.7"), "medium"),  # by another: who stole the administrator's session keeps a key
        (key_call("CreateAccessKey", user("robot", OTHER), 0, None, KEY), use(12), "medium"),
        (key_call("CreateAccessKey", user("robot", OTHER), 0, None, KEY), use(12, "198.51.200.7"), None),
        (key_call("CreateAccessKey", ADMIN, 0, "robot", KEY, userAgent=TERRAFORM), use(12), None),
        (
            key_call("CreateAccessKey", ADMIN, 0, "robot", KEY, sourceIPAddress="cloudformation.amazonaws.com"),
            use(1),
            None,
        ),
        (key_call("CreateAccessKey", role("ci-deploy", "run1"), 0, "robot", KEY), use(12), None),
        (key_call("CreateAccessKey", ADMIN, 0, "robot", KEY, errorCode="AccessDenied"), use(12), None),
    ],
)
def test_by_whom_and_from_where(made: Json, used: Json, severity: str | None) -> None:
    """By another, or from another network; code and pipelines make keys for others all the time."""
    pipelines = '[pipelines]\nroles = ["arn:aws:iam::*:role/ci-*"]\n'
    found = findings([made, used], only=NAME, toml=pipelines)
    assert [each.severity for each in found] == ([] if severity is None else [severity])


def test_between_known_networks() -> None:
    """From one office to the other it is low."""
    toml = '[networks]\noffice = ["198.51.100.0/24", "203.0.113.0/24"]\n'
    assert [each.severity for each in findings(POSITIVE, only=NAME, toml=toml)] == ["low"]


def test_the_making_comes_late() -> None:
    """A use that arrives before the making is found when that comes."""
    made, used = events_of([MADE, use(12)])
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    engine.feed([used, made])
    engine.tick(epoch(time(20)))
    (found,) = engine.findings()
    assert (found.opened_at, found.severity, found.seen["minutes"]) == (time(12), "medium", 12)
