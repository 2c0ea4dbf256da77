"""A webhook: signed JSON, so that the receiver knows who sent it and when.

``Rolehawk-Signature: v1=HEX``, HEX being HMAC-SHA256, keyed with the shared secret, over ``Rolehawk-Timestamp``, a full
stop, and the body's bytes. docs/alerting.md says how a receiver checks it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec

from models import routes
from models.record import iso
from streams.secret import Secret
from streams.sinks.sink import Message, Sink


class Webhook(Sink):
    """A receiver of one's own."""

    def __init__(self, settings: routes.Webhook, url: Secret, secret: Secret, alert: routes.Alert) -> None:
        super().__init__(settings, url.reveal(), alert)
        self._url = url
        self._secret = secret

    def path(self, message: Message) -> str:  # noqa: ARG002
        """Add nothing: the URL is whole."""
        return ""

    def body(self, message: Message) -> dict[str, Any]:
        """Tell what happened, and the finding or the digest as it is."""
        return {
            "delivery_id": message.delivery_id,
            "sent_at": iso(message.now),
            "action": message.told,
            "severity": message.severity,
            "finding": None if message.finding is None else msgspec.to_builtins(message.finding),
            "digest": None if message.digest is None else msgspec.to_builtins(message.digest),
            "runbook_url": None if message.finding is None else self.runbook_url(message.finding),
            "dashboard_url": None if message.finding is None else self.dashboard_url(message.finding),
        }

    def headers(self, message: Message, body: bytes) -> dict[str, str]:
        """Sign the body and the time."""
        return {
            "Rolehawk-Delivery": message.delivery_id,
            "Rolehawk-Timestamp": str(message.now),
            "Rolehawk-Signature": f"v1={signature(self._secret, message.now, body)}",
        }

    def secrets(self) -> tuple[Secret | None, ...]:
        """Name the secret, and the address, which may be one."""
        return self._secret, self._url


def signature(secret: Secret, timestamp: int, body: bytes) -> str:
    """Sign a body sent at a time: 64 hex digits."""
    return hmac.new(secret.reveal().encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
