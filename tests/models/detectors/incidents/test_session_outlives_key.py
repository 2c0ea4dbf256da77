"""session-outlives-key: sessions that a key issued go on after it is off; not before, not others, not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from models.engine import Engine
from models.incidents.outlived import MAX_KEYS, MAX_SIGHTINGS, KeySwitch, OffKeys
from tests.records import ACCOUNT, Json, events_of, findings, raise_fault, record, role, rules, run, user

NAME = "session-outlives-key"
IAM, STS = "iam.amazonaws.com", "sts.amazonaws.com"
KEY, SESSION_KEY = "AKIAEXAMPLE000000001", "ASIAEXAMPLE000000001"
OWNER, ADMIN = user("robot"), role("AWSReservedSSO_Admin_0123456789abcdef", "erin@example.com")
SESSION = {**user("robot"), "accessKeyId": SESSION_KEY}


def issued(minutes: float = 0, *, by: Json = OWNER, hours: int = 12, **fields: Any) -> Json:
    """Take a session with a key."""
    answer = {"credentials": {"accessKeyId": SESSION_KEY, "expiration": "May 1, 2024, 9:00:00 PM"}}
    return record(
        "GetSessionToken", by, minutes,
        **{"eventSource": STS, "requestParameters": {"durationSeconds": hours * 3600}, "responseElements": answer, **fields},
    )  # fmt: skip


def switched(minutes: float, status: str = "Inactive", by: Json = ADMIN, **fields: Any) -> Json:
    """Disable or enable the key."""
    request = {"userName": "robot", "accessKeyId": KEY, "status": status}
    return record("UpdateAccessKey", by, minutes, **{"eventSource": IAM, "requestParameters": request, **fields})


def deleted(minutes: float, by: Json = ADMIN) -> Json:
    """Delete the key."""
    return record("DeleteAccessKey", by, minutes, eventSource=IAM, requestParameters={"userName": "robot", "accessKeyId": KEY})  # fmt: skip


def used(minutes: float, identity: Json = SESSION, **fields: Any) -> Json:
    """Use the session."""
    return record("ListBuckets", identity, minutes, **fields)


POSITIVE = [issued(), used(10), switched(60), used(80), used(120)]
NEAR_MISS = [
    issued(),
    used(10),
    used(50),
    switched(61),
    used(63),
    used(90, {**user("robot"), "accessKeyId": "ASIAEXAMPLE000000002"}),
    used(90, {**user("other"), "accessKeyId": "ASIAEXAMPLE000000003"}),
    used(100, user("robot", "AKIAEXAMPLE000000009")),
    used(110, SESSION, sessionCredentialFromConsole="true"),
]


def test_a_session_goes_on() -> None:
    """After an administrator disabled the key: medium, about the owner and the key, from the first such quarter of an hour."""
    (found,) = findings([*POSITIVE, *[used(121 + n / 10) for n in range(60)]], only=NAME)
    assert (found.severity, found.subject, found.opened_at) == ("medium", KEY, "2024-05-01T10:20:00Z")
    assert found.entity.arn == f"arn:aws:iam::{ACCOUNT}:user/robot"
    assert found.evidence_count == 2
    assert (found.seen["issued_by"], found.seen["key"]) == ("GetSessionToken", "disabled")


def test_a_deleted_key() -> None:
    """Deleted is as good as disabled."""
    (found,) = findings([issued(), deleted(30), used(80)], only=NAME)
    assert found.seen["key"] == "deleted"


def test_a_rotation_is_low() -> None:
    """The owner replaced the key: the sessions run out by themselves."""
    (found,) = findings([issued(), switched(30, by=user("robot", "AKIAEXAMPLE000000002")), used(80)], only=NAME)
    assert found.severity == "low"


def test_a_role_that_the_key_assumed() -> None:
    """AssumeRole with the key: the role's session goes on, and is the actor."""
    answer = {"credentials": {"accessKeyId": "ASIAEXAMPLE000000007"}, "assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/robot"}}  # fmt: skip
    request = {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/deploy", "roleSessionName": "robot"}
    assumed = record("AssumeRole", OWNER, eventSource=STS, requestParameters=request, responseElements=answer)
    session = role("deploy", "robot", key="ASIAEXAMPLE000000007")
    (found,) = findings([assumed, used(5, session), switched(20), used(40, session)], only=NAME)
    assert (found.entity.type, found.actor.arn) == ("user", f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/robot")


def test_a_federated_session() -> None:
    """GetFederationToken with the key: the federated user goes on."""
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/build"
    answer = {"credentials": {"accessKeyId": "ASIAEXAMPLE000000008"}, "federatedUser": {"arn": arn}}
    taken = record(
        "GetFederationToken", OWNER, eventSource=STS, requestParameters={"name": "build"}, responseElements=answer
    )
    session = {"type": "FederatedUser", "arn": arn, "accountId": ACCOUNT, "accessKeyId": "ASIAEXAMPLE000000008"}
    (found,) = findings([taken, deleted(20), used(40, session)], only=NAME)
    assert (found.subject, found.actor.arn) == (KEY, arn)


@pytest.mark.parametrize(
    "trail",
    [
        [issued(), switched(30), switched(40, "Active"), used(80)],
        [issued(), switched(30, errorCode="AccessDenied"), used(80)],
        [switched(30), used(80)],
        [issued(0, errorCode="AccessDenied"), switched(30), used(80)],
    ],
)
def test_what_is_none(trail: list[Json]) -> None:
    """Enabled again, never disabled, a session that nobody was seen to take: silent."""
    assert findings(trail, only=NAME) == []


def test_whatever_comes_late() -> None:
    """The issue, the end of the key, the use: in whatever order they come, it is the same finding, told once."""
    events = events_of([*POSITIVE, *POSITIVE])
    expected = findings(POSITIVE, only=NAME)
    for order in ((0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 4, 0, 1, 2), (2, 4, 0, 3, 1)):
        engine = Engine(rules(only=NAME), on_fault=raise_fault)
        engine.feed(events[2 * n] for n in order)
        engine.tick(events[-1].at)
        found = engine.findings()
        assert [(each.finding_id, each.opened_at) for each in found] == [
            (each.finding_id, each.opened_at) for each in expected
        ]


def test_state_round_trips_and_is_bounded() -> None:
    """What waits is stored with the rest, within its bounds, and forgotten when nothing can come of it."""
    engine = run([issued(), used(1), switched(30)], only=NAME)
    assert engine.incidents.off_keys.switches
    assert engine.incidents.off_keys.sightings
    again = Engine(rules(only=NAME), on_fault=raise_fault)
    again.restore(list(engine.changes()))
    again.feed(events_of([used(80)]))
    assert len(again.findings()) == 1
    again.tick(again.now + 3 * 86_400)
    again.forget()
    assert not again.incidents.off_keys.switches
    assert not again.incidents.off_keys.sightings
    off = OffKeys()
    for n in range(MAX_KEYS + 50):
        off.learn_switch(KeySwitch(f"AKIA{n}", "arn", "user", None, n, False, "disabled", None))
    assert len(off.switches) == MAX_KEYS
    calls = [used(n / 100, {**user("robot"), "accessKeyId": f"ASIAEXAMPLE{n:09d}"}) for n in range(MAX_SIGHTINGS + 50)]
    assert len(run(calls, only=NAME).incidents.off_keys.sightings) <= MAX_SIGHTINGS
