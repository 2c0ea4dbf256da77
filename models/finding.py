"""Drafts and findings: what a detector says of one event, and what becomes of all it said of one matter."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from operator import attrgetter
from typing import Any, Final, Literal

from msgspec import Struct

from models.event import Event
from models.facts import BEGINS_WITH_ITSELF
from models.record import UserIdentity, iso

Stage = Literal["live", "shadow"]
Status = Literal["open", "updated", "closed"]
CloseReason = Literal["quiet", "resolved", "superseded", "accepted"]
Maturity = Literal["none", "learning", "mature"]
ChainStage = Literal["initial access", "discovery", "persistence", "escalation", "evasion", "exfiltration"]
Class = Literal["human", "workload", "service", "agent", "unknown"]

MAX_EVIDENCE: Final = 10  # the first and the last nine, by time and event id
MAX_AFFECTED: Final = 10
MAX_TITLE: Final = 120
MAX_VALUE: Final = 512  # characters of an event's own strings in titles, summaries and values


class Severity(IntEnum):
    """How urgent a finding is; ordered, so that the highest in force is the maximum."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """The severity as it is written in records and settings."""
        return self.name.lower()

    @classmethod
    def parse(cls, label: str) -> Severity:
        """Read a severity's name; raises ValueError that lists the names."""
        try:
            return cls[label.upper()]
        except KeyError:
            raise ValueError(f"{label!r} is no severity: {', '.join(each.label for each in reversed(cls))}") from None


class Evidence(Struct, frozen=True, gc=False):
    """One event that supports a finding."""

    event_id: str
    event_time: str
    event_source: str
    event_name: str
    source_ip: str | None
    user_agent: str | None
    region: str | None


_by_time = attrgetter("event_time", "event_id")


class Exhibits(Struct):
    """Events in evidence, kept bounded: the first and the last nine, and the count of all."""

    count: int = 0
    kept: list[Evidence] = []  # at most MAX_EVIDENCE, sorted

    def add(self, more: list[Evidence], count: int) -> None:
        """Take in further evidence, in whatever order it comes; count says how many events it stands for."""
        self.count += count
        kept = self.kept
        if len(more) == 1 and kept and _by_time(more[0]) > _by_time(kept[-1]):  # as nearly every event comes
            kept.append(more[0])
            if len(kept) > MAX_EVIDENCE:
                del kept[1]
            return
        merged = sorted({*self.kept, *more}, key=_by_time)
        self.kept = merged if len(merged) <= MAX_EVIDENCE else [merged[0], *merged[1 - MAX_EVIDENCE :]]


class EntityRef(Struct, frozen=True):
    """Whom or what a finding is about."""

    arn: str
    type: str


class Who(Struct, frozen=True):
    """Who did it, with all that leads back to the root: key, time, and what the event itself says of the origin."""

    arn: str | None = None  # a role session's STS ARN, else the entity's
    entity_arn: str | None = None
    type: str | None = None
    key: str | None = None
    at: int = 0
    is_root: bool = False  # begins with itself: no edge leads further back
    origin: str | None = None  # as AWS carries it along: source identity, Identity Center user


class Draft(Struct, kw_only=True):
    """What a detector says of one event; the incidents desk folds the drafts of one id into a finding."""

    detector: str
    entity: EntityRef
    subject: str | None
    at: int  # event time of what made the detector speak, seconds since 1970
    severity: Severity
    stage: Stage = "live"
    quiet_s: int | None = None  # closes after so long without evidence; None: a condition, closed by an event
    account_id: str | None
    actor: Who
    chain_stage: ChainStage | None = None
    title: str
    summary: str
    seen: dict[str, Any]
    expected: dict[str, Any]
    exhibits: Exhibits
    affected: list[str] = []
    affected_count: int = 1
    maturity: Maturity
    coverage_since: int
    attack: tuple[str, ...]
    runbook: str
    p_value: float | None = None  # of a learned score: only the least likely pass, so many a week
    per_week: float = 0.0
    born_at: int | None = None  # came true by time alone, at this instant: the evidence is of what it is true of
    closes: CloseReason | None = None  # a closing draft is no evidence
    is_attempt: bool = False  # denied: an incident, whatever the life of its detector
    parts: tuple[str, ...] = ()  # of a chain: the ids of its findings

    @property
    def finding_id(self) -> str:
        """The id of the matter: the same for every draft of it."""
        return finding_id(self.detector, self.entity.arn, self.subject)


def finding_id(detector: str, entity_arn: str, subject: str | None) -> str:
    """Hash detector, entity and subject into the 32 hex digits that name one matter for good."""
    parts = (detector, entity_arn, subject or "")
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class EntityView(Struct, frozen=True, rename={"class_": "class"}):
    """The entity of a finding, with its class at the last change; class null for what does not act."""

    arn: str
    type: str
    class_: Class | None
    class_tier: int | None


class ActorView(Struct, frozen=True, rename={"class_": "class"}):
    """The actor of a finding."""

    arn: str | None
    class_: Class | None
    origin: str | None


class Baseline(Struct, frozen=True):
    """How long the entity has been known, and since when there is coverage."""

    maturity: Maturity
    coverage_since: str


class Finding(Struct, kw_only=True):
    """One matter, at one change of it. The order of the fields is the order in which they are written."""

    finding_id: str
    revision: int
    detector: str
    stage: Stage
    severity: str
    status: Status
    close_reason: CloseReason | None
    opened_at: str
    updated_at: str
    account_id: str | None
    part_of: str | None
    entity: EntityView
    subject: str | None
    actor: ActorView
    title: str
    summary: str
    seen: dict[str, Any]
    expected: dict[str, Any]
    evidence: list[Evidence]
    evidence_count: int
    affected_count: int
    affected: list[str]
    baseline: Baseline
    attack: tuple[str, ...]
    runbook: str


def evidence_of(event: Event) -> Evidence:
    """Take from an event what a finding shows of it."""
    call, caller = event.call, event.caller
    return Evidence(
        event_id=cut(event.event_id),
        event_time=iso(event.at),
        event_source=cut(event.api.source),
        event_name=cut(call.event_name or ""),
        source_ip=caller.source_ip_address and cut(caller.source_ip_address),
        user_agent=caller.user_agent and cut(caller.user_agent),
        region=call.aws_region and cut(call.aws_region),
    )


def who(event: Event, session_facts: int = 0) -> Who:
    """Name who acts; ``session_facts`` is what the acting session has shown so far."""
    actor = event.actor
    if actor is None:
        return Who()
    identity = event.identity
    is_root = actor.type != "role" or (event.facts | session_facts) & BEGINS_WITH_ITSELF != 0
    return Who(
        arn=actor.session_arn,
        entity_arn=actor.arn,
        type=actor.type,
        key=identity.access_key_id if identity else None,
        at=event.at,
        is_root=is_root,
        origin=None if is_root else _carried_origin(identity),
    )


def doer(event: Event) -> str:
    """Name who acts, for a sentence."""
    return cut(event.actor.session_arn if event.actor else "somebody")


def _carried_origin(identity: UserIdentity | None) -> str | None:
    if identity is None:
        return None
    if (behalf := identity.on_behalf_of) is not None and behalf.user_id:
        return f"{behalf.identity_store_arn or 'identity-center'}/{behalf.user_id}"
    return identity.session_context.source_identity if identity.session_context else None


def one_line(title: str) -> str:
    """Keep a title within its length, the middle left out."""
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE // 2]}…{title[1 - MAX_TITLE // 2 :]}"


def cut(text: str, length: int = MAX_VALUE) -> str:
    """Keep a string of an event within bounds, the middle left out."""
    return text if len(text) <= length else f"{text[: length // 2 - 1]}…{text[-(length // 2) :]}"
