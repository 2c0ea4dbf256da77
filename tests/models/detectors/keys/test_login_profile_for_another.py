"""login-profile-for-another: a password or second factor for somebody else; not for oneself, low while denied."""

from __future__ import annotations

import pytest

from tests.records import ACCOUNT, Json, findings, record, refusal, role, user

NAME = "login-profile-for-another"
IAM = "iam.amazonaws.com"


def call(name: str, target: str | None, by: Json, minutes: float = 0, **fields: object) -> Json:
    """Make an IAM call about a user."""
    request = {"userName": target} if target else None
    return record(name, by, minutes, **{"eventSource": IAM, "requestParameters": request, **fields})


POSITIVE = [call("CreateLoginProfile", "erin", user("mallory"))]
NEAR_MISS = [
    call("UpdateLoginProfile", "mallory", user("mallory")),
    call("UpdateLoginProfile", None, user("mallory")),
    call("CreateLoginProfile", "erin", user("mallory"), errorCode="EntityAlreadyExistsException"),
    record(
        "CreateLoginProfile",
        user("mallory"),
        eventSource="transfer.amazonaws.com",
        requestParameters={"userName": "erin"},
    ),
]


@pytest.mark.parametrize("name", ["CreateLoginProfile", "UpdateLoginProfile", "EnableMFADevice"])
@pytest.mark.parametrize("by", [user("mallory"), role("admin", "mallory")])
def test_each_way_in(name: str, by: Json) -> None:
    """Each call counts, by a user or a role; the finding is about the user who gets it."""
    (found,) = findings([call(name, "erin", by)], only=NAME)
    assert (found.severity, found.entity.arn) == ("medium", f"arn:aws:iam::{ACCOUNT}:user/erin")
    assert found.actor.arn == by["arn"]


def test_a_denied_try_is_low_and_rises_when_it_succeeds() -> None:
    """The same finding goes from low to medium."""
    denied = call("CreateLoginProfile", "erin", user("mallory"), errorCode="AccessDenied")
    (found,) = findings([denied], only=NAME)
    assert found.severity == "low"
    (found,) = findings([denied, call("CreateLoginProfile", "erin", user("mallory"), 5)], only=NAME)
    assert (found.severity, found.evidence_count, found.revision) == ("medium", 2, 2)


def test_the_message_of_a_refusal_says_for_whom() -> None:
    """IAM keeps no parameters of what it denies; one's own password, or another thing refused, is nothing."""
    denied = call("CreateLoginProfile", None, user("mallory"), **refusal("iam:CreateLoginProfile", "user erin"))
    (found,) = findings([denied, call("CreateLoginProfile", "erin", user("mallory"), 5)], only=NAME)
    assert (found.severity, found.evidence_count) == ("medium", 2)
    for on in ("user mallory", "user ", "role erin"):
        own = call("CreateLoginProfile", None, user("mallory"), **refusal("iam:CreateLoginProfile", on))
        assert findings([own], only=NAME) == []
