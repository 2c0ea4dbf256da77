"""Ways up: each is found where all its permissions are held as it needs them, and not beside it."""

from __future__ import annotations

from typing import Any

import pytest

from models.grants.actions import find
from models.grants.allowed import Holding
from models.grants.document import parse
from models.grants.escalation import WAYS, escalations
from tests.models.grants.evaluator import Json
from tests.models.grants.test_wildcards import allow, deny, document

USERS = "arn:aws:iam::111122223333:user"


def ways(*statements: Json, boundary: Json | None = None) -> list[str]:
    """List the ways up that one document opens."""
    return [
        each.rule
        for each in escalations(Holding((parse(document(*statements)),), parse(boundary) if boundary else None))
    ]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "+".join(way.permissions))
def test_each_way_is_found_whole_and_not_in_part(way: Any) -> None:
    """With all its permissions a way, or a shorter one within it, is open; with one less it is not."""
    opened = ways(allow(list(way.permissions)))
    spelled = {each.removeprefix("privesc:") for each in opened}
    assert any(set(each.lower().split("+")) <= {p.lower() for p in way.permissions} for each in spelled)
    for left_out in way.permissions:
        rest = [each for each in way.permissions if each != left_out]
        whole = "privesc:" + "+".join(way.permissions)
        assert whole.lower() not in {each.lower() for each in (ways(allow(rest)) if rest else [])}


def test_permissions_exist() -> None:
    """Every permission of every way is an action that AWS has, or had (CodeStar ended in 2024)."""
    missing = {each for way in WAYS for each in way.permissions if find(each) is None}
    assert all(each.startswith(("codestar:", "datapipeline:")) for each in missing)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow("iam:CreateAccessKey", f"{USERS}/*")], ["privesc:iam:CreateAccessKey"]),
        ([allow("IAM:createaccess*")], ["privesc:iam:CreateAccessKey"]),
        ([allow("iam:CreateAccessKey", "arn:aws:iam::*:user/${aws:username}")], []),
        ([allow("iam:CreateAccessKey", f"{USERS}/app")], []),
        ([allow("iam:CreateAccessKey"), deny("iam:*AccessKey")], []),
        ([allow("iam:CreatePolicyVersion", "arn:aws:iam::111122223333:policy/*")], ["privesc:iam:CreatePolicyVersion"]),
        ([allow("iam:PassRole"), allow("ec2:RunInstances", "arn:aws:ec2:*:*:instance/*")], ["privesc:iam:PassRole+ec2:RunInstances"]),
        ([allow("iam:PassRole", "arn:aws:iam::111122223333:role/app"), allow("ec2:RunInstances")], []),
        ([allow("iam:PassRole", StringEquals={"iam:PassedToService": "ec2.amazonaws.com"}), allow("ec2:RunInstances")], ["privesc:iam:PassRole+ec2:RunInstances"]),
        ([allow("iam:PassRole", StringEquals={"iam:PassedToService": "ecs-tasks.amazonaws.com"}), allow("ec2:RunInstances")], []),
        ([{"Effect": "Allow", "Action": "iam:PassRole", "NotResource": "arn:aws:iam::1:role/x"}, allow("ec2:RunInstances")], ["privesc:iam:PassRole+ec2:RunInstances"]),
        ([allow(["iam:PassRole", "lambda:CreateFunction"])], []),
        ([allow("lambda:UpdateFunctionCode", "arn:aws:lambda:eu-west-1:111122223333:function:app-*")], []),
        ([allow("ec2:RunInstances")], []),
        ([allow("*")], []),
    ],
)  # fmt: skip
def test_ways_and_near_misses(statements: list[Json], expected: list[str]) -> None:
    """Resources, conditions and Denies close a way; holding everything leaves nowhere to go."""
    assert ways(*statements) == expected


def test_a_boundary_closes_a_way() -> None:
    """What the boundary does not allow opens nothing."""
    assert ways(allow("iam:*"), boundary=document(allow("s3:*"))) == []
    assert ways(allow("iam:*"), boundary=document(allow("iam:Create*"))) != []


def test_permissions_of_several_documents_join() -> None:
    """The pieces of a way may lie in several documents; the finding points at the one that completes it."""
    (way,) = escalations(Holding((parse(document(allow("iam:PassRole"))), parse(document(allow("ec2:RunInstances"))))))
    assert (way.rule, way.policy, way.pointer) == ("privesc:iam:PassRole+ec2:RunInstances", 1, "/Statement/0")
    assert way.actions == ("iam:PassRole", "ec2:RunInstances")
