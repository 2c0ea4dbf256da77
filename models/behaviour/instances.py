"""Where the instances of a role call from, so that credentials carried off an instance are seen elsewhere.

Kept by instance (role and session name ``i-…``; not by key: the thief's differs from the instance's own) and by network
(a block of addresses). Networks that several instances use are the role's egress: a NAT gateway, a proxy. What is let go
within bounds makes an instance unknown, and so makes silence, never noise. Source: EC2 user guide, "Retrieve security
credentials from instance metadata"; ATT&CK T1552.005.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from msgspec import Struct

from models.event import Event, api_key
from models.facts import Facts
from models.finding import Evidence, Who, evidence_of, who
from models.network import Network

HOUR_S: Final = 3_600
SETTLING_S: Final = HOUR_S  # an instance that is new takes on its addresses: public, elastic, behind a gateway
STEADY_S: Final = 24 * HOUR_S  # in which one behind several gateways shows more than one
FAMILIAR_CALLS: Final = 20  # of a role, until its instances' clients are known
MOVED_S: Final = 24 * HOUR_S  # one that stays elsewhere for so long without coming back has moved

MAX_INSTANCES: Final = 32  # of a role; the one first seen goes first
MAX_NETWORKS: Final = 8  # of an instance; what comes after is not kept
MAX_EGRESS: Final = 64  # networks of a role, by whether instances share them; the one first seen goes first
MAX_CLIENTS: Final = 16  # kinds that a role's instances use at home; beyond these all are known

INSTANCE: Final = int(Facts.INSTANCE_SESSION_NAME)
_COPIED: Final = int(Facts.COPIED_CREDENTIALS)
# Clients that no instance runs: a person's desk, a browser, what is made for breaking in.
_FOREIGN: Final = int(Facts.DESKTOP_CLIENT | Facts.BROWSER | Facts.INTRUSION_TOOL)
_WHO_AM_I: Final = api_key("sts.amazonaws.com", "GetCallerIdentity")
_SHARED: Final = ""


class Stray(Struct, frozen=True):
    """An instance's credentials seen where the instance was not known to be."""

    network: str
    at: int
    session_id: str
    who: Who
    evidence: Evidence
    is_told: bool


class Instance(Struct):
    """One instance, as far as it is known."""

    first_at: int
    networks: list[str] = []  # its own; at most MAX_NETWORKS
    stray: Stray | None = None  # the latest


class Instances(Struct):
    """The instances of one role."""

    by_name: dict[str, Instance] = {}  # at most MAX_INSTANCES
    egress: dict[str, str] = {}  # network -> the one instance that uses it, or _SHARED; at most MAX_EGRESS
    clients: list[str] = []  # kinds seen from the instances' own networks, at most MAX_CLIENTS
    has_copies_at_home: bool = False  # software on the instances has its credentials from an environment or a profile


class Place(NamedTuple):
    """Where an event of an instance's session came from, as that instance goes."""

    # home: its own, or the role's egress; elsewhere: it may have moved; outside: it is not there.
    where: Literal["home", "elsewhere", "outside"]
    network: Network | None = None
    reasons: tuple[str, ...] = ()
    stray: Stray | None = None  # seen elsewhere before, while the instance is at home as ever
    explained: tuple[
        str, ...
    ] = ()  # ids of sessions found outside, in a network that now proves to be the role's egress

    @property
    def is_news(self) -> bool:
        """Whether a detector wants to know."""
        return self.where == "outside" or self.stray is not None or bool(self.explained)

    def is_settled(self, instances: Instances, event: Event) -> bool:
        """Say whether the same again would be no news, now that this has been learnt."""
        if self.where != "home" or self.network is None:
            return False
        known = instances.by_name.get(event.session_name)
        return (
            known is not None and self.network.name in known.networks and (known.stray is None or known.stray.is_told)
        )


HOME: Final = Place("home")


def place_of(
    instances: Instances | None, event: Event, network: Network | None, *, is_office: bool, calls: int
) -> Place:
    """Decide where an event of an instance's session came from; nothing is learnt by it. ``calls``: the role's so far."""
    if network is None or not _tells(event, network):
        return HOME
    reasons = _foreign(event, is_office=is_office)
    known = None if instances is None else instances.by_name.get(event.session_name)
    if instances is None or known is None or not known.networks:
        return Place("outside", network, reasons) if reasons else Place("home", network)
    name = network.name
    if name in known.networks:
        return Place("home", network, stray=_returned(known, event.at))
    strays = _others_strays(instances, event, name)
    explained = tuple(stray.session_id for stray in strays if stray.is_told)
    if not reasons and instances.egress.get(name, event.session_name) != event.session_name:
        return Place("home", network, explained=explained)
    reasons += _strange(instances, known, event, network, calls)
    if reasons:
        return Place("outside", network, reasons)
    if strays:
        return Place("home", network, explained=explained)
    return Place("elsewhere" if _is_steady(known, event.at, network) else "home", network)


def _returned(known: Instance, at: int) -> Stray | None:
    """Give what was seen elsewhere, if the instance is at home again too soon to have moved there and back."""
    stray = known.stray
    if stray is None or stray.is_told or stray.network in known.networks or not stray.at < at <= stray.at + MOVED_S:
        return None
    return stray


def _is_steady(known: Instance, at: int, network: Network) -> bool:
    """Say whether an instance kept to one network for long enough, so that another one, of the same kind, is strange.

    Behind several gateways or proxies it shows several from the beginning; an address of the other IP version is what a
    client begins to use that learnt of it.
    """
    like = [each for each in known.networks if (":" in each) == (":" in network.name)]
    return len(like) == 1 and at - known.first_at >= STEADY_S


def _strange(instances: Instances, known: Instance, event: Event, network: Network, calls: int) -> tuple[str, ...]:
    """List what is strange of a client, or an address, as the role's instances go."""
    if network.kind == "private":
        return ("a private address, and no VPC endpoint",)
    client = event.client
    if event.facts & _COPIED and not instances.has_copies_at_home:
        return (f"the client has its credentials from its {client.source}",)
    is_known = client.kind in instances.clients or len(instances.clients) >= MAX_CLIENTS
    if is_known or calls < FAMILIAR_CALLS or event.at - known.first_at < SETTLING_S:
        return ()
    return (f"a client that the role's instances do not use ({client.kind})",)


def learn_place(instances: Instances, event: Event, place: Place, session_id: str, session_facts: int) -> None:
    """Take in where an event of an instance's session came from."""
    network = place.network
    if network is None:
        return
    known = instances.by_name.get(event.session_name)
    if known is None:
        known = instances.by_name[event.session_name] = Instance(event.at)
        if len(instances.by_name) > MAX_INSTANCES:
            del instances.by_name[next(iter(instances.by_name))]
    known.first_at = min(known.first_at, event.at)
    stray = known.stray
    if place.where == "home":
        _learn_home(instances, known, event, network.name)
        if stray is not None and not stray.is_told and stray.network in known.networks:
            known.stray = None  # it has moved there
        elif place.stray is not None and stray is not None:
            known.stray = Stray(stray.network, stray.at, stray.session_id, stray.who, stray.evidence, is_told=True)
        return
    if stray is not None and not stray.is_told and place.where == "elsewhere":
        if stray.network == network.name and event.at - stray.at <= MOVED_S:
            return
        _learn_home(instances, known, event, stray.network)  # it has moved there, and perhaps on
        if stray.network == network.name:
            known.stray = None
            return
    is_told = place.where == "outside"
    if stray is None or stray.network != network.name or is_told:
        known.stray = Stray(
            network.name, event.at, session_id, who(event, session_facts), evidence_of(event), is_told=is_told
        )


def _learn_home(instances: Instances, known: Instance, event: Event, name: str) -> None:
    if name not in known.networks and len(known.networks) < MAX_NETWORKS:
        known.networks.append(name)
    user = instances.egress.get(name)
    if user is None:
        instances.egress[name] = event.session_name
        if len(instances.egress) > MAX_EGRESS:
            del instances.egress[next(iter(instances.egress))]
    elif user != event.session_name:
        instances.egress[name] = _SHARED
    if event.client.kind not in instances.clients and len(instances.clients) < MAX_CLIENTS:
        instances.clients.append(event.client.kind)
    if event.facts & _COPIED:
        instances.has_copies_at_home = True


def _tells(event: Event, network: Network) -> bool:
    """Say whether an event says where the credentials are: not one of a service's, nor of a signature handed on.

    A signed GetCallerIdentity is a proof of identity that whoever receives it sends: EKS, Vault. A presigned URL is
    fetched by whoever has it.
    """
    facts = event.facts
    if not facts & Facts.DIRECT_CALL or facts & (Facts.AWS_SERVICE | Facts.PRESIGNED):
        return False
    if network.kind in ("service", "internal", "endpoint"):
        return False
    return event.api.key != _WHO_AM_I or event.client.family != "unknown" or bool(facts & Facts.PLATFORM_CLIENT)


def _foreign(event: Event, *, is_office: bool) -> tuple[str, ...]:
    """List what says on its own that no instance made the call."""
    reasons = []
    if event.facts & _FOREIGN:
        client = event.client
        what = f"a client on {client.system}" if client.system else f"the client {client.name}"
        reasons.append(f"{what}, which no instance runs")
    if is_office:
        reasons.append("an address of the organisation's own office or VPN")
    return tuple(reasons)


def _others_strays(instances: Instances, event: Event, network: str) -> list[Stray]:
    """List what was seen, outside or elsewhere, of other instances in a network: they too may leave by it."""
    others = (each.stray for name, each in instances.by_name.items() if name != event.session_name)
    return [stray for stray in others if stray is not None and stray.network == network]
