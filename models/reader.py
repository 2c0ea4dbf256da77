"""Reading: one step from a decoded `Record` to an `Event`.

What repeats (calls, callers, user agents) is worked out once and kept in bounded caches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, structs

from models import record as spelling
from models.client import MAX_USER_AGENT, Client, parse_client
from models.entity import CONSOLE_SESSION, Actor, identify
from models.event import SIGN_IN_SERVICE, SLOTS, Api, Call, Caller, Event, Own, api_key, number_of
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
)

MAX_CACHED: Final = 16_384  # calls, callers, actors and clients each; a full cache starts over
MAX_CACHED_TEXT: Final = 8_192  # characters by which one is known again: what has more is worked out each time


# Order within one second, in which a whole script can run: makers of things and sessions, then the rest, then removals.
_FIRST = re.compile(r"Create|AssumeRole|Get(?:Session|Federation|Signin)Token|ConsoleLogin|SwitchRole")
_LAST = re.compile(r"Delete|Detach|Remove")
# Lambda and CloudFront append an API version to the name: AddPermission20150331v2, CreateDistribution2020_05_31.
_VERSION = re.compile(r"(?<=[a-z])\d{4}_?\d{2}_?\d{2}(?:v\d+)?$")

# Each service has its own word for no, after a prefix or none: Client.UnauthorizedOperation (EC2), AuthorizationError (SNS),
# VpceAccessDenied (an endpoint's policy), NotAuthorized (errors common to all). Cognito's NotAuthorizedException is no such
# word: an app's user mistyped a password.
_DENIALS: Final = frozenset({
    "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException", "UnauthorizedAccess",
    "AuthorizationError", "AuthorizationErrorException", "NotAuthorized", "VpceAccessDenied", "ForbiddenException",
})  # fmt: skip
_LISTING = re.compile(r"List|Describe|GetAccount|GetCredentialReport|Search")
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
_NO_OWN: Final = Own()


class UnreadableError(ValueError):
    """A record that cannot be placed in time: says which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def digest(record: Record) -> str:
    """Hash all that is read of a record: 32 hex digits, the same for copies that differ in their spelling alone."""
    plain = spelling.in_plain_spelling(record)
    return hashlib.sha256(spelling.encode(plain)).hexdigest()[:32]


class EventReader:
    """Reads records into events; keeps what repeats.

    ``asked_for`` names the calls (`Api.key`) whose parameters anybody reads; those of other calls are let go, for a kept
    one pins the bytes that it came in. None keeps all.
    """

    def __init__(self, asked_for: frozenset[str] | None = None) -> None:
        self._asked_for = asked_for
        self._calls: dict[tuple[str | bool | None, ...], Call] = {}  # by what the record says of it
        self._callers: dict[tuple[bytes | str | None, ...], Caller] = {}  # likewise: the identity by its bytes
        self._actors: dict[bytes, Actor] = {}  # by what is read of the identity, written anew: smaller than its objects
        self._clients: dict[str | None, Client] = {}

    def read(self, record: Record) -> Event:
        """Place one record in time and attribute it; raises as `read_all` does."""
        return self.read_all((record,))[0]

    def read_all(self, records: Iterable[Record]) -> list[Event]:
        """Place records in time and attribute them, in the order given.

        Raises UnreadableError at the first one that has no readable time or no event name: nothing can be said of it.
        """
        calls, callers = self._calls, self._callers
        events: list[Event] = []
        for record in records:
            if (when := record.event_time or record.timestamp) is None:
                raise UnreadableError("eventTime", "missing")
            try:
                at = epoch(when)
            except (ValueError, OverflowError):
                raise UnreadableError("eventTime", "not an ISO 8601 instant") from None
            what = (
                record.event_source, record.event_name, record.event_type, record.event_category, record.management_event,
                record.aws_region, record.error_code, record.session_credential_from_console,
            )  # fmt: skip
            call = calls.get(what) or self._new_call(what)
            whence = (
                bytes(record.user_identity), record.user_agent, record.source_ip_address, record.vpc_endpoint_id,
                record.recipient_account_id,
            )  # fmt: skip
            caller = callers.get(whence) or self._new_caller(whence)
            api, facts, session_name = call.api, call.facts | caller.facts, caller.session_name
            if facts & _INSTANCE and b'"QueryString"' in bytes(record.additional_event_data):
                facts |= Facts.PRESIGNED
            if facts & _LOOKED_AT or not call.is_plain:
                facts = _console_facts(record, api, facts)
            if facts & CONSOLE_MARKERS and caller.is_named_by_credential:
                session_name = CONSOLE_SESSION
            event_id = record.event_id
            if call.has_own or not event_id or record.error_message is not None or record.timestamp is not None:
                record.user_agent = caller.user_agent
                event_id = event_id or digest(record)
                own = _own(record, api, facts)
            else:
                own = _NO_OWN
            events.append(Event(at, api.rank, event_id, record.event_time, api, call, caller, facts, session_name, own))
        return events

    def _new_call(self, what: tuple[Any, ...]) -> Call:
        """Say what a call is; raises UnreadableError where it has no name."""
        event_source, event_name, event_type, _, _, _, error_code, from_console = what
        if not event_name:
            raise UnreadableError("eventName", "missing")
        source, name = event_source or "", _VERSION.sub("", event_name)
        rank = 0 if _FIRST.match(name) else 2 if _LAST.match(name) else 1
        key = api_key(source, name)
        has_parameters = self._asked_for is None or key in self._asked_for
        api = Api(source, name, rank, key, has_parameters, number_of(key, SLOTS))
        facts = int(Facts.LISTING) if _LISTING.match(name) else 0
        if error_code is not None and error_code.rpartition(".")[2] in _DENIALS:
            facts |= Facts.DENIED
        is_plain = event_type == "AwsApiCall" and from_console is None and source != SIGN_IN_SERVICE
        call = Call(api, facts, is_plain, has_parameters or error_code is not None, *what)
        if sum(len(each) for each in what if isinstance(each, str)) <= MAX_CACHED_TEXT:
            _keep(self._calls, what, call)
        return call

    def _new_caller(self, whence: tuple[Any, ...]) -> Caller:
        """Say who calls; raises UnreadableError where the identity does not fit its type."""
        data, user_agent, address, endpoint, account = whence
        client = self._clients.get(user_agent)
        if client is None:
            client = parse_client(user_agent or "")
            if user_agent is None or len(user_agent) <= MAX_USER_AGENT:
                _keep(self._clients, user_agent, client)
        try:
            identity = decode_identity(data) if data else None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise UnreadableError("userIdentity", "not as it should be") from None
        actor = None if identity is None else self._actor_of(identity, address)
        facts = client.facts if actor is None else client.facts | actor.facts
        caller = Caller(
            actor, client, facts, CONSOLE_SESSION if actor is None else actor.session_name,
            actor is not None and actor.type in _NAMES_BY_CREDENTIAL,
            None if identity is None else identity.invoked_by, Raw(data) if data else NOTHING,
            user_agent and user_agent[:MAX_TEXT], address, endpoint, account,
        )  # fmt: skip
        if sum(map(len, filter(None, whence))) <= MAX_CACHED_TEXT:
            _keep(self._callers, whence, caller)
        return caller

    def _actor_of(self, identity: UserIdentity, source_address: str | None) -> Actor | None:
        # A role's session changes its keys underneath, of which nothing else follows.
        lasting = structs.replace(identity, access_key_id=None) if identity.type == "AssumedRole" else identity
        key = spelling.encode(lasting)
        actor = self._actors.get(key)
        if actor is None:
            actor = identify(identity, source_address)
            # A service that only the address names is not the identity's to remember.
            if actor is not None and (actor.type != "service" or identity.invoked_by):
                _keep(self._actors, key, actor)
        return actor


def _own(record: Record, api: Api, facts: int) -> Own:
    """Keep what is asked for; what was refused is told by its parameters, where AWS keeps them: EC2 does, most do not."""
    own = not record.event_id, record.timestamp, record.error_message
    request = record.request_parameters.copy() if api.has_parameters or facts & _DENIED else NOTHING
    if not api.has_parameters:
        return Own(*own, request)
    return Own(*own, request, record.response_elements.copy(), record.additional_event_data.copy())


def _keep(cache: dict[Any, Any], key: object, known: object) -> None:
    """Keep what repeats, within a bound."""
    if len(cache) >= MAX_CACHED:
        cache.clear()
    cache[key] = known


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
