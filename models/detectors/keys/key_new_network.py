"""A key with a history is used from somewhere, or with something, that is new to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.keys import SETTLING_S, UNKNOWN, Key
from models.behaviour.profile import maturity
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut
from models.network import Network

_MAX_NAMED: Final = 5  # networks and clients that a finding lists as known
_MAX_REGULAR_HOURS: Final = 12  # of the day: a key that is used in more has no hour of its own


_Reason = tuple[int, str]  # what is new or odd: its weight, and its words


class KeyNewNetwork(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key and network: on its first day there, everything that the key does is evidence."""

    name: ClassVar[str] = "key-new-network"
    summary: ClassVar[str] = (
        "a key with a history is used from a new network or with a new client. Network, client, hour, calls, refusals and who "
        "the owner is weigh together: high for a machine's key from a new network with a new client, at most low for a "
        "person's"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "A thief in the owner's own network, or in the same region of AWS or the same provider, with the same kind of client. "
        "A key whose networks always change. What a service does for the key's holder. Without databases, what is one "
        "operator's is guessed from how close addresses lie."
    )
    runbook: ClassVar[str] = (
        "Ask the owner whether the workload moved, or whether they travel. If not, disable the key (that ends no sessions: "
        "see session-outlives-key), look at every call from that network, and find where the key leaked. Put networks that "
        "are yours into the settings, and pipelines whose addresses change."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS

    min_history_days: Annotated[int, Meta(ge=1, le=365)] = 7
    min_roaming_networks: Annotated[int, Meta(ge=2, le=12)] = 5

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Weigh what is new in a use, if anything is."""
        key, network = state.key, state.network
        if key is None or network is None or network.kind in ("service", "internal"):
            return
        at, atlas = event.at, state.context.atlas
        known = [atlas.named(name) for name, place in key.networks.items() if place.is_known(at)]
        if not known or key.history_days(at) < self.min_history_days:
            return
        place, client = key.networks.get(network.name), key.clients.get(event.client.kind)
        is_home = state.context.is_known_network(event.record.source_ip_address)
        is_new_place = not is_home and (place is None or not place.is_known(at))
        is_new_client = client is None or not client.is_known(at)
        if not is_new_place and not is_new_client:
            return
        where = self._place(key, network, known, state, at) if is_new_place else (0, "")
        reasons = [where, *_oddities(event, key, is_new_client=is_new_client)]
        severity = _severity(where[0], sum(weight for weight, _ in reasons), is_new_client=is_new_client)
        severity = _for_owner(severity, event, state, key)
        if severity is None:
            return
        texts = [text for _, text in reasons if text]
        yield self.draft(
            event,
            state,
            subject=f"{cut(key.id)} from {network.name}",
            title=f"Key {key.id} of {state.name} is used from {network.name}, {texts[0]}",
            summary=(
                f"Key {key.id} of {state.name}, watched for {key.history_days(at)} days, called {cut(event.api.name)} from "
                f"{network.text} with {event.client.kind}: {'; '.join(texts)}."
            ),
            seen={
                "network": network.text,
                "client": event.client.kind,
                "api": cut(event.api.key),
                "reasons": texts,
                "class": state.profile.class_,
                "is_denied": event.is_denied,
            },
            expected={
                "networks": sorted(each.text for each in known)[:_MAX_NAMED],
                "clients": sorted(kind for kind, span in key.clients.items() if span.is_known(at))[:_MAX_NAMED],
            },
            severity=severity,
            maturity=maturity(key.first_used_at, at),
        )

    def _place(self, key: Key, network: Network, known: list[Network], state: BehaviourState, at: int) -> _Reason:
        """Weigh a new network: how far it is from those known, and whether new ones are nothing new."""
        here, countries, systems = network.location, set[str](), set[int]()
        for each in known:
            countries |= {each.location.country} if each.location.country else set()
            systems |= {each.location.asn} if each.location.asn is not None else set()
        arrivals = (state.context.atlas.named(name) for name in key.arrivals(at))
        roams = len(
            {each.vicinity or each.name for each in arrivals}
        ) >= self.min_roaming_networks or state.context.is_pipeline(state.entity.arn)
        often = ", though its networks often change" if roams else ""
        if here.country and countries and here.country not in countries:
            return 2 if roams else 3, f"a country new to it ({here.country}){often}"
        if any(network.is_near(each) for each in known):
            return 0, "a new network close to known ones"
        if here.asn is not None and systems and here.asn not in systems:
            return 1 if roams else 2, f"an operator new to it (AS{here.asn}){often}"
        if network.kind == "endpoint":
            return 0 if roams else 1, f"a VPC endpoint new to it{often}"
        return 0 if roams else 2, f"a network new to it{often}"


def _oddities(event: Event, key: Key, *, is_new_client: bool) -> Iterable[_Reason]:
    """List what else is new or odd in a use."""
    at = event.at
    if event.facts & Facts.INTRUSION_TOOL:
        yield 3, f"{event.client.tool} tries found keys or breaks in"
    if is_new_client:
        yield 2, f"client {event.client.kind} is new to it"
    if not key.has_many_apis and at - key.apis.get(event.api.key, UNKNOWN) < SETTLING_S:
        yield 1, f"never called {cut(event.api.key)} before"
    regular = [hour for hour, first_at in key.hours.items() if at - first_at >= SETTLING_S]
    hour = at // 3600 % 24
    if len(regular) <= _MAX_REGULAR_HOURS and hour not in regular:
        yield 1, f"never used between {hour}:00 and {hour}:59 UTC before"
    if event.is_denied:
        yield 1, "the call is refused"


def _severity(place: int, weight: int, *, is_new_client: bool) -> Severity | None:
    """Decide how much it is; None where it is nothing."""
    if place >= 2:
        is_grave = weight >= 4 and is_new_client
        return Severity.HIGH if is_grave or weight >= 5 else Severity.MEDIUM if weight >= 3 else Severity.LOW
    return Severity.MEDIUM if weight >= 4 else Severity.LOW if weight >= 3 else None


def _for_owner(severity: Severity | None, event: Event, state: BehaviourState, key: Key) -> Severity | None:
    """Bring a severity down where the owner is, or may be, a person, who travels and changes machines."""
    if severity is None or event.facts & Facts.INTRUSION_TOOL:
        return severity
    kind = state.profile.answer().kind
    if kind == "human":
        return min(severity, Severity.LOW)
    is_perhaps = kind == "mixed" or (kind == "unknown" and key.is_typed_with())
    return min(severity, Severity.MEDIUM) if is_perhaps else severity
