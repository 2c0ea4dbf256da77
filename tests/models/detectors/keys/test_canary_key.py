"""canary-key: bait that is taken, whatever the outcome; every other key is none."""

from __future__ import annotations

from models.detectors import build
from models.engine import Engine
from models.settings import parse_settings
from tests.records import Json, events_of, findings, raise_fault, record, time, user

NAME = "canary-key"
BAIT = "AKIAEXAMPLE0000BAIT0"
SETTINGS = f'[canaries]\nkeys = ["{BAIT}"]\n'

POSITIVE: list[Json] = [
    record(
        "GetCallerIdentity", user("deploy", BAIT), 0, eventSource="sts.amazonaws.com", sourceIPAddress="203.0.113.9"
    ),
    record("ListBuckets", user("deploy", BAIT), 2, errorCode="AccessDenied", sourceIPAddress="203.0.113.9"),
]
NEAR_MISS: list[Json] = [
    record("ListBuckets", user("deploy", "AKIAEXAMPLE0000OTHER"), 0),
    record("ListBuckets", user("deploy", "ASIAEXAMPLE0000BAIT0"), 0),
]


def test_bait_is_taken() -> None:
    """One finding per key, critical, with every call as evidence: the refused too, and days later."""
    later = record("ListUsers", user("deploy", BAIT), 10_000, errorCode="AccessDenied")
    (found,) = findings([*POSITIVE, later, *NEAR_MISS], only=NAME, toml=SETTINGS)
    assert (found.severity, found.subject, found.opened_at) == ("critical", BAIT, time(0))
    assert found.evidence_count == 3
    assert found.actor.arn == found.entity.arn


def test_old_records_and_duplicates() -> None:
    """A record without type counts, and of copies one."""
    old = {**POSITIVE[0], "userIdentity": {**POSITIVE[0]["userIdentity"], "type": None}, "eventVersion": "1.05"}
    engine = Engine(build(parse_settings(SETTINGS)), parse_settings(SETTINGS), raise_fault)
    engine.feed(events_of([old]))
    assert [each.detector for each in engine.findings() if each.severity == "critical"] == [NAME]


def test_nothing_is_bait_without_settings() -> None:
    """Only the settings know."""
    assert findings(POSITIVE, only=NAME) == []
