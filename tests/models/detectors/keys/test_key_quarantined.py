"""key-quarantined: AWS's quarantine on a user, until the last of it is off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import ACCOUNT, Json, findings, record, service, user

NAME = "key-quarantined"
IAM = "iam.amazonaws.com"
AWS = "arn:aws:iam::aws:policy/"
V2, V3 = f"{AWS}AWSCompromisedKeyQuarantineV2", f"{AWS}AWSCompromisedKeyQuarantineV3"
INLINE = "AWSExposedCredentialPolicy_DO_NOT_REMOVE"
DENY = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["iam:*"],"Resource":"*"}]}'


def attached(policy: str, minutes: float = 0, *, detach: bool = False, **fields: Any) -> Json:
    """Make AWS attach a managed policy to a user, or detach it."""
    name = "DetachUserPolicy" if detach else "AttachUserPolicy"
    return _call(name, minutes, {"userName": "robot", "policyArn": policy}, **fields)


def _call(name: str, minutes: float, request: Json, **fields: Any) -> Json:
    return record(
        name,
        service("AWS Internal"),
        minutes,
        **{"eventSource": IAM, "sourceIPAddress": "AWS Internal", "requestParameters": request, **fields},
    )


POSITIVE = [attached(V3)]
NEAR_MISS = [
    attached("arn:aws:iam::aws:policy/ReadOnlyAccess"),
    attached(f"arn:aws:iam::{ACCOUNT}:policy/AWSCompromisedKeyQuarantineV2", 1),
    attached(V3, 2, errorCode="NoSuchEntityException"),
    _call("AttachRolePolicy", 3, {"roleName": "robot", "policyArn": V3}),
    attached(V3, 4, detach=True),
    _call("PutUserPolicy", 5, {"userName": "robot", "policyName": "deny-all", "policyDocument": DENY}),
]


@pytest.mark.parametrize("policy", [f"{AWS}AWSCompromisedKeyQuarantine", V2, V3])
def test_each_version(policy: str) -> None:
    """Each version of the managed policy is critical, and about the user."""
    (found,) = findings([attached(policy)], only=NAME)
    assert (found.severity, found.status, found.seen["policy"]) == ("critical", "open", policy)
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:user/robot"


def test_the_older_inline_deny() -> None:
    """Before there was a managed policy, AWS put an inline one; taking it off closes the finding."""
    put = _call("PutUserPolicy", 0, {"userName": "robot", "policyName": INLINE, "policyDocument": DENY})
    assert [each.status for each in findings([put], only=NAME, until=30_000)] == ["open"]
    off = _call("DeleteUserPolicy", 9, {"userName": "robot", "policyName": INLINE})
    (found,) = findings([put, off], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")


def test_it_closes_when_the_last_is_off() -> None:
    """AWS replaces one version by another: the user is in quarantine until neither is there."""
    replaced = [attached(V2), attached(V3, 5), attached(V2, 6, detach=True)]
    assert [each.status for each in findings(replaced, only=NAME)] == ["updated"]
    assert [each.status for each in findings([*replaced, attached(V3, 9, detach=True)], only=NAME)] == ["closed"]


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (_call("DeleteUser", 9, {"userName": "robot"}), "closed"),
        (_call("DeleteUser", 9, {"userName": "other"}), "open"),
        (_call("DeleteUser", 9, {"userName": "robot"}, errorCode="DeleteConflictException"), "open"),
        (attached(V3, 9, detach=True, errorCode="AccessDenied"), "open"),
    ],
)
def test_what_ends_it(ends: Json, status: str) -> None:
    """A user who is gone is in no quarantine; a call that failed changes nothing."""
    assert [each.status for each in findings([attached(V3), ends], only=NAME)] == [status]


def test_out_of_order_and_twice() -> None:
    """A detachment that is known before its attachment closes it all the same; attached again it opens again."""
    trail = [attached(V3, 9, detach=True), attached(V3), attached(V3)]
    assert [each.status for each in findings(trail, only=NAME)] == ["closed"]
    assert [each.status for each in findings([*trail, attached(V3, 20)], only=NAME)] == ["updated"]


def test_whoever_does_it() -> None:
    """A colleague who answers a leak with AWS's policy says the same as AWS."""
    call = record("AttachUserPolicy", user("erin"), eventSource=IAM, requestParameters={"userName": "robot", "policyArn": V3})  # fmt: skip
    assert [each.actor.arn for each in findings([call], only=NAME)] == [user("erin")["arn"]]
