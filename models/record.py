"""CloudTrail's own spelling: the fields that are read of a record, and how one is decoded.

The typed decode is the hot path: unneeded fields are skipped, ``requestParameters`` and its like stay raw bytes until
something asks for them, and so does ``userIdentity``, of which a trail repeats each many times. What the typed decode refuses (one odd value refuses a whole file) goes through `coerce`,
field by field, so that an odd value costs that value and not the record.
Source: AWS CloudTrail user guide, "CloudTrail record contents" and "CloudTrail userIdentity element".
"""

from __future__ import annotations

import json
import re
import types
import typing
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct, field

# A boolean that CloudTrail writes as a JSON boolean in one place and as "true" or "false" in another.
Flag = bool | str | None

NOTHING = Raw()  # an element that is absent, or was let go
MAX_TEXT = 4096  # characters kept of any one string field; a longer one is cut (the longest ARN has 2,048)


class SessionIssuer(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """What issued a temporary session: a role, a user, root."""

    type: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None
    user_name: str | None = None


class SessionAttributes(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Whether a second factor was used."""

    mfa_authenticated: Flag = None


class WebIdFederationData(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Which OIDC provider vouched for the session."""

    federated_provider: str | None = None


class SessionContext(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """What AWS knows of the temporary session that made the call."""

    session_issuer: SessionIssuer | None = None
    attributes: SessionAttributes | None = None
    web_id_federation_data: WebIdFederationData | None = None
    source_identity: str | None = None
    ec2_role_delivery: str | None = field(default=None, name="ec2RoleDelivery")


class InScopeOf(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The AWS resource that the credentials were issued to."""

    issuer_type: str | None = None
    credentials_issued_to: str | None = None


class OnBehalfOf(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The Identity Center user for whom the call was made."""

    user_id: str | None = None
    identity_store_arn: str | None = None


class UserIdentity(Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """Who made the call, as AWS puts it. Frozen, so that what follows from it is worked out once per distinct identity."""

    type: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None
    access_key_id: str | None = None
    user_name: str | None = None
    invoked_by: str | None = None
    identity_provider: str | None = None
    session_context: SessionContext | None = None
    in_scope_of: InScopeOf | None = None
    on_behalf_of: OnBehalfOf | None = None


class Record(Struct, gc=False, kw_only=True, omit_defaults=True, rename="camel"):
    """One CloudTrail record, with the fields that are read of it. Nearly every one can be missing."""

    event_time: str | None = None
    timestamp: str | None = field(default=None, name="@timestamp")
    event_source: str | None = None
    event_name: str | None = None
    event_id: str | None = field(default=None, name="eventID")
    event_type: str | None = None
    event_category: str | None = None
    management_event: Flag = None
    aws_region: str | None = None
    source_ip_address: str | None = field(default=None, name="sourceIPAddress")
    vpc_endpoint_id: str | None = None
    user_agent: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    recipient_account_id: str | None = None
    session_credential_from_console: Flag = None
    user_identity: Raw = NOTHING
    request_parameters: Raw = NOTHING
    response_elements: Raw = NOTHING
    additional_event_data: Raw = NOTHING


class LogFile(Struct, gc=False):
    """A CloudTrail log file: the form that nearly all input has."""

    records: list[Record] = field(name="Records")


decode_log_file = msgspec.json.Decoder(LogFile).decode
decode_record = msgspec.json.Decoder(Record).decode
decode_identity = msgspec.json.Decoder(UserIdentity | None).decode
decode_lines = msgspec.json.Decoder(Record).decode_lines
encode = msgspec.json.encode


def is_true(flag: Flag) -> bool:
    """Say whether a flag is set, as a boolean or as the string that CloudTrail often writes."""
    return flag is True or (flag is not None and flag is not False and flag.lower() == "true")


def is_false(flag: Flag) -> bool:
    """Say whether a flag is expressly cleared; a missing one is not."""
    return flag is False or (flag is not None and flag is not True and flag.lower() == "false")


def parameters(raw: Raw) -> dict[str, Any]:
    """Decode a raw element (requestParameters and its like); an absent, null or odd one is an empty mapping."""
    if len(data := bytes(raw)) < 2:
        return {}
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        try:
            value, _ = decode_lenient(data)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def in_plain_spelling(record: Record) -> Record:
    """Copy a record with its raw elements written in one way: sorted keys, no blanks, no needless escapes."""
    return msgspec.structs.replace(
        record,
        **{
            name: Raw(msgspec.json.encode(parameters(raw), order="sorted"))
            for name in ("user_identity", "request_parameters", "response_elements", "additional_event_data")
            if bytes(raw := getattr(record, name))
        },
    )


def text_of(value: object) -> str | None:
    """Take a string from a decoded element, or None where it holds anything else."""
    return value if isinstance(value, str) else None


# Time: seconds since 1970, UTC. A trail repeats its minutes many thousand times, so each is worked out once.
_minutes: dict[str, int] = {}
_SECONDS = {f":{second:02d}Z": second for second in range(60)}
_MAX_MINUTES = 100_000


def epoch(text: str) -> int:
    """Turn an ISO 8601 instant into seconds since 1970 UTC; a fraction is dropped, no offset means UTC.

    Raises ValueError where the text is no instant.
    """
    second = _SECONDS.get(text[16:])
    minute = _minutes.get(text[:16])
    if minute is not None and second is not None:
        return minute + second
    if text.isdigit():  # seconds or milliseconds, some of which fromisoformat would take for dates
        raise ValueError(text)
    at = datetime.fromisoformat(text.strip())
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    whole = int(at.timestamp() // 1)
    if second is not None:
        if len(_minutes) >= _MAX_MINUTES:
            _minutes.clear()
        _minutes[text[:16]] = whole - second
    return whole


def iso(at: int) -> str:
    """Write seconds since 1970 as CloudTrail writes an instant: ``2024-05-01T09:31:00Z``."""
    day, second = divmod(at, 86_400)
    return f"{_date(day)}T{second // 3_600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def decode_lenient(data: bytes) -> tuple[Any, list[str]]:
    """Decode JSON that breaks its own rules a little; the second result says where.

    Bytes that are no UTF-8 and lone surrogates become U+FFFD, NaN and infinities null, of a key that stands twice the
    last one counts. Raises ValueError where it is no JSON at all, RecursionError where it is nested too deep.
    """
    odd: list[str] = []

    def constant(name: str) -> None:
        odd.append(f": {name} is no JSON, left out")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            odd.append(f"{twice}: stands twice, the last one counts")
        return made

    text = data.decode("utf-8", "replace")
    value = json.loads(text, strict=False, parse_constant=constant, object_pairs_hook=mapping)
    if _SURROGATE.search(text):
        value = json.loads(_without_surrogates(json.dumps(value, ensure_ascii=False)))
    return value, odd


def _without_surrogates(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# An escape that could be half a pair, whichever letters it is written in.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def coerce(value: dict[str, Any]) -> tuple[Record, list[str]]:
    """Fit a decoded JSON object to a Record, value by value; the second result says what did not fit.

    A number or boolean where a string belongs becomes its text; anything else that does not fit is left out and named.
    """
    odd: list[str] = []
    record = cast("Record", _fit_struct(value, Record, "", odd))
    if (found := value.get("userIdentity")) is not None:
        identity = _fit(found, UserIdentity, "userIdentity", odd)
        record.user_identity = NOTHING if identity is None else Raw(encode(identity))
    return record, odd


def _fit_struct(value: dict[str, Any], wanted: type[Struct], path: str, odd: list[str]) -> Struct:
    """Fit each field of a mapping to the struct's field of that name."""
    fitted: dict[str, Any] = {}
    for info in _fields(wanted):
        if (found := value.get(info.encode_name)) is not None:
            fit = _fit(found, _inner_type(info.type), f"{path}{info.encode_name}", odd)
            if fit is not None:
                fitted[info.name] = fit
    return wanted(**fitted)


def _fields(wanted: type[Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(wanted)


def _inner_type(declared: Any) -> type:  # noqa: ANN401 - a type expression has no narrower type
    """Say what a field holds beside None: a struct, Raw, bool (for flags) or str."""
    if isinstance(declared, types.UnionType) or typing.get_origin(declared) is typing.Union:
        members = typing.get_args(declared)
        return bool if bool in members else next(member for member in members if member is not type(None))
    return cast("type", declared)


def _fit(found: Any, wanted: type, path: str, odd: list[str]) -> Any:  # noqa: ANN401 - any JSON in, any field out
    if wanted is Raw:
        return Raw(msgspec.json.encode(found))
    if issubclass(wanted, Struct):
        if isinstance(found, dict):
            return _fit_struct(found, wanted, f"{path}.", odd)
    elif wanted is bool and isinstance(found, bool):
        return found
    elif isinstance(found, str):
        if len(found) > MAX_TEXT:
            odd.append(f"{path}: {len(found):,} characters, cut to {MAX_TEXT:,}")
        return found[:MAX_TEXT]
    elif isinstance(found, bool | int | float):
        odd.append(f"{path}: a {_json_type(found)} where a string belongs, read as its text")
        return json.dumps(found)
    odd.append(f"{path}: {_json_type(found)} not readable here, left out")
    return None


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "number"
