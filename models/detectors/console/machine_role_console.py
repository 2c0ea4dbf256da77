"""A machine's credentials are used from the AWS console."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.profile import MAX_PROOFS, Session
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import CONSOLE_MARKERS, WORKLOAD_PROOF, names
from models.finding import ChainStage, Draft, Exhibits, Severity, cut

_WATCHED: Final = frozenset({"role", "user"})


class MachineRoleConsole(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session; where the proof comes after the visit, it opens then, dated to the visit."""

    name: ClassVar[str] = "machine-role-console"
    summary: ClassVar[str] = (
        "a session of an entity with workload evidence outside that session shows a console marker: the console flag, "
        "a console client or CloudShell, a call by signin.amazonaws.com, ConsoleLogin, SwitchRole or GetSigninToken"
    )
    family: ClassVar[Family] = "console"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.HIGH
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "A console behind a proxy that rewrites user agents, in trails from before the console flag. Roles whose "
        "machine use the trail never shows. Roles of IAM Identity Center are people's by default and stay silent."
    )
    runbook: ClassVar[str] = (
        "Ask the person behind the session (actor.origin, else the address and the AssumeRole or SwitchRole before it) "
        "what the visit was for. If nobody owns up to it, treat the credentials as stolen: revoke the role's active "
        "sessions, look at all calls of the session, and at how the role's trust admits people. If it was a colleague, "
        "give people a role of their own and take them out of this one's trust policy."
    )
    facts: ClassVar[int] = CONSOLE_MARKERS
    new_facts: ClassVar[int] = WORKLOAD_PROOF

    min_workload_sessions: Annotated[int, Meta(ge=1, lt=MAX_PROOFS)] = 1

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Look at the event's own session, and at earlier visits where the event is the proof that was missing."""
        profile, session, needed = state.profile, state.session, self.min_workload_sessions
        if profile.type not in _WATCHED or profile.is_people_only:
            return
        if session and state.facts & CONSOLE_MARKERS and profile.proofs_outside(session) >= needed:
            yield self._draft(event, state, session, session.facts | state.facts)
        if not state.facts & WORKLOAD_PROOF:
            return
        for visited in profile.visited_sessions():
            known = profile.proofs_outside(visited)
            if known < needed <= known + self._gained(state, visited):
                yield self._draft(event, state, visited, visited.facts, visited.visit)

    def _gained(self, state: BehaviourState, visited: Session) -> int:
        """Count what the event's proof adds to what is known outside a visited session."""
        if state.session is None:  # configuration speaks for every session
            return self.min_workload_sessions
        return int(state.session is not visited and state.session.id not in state.profile.proofs)

    def _draft(
        self, event: Event, state: BehaviourState, session: Session, facts: int, exhibits: Exhibits | None = None
    ) -> Draft:
        profile = state.profile
        markers = names(facts & CONSOLE_MARKERS)
        name = profile.arn.rsplit("/", 1)[-1]
        what = "role" if profile.type == "role" else "user"
        address = event.caller.source_ip_address if exhibits is None else exhibits.kept[0].source_ip
        return self.draft(
            event,
            state,
            subject=session.id,
            title=f"Machine {what} {cut(name)} used from the console",
            summary=(
                f"Session {cut(session.name)} of {cut(name)} was used from the AWS console ({'; '.join(markers)})"
                f"{f', from {cut(address)}' if address else ''}. Everything else known of this {what} says that it is a "
                f"machine's: {'; '.join(names(_proof(state)))}. A person at work with a machine's rights is either a "
                f"shortcut that nobody can account for, or stolen credentials."
            ),
            seen={
                "console_markers": markers,
                "session": cut(session.name),
                "known_network": state.context.is_known_network(address),
            },
            expected={"class": "workload", "workload_evidence": names(_proof(state))},
            severity=Severity.HIGH if profile.type == "role" else Severity.MEDIUM,
            actor=None if exhibits is None else state.who_was(session),
            exhibits=exhibits,
        )


def _proof(state: BehaviourState) -> int:
    """Collect the facts that prove the entity a workload's, configuration included."""
    shown = sum(1 << bit for bit in state.profile.shown)
    return (shown | state.profile.configuration | state.facts) & WORKLOAD_PROOF
