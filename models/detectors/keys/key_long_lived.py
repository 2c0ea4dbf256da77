"""A key is old."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from models.behaviour.keys import DAY_S, Key
from models.detector import BehaviourState, Desk, Detector, Family, Life
from models.event import Event
from models.facts import Facts
from models.finding import Draft, Severity, cut
from models.record import iso


class KeyLongLived(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key, from the day it is too old until it is disabled or deleted."""

    name: ClassVar[str] = "key-long-lived"
    summary: ClassVar[str] = (
        "a key is older than 90 days; medium over 365. The age is exact where its making is known, else it is at least so old"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    known_gaps: ClassVar[str] = (
        "Without an inventory, a key that is not used in the trail is not known, and one that is used counts from its first "
        "event."
    )
    runbook: ClassVar[str] = (
        "Where a role would do, replace the key by one. Else make a second key, move everything over, disable the old one, "
        "wait, delete it."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS | Facts.KEY_CHANGED

    max_age_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    medium_age_days: Annotated[int, Meta(ge=1, le=3650)] = 365

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Close it when the key is turned off, open it anew when it is turned on, and name it once its id is known."""
        key, act, subject = state.key, state.act, cut(state.key_id)
        if act is None:
            if key is not None and key.is_nameless and self._is_old(key, event.at):
                yield self.closing(state.entity, key.id, event.at, reason="superseded")
                yield self.draft(event, state, subject=subject, **self._words(state, key, subject, event.at))
        elif key is not None and self._is_old(key, event.at):
            if act.act in ("disabled", "deleted"):
                yield self.closing(state.entity, subject, event.at)
            elif act.act == "enabled":
                yield self.draft(event, state, subject=subject, **self._words(state, key, subject, event.at))

    def due_at(self, state: BehaviourState) -> int | None:
        """Say when the next key will be too old."""
        return min((at for _, at in self._birthdays(state)), default=None) if state.profile.keys else None

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Yield a draft for each key that has come of age."""
        for key, at in self._birthdays(state):
            if at <= now and key.phase(at) not in ("disabled", "deleted"):
                is_first = not self._is_old(key, at - 1)
                evidence = [key.first_event] if key.first_event is not None and is_first else []
                yield self.born(state, at, subject=key.id, evidence=evidence, **self._words(state, key, key.id, at))

    def _birthdays(self, state: BehaviourState) -> Iterator[tuple[Key, int]]:
        profile = state.profile
        for _, key in sorted(profile.keys.items()):
            for days in sorted({self.max_age_days, self.medium_age_days}):
                at = _birth(key) + days * DAY_S
                if at > profile.swept_at and key.phase(at) not in ("disabled", "deleted"):
                    yield key, at

    def _is_old(self, key: Key, at: int) -> bool:
        return at >= _birth(key) + self.max_age_days * DAY_S

    def _words(self, state: BehaviourState, key: Key, key_id: str, at: int) -> dict[str, Any]:
        days, is_exact = key.age_days(at)
        age = f"{days} days old" if is_exact else f"at least {days} days old"
        since = f"was made at {iso(_birth(key))}" if is_exact else f"has been in use since {iso(_birth(key))} or longer"
        return {
            "title": f"Key {key_id} of {state.name} is {age}",
            "summary": (
                f"Key {key_id} of {state.name} {since}. The longer a key is in use, the more copies of it lie about, and "
                "whoever finds one can use it from anywhere."
            ),
            "seen": {"age_days": days, "is_exact": is_exact, "networks": len(key.networks)},
            "expected": {"age_days": f"up to {self.max_age_days}"},
            "severity": Severity.MEDIUM if days >= self.medium_age_days else Severity.LOW,
        }


def _birth(key: Key) -> int:
    return key.first_sign_at if key.created_at is None else key.created_at
