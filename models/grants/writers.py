"""Who writes IAM in an account: infrastructure as code, or people by hand."""

from __future__ import annotations

from typing import Final, Literal

from models.event import Event
from models.facts import CONSOLE_MARKERS, Facts
from models.grants.account import AccountState
from models.grants.doors import DOOR_CALLS

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


def is_write(event: Event) -> bool:
    """Say whether a call changes who may do what, through IAM itself."""
    return event.api.source == "iam.amazonaws.com" and event.api.key in DOOR_CALLS


def learn_writer(event: Event, account: AccountState) -> None:
    """Count a write for whoever made it."""
    if not is_write(event):
        return
    match writer_of(event):
        case "code":
            account.writes_as_code += 1
        case "person":
            account.writes_by_hand += 1
        case None:
            pass
