"""rolehawk.toml: the organisation's context, each detector's tuning, and who is told. An unknown key is an error that names it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import UnionType
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import Struct

from models import routes, streaming
from models.event import Event
from models.network import Atlas, Locate, Network
from models.routes import SINKS, Alert, Route, SinkSettings
from models.streaming import Kafka, Stream

_T = TypeVar("_T", bound=Struct)

MAX_SETTINGS_BYTES: Final = 1_048_576


class SettingsError(ValueError):
    """Settings that cannot be taken; says which file and key."""


class Account(Struct, frozen=True):
    """One of the organisation's accounts."""

    name: str | None = None
    environment: str | None = None
    owner: str | None = None


class Organisation(Struct, frozen=True):
    """The organisation: its own accounts, and those of others that it trusts (account id to name)."""

    id: str | None = None
    management_account: str | None = None
    accounts: dict[str, Account] = {}
    trusted_accounts: dict[str, str] = {}


class Networks(Struct, frozen=True):
    """Where the organisation's people are, as CIDR blocks; and local databases (paths) for what an address is."""

    office: tuple[str, ...] = ()
    vpn: tuple[str, ...] = ()
    maxmind_asn: str | None = None
    maxmind_city: str | None = None
    aws_ranges: str | None = None


class People(Struct, frozen=True):
    """Users and roles kept for emergencies, as ARN globs."""

    break_glass: tuple[str, ...] = ()


class Pipelines(Struct, frozen=True):
    """Roles that deploy, as ARN globs."""

    roles: tuple[str, ...] = ()


class Scanners(Struct, frozen=True):
    """Entities that scan the accounts with leave to do so, as ARN globs."""

    entities: tuple[str, ...] = ()


class Canaries(Struct, frozen=True):
    """Access keys laid out as bait."""

    keys: tuple[str, ...] = ()


class Suppression(Struct, frozen=True):
    """Findings that are known and accepted: by detector, entity, network, until a date, for a reason."""

    detector: str
    reason: str
    entity: str = "*"  # ARN glob
    network: str | None = None  # CIDR block or address that all evidence comes from
    until: date | None = None  # midnight UTC at which that date begins

    @property
    def ends_at(self) -> int | None:
        """When it ends, in seconds since 1970 UTC."""
        if self.until is None:
            return None
        return int(datetime.combine(self.until, datetime.min.time(), UTC).timestamp())

    def is_for(self, detector: str, entity_arn: str) -> bool:
        """Say whether it is meant for an entity's findings of a detector."""
        return detector == self.detector and fnmatchcase(entity_arn, self.entity)

    def covers(self, detector: str, entity_arn: str, addresses: Sequence[str | None], at: int) -> bool:
        """Say whether it covers all of what a detector says: of that entity, from those addresses, at that time."""
        if not self.is_for(detector, entity_arn) or (self.ends_at is not None and at >= self.ends_at):
            return False
        networks = () if self.network is None else (ip_network(self.network, strict=False),)
        return not networks or all(_is_in(each, networks) for each in addresses)


class LearnedSettings(Struct, frozen=True):
    """Which learned model is in force: a file that `rolehawk train` wrote (path), else the one that ships."""

    model: str | None = None


class Settings(Struct, frozen=True):
    """All that rolehawk.toml may say; every part of it can be left out."""

    organisation: Organisation = Organisation()
    networks: Networks = Networks()
    people: People = People()
    pipelines: Pipelines = Pipelines()
    scanners: Scanners = Scanners()
    canaries: Canaries = Canaries()
    learned: LearnedSettings = LearnedSettings()
    detectors: dict[str, dict[str, Any]] = {}
    suppressions: tuple[Suppression, ...] = ()
    routes: tuple[Route, ...] = ()
    sinks: dict[str, SinkSettings] = {}
    alert: Alert = Alert()
    kafka: Kafka = Kafka()
    stream: Stream = Stream()


class Context:
    """What detectors ask of the organisation: known networks, users kept for emergencies, pipelines, scanners, bait.

    ``locate`` says where an address is, where local databases are given.
    """

    def __init__(self, settings: Settings | None = None, locate: Locate | None = None) -> None:
        self.settings = settings or Settings()
        self.atlas = Atlas(locate)
        self.canaries = frozenset(self.settings.canaries.keys)
        self.suppressions = self.settings.suppressions
        networks = self.settings.networks
        self._known_networks = tuple(ip_network(block, strict=False) for block in (*networks.office, *networks.vpn))
        self._roles = (
            ("break-glass", self.settings.people.break_glass),
            ("pipeline", self.settings.pipelines.roles),
            ("scanner", self.settings.scanners.entities),
        )

    def network_of(self, event: Event) -> Network | None:
        """Tell the network that an event came from; None where it does not say."""
        return self.atlas.of(event.record.source_ip_address, event.record.vpc_endpoint_id)

    def is_known_network(self, address: str | None) -> bool:
        """Say whether an address lies in an office or VPN network of the settings."""
        return _is_in(address, self._known_networks)

    def is_break_glass(self, arn: str) -> bool:
        """Say whether an entity is one of those kept for emergencies."""
        return _matches(arn, self.settings.people.break_glass)

    def is_pipeline(self, arn: str) -> bool:
        """Say whether an entity is one that deploys."""
        return _matches(arn, self.settings.pipelines.roles)

    def is_scanner(self, arn: str) -> bool:
        """Say whether an entity is one that looks over the accounts with leave to do so."""
        return _matches(arn, self.settings.scanners.entities)

    def notes(self, entity_arn: str, actor_arn: str | None, address: str | None) -> list[str]:
        """List what the settings say of whom a finding is about, of who did it, and of where they were."""
        arns = {entity_arn, actor_arn or entity_arn}
        found = [role for role, globs in self._roles if any(_matches(arn, globs) for arn in arns)]
        return [*found, "known network"] if self.is_known_network(address) else found


def _matches(arn: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(arn, glob) for glob in globs)


def _is_in(address: str | None, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    if not address or not networks:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def parse_settings(text: str, file: str = "rolehawk.toml") -> Settings:
    """Read settings from TOML.

    Raises SettingsError that names the file, the key and, for an unknown one, the nearest known. Detectors' own keys
    are checked where the detectors are made (`models.detectors.build`).
    """
    if len(text) > MAX_SETTINGS_BYTES:
        raise SettingsError(f"{file}: larger than {MAX_SETTINGS_BYTES:,} bytes")
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: {error}") from None
    settings = convert(table, Settings, file)
    for section in ("office", "vpn"):
        for block in getattr(settings.networks, section):
            _check_network(block, f"{file}: networks.{section}")
    for number, suppression in enumerate(settings.suppressions, 1):
        if suppression.network is not None:
            _check_network(suppression.network, f"{file}: suppressions, number {number}: network")
    complaints = (
        *streaming.complaints(settings.kafka, settings.stream),
        *routes.complaints(settings.routes, settings.sinks, settings.alert),
    )
    if complaints:
        raise SettingsError(f"{file}: {complaints[0]}")
    return settings


def convert(table: dict[str, Any], wanted: type[_T], file: str, path: str = "") -> _T:
    """Fit a TOML table to a struct; raises SettingsError that names the key at fault."""
    _check_keys(table, wanted, file, path)
    try:
        return msgspec.convert(table, wanted, strict=True)
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at ")
        key = ".".join(part for part in (path, where.strip("`").removeprefix("$").strip(".")) if part)
        raise SettingsError(f"{file}: {key}: {reason}") from None


def unknown(key: str, known: list[str], file: str, path: str) -> SettingsError:
    """Word the error for a key that does not exist."""
    near = get_close_matches(key, known, n=1, cutoff=0.0)
    hint = f"; the nearest known is {near[0]!r}" if near else ""
    return SettingsError(f"{file}: {path}{'.' if path else ''}{key}: unknown key{hint}")


def _check_keys(table: dict[str, Any], wanted: type[Struct], file: str, path: str) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(wanted)}
    for key, value in table.items():
        if (field := fields.get(key)) is None:
            raise unknown(key, list(fields), file, path)
        below = f"{path}.{key}" if path else key
        if isinstance(value, dict) and (struct := _struct_in(field.type)) is not None:
            _check_keys(value, struct, file, below)
        elif key in _NAMED and isinstance(value, dict):
            for name, about in value.items():
                if isinstance(about, dict):
                    _NAMED[key](about, file, f"{below}.{name}")
        elif key in _LISTED and isinstance(value, list):
            for each in value:
                if isinstance(each, dict):
                    _check_keys(each, _LISTED[key], file, below)


def _check_account(table: dict[str, Any], file: str, path: str) -> None:
    _check_keys(table, Account, file, path)


def _check_sink(table: dict[str, Any], file: str, path: str) -> None:
    kind = table.get("type")
    if not isinstance(kind, str) or kind not in SINKS:
        raise SettingsError(f"{file}: {path}.type: must be one of {', '.join(SINKS)}")
    convert({key: value for key, value in table.items() if key != "type"}, SINKS[kind], file, path)


_LISTED: Final[dict[str, type[Struct]]] = {"suppressions": Suppression, "routes": Route}
_NAMED: Final = {"accounts": _check_account, "sinks": _check_sink}


def _struct_in(kind: object) -> type[Struct] | None:
    """Say which struct a field holds, if it holds one at all."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return next((each for each in kinds if isinstance(each, type) and issubclass(each, Struct)), None)


def _check_network(block: str, where: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(block, strict=False)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
