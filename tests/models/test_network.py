"""What an address is: blocks, services, endpoints, AWS itself; and nothing that stands in its place makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.network import MAX_CACHED, MAX_NAME, Atlas, Location, Network


@pytest.mark.parametrize(
    ("address", "name", "kind"),
    [
        ("203.0.113.77", "203.0.113.0/24", "public"),
        ("::ffff:203.0.113.77", "203.0.113.0/24", "public"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48", "public"),
        ("2001:DB8:1:0::1", "2001:db8:1::/48", "public"),
        ("10.20.30.40", "10.20.30.0/24", "private"),
        ("172.31.0.9", "172.31.0.0/24", "private"),
        ("172.32.0.9", "172.32.0.0/24", "public"),
        ("100.64.1.1", "100.64.1.0/24", "private"),
        ("fd00:1:2:3::4", "fd00:1:2::/48", "private"),
        ("fe80::1%eth0", "fe80::/48", "private"),
        ("cloudformation.amazonaws.com", "cloudformation.amazonaws.com", "service"),
        ("AWS Internal", "AWS Internal", "internal"),
        ("vpce-0123456789abcdef0", "vpce-0123456789abcdef0", "endpoint"),
        ("256.1.1.1", "256.1.1.1", "unreadable"),
        ("1.2.3", "1.2.3", "unreadable"),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", "HIDDEN_DUE_TO_SECURITY_REASONS", "unreadable"),
        ("x" * 100_000, "x" * MAX_NAME, "unreadable"),
        ("<script>", "<script>", "unreadable"),
    ],
)
def test_what_an_address_is(address: str, name: str, kind: str) -> None:
    """Each form that CloudTrail, or somebody who edits it, writes as an address."""
    network = Atlas().of(address)
    assert network is not None
    assert (network.name, network.kind) == (name, kind)


def test_an_endpoint_tells_private_addresses_apart() -> None:
    """One private block stands in many VPCs: the endpoint names the network; a public address stays what it is."""
    atlas = Atlas()
    assert atlas.of("10.0.0.7", "vpce-1") == Network("vpce-1", "endpoint")
    assert atlas.of(None, "vpce-1") == Network("vpce-1", "endpoint")
    assert atlas.of("10.0.0.7") == Network("10.0.0.0/24", "private")
    assert atlas.of("203.0.113.7", "vpce-1") == atlas.of("203.0.113.7")
    assert atlas.of(None) is None
    assert atlas.of("") is None


def test_look_ups_are_asked_once_for_each_public_address() -> None:
    """The look-up gets the shortest spelling, is spared private addresses, and is not asked again."""
    asked: list[str] = []

    def locate(address: str) -> Location:
        asked.append(address)
        return Location(asn=64_500, operator="Example Net", country="DE", aws_region="eu-west-1")

    atlas = Atlas(locate)
    for address in ("203.0.113.7", "203.0.113.7", "10.0.0.1", "2001:DB8::0:1", "nonsense"):
        atlas.of(address)
    assert asked == ["203.0.113.7", "2001:db8::1"]
    network = atlas.of("203.0.113.7")
    assert network is not None
    assert network.text == "203.0.113.0/24 (AWS eu-west-1, AS64500 Example Net, DE)"
    assert atlas.named("203.0.113.0/24").location.asn == 64_500
    assert atlas.named("AWS Internal") == Network("AWS Internal", "internal")


@pytest.mark.parametrize(
    ("one", "other", "is_near"),
    [
        (Location(), Location(), True),
        (Location(asn=1), Location(asn=1), True),
        (Location(asn=1), Location(asn=2), False),
        (Location(asn=1, country="DE"), Location(asn=1, country="US"), False),
        (Location(asn=1, country="DE"), Location(asn=1), True),
        (Location(asn=1, aws_region="eu-west-1"), Location(asn=2, aws_region="eu-west-1"), True),
        (Location(asn=1, aws_region="eu-west-1"), Location(asn=1, aws_region="us-east-1"), False),
        (Location(asn=1, aws_region="eu-west-1"), Location(asn=1), False),
    ],
)
def test_what_is_near(one: Location, other: Location, is_near: bool) -> None:
    """Within a region of AWS, within one system and country, and without databases within one /16."""
    here = Network("203.0.113.0/24", "public", "203.0.0.0/16", one)
    there = Network("203.0.20.0/24", "public", "203.0.0.0/16", other)
    assert here.is_near(there) is there.is_near(here) is is_near


def test_without_databases_close_addresses_are_near() -> None:
    """A /16 for IPv4, a /32 for IPv6; never across the two, and no private block is near another."""
    atlas = Atlas()
    home = {
        text: atlas.of(text)
        for text in ("203.0.113.7", "203.0.1.1", "198.51.100.1", "2001:db8::1", "10.0.0.1", "10.0.1.1")
    }

    def near(one: str, other: str) -> bool:
        here, there = home[one], home[other]
        assert here is not None
        assert there is not None
        return here.is_near(there)

    assert near("203.0.113.7", "203.0.1.1")
    assert not near("203.0.113.7", "198.51.100.1")
    assert not near("203.0.113.7", "2001:db8::1")
    assert not near("10.0.0.1", "10.0.1.1")


@given(st.text(max_size=200), st.none() | st.text(max_size=200))
def test_nothing_makes_it_fail(address: str, endpoint: str | None) -> None:
    """Any text in place of an address has a network, whose name is bounded and leads back to it."""
    atlas = Atlas()
    network = atlas.of(address, endpoint)
    if network is None:
        assert not address
        assert not endpoint
        return
    assert 0 < len(network.name) <= MAX_NAME
    assert network.text


def test_the_cache_is_bounded() -> None:
    """It starts over when it is full, and goes on telling the same."""
    atlas = Atlas()
    for number in range(MAX_CACHED + 10):
        atlas.of(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(atlas._told) <= MAX_CACHED  # noqa: SLF001 - the bound is the point
    assert atlas.of("10.0.0.1") == Network("10.0.0.0/24", "private")
