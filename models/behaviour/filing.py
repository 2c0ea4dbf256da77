"""What is done to an entity: its role assumed, its trust, password or MFA changed, itself created.

Keyed by (eventSource, eventName): the name alone names nothing. What issued a session is read from the AssumeRole
record alone; a plain IAM user as issuer is no evidence. Source: AWS CloudTrail user guide and IAM API reference.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from models.entity import (
    EntityType,
    account_of,
    bare_arn,
    role_facts,
    role_of_session,
    session_name_facts,
    web_identity_facts,
)
from models.event import Event, api_key
from models.facts import Facts
from models.record import text_of

_TRUSTS: Final = Facts.TRUSTS_ONLY_SERVICES | Facts.TRUSTS_EKS_PODS | Facts.TRUSTS_CI | Facts.TRUSTS_SAML
# What an issuer's client says of where it runs holds for the session that it then uses.
_INHERITED: Final = int(
    Facts.PLATFORM_CLIENT | Facts.PLATFORM_CREDENTIALS | Facts.DESKTOP_CLIENT | Facts.SSO_CREDENTIALS
)
_KEYS: Final = int(Facts.OF_A_KEY)
_MAX_DOCUMENT: Final = 131_072


class Deed(Struct, frozen=True):
    """What an event does to an entity other than its actor."""

    arn: str
    type: EntityType
    account_id: str | None
    path: str | None
    facts: int
    session_name: str | None = None  # the session issued; None where the entity itself is configured
    what: str | None = None  # which configuration changes
    clears: int = 0
    unique_id: str | None = None  # of an entity just created


class AssumeRoleRequest(Struct, rename="camel", gc=False):
    """The parameters of AssumeRole and its like that are read."""

    role_arn: str | None = None
    role_session_name: str | None = None


_decode_assume_role = msgspec.json.Decoder(AssumeRoleRequest).decode


def deed_of(event: Event) -> Deed | None:
    """Read what an event does to another entity; None where it does nothing, or failed."""
    read = _READERS.get(event.api.key)
    return None if read is None or event.is_failed else read(event)


def _assumed(event: Event) -> Deed | None:
    try:  # one call in eight of a trail: typed, so that nothing else of the parameters is decoded
        request = _decode_assume_role(event.record.request_parameters)
        arn, name = request.role_arn, request.role_session_name
    except msgspec.MsgspecError:
        arn = name = None
    if arn is None or name is None:
        assumed = event.response().get("assumedRoleUser")
        session_arn = text_of(assumed.get("arn")) if isinstance(assumed, dict) else None
        derived, derived_name = role_of_session(session_arn) if session_arn else (None, None)
        arn, name = arn or derived, name or derived_name
    return _issued(arn, name, _issuer_facts(event)) if arn and name else None


def _anywhere(event: Event) -> Deed | None:
    """Read rolesanywhere CreateSession, where the certificate's serial number becomes the session name."""
    sets = event.response().get("credentialSet")
    first = sets[0] if isinstance(sets, list) and sets and isinstance(sets[0], dict) else {}
    user = first.get("assumedRoleUser")
    session_arn = text_of(user.get("arn")) if isinstance(user, dict) else None
    if session_arn is None:
        return None
    role, name = role_of_session(session_arn)
    return _issued(text_of(first.get("roleArn")) or role, name, Facts.ROLES_ANYWHERE) if name else None


@lru_cache(maxsize=16_384)
def _issued(full_arn: str, name: str, facts: int) -> Deed:
    arn, path = bare_arn(full_arn)
    facts |= role_facts(full_arn) | session_name_facts(name)
    return Deed(arn, "role", account_of(arn), path, facts, session_name=name)


def _issuer_facts(event: Event) -> int:
    """Say what the issuer asserts of the session: which service, federation or console it came from."""
    actor, facts, identity = event.actor, event.facts, event.identity
    inherited = facts & _INHERITED
    if facts & _KEYS:
        inherited |= Facts.OF_A_KEY
    if actor is None or identity is None:
        return inherited
    issued = 0
    if actor.type == "service" or facts & Facts.INVOKED_BY_SERVICE:
        issued = _BY_SERVICE.get(identity.invoked_by or actor.arn, Facts.ISSUED_BY_SERVICE)
    elif actor.type == "web-identity-subject":
        issued = web_identity_facts(identity.identity_provider, identity.user_name)
    elif facts & Facts.SAML:
        issued = Facts.SAML
    elif facts & (Facts.CONSOLE_FLAG | Facts.INVOKED_BY_SIGNIN):
        issued = Facts.ISSUED_IN_CONSOLE
    elif facts & Facts.SSO_ROLE:
        issued = Facts.ISSUED_BY_SSO_ROLE
    return issued | inherited


_BY_SERVICE: Final = {
    "signin.amazonaws.com": Facts.ISSUED_IN_CONSOLE,
    "sso.amazonaws.com": Facts.ISSUED_BY_SSO_ROLE,
    "rolesanywhere.amazonaws.com": Facts.ROLES_ANYWHERE,
}


def _role_created(event: Event) -> Deed | None:
    role = event.response().get("role")
    made = role if isinstance(role, dict) else {}
    facts = trust_facts(event.request().get("assumeRolePolicyDocument"))
    return _configured(event, "role", "trust", facts, clears=_TRUSTS, unique_id=text_of(made.get("roleId")))


def _trust_updated(event: Event) -> Deed | None:
    return _configured(event, "role", "trust", trust_facts(event.request().get("policyDocument")), clears=_TRUSTS)


def _user_created(event: Event) -> Deed | None:
    user = event.response().get("user")
    made = user if isinstance(user, dict) else {}
    return _configured(event, "user", "creation", 0, unique_id=text_of(made.get("userId")))


def _set(what: str, fact: Facts) -> Callable[[Event], Deed | None]:
    return lambda event: _configured(event, "user", what, int(fact))


def _cleared(what: str, fact: Facts) -> Callable[[Event], Deed | None]:
    return lambda event: _configured(event, "user", what, 0, clears=int(fact))


def _configured(
    event: Event, kind: EntityType, what: str, facts: int, *, clears: int = 0, unique_id: str | None = None
) -> Deed | None:
    request = event.request()
    name = text_of(request.get(f"{kind}Name"))
    arn = event.iam_arn(kind, name) if name else None
    if arn is None:
        return None
    path = text_of(request.get("path"))
    return Deed(arn, kind, event.account_id, None if path == "/" else path, facts, None, what, clears, unique_id)


def trust_facts(document: object) -> int:
    """Say what a trust policy makes of its role: for services only, EKS pods, CI, people by SAML, or undecided.

    Takes the document as CloudTrail writes it (a JSON string), URL-encoded, or decoded.
    """
    statements = _statements(document)
    kinds: set[str] = set()
    facts = 0
    for statement in statements:
        principal = statement.get("Principal")
        if statement.get("Effect") != "Allow" or principal is None:
            continue
        if not isinstance(principal, dict):
            kinds.add("AWS")
            continue
        kinds.update(principal)
        facts |= _federated_facts(principal.get("Federated"))
        if "pods.eks.amazonaws.com" in _texts(principal.get("Service")):
            facts |= Facts.TRUSTS_EKS_PODS
    if kinds == {"Service"} and not facts:
        facts = Facts.TRUSTS_ONLY_SERVICES
    return facts


def _federated_facts(providers: object) -> int:
    facts = 0
    for provider in _texts(providers):
        if ":saml-provider/" in provider:
            facts |= Facts.TRUSTS_SAML
        elif web_identity_facts(provider) & Facts.WEB_IDENTITY_WORKLOAD:
            facts |= Facts.TRUSTS_CI
    return facts


def _statements(document: object) -> list[dict[str, Any]]:
    if isinstance(document, str):
        text = unquote(document) if document.lstrip().startswith("%7B") else document
        try:
            document = msgspec.json.decode(text) if len(text) <= _MAX_DOCUMENT else None
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return []
    statements = document.get("Statement") if isinstance(document, dict) else None
    return [each for each in (statements if isinstance(statements, list) else [statements]) if isinstance(each, dict)]


def _texts(value: object) -> list[str]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


_READERS: Final[dict[str, Callable[[Event], Deed | None]]] = {
    api_key("sts.amazonaws.com", "AssumeRole"): _assumed,
    api_key("sts.amazonaws.com", "AssumeRoleWithSAML"): _assumed,
    api_key("sts.amazonaws.com", "AssumeRoleWithWebIdentity"): _assumed,
    api_key("rolesanywhere.amazonaws.com", "CreateSession"): _anywhere,
    api_key("iam.amazonaws.com", "CreateRole"): _role_created,
    api_key("iam.amazonaws.com", "UpdateAssumeRolePolicy"): _trust_updated,
    api_key("iam.amazonaws.com", "CreateUser"): _user_created,
    api_key("iam.amazonaws.com", "CreateLoginProfile"): _set("password", Facts.LOGIN_PROFILE),
    api_key("iam.amazonaws.com", "UpdateLoginProfile"): _set("password", Facts.LOGIN_PROFILE),
    api_key("iam.amazonaws.com", "DeleteLoginProfile"): _cleared("password", Facts.LOGIN_PROFILE),
    api_key("iam.amazonaws.com", "EnableMFADevice"): _set("mfa", Facts.MFA_DEVICE),
    api_key("iam.amazonaws.com", "DeactivateMFADevice"): _cleared("mfa", Facts.MFA_DEVICE),
}

FILED_CALLS: Final = frozenset(_READERS)
