"""The life of a finding: drafts of one id folded, in event time, in whatever order they come.

opened_at is the earliest evidence, evidence the first and the last nine, severity the highest in force, the words
those of the newest draft that bears it. An incident closes by itself after quiet hours without evidence, at the
instant they are over; it opens again with the same id when there is new evidence.
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


class Matter(Struct, kw_only=True):
    """All that is known of one finding."""

    draft: Draft  # the newest of the highest severity: its words stand
    exhibits: Exhibits
    opened_at: int  # of the first evidence
    updated_at: int  # of the last
    drafted_at: int  # when a detector last spoke of it: later than the evidence, where proof came late
    severity: Severity
    stage: Stage
    quiet_s: int | None
    actor: Who
    revision: int = 1
    close_reason: CloseReason | None = None
    emitted_count: int

    @property
    def closes_at(self) -> int:
        """When it closes by itself if nothing more is seen."""
        if self.close_reason is not None or self.quiet_s is None:
            return NEVER
        return self.drafted_at + self.quiet_s


class IncidentsDesk:
    """Folds drafts into findings and keeps their life. State: a matter for each id, and the classes of entities."""

    def __init__(self) -> None:
        self.matters: dict[str, Matter] = {}
        self.classes: dict[str, tuple[Class, int | None]] = {}

    def fold(self, draft: Draft) -> None:
        """Take in one draft: open its matter, add to it, or close it."""
        matter = self.matters.get(key := draft.finding_id)
        if matter is None:
            if draft.closes is None:
                self.matters[key] = _opened(draft)
            return
        if draft.closes is not None:
            _close(matter, draft.closes)
            return
        if draft.at >= matter.closes_at:
            _close(matter, "quiet")
        if matter.close_reason is not None and draft.at > matter.drafted_at:
            matter.close_reason = None
            matter.revision += 1
            matter.emitted_count = matter.exhibits.count + draft.exhibits.count
        _add(matter, draft)

    def learn_class(self, arn: str, class_: Class, tier: int | None) -> None:
        """Note what an entity turned out to be."""
        self.classes[arn] = (class_, tier)

    def tick(self, now: int) -> None:
        """Close what has been quiet long enough at `now`."""
        for matter in self.matters.values():
            if matter.closes_at <= now:
                _close(matter, "quiet")

    def findings(self) -> list[Finding]:
        """List all findings in their present state, by the time they opened, then by id."""
        ordered = sorted(self.matters.items(), key=lambda item: (item[1].opened_at, item[0]))
        return [self._finding(key, matter) for key, matter in ordered]

    def _finding(self, key: str, matter: Matter) -> Finding:
        draft, who = matter.draft, matter.actor
        class_: Class | None = None
        tier: int | None = None
        if draft.entity.type in _ACTING:
            class_, tier = self.classes.get(draft.entity.arn, ("unknown", None))
        actor_class = self.classes.get(who.entity_arn, ("unknown", None))[0] if who.entity_arn else None
        status: Status = "closed" if matter.close_reason else "updated" if matter.revision > 1 else "open"
        return Finding(
            finding_id=key,
            revision=matter.revision,
            detector=draft.detector,
            stage=matter.stage,
            severity=matter.severity.label,
            status=status,
            close_reason=matter.close_reason,
            opened_at=iso(matter.opened_at),
            updated_at=iso(matter.updated_at),
            account_id=draft.account_id,
            part_of=None,
            entity=EntityView(draft.entity.arn, draft.entity.type, class_, tier),
            subject=draft.subject,
            actor=ActorView(who.arn, actor_class, who.origin),
            title=draft.title,
            summary=draft.summary,
            seen=draft.seen,
            expected=draft.expected,
            evidence=matter.exhibits.kept,
            evidence_count=matter.exhibits.count,
            affected_count=draft.affected_count,
            affected=draft.affected[:MAX_AFFECTED],
            baseline=Baseline(draft.maturity, iso(draft.coverage_since)),
            attack=draft.attack,
            runbook=draft.runbook,
        )


# What acts, and so has a class; an account, a bucket, a policy has none.
_ACTING: Final = frozenset(
    {
        "user",
        "role",
        "root",
        "federated-user",
        "saml-subject",
        "web-identity-subject",
        "identity-center-user",
        "service",
    }
)


def _opened(draft: Draft) -> Matter:
    return Matter(
        draft=draft,
        exhibits=draft.exhibits,
        opened_at=epoch(draft.exhibits.kept[0].event_time),
        updated_at=epoch(draft.exhibits.kept[-1].event_time),
        drafted_at=draft.at,
        severity=draft.severity,
        stage=draft.stage,
        quiet_s=draft.quiet_s,
        actor=draft.actor,
        emitted_count=draft.exhibits.count,
    )


def _add(matter: Matter, draft: Draft) -> None:
    """Add a draft's evidence; count a revision where severity or origin changes, or the evidence has doubled."""
    matter.exhibits.add(draft.exhibits.kept, draft.exhibits.count)
    was = matter.severity, matter.actor.origin
    if (draft.severity, draft.at) >= (matter.severity, matter.draft.at):
        matter.draft, matter.actor, matter.severity = draft, draft.actor, draft.severity
    kept = matter.exhibits.kept
    matter.opened_at, matter.updated_at = epoch(kept[0].event_time), epoch(kept[-1].event_time)
    matter.drafted_at = max(matter.drafted_at, draft.at)
    if (matter.severity, matter.actor.origin) != was or matter.exhibits.count >= 2 * matter.emitted_count:
        matter.revision += 1
        matter.emitted_count = matter.exhibits.count


def _close(matter: Matter, reason: CloseReason) -> None:
    if matter.close_reason is None:
        matter.close_reason = reason
        matter.revision += 1
