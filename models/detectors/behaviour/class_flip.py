"""An entity that was always a machine is used as a person would, or the other way round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.evidence import judge_session, stance
from models.behaviour.profile import DAY_S
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import CONSOLE_MARKERS, LADDER, Facts, names
from models.finding import ChainStage, Draft, Severity, cut

_WATCHED: Final = frozenset({"role", "user"})
_OTHER: Final = {"human": "workload", "workload": "human"}


class ClassFlip(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session, outside the console: there machine-role-console says it."""

    name: ClassVar[str] = "class-flip"
    summary: ClassVar[str] = (
        "an entity with a settled class behaves as the other, outside the console: a machine's credentials with a "
        "person's client, a person's with a machine's"
    )
    family: ClassVar[Family] = "behaviour"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "Clients that say nothing of where they run. An entity known for less than the settling time. Sessions for which "
        "AWS itself vouches go by that, whatever client they show."
    )
    runbook: ClassVar[str] = (
        "Find out who used the credentials: the address, the client, the AssumeRole before it. If a colleague tries "
        "something out with a machine's role, give them one of their own; if a script runs under a person's role, give it "
        "one. If nobody owns up to it, revoke the session and rotate the credentials."
    )
    new_facts: ClassVar[int] = sum(LADDER) | Facts.DIRECT_CALL

    min_settled_sessions: Annotated[int, Meta(ge=2, le=50)] = 5
    min_settled_days: Annotated[int, Meta(ge=0, le=90)] = 3

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Weigh the session, with what the event adds to it, against all others of the entity."""
        profile, session = state.profile, state.session
        is_young = event.at - profile.first_at < self.min_settled_days * DAY_S
        if is_young or session is None or not state.is_own or profile.type not in _WATCHED:
            return
        facts = session.facts | state.facts
        if facts & CONSOLE_MARKERS:
            if not session.facts & CONSOLE_MARKERS and self._settled_against(state, session.facts):
                yield self.closing(state.entity, session.id, event.at, reason="superseded")
            return
        settled = self._settled_against(state, facts)
        if settled is None:
            return
        now = judge_session(stance(facts), profile.configuration)
        name = cut(profile.arn.rsplit("/", 1)[-1])
        as_a = "person" if now.class_ == "human" else "machine"
        shown = names(facts & _SPEAKING[now.class_])
        yield self.draft(
            event,
            state,
            subject=session.id,
            title=f"{profile.type.capitalize()} {name}, always a {_NOUNS[settled]}'s, is used as by a {as_a}",
            summary=(
                f"Session {cut(session.name)} of {name} behaves as a {as_a}'s ({'; '.join(shown)}). Its "
                f"other sessions were a {_NOUNS[settled]}'s."
            ),
            seen={"class": now.class_, "tier": now.tier, "evidence": shown, "session": cut(session.name)},
            expected={"class": settled, "sessions": sum(profile.stances.values())},
        )

    def _settled_against(self, state: BehaviourState, facts: int) -> str | None:
        """Say which class the entity is settled in, if a session that shows these facts is the other; else None."""
        profile, session = state.profile, state.session
        class_ = judge_session(stance(facts), profile.configuration).class_
        settled = _OTHER.get(class_)
        if settled is None:
            return None
        others = {"human": 0, "workload": 0}
        for of, count in profile.stances.items():
            of_class = judge_session(of, profile.configuration).class_
            if of_class in others:
                others[of_class] += count
        if session is not None and session.stance:
            own = judge_session(session.stance, profile.configuration).class_
            if own in others:
                others[own] -= 1
        return settled if others[settled] >= max(self.min_settled_sessions, 9 * others[class_]) else None


_NOUNS: Final = {"human": "person", "workload": "machine"}
_SPEAKING: Final = {
    side: sum(fact for fact, rung in LADDER.items() if rung.side == side) for side in ("human", "workload")
}
