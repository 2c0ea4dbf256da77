"""session-from-long-lived-key: without MFA; not with it, not a role's, not what failed for another reason."""

from __future__ import annotations

from tests.records import ACCOUNT, Json, findings, record, role, time, user

NAME = "session-from-long-lived-key"
KEY = "AKIAEXAMPLE000000005"
STS = "sts.amazonaws.com"
MFA = {"serialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/robot", "tokenCode": "123456"}


def federated(key: str = "ASIAEXAMPLE000000077") -> Json:
    """Make the identity of a federated session that a user's key was turned into."""
    issuer = user("robot", None)
    return {
        "type": "FederatedUser",
        "principalId": f"{ACCOUNT}:build",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/build",
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {"sessionIssuer": {**issuer, "arn": f"arn:aws:iam::{ACCOUNT}:user/apps/robot"}, "attributes": {}},
    }  # fmt: skip


POSITIVE: list[Json] = [
    record("GetSessionToken", user("robot", KEY), 0, eventSource=STS, requestParameters={"durationSeconds": 43200}),
    record("GetFederationToken", user("robot", KEY), 1, eventSource=STS, requestParameters={"name": "build"}),
    record("GetSigninToken", federated(), 2, eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn"),
]
NEAR_MISS: list[Json] = [
    record("GetSessionToken", user("anna", KEY), 0, eventSource=STS, requestParameters=MFA),
    record("GetSessionToken", user("anna", KEY), 1, eventSource=STS, errorCode="ThrottlingException"),
    record("GetSigninToken", role("web", "anna"), 2, eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn"),
    record("GetCallerIdentity", user("anna", KEY), 3, eventSource=STS),
]


def test_each_way() -> None:
    """One finding per key; a console token made with the federated session is the user's too."""
    found = findings(POSITIVE, only=NAME)
    assert [(each.severity, each.subject, each.opened_at) for each in found] == [
        ("low", KEY, time(0)), ("low", "ASIAEXAMPLE000000077", time(2)),
    ]  # fmt: skip
    assert {each.entity.arn for each in found} == {f"arn:aws:iam::{ACCOUNT}:user/robot"}
    assert found[0].evidence_count == 2


def test_a_refusal_is_an_attempt() -> None:
    """It is told, and says so."""
    refused = {**POSITIVE[1], "errorCode": "AccessDenied"}
    (found,) = findings([refused], only=NAME)
    assert (found.severity, found.seen["is_denied"]) == ("low", True)
    assert found.title.startswith("Denied: ")
