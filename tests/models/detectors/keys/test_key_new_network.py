"""key-new-network: what is new to a key weighs together; silent at home, at most low for people, quiet for those that roam."""

from __future__ import annotations

from typing import Any

import pytest

from models.engine import Engine
from models.network import Location
from models.settings import Settings
from tests.records import DAY, Json, events_of, findings, raise_fault, record, rules, sign_in, time, user

NAME = "key-new-network"
KEY = "AKIAEXAMPLE000000005"
OTHER = "AKIAEXAMPLE000000006"
HOMES = ("203.0.113.10", "203.0.113.11", "198.51.100.20", "192.0.2.30")  # three networks
THIEF = "2001:db8:bad::7"
CLI = "aws-cli/2.31.0 md/awscrt#0.27 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13 m/b,g cfg/retry-mode#standard md/command#s3.ls"
MAC = "aws-cli/2.31.0 md/awscrt#0.27 ua/2.1 os/macos#24.5 md/arch#arm64 lang/python#3.13 m/b,s md/command#s3.ls"
OLD_BOTO = "Boto3/1.26.100 Python/3.8.10 Linux/5.4.0-150-generic Botocore/1.29.100"


def use(
    day: float, address: str = HOMES[0], name: str = "GetObject", owner: str = "robot", key: str = KEY, **fields: Any
) -> Json:
    """Use a key."""
    return record(name, user(owner, key), day * DAY, sourceIPAddress=address, **fields)


def quiet(days: int, owner: str = "robot", key: str = KEY, **fields: Any) -> list[Json]:
    """Make the ordinary life of a key: once a day, in turn from each of its networks."""
    return [
        use(n, HOMES[n % len(HOMES)], "GetObject" if n % 2 else "PutObject", owner, key, **fields) for n in range(days)
    ]


def stolen(day: float, **fields: Any) -> Json:
    """Make a stranger's call."""
    return use(day, THIEF, **{"name": "ListBuckets", "userAgent": CLI, **fields})


POSITIVE: list[Json] = [*quiet(9), stolen(9), stolen(9.01, name="ListUsers", errorCode="AccessDenied")]
NEAR_MISS: list[Json] = [
    *quiet(9, "paul", OTHER),
    use(9, "203.0.113.99", "ListBuckets", "paul", OTHER),  # another address of its own block, another call
    use(9.01, "203.0.20.1", "GetObject", "paul", OTHER),  # a new block close to it
    use(9.02, HOMES[0], "GetObject", "paul", OTHER, userAgent=CLI),  # a new client at home
]


def severities(records: list[Json], **options: Any) -> list[str]:
    """Run records and list the severities found."""
    return [each.severity for each in findings(records, only=NAME, **options)]


def test_sixty_quiet_days() -> None:
    """A workload's key, known from three networks for two months: a new network and client are found at that event."""
    trail = [*quiet(60), stolen(60), stolen(60.02, name="GetCallerIdentity"), use(60.1)]
    (found,) = findings(trail, only=NAME)
    assert (found.severity, found.opened_at, found.evidence_count) == ("high", time(60 * DAY), 2)
    assert found.subject == f"{KEY} from 2001:db8:bad::/48"
    assert found.baseline.maturity == "mature"
    assert found.seen["reasons"][:2] == ["a network new to it", "client cli/aws-cli/linux is new to it"]
    assert found.expected["networks"] == ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"]
    assert found.expected["clients"] == ["sdk/boto3/linux"]


@pytest.mark.parametrize(
    ("then", "severity"),
    [
        (use(12, "203.0.113.99"), None),  # the same client in the same /24
        (use(12, "203.0.20.1"), None),
        (use(12, userAgent=CLI), None),
        (use(12, userAgent=CLI, name="ListBuckets"), "low"),
        (use(12, userAgent=CLI, name="ListBuckets", errorCode="AccessDenied"), "medium"),
        (use(12, THIEF), "low"),  # the workload may have moved
        (use(12, THIEF, "ListBuckets"), "medium"),
        (use(12, THIEF, userAgent=CLI), "high"),
        (use(12, THIEF, "ListBuckets", userAgent=CLI), "high"),
        (use(12, THIEF, userAgent=OLD_BOTO), "low"),  # another version is the same client
        (use(12.5, THIEF, "ListBuckets", errorCode="Client.UnauthorizedOperation"), "high"),  # and at an odd hour
        (use(12, THIEF, userAgent="TruffleHog"), "high"),
        (use(12, "10.1.2.3", vpcEndpointId="vpce-0123"), None),
        (use(12, "cloudformation.amazonaws.com"), None),
        (use(12, "999.1.1.1"), "low"),
        (use(12, THIEF, userAgent=None), "high"),
    ],
)
def test_reasons_weigh_together(then: Json, severity: str | None) -> None:
    """Where, with what, which call, at what hour, whether it is refused."""
    assert severities([*quiet(12), then]) == ([] if severity is None else [severity])


def test_of_both_eras() -> None:
    """Old records have no categories and other user agents: the same is found."""
    fields: Json = {"eventCategory": None, "managementEvent": None, "eventVersion": "1.05"}
    trail = [
        *quiet(12, userAgent=OLD_BOTO, **fields),
        stolen(12, userAgent="aws-cli/1.18.69 Python/3.8.10 Linux/5.4.0 botocore/1.16.19", **fields),
    ]
    assert severities(trail) == ["high"]


def test_a_person_travels() -> None:
    """A person on a new network is at most low, whatever else is new, unless it is a tool for breaking in."""
    known = [sign_in(user("robot", None), 5), *quiet(12, userAgent=MAC)]
    assert severities([*known, use(12, THIEF)]) == ["low"]
    assert severities([*known, stolen(12, errorCode="AccessDenied")]) == ["low"]
    assert severities([*known, stolen(12, userAgent="TruffleHog")]) == ["high"]


def test_somebody_at_a_terminal_may_be_a_person() -> None:
    """A key that the CLI was seen with, and nothing that tells who it is, is at most medium."""
    assert severities([*quiet(12, userAgent=CLI), use(12, THIEF, "ListBuckets")]) == ["medium"]
    assert severities([*quiet(12, userAgent=CLI), use(12, THIEF, "ListBuckets", userAgent=OLD_BOTO)]) == ["medium"]


def test_a_key_that_roams() -> None:
    """Where every day brings another network, as CI runners do, one more is nothing; another client still is."""
    runner = (
        "aws-cli/2.31.0 ua/2.1 os/linux#6.11-azure lang/python#3.12 exec-env/GitHubActions m/b,g md/command#s3.sync"
    )
    runs = [use(n, f"20.{n}.7.{n}", userAgent=runner) for n in range(20)]
    assert findings([*runs, use(20, "51.1.1.1", userAgent=runner)], only=NAME) == []
    few = [use(n, f"20.{n // 3}.7.1", userAgent=runner) for n in range(30)]
    assert 1 <= len(findings(few, only=NAME)) <= 5  # until it is known to roam
    assert {each.severity for each in findings(few, only=NAME)} == {"low"}
    (thief,) = (
        each for each in findings([*runs, stolen(20, errorCode="AccessDenied")], only=NAME) if each.severity != "low"
    )
    assert thief.severity == "medium"
    toml = '[pipelines]\nroles = ["arn:aws:iam::*:user/robot"]\n'
    assert findings(few, only=NAME, toml=toml) == []


def test_networks_of_the_settings() -> None:
    """From the office nothing is new but the client."""
    toml = '[networks]\nvpn = ["2001:db8:bad::/48"]\n'
    assert severities([*quiet(12), use(12, THIEF, "ListBuckets")], toml=toml) == []
    assert severities([*quiet(12), stolen(12)], toml=toml) == ["low"]


def test_a_short_history_says_nothing() -> None:
    """In its first week a key is at home wherever it is used."""
    assert severities([*quiet(5), stolen(5)]) == []
    assert severities([*quiet(5), stolen(5)], toml=f"[detectors.{NAME}]\nmin_history_days = 4\n") == ["high"]


def test_memory_fades() -> None:
    """A network not met for half a year is new again; within that it is known."""
    trail = [use(0, THIEF), use(1, THIEF), *(use(n) for n in range(2, 300, 7))]
    assert severities([*trail, use(150, THIEF, "ListBuckets")]) == []
    assert severities([*trail, use(300, THIEF, "ListBuckets")]) == ["medium"]


def located(home: Location, away: Location) -> list[str]:
    """Run a quiet key and one call from elsewhere with a look-up, and list the severities found."""
    engine = Engine(
        rules(only=NAME), Settings(), raise_fault, locate=lambda address: away if address.startswith("2001:") else home
    )
    engine.feed(events_of([*quiet(12), use(12, THIEF)]))
    return [each.severity for each in engine.findings()]


def test_what_databases_add() -> None:
    """One operator's networks are one place, another operator is a new one, another country weighs more, AWS by region."""
    here = Location(asn=64_500, country="DE")
    assert located(here, here) == []
    assert located(here, Location(asn=64_999, country="DE")) == ["low"]
    assert located(here, Location(asn=64_999, country="FR")) == ["medium"]
    region = Location(asn=16_509, aws_region="eu-west-1")
    assert located(region, region) == []
    assert located(region, Location(asn=16_509, aws_region="us-east-1")) == ["low"]
