"""A key is switched off, and sessions that it issued go on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from models.detector import Desk, Detector, Family, OutlivedState, runbook_address
from models.finding import ChainStage, Draft, EntityRef, Exhibits, Severity, cut, one_line


class SessionOutlivesKey(Detector[OutlivedState], frozen=True, kw_only=True):
    """One finding per key. Low where the owner replaced the key: then its own sessions run out by themselves."""

    name: ClassVar[str] = "session-outlives-key"
    summary: ClassVar[str] = (
        "sessions that were issued with a key (GetSessionToken, GetFederationToken, AssumeRole) go on after the key is "
        "disabled or deleted; low where its owner did that, as in a rotation"
    )
    family: ClassVar[Family] = "incidents"
    desk: ClassVar[Desk] = "incidents"
    folds: ClassVar[Literal["stages", "sessions"]] = "sessions"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1550.001", "T1078.004")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "Sessions two roles away from the key. Sessions issued before the trail begins. The first quarter of an hour after "
        "the key is off; of what follows, each quarter's first call stands for the rest."
    )
    runbook: ClassVar[str] = (
        "Disabling a key ends no session that it issued. Attach a policy to the user (and to each role assumed) that denies "
        "all to sessions issued before now (aws:TokenIssueTime), as the console's Revoke active sessions does for roles; "
        "then look at what the sessions did since."
    )

    def fold(self, state: OutlivedState) -> Iterable[Draft]:
        """Yield a draft for a session that goes on."""
        switch, edge, seen = state.switch, state.edge, state.sighting
        is_by_owner = switch.by is not None and switch.by == switch.owner
        owner = cut(switch.owner.rsplit("/", 1)[-1])
        session = cut(seen.who.arn or "a session")
        yield Draft(
            detector=self.name,
            entity=EntityRef(switch.owner, switch.owner_type),
            subject=switch.key_id,
            at=seen.who.at,
            severity=Severity.LOW if is_by_owner else self.severity,
            account_id=switch.account_id,
            actor=seen.who,
            chain_stage=self.chain_stage,
            title=one_line(f"A session of {owner}'s {switch.how} key goes on"),
            summary=(
                f"Key {cut(switch.key_id)} of {owner} was {switch.how}{f' by {cut(switch.by)}' if switch.by else ''}, but "
                f"{session}, which it issued ({cut(edge.how)}), goes on: a session lasts until it runs out, whatever "
                "becomes of the key. Whoever held the key may hold on to its sessions."
            ),
            seen={
                "session": session,
                "issued_by": cut(edge.how),
                "key": switch.how,
                "by": switch.by and cut(switch.by),
            },
            expected={"sessions": 0},
            exhibits=Exhibits(1, [seen.evidence]),
            maturity=seen.maturity,
            coverage_since=seen.coverage_since,
            attack=self.attack,
            runbook=runbook_address(self.name),
        )
