"""key-probe: a tool that tries keys, or the first question of who found one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import BOTO, Json, findings, record, role, user

NAME = "key-probe"
KEY = "AKIAEXAMPLE000000001"
DAY = 24 * 60
CLI = (
    "aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.8.0 lang/python#3.12.9 m/g,E md/command#sts.get-caller-identity"
)
PROWLER = "Boto3/1.35.99 md/Botocore#1.35.99 ua/2.0 os/linux#6.8.0 lang/python#3.12.3 APN_1826889"
KALI = "aws-cli/1.22.34 Python/3.9.10 Linux/5.15.0-kali3-amd64 botocore/1.23.34"
THIEF = "192.0.2.44"


def who_am_i(minutes: float, by: Json | None = None, **fields: Any) -> Json:
    """Ask whose a key is."""
    return record(
        "GetCallerIdentity",
        by or user("robot"),
        minutes,
        **{"eventSource": "sts.amazonaws.com", "sourceIPAddress": THIEF, "userAgent": CLI, **fields},
    )


HISTORY = [record("GetObject", user("robot"), n * DAY) for n in range(5)]
POSITIVE = [*HISTORY, who_am_i(5 * DAY)]
NEAR_MISS = [
    *HISTORY,
    who_am_i(5 * DAY, userAgent=BOTO),
    who_am_i(5 * DAY + 1, sourceIPAddress="198.51.100.9"),
    record("ListBuckets", user("robot"), 5 * DAY + 2, sourceIPAddress="203.0.113.5", userAgent=CLI),
    who_am_i(5 * DAY + 3, user("newcomer", "AKIAEXAMPLE000000002")),
    who_am_i(5 * DAY + 4, role("AWSReservedSSO_Dev_0123456789abcdef", "erin@example.com")),
]


def test_the_first_question() -> None:
    """From a new network with a new client a key's first call asks whose it is: low, about the key."""
    (found,) = findings([*POSITIVE, *POSITIVE, who_am_i(5 * DAY + 30)], only=NAME)
    assert (found.severity, found.subject, found.evidence_count) == ("low", KEY, 1)
    assert found.entity.arn.endswith("user/robot")


@pytest.mark.parametrize(
    "user_agent", ["TruffleHog", KALI, PROWLER, "Scout Suite/5.12.0 (https://github.com/nccgroup/ScoutSuite)"]
)
@pytest.mark.parametrize("by", [user("robot"), role("batch", "task-1")])
def test_tools(user_agent: str, by: Json) -> None:
    """A scanner, a tool that tries keys, a system for breaking in: whatever it asks, refused or not."""
    calls = [record("ListBuckets", by, n, userAgent=user_agent, errorCode="AccessDenied") for n in range(3)]
    (found,) = findings(calls, only=NAME)
    assert (found.severity, found.evidence_count) == ("low", 3)
    assert found.subject == (KEY if by["type"] == "IAMUser" else "task-1@2024-05-01T09:00:00Z")


def test_a_scanner_at_its_work_is_found_once() -> None:
    """A review that comes each day is new to the role on its first; what tries keys is found each time."""
    scans = [record("ListBuckets", role("audit", f"scan-{n}"), n * DAY, userAgent=PROWLER) for n in range(3)]
    assert len(findings(scans, only=NAME)) == 1
    tries = [record("ListBuckets", role("audit", f"scan-{n}"), n * DAY, userAgent="TruffleHog") for n in range(3)]
    assert len(findings(tries, only=NAME)) == 3


def test_named_scanners_are_silent() -> None:
    """What scans with leave to do so is named in the settings."""
    toml = '[scanners]\nentities = ["arn:aws:iam::*:role/audit"]'
    scan = record("ListBuckets", role("audit", "scan"), userAgent=PROWLER)
    assert findings([scan], only=NAME, toml=toml) == []


def test_without_a_key_there_is_nothing_to_try() -> None:
    """A call that shows no key is nobody's probe."""
    assert findings([record("ListBuckets", user("robot", None), userAgent="TruffleHog")], only=NAME) == []


def test_the_old_shapes() -> None:
    """Clients of old, and records without categories, tell as much."""
    old = "aws-cli/1.18.69 Python/3.8.5 Linux/5.4.0-66-generic botocore/1.16.19"
    call = who_am_i(5 * DAY, userAgent=old, eventCategory=None, managementEvent=None, eventVersion="1.05")
    assert len(findings([*HISTORY, call], only=NAME)) == 1
