"""The life of a finding: drafts of one id folded, in event time, in whatever order they come.

opened_at is the earliest evidence, evidence the first and the last nine, severity the highest in force, the words
those of the newest draft that bears it. An incident closes by itself after quiet hours without evidence, at the
instant they are over; a condition closes by what ends it; either opens again with the same id when there is new
evidence, as severe as that is: what was over before is no longer in force.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from models.finding import (
    MAX_AFFECTED,
    ActorView,
    Baseline,
    Class,
    CloseReason,
    Draft,
    EntityView,
    Exhibits,
    Finding,
    Severity,
    Stage,
    Status,
    Who,
)
from models.record import epoch, iso

NEVER: Final = 1 << 62


class Closing(Struct, frozen=True):
    """What a finding names is no more, since a time."""

    at: int
    reason: CloseReason


class Matter(Struct, kw_only=True):
    """All that is known of one finding."""

    draft: Draft  # the newest of the highest severity: its words stand
    exhibits: Exhibits
    opened_at: int  # of the first evidence, or when time alone made it true
    updated_at: int  # of the last evidence, or opened_at where that is later
    drafted_at: int  # when a detector last spoke of it: later than the evidence, where proof came late
    severity: Severity
    stage: Stage
    quiet_s: int | None
    actor: Who
    origin: str | None = None
    revision: int = 1
    close_reason: CloseReason | None = None
    closing: Closing | None = None  # the last one, whether evidence came after it or not
    is_accepted: bool = False  # all its drafts were suppressed
    emitted_count: int
    entity_class: Class | None = None  # at the last change; None for what does not act
    entity_tier: int | None = None
    actor_class: Class | None = None
    part_of: str | None = None
    waits_for: tuple[str, ...] = ()  # nodes of its lineage, an edge to which may change the origin
    root: str | None = None  # of the lineage that it is, or was, grouped under as a stage

    @property
    def closes_at(self) -> int:
        """When it closes by itself if nothing more is seen."""
        if self.close_reason is not None or self.quiet_s is None:
            return NEVER
        return self.drafted_at + self.quiet_s

    @property
    def closed_at(self) -> int:
        """Since when it has been closed; NEVER while it is open."""
        if self.close_reason is None:
            return NEVER
        return max(self.drafted_at + (self.quiet_s or 0), self.closing.at if self.closing else -NEVER)

    def reason_at(self, now: int) -> CloseReason | None:
        """Say why it is closed at a time, if it is."""
        if self.is_accepted:
            return "accepted"
        if self.closing is not None and self.closing.at >= self.drafted_at:
            return self.closing.reason
        if self.quiet_s is not None and self.drafted_at + self.quiet_s <= now:
            return "quiet"
        return None

    def _is_over(self, at: int) -> bool:
        """Say whether all that was known before was over by a time: ended, or quiet for long enough."""
        if self.closing is not None and self.drafted_at <= self.closing.at < at:
            return True
        return self.quiet_s is not None and self.drafted_at + self.quiet_s <= at

    def add(self, draft: Draft) -> bool:
        """Add a draft's evidence; says whether severity changed or the evidence has doubled."""
        self.exhibits.add(draft.exhibits.kept, draft.exhibits.count)
        before = self.severity
        if self._is_over(draft.at) or (draft.severity, draft.at) >= (self.severity, self.draft.at):
            self.draft, self.actor, self.severity = draft, draft.actor, draft.severity
            self.quiet_s = draft.quiet_s
        self.drafted_at = max(self.drafted_at, draft.at)
        opened_at, updated_at = _span(draft)
        self.opened_at, self.updated_at = min(opened_at, self.opened_at), max(updated_at, self.updated_at)
        return self.severity != before or self.exhibits.count >= 2 * self.emitted_count

    def replace(self, draft: Draft) -> bool:
        """Take a draft that holds the whole matter for what there is; says whether it is news."""
        is_news = draft.exhibits != self.exhibits or draft.severity != self.severity
        self.draft, self.actor, self.severity = draft, draft.actor, draft.severity
        self.exhibits = draft.exhibits
        self.opened_at, self.updated_at = _span(draft)
        self.drafted_at = draft.at
        return is_news

    def finding(self, finding_id: str) -> Finding:
        """Write its present state."""
        draft, who = self.draft, self.actor
        status: Status = "closed" if self.close_reason else "updated" if self.revision > 1 else "open"
        return Finding(
            finding_id=finding_id,
            revision=self.revision,
            detector=draft.detector,
            stage=self.stage,
            severity=self.severity.label,
            status=status,
            close_reason=self.close_reason,
            opened_at=iso(self.opened_at),
            updated_at=iso(self.updated_at),
            account_id=draft.account_id,
            part_of=self.part_of,
            entity=EntityView(draft.entity.arn, draft.entity.type, self.entity_class, self.entity_tier),
            subject=draft.subject,
            actor=ActorView(who.arn, self.actor_class, self.origin),
            title=draft.title,
            summary=draft.summary,
            seen=draft.seen,
            expected=draft.expected,
            evidence=self.exhibits.kept.copy(),
            evidence_count=self.exhibits.count,
            affected_count=draft.affected_count,
            affected=draft.affected[:MAX_AFFECTED],
            baseline=Baseline(draft.maturity, iso(draft.coverage_since)),
            attack=draft.attack,
            runbook=draft.runbook,
        )


def opened(draft: Draft) -> Matter:
    """Make the matter that a first draft opens."""
    opened_at, updated_at = _span(draft)
    return Matter(
        draft=draft,
        exhibits=draft.exhibits,
        opened_at=opened_at,
        updated_at=updated_at,
        drafted_at=draft.at,
        severity=draft.severity,
        stage=draft.stage,
        quiet_s=draft.quiet_s,
        actor=draft.actor,
        emitted_count=draft.exhibits.count,
    )


def _span(draft: Draft) -> tuple[int, int]:
    """Say from when to when a draft speaks: of its evidence, or of the instant at which time alone made it true."""
    if draft.born_at is not None:
        return draft.born_at, draft.born_at
    kept = draft.exhibits.kept
    return epoch(kept[0].event_time), epoch(kept[-1].event_time)
