"""One finding's story: who stands behind it, what happened around it, and what to do.

A finding keeps ten events; its surroundings are picked out of the trail's events, read a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush, heappushpop
from typing import Final

from msgspec import Struct

from models.attack import Named, tactic, technique
from models.detectors import REGISTRY
from models.event import Event
from models.facts import Facts
from models.finding import Finding, cut
from models.incidents.lineage import Hop
from models.record import epoch, iso

HOUR_S: Final = 3_600  # looked at before the first evidence and after the last
MAX_STEPS: Final = 50  # rows of a timeline: those nearest to the evidence stay
MAX_CANDIDATES: Final = 5  # findings named where the one asked for is not there, or is several


class Step(Struct, frozen=True):
    """One event of the timeline."""

    event_time: str
    event_id: str
    event_source: str
    event_name: str
    source_ip: str | None
    user_agent: str | None
    region: str | None
    error_code: str | None
    actor: str | None  # null where a sign-in failed: that is nobody's act
    is_evidence: bool


class Timeline(Struct, frozen=True):
    """What happened around a finding; event_count counts also what was left out."""

    since: str
    until: str
    event_count: int
    events: list[Step]


class Related(Struct, frozen=True):
    """Another finding of the same chain."""

    finding_id: str
    detector: str
    severity: str
    opened_at: str
    title: str


class Technique(Struct, frozen=True):
    """An ATT&CK technique that the detector stands for, with the tactic it serves here."""

    id: str
    name: str
    tactic: Named | None


class Explanation(Struct, frozen=True):
    """All there is to say of one finding. The order of the fields is the order in which they are written."""

    finding: Finding
    lineage: list[Hop]  # the root first, who did it last; empty where nobody is known
    timeline: Timeline
    chain: Related | None
    parts: list[Related]
    attack: list[Technique]
    what_to_do: str
    known_gaps: str


def choose(findings: list[Finding], prefix: str) -> Finding:
    """Find the one finding whose id begins so; raises LookupError that names candidates."""
    matching = [each for each in findings if each.finding_id.startswith(prefix)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise LookupError(f"{prefix} begins the ids of {len(matching)} findings: {_listed(matching)}")
    if not findings:
        raise LookupError(f"no finding {prefix}: the trail has none at all")
    raise LookupError(f"no finding {prefix} among the {len(findings)} of the trail: {_listed(findings)}")


def explain(finding: Finding, findings: list[Finding], lineage: list[Hop], events: Iterable[Event]) -> Explanation:
    """Tell a finding's story, with all findings of the trail and its events in any order."""
    lineage = rooted(lineage, finding)
    detector = next(each for each in REGISTRY if each.name == finding.detector)
    parts = [each for each in findings if each.part_of == finding.finding_id]
    chain = next((each for each in findings if each.finding_id == finding.part_of), None)
    return Explanation(
        finding=finding,
        lineage=lineage,
        timeline=timeline_of(finding, lineage, events, parts),
        chain=None if chain is None else _related(chain),
        parts=[_related(each) for each in parts],
        attack=[Technique(id_, technique(id_).name, tactic(id_, detector.chain_stage)) for id_ in finding.attack],
        what_to_do=detector.runbook,
        known_gaps=detector.known_gaps,
    )


def rooted(lineage: list[Hop], finding: Finding) -> list[Hop]:
    """Begin a lineage with the origin that the finding names, should it not lead back so far."""
    origin = finding.actor.origin
    if not lineage or origin is None or lineage[0].arn == origin:
        return lineage
    return [Hop(origin, "unknown", "", None, None, "unknown"), *lineage]


def timeline_of(
    finding: Finding, lineage: list[Hop], events: Iterable[Event], parts: Sequence[Finding] = ()
) -> Timeline:
    """Pick the events around a finding out of a trail in any order, each once.

    They are those of the actor's own session, of whoever stands behind it in the lineage or did a part of the chain,
    those in evidence, and of failures, which are nobody's act, the ones like the evidence: the same call from the same
    address.
    """
    since, until = epoch(finding.opened_at) - HOUR_S, epoch(finding.updated_at) + HOUR_S
    evidence = {each.event_id for each in finding.evidence}
    instants = [epoch(each.event_time) for each in finding.evidence]
    alike = {(each.event_source, each.event_name, each.source_ip) for each in finding.evidence}
    hops = {hop.event_id for hop in lineage if hop.event_id is not None}
    actors = {hop.arn for hop in lineage} | {part.actor.arn for part in parts if part.actor.arn is not None}

    def belongs(event: Event) -> bool:
        if event.event_id in hops or cut(event.event_id) in evidence:
            return True
        if event.actor is not None and event.actor.session_arn in actors:
            return True
        record = event.record
        return (finding.actor.arn is None or event.is_failed) and (
            event.api.source,
            record.event_name,
            record.source_ip_address,
        ) in alike

    known: set[tuple[int, str]] = set()
    nearest: list[tuple[int, int, int, str, Step]] = []  # a heap: the farthest from the evidence first
    for event in events:
        if not (since <= event.at <= until or event.event_id in hops) or not belongs(event):
            continue
        if (event.at, event.event_id) in known:
            continue
        known.add((event.at, event.event_id))
        distance = min((abs(event.at - instant) for instant in instants), default=0)
        is_evidence = cut(event.event_id) in evidence
        is_needed = is_evidence or event.event_id in hops
        step = _step(event, is_evidence=is_evidence)
        item = (1 if is_needed else -distance, -event.at, -event.rank, event.event_id, step)
        if len(nearest) < MAX_STEPS:
            heappush(nearest, item)
        else:
            heappushpop(nearest, item)
    ordered = sorted(nearest, key=lambda item: (-item[1], -item[2], item[3]))
    return Timeline(iso(since), iso(until), len(known), [step for *_, step in ordered])


def _step(event: Event, *, is_evidence: bool) -> Step:
    record = event.record
    return Step(
        event_time=iso(event.at),
        event_id=cut(event.event_id),
        event_source=cut(event.api.source),
        event_name=cut(record.event_name or ""),
        source_ip=record.source_ip_address and cut(record.source_ip_address),
        user_agent=record.user_agent and cut(record.user_agent),
        region=record.aws_region and cut(record.aws_region),
        error_code=cut(record.error_code or "failed") if event.is_failed else None,
        actor=event.actor.session_arn if event.actor and not event.facts & Facts.SIGN_IN_FAILED else None,
        is_evidence=is_evidence,
    )


def _related(finding: Finding) -> Related:
    return Related(finding.finding_id, finding.detector, finding.severity, finding.opened_at, finding.title)


def _listed(findings: list[Finding]) -> str:
    """Name a few findings, by as much of their ids as tells them apart."""
    some = "; ".join(f"{each.finding_id[:12]} {each.title}" for each in findings[:MAX_CANDIDATES])
    return some if len(findings) <= MAX_CANDIDATES else f"{some}; ..."
