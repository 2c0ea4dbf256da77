"""A person signs in to the console as an IAM user, not through the organisation's identity provider."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import BehaviourState, Desk, Detector, Family
from models.event import SIGN_IN_SERVICE, Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut


class UnfederatedConsoleLogin(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per console session of an IAM user; without MFA it weighs more."""

    name: ClassVar[str] = "unfederated-console-login"
    summary: ClassVar[str] = "a successful ConsoleLogin of an IAM user, not federated; medium without MFA"
    family: ClassVar[Family] = "console"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = None
    known_gaps: ClassVar[str] = (
        "A sign-in that the trail does not hold (another region's trail, a trail that began later)."
    )
    runbook: ClassVar[str] = (
        "Move the person to the organisation's identity provider and delete the login profile. Until then, require MFA. "
        "If the login is nobody's, reset the password and look at what the session did."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = ((SIGN_IN_SERVICE, "ConsoleLogin"),)

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for a sign-in that got in."""
        if state.profile.type != "user" or state.session is None or not event.facts & Facts.SIGN_IN:
            return
        has_mfa = str(event.additional().get("MFAUsed", "")).lower() == "yes"
        name = cut(state.profile.arn.rsplit("/", 1)[-1])
        yield self.draft(
            event,
            state,
            subject=state.session.id,
            title=f"IAM user {name} signed in to the console{'' if has_mfa else ' without MFA'}",
            summary=(
                f"IAM user {name} signed in to the AWS console with a password{' and MFA' if has_mfa else ', without MFA'}, "
                f"from {cut(event.caller.source_ip_address or 'an unknown address')}, past the organisation's identity "
                "provider. Such passwords outlive the person's job and are not under the provider's controls."
            ),
            seen={
                "mfa_used": has_mfa,
                "break_glass": state.context.is_break_glass(state.profile.arn),
                "known_network": state.context.is_known_network(event.caller.source_ip_address),
            },
            expected={"federated": True, "mfa_used": True},
            severity=Severity.LOW if has_mfa else Severity.MEDIUM,
        )
