"""What an address is: its block, a service's name, AWS itself, a VPC's own; and where, as far as look-ups say.

Pure: look-ups are handed in, and what they said is kept in a bounded cache. Nothing an event writes where an address
should stand makes it fail. Source: AWS CloudTrail user guide, "CloudTrail record contents" (sourceIPAddress,
vpcEndpointId); RFC 1918, 4193 and 6598 (private addresses); RFC 6177 (a site is given a /48).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final, Literal

from msgspec import Struct

Kind = Literal["public", "private", "endpoint", "service", "internal", "unreadable"]

MAX_CACHED: Final = 65_536  # addresses; a full cache starts over
MAX_NAME: Final = 64  # characters of what is no address

BLOCK_BITS: Final = {4: 24, 6: 48}  # what is one network: a subnet, a site
_VICINITY_BITS: Final = {4: 16, 6: 32}  # what is likely one operator's

_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
# Not ipaddress's is_private, which takes the ranges kept for documentation for private ones too.
_PRIVATE: Final = {
    4: tuple(
        ip_network(block)
        for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
    ),
    6: tuple(ip_network(block) for block in ("fc00::/7", "fe80::/10", "::1/128")),
}


class Location(Struct, frozen=True, gc=False):
    """What local databases say of a public address; None where they are silent or not given."""

    asn: int | None = None
    operator: str | None = None  # of the autonomous system
    country: str | None = None  # two letters, ISO 3166
    aws_region: str | None = None  # of AWS's own addresses; GLOBAL for those of no region
    aws_service: str | None = None  # EC2, LAMBDA, ...: the most particular that AWS names


NOWHERE: Final = Location()
Locate = Callable[[str], Location]  # of an address in its shortest spelling; never raises


class Network(Struct, frozen=True, gc=False):
    """The network that a call came from. Two with one name are the same network."""

    name: str  # "203.0.113.0/24", "cloudformation.amazonaws.com", "AWS Internal", "vpce-0a1b", else the text itself
    kind: Kind
    vicinity: str | None = None  # of a public one: the /16 or /32 around it
    location: Location = NOWHERE

    @property
    def text(self) -> str:
        """The network in words: its name, and who runs it where."""
        at = self.location
        known = [f"AWS {at.aws_region}"] if at.aws_region else []
        if at.asn is not None:
            known.append(f"AS{at.asn} {at.operator}" if at.operator else f"AS{at.asn}")
        if at.country:
            known.append(at.country)
        return f"{self.name} ({', '.join(known)})" if known else self.name

    def is_near(self, other: Network) -> bool:
        """Say whether two networks are likely one operator's: the same system, or addresses that lie close.

        AWS's own count as near within a region. Without databases closeness alone decides, IPv4 apart from IPv6.
        """
        here, there = self.location, other.location
        if here.aws_region or there.aws_region:
            return here.aws_region == there.aws_region
        if here.asn is not None and there.asn is not None:
            return here.asn == there.asn and (here.country == there.country or not (here.country and there.country))
        return self.vicinity is not None and self.vicinity == other.vicinity


class Atlas:
    """Tells networks, and keeps what it told."""

    def __init__(self, locate: Locate | None = None) -> None:
        self._locate = locate
        self._told: dict[str | tuple[str, str], Network] = {}  # by address, or address and endpoint

    def of(self, address: str | None, endpoint: str | None = None) -> Network | None:
        """Tell the network of ``sourceIPAddress`` and ``vpcEndpointId``; None where the event has neither.

        A private address that came through a VPC endpoint is told by the endpoint: the same private block stands in
        any number of VPCs.
        """
        if not address:
            return Network(_cut(endpoint), "endpoint") if endpoint else None
        key = (address, endpoint) if endpoint else address
        network = self._told.get(key)
        if network is None:
            if len(self._told) >= MAX_CACHED:
                self._told.clear()
            network = self._tell(address)
            if endpoint and network.kind == "private":
                network = Network(_cut(endpoint), "endpoint")
            if len(address) + len(endpoint or "") <= MAX_NAME:
                self._told[key] = network
        return network

    def named(self, name: str) -> Network:
        """Tell the network of that name, as `of` once did."""
        return self.of(name.partition("/")[0]) or Network(name, "unreadable")

    def _tell(self, address: str) -> Network:
        if address == "AWS Internal":
            return Network(address, "internal")
        if _SERVICE.fullmatch(address):
            return Network(_cut(address), "service")
        if address.startswith("vpce-"):
            return Network(_cut(address), "endpoint")
        parsed = parse_address(address)
        if parsed is None:
            return Network(_cut(address), "unreadable")
        name = _block(parsed, BLOCK_BITS)
        if any(parsed in block for block in _PRIVATE[parsed.version]):
            return Network(name, "private")
        location = NOWHERE if self._locate is None else self._locate(str(parsed))
        return Network(name, "public", _block(parsed, _VICINITY_BITS), location)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, IPv4 written as IPv6 as what it is and a zone left out; None where it is none."""
    if len(text) > MAX_NAME:
        return None
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped) or parsed


def _block(address: IPv4Address | IPv6Address, bits: dict[int, int]) -> str:
    return str(ip_network((address, bits[address.version]), strict=False))


def _cut(text: str) -> str:
    return text[:MAX_NAME]
