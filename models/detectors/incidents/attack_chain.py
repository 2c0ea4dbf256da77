"""Findings of one lineage that are stages of one intrusion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from msgspec import Meta

from models.detector import Desk, Detector, Family, IncidentsState, runbook_address
from models.finding import MAX_AFFECTED, Draft, Exhibits, Severity, cut, one_line
from models.incidents.chain import Part, chains

HOUR_S = 3_600
MAX_LISTED = 50  # parts named in `seen`; the earliest


class AttackChain(Detector[IncidentsState], frozen=True, kw_only=True):
    """One finding for each chain, about its earliest part; recomputed from all its parts whenever one changes."""

    name: ClassVar[str] = "attack-chain"
    summary: ClassVar[str] = (
        "three distinct stages of one lineage within 24 h: findings that lead back to the same person or machine"
    )
    family: ClassVar[Family] = "incidents"
    desk: ClassVar[Desk] = "incidents"
    severity: ClassVar[Severity] = Severity.CRITICAL
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    known_gaps: ClassVar[str] = (
        "Stages further apart than the window, or done under identities that no recorded event links. Stages that no "
        "detector knows."
    )
    runbook: ClassVar[str] = (
        "Treat it as one intrusion: contain the identity at the root (end its sessions, disable its keys, reset its "
        "password) before those further down, then go through the parts in time order and undo what each of them made. "
        "Look at everything that the sessions of the lineage did between the first part and now."
    )
    order_free: ClassVar[bool] = True

    min_distinct_stages: Annotated[int, Meta(ge=2, le=6)] = 3
    window_hours: Annotated[int, Meta(ge=1, le=24 * 7)] = 24

    def fold(self, state: IncidentsState) -> Iterable[Draft]:
        """Yield each chain that the stages of one lineage make."""
        for chain in chains(state.parts, self.min_distinct_stages, self.window_hours * HOUR_S):
            yield self._draft(chain, state)

    def _draft(self, chain: list[Part], state: IncidentsState) -> Draft:
        first, stages = chain[0], list(dict.fromkeys(part.stage for part in chain))
        exhibits = Exhibits()
        for part in chain:
            exhibits.add([part.opening], 1)
        entities = list(dict.fromkeys(part.entity.arn for part in chain))
        root = cut(state.root.rsplit("/", 1)[-1])
        return Draft(
            detector=self.name,
            entity=first.entity,
            subject=first.finding_id,
            at=max(part.opened_at for part in chain),
            severity=self.severity,
            account_id=first.account_id,
            actor=first.actor,
            title=one_line(f"{root}: {', '.join(stages)}"),
            summary=(
                f"{len(chain)} findings lead back to {cut(state.root)}, and together they are {len(stages)} stages of an "
                f"intrusion: {', '.join(stages)}. It began with: {first.title}."
            ),
            seen={
                "root": cut(state.root),
                "stages": stages,
                "parts": [
                    {"finding_id": part.finding_id, "detector": part.detector, "stage": part.stage}
                    for part in chain[:MAX_LISTED]
                ],
            },
            expected={"distinct_stages": f"under {self.min_distinct_stages} in {self.window_hours} h"},
            exhibits=exhibits,
            affected=entities[:MAX_AFFECTED],
            affected_count=len(entities),
            maturity="mature",
            coverage_since=state.coverage_since,
            attack=self.attack,
            runbook=runbook_address(self.name),
            parts=tuple(part.finding_id for part in chain),
        )
