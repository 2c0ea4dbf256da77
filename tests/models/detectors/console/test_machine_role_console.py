"""machine-role-console: found for each marker alone, for each visitor once; silent where people are at home."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import (
    ACCOUNT,
    CHROME,
    Json,
    assumed_by_service,
    findings,
    instance_call,
    record,
    role,
    sign_in,
    user,
)  # fmt: skip

NAME = "machine-role-console"
VISITOR = role("web", "alice")
SIGN_IN = {"eventSource": "signin.amazonaws.com", "eventType": "AwsConsoleSignIn", "userAgent": CHROME}


def visit(minutes: float = 10, session: str = "alice", **fields: Any) -> Json:
    """Make a call of the machine's role in a session of a person's."""
    return record("ListBuckets", role("web", session), minutes, **{"userAgent": CHROME, **fields})


MARKERS: dict[str, Json] = {
    "console flag": visit(sessionCredentialFromConsole="true"),
    "console flag as a boolean": visit(sessionCredentialFromConsole=True),
    "console host": visit(userAgent="console.amazonaws.com"),
    "console host of a service": visit(userAgent="console.ec2.amazonaws.com"),
    "sign-in host": visit(userAgent="signin.amazonaws.com"),
    "S3 console": visit(userAgent="[S3Console/0.4, aws-internal/3 aws-sdk-java/1.12.488 Linux/5.10]"),
    "old S3 console": visit(userAgent="[AWS Console S3, aws-internal/3 aws-sdk-java/1.11.1030 Linux/5.4]"),
    "CloudShell": visit(userAgent="aws-cli/2.15.1 Python/3.11.6 Linux/6.1 exec-env/CloudShell exe/x86_64.amzn.2023"),
    "invoked by sign-in": record("ListBuckets", {**VISITOR, "invokedBy": "signin.amazonaws.com"}, 10, userAgent="x"),
    "console login": sign_in(VISITOR, 10),
    "console action": visit(eventType="AwsConsoleAction", userAgent="x"),
    "switched role": record(
        "SwitchRole",
        VISITOR,
        10,
        **SIGN_IN,
        responseElements={"SwitchRole": "Success"},
        additionalEventData={"SwitchFrom": f"arn:aws:iam::{ACCOUNT}:user/alice"},
    ),
    "sign-in token": record(
        "GetSigninToken", VISITOR, 10, **SIGN_IN, responseElements={"GetSigninToken": "Success", "credentials": {}}
    ),
    "sign-in token, as a call": record("GetSigninToken", VISITOR, 10, eventSource="signin.amazonaws.com"),
}

POSITIVE = [instance_call(), MARKERS["console flag"]]
NEAR_MISS = [instance_call(), visit(userAgent=CHROME), visit(12, userAgent="my-console-exporter/1.0 Boto3/1.34.0")]


@pytest.mark.parametrize("marker", MARKERS)
def test_each_marker_alone_is_enough(marker: str) -> None:
    """A machine's role is found in the console by any one of the markers."""
    (found,) = findings([instance_call(), MARKERS[marker]], only=NAME)
    assert (found.severity, found.status) == ("high", "open")
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:role/web"
    assert found.entity.class_ == "workload"
    assert found.subject == "alice@2024-05-01T09:10:00Z"
    assert found.actor.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/web/alice"
    assert [each.event_id for each in found.evidence] == [MARKERS[marker]["eventID"]]
    assert len(found.seen["console_markers"]) == 1


def test_second_visitor_is_found_as_well_as_the_first() -> None:
    """Each visitor's session is a finding of its own, though the first visit made the role look mixed."""
    found = findings(
        [
            instance_call(),
            visit(10, sessionCredentialFromConsole="true"),
            visit(30, "bob", sessionCredentialFromConsole="true"),
        ],
        only=NAME,
    )
    assert [each.subject for each in found] == ["alice@2024-05-01T09:10:00Z", "bob@2024-05-01T09:30:00Z"]


def test_one_finding_per_session_whatever_keys_it_uses() -> None:
    """A console visit that changes its keys under way stays one finding, and gathers the evidence."""
    calls = [
        record(
            "ListBuckets",
            role("web", "alice", key=f"ASIAEXAMPLE0000000{n:02d}"),
            10 + n,
            sessionCredentialFromConsole="true",
        )
        for n in range(20)
    ]
    (found,) = findings([instance_call(), *calls], only=NAME)
    assert found.evidence_count == 20
    assert len(found.evidence) == 10
    assert [each.event_id for each in found.evidence] == [
        calls[0]["eventID"], *(each["eventID"] for each in calls[-9:]),
    ]  # fmt: skip


def test_the_same_name_after_a_night_is_another_session() -> None:
    """A visit 13 hours after the last one's end is a second finding."""
    found = findings(
        [
            instance_call(),
            visit(10, sessionCredentialFromConsole="true"),
            visit(800, sessionCredentialFromConsole="true"),
        ],
        only=NAME,
    )
    assert len(found) == 2


def test_proof_after_the_visit_opens_the_finding_dated_to_the_visit() -> None:
    """What is learned of a role later makes an earlier visit a finding of that earlier time, with all its evidence."""
    visits = [visit(10 + n, sessionCredentialFromConsole="true") for n in range(12)]
    (found,) = findings([*visits, instance_call(300)], only=NAME)
    assert found.opened_at == "2024-05-01T09:10:00Z"
    assert found.updated_at == "2024-05-01T09:21:00Z"
    assert found.evidence_count == 12
    assert found.evidence[0].event_id == visits[0]["eventID"]


def test_every_earlier_visit_of_one_name_is_remembered() -> None:
    """Two visits under one name, a day apart, both become findings when proof comes."""
    visits = [visit(10, sessionCredentialFromConsole="true"), visit(1500, sessionCredentialFromConsole="true")]
    found = findings([*visits, instance_call(1600)], only=NAME)
    assert [each.opened_at for each in found] == ["2024-05-01T09:10:00Z", "2024-05-02T10:00:00Z"]


def test_a_service_that_assumes_the_role_is_proof() -> None:
    """The AssumeRole of a service proves a machine's role, also when nothing else of the machine is in the trail."""
    (found,) = findings(
        [assumed_by_service("web", "worker"), visit(10, sessionCredentialFromConsole="true")], only=NAME
    )
    assert "assumed by an AWS service" in found.expected["workload_evidence"]


def test_a_trust_policy_for_services_alone_is_proof() -> None:
    """Configuration proves it too: a role that only services may assume, and a person in its console."""
    document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}'
    created = record(
        "CreateRole",
        user("deployer"),
        eventSource="iam.amazonaws.com",
        requestParameters={"roleName": "web", "assumeRolePolicyDocument": document},
    )
    for trail in (
        [created, visit(10, sessionCredentialFromConsole="true")],
        [visit(-10, sessionCredentialFromConsole="true"), created],
    ):
        (found,) = findings(trail, only=NAME)
        assert found.entity.arn.endswith("role/web")


def test_a_user_weighs_less_than_a_role() -> None:
    """A user whose key a Lambda function uses, seen in the console, is a finding of medium severity."""
    lambda_client = "Boto3/1.34.100 exec-env/AWS_Lambda_python3.12 Botocore/1.34.100"
    (found,) = findings(
        [record("PutObject", user("exporter"), userAgent=lambda_client), sign_in(user("exporter", key=None), 10)],
        only=NAME,
    )
    assert (found.severity, found.subject) == ("medium", "console@2024-05-01T09:10:00Z")


def test_origin_is_whom_the_role_was_switched_from() -> None:
    """Where the event itself names the person behind the switch, the finding does."""
    (found,) = findings([instance_call(), MARKERS["switched role"]], only=NAME)
    assert found.actor.origin == f"arn:aws:iam::{ACCOUNT}:user/alice"


def test_the_number_of_sessions_that_prove_a_machine_is_a_setting() -> None:
    """With two sessions required, one proves nothing; a second one does, and dates the finding to the visit."""
    toml = "[detectors.machine-role-console]\nmin_workload_sessions = 2"
    trail = [instance_call(), visit(10, sessionCredentialFromConsole="true")]
    assert findings(trail, only=NAME, toml=toml) == []
    second = instance_call(20, instance="i-0fedcba9876543210")
    (found,) = findings([*trail, second], only=NAME, toml=toml)
    assert found.opened_at == "2024-05-01T09:10:00Z"


SSO = "AWSReservedSSO_PowerUser_0123456789abcdef"
QUIET: dict[str, list[Json]] = {
    "a role of Identity Center": [
        record("ListBuckets", role(SSO, "carol@example.com", path="/aws-reserved/sso.amazonaws.com/eu-west-1/"), 10,
               sessionCredentialFromConsole="true"),
        record("ListBuckets", role(SSO, "dave@example.com", path="/aws-reserved/sso.amazonaws.com/eu-west-1/"), 20,
               userAgent="Boto3/1.34.100 exec-env/AWS_Lambda_python3.12"),
    ],
    "a person's role": [
        record("ListBuckets", role("engineer", "carol@example.com"), 10, sessionCredentialFromConsole="true"),
        record("ListBuckets", role("engineer", "botocore-session-1714554000"), 20),
    ],
    "a service on behalf": [
        instance_call(),
        record("Decrypt", {**role("web", "i-0123456789abcdef0"), "invokedBy": "cloudformation.amazonaws.com"}, 10,
               userAgent="cloudformation.amazonaws.com", sourceIPAddress="cloudformation.amazonaws.com"),
    ],
    "an SDK that merely says console": [
        instance_call(), visit(userAgent="acme-console.exporter/2.1 aws-sdk-go/1.44.0 (go1.21; linux; amd64) console.amazonaws.com.example"),
    ],
    "a presigned URL in a browser": [
        instance_call(),
        visit(userAgent="[S3Console/0.4]", additionalEventData={"AuthenticationMethod": "QueryString"}),
    ],
    "a data event": [
        instance_call(), visit(userAgent="[S3Console/0.4]", eventCategory="Data", managementEvent=False),
    ],
    "a web identity": [
        instance_call(),
        record("ListBuckets", role("web", "app", webIdFederationData={"federatedProvider": "cognito-identity.amazonaws.com"}),
               10, userAgent="console.amazonaws.com"),
    ],
    "a browser alone": [instance_call(), visit(userAgent=CHROME)],
    "a sign-in that failed": [instance_call(), sign_in(VISITOR, 10, outcome="Failure")],
    "proof in the same session only": [
        record("ListBuckets", role("web", "i-0123456789abcdef0", ec2RoleDelivery="2.0"), 10,
               sessionCredentialFromConsole="true"),
    ],
    "an SDK's default session name": [
        record("GetObject", role("web", "aws-go-sdk-1714554000000000000")), visit(sessionCredentialFromConsole="true"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
def test_quiet(case: str) -> None:
    """What looks like a machine in the console, and is not, stays silent."""
    assert findings(QUIET[case], only=NAME) == []


def test_evidence_of_own_issue_is_not_outside_the_session() -> None:
    """The AssumeRole by a service that issued the very session proves nothing against that session."""
    trail = [assumed_by_service("web", "alice", by="ssm.amazonaws.com"), visit(10, sessionCredentialFromConsole="true")]
    assert findings(trail, only=NAME) == []
