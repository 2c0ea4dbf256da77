"""root-use: whatever root itself does; silent where a service acts on its behalf or nobody got in."""

from __future__ import annotations

import pytest

from tests.records import ACCOUNT, Json, findings, record, root, sign_in, user

NAME = "root-use"
ROOT_KEY = "AKIAEXAMPLEROOT00001"

POSITIVE = [record("ListUsers", root(ROOT_KEY), eventSource="iam.amazonaws.com")]
NEAR_MISS = [
    record("DescribeAutoScalingGroups", {**root(), "invokedBy": "autoscaling.amazonaws.com"}, userAgent="autoscaling.amazonaws.com"),
    sign_in(root(), 5, outcome="Failure"),
    record("ReplicateKey", root(), 6, sourceIPAddress="AWS Internal", userAgent="AWS Internal"),
    record("CreateSnapshot", root(), 7, sourceIPAddress="backup.amazonaws.com", userAgent="backup.amazonaws.com"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "subject"),
    [
        (record("ListUsers", root(ROOT_KEY)), f"{ROOT_KEY}@2024-05-01T09:00:00Z"),
        (sign_in(root(), mfa="Yes"), "console@2024-05-01T09:00:00Z"),
        (record("ListUsers", root("ASIAEXAMPLE000000009"), sessionCredentialFromConsole="true"), "console@2024-05-01T09:00:00Z"),
        (record("ListUsers", {**root("ASIAEXAMPLE000000009"), "invokedBy": "signin.amazonaws.com"}), "console@2024-05-01T09:00:00Z"),
        (record("CreateAccessKey", root(), eventSource="iam.amazonaws.com"), "no-key@2024-05-01T09:00:00Z"),
        (record("CreateSnapshot", root(ROOT_KEY), userAgent="backup.amazonaws.com"), f"{ROOT_KEY}@2024-05-01T09:00:00Z"),
        (record("PutBucketPolicy", root(ROOT_KEY), errorCode="AccessDenied"), f"{ROOT_KEY}@2024-05-01T09:00:00Z"),
    ],
)  # fmt: skip
def test_root_acts(call: Json, subject: str) -> None:
    """A call, a sign-in, a key made or a denied try: root's credentials were used, and it is high."""
    (found,) = findings([call], only=NAME)
    assert (found.severity, found.subject, found.account_id) == ("high", subject, ACCOUNT)
    assert found.entity.arn == found.actor.origin == f"arn:aws:iam::{ACCOUNT}:root"


def test_one_finding_for_each_session() -> None:
    """The key's use and the console visit are two sessions; each gathers its calls."""
    calls = [record("ListUsers", root(ROOT_KEY), n) for n in range(3)]
    visit = [
        sign_in(root(), 10),
        record("ListUsers", root("ASIAEXAMPLE000000009"), 12, sessionCredentialFromConsole="true"),
    ]
    found = findings([*calls, *visit], only=NAME)
    assert [each.evidence_count for each in found] == [3, 2]


@pytest.mark.parametrize(
    "call",
    [
        record("DescribeVolumes", {**root(), "invokedBy": "AWS Internal"}, userAgent="AWS Internal"),
        record("CreateCase", {**root(), "invokedBy": "support.amazonaws.com"}),
        sign_in(root(), outcome="Failure"),
        record("PasswordRecoveryRequested", root(), eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn"),
        record("CheckMfa", root(), eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn"),
        record("ListUsers", user("root")),
    ],
)
def test_nobody_used_root(call: Json) -> None:
    """A service on root's behalf, a failed sign-in, a page before the sign-in, a user named root: silent."""
    assert findings([call], only=NAME) == []


def test_severity_and_stage_are_settings() -> None:
    """The settings' severity stands, and a detector in shadow says so."""
    (found,) = findings(POSITIVE, only=NAME, toml='[detectors.root-use]\nseverity = "critical"\nstage = "shadow"')
    assert (found.severity, found.stage) == ("critical", "shadow")


def test_break_glass_is_shown() -> None:
    """Root named as kept for emergencies is still reported, and marked."""
    (found,) = findings(POSITIVE, only=NAME, toml='[people]\nbreak_glass = ["arn:aws:iam::*:root"]')
    assert found.seen["break_glass"] is True
