"""Who writes IAM in an account: infrastructure as code, or people by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from models.event import Event
from models.facts import CONSOLE_MARKERS, Facts
from models.grants.account import MAX_WRITTEN, AccountState, Writes
from models.grants.doors import DOOR_CALLS
from models.record import text_of

Writer = Literal["code", "person"]

_CODE: Final = int(
    Facts.IAC | Facts.WEB_IDENTITY_WORKLOAD | Facts.CI_SESSION_NAME | Facts.PLATFORM_CLIENT | Facts.PLATFORM_CREDENTIALS
)
_PERSON: Final = int(
    CONSOLE_MARKERS | Facts.CLI | Facts.DESKTOP_CLIENT | Facts.SSO_CREDENTIALS | Facts.SSO_ROLE | Facts.SAML
)


def writer_of(event: Event) -> Writer | None:
    """Say who makes an IAM write, as the event itself shows it; a service on somebody's behalf is code (CloudFormation)."""
    facts = event.facts
    if facts & (_CODE | Facts.INVOKED_BY_SERVICE | Facts.AWS_SERVICE | Facts.SERVICE_LINKED_ROLE):
        return "code"
    return "person" if facts & _PERSON else None


def is_by_aws(event: Event) -> bool:
    """Say whether AWS itself writes: that belongs to the change that caused it, and is judged there.

    Nobody else acts as a service or a service-linked role: so Organizations makes the role in a new account, a stack set
    its own, Identity Center those of permission sets. Control Tower, and Identity Center too, write by other sessions; of
    those count the names that AWS keeps for itself.
    """
    if event.facts & (Facts.AWS_SERVICE | Facts.SERVICE_LINKED_ROLE):
        return True
    identity, actor = event.identity, event.actor
    invoked_by = identity.invoked_by if identity is not None else None
    by = (actor.arn.rpartition("/")[2] if actor is not None else "", invoked_by)
    role = text_of(event.request().get("roleName")) or ""
    if role.startswith("AWSReservedSSO_"):
        return by[0] == "AWSServiceRoleForSSO" or invoked_by == "sso.amazonaws.com"
    return role.startswith("aws-controltower-") and by == ("AWSControlTowerExecution", "cloudformation.amazonaws.com")


def is_write(event: Event) -> bool:
    """Say whether a call changes who may do what, through IAM itself."""
    return event.api.source == "iam.amazonaws.com" and event.api.key in DOOR_CALLS


def learn_writer(event: Event, account: AccountState, arns: Iterable[str]) -> None:
    """Count a write for whoever made it, for each ARN that it wrote."""
    if not is_write(event) or (writer := writer_of(event)) is None:
        return
    for arn in arns:
        known = account.writes_to.pop(arn, Writes())
        account.writes_to[arn] = known
        if writer == "code":
            known.as_code += 1
        else:
            known.by_hand += 1
        if len(account.writes_to) > MAX_WRITTEN:
            del account.writes_to[next(iter(account.writes_to))]


def writes_to_all(account: AccountState, *, users_alone: bool) -> Writes:
    """Sum up who wrote an account's IAM, or its users alone."""
    total = Writes()
    for arn, each in account.writes_to.items():
        if not users_alone or ":user/" in arn:
            total.as_code += each.as_code
            total.by_hand += each.by_hand
    return total
