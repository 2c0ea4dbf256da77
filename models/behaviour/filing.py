"""What is done to an entity: its role assumed, its trust, password, MFA or keys changed, itself created, quarantined.

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

from models.behaviour.keys import Act, KeyAct
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
_KEYS: Final = int(Facts.LONG_LIVED_KEY | Facts.OF_A_KEY)
QUARANTINE: Final = "AWSCompromisedKeyQuarantine"  # and its later versions, V2 and V3
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
    key: KeyAct | None = None  # what is done to one of its access keys


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
        request = _decode_assume_role(event.own.request_parameters)
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
    actor, facts = event.actor, event.facts
    inherited = facts & _INHERITED
    if facts & _KEYS:
        inherited |= Facts.OF_A_KEY
    if actor is None:
        return inherited
    issued = 0
    if actor.type == "service" or facts & Facts.INVOKED_BY_SERVICE:
        issued = _BY_SERVICE.get(event.caller.invoked_by or actor.arn, Facts.ISSUED_BY_SERVICE)
    elif actor.type == "web-identity-subject" and (identity := event.identity) is not None:
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


def _key_created(event: Event) -> Deed | None:
    made = event.response().get("accessKey")
    made = made if isinstance(made, dict) else {}
    name = text_of(event.request().get("userName")) or text_of(made.get("userName"))
    return _key(event, name, text_of(made.get("accessKeyId")), "created")


def _key_switched(event: Event) -> Deed | None:
    request = event.request()
    act = _SWITCHES.get(text_of(request.get("status")))
    name, key_id = text_of(request.get("userName")), text_of(request.get("accessKeyId"))
    return None if act is None else _key(event, name, key_id, act)


def _key_deleted(event: Event) -> Deed | None:
    request = event.request()
    return _key(event, text_of(request.get("userName")), text_of(request.get("accessKeyId")), "deleted")


_SWITCHES: Final[dict[str | None, Act]] = {"Active": "enabled", "Inactive": "disabled"}


def _key(event: Event, user_name: str | None, key_id: str | None, act: Act) -> Deed | None:
    """File what is done to a key with its owner: the user named, else whoever asks, as root does for its own."""
    actor = event.actor
    if not key_id or not key_id.isalnum():  # a redacted one tells no two apart
        return None
    deed = KeyAct(key_id, act, event.at, actor.session_arn if actor else None)
    is_own = actor is not None and actor.type in ("user", "root")
    if actor is not None and is_own and event.request().get("userName") is None:
        return Deed(actor.arn, actor.type, event.account_id, None, 0, key=deed)
    arn = event.iam_arn("user", user_name) if user_name else None
    return None if arn is None else Deed(arn, "user", event.account_id, None, 0, key=deed)


def _quarantine(*, is_attached: bool) -> Callable[[Event], Deed | None]:
    def read(event: Event) -> Deed | None:
        policy = text_of(event.request().get("policyArn")) or ""
        if not policy.rpartition("/")[2].startswith(QUARANTINE):
            return None
        facts = int(Facts.QUARANTINED) if is_attached else 0
        return _configured(event, "user", "quarantine", facts, clears=int(Facts.QUARANTINED))

    return read


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
    api_key("iam.amazonaws.com", "CreateAccessKey"): _key_created,
    api_key("iam.amazonaws.com", "UpdateAccessKey"): _key_switched,
    api_key("iam.amazonaws.com", "DeleteAccessKey"): _key_deleted,
    api_key("iam.amazonaws.com", "AttachUserPolicy"): _quarantine(is_attached=True),
    api_key("iam.amazonaws.com", "DetachUserPolicy"): _quarantine(is_attached=False),
}

FILED_CALLS: Final = frozenset(_READERS)
