"""The root user acts, or a key of root's is made or used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import BehaviourState, Desk, Detector, Family
from models.entity import CONSOLE_SESSION, is_aws_service, is_console_service
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut


class RootUse(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session. A service on root's behalf, and a sign-in that failed, are nobody using root."""

    name: ClassVar[str] = "root-use"
    summary: ClassVar[str] = (
        "root acts, or a root key is made or used; not a service on root's behalf, not a failed login"
    )
    family: ClassVar[Family] = "use"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.HIGH
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "A task of centrally managed root access (sts:AssumeRoot) is found as root's own; who began it is its origin, where "
        "the management account's trail is read too."
    )
    runbook: ClassVar[str] = (
        "Root is for the few tasks that only root can do. Find out who holds its credentials and whether this was such a "
        "task. If not, or if nobody did it: change root's password and e-mail access, delete its access keys, check its "
        "MFA devices, and look at every call in the session."
    )
    facts: ClassVar[int] = Facts.ROOT

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for whatever root itself does."""
        identity = event.identity
        invoked_by = identity.invoked_by if identity else None
        if invoked_by is not None and is_aws_service(invoked_by) and not is_console_service(invoked_by):
            return
        network = state.context.network_of(event)
        if (
            invoked_by is None and network is not None and network.kind in ("service", "internal")
        ):  # nobody else's to write
            return
        if (
            state.session is None
            or not state.is_own
            or event.facts & Facts.SIGN_IN_FAILED
            or event.api.name in _BEFORE_SIGN_IN
        ):
            return
        account = state.account_id or "unknown"
        key = event.actor is not None and event.actor.credential == "root"
        how = " with an access key" if key else " in the console" if state.session.name == CONSOLE_SESSION else ""
        yield self.draft(
            event,
            state,
            subject=state.session.id,
            title=f"Root of account {account} acts{how}",
            summary=(
                f"The root user of account {account} made {cut(event.api.name)} ({cut(event.api.source)}){how}, from "
                f"{cut(event.caller.source_ip_address or 'an unknown address')}. Root cannot be limited by policies; "
                "everyday work, and above all automation, has no business with it."
            ),
            seen={
                "api": f"{cut(event.api.source)}:{cut(event.api.name)}",
                "credential": event.actor.credential if event.actor else None,
                "is_denied": event.is_denied,
                "break_glass": state.context.is_break_glass(state.entity.arn),
                "known_network": state.context.is_known_network(event.caller.source_ip_address),
            },
            expected={"calls": 0},
        )


# What the sign-in page records before anybody is in: anyone who knows the e-mail address can cause these.
_BEFORE_SIGN_IN = frozenset({"CheckMfa", "PasswordRecoveryRequested", "CredentialChallenge"})
