"""Somebody tries whether a key works, and whose it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.behaviour.keys import Key
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut

_TOOLS = int(Facts.SCANNER | Facts.INTRUSION_TOOL)


class KeyProbe(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key, or per session where the credentials are temporary."""

    name: ClassVar[str] = "key-probe"
    summary: ClassVar[str] = (
        "a client that is a scanner new to the entity, a tool that tries keys, or a system made for breaking in; or "
        "GetCallerIdentity as a key's first call from a new network with a new client"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1526", "T1078.004")
    chain_stage: ClassVar[ChainStage | None] = "discovery"
    known_gaps: ClassVar[str] = (
        "Probes by calls that CloudTrail does not record, or that name nobody. Tools that speak as a plain SDK does. A key "
        "that has no history yet."
    )
    runbook: ClassVar[str] = (
        "A secret scanner of your own runs on your own code: then the key lies in that code, and has to go. If it is "
        "nobody of yours, the key is known to somebody else: disable it, make a new one, find where it leaked, and look at "
        "all that it did since."
    )
    facts: ClassVar[int] = _TOOLS | Facts.KEY_NEWS

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each call of such a client, and for a first GetCallerIdentity from elsewhere."""
        identity, session = event.identity, state.session
        if identity is None or not identity.access_key_id or session is None or not state.is_own:
            return
        if state.context.is_scanner(state.profile.arn):
            return
        tool, network = event.client.tool, state.network.text if state.network is not None else None
        if event.facts & _TOOLS and (event.facts & Facts.INTRUSION_TOOL or self._is_new(state)):
            why = f"with {tool}"
        elif (
            state.key is not None
            and state.network is not None
            and _is_first_question(event, state.key, state.network.name)
        ):
            why = f"GetCallerIdentity as the first call from {cut(state.network.text)} with {event.client.kind}"
        else:
            return
        name = cut(state.profile.arn.rsplit("/", 1)[-1])
        is_lasting = bool(event.facts & Facts.LONG_LIVED_KEY)
        yield self.draft(
            event,
            state,
            subject=cut(identity.access_key_id) if is_lasting else session.id,
            title=f"A key of {name} is tried: {why}",
            summary=(
                f"{cut(identity.access_key_id)} of {name} was used {why}. Whoever finds a key asks first whether it works "
                "and whose it is; tools do that by themselves."
            ),
            seen={
                "api": cut(event.api.key),
                "client": event.client.kind,
                "tool": tool or None,
                "network": network and cut(network),
            },
            expected={"clients": sorted(map(cut, state.key.clients)) if state.key is not None else []},
        )

    def _is_new(self, state: BehaviourState) -> bool:
        """Say whether no other session of the entity was a scanner's."""
        return not any(
            each.facts & Facts.SCANNER for each in state.profile.sessions.values() if each is not state.session
        )


def _is_first_question(event: Event, key: Key, network: str) -> bool:
    return (
        event.api.name == "GetCallerIdentity"
        and event.api.source == "sts.amazonaws.com"
        and bool(key.networks)
        and network not in key.networks
        and event.client.kind not in key.clients
    )
