"""A user has two active keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from models.behaviour.keys import DAY_S, Key, working
from models.detector import BehaviourState, Desk, Detector, Family, Life
from models.event import Event
from models.facts import Facts
from models.finding import Draft, Severity, cut


class KeySecondActive(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per user, for as long as two keys work; a rotation opens and closes it."""

    name: ClassVar[str] = "key-second-active"
    summary: ClassVar[str] = "a user has two active keys; medium once both have been used side by side for 7 days"
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1098.001",)
    known_gaps: ClassVar[str] = (
        "Without an inventory, a second key that was made before the trail and is not used in it is not known."
    )
    runbook: ClassVar[str] = (
        "If this is a rotation, finish it: move what still uses the old key, disable that, delete it. If two parties share "
        "the user, give each an identity of its own. If nobody made the second key on purpose, see key-for-another and "
        "key-made-then-used."
    )
    facts: ClassVar[int] = Facts.KEY_NEWS | Facts.KEY_CHANGED

    side_by_side_days: Annotated[int, Meta(ge=1, le=365)] = 7

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft where another key begins to work beside one that does; close it where only one is left."""
        profile, act = state.profile, state.act
        if profile.type != "user":
            return
        others = [key for key in working(profile.keys, event.at) if key.id != state.key_id]
        if act is None:
            is_new = state.key is None
        elif act.act in ("disabled", "deleted"):
            if len(others) == 1:
                yield self.closing(state.entity, None, event.at)
            return
        else:
            is_new = True
        if is_new and others:
            keys = [cut(state.key_id), *(key.id for key in others)]
            yield self.draft(event, state, subject=None, **self._words(state, keys))

    def due_at(self, state: BehaviourState) -> int | None:
        """Say when two keys will have been used side by side for long, or since when an inventory tells of two."""
        return min((at for at, *_ in self._moments(state)), default=None) if state.profile.keys else None

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Yield a draft for what has come true by now."""
        for at, keys, is_side_by_side in self._moments(state):
            if at > now or (is_side_by_side and not self._are_both_used(keys, at)):
                continue
            evidence = [key.first_event for key in keys if key.first_event is not None]
            words = self._words(state, [key.id for key in keys], is_side_by_side=is_side_by_side)
            yield self.born(state, at, subject=None, evidence=evidence, **words)

    def _moments(self, state: BehaviourState) -> Iterator[tuple[int, Sequence[Key], bool]]:
        profile = state.profile
        if profile.type != "user" or len(profile.keys) < 2:
            return
        now = max(profile.swept_at, profile.last_at)
        keys = sorted(working(profile.keys, now), key=lambda key: key.last_used_at or key.first_sign_at)[-2:]
        if len(keys) < 2:
            return
        told_at = max(key.first_sign_at for key in keys)
        if any(key.first_event is None for key in keys) and told_at > profile.swept_at:
            yield told_at, keys, False
        if all(key.seasons for key in keys):
            at = max(key.seasons[-1].first_at for key in keys) + self.side_by_side_days * DAY_S
            if at > profile.swept_at:
                yield at, keys, True

    def _are_both_used(self, keys: Sequence[Key], at: int) -> bool:
        """Say whether both were used until lately: jobs that run twice a week count."""
        lately = at - max(self.side_by_side_days * DAY_S // 2, DAY_S)
        return all((key.last_used_at or 0) >= lately for key in keys)

    def _words(self, state: BehaviourState, keys: list[str], *, is_side_by_side: bool = False) -> dict[str, Any]:
        both = f", both used for {self.side_by_side_days} days" if is_side_by_side else ""
        return {
            "title": f"User {state.name} has {len(keys)} active keys{both}",
            "summary": (
                f"Keys {' and '.join(keys)} of {state.name} both work{both}. In a rotation that is so for days; after that "
                "either two parties share the user, or a forgotten key still opens the door."
            ),
            "seen": {"keys": keys, "are_both_used": is_side_by_side},
            "expected": {"keys": 1},
            "severity": Severity.MEDIUM if is_side_by_side else Severity.LOW,
        }
