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
    (told,) = explain_each([finding], findings, {finding.finding_id: lineage}, events)
    return told


def explain_each(
    chosen: list[Finding], findings: list[Finding], lineages: dict[str, list[Hop]], events: Iterable[Event]
) -> list[Explanation]:
    """Tell the stories of some of a trail's findings, in the order given; its events are gone through once for all."""
    by_id = {each.finding_id: each for each in findings}
    parts: dict[str, list[Finding]] = {}
    for each in findings:
        if each.part_of is not None:
            parts.setdefault(each.part_of, []).append(each)
    around = [
        _Around(each, rooted(lineages.get(each.finding_id, []), each), parts.get(each.finding_id, ()))
        for each in chosen
    ]
    _gather(around, events)
    return [_explained(each, by_id.get(each.finding.part_of or "")) for each in around]


def _explained(around: _Around, chain: Finding | None) -> Explanation:
    finding = around.finding
    detector = next(each for each in REGISTRY if each.name == finding.detector)
    return Explanation(
        finding=finding,
        lineage=around.lineage,
        timeline=around.timeline(),
        chain=None if chain is None else _related(chain),
        parts=[_related(each) for each in around.parts],
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
    around = _Around(finding, lineage, parts)
    _gather([around], events)
    return around.timeline()


class _Around:
    """The events around one finding, as they are gathered: the nearest to the evidence stay, all are counted."""

    def __init__(self, finding: Finding, lineage: list[Hop], parts: Sequence[Finding]) -> None:
        self.finding = finding
        self.lineage = lineage
        self.parts = parts
        self.since, self.until = epoch(finding.opened_at) - HOUR_S, epoch(finding.updated_at) + HOUR_S
        self.evidence = {each.event_id for each in finding.evidence}
        self.hops = {hop.event_id for hop in lineage if hop.event_id is not None}
        self.actors = {hop.arn for hop in lineage} | {part.actor.arn for part in parts if part.actor.arn is not None}
        self.alike = {(each.event_source, each.event_name, each.source_ip) for each in finding.evidence}
        self._instants = [epoch(each.event_time) for each in finding.evidence]
        self._known: set[tuple[int, str]] = set()
        self._nearest: list[tuple[int, int, int, str, Step]] = []  # a heap: the farthest from the evidence first

    def take(self, event: Event) -> None:
        """Add an event that belongs here by what it is, if it does so by its time."""
        is_hop = event.event_id in self.hops
        key = (event.at, event.event_id)
        if not (is_hop or self.since <= event.at <= self.until) or key in self._known:
            return
        self._known.add(key)
        is_evidence = cut(event.event_id) in self.evidence
        distance = min((abs(event.at - instant) for instant in self._instants), default=0)
        nearness = 1 if is_hop or is_evidence else -distance
        item = (nearness, -event.at, -event.rank, event.event_id, _step(event, is_evidence=is_evidence))
        if len(self._nearest) < MAX_STEPS:
            heappush(self._nearest, item)
        else:
            heappushpop(self._nearest, item)

    def timeline(self) -> Timeline:
        """Give what was gathered, in order."""
        ordered = sorted(self._nearest, key=lambda item: (-item[1], -item[2], item[3]))
        return Timeline(iso(self.since), iso(self.until), len(self._known), [step for *_, step in ordered])


def _gather(arounds: list[_Around], events: Iterable[Event]) -> None:
    """Hand each event to those that it may belong to: looked up, for a trail is long and findings are many."""
    by_event: dict[str, set[int]] = {}
    by_actor: dict[str, set[int]] = {}
    by_alike: dict[tuple[str | None, ...], set[int]] = {}
    for number, around in enumerate(arounds):
        for keys, index in ((around.evidence | around.hops, by_event), (around.actors, by_actor)):
            for key in keys:
                index.setdefault(key, set()).add(number)
        for alike in around.alike:
            by_alike.setdefault(alike, set()).add(number)
    for event in events:
        actor, id_ = event.actor, event.event_id
        numbers = by_event.get(id_, _NOBODY) | by_event.get(cut(id_), _NOBODY)
        if actor is not None:
            numbers |= by_actor.get(actor.session_arn, _NOBODY)
        like = (event.api.source, event.call.event_name, event.caller.source_ip_address)
        numbers |= {
            number
            for number in by_alike.get(like, _NOBODY)
            if event.is_failed or arounds[number].finding.actor.arn is None
        }
        for number in numbers:
            arounds[number].take(event)


_NOBODY: Final = frozenset[int]()


def _step(event: Event, *, is_evidence: bool) -> Step:
    call, caller = event.call, event.caller
    return Step(
        event_time=iso(event.at),
        event_id=cut(event.event_id),
        event_source=cut(event.api.source),
        event_name=cut(call.event_name or ""),
        source_ip=caller.source_ip_address and cut(caller.source_ip_address),
        user_agent=caller.user_agent and cut(caller.user_agent),
        region=call.aws_region and cut(call.aws_region),
        error_code=cut(call.error_code or "failed") if event.is_failed else None,
        actor=event.actor.session_arn if event.actor and not event.facts & Facts.SIGN_IN_FAILED else None,
        is_evidence=is_evidence,
    )


def _related(finding: Finding) -> Related:
    return Related(finding.finding_id, finding.detector, finding.severity, finding.opened_at, finding.title)


def _listed(findings: list[Finding]) -> str:
    """Name a few findings, by as much of their ids as tells them apart."""
    some = "; ".join(f"{each.finding_id[:12]} {each.title}" for each in findings[:MAX_CANDIDATES])
    return some if len(findings) <= MAX_CANDIDATES else f"{some}; ..."
