"""machine-user-with-key: by what the client says, or after a week of programs; never somebody at a terminal."""

from __future__ import annotations

from tests.records import DAY, Json, findings, key_call, record, role, sign_in, time, user

NAME = "machine-user-with-key"
KEY, OTHER = "AKIAEXAMPLE000000005", "AKIAEXAMPLE000000006"
LAMBDA = "Boto3/1.34.100 md/Botocore#1.34.100 ua/2.0 os/linux#5.10 lang/python#3.11.8 exec-env/AWS_Lambda_python3.11"
CLI = "aws-cli/2.15.0 Python/3.11.6 Linux/6.5.0 exe/x86_64"
ADMIN = role("admin", "anna@example.com")


def use(day: float, key: str = KEY, name: str = "robot", **fields: str) -> Json:
    """Use a key."""
    return record("GetObject", user(name, key), day * DAY, **fields)


POSITIVE: list[Json] = [use(0, userAgent=LAMBDA), use(1, userAgent=LAMBDA)]
NEAR_MISS: list[Json] = [
    *(use(n, OTHER, "paul") for n in range(5)),
    use(3.5, OTHER, "paul", userAgent=CLI),
    *(use(n, OTHER, "paul") for n in range(5, 10)),
    record("GetObject", role("web", "i-0123456789abcdef0"), 0),
]


def test_the_client_names_a_platform() -> None:
    """It is found at the first call, and closed when the user's last key is off."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.opened_at, found.status) == ("info", None, time(0), "updated")
    (found,) = findings([*POSITIVE, key_call("Inactive", ADMIN, 2 * DAY, "robot", KEY)], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")
    second = key_call("CreateAccessKey", ADMIN, 1.5 * DAY, "robot", "AKIAEXAMPLE000000007")
    (found,) = findings([*POSITIVE, second, key_call("DeleteAccessKey", ADMIN, 2 * DAY, "robot", KEY)], only=NAME)
    assert found.status != "closed"


def test_a_week_of_programs() -> None:
    """A plain SDK says nothing of who it is; after a week with nothing else it is a machine, to all appearance."""
    week = [use(n) for n in range(9)]
    (found,) = findings(week, only=NAME)
    assert (found.opened_at, found.evidence_count) == (time(7 * DAY), 1)
    assert findings(week[:3], only=NAME, until=30 * DAY) == []
    person = [*week, sign_in(user("robot", None), 2 * DAY)]
    assert findings(person, only=NAME) == []
