"""PagerDuty, by its Events API v2: one incident per finding, by its id as dedup_key; digests are change events.

Limits: 1,024 characters of summary, 255 of dedup_key, 512 KB in all, which a bounded finding keeps.
Source: PagerDuty developer documentation, "Send an alert event", "Send a change event", "List incidents".
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from models import routes
from models.finding import Finding, cut
from models.paging import Digest
from models.record import iso
from streams.secret import Secret
from streams.sinks.http import Client
from streams.sinks.sink import Message, Sink
from streams.terminal import visible_line

MAX_SUMMARY: Final = 1_024
MAX_FIELD: Final = 255  # characters of source, component, group, class
SEVERITIES: Final = {"critical": "critical", "high": "error", "medium": "warning", "low": "info", "info": "info"}


class PagerDuty(Sink):
    """A service of PagerDuty."""

    def __init__(
        self, settings: routes.PagerDuty, routing_key: Secret, api_token: Secret | None, alert: routes.Alert
    ) -> None:
        super().__init__(settings, settings.url, alert)
        self._routing_key = routing_key
        self._api_token = api_token
        self._severities = SEVERITIES | {str(ours): str(theirs) for ours, theirs in settings.severities.items()}
        self._api = (
            None
            if api_token is None
            else Client(settings.api_url, ca_file=settings.ca_file, proxy=settings.proxy, timeout_s=settings.timeout_s)
        )

    def path(self, message: Message) -> str:
        """Tell alert events from change events."""
        return "/v2/change/enqueue" if message.told == "digest" else "/v2/enqueue"

    def body(self, message: Message) -> dict[str, Any]:
        """Make an alert event of a finding, a change event of a digest."""
        if message.digest is not None:
            return {"routing_key": self._routing_key, "payload": _change(message.digest)}
        finding = message.finding
        assert finding is not None  # noqa: S101 - a message has one of the two
        event: dict[str, Any] = {
            "routing_key": self._routing_key,
            "event_action": message.told,
            "dedup_key": finding.finding_id,
        }
        if message.told == "resolve":
            return event
        dashboard = self.dashboard_url(finding)
        links = (("Runbook", self.runbook_url(finding)), ("Dashboard", dashboard))
        return {
            **event,
            "client": "rolehawk",
            **({} if dashboard is None else {"client_url": dashboard}),
            "links": [{"href": href, "text": text} for text, href in links if href is not None],
            "payload": {
                "summary": cut(visible_line(finding.title) or finding.detector, MAX_SUMMARY),
                "source": cut(visible_line(finding.entity.arn) or "unknown", MAX_FIELD),
                "severity": self._severities[message.severity],
                "timestamp": finding.opened_at,
                "component": cut(visible_line(finding.entity.type), MAX_FIELD),
                "group": finding.account_id,
                "class": finding.detector,
                "custom_details": _details(finding),
            },
        }

    def secrets(self) -> tuple[Secret | None, ...]:
        """Name the routing key and the token."""
        return self._routing_key, self._api_token

    def was_taken(self, message: Message, since: int) -> bool | None:
        """Ask the REST API whether there is an incident of that key, made since then; None without a token."""
        if self._api is None or self._api_token is None or message.finding is None or message.told != "trigger":
            return None
        query = urlencode(
            {"incident_key": message.finding.finding_id, "since": iso(since), "until": iso(message.now + 60)}
        )
        headers = {"Authorization": f"Token token={self._api_token.reveal()}"}
        answer = self._api.get(
            f"/incidents?{query}&statuses[]=triggered&statuses[]=acknowledged&statuses[]=resolved", headers
        )
        if answer.outcome != "taken":
            return None
        try:
            return bool(msgspec.json.decode(answer.body, type=_Incidents).incidents)
        except msgspec.DecodeError:
            return None

    def close(self) -> None:
        """Let both connections go."""
        super().close()
        if self._api is not None:
            self._api.close()


class _Incidents(msgspec.Struct):
    incidents: list[dict[str, Any]]


def _details(finding: Finding) -> dict[str, Any]:
    details: dict[str, Any] = msgspec.to_builtins(finding)
    return {key: value for key, value in details.items() if key not in ("title", "severity", "opened_at", "account_id")}


def _change(digest: Digest) -> dict[str, Any]:
    return {
        "summary": cut(digest.line, MAX_SUMMARY),
        "timestamp": digest.made_at,
        "source": "rolehawk",
        "custom_details": msgspec.to_builtins(digest),
    }
