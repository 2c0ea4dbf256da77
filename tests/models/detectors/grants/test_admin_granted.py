"""admin-granted: an entity newly holds administration, by whatever documents; near it is not it."""

from __future__ import annotations

import pytest

from tests.models.detectors.grants.test_wildcard_grant import ADMIN, CUSTOM, WIDE, call, document, put
from tests.records import ACCOUNT, Json, findings

NAME = "admin-granted"
POSITIVE = [put(document("*"))]
NEAR_MISS = [
    put(document(["iam:Get*", "iam:List*"])),
    put(document("iam:*", f"arn:aws:iam::{ACCOUNT}:role/app"), 1),
    put(document("iam:*", "arn:aws:iam::999988887777:*"), 1),
    put(document("iam:*", f"arn:aws:iam::{ACCOUNT}:user/*"), 1),
    put(document("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), 2),
    call("AttachRolePolicy", 3, roleName="web", policyArn="arn:aws:iam::aws:policy/PowerUserAccess"),
    call("CreatePolicy", 4, policyName="shared", path="/team/", policyDocument=document("*")),
]


@pytest.mark.parametrize(
    "calls",
    [
        [put(document("*"))],
        [put(document("iam:*"))],
        [put(document("*:*"))],
        [put(document(["iam:A*", "iam:C*", "iam:D*", "iam:E*", "iam:P*", "iam:R*", "iam:S*", "iam:T*", "iam:U*"]))],
        [call("AttachRolePolicy", roleName="web", policyArn=ADMIN)],
        [call("AttachRolePolicy", roleName="web", policyArn="arn:aws:iam::aws:policy/IAMFullAccess")],
        [put(document("s3:GetObject", "arn:aws:s3:::x/*")), put(document("iam:*"), 1)],
        [put(document("iam:*", f"arn:aws:iam::{ACCOUNT}:*"))],
        [put(document("*", f"arn:aws:*:*:{ACCOUNT}:*"))],
    ],
)
def test_however_it_is_granted(calls: list[Json]) -> None:
    """By one document or its parts, managed or inline: one finding about the holder."""
    (found,) = findings(calls, only=NAME)
    assert (found.severity, found.subject, found.entity.type) == ("critical", None, "role")


def test_two_documents_together() -> None:
    """Half of it from each of two documents is all of it."""
    half = ["iam:A*", "iam:C*", "iam:D*", "iam:E*"]
    rest = ["iam:P*", "iam:R*", "iam:S*", "iam:T*", "iam:U*"]
    one = call("PutRolePolicy", roleName="web", policyName="one", policyDocument=document(half))
    two = call("PutRolePolicy", 1, roleName="web", policyName="two", policyDocument=document(rest))
    assert findings([one], only=NAME) == []
    (found,) = findings([one, two], only=NAME)
    assert found.evidence[0].event_time.endswith("09:01:00Z")


def test_it_closes_and_is_told_once() -> None:
    """Held already, more of it is no news; taken away, it is resolved."""
    attach = call("AttachRolePolicy", roleName="web", policyArn=ADMIN)
    (found,) = findings([attach, put(document("*"), 1)], only=NAME)
    assert (found.evidence_count, found.status) == (1, "open")
    detach = call("DetachRolePolicy", 2, roleName="web", policyArn=ADMIN)
    (found,) = findings([attach, put(document("*"), 1), detach], only=NAME)
    assert found.status == "open"
    (found,) = findings([attach, detach], only=NAME)
    assert found.close_reason == "resolved"


def test_a_denied_try_is_low() -> None:
    """It changes nothing, and says so."""
    (found,) = findings([put(document("*"), errorCode="AccessDenied")], only=NAME)
    assert (found.severity, found.seen["is_denied"]) == ("low", True)


@pytest.mark.parametrize(("holders", "kinds"), [(1, ["role"]), (3, ["role"] * 3), (12, ["policy"])])
def test_a_shared_policy_that_becomes_administration(holders: int, kinds: list[str]) -> None:
    """A finding for each of a few holders; where many hold it, one about the policy, with their number."""
    calls = [call("CreatePolicy", policyName="shared", path="/team/", policyDocument=WIDE)]
    calls += [call("AttachRolePolicy", 1 + n, roleName=f"role{n:02}", policyArn=CUSTOM) for n in range(holders)]
    widened = call("CreatePolicyVersion", 60, policyArn=CUSTOM, policyDocument=document("*"), setAsDefault=True)
    found = findings([*calls, widened], only=NAME)
    assert [each.entity.type for each in found] == kinds
    assert found[0].affected_count == (holders if kinds == ["policy"] else 1)
    undone = call("CreatePolicyVersion", 90, policyArn=CUSTOM, policyDocument=WIDE, setAsDefault=True)
    assert {each.close_reason for each in findings([*calls, widened, undone], only=NAME)} == {"resolved"}
