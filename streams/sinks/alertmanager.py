"""Prometheus Alertmanager, by its API v2: one alert per finding, said again before it expires for as long as it is open.

Source: Prometheus documentation, "Alerts API": an alert is told by its labels; without news it ends at ``endsAt``.
"""

from __future__ import annotations

from typing import Any

from models import routes
from models.finding import Finding
from models.record import epoch, iso
from streams.secret import Secret
from streams.sinks.sink import Message, Sink


class Alertmanager(Sink):
    """An Alertmanager."""

    def __init__(self, settings: routes.Alertmanager, bearer_token: Secret | None, alert: routes.Alert) -> None:
        super().__init__(settings, settings.url, alert)
        self._bearer_token = bearer_token
        self._expires_s = int(settings.expires_minutes * 60)
        self.resend_s = self._expires_s / 3

    def path(self, message: Message) -> str:  # noqa: ARG002
        """Name the one address of all alerts."""
        return "/api/v2/alerts"

    def headers(self, message: Message, body: bytes) -> dict[str, str]:  # noqa: ARG002
        """Name ourselves, where that is asked for."""
        return {} if self._bearer_token is None else {"Authorization": f"Bearer {self._bearer_token.reveal()}"}

    def secrets(self) -> tuple[Secret | None, ...]:
        """Name the token."""
        return (self._bearer_token,)

    def body(self, message: Message) -> list[dict[str, Any]]:
        """Make alerts: of a finding whose severity changed two, for its labels make an alert what it is."""
        if message.digest is not None:
            labels = {"alertname": "RolehawkDigest", "severity": "info", "digest_id": message.digest.digest_id}
            notes = {"summary": message.digest.line}
            return [_alert(labels, notes, epoch(message.digest.made_at), message.now + self._expires_s)]
        finding = message.finding
        assert finding is not None  # noqa: S101 - a message has one of the two
        starts_at = min(epoch(finding.opened_at), message.now - 1)
        over = {*message.before, message.severity} - ({message.severity} if message.told == "trigger" else set())
        alerts = [_alert(_labels(finding, severity), {}, starts_at, message.now) for severity in sorted(over)]
        if message.told == "trigger":
            ends_at = message.now + self._expires_s
            alerts.append(_alert(_labels(finding, message.severity), self._notes(finding), starts_at, ends_at))
        return alerts

    def _notes(self, finding: Finding) -> dict[str, str]:
        notes = {
            "summary": finding.title,
            "description": finding.summary,
            "entity": finding.entity.arn,
            "subject": finding.subject,
            "actor": finding.actor.arn,
            "origin": finding.actor.origin,
            "runbook": finding.runbook,
            "runbook_url": self.runbook_url(finding),
            "dashboard_url": self.dashboard_url(finding),
        }
        return {key: value for key, value in notes.items() if value}


def _labels(finding: Finding, severity: str) -> dict[str, str]:
    return {
        "alertname": "RolehawkFinding",
        "detector": finding.detector,
        "severity": severity,
        "account_id": finding.account_id or "",
        "finding_id": finding.finding_id,
    }


def _alert(labels: dict[str, str], notes: dict[str, str], starts_at: int, ends_at: int) -> dict[str, Any]:
    return {"labels": labels, "annotations": notes, "startsAt": iso(starts_at), "endsAt": iso(ends_at)}
