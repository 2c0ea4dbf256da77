"""What watches the account is switched off, or sees less."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import Desk, Detector, Family, GrantsState, Life
from models.event import Event, calls_in
from models.finding import ChainStage, Draft, Severity, cut, doer
from models.grants.guards import GUARD_CALLS, guarded, restored


class TrailTampering(Detector[GrantsState], frozen=True, kw_only=True):
    """A condition: it holds until what was switched off is on again. Growth and repair are silent."""

    name: ClassVar[str] = "trail-tampering"
    summary: ClassVar[str] = (
        "a trail, recorder, detector, flow or query log is stopped, deleted, or told to log less; medium where it goes "
        "on; a trail's bucket loses its files early, takes no more, or lets others in"
    )
    family: ClassVar[Family] = "guardrails"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.HIGH
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1562.008", "T1562.001")
    chain_stage: ClassVar[ChainStage | None] = "evasion"
    known_gaps: ClassVar[str] = (
        "Log groups that are deleted, keys that are disabled under a trail, features of a detector, its filters and lists. A "
        "trail's bucket is known by the trail's own calls, else by its name. A flow log, query log or "
        "event data store that is made again has another id: accept the finding of the old one."
    )
    runbook: ClassVar[str] = (
        "Switch it on again first. Then find out who did it and why: without it nobody sees what comes next. Look at what "
        "the same session did before, and at the gap: other trails, the organisation's trail, service logs."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = calls_in(GUARD_CALLS)

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Yield a draft for what stops or sees less, a closing for what is restored."""
        if (found := guarded(event, state.account)) is None or (event.is_failed and not event.is_denied):
            return
        if found.effect == "restores":
            if not event.is_failed:
                for entity in restored(found, state.account):
                    yield self.closing(entity, None, event.at)
            return
        name = cut(found.entity.arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1])
        kind = found.entity.type.replace("-", " ")
        by = doer(event)
        denied = event.is_denied
        severity = Severity.HIGH if found.effect == "stops" else Severity.MEDIUM
        yield self.draft(
            event,
            state,
            entity=found.entity,
            subject=None,
            title=f"{'Denied: ' if denied else ''}{kind} {name} {found.words}",
            summary=(
                f"{by} {'tried' if denied else 'made'} {event.api.name} on {kind} {name}: it {found.words}. What happens "
                "from now on may leave no record."
            ),
            seen={"api": event.api.name, "effect": cut(found.words), "is_denied": denied},
            expected={"effect": "none"},
            severity=Severity.LOW if denied else severity,
            is_attempt=denied,
        )
