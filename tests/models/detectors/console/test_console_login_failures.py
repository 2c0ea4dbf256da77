"""console-login-failures: bursts against one identity or from one address, and what follows them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from models.engine import Engine
from tests.records import ACCOUNT, Json, events_of, findings, raise_fault, role, root, rules, sign_in, user

NAME = "console-login-failures"
HIDDEN = {"type": "IAMUser", "accountId": ACCOUNT, "accessKeyId": "", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}


def bare(name: str) -> Json:
    """Make the identity of a sign-in that failed: account and name, no ARN."""
    return {"type": "IAMUser", "accountId": ACCOUNT, "userName": name, "principalId": "AIDAEXAMPLE000000001"}


def failure(minutes: float, identity: Json, address: str = "203.0.113.9", **fields: Any) -> Json:
    """Make a sign-in that failed."""
    return sign_in(identity, minutes, outcome="Failure", sourceIPAddress=address, **fields)


def burst(count: int = 5, name: str = "erin", start: float = 0, gap: float = 1) -> list[Json]:
    """Make failures against one user, each from an address of its own."""
    return [failure(start + n * gap, bare(name), f"203.0.113.{n + 1}") for n in range(count)]


POSITIVE = burst()
NEAR_MISS = [*burst(4), *burst(2, start=30), sign_in(user("erin", key=None), 32)]


def test_five_failures_against_one_identity() -> None:
    """Five failures within ten minutes are one finding about the user, with all five as evidence."""
    (found,) = findings(burst(), only=NAME)
    assert (found.severity, found.subject, found.evidence_count) == ("medium", None, 5)
    assert (found.entity.arn, found.entity.type) == (f"arn:aws:iam::{ACCOUNT}:user/erin", "user")
    assert found.actor.arn is None


def test_further_failures_add_to_the_same_finding() -> None:
    """Each further failure of the burst is a draft of the same matter."""
    (found,) = findings(burst(9), only=NAME)
    assert found.evidence_count == 9


def test_root_is_an_identity() -> None:
    """Five failures against root are a finding about root."""
    (found,) = findings([failure(n, root(), f"203.0.113.{n + 1}") for n in range(5)], only=NAME)
    assert found.entity.type == "root"


@pytest.mark.parametrize(("identities", "per_identity", "found"), [(3, 1, 1), (2, 1, 0), (2, 4, 0)])
def test_one_address_over_several_identities(identities: int, per_identity: int, found: int) -> None:
    """Three identities tried from one address are a spray; two are a household."""
    tries = [failure(n + m / 10, bare(f"user{n}")) for n in range(identities) for m in range(per_identity)]
    assert len(findings(tries, only=NAME)) == found


@pytest.mark.parametrize(("count", "found"), [(10, 1), (9, 0)])
def test_hidden_names_count_by_address(count: int, found: int) -> None:
    """AWS hides names that no user bears: ten failures from one address are found all the same."""
    result = findings([failure(n / 2, HIDDEN) for n in range(count)], only=NAME)
    assert len(result) == found
    for each in result:
        assert (each.entity.arn, each.entity.type, each.subject) == (ACCOUNT, "account", "203.0.113.9")
        assert each.entity.class_ is None


def test_a_success_that_follows_makes_it_high() -> None:
    """Whoever gets in after a burst raises the finding, and the success is evidence."""
    success = sign_in(user("erin", key=None), 20, sourceIPAddress="203.0.113.77")
    (found,) = findings([*burst(), success], only=NAME)
    assert (found.severity, found.evidence_count, found.seen["success"]) == ("high", 6, True)
    assert found.evidence[-1].event_id == success["eventID"]


@pytest.mark.parametrize(
    "quiet",
    [
        burst(4),
        burst(5, gap=3),
        [*burst(4), sign_in(user("erin", key=None), 5)],
        [failure(n, role("admin", "erin@example.com"), f"203.0.113.{n + 1}") for n in range(5)],
        [sign_in(user("erin", key=None), n) for n in range(12)],
    ],
)
def test_near_misses_are_silent(quiet: list[Json]) -> None:
    """Too few, too slow, a forgotten password, federated sessions and mere successes raise nothing."""
    assert findings(quiet, only=NAME) == []


def test_a_success_long_after_does_not_raise_it() -> None:
    """A success two hours later is an ordinary sign-in."""
    (found,) = findings([*burst(), sign_in(user("erin", key=None), 130)], only=NAME)
    assert (found.severity, found.evidence_count) == ("medium", 5)


def test_failures_are_nobodys_act() -> None:
    """A name that was typed and refused does not make its bearer a principal that acted."""
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    engine.feed(events_of(burst()))
    assert engine.principals() == []


@pytest.mark.parametrize("seed", range(20))
def test_any_order_ends_the_same(seed: int) -> None:
    """In whatever order the attempts come in, the finding ends the same, also where the success comes first."""
    trail = [*burst(7), sign_in(user("erin", key=None), 9), failure(15, bare("frank")), failure(16, bare("grace"))]
    events = events_of(trail)
    Random(seed).shuffle(events)
    engine = Engine(rules(only=NAME), on_fault=raise_fault)
    engine.feed(events)
    (found,) = engine.findings()
    (expected,) = findings(trail, only=NAME)
    assert (found.finding_id, found.opened_at, found.updated_at, found.severity, found.evidence, found.evidence_count) == (
        expected.finding_id, expected.opened_at, expected.updated_at, expected.severity, expected.evidence,
        expected.evidence_count,
    )  # fmt: skip


def test_limits_are_settings() -> None:
    """A stricter limit finds what the default lets pass; one that makes no sense is refused."""
    toml = "[detectors.console-login-failures]\nmax_failures_per_identity = 3"
    assert len(findings(burst(3), only=NAME, toml=toml)) == 1


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-gov-west-1", "aws-us-gov"),
        ("cn-north-1", "aws-cn"),
        ("us-isob-east-1", "aws-iso-b"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-east-1", "aws"),
    ],
)
def test_failures_and_the_success_are_one_identity_in_every_partition(region: str, partition: str) -> None:
    """A failure bears no ARN, so its partition is the region's."""
    success = user("erin", key=None)
    success["arn"] = f"arn:{partition}:iam::{ACCOUNT}:user/erin"
    tries = [*burst(), sign_in(success, 6)]
    (found,) = findings([{**each, "awsRegion": region} for each in tries], only=NAME)
    assert (found.severity, found.entity.arn) == ("high", success["arn"])
