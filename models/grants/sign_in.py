"""Sign-ins as attempts: who a ConsoleLogin claims to be, and whether it got in."""

from __future__ import annotations

from models.entity import partition_of
from models.event import Event
from models.facts import Facts
from models.finding import evidence_of
from models.grants.account import Attempt


def attempt_of(event: Event) -> Attempt | None:
    """Read a ConsoleLogin of a user or root as an attempt; None for federated sessions, which hold no password."""
    actor = event.actor
    if actor is not None and actor.type not in ("user", "root"):
        return None
    is_failure = bool(event.facts & Facts.SIGN_IN_FAILED)
    if actor is None and not is_failure:
        return None
    identity = actor.arn if actor else None
    if identity is not None and (partition := partition_of(event.record.aws_region)) != "aws":
        identity = identity.replace("arn:aws:", f"arn:{partition}:", 1)  # a failure bears no ARN that would say so
    return Attempt(event.at, is_failure, identity, evidence_of(event))
