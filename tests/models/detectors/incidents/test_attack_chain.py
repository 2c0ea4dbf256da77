"""attack-chain: three stages of one lineage within a day are one intrusion, in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import msgspec
import pytest

from models.detector import BehaviourState, Detector, Rule, Tuning
from models.engine import Engine
from models.event import Event
from models.finding import ChainStage, Draft, EntityRef, Evidence, Finding, Severity, Who
from models.incidents.chain import Part, chains
from tests.records import Json, events_of, findings, raise_fault, record, role, rules, user

NAME = "attack-chain"
STAGES: dict[str, ChainStage] = {
    "Enter": "initial access", "Look": "discovery", "Stay": "persistence", "Rise": "escalation",
}  # fmt: skip


class Staged(Detector[BehaviourState], frozen=True, kw_only=True):
    """A detector that takes the name of the call for the stage."""

    name = "staged"
    summary = known_gaps = runbook = "a call whose name is a stage"
    family = "use"
    desk = "behaviour"
    severity = Severity.LOW
    attack = ("T1078",)
    facts = -1

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each call that is a stage."""
        if (stage := STAGES.get(event.api.name)) is not None:
            yield self.draft(
                event,
                state,
                subject=stage,
                chain_stage=stage,
                title=stage,
                summary=stage,
                seen={"a": 1},
                expected={"a": 0},
            )


COMPANIONS = [Rule(Staged())]


def stage(name: str, minutes: float, by: Json | None = None) -> Json:
    """Make a call that is a stage."""
    return record(name, by or user("mallory"), minutes)


POSITIVE = [stage("Enter", 0), stage("Look", 60), stage("Stay", 23 * 60)]
NEAR_MISS = [
    stage("Enter", 0),
    stage("Look", 60),
    stage("Look", 90),
    stage("Stay", 25 * 60),
    stage("Rise", 70, user("erin")),
]


def run(events: list[Event], *, tuning: Tuning | None = None) -> list[Finding]:
    """Feed events in the order given, with the stages and the chain."""
    companions = [Rule(Staged(), tuning)] if tuning else COMPANIONS
    engine = Engine([*companions, *rules(only=NAME)], on_fault=raise_fault)
    for event in events:
        engine.feed([event])
    engine.tick(max(event.at for event in events))
    return engine.findings()


def shape(found: list[Finding]) -> list[Any]:
    """Reduce findings to what must not depend on the order of events; superseded ones do not count."""
    kept = ("finding_id", "detector", "severity", "opened_at", "part_of", "seen", "affected")
    return [
        {key: value for key, value in msgspec.to_builtins(each).items() if key in kept}
        for each in found
        if each.close_reason != "superseded"
    ]


def test_three_stages_are_one_chain() -> None:
    """It is about the earliest part, names all parts, and each part names it."""
    found = findings(POSITIVE, only=NAME, also=COMPANIONS)
    chain = next(each for each in found if each.detector == NAME)
    parts = [each for each in found if each.detector == "staged"]
    assert (chain.severity, chain.opened_at, chain.evidence_count) == ("critical", parts[0].opened_at, 3)
    assert chain.subject == parts[0].finding_id
    assert chain.seen["stages"] == ["initial access", "discovery", "persistence"]
    assert {each.part_of for each in parts} == {chain.finding_id}


def test_stages_of_different_sessions_of_one_person_belong_together() -> None:
    """Two roles that one user took on are one lineage."""

    def assumed(name: str, minutes: float) -> Json:
        arn = f"arn:aws:sts::111122223333:assumed-role/{name}/x"
        return record("AssumeRole", user("mallory"), minutes, eventSource="sts.amazonaws.com",
                      requestParameters={"roleArn": f"arn:aws:iam::111122223333:role/{name}", "roleSessionName": "x"},
                      responseElements={"assumedRoleUser": {"arn": arn}})  # fmt: skip

    trail = [
        stage("Enter", 0),
        assumed("one", 1),
        stage("Look", 2, role("one", "x")),
        assumed("two", 3),
        stage("Stay", 4, role("two", "x")),
    ]
    assert [each.detector for each in findings(trail, only=NAME, also=COMPANIONS)].count(NAME) == 1
    without = [each for each in trail if each["eventName"] != "AssumeRole"]
    assert NAME not in [each.detector for each in findings(without, only=NAME, also=COMPANIONS)]


def test_any_order_ends_in_the_same_chain() -> None:
    """Over all orders the chain is the same; what it was called before an earlier part came is superseded."""
    events = events_of([*POSITIVE, stage("Rise", 10)])
    expected = shape(run(events))
    assert [each["detector"] for each in expected].count(NAME) == 1
    for order in permutations(events):
        assert shape(run(list(order))) == expected


def test_an_earlier_part_that_comes_late_supersedes_the_chain() -> None:
    """The chain has another earliest part, so another id: the old one is closed as superseded."""
    events = events_of([*POSITIVE, stage("Rise", -10)])
    late = [*events[1:], events[0]]
    found = [each for each in run(late) if each.detector == NAME]
    assert sorted(each.close_reason or "" for each in found) == ["", "superseded"]


def test_shadow_is_no_stage() -> None:
    """What is in shadow makes no chain."""
    events = events_of(POSITIVE)
    assert NAME in [each.detector for each in run(events)]
    assert NAME not in [each.detector for each in run(events, tuning=Tuning(stage="shadow"))]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        ([0, 1, 2], [[0, 1, 2]]),
        ([0, 1441, 1442], []),
        ([0, 1439, 1440], [[0, 1, 2]]),
        ([0, 1500, 1501, 1502], [[1, 2, 3]]),
    ],
)
def test_where_chains_begin_and_end(minutes: list[int], expected: list[list[int]]) -> None:
    """A chain begins at the earliest part from which enough stages open within the window."""
    opening = Evidence("e", "2024-05-01T09:00:00Z", "s3.amazonaws.com", "X", None, None, None)
    parts = [
        Part(str(n), "staged", name, Severity.LOW, at * 60, EntityRef("a", "user"), None, Who(), name, opening, 0)
        for n, (at, name) in enumerate(zip(minutes, STAGES.values(), strict=False))
    ]
    found = chains(parts, 3, 24 * 3600)
    assert [[parts.index(part) for part in chain] for chain in found] == expected
