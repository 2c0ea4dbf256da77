"""A long-lived key is turned into a session that can do without it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import BehaviourState, Desk, Detector, Family
from models.entity import bare_arn
from models.event import SIGN_IN_SERVICE, Event
from models.facts import Facts
from models.finding import ChainStage, Draft, EntityRef, Severity, cut

_STS = "sts.amazonaws.com"


class SessionFromLongLivedKey(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: the session goes on when the key is gone. GetSessionToken with MFA is the recommended habit."""

    name: ClassVar[str] = "session-from-long-lived-key"
    summary: ClassVar[str] = (
        "GetFederationToken, GetSessionToken without MFA, or GetSigninToken with a session so made: a long-lived key "
        "becomes a session, or a way into the console"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1550.001", "T1098.001")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "Tools that keep a key in a vault take sessions from it all day. A console sign-in with a role's session is not "
        "looked at here."
    )
    runbook: ClassVar[str] = (
        "Ask the key's owner what takes the sessions. If nobody does: disabling the key does not end them, so put a Deny "
        "for sessions issued before now on the user (aws:TokenIssueTime), and look at what the sessions did."
    )
    order_free: ClassVar[bool] = True
    calls: ClassVar[tuple[tuple[str, str], ...]] = (
        (_STS, "GetFederationToken"),
        (_STS, "GetSessionToken"),
        (SIGN_IN_SERVICE, "GetSigninToken"),
    )

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each session taken; a failed call counts only if it was denied."""
        if event.is_failed and not event.is_denied:
            return
        entity, key = state.entity, state.key_id
        if event.api.source == SIGN_IN_SERVICE:
            issuer = _issuing_user(event)
            if issuer is None:
                return
            entity = EntityRef(issuer, "user")
            key = (event.identity.access_key_id if event.identity else None) or "unknown"
        elif not event.facts & Facts.LONG_LIVED_KEY or (
            event.api.name == "GetSessionToken" and event.request().get("serialNumber")
        ):
            return
        name = cut(entity.arn.rsplit("/", 1)[-1])
        yield self.draft(
            event,
            state,
            entity=entity,
            subject=cut(key),
            title=f"{'Denied: ' if event.is_denied else ''}{event.api.name} with key {cut(key)} of {name}",
            summary=(
                f"{event.api.name} was {'refused' if event.is_denied else 'called'} with a key of {name}, from "
                f"{cut(event.caller.source_ip_address or 'an unknown address')}, without MFA. The session that it gives lives "
                "on for up to 36 hours when the key is disabled, and can open the console."
            ),
            seen={"api": event.api.name, "client": event.client.kind, "is_denied": event.is_denied},
            expected={"sessions": "from a role, or with MFA"},
            is_attempt=event.is_denied,
        )


def _issuing_user(event: Event) -> str | None:
    """Name the IAM user whose key a federated session was made with."""
    context = event.identity.session_context if event.identity else None
    issuer = context.session_issuer if context else None
    return bare_arn(issuer.arn)[0] if issuer and issuer.arn and ":user/" in issuer.arn else None
