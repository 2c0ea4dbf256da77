"""key-for-another: a lasting credential for somebody else; not for oneself, low while denied."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import ACCOUNT, Json, findings, record, refusal, role, user

NAME = "key-for-another"
IAM = "iam.amazonaws.com"
KEY = "AKIAEXAMPLE000000002"


def made(
    by: Json,
    minutes: float = 0,
    *,
    target: str | None = "erin",
    name: str = "CreateAccessKey",
    answer: Any = ...,
    **fields: Any,
) -> Json:
    """Make the creation of a credential for a user."""
    if answer is ...:
        answer = {"accessKey": {"userName": target or "mallory", "accessKeyId": KEY, "status": "Active"}}
    return record(
        name,
        by,
        minutes,
        **{
            "eventSource": IAM,
            "requestParameters": {"userName": target} if target else None,
            "responseElements": answer,
            **fields,
        },
    )


POSITIVE = [made(role("admin", "mallory"))]
NEAR_MISS = [
    made(user("mallory"), target="mallory"),
    made(user("mallory"), 1, target=None),
    made(user("mallory"), 2, errorCode="LimitExceededException", answer=None),
    made(user("mallory"), 3, eventSource="transfer.amazonaws.com"),
    record("UpdateAccessKey", user("mallory"), 4, eventSource=IAM, requestParameters={"userName": "erin", "accessKeyId": KEY}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "answer", "subject"),
    [
        ("CreateAccessKey", {"accessKey": {"accessKeyId": KEY}}, KEY),
        ("CreateServiceSpecificCredential", {"serviceSpecificCredential": {"serviceSpecificCredentialId": "ACCAEXAMPLE1"}}, "ACCAEXAMPLE1"),
        ("UploadSSHPublicKey", {"sSHPublicKey": {"sSHPublicKeyId": "APKAEXAMPLE1"}}, "APKAEXAMPLE1"),
        ("UploadSigningCertificate", {"certificate": {"certificateId": "TA7SMP42TDN5Z26EXAMPLE"}}, "TA7SMP42TDN5Z26EXAMPLE"),
        ("CreateAccessKey", None, None),
        ("CreateAccessKey", {"accessKey": "HIDDEN_DUE_TO_SECURITY_REASONS"}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by", [user("mallory"), role("admin", "mallory")])
def test_each_credential(name: str, answer: Json | None, subject: str | None, by: Json) -> None:
    """Each kind counts, by a user or a role; the credential is the subject where the response names it."""
    (found,) = findings([made(by, name=name, answer=answer)], only=NAME)
    assert (found.severity, found.subject) == ("medium", subject)
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:user/erin"
    assert found.actor.arn == by["arn"]


def test_a_reset_is_named_by_its_request() -> None:
    """A credential that is reset is the one of the request."""
    request = {"userName": "erin", "serviceSpecificCredentialId": "ACCAEXAMPLE1"}
    call = made(user("mallory"), name="ResetServiceSpecificCredential", answer=None, requestParameters=request)
    assert [each.subject for each in findings([call], only=NAME)] == ["ACCAEXAMPLE1"]


def test_a_denied_try_is_low() -> None:
    """It was tried: low, and about the user, for there is no key to name."""
    (found,) = findings([made(user("mallory"), errorCode="AccessDenied", answer=None)], only=NAME)
    assert (found.severity, found.subject, found.seen["is_denied"]) == ("low", None, True)


def test_a_known_pipeline_is_low() -> None:
    """A pipeline of the settings makes users and their keys: low, with the reason."""
    toml = '[pipelines]\nroles = ["arn:aws:iam::*:role/ci-*"]'
    (found,) = findings([made(role("ci-deploy", "run-7"))], only=NAME, toml=toml)
    assert (found.severity, found.seen["context"]) == ("low", ["pipeline"])


def test_duplicates_are_one_matter() -> None:
    """The same creation twice is one finding about one key; another key is another."""
    call, other = made(user("mallory")), {"accessKey": {"accessKeyId": "AKIAEXAMPLE000000003"}}
    assert len(findings([call, call], only=NAME)) == 1
    assert len(findings([call, made(user("mallory"), 5, answer=other)], only=NAME)) == 2


def test_the_message_of_a_refusal_says_for_whom() -> None:
    """IAM keeps no parameters of what it denies; a key of one's own that is denied is nothing."""
    (found,) = findings([made(user("mallory"), **refusal("iam:CreateAccessKey", "user erin"), answer=None)], only=NAME)
    assert (found.severity, found.entity.arn) == ("low", f"arn:aws:iam::{ACCOUNT}:user/erin")
    own = made(user("mallory"), **refusal("iam:CreateAccessKey", "user mallory"), answer=None)
    assert findings([own], only=NAME) == []
