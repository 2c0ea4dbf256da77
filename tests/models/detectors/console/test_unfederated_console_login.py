"""unfederated-console-login: an IAM user's password opens the console."""

from __future__ import annotations

import pytest

from tests.records import ACCOUNT, Json, findings, role, root, sign_in, user

NAME = "unfederated-console-login"

POSITIVE = [sign_in(user("erin", key=None))]
NEAR_MISS = [
    sign_in(role("AWSReservedSSO_Dev_0123456789abcdef", "erin@example.com")),
    sign_in(user("erin", key=None), 1, outcome="Failure"),
]


@pytest.mark.parametrize(("mfa", "severity"), [("Yes", "low"), ("YES", "low"), ("No", "medium")])
def test_mfa_decides_the_severity(mfa: str, severity: str) -> None:
    """With MFA it is low, without it medium, however CloudTrail spells it."""
    (found,) = findings([sign_in(user("erin", key=None), mfa=mfa)], only=NAME)
    assert found.severity == severity
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:user/erin"
    assert found.entity.class_ == "human"
    assert found.subject == "console@2024-05-01T09:00:00Z"


def test_the_users_arn_is_made_of_account_and_name() -> None:
    """Sign-in events often leave the ARN out; the user is still the same user."""
    bare = {"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}
    (found,) = findings([sign_in(bare)], only=NAME)
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:user/erin"


@pytest.mark.parametrize(
    "login",
    [
        sign_in(user("erin", key=None), outcome="Failure"),
        sign_in(role("AWSReservedSSO_Dev_0123456789abcdef", "erin@example.com")),
        sign_in(role("federated-admin", "erin@example.com")),
        sign_in(root()),
    ],
)
def test_other_sign_ins_are_silent(login: Json) -> None:
    """A failure, a federated session and root are others' business."""
    assert findings([login], only=NAME) == []


def test_two_days_are_two_sessions() -> None:
    """A login on each of two days is two findings, two logins in one day one finding."""
    logins = [sign_in(user("erin", key=None), minutes) for minutes in (0, 120, 1500)]
    assert [each.evidence_count for each in findings(logins, only=NAME)] == [2, 1]
