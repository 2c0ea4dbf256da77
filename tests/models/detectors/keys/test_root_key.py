"""root-key: made, used, or told of by an inventory; closed when it is deleted. No session's key, no other's."""

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
    root,
    rules,
    time,
    user,
)

NAME = "root-key"
KEY = "AKIAEXAMPLE000ROOT00"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"

POSITIVE: list[Json] = [
    key_call("CreateAccessKey", root(), 0, None, KEY),
    record("ListBuckets", root(KEY), 5),
]
NEAR_MISS: list[Json] = [
    record("ListBuckets", root("ASIAEXAMPLE000ROOT00"), 0, sessionCredentialFromConsole="true"),
    record("ListBuckets", root(), 1),
    key_call("CreateAccessKey", root(), 2, "robot", "AKIAEXAMPLE00000ROBO"),
    key_call("CreateAccessKey", root(), 3, None, "AKIAEXAMPLE0DENIED00", errorCode="AccessDenied"),
    {**record("DescribeInstances", {**root("AKIAEXAMPLE0SERVICE0"), "invokedBy": "autoscaling.amazonaws.com"}, 4)},
    record("ListBuckets", user("robot"), 5),
]  # fmt: skip


def test_made_used_deleted() -> None:
    """It opens when the key is made, gathers its use, and closes when it is deleted, not when it is disabled."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.status, found.opened_at) == ("critical", KEY, "updated", time(0))
    assert (found.entity.arn, found.entity.type) == (ROOT, "root")
    off = key_call("Inactive", root(), 60, None, KEY)
    (found,) = findings([*POSITIVE, off], only=NAME, until=60 * DAY)
    assert found.status != "closed"
    (found,) = findings([*POSITIVE, off, key_call("DeleteAccessKey", root(), 90, None, KEY)], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")


def test_a_key_first_seen_in_use() -> None:
    """One that was made before the trail is found when it is used."""
    (found,) = findings(POSITIVE[1:], only=NAME)
    assert found.opened_at == time(5)


def engine_with_inventory() -> Engine:
    """Make an engine that knows from the credential report that root has a key."""
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    engine.seed_keys([KeyRow(ROOT, "access-key-1", True, epoch("2016-01-01T00:00:00Z"))], epoch(time(0)))
    return engine


def test_an_inventory_tells_of_one() -> None:
    """It is found though root never acts, open since the key was made, and has no evidence in the trail."""
    engine = engine_with_inventory()
    engine.tick(epoch(time(0)))
    engine.tick(epoch(time(10)))
    (found,) = engine.findings()
    assert (found.subject, found.opened_at, found.evidence, found.revision) == (
        "access-key-1",
        "2016-01-01T00:00:00Z",
        [],
        1,
    )


def test_its_use_gives_it_its_name() -> None:
    """When the key is used, the finding under its number makes way for one under its id."""
    engine = engine_with_inventory()
    engine.feed(events_of(POSITIVE[1:]))
    engine.tick(epoch(time(10)))
    told, used = engine.findings()
    assert (told.subject, told.close_reason) == ("access-key-1", "superseded")
    assert (used.subject, used.status) == (KEY, "open")
