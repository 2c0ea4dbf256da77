"""recon-burst: looking around, against the entity's own past; never a service, a console page, a known scanner."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import Json, findings, record, role, service, user

NAME = "recon-burst"
DAY = 24 * 60
CLI = "aws-cli/2.17.32 md/awscrt#0.21.2 ua/2.0 os/linux#6.8.0 md/arch#x86_64 lang/python#3.11.9"
CALLS = [
    (source, f"{verb}{thing}")
    for verb in ("List", "Describe")
    for source, thing in (
        ("ec2", "Instances"), ("ec2", "Vpcs"), ("rds", "DBInstances"), ("lambda", "Functions"), ("s3", "Buckets"),
        ("iam", "Users"), ("iam", "Roles"), ("kms", "Keys"), ("ssm", "Parameters"), ("ecs", "Clusters"),
        ("sns", "Topics"), ("sqs", "Queues"), ("dynamodb", "Tables"),
    )
]  # fmt: skip


def asked(count: int, by: Json, minutes: float = 0, gap: float = 0.05, **fields: Any) -> list[Json]:
    """Ask for so many different things, one after another."""
    return [
        record(name, by, minutes + n * gap, **{"eventSource": f"{source}.amazonaws.com", "userAgent": CLI, **fields})
        for n, (source, name) in enumerate(CALLS[:count])
    ]


def denied(count: int, by: Json, minutes: float = 0, gap: float = 0.05, **fields: Any) -> list[Json]:
    """Ask for so many different things, and be refused."""
    return asked(count, by, minutes, gap, **{"errorCode": "AccessDenied", **fields})


def one_over_many(
    count: int, by: Json, minutes: float = 0, *, name: str = "GetPasswordData", of: str = "ec2"
) -> list[Json]:
    """Ask one thing of many resources, and be refused."""
    return [
        record(name, by, minutes + n * 0.05, eventSource=f"{of}.amazonaws.com", errorCode="Client.UnauthorizedOperation",
               errorMessage=f"You are not authorized to perform this operation. User: somebody is not authorized to perform: {of}:{name} "
                            f"on resource: arn:aws:{of}:eu-west-1:111122223333:instance/i-{n:017x} because no identity-based policy allows it")
        for n in range(count)
    ]  # fmt: skip


def roles_tried(count: int, by: Json, minutes: float = 0) -> list[Json]:
    """Try to assume so many roles, by guessed names."""
    return [
        record("AssumeRole", by, minutes + n * 0.05, eventSource="sts.amazonaws.com", errorCode="AccessDenied",
               errorMessage=f"User: somebody is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/guess{n}")
        for n in range(count)
    ]  # fmt: skip


ROBOT, ERIN = role("batch", "task-1"), role("AWSReservedSSO_Dev_0123456789abcdef", "erin@example.com")
READ_ALL: Json = {"eventSource": "iam.amazonaws.com"}
POSITIVE = denied(12, ROBOT)
NEAR_MISS = [
    *denied(9, role("other", "task-1")),
    *denied(20, role("slow", "task-1"), gap=2),
    *[record("GetObject", role("broken", "task-1"), n / 60, errorCode="AccessDenied") for n in range(100)],
    *denied(20, service("delivery.logs.amazonaws.com")),
    *denied(20, {**role("batch", "task-2"), "invokedBy": "athena.amazonaws.com"}),
    *asked(19, user("erin")),
]


def test_many_denied() -> None:
    """Ten different calls denied within ten minutes: medium, from the tenth on, about the session."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.evidence_count, found.opened_at) == ("medium", 3, "2024-05-01T09:00:27Z")
    assert found.subject == "task-1@2024-05-01T09:00:00Z"


@pytest.mark.parametrize(
    ("trail", "count"),
    [
        (one_over_many(30, ROBOT), 16),
        (one_over_many(14, ROBOT), 0),
        (roles_tried(8, ROBOT), 4),
        (roles_tried(4, ROBOT), 0),
        (asked(22, ROBOT), 3),
        ([record("GetAccountAuthorizationDetails", ROBOT, **READ_ALL)], 1),
    ],
)
def test_each_way_to_look(trail: list[Json], count: int) -> None:
    """One call over many resources, role names, lists, all of IAM: each is found from its threshold on."""
    assert [each.evidence_count for each in findings(trail, only=NAME)] == [count] * bool(count)


def test_lists_are_low_until_it_is_known_what_is_usual() -> None:
    """On a trail's first day everything is new: low. Later it is medium."""
    quiet = [record("GetObject", role("other", "task-9"), n * 60) for n in range(30)]
    assert [each.severity for each in findings(asked(22, ROBOT), only=NAME)] == ["low"]
    assert [each.severity for each in findings([*quiet, *asked(22, ROBOT, 2 * DAY)], only=NAME)] == ["medium"]


def test_what_it_always_did_is_no_news() -> None:
    """A daily inventory is found on its first day alone; a job denied each day likewise, unless it is far more."""
    daily = [each for day in range(4) for each in asked(22, ROBOT, day * DAY)]
    assert [each.opened_at[:10] for each in findings(daily, only=NAME)] == ["2024-05-01"]
    broken = [each for day in range(4) for each in denied(11, ROBOT, day * DAY)]
    assert [each.opened_at[:10] for each in findings(broken, only=NAME)] == ["2024-05-01"]
    assert len(findings([*broken, *denied(26, ROBOT, 5 * DAY)], only=NAME)) == 2
    again = [record("GetAccountAuthorizationDetails", ROBOT, day * DAY, **READ_ALL) for day in range(3)]
    assert [each.evidence_count for each in findings(again, only=NAME)] == [1]


@pytest.mark.parametrize(
    "fields",
    [
        {"sessionCredentialFromConsole": "true", "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/124.0.0.0"},
        {"userAgent": "console.amazonaws.com"},
        {"userAgent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/124.0.0.0"},
    ],
)
def test_console_pages_are_silent(fields: Json) -> None:
    """A page asks for dozens of things at once, with or without leave: somebody new clicks around."""
    assert findings([*denied(26, ERIN, **fields), *asked(26, ERIN, 5, **fields)], only=NAME) == []


def test_a_shell_in_the_console_is_no_page() -> None:
    """What somebody types into CloudShell counts."""
    shell: Json = {
        "sessionCredentialFromConsole": "true",
        "userAgent": "aws-cli/2.15.1 Python/3.11.6 Linux/6.1.66 exec-env/CloudShell command/s3.ls",
    }
    assert len(findings(denied(12, ERIN, **shell), only=NAME)) == 1


def test_a_plan_reads_all_that_there_is() -> None:
    """Infrastructure as code asks for hundreds of lists; what it is denied still counts."""
    terraform = "APN/1.0 HashiCorp/1.0 Terraform/1.8.2 (+https://www.terraform.io) terraform-provider-aws/5.47.0"
    assert findings(asked(26, ROBOT, userAgent=terraform), only=NAME) == []
    assert len(findings(denied(12, ROBOT, userAgent=terraform), only=NAME)) == 1


def test_named_scanners_are_silent() -> None:
    """What scans with leave to do so is named in the settings."""
    toml = '[scanners]\nentities = ["arn:aws:iam::*:role/batch"]'
    assert findings([*POSITIVE, *asked(26, ROBOT, 5)], only=NAME, toml=toml) == []


def test_data_events_are_silent() -> None:
    """A job without its key is denied each object."""
    denials = [
        {**each, "eventCategory": "Data", "managementEvent": False} for each in one_over_many(30, ROBOT, of="s3")
    ]
    assert findings(denials, only=NAME) == []


def test_retries_and_duplicates_count_once() -> None:
    """The same denial over and over is one; events delivered twice are one matter."""
    assert findings([each for each in denied(5, ROBOT) for _ in range(10)], only=NAME) == []
    assert len(findings([*POSITIVE, *POSITIVE], only=NAME)) == 1


def test_what_was_refused_is_told_by_its_parameters() -> None:
    """EC2's message names no instance, but its parameters do; a retry with a new token is the same call again."""
    common: Json = {"eventSource": "ec2.amazonaws.com", "errorCode": "Client.UnauthorizedOperation",
              "errorMessage": "User: somebody is not authorized to perform: ec2:GetPasswordData on resource: arn:aws:ec2:eu-west-1:111122223333:instance/*"}  # fmt: skip
    many = [
        record("GetPasswordData", ROBOT, n / 60, requestParameters={"instanceId": f"i-{n}"}, **common)
        for n in range(20)
    ]
    assert [each.evidence_count for each in findings(many, only=NAME)] == [6]
    tries = [record("RunInstances", ROBOT, n / 60, requestParameters={"imageId": "ami-1", "clientToken": f"t-{n}"}, **common) for n in range(40)]  # fmt: skip
    assert findings(tries, only=NAME) == []


def test_old_shapes_and_missing_fields() -> None:
    """Denials spelt as of old count; those that name no resource count once."""
    old = denied(12, ROBOT, eventCategory=None, managementEvent=None, errorCode="Client.UnauthorizedOperation")
    assert len(findings(old, only=NAME)) == 1
    unnamed = [
        {key: value for key, value in each.items() if key != "errorMessage"} for each in one_over_many(40, ROBOT)
    ]
    assert findings(unnamed, only=NAME) == []
