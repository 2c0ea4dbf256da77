"""An event as the desks see it: when, which call, who, with what client, and the facts it shows.

Reading is one step from a decoded `Record`. What repeats (identities, user agents, APIs) is worked out once and kept
in bounded caches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, structs

from models import record as spelling
from models.client import MAX_USER_AGENT, Client, parse_client
from models.entity import CONSOLE_SESSION, Actor, bare_arn, identify, partition_of
from models.facts import CONSOLE_MARKERS, Facts
from models.record import (
    MAX_TEXT,
    NOTHING,
    Record,
    UserIdentity,
    decode_identity,
    epoch,
    is_false,
    is_true,
    parameters,
    text_of,
)

MAX_CACHED: Final = 16_384  # identities, clients and APIs each; a full cache starts over

# Order within one second, in which a whole script can run: makers of things and sessions, then the rest, then removals.
_FIRST = re.compile(r"Create|AssumeRole|Get(?:Session|Federation|Signin)Token|ConsoleLogin|SwitchRole")
_LAST = re.compile(r"Delete|Detach|Remove")
# Lambda and CloudFront append an API version to the name: AddPermission20150331v2, CreateDistribution2020_05_31.
_VERSION = re.compile(r"(?<=[a-z])\d{4}_?\d{2}_?\d{2}(?:v\d+)?$")

SIGN_IN_SERVICE: Final = "signin.amazonaws.com"
_DENIALS: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException"})
# What a refusal says it was about: "user bob", "policy arn:aws:…" (IAM), an ARN, "*"; followed by why it was refused.
_REFUSED = re.compile(r' on resource: (?:(user|role|group|policy) )?"?([^\s"]{1,2048})')
_LISTING = re.compile(r"List|Describe|GetAccount|GetCredentialReport|Search")
SLOTS: Final = 512  # of sketches of calls: two of them may share one
_INSTANCE: Final = int(Facts.INSTANCE_SESSION_NAME)
_DENIED: Final = int(Facts.DENIED)
_SIGN_IN_FACTS: Final = {
    "ConsoleLogin": Facts.SIGN_IN,
    "SwitchRole": Facts.SWITCHED_ROLE,
    "RenewRole": Facts.SWITCHED_ROLE,
    "ExitRole": Facts.SWITCHED_ROLE,
    "GetSigninToken": Facts.SIGNIN_TOKEN,
}
# What a browser or a console client in the user agent is worth nothing in: data events, web identity, presigned URLs.
_CLIENT_MARKERS: Final = CONSOLE_MARKERS | Facts.BROWSER
_LOOKED_AT: Final = Facts.BROWSER | Facts.CONSOLE_CLIENT | Facts.CLOUDSHELL | Facts.AGENT_CLIENT
_NAMES_BY_CREDENTIAL: Final = frozenset({"user", "root", "federated-user"})


class UnreadableError(ValueError):
    """A record that cannot be placed in time: says which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Api(Struct, frozen=True, gc=False):
    """Which call was made: CloudTrail's eventSource and eventName, the latter without its version."""

    source: str
    name: str
    rank: int  # 0 makes, 1 neither, 2 removes: the order within one second
    key: str  # "source:name", one string for all tables that are keyed by the call
    has_parameters: bool  # whether anybody asks for its parameters: else they are not kept
    facts: int  # what the call is, whoever makes it
    slot: int  # a small number by which sketches know it


class Event(Struct, gc=False):
    """One event, placed in time and attributed."""

    at: int  # seconds since 1970, UTC
    rank: int
    event_id: str
    api: Api
    actor: Actor | None
    session_name: str
    facts: int
    client: Client
    record: Record

    @property
    def identity(self) -> UserIdentity | None:
        """Decode userIdentity: few events are asked for it, and decoded it is larger than all the rest of an event."""
        data = self.record.user_identity
        return decode_identity(data) if bytes(data) else None

    @property
    def account_id(self) -> str | None:
        """The account that the event was delivered to, else the actor's."""
        return self.record.recipient_account_id or (self.actor.account_id if self.actor else None)

    @property
    def is_denied(self) -> bool:
        """Whether AWS refused the call; not-found and throttling errors are no denials."""
        return self.facts & Facts.DENIED != 0

    @property
    def is_failed(self) -> bool:
        """Whether the call changed nothing: any error, or a sign-in that failed."""
        return self.record.error_code is not None or self.facts & Facts.SIGN_IN_FAILED != 0

    def iam_arn(self, kind: str, name: str) -> str | None:
        """Name a user, role, group or policy of the account that the call was made in, its path left out."""
        account = self.account_id
        if not account:
            return None
        return f"arn:{partition_of(self.record.aws_region)}:iam::{account}:{kind}/{name.rsplit('/', 1)[-1]}"

    @property
    def refused(self) -> str | None:
        """Name what a refused call was about, as its message does; None where it names nothing, or everything.

        IAM, CloudTrail and most others keep no parameters of what they refuse.
        """
        if not self.is_denied or (found := _REFUSED.search(self.record.error_message or "")) is None or "*" in found[2]:
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
        return parameters(self.record.request_parameters)

    def response(self) -> dict[str, Any]:
        """Decode responseElements."""
        return parameters(self.record.response_elements)

    def additional(self) -> dict[str, Any]:
        """Decode additionalEventData."""
        return parameters(self.record.additional_event_data)


# The one order of events (duplicates share their time, so they lie side by side): what a sort compares.
in_order = attrgetter("at", "rank", "event_id")


def digest(record: Record) -> str:
    """Hash all that is read of a record: 32 hex digits, the same for copies that differ in their spelling alone."""
    plain = spelling.in_plain_spelling(record)
    return hashlib.sha256(spelling.encode(plain)).hexdigest()[:32]


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


class EventReader:
    """Reads records into events; keeps what repeats.

    ``asked_for`` names the calls (`Api.key`) whose parameters anybody reads; those of other calls are let go, for a kept
    one pins the bytes that it came in. None keeps all.

    Events wait to be sorted, and what waits falls out of the processor's caches: the less that is, the faster is all else.
    So what is looked up anyway (call, client, identity) is one object for all events that have it.
    """

    def __init__(self, asked_for: frozenset[str] | None = None) -> None:
        self._asked_for = asked_for
        # By its bytes, an identity as it is written: who that is, and one copy for all events that have it.
        self._identities: dict[bytes, tuple[Actor | None, Raw]] = {}
        self._actors: dict[UserIdentity, Actor] = {}
        self._clients: dict[str | None, tuple[Client, str | None]] = {}
        self._apis: dict[tuple[str | None, str | None], tuple[Api, str | None, str | None]] = {}

    def read(self, record: Record) -> Event:
        """Place one record in time and attribute it; raises as `read_all` does."""
        return self.read_all((record,))[0]

    def read_all(self, records: Iterable[Record]) -> list[Event]:
        """Place records in time and attribute them, in the order given.

        Raises UnreadableError at the first one that has no readable time or no event name: nothing can be said of it.
        """
        identities, clients, apis = self._identities, self._clients, self._apis
        events: list[Event] = []
        for record in records:
            if (when := record.event_time or record.timestamp) is None:
                raise UnreadableError("eventTime", "missing")
            try:
                at = epoch(when)
            except (ValueError, OverflowError):
                raise UnreadableError("eventTime", "not an ISO 8601 instant") from None
            api, record.event_source, record.event_name = apis.get(
                (record.event_source, record.event_name)
            ) or self._new_api(record)
            client, record.user_agent = clients.get(record.user_agent) or self._new_client(record)
            facts = client.facts | api.facts
            if (code := record.error_code) is not None and code.removeprefix("Client.") in _DENIALS:
                facts |= Facts.DENIED
            actor = None
            if (data := bytes(record.user_identity)) and data != b"null":
                actor, record.user_identity = identities.get(data) or self._new_identity(data, record)
                if actor is not None:
                    facts |= actor.facts
                    if facts & _INSTANCE and b'"QueryString"' in bytes(record.additional_event_data):
                        facts |= Facts.PRESIGNED
            if (
                record.event_type != "AwsApiCall"
                or facts & _LOOKED_AT
                or record.session_credential_from_console is not None
            ):
                facts = _console_facts(record, api, facts)
            if actor is None or (facts & CONSOLE_MARKERS and actor.type in _NAMES_BY_CREDENTIAL):
                session_name = CONSOLE_SESSION
            else:
                session_name = actor.session_name
            event_id = record.event_id or digest(record)
            if api.has_parameters:
                record.request_parameters = record.request_parameters.copy()
                record.response_elements = record.response_elements.copy()
                record.additional_event_data = record.additional_event_data.copy()
            else:
                record.response_elements = record.additional_event_data = NOTHING
                # What was refused is told by its parameters, where AWS keeps them: EC2 does, most others do not.
                record.request_parameters = record.request_parameters.copy() if facts & _DENIED else NOTHING
            events.append(Event(at, api.rank, event_id, api, actor, session_name, facts, client, record))
        return events

    def _new_api(self, record: Record) -> tuple[Api, str | None, str | None]:
        name = record.event_name
        if not name:
            raise UnreadableError("eventName", "missing")
        if len(self._apis) >= MAX_CACHED:
            self._apis.clear()
        source, name = record.event_source or "", _VERSION.sub("", name)
        rank = 0 if _FIRST.match(name) else 2 if _LAST.match(name) else 1
        key = api_key(source, name)
        has_parameters = self._asked_for is None or key in self._asked_for
        facts = Facts.LISTING if _LISTING.match(name) else 0
        api = Api(source, name, rank, key, has_parameters, facts, number_of(key, SLOTS))
        found = self._apis[record.event_source, record.event_name] = api, record.event_source, record.event_name
        return found

    def _new_client(self, record: Record) -> tuple[Client, str | None]:
        user_agent = record.user_agent
        client = parse_client(user_agent or "")
        if user_agent is not None and len(user_agent) > MAX_USER_AGENT:
            return client, user_agent[:MAX_TEXT]
        if len(self._clients) >= MAX_CACHED:
            self._clients.clear()
        found = self._clients[user_agent] = client, user_agent
        return found

    def _new_identity(self, data: bytes, record: Record) -> tuple[Actor | None, Raw]:
        """Decode an identity and name its actor; raises UnreadableError where it does not fit its type."""
        try:
            identity = decode_identity(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise UnreadableError("userIdentity", "not as it should be") from None
        if identity is None:
            return None, NOTHING
        actor = self._actor_of(identity, record.source_ip_address)
        found = actor, Raw(data)
        # A service that only the address names is not the identity's to remember.
        if actor is not None and (actor.type != "service" or identity.invoked_by):
            if len(self._identities) >= MAX_CACHED:
                self._identities.clear()
            self._identities[data] = found
        return found

    def _actor_of(self, identity: UserIdentity, source_address: str | None) -> Actor | None:
        # A role's session changes its keys underneath, of which nothing else follows.
        key = structs.replace(identity, access_key_id=None) if identity.type == "AssumedRole" else identity
        actor = self._actors.get(key)
        if actor is None:
            actor = identify(identity, source_address)
            if actor is not None and (actor.type != "service" or identity.invoked_by):
                if len(self._actors) >= MAX_CACHED:
                    self._actors.clear()
                self._actors[key] = actor
        return actor


def _console_facts(record: Record, api: Api, facts: int) -> int:
    """Add what only this event's own fields say of the console, and take off what they forbid to believe."""
    if is_true(record.session_credential_from_console):
        facts |= Facts.CONSOLE_FLAG
    if record.event_type == "AwsConsoleAction":
        facts |= Facts.CONSOLE_ACTION
    if facts & Facts.AGENT_CLIENT:  # the agent's call, not its owner's
        facts &= ~Facts.DIRECT_CALL
    if api.source == SIGN_IN_SERVICE:
        facts = _sign_in_facts(record, api, facts)
    if (
        record.event_category == "Data"
        or is_false(record.management_event)
        or facts & (Facts.WEB_IDENTITY_PERSON | Facts.WEB_IDENTITY_WORKLOAD)
        or b'"QueryString"' in bytes(record.additional_event_data)
    ):
        facts &= ~_CLIENT_MARKERS
    return facts


def _sign_in_facts(record: Record, api: Api, facts: int) -> int:
    """Tell a sign-in that succeeded from one that failed; a failed one carries no errorCode."""
    fact = _SIGN_IN_FACTS.get(api.name)
    if fact is None:
        return facts
    outcome = parameters(record.response_elements).get(api.name)
    if outcome == "Success" or (outcome is None and record.error_message is None and record.error_code is None):
        return facts | fact
    # The page that the sign-in failed on was the console's, but nobody got in.
    return (facts & ~CONSOLE_MARKERS) | Facts.SIGN_IN_FAILED
