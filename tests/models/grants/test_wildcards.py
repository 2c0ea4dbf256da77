"""Rules W1 to W10: each fires on what it names, however it is spelled, and keeps quiet beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.finding import Severity
from models.grants.allowed import Holding
from models.grants.document import parse
from models.grants.tables import managed_document, managed_table
from models.grants.trust import Outside
from models.grants.weakness import Weakness
from models.grants.wildcards import weaknesses
from tests.models.grants.evaluator import Json

ACCOUNT, OTHER = "111122223333", "444455556666"
ROLES = f"arn:aws:iam::{ACCOUNT}:role"
GITHUB = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
SUB = "token.actions.githubusercontent.com:sub"


def document(*statements: Json) -> Json:
    """Make a document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: Any, resources: Any = "*", **condition: Json) -> Json:
    """Make an Allow; conditions by operator."""
    made = {"Effect": "Allow", "Action": actions, "Resource": resources}
    return {**made, "Condition": condition} if condition else made


def deny(actions: Any, resources: Any = "*", **condition: Json) -> Json:
    """Make a Deny."""
    return {**allow(actions, resources, **condition), "Effect": "Deny"}


def judge(*documents: Any, boundary: Json | None = None, outside: Outside | None = None) -> list[Weakness]:
    """Judge documents that one entity holds."""
    return weaknesses(Holding(tuple(map(parse, documents)), parse(boundary) if boundary else None), outside)


def found(*statements: Json) -> list[tuple[str, str]]:
    """Judge one document: rules with severities."""
    return [(each.rule, each.severity.label) for each in judge(document(*statements))]


@pytest.mark.parametrize(
    ("action", "resource", "expected"),
    [
        # W1, and what is no W1
        ("*", "*", [("W1", "critical")]),
        ("*:*", "*", [("W1", "critical")]),
        ("**", "*", [("W1", "critical")]),
        ("?*:*", "**", [("W1", "critical")]),
        ("*", "arn:aws:*", [("W1", "critical")]),
        ("*", "arn:*:*:*:*:*", [("W1", "critical")]),
        ("*", "arn:aws:s3:::reports/*", []),
        # W2
        ("s3:*", "*", [("W2", "high")]),
        ("S3:*", "*", [("W2", "high")]),
        ("s3:**", "*", [("W2", "high")]),
        ("s3:?*", "*", [("W2", "high")]),
        ("s3:*", "arn:aws:s3:::*", [("W2", "high")]),
        ("newservice:*", "*", [("W2", "high")]),
        ("kms:*", "*", [("W2", "critical")]),
        ("Organizations:*", "*", [("W2", "critical")]),
        ("iam:*", "*", [("W2", "critical"), ("W7", "high")]),
        ("*", "arn:aws:s3:::*", [("W2", "high")]),
        ("*", ["arn:aws:s3:::reports/*", "arn:aws:kms:*:*:*"], [("W2", "critical")]),
        ("*", f"arn:aws:*:*:{ACCOUNT}:*", [("W2", "critical")]),
        ("iam:*", f"arn:aws:iam::{ACCOUNT}:*", [("W2", "critical"), ("W7", "high")]),
        ("iam:*", "arn:aws:iam::*:*", [("W2", "critical"), ("W7", "high")]),
        ("iam:*", f"arn:aws:iam::{ACCOUNT}:user/*", [("W3", "high")]),
        ("iam:*", f"arn:aws:iam::{ACCOUNT}:user/erin", []),
        ("dynamodb:*", f"arn:aws:dynamodb:*:{ACCOUNT}:*", []),
        ("s3:*", "arn:aws:s3:::reports", []),
        ("s3:*", ["arn:aws:s3:::reports", "arn:aws:s3:::reports/*"], []),
        # W3
        ("*:Get*", "*", [("W3", "high")]),
        ("i?m:*", "*", [("W3", "high"), ("W7", "high")]),
        ("iam:Put*", "*", [("W3", "high")]),
        ("iam:*Policy", "*", [("W3", "high")]),
        ("iam:Create?ccessKey", "*", [("W3", "high")]),
        ("iam*", "*", [("W3", "high"), ("W7", "high")]),
        ("dynamodb:*Item", "*", [("W3", "medium")]),
        ("s3:Get*", "*", [("W3", "low")]),
        ("ec2:Describe*", "*", []),
        ("s3:Get*", "arn:aws:s3:::reports/*", []),
        ("iam:*AccessKey*", f"arn:aws:iam::{ACCOUNT}:user/*", [("W3", "high")]),
        ("iam:*AccessKey*", "arn:aws:iam::*:user/${aws:username}", []),
        # W6
        ("iam:CreateAccessKey", "*", [("W6", "high")]),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/*", [("W6", "high")]),
        ("iam:CreatePolicyVersion", "arn:aws:iam::*:policy/*", [("W6", "high")]),
        ("ec2:TerminateInstances", "*", [("W6", "medium")]),
        ("ec2:CreateTags", "*", [("W6", "medium")]),
        ("s3:GetObject", "*", [("W6", "low")]),
        ("s3:ListAllMyBuckets", "*", []),
        ("s3:ListBucket", "*", []),
        ("ec2:DescribeInstances", "*", []),
        ("ecr:GetAuthorizationToken", "*", []),
        ("s3:GetObject", "arn:aws:s3:::reports/*", []),
        ("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}", []),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/app-*", []),
        ("logs:PutLogEvents", "arn:aws:logs:*:*:*", []),
        ("newservice:DeleteThing", "*", [("W6", "medium")]),
        ("newservice:GetThing", "*", []),
        ("s3:NoSuchThing", "*", []),
        # W7
        ("iam:PassRole", "*", [("W6", "high"), ("W7", "high")]),
        ("iam:PassRole", f"{ROLES}/*", [("W7", "high")]),
        ("iam:PassRole", "arn:aws:iam::*:role/*", [("W7", "high")]),
        ("iam:Pass*", "*", [("W3", "high"), ("W7", "high")]),
        ("iam:PassRole", f"{ROLES}/app", []),
        ("iam:PassRole", f"{ROLES}/app-*", []),
        # several at once: each action once, under the strongest
        (["s3:*", "sqs:SendMessage"], "*", [("W2", "high"), ("W6", "medium")]),
        (["*", "s3:*", "s3:Get*", "s3:GetObject"], "*", [("W1", "critical"), ("W2", "high"), ("W3", "low"), ("W6", "low")]),
    ],
)  # fmt: skip
def test_actions_and_resources(action: Any, resource: Any, expected: list[tuple[str, str]]) -> None:
    """W1, W2, W3, W6 and W7 judge what a pattern matches, with severity by access level."""
    assert found(allow(action, resource)) == expected


def test_unicode_escapes_hide_nothing() -> None:
    """A document that spells its star with escapes is judged as any other."""
    raw = json.dumps(document(allow("*"))).replace("*", "\\u002a")
    assert [each.rule for each in judge(raw)] == ["W1"]


def test_each_action_is_reported_once() -> None:
    """In one statement an action stands under one rule, each severity on its own."""
    answers = judge(
        document(allow(["s3:*", "iam:Put*", "s3:Get*", "sqs:SendMessage", "s3:GetObject", "sqs:ListQueues"]))
    )
    assert [(each.rule, each.severity.label, each.actions) for each in answers] == [
        ("W2", "high", ("s3:*",)),
        ("W3", "high", ("iam:Put*",)),
        ("W3", "low", ("s3:Get*",)),
        ("W6", "medium", ("sqs:SendMessage",)),
        ("W6", "low", ("s3:GetObject",)),
    ]
    assert answers[0].pointer == "/Statement/0"
    assert answers[0].levels[0] == "permissions management"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"NotAction": ["iam:*", "organizations:*"], "Resource": "*"}, [("W4", "high")]),
        ({"NotAction": ["I?M:*", "organizations:**"], "Resource": "*"}, [("W4", "high")]),
        ({"NotAction": "iam:*", "Resource": "*"}, [("W4", "critical")]),
        ({"NotAction": "s3:DeleteBucket", "Resource": "*"}, [("W4", "critical"), ("W7", "high")]),
        ({"NotAction": "s3:DeleteBucket", "Resource": "arn:aws:s3:::b"}, [("W4", "high")]),
        ({"NotAction": "*", "Resource": "*"}, []),
        ({"Action": "s3:GetObject", "NotResource": "arn:aws:s3:::secret/*"}, [("W5", "medium")]),
        ({"Action": "iam:PutRolePolicy", "NotResource": f"{ROLES}/admin"}, [("W5", "high")]),
        ({"Action": "iam:PassRole", "NotResource": f"{ROLES}/admin"}, [("W5", "high"), ("W7", "high")]),
        ({"Action": "s3:GetObject", "NotResource": "*"}, []),
        ({"NotAction": "iam:*", "NotResource": "arn:aws:s3:::secret"}, [("W4", "critical"), ("W5", "high")]),
    ],
)
def test_complements(statement: Json, expected: list[tuple[str, str]]) -> None:
    """W4 and W5: an Allow by what it leaves out; nothing where nothing is left."""
    assert found({"Effect": "Allow", **statement}) == expected
    assert found({"Effect": "Deny", **statement}) == []


TAG = {"StringEquals": {"aws:ResourceTag/team": "blue"}}


@pytest.mark.parametrize(
    ("action", "condition", "expected"),
    [
        ("ec2:TerminateInstances", TAG, []),
        ("ec2:Terminate*", TAG, []),
        ("ec2:*", TAG, [("W2", "medium")]),
        ("*", TAG, [("W1", "high")]),
        ("kms:Decrypt", {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}, []),
        ("ec2:TerminateInstances", {"StringLike": {"aws:ResourceTag/team": "*"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"StringNotEquals": {"aws:ResourceTag/team": "blue"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"StringEqualsIfExists": {"aws:ResourceTag/team": "blue"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"ForAllValues:StringEquals": {"aws:TagKeys": "team"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"Null": {"aws:ResourceTag/team": "false"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"StringEquals": {"aws:PrincipalTag/team": "blue"}}, [("W6", "medium")]),
        ("ec2:TerminateInstances", {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, [("W6", "medium")]),
        ("*", {"Bool": {"aws:MultiFactorAuthPresent": "true"}}, [("W1", "critical")]),
        ("iam:PassRole", {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, []),
        ("iam:PassRole", {"StringEqualsIfExists": {"iam:PassedToService": "ec2.amazonaws.com"}}, []),
        ("iam:PassRole", {"StringLike": {"iam:PassedToService": "*"}}, [("W6", "high"), ("W7", "high")]),
        ("iam:PassRole", {"StringNotEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, [("W6", "high"), ("W7", "high")]),
    ],
)  # fmt: skip
def test_conditions_that_limit_and_conditions_that_do_not(action: str, condition: Json, expected: list[Any]) -> None:
    """A condition on the resource counts as one; circumstances, absent keys and stars do not."""
    assert found(allow(action, "*", **condition)) == expected


def test_denies_and_boundary_are_taken_off() -> None:
    """What a Deny or the boundary takes wholly is latent and low, what it spares or leaves is judged as that."""
    admin = document(allow("*"))
    (latent,) = judge(document(allow("s3:*"), deny("s3:*")))
    assert (latent.rule, latent.severity, latent.is_latent) == ("W2", Severity.LOW, True)
    assert [each.rule for each in judge(document(allow("s3:*"), deny("s3:*", "arn:aws:s3:::secret/*")))] == ["W2"]
    assert not judge(document(allow("s3:*"), {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::b/*"}))
    assert [
        each.rule for each in judge(document(allow("s3:*"), deny("s3:*", "*", Bool={"aws:SecureTransport": "false"})))
    ] == ["W2"]
    assert judge(admin, document(deny(["iam:*", "organizations:*"])))[0].severity == Severity.HIGH
    assert judge(admin, document(deny("s3:*")))[0].severity == Severity.CRITICAL
    bounded = judge(admin, boundary=document(allow("s3:*")))
    assert [(each.rule, each.actions) for each in bounded] == [("W2", ("s3:*",))]
    assert judge(document(allow("iam:*")), boundary=document(allow("s3:*")))[0].is_latent
    assert not judge(admin, boundary=document(allow("s3:GetObject", "arn:aws:s3:::b/*")))
    assert not judge(document(allow("s3:GetObject", "arn:aws:s3:::b/*")), boundary=admin)
    assert judge(admin, boundary=admin)[0].rule == "W1"
    assert not judge(document(allow("iam:Put*"), deny(["iam:Put*Policy", "iam:Put*Boundary"])))


def trust(principal: Any, action: Any = "sts:AssumeRole", **condition: Json) -> Json:
    """Make a trust policy."""
    made = {"Effect": "Allow", "Principal": principal, "Action": action}
    return document({**made, "Condition": condition} if condition else made)


def bucket(principal: Any, *more: Json, **condition: Json) -> Json:
    """Make a bucket's policy."""
    made = {**allow("s3:GetObject", "arn:aws:s3:::b/*", **condition), "Principal": principal}
    return document(made, *more)


ORGANISATION = {"StringEquals": {"aws:PrincipalOrgID": "o-example"}}
EXTERNAL_ID = {"StringEquals": {"sts:ExternalId": "7"}}
OTHERS = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (trust("*"), [("W8", "critical")]),
        (trust({"AWS": "*"}), [("W8", "critical")]),
        (trust({"AWS": ["111122223333", "*"]}, **ORGANISATION), []),
        (trust("*", **EXTERNAL_ID), [("W8", "high")]),
        (trust("*", ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/x"}), [("W8", "critical")]),
        (trust("*", ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}), []),
        (trust({"Service": "ec2.amazonaws.com"}), []),
        (bucket("*"), [("W8", "high")]),
        (bucket({"AWS": "*"}), [("W8", "high")]),
        (bucket("*", **ORGANISATION), []),
        (bucket("*", IpAddress={"aws:SourceIp": "203.0.113.0/24"}), []),
        (bucket("*", IpAddress={"aws:SourceIp": "0.0.0.0/0"}), [("W8", "high")]),
        (bucket("*", StringEquals={"aws:SourceVpce": "vpce-1"}), []),
        (bucket("*", StringNotEquals={"aws:SourceVpce": "vpce-1"}), [("W8", "high")]),
        (bucket("*", Bool={"aws:SecureTransport": "true"}), [("W8", "high")]),
        (bucket("*", **{"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-example"}}), [("W8", "high")]),
        (bucket("*", {**OTHERS, "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-example"}}}), []),
        (bucket("*", {**OTHERS, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}), [("W8", "high")]),
        (bucket({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), []),
        (bucket({"Service": "cloudtrail.amazonaws.com"}), []),
        (document({"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": "*"}), [("W8", "high")]),
        (document({"Effect": "Deny", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": "*"}), []),
        (document({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}), []),
        (trust({"AWS": f"arn:aws:iam::{OTHER}:root"}), [("W9", "high")]),
        (trust({"AWS": OTHER}, **EXTERNAL_ID), [("W9", "low")]),
        (trust({"AWS": OTHER}, **ORGANISATION), []),
        (trust({"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci"}), []),
        (trust({"AWS": "777788889999"}), [("W9", "medium")]),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity"), [("W10", "high")]),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", StringLike={SUB: "repo:org/*"}), [("W10", "high")]),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", StringLike={SUB: ["repo:org/app:*", "*"]}), [("W10", "high")]),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", StringLike={SUB: "repo:org/app:*"}), []),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", StringEquals={SUB: "repo:org/app:ref:refs/heads/main"}), []),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", StringLikeIfExists={SUB: "repo:org/app:*"}), [("W10", "high")]),
        (trust({"Federated": GITHUB}, "sts:AssumeRoleWithWebIdentity", **{"ForAllValues:StringLike": {SUB: "repo:org/app:*"}}), [("W10", "high")]),
        (trust({"Federated": "cognito-identity.amazonaws.com"}, "sts:AssumeRoleWithWebIdentity", StringEquals={"cognito-identity.amazonaws.com:aud": "eu-west-1:1"}), []),
        (trust({"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/idp"}, "sts:AssumeRoleWithSAML"), [("W10", "high")]),
        (trust({"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/idp"}, "sts:AssumeRoleWithSAML", StringEquals={"SAML:aud": "https://signin.aws.amazon.com/saml"}), []),
    ],
)  # fmt: skip
def test_principals(given: Json, expected: list[tuple[str, str]]) -> None:
    """W8, W9 and W10 judge who is let in; a resource's ``*`` is that resource, its account's root the default."""
    outside = Outside(own=frozenset({ACCOUNT}), trusted=frozenset({"777788889999"}))
    assert [(each.rule, each.severity.label) for each in judge(given, outside=outside)] == expected


@pytest.mark.parametrize(
    ("given", "severity"),
    [
        (trust("*", StringEquals={"aws:PrincipalOrgID": "o-own"}), None),
        (trust("*", **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-own/r-1/ou-1/*"}}), None),
        (trust("*", StringEquals={"aws:PrincipalOrgID": "o-other"}), "high"),
        (trust("*", StringEquals={"aws:PrincipalAccount": ACCOUNT}), None),
        (trust("*", StringEquals={"aws:PrincipalAccount": OTHER}), "high"),
        (trust("*", StringEquals={"aws:PrincipalAccount": "777788889999"}), "medium"),
        (trust("*", ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/ci"}), "high"),
        (trust("*", StringEquals={"aws:PrincipalOrgID": "o-own", "aws:PrincipalAccount": OTHER}), None),
        (trust({"AWS": OTHER}, StringEquals={"aws:PrincipalOrgID": "o-own"}), None),
        (trust({"AWS": OTHER}, StringEquals={"aws:PrincipalOrgID": "o-other"}), "high"),
    ],
)
def test_strangers_named_by_a_condition(given: Json, severity: str | None) -> None:
    """Anybody of a stranger's account, or of another organisation, is that stranger: W9, as if it were the principal."""
    outside = Outside(frozenset({ACCOUNT}), frozenset({"777788889999"}), "o-own")
    found = [(each.rule, each.severity.label) for each in judge(given, outside=outside)]
    assert found == ([] if severity is None else [("W9", severity)])
    if "o-other" in json.dumps(given):  # of which nobody knows whose it is, unless the settings name the own
        assert judge(given, outside=Outside(frozenset({ACCOUNT}))) == []


def managed(name: str) -> list[Weakness]:
    """Judge one of AWS's own policies."""
    return judge(managed_document(f"arn:aws:iam::aws:policy/{name}"))


def test_policies_that_aws_manages() -> None:
    """The well known are called what they are; read-only access is no alarm."""
    assert [(each.rule, each.severity) for each in managed("AdministratorAccess")] == [("W1", Severity.CRITICAL)]
    assert managed("IAMFullAccess")[0].severity == Severity.CRITICAL
    assert ("W4", Severity.HIGH) in {(each.rule, each.severity) for each in managed("PowerUserAccess")}
    assert max(each.severity for each in managed("ReadOnlyAccess")) < Severity.CRITICAL
    assert {each.severity for each in managed("job-function/ViewOnlyAccess")} == {Severity.LOW}
    assert not managed("AWSSupportAccess")[1:]
    critical = [
        arn for arn in managed_table().policies if any(each.severity == Severity.CRITICAL for each in managed(arn[24:]))
    ]
    assert len(critical) < 12


def test_every_weakness_explains_itself() -> None:
    """Each says why and what narrower change would do, and points at its statement."""
    for each in [*managed("IAMFullAccess"), *managed("ReadOnlyAccess"), *judge(trust("*"), trust({"AWS": OTHER}))]:
        assert each.why
        assert each.fix.endswith(".")
        assert each.pointer.startswith("/Statement")
