"""Somebody changes who may vouch for identities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from models.detector import Desk, Detector, Family, GrantsState
from models.entity import partition_of
from models.event import Event
from models.finding import ChainStage, Draft, EntityRef, Severity, cut, doer
from models.grants.writers import is_by_aws
from models.record import text_of

_IAM, _ANYWHERE = "iam.amazonaws.com", "rolesanywhere.amazonaws.com"
# How the call names what it changes: fields of the request, then of the response.
_FIELDS: Final = (
    "openIDConnectProviderArn", "sAMLProviderArn", "trustAnchorId", "profileId", "crlId", "certificateId", "url", "name",
)  # fmt: skip


class IdentityProviderChanged(Detector[GrantsState], frozen=True, kw_only=True):
    """One finding per provider, trust anchor, profile or certificate."""

    name: ClassVar[str] = "identity-provider-changed"
    summary: ClassVar[str] = (
        "a SAML or OIDC provider, a Roles Anywhere trust anchor or profile, or a signing certificate is made or changed"
    )
    family: ClassVar[Family] = "guardrails"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1484.002", "T1098.001")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "Changes at the provider itself, outside AWS. External identity sources of Identity Center."
    )
    runbook: ClassVar[str] = (
        "Whoever controls a provider can sign in as anybody whom a role trusts it for. See that the change was planned, "
        "that its certificates, thumbprints and client ids are the organisation's, and which roles trust it. If not: delete "
        "it, and look at AssumeRoleWith… calls since."
    )
    order_free: ClassVar[bool] = True
    calls: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (_IAM, name)
            for name in (
                "CreateSAMLProvider", "UpdateSAMLProvider", "CreateOpenIDConnectProvider",
                "AddClientIDToOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint",
                "UploadSigningCertificate",
            )
        ),
        *(
            (_ANYWHERE, name)
            for name in (
                "CreateTrustAnchor", "UpdateTrustAnchor", "EnableTrustAnchor", "CreateProfile", "UpdateProfile",
                "EnableProfile", "ImportCrl", "DisableCrl", "DeleteCrl",
            )
        ),
    )  # fmt: skip

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Yield a draft for each change, or denied try."""
        if (event.is_failed and not event.is_denied) or is_by_aws(event):
            return
        arn = _changed(event)
        name = cut(arn.rsplit("/", 1)[-1])
        by = doer(event)
        denied = event.is_denied
        yield self.draft(
            event,
            state,
            entity=EntityRef(arn, "identity-provider"),
            subject=None,
            title=f"{'Denied: ' if denied else ''}{event.api.name}: {name}",
            summary=(
                f"{by} {'tried to call' if denied else 'called'} {event.api.name} on {name}. It decides whose word is taken "
                "for who somebody is: a provider of an intruder's is a way in that outlives every key and password."
            ),
            seen={"api": event.api.name, "is_denied": denied},
            expected={"changes": 0},
            severity=Severity.LOW if denied else Severity.MEDIUM,
        )


def _changed(event: Event) -> str:
    """Name what a call changes, by its ARN where it says it."""
    request, response = event.request(), event.response()
    nested = [each for each in response.values() if isinstance(each, dict)]
    found = next((arn for each in (response, *nested) if (arn := _arn_in(each))), None)
    if found := found or _arn_in(request) or event.refused:
        return found
    name = next(
        (text for each in (request, *nested) for field in _FIELDS if (text := text_of(each.get(field)))), "unknown"
    )
    service = "rolesanywhere" if event.api.source == _ANYWHERE else "iam"
    region = event.record.aws_region or ""
    where = region if service == "rolesanywhere" else ""
    return f"arn:{partition_of(region)}:{service}:{where}:{event.account_id or ''}:provider/{name.removeprefix('https://')}"


def _arn_in(fields: dict[str, Any]) -> str | None:
    return next(
        (
            text
            for key in sorted(fields)
            if key.lower().endswith("arn") and key != "roleArn" and (text := text_of(fields[key]))
        ),
        None,
    )
