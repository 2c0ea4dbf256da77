"""The files that say what an address is: real MaxMind databases and AWS's list, made small; and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from models.network import Location
from models.settings import Networks, SettingsError
from streams.networks import opened

RANGES = {
    "syncToken": "1700000000",
    "createDate": "2023-11-14-22-13-20",
    "prefixes": [
        {"ip_prefix": "198.51.100.0/22", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
        {"ip_prefix": "198.51.100.0/24", "region": "eu-west-1", "service": "EC2", "network_border_group": "eu-west-1"},
        {"ip_prefix": "192.0.2.0/24", "region": "GLOBAL", "service": "CLOUDFRONT", "network_border_group": "GLOBAL"},
    ],
    "ipv6_prefixes": [
        {"ipv6_prefix": "2001:db8:aaaa::/48", "region": "us-east-1", "service": "S3", "network_border_group": "us-east-1"}
    ],
}  # fmt: skip


def database(path: Path, kind: str, rows: dict[str, dict[str, Any]]) -> str:
    """Write a MaxMind database."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type=kind)
    for block, row in rows.items():
        writer.insert_network(IPSet([block]), row)
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> Networks:
    """Write one of each."""
    systems: dict[str, dict[str, Any]] = {
        "203.0.113.0/24": {"autonomous_system_number": 64_500, "autonomous_system_organization": "Example Net"},
        "2001:db8::/32": {"autonomous_system_number": 64_501, "autonomous_system_organization": "Six"},
    }
    places: dict[str, dict[str, Any]] = {
        "203.0.113.0/24": {"country": {"iso_code": "DE"}, "city": {"names": {"en": "Bonn"}}},
        "203.0.114.0/24": {"registered_country": {"iso_code": "FR"}},
    }
    (tmp_path / "ip-ranges.json").write_text(json.dumps(RANGES))
    return Networks(
        maxmind_asn=database(tmp_path / "asn.mmdb", "GeoLite2-ASN", systems),
        maxmind_city=database(tmp_path / "city.mmdb", "GeoLite2-City", places),
        aws_ranges=str(tmp_path / "ip-ranges.json"),
    )


def test_what_the_files_say(files: Networks) -> None:
    """System, operator, country, and of AWS's own region and service; nothing of what no file knows."""
    with opened(files) as locate:
        assert locate is not None
        assert locate("203.0.113.7") == Location(64_500, "Example Net", "DE")
        assert locate("203.0.114.7") == Location(country="FR")
        assert locate("2001:db8::1") == Location(64_501, "Six")
        assert locate("198.51.100.7") == Location(aws_region="eu-west-1", aws_service="EC2")
        assert locate("198.51.101.7") == Location(aws_region="eu-west-1", aws_service="AMAZON")
        assert locate("192.0.2.1") == Location(aws_region="GLOBAL", aws_service="CLOUDFRONT")
        assert locate("2001:db8:aaaa::1") == Location(64_501, "Six", None, "us-east-1", "S3")
        assert locate("8.8.8.8") == Location()


def test_none_is_needed() -> None:
    """Without files there is no look-up."""
    with opened(Networks()) as locate:
        assert locate is None


def test_a_country_database_and_one_of_ipv4_alone_will_do(tmp_path: Path) -> None:
    """Where a city is asked for, a country answers; an address that a database cannot hold is unknown."""
    writer = MMDBWriter(ip_version=4, database_type="GeoLite2-Country")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "DE"}})
    writer.to_db_file(str(tmp_path / "country.mmdb"))
    with opened(Networks(maxmind_city=str(tmp_path / "country.mmdb"))) as locate:
        assert locate is not None
        assert locate("203.0.113.7") == Location(country="DE")
        assert locate("2001:db8::1") == Location()


@pytest.mark.parametrize("setting", ["maxmind_asn", "maxmind_city", "aws_ranges"])
@pytest.mark.parametrize("content", [None, b"", b"hello", b'{"prefixes": 7}', b'{"prefixes": []}'])
def test_a_file_at_fault_is_named(tmp_path: Path, setting: str, content: bytes | None) -> None:
    """Missing, empty, or something else: one line that names setting and file."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    named = msgspec.convert({setting: str(path)}, Networks)
    with pytest.raises(SettingsError, match=rf"^networks\.{setting}: {path}: .+"), opened(named):
        pass


def test_a_block_at_fault_is_named(tmp_path: Path) -> None:
    """A range that is no block of addresses is an error and not a hole."""
    path = tmp_path / "ip-ranges.json"
    for block in ("198.51.100.0", "300.1.1.0/24", "198.51.100.0/33", "x/y"):
        path.write_text(json.dumps({"prefixes": [{"ip_prefix": block, "region": "eu-west-1", "service": "EC2"}]}))
        with pytest.raises(SettingsError, match=r"is no block of addresses"), opened(Networks(aws_ranges=str(path))):
            pass
