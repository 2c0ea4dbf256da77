"""People and workloads share one role or key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.evidence import judge_session, stance
from models.behaviour.profile import DAY_S, MAX_DAYS, Profile
from models.detector import BehaviourState, Desk, Detector, Family, Life
from models.event import Event
from models.facts import LADDER, union
from models.finding import Draft, EntityRef, Severity, cut

_WATCHED: Final = frozenset({"role", "user"})
_PEOPLE: Final = union(side="human")
_MACHINES: Final = union(side="workload")


class MixedRole(Detector[BehaviourState], frozen=True, kw_only=True):
    """A condition: it holds until the entity has been of one kind for a while."""

    name: ClassVar[str] = "mixed-role"
    summary: ClassVar[str] = (
        "people and workloads share a role or key: both use it, each on two days at least within 30 days"
    )
    family: ClassVar[Family] = "behaviour"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    known_gaps: ClassVar[str] = "Use that leaves no evidence of either kind: an SDK under a key, with no more said."
    runbook: ClassVar[str] = (
        "Give people and machines a role each. As long as they share one, nobody can say who did what, least privilege "
        "is out of reach for both, and a stolen machine's key looks like a colleague at work."
    )
    new_facts: ClassVar[int] = sum(LADDER)

    min_days: Annotated[int, Meta(ge=1, le=MAX_DAYS)] = 2
    window_days: Annotated[int, Meta(ge=2, le=90)] = 30

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Look whether the days on which either kind came, with this one, are enough."""
        profile, session = state.profile, state.session
        if session is None or profile.type not in _WATCHED:
            return
        if (not profile.human_days and not state.facts & _PEOPLE) or (
            not profile.machine_days and not state.facts & _MACHINES
        ):
            return  # one kind alone, as nearly all are
        class_ = judge_session(stance(session.facts | state.facts), profile.configuration).class_
        today = event.at // DAY_S
        people, machines = (
            {*days, today} if class_ == side else set(days)
            for side, days in (("human", profile.human_days), ("workload", profile.machine_days))
        )
        recent = today - self.window_days
        people, machines = {day for day in people if day > recent}, {day for day in machines if day > recent}
        if len(people) < self.min_days or len(machines) < self.min_days:
            return
        name = cut(profile.arn.rsplit("/", 1)[-1])
        answer = profile.answer()
        yield self.draft(
            event,
            state,
            subject=None,
            title=f"{profile.type.capitalize()} {name} is shared by people and workloads",
            summary=(
                f"People and workloads both use {name}: of its sessions {answer.human} were a person's and "
                f"{answer.machine} a machine's, each kind on {self.min_days} days or more. Neither can be held to what it "
                "needs while the other shares its rights."
            ),
            seen={"human_sessions": answer.human, "machine_sessions": answer.machine, "class": class_},
            expected={"kinds": 1},
        )

    def due_at(self, state: BehaviourState) -> int | None:
        """Say when the kind that came less lately will have been gone for the whole window."""
        profile = state.profile
        if profile.type not in _WATCHED or not self._was_mixed(profile):
            return None
        return (min(profile.human_days[-1], profile.machine_days[-1]) + self.window_days) * DAY_S

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Close it when the entity has been of one kind for the window."""
        due_at = self.due_at(state)
        if due_at is not None and due_at <= now:
            yield self.closing(EntityRef(state.profile.arn, state.profile.type), None, due_at)

    def _was_mixed(self, profile: Profile) -> bool:
        return min(len(profile.human_days), len(profile.machine_days)) >= self.min_days
