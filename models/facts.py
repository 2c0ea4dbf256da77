"""The facts that tell people from machines, each with its tier: what can be seen of a session, one bit each.

A session's facts are the union of its events' facts, which no order and no duplicate can change. Tiers: 1 asserted by
AWS, 2 configuration, 3 controlled by the client. A stronger tier always wins (models/behaviour/evidence.py judges).
Sources: AWS CloudTrail user guide, "CloudTrail userIdentity element"; IAM user guide, "Monitor and control actions
taken with assumed roles"; the AWS SDKs' user-agent feature ids (botocore/useragent.py).
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final, Literal, NamedTuple

Side = Literal["human", "workload", "service", "agent"]


class Facts(IntEnum):
    """One bit for each thing that can be seen; `LADDER` says what each is worth.

    Masks of several facts are plain integers: the hot path joins and tests them for every event.
    """

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:  # noqa: ARG004
        return 1 << count

    # Tier 1: people
    CONSOLE_FLAG = auto()
    CONSOLE_ACTION = auto()
    SIGN_IN = auto()
    SWITCHED_ROLE = auto()
    SIGNIN_TOKEN = auto()
    INVOKED_BY_SIGNIN = auto()
    SSO_ROLE = auto()
    IDENTITY_CENTER = auto()
    SAML = auto()
    WEB_IDENTITY_PERSON = auto()
    ISSUED_IN_CONSOLE = auto()
    ISSUED_BY_SSO_ROLE = auto()
    # Tier 1: workloads
    EC2_ROLE_DELIVERY = auto()
    INSTANCE_IDENTITY = auto()
    IN_SCOPE_OF_WORKLOAD = auto()
    ISSUED_BY_SERVICE = auto()
    WEB_IDENTITY_WORKLOAD = auto()
    ROLES_ANYWHERE = auto()
    # Tier 1: services and agents, which say who made the call and not whose session it is
    AWS_SERVICE = auto()
    SERVICE_LINKED_ROLE = auto()
    INVOKED_BY_SERVICE = auto()
    INVOKED_BY_AGENT = auto()
    # Tier 2
    TRUSTS_ONLY_SERVICES = auto()
    TRUSTS_EKS_PODS = auto()
    TRUSTS_CI = auto()
    TRUSTS_SAML = auto()
    LOGIN_PROFILE = auto()
    MFA_DEVICE = auto()
    MFA_USED = auto()
    SOURCE_IDENTITY = auto()
    # Tier 3
    EMAIL_SESSION_NAME = auto()
    INSTANCE_SESSION_NAME = auto()
    ECS_TASK_SESSION_NAME = auto()
    CI_SESSION_NAME = auto()
    LAMBDA_SESSION_NAME = auto()
    SDK_SESSION_NAME = auto()
    CONSOLE_CLIENT = auto()
    CLOUDSHELL = auto()
    BROWSER = auto()
    DESKTOP_CLIENT = auto()
    SSO_CREDENTIALS = auto()
    PLATFORM_CLIENT = auto()
    PLATFORM_CREDENTIALS = auto()
    AGENT_CLIENT = auto()
    # No evidence of either kind: how the session was used, and what detectors ask for
    DIRECT_CALL = auto()
    CLI = auto()
    SDK = auto()
    IAC = auto()
    ROOT = auto()
    SIGN_IN_FAILED = auto()
    LONG_LIVED_KEY = auto()
    QUARANTINED = auto()
    COPIED_CREDENTIALS = auto()  # the client has its credentials from its environment or a profile
    SCANNER = auto()  # a client that looks over whole accounts
    INTRUSION_TOOL = auto()  # a client or system for trying found keys, or for breaking in
    OF_A_KEY = auto()  # temporary credentials that a long-lived key issued
    PRESIGNED = auto()  # signed by its owner, sent by whoever was given the URL
    DENIED = auto()
    LISTING = auto()  # a call that lists or describes
    # What the desk finds out of an event, and shows to detectors; no session keeps it
    KEY_NEWS = auto()
    KEY_CHANGED = auto()
    LOOKED_AROUND = auto()
    WHEREABOUTS = auto()


class Rung(NamedTuple):
    """What one fact is worth."""

    tier: Literal[1, 2, 3]
    side: Side | None
    text: str


LADDER: Final[dict[Facts, Rung]] = {
    Facts.CONSOLE_FLAG: Rung(1, "human", "credentials come from a console session"),
    Facts.CONSOLE_ACTION: Rung(1, "human", "an action only the console makes"),
    Facts.SIGN_IN: Rung(1, "human", "signed in to the console"),
    Facts.SWITCHED_ROLE: Rung(1, "human", "switched to from a console session"),
    Facts.SIGNIN_TOKEN: Rung(1, "human", "credentials traded for a console sign-in token"),
    Facts.INVOKED_BY_SIGNIN: Rung(1, "human", "called by the console (invokedBy signin.amazonaws.com)"),
    Facts.SSO_ROLE: Rung(1, "human", "role of IAM Identity Center"),
    Facts.IDENTITY_CENTER: Rung(1, "human", "an IAM Identity Center user stands behind the call"),
    Facts.SAML: Rung(1, "human", "federated by SAML"),
    Facts.WEB_IDENTITY_PERSON: Rung(1, "human", "federated by an end user's web identity"),
    Facts.ISSUED_IN_CONSOLE: Rung(1, "human", "assumed from a console session"),
    Facts.ISSUED_BY_SSO_ROLE: Rung(1, "human", "assumed by a role of IAM Identity Center"),
    Facts.EC2_ROLE_DELIVERY: Rung(1, "workload", "credentials delivered by an EC2 instance's metadata service"),
    Facts.INSTANCE_IDENTITY: Rung(1, "workload", "identity of an EC2 instance"),
    Facts.IN_SCOPE_OF_WORKLOAD: Rung(1, "workload", "credentials issued to an AWS compute resource"),
    Facts.ISSUED_BY_SERVICE: Rung(1, "workload", "assumed by an AWS service"),
    Facts.WEB_IDENTITY_WORKLOAD: Rung(1, "workload", "federated by a workload's web identity"),
    Facts.ROLES_ANYWHERE: Rung(1, "workload", "assumed with a certificate (IAM Roles Anywhere)"),
    Facts.AWS_SERVICE: Rung(1, "service", "an AWS service itself"),
    Facts.SERVICE_LINKED_ROLE: Rung(1, "service", "service-linked role"),
    Facts.INVOKED_BY_SERVICE: Rung(1, "service", "calls made by an AWS service on its behalf"),
    Facts.INVOKED_BY_AGENT: Rung(1, "agent", "calls made by an AI agent through AWS's MCP servers"),
    Facts.TRUSTS_ONLY_SERVICES: Rung(2, "workload", "trust policy admits AWS services only"),
    Facts.TRUSTS_EKS_PODS: Rung(2, "workload", "trust policy admits EKS pods"),
    Facts.TRUSTS_CI: Rung(2, "workload", "trust policy admits a workload's web identity"),
    Facts.TRUSTS_SAML: Rung(2, "human", "trust policy admits a SAML provider"),
    Facts.LOGIN_PROFILE: Rung(2, "human", "has a console password"),
    Facts.MFA_DEVICE: Rung(2, "human", "has an MFA device"),
    Facts.MFA_USED: Rung(2, "human", "authenticated with MFA"),
    Facts.SOURCE_IDENTITY: Rung(2, "human", "carries a source identity that names a person"),
    Facts.EMAIL_SESSION_NAME: Rung(3, "human", "session named by an e-mail address"),
    Facts.INSTANCE_SESSION_NAME: Rung(3, "workload", "session named by an EC2 instance"),
    Facts.ECS_TASK_SESSION_NAME: Rung(3, "workload", "session named by an ECS task"),
    Facts.CI_SESSION_NAME: Rung(3, "workload", "session named by a CI system"),
    Facts.LAMBDA_SESSION_NAME: Rung(3, "workload", "session named by the Lambda service"),
    Facts.SDK_SESSION_NAME: Rung(3, None, "session name is an SDK's default"),
    Facts.CONSOLE_CLIENT: Rung(3, "human", "the console's own client"),
    Facts.CLOUDSHELL: Rung(3, "human", "CloudShell"),
    Facts.BROWSER: Rung(3, "human", "a web browser"),
    Facts.DESKTOP_CLIENT: Rung(3, "human", "a client on a desktop system"),
    Facts.SSO_CREDENTIALS: Rung(3, "human", "client's credentials come from a person's login (SSO)"),
    Facts.PLATFORM_CLIENT: Rung(3, "workload", "client runs on a compute platform (Lambda, ECS, CodeBuild, ...)"),
    Facts.PLATFORM_CREDENTIALS: Rung(3, "workload", "client's credentials come from its compute platform"),
    Facts.AGENT_CLIENT: Rung(3, "agent", "an AI agent's client"),
}

# Which side a rung's words speak for.
SIDES: Final = {rung.text: rung.side for rung in LADDER.values()}


def union(tier: int | None = None, side: Side | None = None) -> int:
    """Join the bits of all facts of a tier, a side, or both, into one mask."""
    mask = 0
    for fact, rung in LADDER.items():
        if tier in (None, rung.tier) and side in (None, rung.side):
            mask |= fact
    return mask


# A console session, whatever else it is: detections.md's markers, each enough on its own.
CONSOLE_MARKERS: Final = (
    Facts.CONSOLE_FLAG
    | Facts.CONSOLE_ACTION
    | Facts.SIGN_IN
    | Facts.SWITCHED_ROLE
    | Facts.SIGNIN_TOKEN
    | Facts.INVOKED_BY_SIGNIN
    | Facts.CONSOLE_CLIENT
    | Facts.CLOUDSHELL
)

# Proof that an entity is a workload's: tiers 1 and 2, and of tier 3 only what names a platform.
WORKLOAD_PROOF: Final = union(side="workload")

# A role's session that begins with itself: AWS gave it to a machine, or names the person in it.
BEGINS_WITH_ITSELF: Final = (
    Facts.EC2_ROLE_DELIVERY
    | Facts.INSTANCE_IDENTITY
    | Facts.IN_SCOPE_OF_WORKLOAD
    | Facts.ISSUED_BY_SERVICE
    | Facts.ROLES_ANYWHERE
    | Facts.SERVICE_LINKED_ROLE
    | Facts.SSO_ROLE
)

# Configuration is the entity's, not a session's; what a session shows of tier 2 stays with the session.
CONFIGURATION: Final = (
    Facts.TRUSTS_ONLY_SERVICES
    | Facts.TRUSTS_EKS_PODS
    | Facts.TRUSTS_CI
    | Facts.TRUSTS_SAML
    | Facts.LOGIN_PROFILE
    | Facts.MFA_DEVICE
    | Facts.QUARANTINED
)


def names(mask: int) -> list[str]:
    """List the texts of the facts in a mask, the strongest tier first."""
    found = [LADDER[fact] for fact in LADDER if mask & fact]
    return [rung.text for rung in sorted(found, key=lambda rung: rung.tier)]
