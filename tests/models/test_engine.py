"""The engine: time passing, the life of findings, stored state, principals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from models.behaviour.profile import DAY_S
from models.detector import BehaviourState, Detector, Rule
from models.engine import Engine
from models.event import Event
from models.facts import Facts
from models.finding import Draft, Exhibits, Severity
from models.record import epoch
from tests.records import (
    ACCOUNT,
    Json,
    events_of,
    findings,
    instance_call,
    raise_fault,
    record,
    role,
    root,
    run,
    sign_in,
    time,
    user,
)  # fmt: skip

HOUR = 60
KEY = "AKIAEXAMPLEROOT00001"


def root_call(minutes: float) -> Json:
    """Make a call by root's key."""
    return record("ListUsers", root(KEY), minutes)


def test_an_incident_closes_after_its_quiet_hours() -> None:
    """A day without evidence closes an incident as quiet; a minute less leaves it open."""
    (still,) = findings([root_call(0)], only="root-use", until=24 * HOUR - 1)
    (quiet,) = findings([root_call(0)], only="root-use", until=24 * HOUR)
    assert (still.status, still.close_reason, still.revision) == ("open", None, 1)
    assert (quiet.status, quiet.close_reason, quiet.revision) == ("closed", "quiet", 2)
    (short,) = findings([root_call(0)], only="root-use", until=2 * HOUR, toml="[detectors.root-use]\nquiet_hours = 2")
    assert short.status == "closed"


def test_new_evidence_opens_it_again() -> None:
    """Evidence after the quiet closes and reopens the same finding: opened_at stays, the revision counts on."""
    failures = [
        sign_in({"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}, n, outcome="Failure") for n in range(5)
    ]
    later = [
        sign_in({"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}, 48 * HOUR + n, outcome="Failure")
        for n in range(5)
    ]
    (found,) = findings([*failures, *later], only="console-login-failures")
    assert (found.status, found.opened_at, found.updated_at) == ("updated", time(0), time(48 * HOUR + 4))
    assert found.revision == 3
    assert found.evidence_count == 10


def test_a_revision_counts_when_the_evidence_doubles() -> None:
    """One, two, four, eight: a finding is worth a new word when its evidence has doubled."""
    assert [
        findings([root_call(n) for n in range(count)], only="root-use")[0].revision for count in (1, 2, 3, 4, 7, 8)
    ] == [1, 2, 2, 3, 3, 4]


def test_findings_are_sorted() -> None:
    """By the time they opened, then by id."""
    found = findings([root_call(0), sign_in(user("erin", key=None), 0), sign_in(user("dora", key=None), -5)])
    assert [(each.opened_at, each.finding_id) for each in found] == sorted(
        (each.opened_at, each.finding_id) for each in found
    )
    assert len(found) == 4  # root's key is one of its own


def test_the_class_is_that_of_the_last_change() -> None:
    """What an entity turns out to be later stands in its findings."""
    visit = record("ListBuckets", role("web", "alice"), 10, sessionCredentialFromConsole="true")
    (found,) = findings(
        [instance_call(), instance_call(1, instance="i-0fedcba9876543210"), visit], only="machine-role-console"
    )
    assert (found.entity.class_, found.entity.class_tier, found.actor.class_) == ("workload", 1, "workload")


def test_coverage_and_maturity() -> None:
    """A finding says since when there is coverage and how long its entity has been known."""
    for days, maturity in ((0, "none"), (2, "learning"), (15, "mature")):
        (found,) = findings(
            [record("ListUsers", user("erin"), -60), sign_in(user("erin", key=None), days * 24 * HOUR)],
            only="unfederated-console-login",
        )
        assert (found.baseline.maturity, found.baseline.coverage_since) == (maturity, time(-60))


class LongQuiet(Detector[BehaviourState], frozen=True, kw_only=True):
    """An entity that has done nothing for ten days: true by time alone."""

    name = "long-quiet"
    summary = known_gaps = runbook = "an entity that has done nothing for ten days"
    family = "use"
    desk = "behaviour"
    severity = Severity.LOW
    life = "condition"
    attack = ("T1078",)
    facts = int(Facts.DIRECT_CALL)

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Wait."""
        return ()

    def due_at(self, state: BehaviourState) -> int | None:
        """Ten days after the last event."""
        return state.profile.last_at + 10 * DAY_S

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Date the draft to the instant at which it came true."""
        if (due := self.due_at(state)) is not None and due <= now:
            yield self.draft_at(due, state)

    def draft_at(self, at: int, state: BehaviourState) -> Draft:
        """Make a draft without an event."""
        (event,) = events_of([record("Tick", None)])
        event.at = at
        return self.draft(
            event, state, subject=None, title="quiet", summary="quiet", seen={"days": 10}, expected={"days": 0}
        )


def swept(trail: list[Json], ticks: list[float]) -> list[Any]:
    """Run a trail with the waiting detector, ticking at the given minutes."""
    engine = Engine([Rule(LongQuiet())], on_fault=raise_fault)
    events = events_of(trail)
    for minutes in ticks:
        now = epoch(time(minutes))
        engine.feed(event for event in events if event.at <= now)
        events = [event for event in events if event.at > now]
        engine.tick(now)
    return [(each.opened_at, each.entity.arn, each.status) for each in engine.findings()]


DAY = 24 * HOUR
SPACINGS = [[30 * DAY], [n * DAY for n in range(31)], [0, 9.99 * DAY, 10.5 * DAY, 30 * DAY]]


@pytest.mark.parametrize("ticks", SPACINGS)
def test_what_time_alone_makes_true_opens_at_its_instant(ticks: list[float]) -> None:
    """However ticks are spaced, the finding opens at the instant its condition came true, also before the next event."""
    trail = [record("GetObject", user("erin")), record("GetObject", user("erin"), 20 * DAY)]
    assert swept(trail, ticks) == [(time(10 * DAY), f"arn:aws:iam::{ACCOUNT}:user/erin", "updated")]


def test_principals_in_json() -> None:
    """A principal's record has the fields of the interface in their order, the path once it is known."""
    engine = run([instance_call(), record("GetObject", role("task", "s", path="/team/"), 1)])
    web, task = engine.principals()[1], engine.principals()[0]
    assert list(msgspec.to_builtins(web)) == [
        "arn", "type", "account_id", "kind", "class", "tier", "probability", "evidence", "sessions", "events", "first_seen", "last_seen",
    ]  # fmt: skip
    assert msgspec.to_builtins(task)["path"] == "/team/"
    assert msgspec.to_builtins(web)["evidence"][0] == {
        "tier": 1, "fact": "credentials delivered by an EC2 instance's metadata service", "count": 1,
    }  # fmt: skip


def test_evidence_is_the_first_and_the_last_nine_in_whatever_order_it_comes() -> None:
    """Exhibits keep the same ten, and count all, for any order."""
    made = [each.evidence[0] for n in range(30) for each in findings([root_call(n)], only="root-use")]
    forwards, backwards = Exhibits(), Exhibits()
    for one, other in zip(made, reversed(made), strict=True):
        forwards.add([one], 1)
        backwards.add([other], 1)
    assert forwards == backwards
    assert forwards.kept == [made[0], *made[-9:]]
    assert forwards.count == 30
