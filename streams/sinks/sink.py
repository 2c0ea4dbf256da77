"""What a sink is: it makes a request of a message, and says what became of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from models import routes
from models.finding import Finding
from models.paging import Digest, Told
from streams.secret import Secret
from streams.sinks.http import Answer, Client
from streams.terminal import visible


@dataclass(frozen=True)
class Message:
    """One thing to tell: that a finding is open or over, or a digest."""

    told: Told
    delivery_id: str  # the same each time that the same is told again
    severity: str
    now: int  # seconds since 1970
    finding: Finding | None = None
    digest: Digest | None = None
    before: tuple[str, ...] = ()  # other severities under which it may stand open at the sink


class Sink(ABC):
    """One receiver. `body` says what it is told; all the rest is alike."""

    resend_s: float | None = None  # what is open must be said again so often, or the receiver lets it go

    def __init__(self, settings: routes.Sink, url: str, alert: routes.Alert) -> None:
        self._alert = alert
        self._client = Client(url, ca_file=settings.ca_file, proxy=settings.proxy, timeout_s=settings.timeout_s)

    @abstractmethod
    def path(self, message: Message) -> str:
        """Say where below the sink's URL a message goes."""

    @abstractmethod
    def body(self, message: Message) -> Any:  # noqa: ANN401 - any JSON, with secrets in it
        """Make what is sent of a message."""

    def headers(self, message: Message, body: bytes) -> dict[str, str]:  # noqa: ARG002 - for those that need them
        """Give the headers that the receiver needs beside the body."""
        return {}

    def secrets(self) -> tuple[Secret | None, ...]:
        """List the secrets that it sends, so that none is repeated from an answer."""
        return ()

    def send(self, message: Message) -> Answer:
        """Tell a message, once."""
        body = msgspec.json.encode(_shown(self.body(message)), enc_hook=_reveal)
        answer = self._client.post(self.path(message), body, self.headers(message, body))
        return Answer(answer.outcome, self._without_secrets(answer.reason), answer.retry_after_s)

    def was_taken(self, message: Message, since: int) -> bool | None:  # noqa: ARG002 - for those that can be asked
        """Ask the receiver whether it took a message that was sent at ``since`` or later; None where it cannot say."""
        return None

    def preview(self, message: Message) -> Any:  # noqa: ANN401 - any JSON
        """Show what would be sent, secrets hidden."""
        return msgspec.to_builtins(_shown(self.body(message)), enc_hook=repr)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def runbook_url(self, finding: Finding) -> str | None:
        """Say where the runbook of a finding stands, if the settings say."""
        return _filled(self._alert.runbook_url, finding)

    def dashboard_url(self, finding: Finding) -> str | None:
        """Say where a finding is looked at, if the settings say."""
        return _filled(self._alert.dashboard_url, finding)

    def _without_secrets(self, reason: str) -> str:
        for secret in self.secrets():
            if secret is not None:
                reason = reason.replace(secret.reveal(), repr(secret))
        return reason


def _filled(template: str | None, finding: Finding) -> str | None:
    if template is None:
        return None
    values = {"detector": finding.detector, "finding_id": finding.finding_id, "account_id": finding.account_id or ""}
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    return template


def _shown(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Make every string of a value visible: a pager, a phone and a chat obey more than a terminal does."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(each) for each in value]
    return value


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(type(value).__name__)
