"""What all doors share: their contract, and how documents and ARNs are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from models.entity import partition_of
from models.event import Event
from models.grants.graph import MAX_DOCUMENT, Graph, Row
from models.record import text_of

Edits = dict[str, Row | None]  # by the row's key: what a call leaves of it, None where it is gone
Door = Callable[[Event, Graph, dict[str, Any]], Edits]


def document_of(value: object) -> str | None:
    """Take a policy document as text, whichever form it comes in; None where there is none, or it is too long to keep."""
    if isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    return value if isinstance(value, str) and 0 < len(value) <= MAX_DOCUMENT else None


def holder_arn(event: Event, request: dict[str, Any], kind: str) -> str | None:
    """Name the user, role or group that a call of IAM is about."""
    name = text_of(request.get(f"{kind}Name"))
    return event.iam_arn(kind, name) if name else None


def regional(event: Event, service: str, kind: str, name: str | None) -> str | None:
    """Name a resource by ARN that a call names by its id or by ARN."""
    if name is None or name.startswith("arn:"):
        return name
    region, account = event.call.aws_region, event.account_id
    if not region or not account:
        return None
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{kind}{name}"
