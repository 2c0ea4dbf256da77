"""The local files that say what an address is: MaxMind databases, and AWS's own list of its ranges.

None is shipped. Sources: MaxMind DB file format, GeoIP2 / GeoLite2 ASN, City and Country databases; AWS General
Reference, "AWS IP address ranges" (ip-ranges.json).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from models.network import Locate, Location, parse_address
from models.settings import Networks, SettingsError

if TYPE_CHECKING:
    import maxminddb

MAX_RANGES_BYTES: Final = 64 * 1_048_576
_ANY_SERVICE: Final = "AMAZON"  # what AWS calls all of its ranges


class _Prefix(Struct, frozen=True):
    """One range of ip-ranges.json: ``prefixes`` and ``ipv6_prefixes`` name the block differently."""

    region: str
    service: str
    ip_prefix: str | None = None
    ipv6_prefix: str | None = None


class _Published(Struct, frozen=True):
    prefixes: list[_Prefix] = []
    ipv6_prefixes: list[_Prefix] = []


@contextmanager
def opened(networks: Networks) -> Iterator[Locate | None]:
    """Open what the settings name under ``[networks]``, for as long as addresses are looked up; None if they name none.

    Raises SettingsError that names setting and file.
    """
    with ExitStack() as files:
        asn = _database(networks.maxmind_asn, "maxmind_asn", files)
        city = _database(networks.maxmind_city, "maxmind_city", files)
        ranges = None if networks.aws_ranges is None else AwsRanges(networks.aws_ranges)
        if asn is None and city is None and ranges is None:
            yield None
            return

        def locate(address: str) -> Location:
            system, place = _row(asn, address), _row(city, address)
            country = place.get("country") or place.get("registered_country")
            region, service = (None, None) if ranges is None else ranges.find(address)
            return Location(
                asn=_typed(system.get("autonomous_system_number"), int),
                operator=_typed(system.get("autonomous_system_organization"), str),
                country=_typed(country.get("iso_code"), str) if isinstance(country, dict) else None,
                aws_region=region,
                aws_service=service,
            )

        yield locate


def _database(path: str | None, setting: str, files: ExitStack) -> maxminddb.Reader | None:
    if path is None:
        return None
    try:
        import maxminddb  # noqa: PLC0415 - an extra: asked for only where a database is named
    except ImportError:
        raise SettingsError(
            f"networks.{setting}: reading {path} needs the maxminddb package: pip install 'rolehawk[maxmind]'"
        ) from None
    try:
        return files.enter_context(maxminddb.open_database(path))
    except OSError as error:
        raise SettingsError(f"networks.{setting}: {path}: {error.strerror or error}") from None
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise SettingsError(f"networks.{setting}: {path}: no MaxMind database: {error}") from None


def _row(database: maxminddb.Reader | None, address: str) -> dict[str, Any]:
    """Look an address up; a database of IPv4 alone knows no IPv6, a damaged one nothing."""
    if database is None:
        return {}
    import maxminddb  # noqa: PLC0415 - a database is open, so it is there

    try:
        found = database.get(address)
    except (ValueError, maxminddb.InvalidDatabaseError):
        return {}
    return found if isinstance(found, dict) else {}


def _typed(value: object, wanted: type) -> Any:  # noqa: ANN401 - one of two plain types
    return value if isinstance(value, wanted) else None


class AwsRanges:
    """AWS's own ranges: in which region an address is, and which service's."""

    def __init__(self, path: str) -> None:
        published = _published(path)
        # By version and length of the prefix: its value -> region and service. There are few lengths.
        self._blocks: dict[int, dict[int, dict[int, tuple[str, str]]]] = {4: {}, 6: {}}
        for prefix in (*published.prefixes, *published.ipv6_prefixes):
            block = prefix.ip_prefix or prefix.ipv6_prefix or ""
            text, _, length = block.partition("/")
            address = parse_address(text)
            if address is None or not length.isdecimal() or int(length) > address.max_prefixlen:
                raise SettingsError(f"networks.aws_ranges: {path}: {block!r} is no block of addresses")
            by_value = self._blocks[address.version].setdefault(int(length), {})
            value = int(address) >> (address.max_prefixlen - int(length))
            if value not in by_value or by_value[value][1] == _ANY_SERVICE:
                by_value[value] = prefix.region, prefix.service

    def find(self, address: str) -> tuple[str | None, str | None]:
        """Find an address's region and service, by the longest prefix that has it."""
        parsed = parse_address(address)
        if parsed is None:
            return None, None
        lengths = self._blocks[parsed.version]
        for length in sorted(lengths, reverse=True):
            found = lengths[length].get(int(parsed) >> (parsed.max_prefixlen - length))
            if found is not None:
                return found
        return None, None


def _published(path: str) -> _Published:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_RANGES_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"networks.aws_ranges: {path}: {error.strerror}") from None
    if len(data) > MAX_RANGES_BYTES:
        raise SettingsError(f"networks.aws_ranges: {path}: larger than {MAX_RANGES_BYTES:,} bytes")
    try:
        published = msgspec.json.decode(data, type=_Published)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SettingsError(f"networks.aws_ranges: {path}: not as AWS publishes it: {error}") from None
    if not published.prefixes and not published.ipv6_prefixes:
        raise SettingsError(f"networks.aws_ranges: {path}: holds no ranges (prefixes, ipv6_prefixes)")
    return published
