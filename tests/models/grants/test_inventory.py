"""The inventory: the first day is not blind, and what the trail itself makes is not taken for old."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from models.engine import Engine
from models.finding import Finding
from models.grants.inventory import is_inventory, read_inventory
from models.record import epoch
from tests.models.detectors.grants.test_wildcard_grant import ADMIN, CUSTOM, NARROW, WIDE, call, document, put
from tests.records import ACCOUNT, Json, events_of, raise_fault, record, role, rules, time

EARLY, LATE = "2023-01-01T00:00:00+00:00", "2024-05-01T12:00:00+00:00"
LAMBDA_TRUST = document("sts:AssumeRole", None, Principal={"Service": "lambda.amazonaws.com"})


def a_role(name: str, *, made: str = EARLY, **fields: Any) -> Json:
    """Write one entry of RoleDetailList, documents URL-encoded or as objects, as they come."""
    return {
        "Path": "/", "RoleName": name, "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "CreateDate": made,
        "AssumeRolePolicyDocument": LAMBDA_TRUST, "RolePolicyList": [], "AttachedManagedPolicies": [], **fields,
    }  # fmt: skip


def attached(arn: str) -> list[Json]:
    """Write AttachedManagedPolicies."""
    return [{"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn}]


def shared(*versions: tuple[str, Json, str], default: str = "v1") -> Json:
    """Write one entry of Policies."""
    return {
        "PolicyName": "shared", "Arn": CUSTOM, "CreateDate": EARLY, "DefaultVersionId": default,
        "PolicyVersionList": [
            {"VersionId": name, "Document": quote(json.dumps(doc)), "CreateDate": at, "IsDefaultVersion": name == default}
            for name, doc, at in versions
        ],
    }  # fmt: skip


def answer(**lists: list[Json]) -> Json:
    """Write an answer of GetAccountAuthorizationDetails."""
    return {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": [], **lists}


def seeded(
    inventory: Json, records: list[Json], only: str = "wildcard-grant", holds_at: str = time(0)
) -> list[Finding]:
    """Run records after an inventory."""
    engine = Engine(rules(only=only), on_fault=raise_fault)
    for each in read_inventory(inventory, epoch(holds_at)):
        engine.seed(each)
    events = events_of(records)
    engine.feed(events)
    engine.tick(events[-1].at)
    return engine.findings()


def test_what_was_there_is_not_new() -> None:
    """A role that held it already is given nothing by writing it again; a role that did not, is."""
    inventory = answer(RoleDetailList=[a_role("web", RolePolicyList=[{"PolicyName": "old", "PolicyDocument": WIDE}])])
    assert seeded(inventory, [call("PutRolePolicy", roleName="web", policyName="more", policyDocument=WIDE)]) == []
    assert len(seeded(answer(), [call("PutRolePolicy", roleName="web", policyName="more", policyDocument=WIDE)])) == 1


def test_what_the_trail_itself_makes_is_new() -> None:
    """An inventory taken after the trail has everything: what the trail attaches or writes was not there before."""
    roles = [
        a_role(
            "web",
            AttachedManagedPolicies=attached(ADMIN),
            RolePolicyList=[{"PolicyName": "inline", "PolicyDocument": WIDE}],
        )
    ]
    attach = call("AttachRolePolicy", roleName="web", policyArn=ADMIN)
    assert [each.subject for each in seeded(answer(RoleDetailList=roles), [attach])] == [ADMIN]
    assert [each.entity.arn for each in seeded(answer(RoleDetailList=roles), [attach], "admin-granted")] == [
        f"arn:aws:iam::{ACCOUNT}:role/web"
    ]
    only_inline = [a_role("web", RolePolicyList=[{"PolicyName": "inline", "PolicyDocument": WIDE}])]
    assert [each.subject for each in seeded(answer(RoleDetailList=only_inline), [put(WIDE)])] == ["inline"]


def test_what_was_made_later_is_left_out() -> None:
    """A role, a policy version made after the instant is not there yet."""
    late = a_role("web", made=LATE, RolePolicyList=[{"PolicyName": "old", "PolicyDocument": WIDE}])
    assert len(seeded(answer(RoleDetailList=[late]), [put(WIDE)])) == 1
    policy = shared(("v1", NARROW, EARLY), ("v2", WIDE, LATE), default="v2")
    holder = a_role("web", AttachedManagedPolicies=attached(CUSTOM))
    widened = call("CreatePolicyVersion", policyArn=CUSTOM, policyDocument=WIDE, setAsDefault=True)
    (found,) = seeded(answer(Policies=[policy], RoleDetailList=[holder]), [widened])
    assert (found.affected, found.severity) == ([f"arn:aws:iam::{ACCOUNT}:role/web"], "high")


def test_groups_and_boundaries_are_known() -> None:
    """A member of a group holds its policies; a boundary that the inventory names is taken off."""
    group = {
        "GroupName": "devs",
        "Arn": f"arn:aws:iam::{ACCOUNT}:group/devs",
        "CreateDate": EARLY,
        "GroupPolicyList": [{"PolicyName": "g", "PolicyDocument": WIDE}],
    }
    member = {
        "UserName": "erin",
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/team/erin",
        "CreateDate": EARLY,
        "GroupList": ["devs"],
    }
    more = call("PutUserPolicy", userName="erin", policyName="p", policyDocument=WIDE)
    assert seeded(answer(GroupDetailList=[group], UserDetailList=[member]), [more]) == []
    bounded = a_role("web", PermissionsBoundary={"PermissionsBoundaryArn": CUSTOM})
    (found,) = seeded(
        answer(RoleDetailList=[bounded], Policies=[shared(("v1", NARROW, EARLY))]), [put(document("iam:*"))]
    )
    assert found.severity == "low"


def test_trusts_tell_machines_from_the_first_day() -> None:
    """A role that only a service may assume is a machine's, before it has acted once."""
    visit = record("ListBuckets", role("web", "visitor"), 5, sessionCredentialFromConsole="true")
    assert len(seeded(answer(RoleDetailList=[a_role("web")]), [visit], "machine-role-console")) == 1
    assert seeded(answer(), [visit], "machine-role-console") == []


def test_it_is_told_by_content_and_odd_entries_are_named() -> None:
    """Anything else is no inventory; an entry without an ARN is left out by its place."""
    assert is_inventory(answer())
    assert not is_inventory({"Version": "2012-10-17"})
    assert not is_inventory([])
    (found,) = read_inventory(answer(RoleDetailList=[{"RoleName": "x"}, a_role("web"), 7]), None)  # type: ignore[list-item]
    assert found.unreadable == ("/RoleDetailList/0", "/RoleDetailList/2")
    assert list(found.rows) == [f"arn:aws:iam::{ACCOUNT}:role/web"]
