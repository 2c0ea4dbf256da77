"""Who is told of a finding, and how they are reached: routes and sinks, as the settings have them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

SeverityLabel = Literal["critical", "high", "medium", "low", "info"]
ClassLabel = Literal["human", "workload", "service", "agent", "unknown"]
OneOrMore = str | tuple[str, ...]

PLACEHOLDERS: Final = ("detector", "finding_id", "account_id")  # of addresses that pages link to


class Route(Struct, frozen=True, rename={"class_": "class"}):
    """Which findings go to which sinks. What is left out holds for all; of a list any one suffices."""

    sink: OneOrMore  # by their names in [sinks.NAME]
    severity: SeverityLabel = "info"  # from this severity up
    account: OneOrMore = ()
    owner: OneOrMore = ()  # of the account, by [organisation]
    detector: OneOrMore = ()  # globs
    class_: ClassLabel | tuple[ClassLabel, ...] = ()  # of the entity

    @property
    def sinks(self) -> tuple[str, ...]:
        """The names of the sinks it leads to."""
        return each_of(self.sink)


class Alert(Struct, frozen=True):
    """What holds for all sinks: what is too old or too much for a page, and where pages link to."""

    max_age_hours: Annotated[float, Meta(gt=0, le=24 * 366)] = 24
    max_per_entity_per_hour: Annotated[int, Meta(ge=1, le=1_000)] = 5
    digest_minutes: Annotated[float, Meta(ge=0, le=24 * 60)] = 60  # how long what is held back is gathered
    runbook_url: str | None = None  # of a detector; {detector}, {finding_id}, {account_id} are filled in
    dashboard_url: str | None = None  # likewise


class Sink(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all sinks have: where they are, and how they are reached. Secrets come from environment or file alone."""

    ca_file: str | None = None  # certificates to trust in the place of the system's
    proxy: str | None = None  # URL; nothing is taken from the environment
    timeout_s: Annotated[float, Meta(ge=0.1, le=120)] = 10

    @property
    def may_be_plain(self) -> bool:
        """Whether http to another host is allowed."""
        return False


class PagerDuty(Sink, frozen=True, kw_only=True, tag="pagerduty"):
    """A PagerDuty service, by the Events API v2."""

    routing_key_env: str | None = None
    routing_key_file: str | None = None
    url: str = "https://events.pagerduty.com"
    severities: dict[SeverityLabel, Literal["critical", "error", "warning", "info"]] = {}
    # With a token for the REST API, what became of a delivery cut short by a crash is asked, and not sent again.
    api_token_env: str | None = None
    api_token_file: str | None = None
    api_url: str = "https://api.pagerduty.com"


class Alertmanager(Sink, frozen=True, kw_only=True, tag="alertmanager"):
    """A Prometheus Alertmanager, by its API v2."""

    url: str
    bearer_token_env: str | None = None
    bearer_token_file: str | None = None
    plain_http: bool = False  # allow http to another host; never with a token
    expires_minutes: Annotated[float, Meta(ge=1, le=24 * 60)] = 15  # an open one is sent again after a third of that

    @property
    def may_be_plain(self) -> bool:
        """Whether http to another host is allowed."""
        return self.plain_http and self.bearer_token_env is None and self.bearer_token_file is None


class Webhook(Sink, frozen=True, kw_only=True, tag="webhook"):
    """Any receiver of signed JSON; its address may itself be a secret."""

    url: str | None = None
    url_env: str | None = None
    url_file: str | None = None
    secret_env: str | None = None
    secret_file: str | None = None


SinkSettings = PagerDuty | Alertmanager | Webhook
SINKS: Final[dict[str, type[PagerDuty | Alertmanager | Webhook]]] = {
    "pagerduty": PagerDuty, "alertmanager": Alertmanager, "webhook": Webhook,
}  # fmt: skip


def each_of(given: OneOrMore) -> tuple[str, ...]:
    """Give a list, whether one or several were written."""
    return (given,) if isinstance(given, str) else given


def is_safe_url(url: str, *, may_be_plain: bool = False) -> bool:
    """Say whether a URL is https, or http that stays on this machine; without a user's name or a fragment in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (may_be_plain or _is_loopback(host)))


def complaints(routes: tuple[Route, ...], sinks: Mapping[str, SinkSettings], alert: Alert) -> Iterator[str]:
    """Name what is wrong: routes that lead nowhere, addresses that would carry findings or secrets in the clear."""
    for number, route in enumerate(routes, 1):
        if not route.sinks:
            yield f"routes, number {number}: sink: names none"
        for name in route.sinks:
            if name not in sinks:
                yield f"routes, number {number}: sink: there is no [sinks.{name}]"
    for name, sink in sinks.items():
        if re.fullmatch("[A-Za-z0-9_-]{1,64}", name) is None:
            yield f"sinks.{name[:64]}: a name is 1 to 64 letters, digits, - or _"
        for complaint in _sink_complaints(sink):
            yield f"sinks.{name}.{complaint}"
    for key in ("runbook_url", "dashboard_url"):
        for complaint in _template_complaints(getattr(alert, key)):
            yield f"alert.{key}: {complaint}"


def _sink_complaints(sink: SinkSettings) -> Iterator[str]:
    for key, about in msgspec.structs.asdict(sink).items():
        if key in ("url", "api_url") and about is not None and not is_safe_url(about, may_be_plain=sink.may_be_plain):
            yield f"{key}: must be https://..., or http:// to this machine itself"
    if sink.proxy is not None and not is_safe_url(sink.proxy, may_be_plain=True):
        yield "proxy: must be http://HOST:PORT or https://HOST:PORT"


def _template_complaints(template: str | None) -> Iterator[str]:
    if template is None:
        return
    for placeholder in re.findall(r"{([^}]*)}", template):
        if placeholder not in PLACEHOLDERS:
            yield f"{{{placeholder}}} is none of {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}"
    if urlsplit(template).scheme not in ("http", "https"):
        yield "must begin with https:// or http://"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
