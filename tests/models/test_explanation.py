"""One finding's story: which finding is meant, and what happened around it."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from models.event import Event
from models.explanation import MAX_STEPS, choose, explain, explain_each, rooted, timeline_of
from models.finding import ActorView, Finding
from models.incidents.lineage import Hop
from tests.records import Json, events_of, findings, instance_call, record, role, sign_in, user

VISITOR = role("web", "visitor")
ERIN = user("erin", key=None)
FLAG = {"sessionCredentialFromConsole": "true"}
TRAIL: list[Json] = [
    *(instance_call(n) for n in range(5)),
    record("ListUsers", VISITOR, -10, **FLAG),
    record("ListBuckets", VISITOR, 60, **FLAG),
    record("ListRoles", VISITOR, 61, errorCode="AccessDenied", **FLAG),
    record("ListBuckets", role("web", "somebody-else"), 61),
    sign_in(ERIN, 59),
    record("ListKeys", VISITOR, 122, **FLAG),
]


def the(found: list[Finding], detector: str) -> Finding:
    """Take the one finding of a detector."""
    (finding,) = (each for each in found if each.detector == detector)
    return finding


def alone(finding: Finding) -> list[Hop]:
    """Give the lineage of an actor of whom no edge is known."""
    return [Hop(str(finding.actor.arn), "role", "", None, None, "workload")]


@pytest.fixture
def events() -> list[Event]:
    """Read the trail."""
    return events_of(TRAIL)


@pytest.fixture
def finding() -> Finding:
    """Find the visit of a machine's role, cut to the evidence of one hour."""
    found = the(findings(TRAIL), "machine-role-console")
    kept = [each for each in found.evidence if each.event_name == "ListBuckets"]
    return replace(found, evidence=kept, opened_at=kept[0].event_time, updated_at=kept[0].event_time)


def test_the_timeline_is_the_session_around_the_evidence(finding: Finding, events: list[Event]) -> None:
    """It holds the session's own events from an hour before to an hour after, with what failed and what is evidence."""
    timeline = timeline_of(finding, alone(finding), events)
    assert [(step.event_name, step.error_code, step.is_evidence) for step in timeline.events] == [
        ("ListBuckets", None, True),
        ("ListRoles", "AccessDenied", False),
    ]
    assert (timeline.since, timeline.until) == ("2024-05-01T09:00:00Z", "2024-05-01T11:00:00Z")
    assert timeline.event_count == 2


def test_whoever_stands_behind_is_in_the_timeline(finding: Finding, events: list[Event]) -> None:
    """What the lineage's root did in that time belongs to it, and a hop's own event even from long before."""
    early = next(event for event in events if event.record.event_name == "ListUsers")
    lineage = [Hop(ERIN["arn"], "user", "", None, early.event_id, "human"), *alone(finding)]
    names = [step.event_name for step in timeline_of(finding, lineage, events).events]
    assert names == ["ListUsers", "ConsoleLogin", "ListBuckets", "ListRoles"]


def test_a_chain_has_the_events_of_all_its_parts(finding: Finding, events: list[Event]) -> None:
    """Whoever did a part of a chain is in the chain's timeline."""
    part = replace(finding, actor=ActorView(ERIN["arn"], "human", None))
    names = [step.event_name for step in timeline_of(finding, alone(finding), events, [part]).events]
    assert names == ["ConsoleLogin", "ListBuckets", "ListRoles"]


def test_order_and_copies_change_nothing(finding: Finding, events: list[Event]) -> None:
    """A trail shuffled and delivered twice tells the same story."""
    expected = timeline_of(finding, alone(finding), events)
    shuffled = random.Random(4).sample([*events, *events], 2 * len(events))
    assert timeline_of(finding, alone(finding), shuffled) == expected


def test_a_busy_session_is_bounded(finding: Finding) -> None:
    """Of many events those nearest to the evidence stay, the evidence among them, in order; all are counted."""
    busy = [record(f"Get{n}", VISITOR, 60 + n / 60) for n in range(-900, 900)]
    timeline = timeline_of(finding, alone(finding), events_of([*TRAIL, *busy]))
    steps = timeline.events
    assert len(steps) == MAX_STEPS
    assert timeline.event_count == 1802
    assert [step.event_name for step in steps if step.is_evidence] == ["ListBuckets"]
    assert steps == sorted(steps, key=lambda step: step.event_time)
    assert steps[0].event_time >= "2024-05-01T09:59:30Z"
    assert steps[-1].event_time <= "2024-05-01T10:00:30Z"


def test_failures_are_told_by_what_is_like_them() -> None:
    """Failed sign-ins are nobody's act: the timeline is the tries from the same address, with no actor named."""
    tries = [sign_in(None, n / 2, outcome="Failure", sourceIPAddress="192.0.2.9") for n in range(14)]
    trail = [*TRAIL, *tries, sign_in(None, 3, outcome="Failure", sourceIPAddress="192.0.2.10")]
    found = the(findings(trail), "console-login-failures")
    assert found.actor.arn is None
    timeline = timeline_of(found, [], events_of(trail))
    assert [(step.source_ip, step.actor) for step in timeline.events] == [("192.0.2.9", None)] * 14
    assert sum(step.is_evidence for step in timeline.events) == 10


def test_a_lineage_begins_with_the_origin(finding: Finding) -> None:
    """Where a lineage no longer leads back to the origin that the finding names, the origin is put before it."""
    known = replace(finding, actor=ActorView(finding.actor.arn, "workload", ERIN["arn"]))
    assert [hop.arn for hop in rooted(alone(known), known)] == [ERIN["arn"], finding.actor.arn]
    whole = [Hop(ERIN["arn"], "user", "", None, None, "human"), *alone(known)]
    assert rooted(whole, known) == whole
    assert rooted(alone(finding), replace(finding, actor=ActorView(finding.actor.arn, None, None))) == alone(finding)
    assert rooted([], known) == []


def test_a_finding_is_chosen_by_its_beginning(finding: Finding) -> None:
    """One match is it; none and several are refused with candidates by name, a handful at most."""
    others = [replace(finding, finding_id=f"abcdef{n}" + "0" * 25, title=f"no. {n}") for n in range(7)]
    assert choose([finding, *others], finding.finding_id[:6]) is finding
    assert choose([finding, *others], "abcdef3") is others[3]
    with pytest.raises(LookupError, match=r"abcdef begins the ids of 7 findings: abcdef000000 no. 0; .* no. 4; \.\.\."):
        choose(others, "abcdef")
    with pytest.raises(LookupError, match=r"no finding 123456 among the 1 of the trail: [0-9a-f]{12} Machine role web"):
        choose([finding], "123456")
    with pytest.raises(LookupError, match="none at all"):
        choose([], "123456")


def test_a_chain_and_its_parts_name_each_other(finding: Finding, events: list[Event]) -> None:
    """A part names its chain, a chain its parts; the detector's runbook, gaps and techniques stand beside them."""
    chain = replace(finding, finding_id="c" * 32)
    part = replace(finding, part_of="c" * 32)
    told = explain(part, [chain, part], alone(part), events)
    assert told.chain is not None
    assert (told.chain.finding_id, told.parts) == ("c" * 32, [])
    assert [each.finding_id for each in explain(chain, [chain, part], [], events).parts] == [part.finding_id]
    assert told.what_to_do.startswith("Ask the person")
    assert told.known_gaps
    assert [(each.id, each.name) for each in told.attack] == [("T1078.004", "Cloud Accounts")]


def test_many_stories_are_told_in_one_pass() -> None:
    """Told together, stories are what each is alone; the events are gone through once."""
    trail = [*TRAIL, *(sign_in(None, n / 2, outcome="Failure", sourceIPAddress="192.0.2.9") for n in range(14))]
    found = findings(trail)
    assert len(found) >= 3
    lineages = {each.finding_id: alone(each) for each in found if each.actor.arn is not None}
    together = explain_each(found, found, lineages, iter(events_of(trail)))
    assert together == [explain(each, found, lineages.get(each.finding_id, []), events_of(trail)) for each in found]
