"""grant-outside-pipeline: a person writes IAM by hand where code always did; not code, not where people always wrote."""

from __future__ import annotations

import pytest

from tests.models.detectors.grants.test_wildcard_grant import NARROW, call
from tests.records import CHROME, Json, findings, role, user

NAME = "grant-outside-pipeline"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.8.2 (+https://www.terraform.io) terraform-provider-aws/5.48.0"
CLI = "aws-cli/2.15.30 md/awscrt#0.20.5 ua/2.0 os/linux#6.1 md/arch#x86_64"


def write(minutes: float, agent: str, by: Json, **fields: object) -> Json:
    """Make an IAM write."""
    made = call("PutRolePolicy", minutes, by=by, roleName=f"role{minutes}", policyName="p", policyDocument=NARROW)
    return {**made, "userAgent": agent, **fields}


CODE = [write(n, TERRAFORM, role("deploy", "run")) for n in range(10)]
POSITIVE = [*CODE, write(60, CLI, role("admin", "anna@example.com"))]
NEAR_MISS = [
    *CODE,
    write(60, TERRAFORM, role("admin", "anna@example.com")),
    write(61, CLI, {**role("admin", "anna@example.com"), "invokedBy": "cloudformation.amazonaws.com"}),
    write(62, CLI, role("admin", "anna@example.com"), errorCode="AccessDenied"),
    write(63, "Boto3/1.34.0", role("deploy", "run")),
]


@pytest.mark.parametrize(
    ("agent", "fields"), [(CLI, {}), (CHROME, {"sessionCredentialFromConsole": "true"}), ("console.amazonaws.com", {})]
)
def test_by_hand(agent: str, fields: Json) -> None:
    """By the CLI or in the console: about the entity changed, one per session of who did it."""
    (found,) = findings([*CODE, write(60, agent, role("admin", "x"), **fields)], only=NAME)
    assert (found.severity, found.entity.arn.endswith("role/role60")) == ("low", True)
    assert found.expected["writes_as_code"] == 10


def test_where_nobody_expects_code() -> None:
    """An account with little code, or where people write as well, says nothing."""
    hand = [write(100 + n, CLI, user("erin")) for n in range(10)]
    assert findings([*CODE[:2], *hand], only=NAME) == []
    assert len(findings([*hand, *CODE, write(300, CLI, user("erin"))], only=NAME)) <= 2
    assert (
        findings(
            [*(write(-50 + n, CLI, user("erin")) for n in range(10)), *CODE, write(300, CLI, user("erin"))], only=NAME
        )
        == []
    )


def test_code_that_writes_roles_says_nothing_of_users() -> None:
    """Whoever puts a new colleague into a group does what nobody ever did by code here; where code does, it is told."""
    joins = {**call("AddUserToGroup", 60, by=role("admin", "x"), userName="erin", groupName="dev"), "userAgent": CLI}
    assert findings([*CODE, joins], only=NAME) == []
    rights = {
        **call("PutUserPolicy", 60, by=role("admin", "x"), userName="erin", policyName="p", policyDocument=NARROW),
        "userAgent": CLI,
    }
    assert len(findings([*CODE, rights], only=NAME)) == 1  # but rights given by hand are told, whoever gets them
    others = [call("AddUserToGroup", 20 + n, userName=f"user{n}", groupName="dev") for n in range(10)]
    (found,) = findings([*CODE, *({**each, "userAgent": TERRAFORM} for each in others), joins], only=NAME)
    assert found.entity.arn.endswith("user/erin")


def test_a_known_pipeline_is_code() -> None:
    """A role that the settings call a pipeline may use any client."""
    toml = '[pipelines]\nroles = ["*:role/deploy"]'
    assert findings([*CODE, write(60, CLI, role("deploy", "run"))], only=NAME, toml=toml) == []


def test_an_entity_that_code_always_wrote() -> None:
    """In an account where people write as well, a role that only code ever wrote is still code's."""
    hand = [write(200 + n, CLI, user("erin")) for n in range(20)]
    own = [{**each, "requestParameters": CODE[0]["requestParameters"]} for each in CODE[:4]]
    touched = {**write(300, CLI, user("erin")), "requestParameters": CODE[0]["requestParameters"]}
    (found,) = [each for each in findings([*own, *hand, touched], only=NAME) if each.entity.arn.endswith("role/role0")]
    assert found.expected["writes_as_code"] == 4
