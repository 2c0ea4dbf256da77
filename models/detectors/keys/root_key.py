"""The root user has an access key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from models.behaviour.keys import Key
from models.detector import BehaviourState, Desk, Detector, Family, Life
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut


class RootKey(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: it holds from its making, first use or an inventory until the key is deleted."""

    name: ClassVar[str] = "root-key"
    summary: ClassVar[str] = "root has an access key: it is made, used, or an inventory tells of it"
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.CRITICAL
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1078.004", "T1098.001")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "A key that was made before the trail, is not used in it, and that no inventory tells of."
    )
    runbook: ClassVar[str] = (
        "Nothing can limit a key of root's, not even a service control policy in the management account. Find out what "
        "uses it (its calls stand in root-use), move that to a role, then disable and delete the key. If nobody knows "
        "of it, treat the account as taken over."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS | Facts.KEY_CHANGED

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft where the key is made, and for its use from what is new to it; close it when it is deleted."""
        if state.profile.type != "root":
            return
        how = "is used"
        if state.act is not None:
            if state.act.act == "deleted":
                yield self.closing(state.entity, cut(state.key_id), event.at)
            if state.act.act != "created":
                return
            how = "is made"
        elif not event.facts & Facts.DIRECT_CALL:
            return
        elif state.key is not None and state.key.is_nameless:
            yield self.closing(state.entity, state.key.id, event.at, reason="superseded")
        yield self.draft(event, state, subject=cut(state.key_id), **self._words(state, cut(state.key_id), how))

    def due_at(self, state: BehaviourState) -> int | None:
        """Say since when there is a key that only an inventory tells of."""
        return min((at for _, at in self._told(state)), default=None) if state.profile.keys else None

    def sweep(self, state: BehaviourState, now: int) -> Iterable[Draft]:
        """Yield a draft for each key that only an inventory tells of."""
        for key, at in self._told(state):
            if at <= now:
                yield self.born(state, at, subject=key.id, **self._words(state, key.id, "is known from an inventory"))

    def _told(self, state: BehaviourState) -> Iterator[tuple[Key, int]]:
        profile = state.profile
        if profile.type == "root":
            for key in profile.keys.values():
                if key.first_event is None and key.deleted_at is None and key.first_sign_at > profile.swept_at:
                    yield key, key.first_sign_at

    def _words(self, state: BehaviourState, key_id: str, how: str) -> dict[str, Any]:
        account = state.account_id or "unknown"
        return {
            "title": f"Root of account {account} has access key {key_id}",
            "summary": (
                f"Key {key_id} of root in account {account} {how}. It may do everything, no policy limits it, and it works "
                "from anywhere for as long as it is there."
            ),
            "seen": {"key": key_id, "how": how},
            "expected": {"keys": 0},
        }
