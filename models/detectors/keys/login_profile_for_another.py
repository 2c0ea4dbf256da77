"""Somebody gives another user a console password or a second factor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import Desk, Detector, Family, GrantsState
from models.event import Event
from models.finding import ChainStage, Draft, EntityRef, Severity, cut

_IAM = "iam.amazonaws.com"


class LoginProfileForAnother(Detector[GrantsState], frozen=True, kw_only=True):
    """One finding per user: whoever sets the password, or enrols the device, can sign in as that user."""

    name: ClassVar[str] = "login-profile-for-another"
    summary: ClassVar[str] = (
        "a console password or an MFA device is set for another user than the caller; low while it is denied"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1098", "T1136.003")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = "Administrators who set up new users do the same; so does a pipeline that makes users."
    runbook: ClassVar[str] = (
        "Ask whoever did it, and the user, whether this was agreed. If not, delete the login profile or deactivate the "
        "device, end the user's console sessions, and look at what the user did since."
    )
    order_free: ClassVar[bool] = True
    calls: ClassVar[tuple[tuple[str, str], ...]] = (
        (_IAM, "CreateLoginProfile"),
        (_IAM, "UpdateLoginProfile"),
        (_IAM, "EnableMFADevice"),
    )

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Yield a draft for each call that is about another user; a failed one only if it was denied."""
        user, actor = event.user_named, event.actor
        if user is None or actor is None or user == actor.arn or (event.is_failed and not event.is_denied):
            return
        name = cut(user.rpartition("/")[2])
        what = _WHAT.get(event.api.name, event.api.name)
        by = cut(actor.session_arn.rsplit("/", 1)[-1])
        yield self.draft(
            event,
            state,
            entity=EntityRef(user, "user"),
            subject=None,
            title=f"{'Denied: ' if event.is_denied else ''}{what} for user {name} by {by}",
            summary=(
                f"{cut(actor.session_arn)} {'tried to make' if event.is_denied else 'made'} {event.api.name} for "
                f"{name}. Whoever sets the password or enrols the device can sign in to the console as that user, and "
                "keeps that way in when their own access ends."
            ),
            seen={"api": event.api.name, "by": cut(actor.arn), "is_denied": event.is_denied},
            expected={"by": "the user"},
            severity=Severity.LOW if event.is_denied else Severity.MEDIUM,
        )


_WHAT = {
    "CreateLoginProfile": "Console password set",
    "UpdateLoginProfile": "Console password changed",
    "EnableMFADevice": "MFA device enrolled",
}
