"""A workload works with an IAM user's key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from models.behaviour.evidence import judge_session, stance
from models.behaviour.keys import DAY_S, Key, working
from models.detector import BehaviourState, Desk, Detector, Family, Life
from models.event import Event
from models.facts import Facts, union
from models.finding import Draft, Severity, cut

_WORKLOAD: Final = union(side="workload")
_PERSON: Final = union(side="human")  # shown by a session; a password that nobody uses makes no person
_PROGRAMS: Final = frozenset(
    {"sdk", "iac", "unknown", "scanner"}
)  # families of clients; what a person types with is none


class MachineUserWithKey(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per user: a role would do, and would leave nothing to steal."""

    name: ClassVar[str] = "machine-user-with-key"
    summary: ClassVar[str] = (
        "a workload is on an IAM user's key: its client says so, or for a week nothing but programs used it"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.INFO
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    known_gaps: ClassVar[str] = (
        "A machine's script that calls the AWS CLI is taken for a person's unless the client names a platform; a person who "
        "only ever runs programs is taken for a machine after a week."
    )
    runbook: ClassVar[str] = (
        "On AWS give the workload a role; in CI use OIDC; on other servers IAM Roles Anywhere. Then delete the key."
    )
    facts: ClassVar[int] = Facts.KEY_NEWS | Facts.KEY_CHANGED
    new_facts: ClassVar[int] = _WORKLOAD

    min_days: Annotated[int, Meta(ge=1, le=90)] = 7

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft where the client names a platform; close it when the last key stops working."""
        profile, session = state.profile, state.session
        if profile.type != "user":
            return
        if state.act is not None:
            if state.act.act in ("disabled", "deleted"):
                others = [key for key in working(profile.keys, event.at) if key.id != state.key_id]
                if not others:
                    yield self.closing(state.entity, None, event.at)
            return
        if session is None or not state.facts & Facts.LONG_LIVED_KEY or not state.facts & _WORKLOAD & ~session.facts:
            return
        if judge_session(stance(session.facts | state.facts), profile.configuration).class_ == "workload":
            yield self.draft(event, state, subject=None, **self._words(state, cut(state.key_id), "its client"))

    def due_at(self, state: BehaviourState) -> int | None:
        """Say when a key will have been watched for long enough to tell."""
        key = self._watched(state)
        return None if key is None else key.first_used_at + self.min_days * DAY_S

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Yield a draft where for all that time nothing but programs used the user's keys."""
        key, profile = self._watched(state), state.profile
        if key is None or key.first_event is None or (at := key.first_used_at + self.min_days * DAY_S) > now:
            return
        is_still_used = (key.last_used_at or 0) - key.first_used_at >= self.min_days * DAY_S // 2
        if is_still_used and all(
            client.partition("/")[0] in _PROGRAMS for each in profile.keys.values() for client in each.clients
        ):
            words = self._words(state, key.id, f"{self.min_days} days of programs alone")
            yield self.born(state, at, subject=None, evidence=[key.first_event], **words)

    def _watched(self, state: BehaviourState) -> Key | None:
        """Find the key whose first days are not yet over, of a user that nothing else is known of."""
        profile = state.profile
        if (
            not profile.keys
            or profile.type != "user"
            or profile.class_ == "workload"
            or any(_PERSON >> bit & 1 for bit in profile.shown)
        ):
            return None
        due = (key for key in profile.keys.values() if key.first_used_at + self.min_days * DAY_S > profile.swept_at)
        return min((key for key in due if key.seasons), key=lambda key: (key.first_used_at, key.id), default=None)

    def _words(self, state: BehaviourState, key_id: str, evidence: str) -> dict[str, Any]:
        return {
            "title": f"A machine works as user {state.name}, with key {key_id}",
            "summary": (
                f"User {state.name} is a machine's, by {evidence}. Its key {key_id} works from anywhere and for as long as "
                "nobody changes it; a role's credentials are renewed by themselves and lie nowhere."
            ),
            "seen": {"key": key_id, "evidence": evidence},
            "expected": {"credentials": "temporary, from a role"},
        }
