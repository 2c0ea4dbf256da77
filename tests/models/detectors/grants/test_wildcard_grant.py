"""wildcard-grant: each door, each rule through a door, newly and not again; closed when it is allowed no more."""

from __future__ import annotations

import json
from typing import Any

import pytest

from models.engine import Engine
from tests.records import ACCOUNT, OTHER_ACCOUNT, Json, events_of, findings, record, role, rules, run, service, user

NAME = "wildcard-grant"
IAM = "iam.amazonaws.com"
CUSTOM = f"arn:aws:iam::{ACCOUNT}:policy/team/shared"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
SET = "arn:aws:sso:::permissionSet/ssoins-1/ps-1"
SSO = "sso.amazonaws.com"
PROFILE = f"arn:aws:rolesanywhere:eu-west-1:{ACCOUNT}:profile/p-1"
_OBJECTS = {"bucketPolicy", "member", "memberId", "accessScope"}  # which CloudTrail writes as they are


def document(action: Any = "s3:*", resource: Any = "*", **fields: Any) -> Json:
    """Write a document of one statement; a field that is None is left out."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **fields}
    return {
        "Version": "2012-10-17",
        "Statement": [{key: value for key, value in statement.items() if value is not None}],
    }


WIDE = document()
NARROW = document(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::reports/*")


def call(
    name: str,
    /,
    minutes: float = 0,
    source: str = IAM,
    by: Json | None = None,
    response: Json | None = None,
    **request: Any,
) -> Json:
    """Make a control-plane write; documents become strings, as CloudTrail has them."""
    texts = {
        key: json.dumps(value) if isinstance(value, dict) and key not in _OBJECTS else value
        for key, value in request.items()
    }
    return record(
        name, by or user("erin"), minutes, eventSource=source, requestParameters=texts, responseElements=response
    )


def put(doc: Json, minutes: float = 0, **fields: Any) -> Json:
    """Give role ``web`` an inline policy."""
    return {**call("PutRolePolicy", minutes, roleName="web", policyName="inline", policyDocument=doc), **fields}


def assignment(minutes: float = 0, account: str = ACCOUNT, name: str = "CreateAccountAssignment", **more: Any) -> Json:
    """Give the permission set to a group of Identity Center in one account."""
    return call(
        name, minutes, SSO, instanceArn="arn:aws:sso:::instance/ssoins-1", targetId=account, targetType="AWS_ACCOUNT",
        permissionSetArn=SET, **{"principalType": "GROUP", "principalId": "g-1", **more},
    )  # fmt: skip


def cluster(policy: str, minutes: float = 0, verb: str = "Associate", **scope: Any) -> Json:
    """Give role ``web`` an access policy in cluster ``prod``."""
    return call(
        f"{verb}AccessPolicy", minutes, "eks.amazonaws.com", name="prod", principalArn=f"arn:aws:iam::{ACCOUNT}:role/web",
        policyArn=f"arn:aws:eks::aws:cluster-access-policy/{policy}", accessScope=scope or {"type": "cluster"},
    )  # fmt: skip


POSITIVE = [put(WIDE)]
NEAR_MISS = [
    put(NARROW),
    put(document("ec2:DescribeInstances"), 1),
    put(document("s3:ListAllMyBuckets"), 2),
    call("PutRolePolicy", 3, "transfer.amazonaws.com", roleName="web", policyName="inline", policyDocument=WIDE),
    {**put(WIDE, 4), "errorCode": "MalformedPolicyDocumentException"},
]

TRUST_ANYBODY = document("sts:AssumeRole", None, Principal="*")
DOORS: dict[str, tuple[list[Json], str, str]] = {  # calls, the entity's name, the subject
    "PutUserPolicy": ([call("PutUserPolicy", userName="erin", policyName="p", policyDocument=WIDE)], "user/erin", "p"),
    "PutRolePolicy": ([put(WIDE)], "role/web", "inline"),
    "PutGroupPolicy": ([call("PutGroupPolicy", groupName="devs", policyName="p", policyDocument=WIDE)], "group/devs", "p"),
    "CreatePolicy": (
        [call("CreatePolicy", policyName="shared", path="/team/", policyDocument=WIDE, response={"policy": {"arn": CUSTOM}})],
        "shared", CUSTOM,
    ),
    "CreatePolicyVersion": (
        [call("CreatePolicyVersion", policyArn=CUSTOM, policyDocument=WIDE, setAsDefault=True)], "shared", CUSTOM,
    ),
    "SetDefaultPolicyVersion": (
        [
            call("CreatePolicy", policyName="shared", path="/team/", policyDocument=NARROW),
            call("AttachRolePolicy", 1, roleName="web", policyArn=CUSTOM),
            call("CreatePolicyVersion", 2, policyArn=CUSTOM, policyDocument=WIDE, setAsDefault=False),
            call("SetDefaultPolicyVersion", 3, policyArn=CUSTOM, versionId="v2"),
        ],
        "shared", CUSTOM,
    ),
    "AttachUserPolicy": ([call("AttachUserPolicy", userName="erin", policyArn=ADMIN)], "user/erin", ADMIN),
    "AttachRolePolicy": ([call("AttachRolePolicy", roleName="web", policyArn=ADMIN)], "role/web", ADMIN),
    "AttachGroupPolicy": ([call("AttachGroupPolicy", groupName="devs", policyArn=ADMIN)], "group/devs", ADMIN),
    "AddUserToGroup": (
        [
            call("AttachGroupPolicy", groupName="devs", policyArn=ADMIN),
            call("AddUserToGroup", 1, userName="erin", groupName="devs"),
        ],
        "user/erin", ADMIN,
    ),
    "UpdateAssumeRolePolicy": (
        [call("UpdateAssumeRolePolicy", roleName="web", policyDocument=TRUST_ANYBODY)], "role/web", "trust",
    ),
    "CreateRole": ([call("CreateRole", roleName="web", assumeRolePolicyDocument=TRUST_ANYBODY)], "role/web", "trust"),
    "DeleteRolePermissionsBoundary": (
        [
            call("CreatePolicy", policyName="edge", policyDocument=NARROW),
            call("CreateRole", 1, roleName="web", permissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/edge"),
            put(WIDE, 2),
            call("DeleteRolePermissionsBoundary", 3, roleName="web"),
        ],
        "role/web", "inline",
    ),
    "PutInlinePolicyToPermissionSet": (
        [call("PutInlinePolicyToPermissionSet", source="sso.amazonaws.com", permissionSetArn=SET, inlinePolicy=WIDE)],
        "ps-1", "inline",
    ),
    "AttachManagedPolicyToPermissionSet": (
        [call("AttachManagedPolicyToPermissionSet", source="sso.amazonaws.com", permissionSetArn=SET, managedPolicyArn=ADMIN)],
        "ps-1", ADMIN,
    ),
    "PutBucketPolicy": (
        [call("PutBucketPolicy", source="s3.amazonaws.com", bucketName="reports",
              bucketPolicy=document("s3:GetObject", "arn:aws:s3:::reports/*", Principal="*"))],
        "arn:aws:s3:::reports", "resource-policy",
    ),
    "PutKeyPolicy": (
        [call("PutKeyPolicy", source="kms.amazonaws.com", keyId="1234", policy=document("kms:Decrypt", Principal={"AWS": "*"}))],
        "key/1234", "resource-policy",
    ),
    "CreateKey": (
        [call("CreateKey", source="kms.amazonaws.com", policy=document("kms:*", Principal="*"),
              response={"keyMetadata": {"arn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/9"}})],
        "key/9", "resource-policy",
    ),
    "CreateAccountAssignment": (
        [
            call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN),
            assignment(1),
        ],
        "group/g-1", ADMIN,
    ),
    "AddMemberToGroup": (
        [
            call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN),
            assignment(1),
            call("AddMemberToGroup", 2, source="sso-directory.amazonaws.com", groupId="g-1", member={"memberId": "u-1"}),
        ],
        "user/u-1", ADMIN,
    ),
    "CreateGroupMembership": (
        [
            call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN),
            assignment(1),
            call("CreateGroupMembership", 2, source="identitystore.amazonaws.com", groupId="g-1", memberId={"userId": "u-1"}),
        ],
        "user/u-1", ADMIN,
    ),
    "AssociateAccessPolicy": ([cluster("AmazonEKSClusterAdminPolicy")], "role/web", "AmazonEKSClusterAdminPolicy@prod"),
    "CreateGrant": (
        [call("CreateGrant", source="kms.amazonaws.com", keyId="1234", operations=["Decrypt"],
              granteePrincipal="arn:aws:iam::999988887777:role/reader", response={"grantId": "abc"})],
        "key/1234", "grant/abc",
    ),
    "CreateProfile": (
        [
            call("AttachRolePolicy", roleName="web", policyArn=ADMIN),
            call("CreateProfile", 1, source="rolesanywhere.amazonaws.com", name="partner",
                 roleArns=[f"arn:aws:iam::{ACCOUNT}:role/web"], response={"profile": {"profileArn": PROFILE}}),
        ],
        "profile/p-1", ADMIN,
    ),
    "UpdateProfile": (
        [
            call("AttachRolePolicy", roleName="web", policyArn=ADMIN),
            call("CreateProfile", 1, source="rolesanywhere.amazonaws.com", name="partner", sessionPolicy=NARROW,
                 roleArns=[f"arn:aws:iam::{ACCOUNT}:role/web"], response={"profile": {"profileArn": PROFILE}}),
            call("UpdateProfile", 2, source="rolesanywhere.amazonaws.com", profileId="p-1", sessionPolicy=document("*")),
        ],
        "profile/p-1", ADMIN,
    ),
    "AddPermission": (
        [call("AddPermission20150331v2", source="lambda.amazonaws.com", functionName="job", principal="*",
              action="lambda:InvokeFunction", statementId="all")],
        "function:job", "resource-policy",
    ),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_every_door(door: str) -> None:
    """Whichever call grants it, the finding is about who holds it, and its subject is the document."""
    calls, entity, subject = DOORS[door]
    found = findings(calls, only=NAME)
    (last,) = [each for each in found if each.subject == subject and each.entity.arn.endswith(entity)]
    assert last.evidence[-1].event_name.startswith(door)
    assert last.status != "closed"
    assert last.seen["rules"]
    assert last.expected["fix"]


@pytest.mark.parametrize("door", DOORS)
def test_a_denied_try_is_low_changes_nothing_and_closes_by_itself(door: str) -> None:
    """The same call, denied: low, an incident; what it tried is not there afterwards."""
    calls, _, _ = DOORS[door]
    denied = {**calls[-1], "errorCode": "AccessDenied", "eventID": "denied"}
    *before, last = findings([*calls[:-1], denied], only=NAME, until=10)
    assert (last.severity, last.seen["is_denied"]) == ("low", True)
    allowed = findings([*calls[:-1], denied, {**calls[-1], "eventTime": "2024-05-01T09:20:00Z"}], only=NAME)
    (risen,) = [each for each in allowed if each.finding_id == last.finding_id]
    assert risen.evidence_count == last.evidence_count + 1
    assert not risen.seen["is_denied"]
    quiet = findings([*calls[:-1], denied], only=NAME, until=3 * 24 * 60)
    (closed,) = [each for each in quiet if each.finding_id == last.finding_id]
    assert closed.close_reason == "quiet" or before


RULES: dict[str, tuple[Json, Json, str]] = {  # what breaks it, a near miss, the severity
    "W1": (document("*"), document("*", "arn:aws:s3:::reports/*"), "critical"),
    "W2": (document("iam:*"), document("iam:*", f"arn:aws:iam::{ACCOUNT}:role/app-1"), "critical"),
    "W3": (document("i?m:*"), document("s3:Get*", "arn:aws:s3:::reports/*"), "high"),
    "W4": (document(None, NotAction="s3:*"), document("s3:GetObject", "arn:aws:s3:::r/*"), "critical"),
    "W5": (document("s3:PutObject", None, NotResource="arn:aws:s3:::secret/*"), document("s3:PutObject", "arn:aws:s3:::r/*"), "medium"),
    "W6": (document("iam:CreateAccessKey"), document("iam:ListUsers"), "high"),
    "W7": (
        document("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/*"),
        document("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/*", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        "high",
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_on_identities(rule: str) -> None:
    """Each rule through a door, and its near miss."""
    broken, fine, severity = RULES[rule]
    (found,) = findings([put(broken)], only=NAME)
    names = [each["rule"] for each in found.seen["rules"]]
    assert rule in names or (rule == "W3" and "W2" in names)
    assert found.severity == severity
    assert findings([put(fine)], only=NAME) == []


GITHUB = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
AUD = {"token.actions.githubusercontent.com:aud": "sts.amazonaws.com"}
SUB = "token.actions.githubusercontent.com:sub"
TRUSTS: dict[str, tuple[Json, Json]] = {
    "W8": (
        document("sts:AssumeRole", None, Principal={"AWS": "*"}),
        document("sts:AssumeRole", None, Principal={"AWS": "*"}, Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    ),
    "W9": (
        document("sts:AssumeRole", None, Principal={"AWS": "arn:aws:iam::999988887777:root"}),
        document("sts:AssumeRole", None, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
    ),
    "W10": (
        document("sts:AssumeRoleWithWebIdentity", None, Principal={"Federated": GITHUB}, Condition={"StringEquals": AUD}),
        document("sts:AssumeRoleWithWebIdentity", None, Principal={"Federated": GITHUB},
                 Condition={"StringEquals": {**AUD, SUB: "repo:org/shop:ref:refs/heads/main"}}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", TRUSTS)
def test_each_rule_on_trusts(rule: str) -> None:
    """Each rule on who may become a role, and its near miss."""
    broken, fine = TRUSTS[rule]
    (found,) = findings([call("UpdateAssumeRolePolicy", roleName="web", policyDocument=broken)], only=NAME)
    assert [each["rule"] for each in found.seen["rules"]] == [rule]
    assert found.subject == "trust"
    assert findings([call("UpdateAssumeRolePolicy", roleName="web", policyDocument=fine)], only=NAME) == []


def test_a_third_party_that_the_settings_trust_weighs_less() -> None:
    """Without ExternalId a stranger is high, a trusted third party medium; the organisation's own accounts are silent."""
    stranger = call("CreateRole", roleName="web", assumeRolePolicyDocument=TRUSTS["W9"][0])
    assert findings([stranger], only=NAME)[0].severity == "high"
    assert (
        findings([stranger], only=NAME, toml='[organisation.trusted_accounts]\n999988887777 = "vendor"')[0].severity
        == "medium"
    )
    assert findings([stranger], only=NAME, toml='[organisation.accounts.999988887777]\nname = "ours"') == []
    assert findings([stranger], only=NAME, toml='[organisation]\nmanagement_account = "999988887777"') == []
    seen = record("ListBuckets", user("anna"), -5, recipientAccountId="999988887777")
    assert findings([seen, stranger], only=NAME) == []


@pytest.mark.parametrize(
    "evasion",
    [
        document("*:*"),
        document("S3:*"),
        document("*:Get*"),
        document("i?m:*"),
        document("**"),
        document("s3:?*"),
        document("iam:PassRole", None, NotResource="arn:aws:iam::111122223333:role/admin"),
        document("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/*"),
        document("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/*"),
    ],
)
def test_evasions(evasion: Json) -> None:
    """However it is spelled, it is judged by what it matches."""
    assert len(findings([put(evasion)], only=NAME)) == 1


def test_escapes_in_json() -> None:
    r"""``\u002a`` is an asterisk."""
    text = json.dumps(document("s3:*")).replace("*", "\\u002a")
    assert len(findings([call("PutRolePolicy", roleName="web", policyName="p", policyDocument=text)], only=NAME)) == 1


def test_only_what_is_new() -> None:
    """A reformat, less, or the same again is silent; a lost condition is not."""
    again = {"Version": "2012-10-17", "Statement": document(["s3:*"], ["*"])["Statement"][0]}
    assert [each.evidence_count for each in findings([put(WIDE), put(again, 5), put(WIDE, 9)], only=NAME)] == [1]
    narrowed = document("s3:*", "*", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})
    found = findings([put(narrowed), put(WIDE, 5)], only=NAME)
    assert found[0].evidence[-1].event_time == "2024-05-01T09:05:00Z"


def test_it_closes_when_it_is_allowed_no_more() -> None:
    """Narrowed, deleted, detached, its holder deleted: resolved; granted again, the same finding opens."""
    for over in (
        put(NARROW, 5),
        call("DeleteRolePolicy", 5, roleName="web", policyName="inline"),
        call("DeleteRole", 5, roleName="web"),
    ):
        (found,) = findings([put(WIDE), over], only=NAME)
        assert (found.status, found.close_reason) == ("closed", "resolved")
        (again,) = findings([put(WIDE), over, put(WIDE, 9)], only=NAME)
        assert (again.status, again.opened_at) == ("updated", found.opened_at)
    attach = call("AttachRolePolicy", roleName="web", policyArn=ADMIN)
    (found,) = findings([attach, call("DetachRolePolicy", 5, roleName="web", policyArn=ADMIN)], only=NAME)
    assert found.close_reason == "resolved"


def test_a_change_to_a_shared_policy_is_one_finding() -> None:
    """A new version that widens forty roles is one finding, about the policy, with the number of them."""
    calls = [call("CreatePolicy", policyName="shared", path="/team/", policyDocument=NARROW)]
    calls += [call("AttachRolePolicy", 1 + n, roleName=f"role{n:02}", policyArn=CUSTOM) for n in range(40)]
    (found,) = findings(
        [*calls, call("CreatePolicyVersion", 60, policyArn=CUSTOM, policyDocument=WIDE, setAsDefault=True)], only=NAME
    )
    assert (found.affected_count, len(found.affected)) == (40, 10)
    assert (found.entity.type, found.severity) == ("policy", "high")


def test_what_nobody_holds_or_a_boundary_takes_away_is_latent() -> None:
    """A policy without holder, a version not in force, a grant outside the boundary: low."""
    made = call("CreatePolicy", policyName="shared", path="/team/", policyDocument=WIDE)
    assert [each.severity for each in findings([made], only=NAME)] == ["low"]
    edge = f"arn:aws:iam::{ACCOUNT}:policy/edge"
    bound = [
        call("CreatePolicy", policyName="edge", policyDocument=document("ec2:DescribeInstances")),
        call("CreateRole", 1, roleName="web", permissionsBoundary=edge),
        put(WIDE, 2),
    ]
    assert [each.severity for each in findings(bound, only=NAME) if each.entity.type == "role"] == ["low"]


def test_a_policy_used_as_a_boundary_grants_nothing() -> None:
    """A wide boundary is what boundaries are."""
    edge = f"arn:aws:iam::{ACCOUNT}:policy/edge"
    calls = [
        call("CreatePolicy", policyName="edge", policyDocument=NARROW),
        call("CreateRole", 1, roleName="web", permissionsBoundary=edge),
        call("CreatePolicyVersion", 2, policyArn=edge, policyDocument=document("*"), setAsDefault=True),
    ]
    assert findings(calls, only=NAME) == []


def test_the_baseline_says_what_was_not_known() -> None:
    """A holder that the trail did not make has baseline none; one made in it is as old as the trail."""
    (unknown,) = findings([record("ListBuckets", user("x"), -30 * 24 * 60), put(WIDE)], only=NAME)
    assert unknown.baseline.maturity == "none"
    (known,) = findings(
        [record("ListBuckets", user("x"), -30 * 24 * 60), call("CreateRole", roleName="web"), put(WIDE, 1)], only=NAME
    )
    assert known.baseline.maturity == "mature"


def test_who_granted_it() -> None:
    """The actor is who made the call; a cross-account session leads back through its lineage."""
    assumed = record(
        "AssumeRole", user("anna", account=OTHER_ACCOUNT), 0, eventSource="sts.amazonaws.com",
        requestParameters={"roleArn": f"arn:aws:iam::{ACCOUNT}:role/admin", "roleSessionName": "x"},
    )  # fmt: skip
    grant = call("PutRolePolicy", 5, by=role("admin", "x"), roleName="web", policyName="p", policyDocument=WIDE)
    (found,) = findings([assumed, grant], only=NAME)
    assert found.actor.origin == f"arn:aws:iam::{OTHER_ACCOUNT}:user/anna"


@pytest.mark.parametrize(
    "odd",
    [
        "HIDDEN_DUE_TO_SECURITY_REASONS",
        "***",
        "",
        "{",
        "[]",
        "7",
        '{"Statement": "x"}',
        "x" * 70_000,
        '{"Statement":[' * 5_000,
    ],
)
def test_odd_documents_are_no_crash(odd: str) -> None:
    """What cannot be read makes no finding and no fault."""
    assert findings([call("PutRolePolicy", roleName="web", policyName="p", policyDocument=odd)], only=NAME) == []


def test_state_goes_on_after_a_round_trip() -> None:
    """The rows of the graph survive being stored."""
    first, second = Engine(rules(only=NAME)), Engine(rules(only=NAME))
    first.feed(events_of([put(WIDE)]))
    second.restore(list(first.changes()))
    second.feed(events_of([put(NARROW, 5)]))
    assert [each.close_reason for each in second.findings()] == ["resolved"]
    assert list(run([put(WIDE)]).changes())


def test_an_assignment_counts_in_each_account() -> None:
    """The same set for the same group in another account is new there; taken back, it closes; a user needs no group."""
    attach = call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN)
    twice = findings([attach, assignment(1), assignment(2, OTHER_ACCOUNT), assignment(3)], only=NAME)
    (group,) = [each for each in twice if each.entity.arn == "arn:aws:identitystore:::group/g-1"]
    assert (group.entity.type, group.evidence_count, group.severity) == ("group", 2, "critical")
    over = findings([attach, assignment(1), assignment(5, name="DeleteAccountAssignment")], only=NAME)
    assert [each.status for each in over if each.entity.type == "group"] == ["closed"]
    (person,) = [
        each
        for each in findings([attach, assignment(1, principalType="USER", principalId="u-1")], only=NAME)
        if each.entity.type == "identity-center-user"
    ]
    assert person.entity.arn == "arn:aws:identitystore:::user/u-1"


def test_what_a_set_newly_allows_affects_whom_it_is_assigned_to() -> None:
    """A set that widens is one finding, with the groups and users that have it."""
    calls = [
        assignment(), assignment(1, principalType="USER", principalId="u-1"),
        call("PutInlinePolicyToPermissionSet", 2, SSO, permissionSetArn=SET, inlinePolicy=WIDE),
    ]  # fmt: skip
    (found,) = findings(calls, only=NAME)
    assert (found.entity.type, found.affected_count) == ("permission-set", 2)


def test_a_membership_that_ends_is_known_by_its_id() -> None:
    """DeleteGroupMembership names the membership alone; RemoveMemberFromGroup both ends."""
    calls = [
        call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN),
        assignment(1),
    ]
    store, directory = "identitystore.amazonaws.com", "sso-directory.amazonaws.com"
    joins = call(
        "CreateGroupMembership", 2, store, groupId="g-1", memberId={"userId": "u-1"}, response={"membershipId": "m-1"}
    )
    for leaves in (
        call("DeleteGroupMembership", 9, store, membershipId="m-1"),
        call("RemoveMemberFromGroup", 9, directory, groupId="g-1", member={"memberId": "u-1"}),
    ):
        found = findings([*calls, joins, leaves], only=NAME)
        assert [each.status for each in found if each.entity.type == "identity-center-user"] == ["closed"]
    assert findings([call("DeleteGroupMembership", 9, store, membershipId="m-9")], only=NAME) == []


def test_what_identity_center_writes_belongs_to_the_change_that_caused_it() -> None:
    """The role that it makes in an account for a set is no finding of its own; one of the same name by hand is."""
    attach = call("AttachRolePolicy", roleName="AWSReservedSSO_Admin_0123456789abcdef", policyArn=ADMIN)
    by_it = {**attach, "userIdentity": {**role("admin", "x"), "invokedBy": SSO}}
    linked = {
        **attach,
        "userIdentity": role("AWSServiceRoleForSSO", "SSO", path="/aws-service-role/sso.amazonaws.com/"),
    }
    assert findings([by_it], only=NAME) == findings([linked], only=NAME) == []
    assert len(findings([attach], only=NAME)) == 1


@pytest.mark.parametrize(
    ("name", "by", "is_by_aws"),
    [
        ("OrganizationAccountAccessRole", service("organizations.amazonaws.com"), True),
        ("stacksets-exec-0a1b", role("AWSServiceRoleForCloudFormationStackSetsOrgMember", "AWSCloudFormation", path="/aws-service-role/member.org.stacksets.cloudformation.amazonaws.com/"), True),
        ("aws-controltower-AdministratorExecutionRole", {**role("AWSControlTowerExecution", "AWSCloudFormation"), "invokedBy": "cloudformation.amazonaws.com"}, True),
        ("aws-controltower-AdministratorExecutionRole", role("AWSControlTowerExecution", "mallory"), False),
        ("aws-controltower-AdministratorExecutionRole", {**role("deploy", "mallory"), "invokedBy": "cloudformation.amazonaws.com"}, False),
        ("web", {**role("AWSControlTowerExecution", "AWSCloudFormation"), "invokedBy": "cloudformation.amazonaws.com"}, False),
        ("web", {**role("stacksets-exec-0a1b", "AWSCloudFormation"), "invokedBy": "cloudformation.amazonaws.com"}, False),
    ],
)  # fmt: skip
def test_what_aws_itself_writes_belongs_to_the_change_that_caused_it(name: str, by: Json, is_by_aws: bool) -> None:
    """A new account's role, a stack set's own, Control Tower's; what a stack deploys, or anybody else writes, is judged."""
    attach = {**call("AttachRolePolicy", roleName=name, policyArn=ADMIN), "userIdentity": by}
    assert bool(findings([attach], only=NAME)) is not is_by_aws
    assert bool(findings([attach], only="admin-granted")) is not is_by_aws


@pytest.mark.parametrize(
    "harmless",
    [
        cluster("AmazonEKSViewPolicy"),
        cluster("AmazonEKSClusterAdminPolicy", type="namespace", namespaces=["shop"]),
        call("CreateGrant", source="kms.amazonaws.com", keyId="1234", granteePrincipal="rds.eu-west-1.amazonaws.com"),
        call("CreateGrant", source="kms.amazonaws.com", keyId="1", granteePrincipal=f"arn:aws:iam::{ACCOUNT}:role/x"),
        call("CreateProfile", source="rolesanywhere.amazonaws.com", name="p", roleArns=[f"arn:aws:iam::{ACCOUNT}:role/x"]),
        call("AddMemberToGroup", source="sso-directory.amazonaws.com", groupId="g-1", member={"memberId": "u-1"}),
        assignment(),
        assignment(principalType="GROUP", principalId=7),
    ],
)  # fmt: skip
def test_doors_that_grant_nothing_wide(harmless: Json) -> None:
    """A viewer, an administrator of one namespace, a service's or an own grant, a profile or group that holds nothing."""
    assert findings([harmless], only=NAME) == []


def test_a_grant_that_is_retired_closes() -> None:
    """RevokeGrant names key and grant, RetireGrant perhaps the grant alone."""
    (made, *_), entity, _ = DOORS["CreateGrant"]
    for over in (
        call("RevokeGrant", 9, "kms.amazonaws.com", keyId="1234", grantId="abc"),
        record("RetireGrant", user("erin"), 9, eventSource="kms.amazonaws.com", additionalEventData={"grantId": "abc"}),
    ):
        (found,) = findings([made, over], only=NAME)
        assert found.entity.arn.endswith(entity)
        assert (found.status, found.severity) == ("closed", "high")


def test_a_session_policy_narrows_a_profile() -> None:
    """A profile whose sessions are narrowed to little grants no more than that, whatever its role holds."""
    calls = DOORS["UpdateProfile"][0][:2]
    assert [each.entity.type for each in findings(calls, only=NAME)] == ["role"]


def test_an_access_policy_that_is_taken_back_closes() -> None:
    """Disassociated, or with the whole access entry."""
    for over in (
        cluster("AmazonEKSClusterAdminPolicy", 9, "Disassociate"),
        call("DeleteAccessEntry", 9, "eks.amazonaws.com", name="prod", principalArn=f"arn:aws:iam::{ACCOUNT}:role/web"),
    ):
        (found,) = findings([cluster("AmazonEKSClusterAdminPolicy"), over], only=NAME)
        assert (found.status, found.severity) == ("closed", "high")


@pytest.mark.parametrize(
    ("policy", "severity"),
    [
        ("service-role/AWSLambdaBasicExecutionRole", "low"),  # W6 of writes: medium in a policy of one's own
        ("service-role/AWSBackupServiceRolePolicyForBackup", "low"),  # W6 of permissions management
        ("AdministratorAccess-Amplify", "high"),  # of IAM's
        ("SecurityAudit", "low"),
        ("ReadOnlyAccess", "low"),
        ("AmazonS3FullAccess", "high"),  # a whole service is one, whoever wrote it
        ("PowerUserAccess", "high"),
        ("IAMFullAccess", "critical"),
    ],
)
def test_what_aws_wrote_weighs_less_action_by_action(policy: str, severity: str) -> None:
    """Nobody can name resources in a policy that AWS manages: each new function would be as loud as a real mistake."""
    attach = call("AttachRolePolicy", roleName="web", policyArn=f"arn:aws:iam::aws:policy/{policy}")
    (found,) = findings([attach], only=NAME)
    assert found.severity == severity


def test_a_policy_of_ones_own_weighs_what_it_weighs() -> None:
    """Also under a name that looks like AWS's."""
    logs = document(["logs:CreateLogGroup", "logs:PutLogEvents"])
    (found,) = findings([put(logs)], only=NAME)
    assert found.severity == "medium"
    arn = f"arn:aws:iam::{ACCOUNT}:policy/arn:aws:iam::aws:policy/mine"
    made = call("CreatePolicy", policyName="mine", policyDocument=logs, response={"policy": {"arn": arn}})
    held = findings([made, call("AttachRolePolicy", 5, roleName="web", policyArn=arn)], only=NAME)
    assert [each.severity for each in held if each.entity.type == "role"] == ["medium"]


PUBLIC = {"Principal": "*"}
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:export"


def permission(name: str) -> Json:
    """Let anybody call a function."""
    return call(
        "AddPermission20150331v2", source="lambda.amazonaws.com", functionName=name, principal="*", statementId="x"
    )


@pytest.mark.parametrize(
    ("grant", "gone", "is_gone"),
    [
        (call("PutBucketPolicy", source="s3.amazonaws.com", bucketName="b", bucketPolicy=document(**PUBLIC)), call("DeleteBucket", 5, "s3.amazonaws.com", bucketName="b"), True),
        (call("PutBucketPolicy", source="s3.amazonaws.com", bucketName="b", bucketPolicy=document(**PUBLIC)), call("DeleteBucket", 5, "s3.amazonaws.com", bucketName="c"), False),
        (call("AttachManagedPolicyToPermissionSet", source=SSO, permissionSetArn=SET, managedPolicyArn=ADMIN), call("DeletePermissionSet", 5, SSO, permissionSetArn=SET), True),
        (permission("export"), call("DeleteFunction20150331", 5, "lambda.amazonaws.com", functionName=FUNCTION), True),
        (permission("export"), call("DeleteFunction20150331", 5, "lambda.amazonaws.com", functionName="export", qualifier="1"), False),
        (permission("export"), call("RemovePermission20150331v2", 5, "lambda.amazonaws.com", functionName=f"{ACCOUNT}:function:export", statementId="x"), True),
        (permission(FUNCTION), call("RemovePermission20150331v2", 5, "lambda.amazonaws.com", functionName="export", statementId="y"), False),
    ],
)  # fmt: skip
def test_what_goes_takes_its_grants_along(grant: Json, gone: Json, is_gone: bool) -> None:
    """A bucket, function or permission set that is deleted; whichever way it is named."""
    (found,) = findings([grant, gone], only=NAME)
    assert (found.close_reason == "resolved") is is_gone


@pytest.mark.parametrize(
    ("subject", "is_wide"),
    [
        ("repo:shop/*", True),
        ("repo:shop/export:*", False),
        ("organization:shop:*", True),
        ("organization:shop:project:*:workspace:*:run_phase:*", True),
        ("organization:shop:project:web:workspace:*:run_phase:*", False),
        ("organization:shop:pipeline:*", True),
        ("organization:shop:pipeline:export:*", False),
        ("org/0a1b/project/*/user/*", True),
        ("org/0a1b/project/2c3d/user/*", False),
        ("system:serviceaccount:*:*", True),
        ("system:serviceaccount:shop:*", False),
    ],
)
def test_a_subject_that_names_an_organisation_alone(subject: str, is_wide: bool) -> None:
    """W10, whoever the provider is: GitHub, Terraform Cloud, Buildkite, CircleCI, EKS."""
    trust = document(
        "sts:AssumeRoleWithWebIdentity",
        None,
        Principal={"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/ci.example.com"},
        Condition={"StringLike": {"ci.example.com:sub": subject}},
    )
    made = call("CreateRole", roleName="ci", assumeRolePolicyDocument=trust)
    assert bool(findings([made], only=NAME)) is is_wide


def test_of_a_policy_from_before_the_trail_nobody_knows_who_holds_it() -> None:
    """A new version of it weighs what it weighs, with no baseline; of one made in the trail it is known that nobody does."""
    wide = call("CreatePolicyVersion", 5, policyArn=CUSTOM, policyDocument=document("*"), setAsDefault="true")
    (found,) = findings([wide], only=NAME)
    assert (found.severity, found.entity.type, found.baseline.maturity) == ("critical", "policy", "none")
    made = call("CreatePolicy", policyName="shared", path="/team/", policyDocument=NARROW)
    assert [each.severity for each in findings([made, wide], only=NAME)] == ["low"]
    latent = call("CreatePolicyVersion", 5, policyArn=CUSTOM, policyDocument=document("*"), setAsDefault="false")
    assert [each.severity for each in findings([latent], only=NAME)] == ["low"]


@pytest.mark.parametrize(
    ("policy", "is_chain"), [("service-role/AWSLambdaBasicExecutionRole", False), ("AmazonS3FullAccess", True)]
)
def test_a_low_grant_is_no_stage_of_an_intrusion(policy: str, is_chain: bool) -> None:
    """An administrator sets up a colleague and a function's role: that is a day's work, unless the grant is wide."""
    admin = role("AWSReservedSSO_Admin_0123456789abcdef", "anna@example.com")
    lists = [record(f"List{n}", admin, 9 + n / 10, eventSource=f"s{n % 7}.amazonaws.com") for n in range(40)]
    calls = [
        call("CreateLoginProfile", 1, by=admin, userName="erin"),
        call("AttachRolePolicy", 2, by=admin, roleName="web", policyArn=f"arn:aws:iam::aws:policy/{policy}"),
    ]
    found = {each.detector for each in findings([*calls, *lists])}
    assert {"login-profile-for-another", NAME, "recon-burst"} <= found
    assert ("attack-chain" in found) is is_chain
