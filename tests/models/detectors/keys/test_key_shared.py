"""key-shared: two installations far apart, day after day, or a desk and a platform within a day; never one's two ways out."""

from __future__ import annotations

from typing import Any

from tests.records import BOTO, DAY, Json, findings, record, sign_in, time, user

NAME = "key-shared"
KEY, OTHER = "AKIAEXAMPLE000000005", "AKIAEXAMPLE000000006"
HERE, THERE = "203.0.113.10", "198.51.100.20"
ELSE = "Boto3/1.26.100 Python/3.8.10 Linux/5.4.0-150-generic Botocore/1.29.100"
MAC = "aws-cli/2.31.0 md/awscrt#0.27 ua/2.1 os/macos#24.5 md/arch#arm64 lang/python#3.13 m/b,s md/command#s3.ls"
LAMBDA = f"{BOTO} exec-env/AWS_Lambda_python3.11"


def use(
    day: float, address: str = HERE, agent: str = BOTO, owner: str = "robot", key: str = KEY, **fields: Any
) -> Json:
    """Use a key."""
    return record("GetObject", user(owner, key), day * DAY, sourceIPAddress=address, userAgent=agent, **fields)


def side_by_side(
    days: float, there: str = THERE, agent: str = ELSE, *, owner: str = "robot", key: str = KEY
) -> list[Json]:
    """Let two places use one key in turn, four times a day."""
    return [
        use(n / 4, *((there, agent) if n % 2 else (HERE, BOTO)), owner=owner, key=key) for n in range(round(days * 4))
    ]  # fmt: skip


POSITIVE: list[Json] = side_by_side(3)
NEAR_MISS: list[Json] = side_by_side(3, THERE, BOTO, owner="paul", key=OTHER)  # one installation, two ways out


def test_two_far_apart() -> None:
    """It opens when they have done so for two days."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject) == ("medium", KEY)
    assert time(2 * DAY) <= found.opened_at <= time(2.5 * DAY)
    assert found.seen["networks"] == ["198.51.100.0/24", "203.0.113.0/24"]


def test_what_is_no_sharing() -> None:
    """Close by, for a day only, one after the other, through a VPC endpoint, or a person's two computers."""
    assert findings(side_by_side(3, "203.0.20.1"), only=NAME) == []
    assert findings(side_by_side(1.9), only=NAME) == []
    assert (
        findings([*(use(n / 4) for n in range(12)), *(use(n / 4, THERE, ELSE) for n in range(20, 32))], only=NAME) == []
    )
    endpoint = [{**each, "vpcEndpointId": "vpce-1"} for each in side_by_side(3, "10.0.0.1")]
    assert findings(endpoint, only=NAME) == []
    assert findings([sign_in(user("robot", None), 1), *side_by_side(3)], only=NAME) == []


def test_a_client_that_the_second_hand_brings_makes_no_person_of_the_first() -> None:
    """A machine's key in a stranger's shell is shared; one that was typed with all along may be a person's."""
    shell = "aws-cli/2.31.0 md/awscrt#0.27 ua/2.1 os/linux#6.1 md/arch#x86_64 lang/python#3.13 m/b md/command#s3.ls"
    machine = [use(n / 4) for n in range(-40, 0)]
    (found,) = findings([*machine, *side_by_side(3, agent=shell)], only=NAME)
    assert found.severity == "medium"
    typed = [use(n / 4, agent=shell) for n in range(-40, 0, 4)]
    assert findings([*machine, *typed, *side_by_side(3, agent=shell)], only=NAME) == []


def test_a_fleet_of_changing_addresses() -> None:
    """Many networks, each with its version, are one vendor's, not two parties."""
    fleet = [use(n / 8, f"{40 + n % 12}.1.1.1", BOTO.replace("1.34.100", f"1.34.{n % 12}")) for n in range(48)]
    late = [use(6 + n / 8, f"{40 + n % 12}.1.1.1", BOTO.replace("1.34.100", f"1.34.{n % 12}")) for n in range(48)]
    assert [each.opened_at for each in findings([*fleet, *late], only=NAME) if each.opened_at > time(5 * DAY)] == []


def test_a_desk_and_a_platform() -> None:
    """Within one day both a person's client and a function's: it opens at the second of the two."""
    (found,) = findings([use(0, agent=LAMBDA), use(0.1, agent=MAC), use(0.2, agent=LAMBDA)], only=NAME)
    assert (found.opened_at, found.seen["kinds"]) == (time(0.1 * DAY), ["a desktop", "a compute platform"])
    assert findings([use(0, agent=LAMBDA), use(5, agent=MAC)], only=NAME) == []
