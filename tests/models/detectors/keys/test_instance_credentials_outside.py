"""instance-credentials-outside: an instance's credentials where the instance is not; silent at home and at its egress."""

from __future__ import annotations

from typing import Any

import pytest

from models.behaviour.instances import MAX_EGRESS, MAX_INSTANCES, MAX_NETWORKS
from tests.records import BOTO, CHROME, Json, findings, instance_call, record, role, run

NAME = "instance-credentials-outside"
ONE, TWO, THREE = "i-0123456789abcdef0", "i-0123456789abcdef1", "i-0123456789abcdef2"
HOME, NAT, THIEF = "198.51.100.7", "203.0.113.9", "192.0.2.44"
CLI = "aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.8.0 lang/python#3.12.9 m/E,Z md/command#s3.ls"
STOLEN = "aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.8.0 lang/python#3.12.9 m/g,E md/command#s3.ls"
MAC = "aws-cli/2.15.30 Python/3.11.8 Darwin/23.4.0 source/arm64 prompt/off command/sts.get-caller-identity"
OLD_BOTO = "Boto3/1.16.20 Python/3.7.6 Linux/4.14.250-173.369.amzn2.x86_64 Botocore/1.19.20"
HOUR = 60


def old_call(minutes: float, **fields: Any) -> Json:
    """Make a call of an instance's as trails wrote it before they said how the credentials were delivered."""
    identity = role("web", ONE, webIdFederationData={})
    era = {"eventVersion": "1.05", "eventCategory": None, "managementEvent": None, "userAgent": OLD_BOTO}
    return record("DescribeInstances", identity, minutes, **{"eventSource": "ec2.amazonaws.com", **era, **fields})


AT_HOME = [instance_call(n * HOUR) for n in range(30)]
POSITIVE = [*AT_HOME, instance_call(30 * HOUR + 5, "ListBuckets", sourceIPAddress=THIEF, userAgent=STOLEN)]
NEAR_MISS = [
    *AT_HOME,
    instance_call(30 * HOUR, sourceIPAddress="198.51.100.200", userAgent=STOLEN),
    instance_call(30 * HOUR + 1, sourceIPAddress="10.0.3.7", vpcEndpointId="vpce-0a1b2c3d", userAgent=CLI),
    instance_call(30 * HOUR + 2, sourceIPAddress="athena.amazonaws.com", userAgent="athena.amazonaws.com"),
    record("Decrypt", {**role("web", ONE, ec2RoleDelivery="2.0"), "invokedBy": "AWS Internal"}, 30 * HOUR + 3,
           sourceIPAddress=THIEF, userAgent=STOLEN),
    record("GetObject", role("web", ONE, ec2RoleDelivery="2.0"), 30 * HOUR + 4, sourceIPAddress=THIEF, userAgent="curl/8.5.0",
           eventCategory="Data", managementEvent=False, additionalEventData={"AuthenticationMethod": "QueryString"}),
    record("GetCallerIdentity", role("web", ONE, ec2RoleDelivery="2.0"), 30 * HOUR + 5, eventSource="sts.amazonaws.com",
           sourceIPAddress=THIEF, userAgent="Go-http-client/1.1"),
    record("ListBuckets", role("web", "erin@example.com"), 30 * HOUR + 6, sourceIPAddress=THIEF, userAgent=STOLEN),
]  # fmt: skip


def test_a_theft() -> None:
    """Elsewhere, with credentials from an environment: high, at that event, about the session; the instance's own calls are no evidence."""
    (found,) = findings([*POSITIVE, instance_call(31 * HOUR)], only=NAME)
    assert (found.severity, found.opened_at, found.evidence_count) == ("high", "2024-05-02T15:05:00Z", 1)
    assert found.subject == f"{ONE}@2024-05-02T10:00:00Z"
    assert found.seen["reasons"] == ["the client has its credentials from its environment"]
    assert found.expected == {"networks": ["198.51.100.0/24"]}


@pytest.mark.parametrize(
    "user_agent",
    [CLI, STOLEN, MAC, CHROME, "TruffleHog", "curl/8.5.0", f"{BOTO} kali/#", "aws-cli/1.18.69 Linux/5.10.0-kali9"],
)
def test_any_client_that_is_new_to_the_role(user_agent: str) -> None:
    """A client that the role's instances never had, or that no instance runs, elsewhere."""
    if user_agent.startswith("Boto3"):
        user_agent = user_agent.replace("os/linux", "os/macos")
    call = instance_call(30 * HOUR, "ListBuckets", sourceIPAddress=THIEF, userAgent=user_agent)
    assert [each.severity for each in findings([*AT_HOME, call], only=NAME)] == ["high"]


def test_the_same_client_is_given_away_by_the_instance() -> None:
    """With the client of the instance's own it may have moved; when the instance goes on at home it is a theft, dated to it."""
    theft = [instance_call(30 * HOUR + n, "ListBuckets", sourceIPAddress=THIEF) for n in range(3)]
    assert findings([*AT_HOME, *theft], only=NAME) == []
    (found,) = findings([*AT_HOME, *theft, instance_call(30 * HOUR + 9)], only=NAME)
    assert (found.severity, found.opened_at) == ("high", "2024-05-02T15:00:00Z")
    assert found.evidence[0].source_ip == THIEF
    assert found.actor.arn is not None


def test_between_near_networks_it_is_medium() -> None:
    """Two addresses of what is likely one operator's may be two gateways."""
    near = instance_call(30 * HOUR, "ListBuckets", sourceIPAddress="198.51.7.7")
    assert [each.severity for each in findings([*AT_HOME, near, instance_call(30 * HOUR + 9)], only=NAME)] == ["medium"]


def test_an_instance_that_moved() -> None:
    """Stopped and started it has another address, for good: silent; and the new one is its home from then on."""
    moved = [instance_call((30 + n) * HOUR, sourceIPAddress=NAT) for n in range(40)]
    assert findings([*AT_HOME, *moved], only=NAME) == []
    back = instance_call(84 * HOUR, sourceIPAddress=HOME)
    assert findings([*AT_HOME, *moved, back], only=NAME) == []
    again = [instance_call((74 + n) * HOUR, sourceIPAddress="203.0.112.9") for n in range(3)]
    assert findings([*AT_HOME, *moved, *again], only=NAME) == []


def test_several_gateways() -> None:
    """Behind gateways or proxies an instance shows several networks, by turns and for good; dual stack shows two kinds."""
    gateways = (HOME, NAT, "203.0.112.9")
    pool = [instance_call(n * HOUR, sourceIPAddress=gateways[n * n % 3]) for n in range(60)]
    assert (
        findings(
            [*pool, instance_call(61 * HOUR, sourceIPAddress="203.0.99.9"), *[instance_call(62 * HOUR)]], only=NAME
        )
        == []
    )
    dual = [instance_call((30 + n) * HOUR, sourceIPAddress=HOME if n % 2 else "2001:db8:1::7") for n in range(9)]
    assert findings([*AT_HOME, *dual], only=NAME) == []
    twice = [instance_call((30 + n) * HOUR, sourceIPAddress=f"203.0.{n // 5}.7") for n in range(40)]
    assert findings([*AT_HOME, *twice], only=NAME) == []


def test_software_that_copies_at_home() -> None:
    """Where the instances' own software has its credentials from its environment, that says nothing elsewhere."""
    own = [instance_call(n * HOUR, userAgent=STOLEN) for n in range(30)]
    assert findings([*own, instance_call(30 * HOUR, userAgent=STOLEN, sourceIPAddress=THIEF)], only=NAME) == []


def test_what_is_new_takes_on_its_addresses() -> None:
    """In its first hour an instance gets its elastic address, its gateway."""
    calls = [
        instance_call(0),
        instance_call(20, sourceIPAddress=NAT, userAgent=CLI),
        instance_call(40),
        instance_call(300, sourceIPAddress=NAT),
    ]
    assert findings(calls, only=NAME) == []


def test_egress_is_shared() -> None:
    """A network that other instances of the role use is their gateway: silent, for a client of any kind but a desk's."""
    fleet = [instance_call(n * 10, instance=each, sourceIPAddress=NAT) for n in range(30) for each in (TWO, THREE)]
    first = [instance_call(n * 10 + 1) for n in range(30)]
    moved = instance_call(400, sourceIPAddress=NAT, userAgent=CLI)
    assert findings([*fleet, *first, moved], only=NAME) == []
    assert len(findings([*fleet, *first, instance_call(400, sourceIPAddress=NAT, userAgent=MAC)], only=NAME)) == 1


def test_a_gateway_that_is_new() -> None:
    """The first instance that comes through it with a new client looks like theft, until another comes through it too."""
    trail = [*AT_HOME, *[instance_call(n * HOUR + 1, instance=TWO) for n in range(30)]]
    new = instance_call(30 * HOUR, sourceIPAddress=NAT, userAgent=CLI)
    assert [each.status for each in findings([*trail, new], only=NAME)] == ["open"]
    other = instance_call(30 * HOUR + 5, instance=TWO, sourceIPAddress=NAT)
    (found,) = findings([*trail, new, other], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "superseded")


def test_the_thief_came_first() -> None:
    """Of an instance never seen, the client tells, or an office's address."""
    assert [each.severity for each in findings([instance_call(0, userAgent=MAC)], only=NAME)] == ["high"]
    toml = '[networks]\noffice = ["192.0.2.0/24"]'
    assert len(findings([instance_call(0, sourceIPAddress=THIEF)], only=NAME, toml=toml)) == 1
    assert findings([instance_call(0, sourceIPAddress=THIEF)], only=NAME) == []


def test_a_private_address_is_excused_by_an_endpoint_alone() -> None:
    """Without the endpoint's id a private address is as foreign as any."""
    theft = instance_call(30 * HOUR, sourceIPAddress="192.168.10.20", userAgent=STOLEN)
    assert len(findings([*AT_HOME, theft], only=NAME)) == 1
    assert findings([*AT_HOME, {**theft, "vpcEndpointId": "vpce-0a1b2c3d"}], only=NAME) == []


def test_both_eras() -> None:
    """Without a word of AWS's on delivery, and with clients that say nothing of their source, the overlap tells."""
    calls = [old_call(n * HOUR) for n in range(30)]
    theft = old_call(30 * HOUR, sourceIPAddress=THIEF)
    assert [each.severity for each in findings([*calls, theft, old_call(31 * HOUR)], only=NAME)] == ["high"]
    assert len(findings([*calls, old_call(30 * HOUR, sourceIPAddress=THIEF, userAgent=STOLEN)], only=NAME)) == 1


def test_duplicates_and_disorder() -> None:
    """Twice is once; what comes late finds the same."""
    assert len(findings([*POSITIVE, *POSITIVE], only=NAME)) == 1
    assert len(findings([*POSITIVE[2:], *POSITIVE[:2]], only=NAME)) == 1


def test_state_is_bounded() -> None:
    """Thousands of instances and addresses leave what is known of a role within its bounds, and nobody roused."""
    calls = [
        instance_call(n * 3, instance=f"i-{n % 50:017x}", sourceIPAddress=f"203.{n % 200}.{n % 7}.1")
        for n in range(3000)
    ]
    engine = run(calls, only=NAME)
    instances = engine.behaviour.profiles["arn:aws:iam::111122223333:role/web"].instances
    assert instances is not None
    assert len(instances.by_name) <= MAX_INSTANCES
    assert len(instances.egress) <= MAX_EGRESS
    assert all(len(each.networks) <= MAX_NETWORKS for each in instances.by_name.values())
