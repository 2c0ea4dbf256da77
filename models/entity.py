"""Who acts: the stable entity behind an event's userIdentity, and the name of its session.

Roles, users and groups are keyed without their path (events disagree about it; names are unique in an account). In a
role's session the stable entity is the session issuer. Source: AWS CloudTrail user guide, "userIdentity element";
IAM user guide, "IAM identifiers" (unique id prefixes).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct, structs

from models.facts import Facts
from models.record import SessionContext, UserIdentity, is_true

EntityType = Literal[
    "user", "role", "root", "federated-user", "saml-subject", "web-identity-subject", "identity-center-user",
    "service", "account",
]  # fmt: skip
Credential = Literal["temporary", "long_lived", "root", "service"]

CONSOLE_SESSION: Final = "console"
NO_KEY: Final = "no-key"  # the session name of a call that shows neither the console nor a key
HIDDEN: Final = frozenset({"HIDDEN_DUE_TO_SECURITY_REASONS", "***", ""})

_UNIQUE_ID = re.compile(r"A(?:RO|ID)A[A-Z0-9]{12,}")
_PATHED = re.compile(r"(arn:[^:]*:iam::[^:]*:(?:role|user|group|instance-profile)/)(.*/)?([^/]+)")
_SSO_NAME = re.compile(r"AWSReservedSSO_.+_[0-9a-f]{16}")
# One pattern for all that a session name can hint at: the name of the group that matches is the fact.
_SESSION_NAME = re.compile(
    r"(?P<EMAIL_SESSION_NAME>[^@\s]+@[^@\s]+\.[^@\s]+)"
    r"|(?P<INSTANCE_SESSION_NAME>i-[0-9a-f]{8,17})"
    r"|(?P<ECS_TASK_SESSION_NAME>[0-9a-f]{32})"
    r"|(?P<CI_SESSION_NAME>GitHubActions.*|AWSCodeBuild-.*|codepipeline.*|gitlab-.*|circleci.*|[Jj]enkins.*|bitbucket-.*)"
    r"|(?P<LAMBDA_SESSION_NAME>awslambda_\d+_\d+)"
    r"|(?P<SDK_SESSION_NAME>botocore-session-\d+|aws-go-sdk-\d+|aws-sdk-js-session-\d+|aws-sdk-[a-z]+-?\d*"
    r"|AWS-CLI-session-\d+|session-\d{10,})"
)
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(?:\.cn)?")
_SIGNIN: Final = "signin.amazonaws.com"
_WORKLOAD_PROVIDER = re.compile(
    r"token\.actions\.githubusercontent\.com|oidc\.eks\.|gitlab|circleci|bitbucket|buildkite|vstoken|app\.terraform\.io"
    r"|spacelift|oidc\.vercel|cluster\.local|oidc\.fly\.io|semaphoreci|container\.googleapis\.com",
    re.IGNORECASE,
)
_PERSONS_PROVIDER = re.compile(
    r"cognito-i(?:dentity|dp)|accounts\.google\.com|www\.amazon\.com|graph\.facebook\.com|appleid\.apple\.com"
    r"|\.okta(?:preview)?\.com|\.auth0\.com|\.onelogin\.com",
    re.IGNORECASE,
)


class Actor(Struct, frozen=True, gc=False):
    """Who made a call: the entity, its session and credential, and what AWS says of them."""

    arn: str
    type: EntityType
    account_id: str | None
    path: str | None
    unique_id: str | None
    session_name: str
    session_arn: str  # the actor as AWS writes it: a role session by its STS ARN, else the entity
    credential: Credential | None
    facts: int


@lru_cache(maxsize=16_384)
def bare_arn(arn: str) -> tuple[str, str | None]:
    """Split a role's, user's or group's ARN into the ARN without its path, and the path where there is one."""
    if (parts := _PATHED.fullmatch(arn)) is None:
        return arn, None
    return parts[1] + parts[3], f"/{parts[2]}" if parts[2] else None


def role_of_session(arn: str) -> tuple[str, str | None]:
    """Split an STS session's ARN into its role's ARN and the session name; other ARNs come back as they are."""
    head, mark, rest = arn.partition(":assumed-role/")
    fields = head.split(":")
    if not mark or len(fields) != 5 or fields[2] != "sts":
        return bare_arn(arn)[0], None
    role, slash, session_name = rest.rpartition("/")
    if not slash:
        role, session_name = rest, ""
    return f"arn:{fields[1]}:iam::{fields[4]}:role/{role.rpartition('/')[2]}", session_name or None


@lru_cache(maxsize=16_384)
def account_of(arn: str) -> str | None:
    """Read the account id out of an ARN."""
    fields = arn.split(":", 5)
    return fields[4] or None if len(fields) == 6 else None


def partition_of(region: str | None) -> str:
    """Name the partition that a region lies in."""
    return _PARTITIONS.get((region or "").rsplit("-", 2)[0], "aws")


_PARTITIONS: Final = {  # by what stands before a region's direction and number
    "cn": "aws-cn", "us-gov": "aws-us-gov", "us-iso": "aws-iso", "us-isob": "aws-iso-b", "eu-isoe": "aws-iso-e",
    "us-isof": "aws-iso-f", "eusc-de": "aws-eusc",
}  # fmt: skip


def is_console_service(invoked_by: str) -> bool:
    """Say whether ``invokedBy`` names the console itself, which is a person's hand and no service on its own."""
    return invoked_by == _SIGNIN


def is_aws_service(invoked_by: str) -> bool:
    """Say whether ``invokedBy`` names an AWS service (the console and AI agents' servers are told apart before)."""
    return invoked_by == "AWS Internal" or _SERVICE.fullmatch(invoked_by) is not None


def caller_facts(invoked_by: str | None) -> int:
    """Say who made the call itself: the owner's own client, the console, an AWS service, an AI agent."""
    if invoked_by is None:
        return Facts.DIRECT_CALL
    if is_console_service(invoked_by):
        return Facts.INVOKED_BY_SIGNIN | Facts.DIRECT_CALL
    if invoked_by.endswith("-mcp.amazonaws.com"):
        return Facts.INVOKED_BY_AGENT
    return Facts.INVOKED_BY_SERVICE if is_aws_service(invoked_by) else Facts.DIRECT_CALL


def web_identity_facts(provider: str | None, subject: str | None = None) -> int:
    """Tell a workload's OIDC provider (CI, EKS) from an end user's (Cognito, Google, ...).

    One that is neither, a cluster's or an organisation's own, says nothing unless its subject is a service account.
    """
    if not provider:
        return 0
    if _WORKLOAD_PROVIDER.search(provider) or (subject or "").startswith("system:serviceaccount:"):
        return Facts.WEB_IDENTITY_WORKLOAD
    return Facts.WEB_IDENTITY_PERSON if _PERSONS_PROVIDER.search(provider) else 0


@lru_cache(maxsize=16_384)
def session_name_facts(name: str) -> int:
    """Say what a role's session name, chosen by whoever assumed the role, hints at."""
    matched = _SESSION_NAME.fullmatch(name)
    return Facts[matched.lastgroup] if matched and matched.lastgroup else 0


@lru_cache(maxsize=16_384)
def role_facts(role_arn: str) -> int:
    """Say what a role's full ARN, path included, asserts of whoever uses it."""
    name = role_arn.rsplit("/", 1)[-1]
    if "/aws-reserved/sso.amazonaws.com/" in role_arn or _SSO_NAME.fullmatch(name):
        return Facts.SSO_ROLE
    if "/aws-service-role/" in role_arn:
        return Facts.SERVICE_LINKED_ROLE
    return Facts.INSTANCE_IDENTITY if name == "aws:ec2-instance" else 0


def identify(identity: UserIdentity, source_address: str | None) -> Actor | None:
    """Decide which entity an event's userIdentity stands for, or None where it names nobody.

    A ``type`` that is missing or new to us is inferred from the ARN, a missing ARN from account and name.
    """
    arn = identity.arn or ""
    kind = identity.type if identity.type in _TYPES else _inferred_type(identity) or identity.type
    if kind in ("AssumedRole", "Unknown", "Role") and (":assumed-role/" in arn or _issuer_arn(identity)):
        return _role_session(identity)
    match kind:
        case "Root":
            return _plain(identity, "root", arn or f"arn:aws:iam::{identity.account_id or ''}:root", extra=Facts.ROOT)
        case "IAMUser":
            return _user(identity)
        case "FederatedUser":
            return _plain(identity, "federated-user", arn) if arn else None
        case "AWSService":
            return _service(identity.invoked_by or _service_name(source_address))
        case "AWSAccount":
            account = identity.account_id or account_of(arn)
            return _plain(identity, "account", account) if account else None
        case "SAMLUser":
            subject = _subject(identity)
            return _plain(identity, "saml-subject", subject, extra=Facts.SAML) if subject else None
        case "WebIdentityUser":
            subject = _subject(identity)
            facts = web_identity_facts(identity.identity_provider or identity.principal_id, identity.user_name)
            return _plain(identity, "web-identity-subject", subject, extra=facts) if subject else None
        case _:
            return _from_the_rest(identity, source_address)


def _from_the_rest(identity: UserIdentity, source_address: str | None) -> Actor | None:
    """Name an actor of a type that CloudTrail does not say, or that is new to us."""
    if (behalf := identity.on_behalf_of) is not None and behalf.user_id:
        store = behalf.identity_store_arn or "identity-center"
        return _plain(identity, "identity-center-user", f"{store}/{behalf.user_id}", extra=Facts.IDENTITY_CENTER)
    is_named = identity.type == "IdentityCenterUser" or (
        identity.type == "Unknown" and identity.user_name and not identity.arn
    )
    if is_named and identity.principal_id:  # before 2025 Identity Center's own events called its users Unknown
        return _plain(identity, "identity-center-user", identity.principal_id, extra=Facts.IDENTITY_CENTER)
    if identity.arn:
        return (
            _role_session(identity)
            if ":role/" in identity.arn
            else _user(identity)
            if ":user/" in identity.arn
            else None
        )
    if identity.invoked_by and is_aws_service(identity.invoked_by):
        return _service(identity.invoked_by)
    return _service(_service_name(source_address))


# All that AWS documents, "Unknown" apart: what that stands for, the ARN may tell.
_TYPES: Final = frozenset({
    "Root", "IAMUser", "AssumedRole", "Role", "FederatedUser", "Directory", "AWSAccount", "AWSService",
    "IdentityCenterUser", "SAMLUser", "WebIdentityUser",
})  # fmt: skip


def _inferred_type(identity: UserIdentity) -> str | None:
    """Infer a type from the ARN."""
    arn = identity.arn or ""
    for mark, kind in _TYPE_MARKS:
        if mark in arn:
            return kind
    return "Root" if arn.endswith(":root") else None


_TYPE_MARKS: Final = (
    (":assumed-role/", "AssumedRole"), (":user/", "IAMUser"), (":federated-user/", "FederatedUser"),
)  # fmt: skip


def _issuer_arn(identity: UserIdentity) -> str | None:
    """Name the role that issued a session: by its ARN, else by account and name."""
    issuer = identity.session_context.session_issuer if identity.session_context else None
    if issuer is None or issuer.arn or issuer.type not in ("Role", None):
        return issuer.arn if issuer else None
    account, name = issuer.account_id or identity.account_id, issuer.user_name
    return f"arn:aws:iam::{account}:role/{name}" if account and name and name not in HIDDEN else None


def _subject(identity: UserIdentity) -> str | None:
    """Name a federated subject as provider/subject."""
    provider = identity.identity_provider or (identity.principal_id or "").split(":", 1)[0]
    subject = identity.user_name or (identity.principal_id or "").rsplit(":", 1)[-1]
    return f"{provider}/{subject}" if provider and subject else subject or None


def _service_name(address: str | None) -> str | None:
    """Take a service's name from where an address should stand."""
    return address if address and _SERVICE.fullmatch(address) else None


def _service(name: str | None) -> Actor | None:
    if not name:
        return None
    return Actor(name, "service", None, None, None, "service", name, "service", Facts.AWS_SERVICE)


def _role_session(identity: UserIdentity) -> Actor:
    """Name the role behind a session: by its issuer, else by the session's own ARN."""
    arn = identity.arn or ""
    issuer = identity.session_context.session_issuer if identity.session_context else None
    session_name: str | None
    if issuer and issuer.arn and arn.count("/") == 2:  # as nearly all are: assumed-role/NAME/SESSION
        role_arn, session_name = issuer.arn, arn.rpartition("/")[2]
    else:
        derived, session_name = role_of_session(arn)
        role_arn = (issuer.arn if issuer else None) or derived or _issuer_arn(identity) or ""
    role, path = bare_arn(role_arn)
    if session_name is None:
        session_name = (identity.principal_id or "").partition(":")[2] or "unnamed"
    facts = role_facts(role_arn) | session_name_facts(session_name) | _identity_facts(identity)
    unique_id = issuer.principal_id if issuer and issuer.principal_id else (identity.principal_id or "").split(":")[0]
    return Actor(
        arn=role,
        type="role",
        account_id=account_of(role) or identity.account_id,
        path=path,
        unique_id=_well_formed(unique_id),
        session_name=session_name,
        session_arn=arn or role,
        credential="temporary",
        facts=facts,
    )


def _user(identity: UserIdentity) -> Actor | None:
    """Name an IAM user; sign-in events leave the ARN out, so it is made of account and name."""
    if (full := identity.arn or user_arn(identity)) is None:
        return None
    arn, path = bare_arn(full)
    actor = _plain(identity, "user", arn)
    return structs.replace(actor, path=path, unique_id=_well_formed(identity.principal_id))


def user_arn(identity: UserIdentity) -> str | None:
    """Make a user's ARN of account and name; None where AWS hides the name (it was no user's)."""
    if not identity.account_id or not identity.user_name or identity.user_name in HIDDEN:
        return None
    return f"arn:aws:iam::{identity.account_id}:user/{identity.user_name}"


def _plain(identity: UserIdentity, kind: EntityType, arn: str, *, extra: int = 0) -> Actor:
    key = identity.access_key_id or None
    credential: Credential | None = None
    if key is not None:
        if not key.startswith("ASIA"):
            is_told = kind in ("user", "root") and key.isalnum()  # a redacted one tells no two apart
            extra |= Facts.LONG_LIVED_KEY if is_told else 0
        elif kind in ("user", "federated-user"):
            extra |= Facts.OF_A_KEY
        credential = "temporary" if key.startswith("ASIA") else "root" if kind == "root" else "long_lived"
    return Actor(
        arn=arn,
        type=kind,
        account_id=identity.account_id or account_of(arn),
        path=None,
        unique_id=None,
        session_name=key or NO_KEY,
        session_arn=arn,
        credential=credential,
        facts=extra | _identity_facts(identity),
    )


def _identity_facts(identity: UserIdentity) -> int:
    """Collect what userIdentity itself asserts: who called, how the session came about."""
    facts = caller_facts(identity.invoked_by)
    if identity.on_behalf_of is not None and identity.on_behalf_of.user_id:
        facts |= Facts.IDENTITY_CENTER
    if (scope := identity.in_scope_of) is not None and scope.issuer_type:
        facts |= Facts.IN_SCOPE_OF_WORKLOAD
    return facts | _context_facts(identity.session_context, identity.type)


def _context_facts(context: SessionContext | None, kind: str | None) -> int:
    facts = 0
    if context is None:
        return facts
    if context.ec2_role_delivery:
        facts |= Facts.EC2_ROLE_DELIVERY
    if context.web_id_federation_data is not None:
        facts |= web_identity_facts(context.web_id_federation_data.federated_provider)
    if context.source_identity and session_name_facts(context.source_identity) & Facts.EMAIL_SESSION_NAME:
        facts |= Facts.SOURCE_IDENTITY
    if context.attributes is not None and is_true(context.attributes.mfa_authenticated) and kind != "Root":
        facts |= Facts.MFA_USED
    return facts


def _well_formed(unique_id: str | None) -> str | None:
    """Keep a unique id that looks like AWS's; a redacted one tells no two entities apart."""
    return unique_id if unique_id and _UNIQUE_ID.fullmatch(unique_id) else None
