"""An event as the desks see it: when, which call, who, with what client, and the facts it shows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

from msgspec import Raw, Struct

from models.client import Client
from models.entity import Actor, bare_arn, partition_of
from models.facts import Facts
from models.record import (
    NOTHING,
    Flag,
    Record,
    UserIdentity,
    decode_identity,
    parameters,
    text_of,
)

SIGN_IN_SERVICE: Final = "signin.amazonaws.com"
_DENIED: Final = int(Facts.DENIED)
# What a refusal says it was about: "user bob", "policy arn:aws:…" (IAM), an ARN, "*"; followed by why it was refused.
_REFUSED = re.compile(r' on resource: (?:(user|role|group|policy) )?"?([^\s"]{1,2048})')
SLOTS: Final = 512  # of sketches of calls: two of them may share one


class Api(Struct, frozen=True, gc=False):
    """Which call was made: CloudTrail's eventSource and eventName, the latter without its version."""

    source: str
    name: str
    rank: int  # 0 makes, 1 neither, 2 removes: the order within one second
    key: str  # "source:name", one string for all tables that are keyed by the call
    has_parameters: bool  # whether anybody asks for its parameters: else they are not kept
    slot: int  # a small number by which sketches know it


class Call(Struct, frozen=True, gc=False):
    """What was called, where, and how it went: one for all events that have it in common, whoever made them."""

    api: Api
    facts: int  # what the call is, and that it was refused
    is_plain: bool  # nothing that the record says of the call tells of the console
    has_own: bool  # what is told beside is kept: it failed, or its parameters are asked for
    event_source: str | None
    event_name: str | None
    event_type: str | None
    event_category: str | None
    management_event: Flag
    aws_region: str | None
    error_code: str | None
    session_credential_from_console: Flag


class Caller(Struct, frozen=True, gc=False):
    """Who called, with which client, from where, in which account: one for all events that have it in common."""

    actor: Actor | None
    client: Client
    facts: int  # of both
    session_name: str
    is_named_by_credential: bool  # so that a console session of it has no name of its own
    invoked_by: str | None  # what made the call on somebody's behalf, as the identity says
    user_identity: Raw
    user_agent: str | None
    source_ip_address: str | None
    vpc_endpoint_id: str | None
    recipient_account_id: str | None


class Own(Struct, frozen=True, gc=False):
    """What few events have, or few are asked for: kept of those alone."""

    is_nameless: bool = False  # without eventID
    timestamp: str | None = None
    error_message: str | None = None
    request_parameters: Raw = NOTHING
    response_elements: Raw = NOTHING
    additional_event_data: Raw = NOTHING


class Event(Struct, gc=False):
    """One event, placed in time and attributed.

    Events wait to be sorted, and what waits falls out of the processor's caches: the less that is, the faster is all else.
    So an event is what is its own, and what it shares with others.
    """

    at: int  # seconds since 1970, UTC
    rank: int
    event_id: str
    event_time: str | None  # as it is written
    api: Api
    call: Call
    caller: Caller
    facts: int
    session_name: str
    own: Own

    @property
    def actor(self) -> Actor | None:
        """Who made it; None where the record names nobody."""
        return self.caller.actor

    @property
    def client(self) -> Client:
        """With which client."""
        return self.caller.client

    @property
    def record(self) -> Record:
        """The record, as far as it is kept: made anew."""
        call, caller, own = self.call, self.caller, self.own
        return Record(
            event_time=self.event_time, timestamp=own.timestamp, event_id=None if own.is_nameless else self.event_id,
            event_source=call.event_source, event_name=call.event_name, event_type=call.event_type,
            event_category=call.event_category, management_event=call.management_event, aws_region=call.aws_region,
            source_ip_address=caller.source_ip_address, vpc_endpoint_id=caller.vpc_endpoint_id,
            user_agent=caller.user_agent, error_code=call.error_code, error_message=own.error_message,
            recipient_account_id=caller.recipient_account_id, user_identity=caller.user_identity,
            session_credential_from_console=call.session_credential_from_console,
            request_parameters=own.request_parameters, response_elements=own.response_elements,
            additional_event_data=own.additional_event_data,
        )  # fmt: skip

    @property
    def identity(self) -> UserIdentity | None:
        """Decode userIdentity: few events are asked for it, and decoded it is larger than all the rest of an event."""
        data = self.caller.user_identity
        return decode_identity(data) if bytes(data) else None

    @property
    def account_id(self) -> str | None:
        """The account that the event was delivered to, else the actor's."""
        caller = self.caller
        return caller.recipient_account_id or (caller.actor.account_id if caller.actor else None)

    @property
    def is_denied(self) -> bool:
        """Whether AWS refused the call; not-found and throttling errors are no denials."""
        return self.facts & Facts.DENIED != 0

    @property
    def is_failed(self) -> bool:
        """Whether the call changed nothing: any error, or a sign-in that failed."""
        return self.call.error_code is not None or self.facts & Facts.SIGN_IN_FAILED != 0

    def iam_arn(self, kind: str, name: str) -> str | None:
        """Name a user, role, group or policy of the account that the call was made in, its path left out."""
        account = self.account_id
        if not account:
            return None
        return f"arn:{partition_of(self.call.aws_region)}:iam::{account}:{kind}/{name.rsplit('/', 1)[-1]}"

    @property
    def refused(self) -> str | None:
        """Name what a refused call was about, as its message does; None where it names nothing, or everything.

        IAM, CloudTrail and most others keep no parameters of what they refuse.
        """
        if not self.is_denied or (found := _REFUSED.search(self.own.error_message or "")) is None or "*" in found[2]:
            return None
        kind, name = found.groups()
        return bare_arn(name)[0] if kind is None or name.startswith("arn:") else self.iam_arn(kind, name)

    @property
    def user_named(self) -> str | None:
        """Name the user that a call of IAM is about, or was refused for; None where it names none."""
        if name := text_of(self.request().get("userName")):
            return self.iam_arn("user", name)
        refused = self.refused
        return refused if refused is not None and ":user/" in refused else None

    def request(self) -> dict[str, Any]:
        """Decode requestParameters."""
        return parameters(self.own.request_parameters)

    def response(self) -> dict[str, Any]:
        """Decode responseElements."""
        return parameters(self.own.response_elements)

    def additional(self) -> dict[str, Any]:
        """Decode additionalEventData."""
        return parameters(self.own.additional_event_data)


# The one order of events (duplicates share their time, so they lie side by side): what a sort compares.
in_order = attrgetter("at", "rank", "event_id")


def number_of(text: str, below: int) -> int:
    """Give a number that stands for a text in sketches; the same in every process."""
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data).digest()[:4], "big") % below


def api_key(source: str, name: str) -> str:
    """Join eventSource and eventName (without its version) into one key."""
    return f"{source}:{name}"


def calls_in(keys: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split keys into pairs of eventSource and eventName, sorted: what a detector says of the calls that it looks at."""
    pairs = (key.partition(":") for key in sorted(keys))
    return tuple((source, name) for source, _, name in pairs)
