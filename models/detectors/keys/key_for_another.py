"""Somebody makes a lasting credential for another user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from models.detector import Desk, Detector, Family, GrantsState
from models.event import Event
from models.finding import ChainStage, Draft, EntityRef, Severity, cut
from models.record import text_of

_IAM = "iam.amazonaws.com"
# Call -> what it makes, and where the response names it: IAM's own spellings, the odd capitals are CloudTrail's.
_MADE: Final = {
    "CreateAccessKey": ("Access key", "accessKey", "accessKeyId"),
    "CreateServiceSpecificCredential": (
        "Service-specific credential", "serviceSpecificCredential", "serviceSpecificCredentialId",
    ),
    "ResetServiceSpecificCredential": (
        "Service-specific credential", "serviceSpecificCredential", "serviceSpecificCredentialId",
    ),
    "UploadSSHPublicKey": ("SSH key", "sSHPublicKey", "sSHPublicKeyId"),
    "UploadSigningCertificate": ("Signing certificate", "certificate", "certificateId"),
}  # fmt: skip


class KeyForAnother(Detector[GrantsState], frozen=True, kw_only=True):
    """One finding per credential: whoever makes it can act as that user for as long as it works."""

    name: ClassVar[str] = "key-for-another"
    summary: ClassVar[str] = (
        "an access key, service-specific credential, SSH key or signing certificate is made for another user than the "
        "caller; low while it is denied, and where a pipeline of the settings does it"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1098.001",)
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "Administrators who set up users for machines do the same. A key that somebody makes in another user's own session "
        "is that user's."
    )
    runbook: ClassVar[str] = (
        "Ask whoever did it what the credential is for, and who has it now. If nobody answers for it, disable it, look at "
        "all that was done with it since (key-made-then-used stands beside this finding if it was soon used from "
        "elsewhere), and at what else the same session made."
    )
    order_free: ClassVar[bool] = True
    calls: ClassVar[tuple[tuple[str, str], ...]] = tuple((_IAM, name) for name in _MADE)

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Yield a draft for each credential made for another user; a failed call counts only if it was denied."""
        user, actor = event.user_named, event.actor
        if user is None or actor is None or user == actor.arn or (event.is_failed and not event.is_denied):
            return
        name = cut(user.rpartition("/")[2])
        what, element, field = _MADE[event.api.name]
        made = event.response().get(element)
        credential = _id_of(made, field) or text_of(event.request().get(field))
        by, denied = cut(actor.session_arn), event.is_denied
        is_expected = state.context.is_pipeline(actor.arn)
        yield self.draft(
            event,
            state,
            entity=EntityRef(user, "user"),
            subject=credential and cut(credential),
            title=f"{'Denied: ' if denied else ''}{what} for user {name} by {by.rsplit('/', 1)[-1]}",
            summary=(
                f"{by} {'tried to make' if denied else 'made'} {event.api.name} for {name}. Whoever holds the "
                "credential can act as that user, and keeps that way in when their own access ends."
            ),
            seen={
                "api": event.api.name,
                "credential": credential and cut(credential),
                "by": cut(actor.arn),
                "client": event.client.kind,
                "is_denied": denied,
            },
            expected={"by": "the user"},
            severity=Severity.LOW if denied or is_expected else Severity.MEDIUM,
        )


def _id_of(made: Any, field: str) -> str | None:  # noqa: ANN401 - any JSON
    return text_of(made.get(field)) if isinstance(made, dict) else None
