"""One key is in two hands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Final

from msgspec import Meta

from models.behaviour.keys import DAY_S, Key
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut
from models.network import Network

_BY_PERSON: Final = Facts.DESKTOP_CLIENT | Facts.CLOUDSHELL
_BY_MACHINE: Final = Facts.PLATFORM_CLIENT | Facts.PLATFORM_CREDENTIALS


class KeyShared(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key. Two programs far apart, or a person's desk and a platform, work with it side by side."""

    name: ClassVar[str] = "key-shared"
    summary: ClassVar[str] = (
        "a key is used side by side from two distant networks by two installations, for 2 days and more; or within a day "
        "both by a desktop's client and on a compute platform"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "Two that run the same versions count as one installation, spread over several ways out. A key whose networks often "
        "change. The computers of one who is, or by earlier clients may be, a person. Without databases distance is guessed from the addresses."
    )
    runbook: ClassVar[str] = (
        "Find out who the two are. If both are yours, give each an identity of its own, or nobody can tell them apart when one "
        "is broken into. If you know but one of them, the other has the key from somewhere: renew it."
    )
    facts: ClassVar[int] = Facts.KEY_NEWS
    new_facts: ClassVar[int] = _BY_PERSON | _BY_MACHINE

    min_overlap_days: Annotated[int, Meta(ge=1, le=2)] = 2
    min_roaming_networks: Annotated[int, Meta(ge=2, le=12)] = 5

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Look for the other hand."""
        if not state.is_own or not event.facts & Facts.LONG_LIVED_KEY or state.session is None:
            return
        shown = state.session.facts | state.facts
        is_new = state.facts & ~state.session.facts & self.new_facts
        if is_new and shown & _BY_PERSON and shown & _BY_MACHINE:
            seen = {"client": event.client.kind, "kinds": ["a desktop", "a compute platform"]}
            yield self._found(event, state, "a person's desktop and a compute platform", seen, "both within a day")
        elif state.key is not None and (other := self._other(event, state, state.key)) is not None:
            here = state.network.text if state.network is not None else ""
            seen = {"networks": sorted([here, other.text]), "client": event.client.kind}
            yield self._found(
                event, state, f"{here} and {other.text}", seen, "side by side for days, by two installations"
            )

    def _other(self, event: Event, state: BehaviourState, key: Key) -> Network | None:
        """Find the distant network that another installation uses the key from, all the while."""
        atlas, here, at = state.context.atlas, state.network, event.at
        place = None if here is None else key.networks.get(here.name)
        kind = state.profile.answer().kind
        if here is None or here.kind != "public" or place is None or kind == "human":
            return None
        arrivals = {atlas.named(name).vicinity or name for name in key.arrivals(at)}
        if len(arrivals) >= self.min_roaming_networks:
            return None
        for name, other in sorted(key.networks.items()):
            since = max(place.first_at, other.first_at)
            # The client that a second hand brings makes no person of the first.
            is_perhaps_person = kind == "unknown" and key.is_typed_with(since)
            if (
                is_perhaps_person
                or at - since < self.min_overlap_days * DAY_S
                or at - other.last_at > max(DAY_S, at - place.last_at)  # not in turn with it
                or other.installation == event.client.installation
            ):
                continue
            there = atlas.named(name)
            if there.kind == "public" and not here.is_near(there):
                return there
        return None

    def _found(self, event: Event, state: BehaviourState, who: str, seen: dict[str, Any], how: str) -> Draft:
        return self.draft(
            event,
            state,
            subject=cut(state.key_id),
            title=f"Key {cut(state.key_id)} of {state.name} is shared by {who}",
            summary=(
                f"Key {cut(state.key_id)} of {state.name} is used from {who}, {how}. Either two parties of yours share it, or "
                "one of the two should not have it."
            ),
            seen=seen,
            expected={"holders": 1},
        )
