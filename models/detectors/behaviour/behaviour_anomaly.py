"""What an entity does in an hour does not fit what it did before."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.habits import Hour
from models.behaviour.surprise import FIRST_NATS, Surprise, is_known_enough, surprise
from models.detector import BehaviourState, Desk, Detector, Family
from models.finding import Draft, Severity, cut

_WORDS: Final = {
    "new call": "calls that it never made",
    "new network": "a network that it never came from",
    "new client": "a client that it never used",
    "new region": "a region that it was never in",
    "time of day": "a time of day at which it is hardly ever there",
    "day of week": "a day on which it is hardly ever there",
    "volume": "far more calls than usual",
    "errors": "far more errors than usual",
    "writes": "far more changes than usual",
}


class BehaviourAnomaly(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session. An hour is judged when it is over; so many findings a week as the budget allows."""

    name: ClassVar[str] = "behaviour-anomaly"
    summary: ClassVar[str] = (
        "an hour of an entity that fits its habits so badly that it is among the strangest of the last weeks: as many a "
        "week as the budget says; medium where it is all but impossible"
    )
    family: ClassVar[Family] = "behaviour"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1078",)
    known_gaps: ClassVar[str] = (
        "An entity known for less than 24 active hours on 5 days is not judged, and in the first week nothing passes. What "
        "was new in an hour that was kept apart is not weighed again until it is learned. What an AWS service does on its "
        "behalf is none of its habits. Whoever does what the entity always does, when and where it always does it, fits."
    )
    runbook: ClassVar[str] = (
        "Read under `seen` what does not fit, and ask the owner whether there is a reason: a release, a new task, a "
        "journey. If there is none, look at all that the session did and who was behind it (actor.origin). What was right "
        "is learned by itself after two weeks; a suppression lets it be learned at once."
    )

    judges_habits: ClassVar[bool] = True

    alerts_per_week: Annotated[float, Meta(gt=0, le=1_000)] = 5.0
    max_p_value: Annotated[float, Meta(gt=0, le=0.5)] = 0.05
    max_p_value_medium: Annotated[float, Meta(ge=0, le=0.01)] = 1e-6

    def due_at(self, state: BehaviourState) -> int | None:
        """Say when the hour under way is over, if anything in it was odd."""
        hour = _odd_hour(state)
        return None if hour is None else hour.ends_at

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Judge the hour that is over."""
        hour, habits, learned = _odd_hour(state), state.profile.habits, state.learned
        if (
            hour is None
            or hour.exhibits is None
            or habits is None
            or learned is None
            or hour.ends_at > now
            or state.profile.swept_at >= hour.ends_at
        ):
            return
        found = surprise(habits, hour, habits.apart)
        p_value = learned.surprise.p_value(found.nats, habits)
        if p_value > self.max_p_value:
            return
        parts = [each for each in found.parts if each.nats >= FIRST_NATS]
        draft = self.born(
            state,
            hour.ends_at,
            subject=hour.session_id or None,
            title=f"{state.name} does not behave as it is used to: {parts[0].what}",
            summary=(
                f"In the hour to which this belongs {state.name} showed {_listed(found)}. In {habits.active_hours} active "
                f"hours on {habits.active_days} days so far it did not. One hour in about {round(1 / p_value):,} of entities as "
                "well known is as unusual."
            ),
            seen={
                "p_value": float(f"{p_value:.3g}"),
                "parts": [
                    {"what": each.what, "nats": round(each.nats, 2), "detail": cut(each.detail)} for each in parts
                ],
                "calls": hour.events,
                "errors": hour.errors,
            },
            expected={
                "active_hours": habits.active_hours,
                "active_days": habits.active_days,
                "calls": len(habits.apis),
                "networks": len(habits.places),
                "compared_with": "the entity's own habits",
            },
            severity=Severity.MEDIUM if p_value <= self.max_p_value_medium else Severity.LOW,
        )
        draft.exhibits, draft.born_at = hour.exhibits, None
        draft.actor = hour.who or draft.actor
        draft.p_value, draft.per_week = p_value, self.alerts_per_week
        yield draft


def _odd_hour(state: BehaviourState) -> Hour | None:
    habits = state.profile.habits
    if habits is None or habits.hour is None or not habits.hour.is_odd or not is_known_enough(habits):
        return None
    return habits.hour


def _listed(found: Surprise) -> str:
    words = [_WORDS[each.what] for each in found.parts if each.nats >= FIRST_NATS]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
