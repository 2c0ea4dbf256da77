"""Sign-ins as attempts: who a ConsoleLogin claims to be, and whether it got in."""

from __future__ import annotations

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
    return Attempt(event.at, is_failure, actor.arn if actor else None, evidence_of(event))
