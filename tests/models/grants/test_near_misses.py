"""Twins: of two documents that differ in one thing the one breaks a rule, and the other does not."""

from __future__ import annotations

from typing import Any

import pytest

from models.grants.allowed import Holding
from models.grants.document import parse
from models.grants.escalation import Escalation, escalations
from models.grants.trust import Outside
from models.grants.weakness import Weakness
from models.grants.wildcards import weaknesses
from tests.models.grants.evaluator import Json
from tests.models.grants.test_wildcards import ACCOUNT, GITHUB, ROLES, SUB, allow, bucket, deny, document, trust

OWN = "o-own1234567"
OUTSIDE = Outside(own=frozenset({ACCOUNT}), organisation=OWN)
INSTANCES, QUEUE = "arn:aws:ec2:*:*:instance/*", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q"
ORG, PASSED = "aws:PrincipalOrgID", "iam:PassedToService"
ME = f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"


def rules(*documents: Json, boundary: Json | None = None) -> dict[str, str]:
    """Give the rules that are broken, each with its highest severity; ways to more rights as `privesc`."""
    holding = Holding(tuple(map(parse, documents)), parse(boundary) if boundary else None)
    found: list[Weakness | Escalation] = [*weaknesses(holding, OUTSIDE), *escalations(holding)]
    return {each.rule.partition(":")[0]: each.severity.label for each in sorted(found, key=lambda each: each.severity)}


def queue(**condition: Json) -> Json:
    """Make a queue's policy that lets anybody send."""
    return document({**allow("sqs:SendMessage", QUEUE, **condition), "Principal": "*"})


def repository(principal: Any) -> Json:
    """Make a repository's policy, which names no resource."""
    return document({"Effect": "Allow", "Principal": principal, "Action": ["ecr:BatchGetImage", "ecr:ListImages"]})


def against(principal: Json, actions: Any = "s3:*", resources: Any = "*", **condition: Json) -> Json:
    """Make a resource policy's Deny."""
    made = deny(actions, resources, **condition)
    return {**made, **principal}


EVERYBODY: Json = {"Principal": "*"}


@pytest.mark.parametrize(
    ("fires", "quiet"),
    [
        (trust("*", StringLike={ORG: "o-*"}), trust("*", StringLike={ORG: OWN})),
        (trust("*", StringLike={"aws:PrincipalAccount": "1*"}), trust("*", StringLike={"aws:PrincipalAccount": ACCOUNT})),
        (trust("*", **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-*/r-*"}}), trust("*", **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{OWN}/*"}})),
        (trust("*", ArnLike={"aws:PrincipalArn": f"arn:aws:iam::*:role/{ACCOUNT}-ci"}), trust("*", ArnLike={"aws:PrincipalArn": f"{ROLES}/ci"})),
        (trust("*", StringEquals={"aws:username": "admin"}), trust("*", StringEquals={"aws:username": "admin", "aws:PrincipalAccount": ACCOUNT})),
        (trust("*", StringEqual={ORG: OWN}), trust("*", StringEquals={ORG: OWN})),
        (bucket("*", IpAddress={"aws:SourceIp": "10.0.0.0/7"}), bucket("*", IpAddress={"aws:SourceIp": "10.0.0.0/8"})),
        (bucket("*", IpAddress={"aws:SourceIp": ["203.0.113.0/24", "2000::/3"]}), bucket("*", IpAddress={"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]})),
        (bucket("*", StringLike={"aws:SourceVpce": "vpce-*"}), bucket("*", StringLike={"aws:SourceVpce": "vpce-1"})),
        (bucket("*", StringLike={"aws:userid": "*:admin"}), bucket("*", StringLike={"aws:userid": "AROAEXAMPLE:*"})),
        (bucket("*", IpAddress={"aws:VpcSourceIp": "10.0.0.0/16"}), bucket("*", IpAddress={"aws:VpcSourceIp": "10.0.0.0/16"}, StringEquals={"aws:SourceVpc": "vpc-1"})),
        (queue(ArnLike={"aws:SourceArn": "arn:aws:sns:*:*:topic"}), queue(ArnLike={"aws:SourceArn": f"arn:aws:sns:*:{ACCOUNT}:topic"})),
        (queue(ArnLike={"aws:SourceArn": "arn:aws:s3:*:*:*"}), queue(ArnLike={"aws:SourceArn": "arn:aws:s3:*:*:bucket"})),
        (repository("*"), repository({"AWS": ACCOUNT})),
        (bucket("*", against({"NotPrincipal": "*"})), bucket("*", against({"NotPrincipal": {"AWS": ACCOUNT}}))),
        (bucket("*", against({"NotPrincipal": {"AWS": ACCOUNT}}, "s3:PutObject")), bucket("*", against({"NotPrincipal": {"AWS": ACCOUNT}}, "s3:GetObject"))),
        (bucket("*", against(EVERYBODY, StringNotEquals={ORG: OWN}, Bool={"aws:SecureTransport": "false"})), bucket("*", against(EVERYBODY, StringNotEqualsIfExists={ORG: OWN}, BoolIfExists={"aws:PrincipalIsAWSService": "false"}))),
        (bucket("*", against(EVERYBODY, StringNotLike={ORG: "o-*"})), bucket("*", against(EVERYBODY, StringNotLike={ORG: OWN}))),
    ],
)  # fmt: skip
def test_anybody(fires: Json, quiet: Json) -> None:
    """W8: part of an id, a name that anybody can give, half the internet name nobody; the id or the account does."""
    in_trust = "sts:AssumeRole" in str(fires)
    assert rules(fires) == {"W8": "critical" if in_trust else "high"}
    assert rules(quiet) == {}


def test_a_public_policy_that_is_denied_wholly_is_latent() -> None:
    """An unconditional Deny of everybody leaves nothing: low."""
    assert rules(bucket("*", against(EVERYBODY))) == {"W8": "low"}


@pytest.mark.parametrize(
    ("fires", "quiet"),
    [
        ("r*", "repo:org/app:*"),
        ("repo:org@*", "repo:org@*/app@*:ref:refs/heads/main"),
        ("repo:org@*/*", "repo:org@1/app@2:*"),
        ("system:*", "system:serviceaccount:app:*"),
        ("organization:*", "organization:org:project:app:workspace:*"),
    ],
)
def test_subjects(fires: str, quiet: str) -> None:
    """W10: what every subject begins with names no workload, nor does the organisation; ids may be left open."""
    web = {"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity"
    assert rules(trust(*web, StringLike={SUB: fires})) == {"W10": "high"}
    assert rules(trust(*web, StringLike={SUB: quiet})) == {}


@pytest.mark.parametrize(
    ("fires", "quiet"),
    [
        (allow("iam:PassRole", f"{ROLES}/?*"), allow("iam:PassRole", f"{ROLES}/a*")),
        (allow("iam:PassRole", f"{ROLES}/*", StringLike={PASSED: "*.amazonaws.com"}), allow("iam:PassRole", f"{ROLES}/*", StringLike={PASSED: "ecs*.amazonaws.com"})),
        (allow("iam:PassRole", f"{ROLES}/*", StringLike={PASSED: ["ec2.amazonaws.com", "*.com"]}), allow("iam:PassRole", f"{ROLES}/*", StringLike={PASSED: ["ec2.amazonaws.com"]})),
    ],
)  # fmt: skip
def test_roles_passed(fires: Json, quiet: Json) -> None:
    """W7: all roles, and every service there is, however they are spelled."""
    assert rules(document(fires)) == {"W7": "high"}
    assert rules(document(quiet)) == {}


def test_a_deny_of_passing_to_other_services_limits_as_the_condition_does() -> None:
    """W7: by the services that a Deny spares; one that names services, or holds only sometimes, spares the others."""
    passes = allow("iam:PassRole", f"{ROLES}/*")
    others = {PASSED: "ec2.amazonaws.com"}
    assert rules(document(passes, deny("iam:PassRole", StringNotEquals=others))) == {}
    for near in (
        deny("iam:PassRole", StringEquals=others),
        deny("iam:PassRole", StringNotLike={PASSED: "*.amazonaws.com"}),
        deny("iam:PassRole", f"{ROLES}/app", StringNotEquals=others),
        deny("iam:PassRole", StringNotEquals=others, Bool={"aws:MultiFactorAuthPresent": "false"}),
        deny("iam:CreateRole", StringNotEquals=others),
    ):
        assert rules(document(passes, near)) == {"W7": "high"}
    runs = allow("ec2:RunInstances", INSTANCES)
    assert "privesc" in rules(document(passes, runs, deny("iam:PassRole", StringNotEquals=others)))
    elsewhere = {PASSED: "lambda.amazonaws.com"}
    assert "privesc" not in rules(document(passes, runs, deny("iam:PassRole", StringNotEquals=elsewhere)))


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ("s3:ListAllMyBuckets", {}),
        ("s3:GetObject", {"W6": "low"}),
        ("s3:PutObject", {"W6": "medium"}),
        ("s3:*", {"W2": "high"}),
        (["iam:List*", "s3:*"], {"W2": "high"}),
    ],
)
def test_what_a_deny_with_not_action_leaves_is_judged(left: Any, expected: dict[str, str]) -> None:
    """A Deny of all but some actions, on everything, leaves those; on one bucket, or under a condition, all the rest."""
    everything = allow("*")
    others: Json = {"Effect": "Deny", "NotAction": left, "Resource": "*"}
    assert rules(document(everything, others)) == expected
    assert rules(document(everything, {**others, "Resource": "arn:aws:s3:::b"}))["W1"] == "critical"
    unless = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
    assert rules(document(everything, {**others, "Condition": unless}))["W1"] == "critical"


def test_what_a_boundary_leaves_is_judged() -> None:
    """Through a boundary passes what both allow; what it takes whole from a statement is latent."""
    power: Json = {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}
    admin, storage = document(allow("*")), document(allow("s3:*"))
    assert rules(admin, boundary=document(power))["W1"] == "high"
    assert rules(admin, boundary=document({**power, "NotAction": "iam:*"}))["W1"] == "critical"
    assert rules(document(power), boundary=storage) == {"W2": "high"}
    assert rules(document(power), boundary=document(power))["W4"] == "high"
    assert rules(document(allow(["iam:PassRole", "s3:PutObject"])), boundary=storage) == {"W6": "medium", "W7": "low"}


@pytest.mark.parametrize(
    ("fires", "quiet"),
    [
        (allow("ssm:SendCommand"), allow("ssm:SendCommand", StringEquals={"ssm:resourceTag/team": "blue"})),
        (allow("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/AWS-Run*"]), allow("ssm:SendCommand", [INSTANCES, "arn:aws:ssm:*:*:document/AWSEC2-CreateVssSnapshot"])),
        (allow("ssm:StartSession", INSTANCES), allow("ssm:StartSession", ["arn:aws:ec2:*:*:instance/i-1", "arn:aws:ssm:*:*:document/*"])),
        (allow("sts:AssumeRole", f"{ROLES}/*"), allow("sts:AssumeRole", f"{ROLES}/audit")),
        (allow("codebuild:StartBuild"), allow("codebuild:StartBuild", "arn:aws:codebuild:*:*:project/app")),
        (allow("cloudformation:UpdateStack"), allow("cloudformation:UpdateStack", "arn:aws:cloudformation:*:*:stack/app/*")),
        (allow("lambda:UpdateFunctionConfiguration"), allow("lambda:UpdateFunctionConfiguration", "arn:aws:lambda:*:*:function:app-*")),
        (allow("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/?*"), allow("iam:CreateAccessKey", ME)),
        (allow("iam:PutUserPolicy", ME), allow("iam:PutUserPolicy", f"{ME}-test")),
        (allow("iam:AttachUserPolicy", ME), allow("iam:AttachUserPolicy", ME, ArnEquals={"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"})),
        (allow("iam:*", ME), allow("iam:*AccessKey*", ME)),
    ],
)  # fmt: skip
def test_ways_to_more_rights(fires: Json, quiet: Json) -> None:
    """A way is open on all of a kind, or on oneself where that is enough, and not on one thing or under its tag."""
    assert "privesc" in rules(document(fires))
    assert rules(document(quiet)) == {}


def test_beside_everything_no_way_is_told() -> None:
    """Who may do all but delete a bucket has nothing left to gain; who may do nothing in IAM has."""
    assert rules(document(allow("*"), deny("s3:DeleteBucket"))) == {"W1": "critical"}
    assert rules(document(allow("*"), deny("iam:*"))) == {"W1": "critical", "privesc": "high"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("s3:x-amz-server-side-encryption", "AES256"),
        ("s3:x-amz-acl", "bucket-owner-full-control"),
        ("aws:SourceArn", "arn:aws:s3:::b"),
        ("aws:SourceAccount", ACCOUNT),
    ],
)
def test_how_a_call_is_made_narrows_no_resources(key: str, value: str) -> None:
    """W6: encryption, an ACL, on whose behalf: the object may still be any; an object's tag says which."""
    assert rules(document(allow("s3:PutObject", StringEquals={key: value}))) == {"W6": "medium"}
    assert rules(document(allow("s3:GetObject", StringEquals={"s3:ExistingObjectTag/team": "blue"}))) == {}
