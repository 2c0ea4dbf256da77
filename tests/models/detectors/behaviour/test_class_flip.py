"""class-flip: a settled machine used by a person's client, a settled person's role by a platform; never in the console."""

from __future__ import annotations

import pytest

from tests.records import Json, findings, instance_call, record, role, user

NAME = "class-flip"
DAY = 24 * 60
MAC = "aws-cli/2.15.30 md/awscrt#0.20.5 ua/2.0 os/macos#23.4.0 md/arch#arm64 lang/python#3.11.8 cfg/retry-mode#standard"
LAMBDA = "Boto3/1.34.100 md/Botocore#1.34.100 ua/2.0 os/linux#5.10 lang/python#3.12.3 exec-env/AWS_Lambda_python3.12"
SETTLED = [instance_call(n * DAY) for n in range(8)]


def by_hand(minutes: float, agent: str = MAC, **fields: object) -> Json:
    """Make a call of the instances' role from a person's desk."""
    return record("ListBuckets", role("web", "botocore-session-1714555860"), minutes, userAgent=agent, **fields)


POSITIVE = [*SETTLED, by_hand(7 * DAY + 60)]
NEAR_MISS = [*SETTLED, by_hand(7 * DAY + 60, "aws-cli/2.15.30 md/awscrt#0.20.5 ua/2.0 os/linux#6.1 md/arch#x86_64")]


def test_a_machine_from_a_desk() -> None:
    """The finding is about the session, and says what was expected and what speaks against it."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject) == ("medium", "botocore-session-1714555860@2024-05-08T10:00:00Z")
    assert found.expected["class"] == "workload"
    assert found.seen["evidence"] == ["a client on a desktop system"]


def test_a_person_from_a_platform() -> None:
    """A role of Identity Center that a function calls with is a person's no more."""
    sso = "AWSReservedSSO_Dev_0123456789abcdef"
    people = [record("ListBuckets", role("people", f"anna{n}@example.com"), n * DAY, userAgent=MAC) for n in range(8)]
    flip = record("PutObject", role("people", "exporter"), 7 * DAY + 60, userAgent=LAMBDA)
    (found,) = findings([*people, flip], only=NAME)
    assert found.expected["class"] == "human"
    settled = [record("ListBuckets", role(sso, "anna@example.com"), n * DAY, userAgent=MAC) for n in range(8)]
    assert (
        findings([*settled, record("PutObject", role(sso, "anna@example.com"), 8 * DAY, userAgent=LAMBDA)], only=NAME)
        == []
    )


@pytest.mark.parametrize("others", [3, 4])
def test_few_sessions_settle_nothing(others: int) -> None:
    """With fewer sessions than it takes, or fewer days, nothing is expected yet."""
    assert findings([*SETTLED[:others], by_hand(others * DAY)], only=NAME) == []
    assert (
        findings([*(instance_call(n, instance=f"i-0123456789abcde{n:02x}") for n in range(9)), by_hand(60)], only=NAME)
        == []
    )


def test_the_console_is_another_finding() -> None:
    """In the console machine-role-console speaks; a flip that turns out to be a console visit is superseded."""
    console = by_hand(7 * DAY + 61, sessionCredentialFromConsole="true")
    assert findings([*SETTLED, console], only=NAME) == []
    (found,) = findings([*POSITIVE, console], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "superseded")


def test_the_second_flip_counts_as_well() -> None:
    """One finding per session, as long as the visits are exceptions."""
    again = record("ListBuckets", role("web", "botocore-session-1714999999"), 9 * DAY, userAgent=MAC)
    many = [instance_call(n * 60, instance=f"i-0123456789abcde{n % 200:02x}") for n in range(8 * 24)]
    assert len(findings([*many, by_hand(8 * DAY), again], only=NAME)) == 2


def test_a_users_key() -> None:
    """A key that a platform used for a week, then a person at a desk."""
    job = [record("PutObject", user("exporter"), n * DAY, userAgent=LAMBDA) for n in range(8)]
    (found,) = findings(
        [*job, record("ListBuckets", user("exporter", key="AKIAEXAMPLE000000002"), 8 * DAY, userAgent=MAC)], only=NAME
    )
    assert found.entity.type == "user"
