"""Reading a record into an event: time, order, session, the console's facts, denials."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.event import Event, in_order
from models.facts import CONSOLE_MARKERS, Facts
from models.reader import MAX_CACHED_TEXT, EventReader, UnreadableError, digest
from models.record import Record, coerce, decode_identity, decode_record, epoch, iso
from tests.records import ACCOUNT, CHROME, Json, events_of, record, refusal, role, root, sign_in, user


def read(made: Json) -> Event:
    """Read one record."""
    return EventReader().read(decode_record(msgspec.json.encode(made)))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-05-01T09:31:00Z", "2024-05-01T09:31:00Z"),
        ("2024-05-01T09:31:00.987Z", "2024-05-01T09:31:00Z"),
        ("2024-05-01T11:31:00+02:00", "2024-05-01T09:31:00Z"),
        ("2024-05-01T00:31:00-09:00", "2024-05-01T09:31:00Z"),
        ("2024-05-01 09:31:00", "2024-05-01T09:31:00Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
    ],
)
def test_time_is_normalised_to_utc(text: str, instant: str) -> None:
    """Every spelling of an instant becomes seconds since 1970, UTC."""
    assert iso(epoch(text)) == instant
    assert iso(epoch(text)) == instant  # once more, from the cache of minutes


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-05-01T24:61:00Z", "1714555860"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    """An impossible time is an error that names the field; nothing is guessed."""
    with pytest.raises(UnreadableError, match="eventTime: "):
        read(record("GetObject", None, eventTime=text))


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_instants_round_trip(at: int) -> None:
    """Writing and reading an instant gives it back, whatever is in the cache."""
    assert epoch(iso(at)) == at


def test_a_record_needs_time_and_name() -> None:
    """Without a time or an event name nothing can be said; @timestamp serves as time."""
    with pytest.raises(UnreadableError, match="eventTime: missing"):
        read(record("GetObject", None, eventTime=None))
    with pytest.raises(UnreadableError, match="eventName: missing"):
        read(record("", None))
    assert read({"@timestamp": "2024-05-01T09:31:00Z", "eventName": "GetObject"}).at == epoch("2024-05-01T09:31:00Z")


def test_order_within_a_second() -> None:
    """In one second what makes comes first and what removes last, whatever the ids say."""
    names = [
        "DeleteUser",
        "AttachUserPolicy",
        "CreateUser",
        "DetachUserPolicy",
        "AssumeRole",
        "PutUserPolicy",
        "ConsoleLogin",
    ]
    events = events_of(record(name, user("erin"), eventID=f"{9 - n}") for n, name in enumerate(names))
    assert [event.api.name for event in events] == [
        "ConsoleLogin", "AssumeRole", "CreateUser", "PutUserPolicy", "AttachUserPolicy", "DetachUserPolicy", "DeleteUser",
    ]  # fmt: skip
    assert events == sorted(events, key=in_order)


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("AddPermission20150331v2", "AddPermission"), ("CreateDistribution2020_05_31", "CreateDistribution"),
        ("GetFunction20150331", "GetFunction"), ("Invoke", "Invoke"), ("PutRule2", "PutRule2"), ("ListObjectsV2", "ListObjectsV2"),
    ],
)  # fmt: skip
def test_api_versions_are_taken_off(spelt: str, name: str) -> None:
    """Lambda's and CloudFront's versions are no part of the name."""
    assert read(record(spelt, None)).api.name == name


def test_a_missing_event_id_is_the_records_hash() -> None:
    """Two records without id are the same event exactly if all that is read of them is the same."""
    one, same, other = (
        read({key: value for key, value in record("GetObject", None, minutes).items() if key != "eventID"})
        for minutes in (0, 0, 1)
    )
    assert one.event_id == same.event_id == digest(one.record)
    assert one.event_id != other.event_id


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "Client.UnauthorizedOperation",
        "UnauthorizedException",
        "Client.UnauthorizedAccess",
        "Server.UnauthorizedOperation",
        "AuthorizationError",
        "NotAuthorized",
        "VpceAccessDenied",
        "ForbiddenException",
    ],
)
def test_denials(code: str) -> None:
    """Every spelling of a denial is one."""
    assert read(record("GetObject", None, errorCode=code)).is_denied


@pytest.mark.parametrize(
    "code",
    [
        "NoSuchEntityException",
        "Client.DryRunOperation",
        "ThrottlingException",
        "NotAuthorizedException",
        "Client.",
        None,
    ],
)
def test_other_errors_are_no_denials(code: str | None) -> None:
    """Not found, throttled, a successful dry run and an app's user with a wrong password (Cognito) are no denials."""
    assert not read(record("GetObject", None, errorCode=code)).is_denied


@pytest.mark.parametrize(
    ("identity", "fields", "session"),
    [
        (role("web", "i-0123456789abcdef0"), {}, "i-0123456789abcdef0"),
        (role("web", "erin"), {"sessionCredentialFromConsole": "true"}, "erin"),
        (user("erin"), {}, "AKIAEXAMPLE000000001"),
        (user("erin", key="ASIAEXAMPLE000000001"), {"sessionCredentialFromConsole": "true"}, "console"),
        (user("erin", key="ASIAEXAMPLE000000001"), {"userAgent": "console.amazonaws.com"}, "console"),
        (user("erin", key="ASIAEXAMPLE000000001"), {"userAgent": CHROME}, "ASIAEXAMPLE000000001"),
        (root(), {"sessionCredentialFromConsole": "true"}, "console"),
        (root("AKIAEXAMPLE000000002"), {}, "AKIAEXAMPLE000000002"),
    ],
)  # fmt: skip
def test_sessions_are_named(identity: Json, fields: Json, session: str) -> None:
    """Roles by session name, users and root by key, or as console."""
    assert read(record("GetObject", identity, **fields)).session_name == session


def test_a_failed_sign_in_shows_nothing_of_the_console() -> None:
    """The page was the console's, but nobody got in: by the outcome, else by the error message."""
    for failed in (
        sign_in(user("erin"), outcome="Failure"),
        sign_in(user("erin"), responseElements=None, errorMessage="Failed authentication"),
    ):
        event = read(failed)
        assert event.is_failed
        assert not event.facts & CONSOLE_MARKERS
    assert read(sign_in(user("erin"))).facts & Facts.SIGN_IN


@pytest.mark.parametrize(
    ("on", "arn"),
    [
        ("user erin", f"arn:aws:iam::{ACCOUNT}:user/erin"),
        ("policy arn:aws:iam::111122223333:policy/team/wide", "arn:aws:iam::111122223333:policy/team/wide"),
        ("arn:aws:iam::111122223333:role/team/ci", "arn:aws:iam::111122223333:role/ci"),
        ('"arn:aws:s3:::reports"', "arn:aws:s3:::reports"),
        ("*", None),
        ("arn:aws:ec2:eu-west-1:111122223333:instance/*", None),
    ],
)
def test_what_a_refusal_was_about(on: str, arn: str | None) -> None:
    """The message names it, whatever the reason that follows; a call that went through, or failed otherwise, none."""
    for why in ("because no identity-based policy allows it", "with an explicit deny in a service control policy"):
        fields = refusal("iam:Something", on, why)
        assert read(record("Something", user("mallory"), **fields)).refused == arn
    assert (
        read(record("Something", user("mallory"), **{**fields, "errorCode": "NoSuchEntityException"})).refused is None
    )
    assert read(record("Something", user("mallory"), errorCode="AccessDenied")).refused is None


@pytest.mark.parametrize(
    ("fields", "shows"),
    [
        ({}, True),
        ({"eventCategory": "Data"}, False),
        ({"managementEvent": "false"}, False),
        ({"additionalEventData": {"AuthenticationMethod": "QueryString"}}, False),
        ({"additionalEventData": {"AuthenticationMethod": "AuthHeader"}}, True),
    ],
)
def test_where_a_console_client_counts(fields: Json, shows: bool) -> None:
    """A console client is a marker, but never in a data event or with query-string authentication."""
    event = read(record("GetObject", role("web", "erin"), userAgent="[S3Console/0.4]", **fields))
    assert bool(event.facts & CONSOLE_MARKERS) is shows


def test_an_agents_call_is_not_its_owners() -> None:
    """A call by an AI agent's own client is no direct call of the session's owner."""
    event = read(record("ListRoles", role("dev", "erin"), userAgent="awslabs/mcp/iam-mcp-server/1.0 Boto3/1.40"))
    assert not event.facts & Facts.DIRECT_CALL


def test_odd_values_cost_themselves_alone() -> None:
    """What does not fit is left out or read as text, and named; the rest of the record stands."""
    made: dict[str, Any] = {
        **record("GetObject", user("erin")), "recipientAccountId": 111122223333, "userAgent": ["x"], "errorCode": {}, "sourceIPAddress": "y" * 9999,
    }  # fmt: skip
    made["userIdentity"]["sessionContext"] = "none"
    fitted, odd = coerce(made)
    assert (fitted.recipient_account_id, fitted.user_agent, fitted.error_code) == ("111122223333", None, None)
    assert fitted.source_ip_address == "y" * 4096
    identity = decode_identity(fitted.user_identity)
    assert identity is not None
    assert identity.arn == user("erin")["arn"]
    assert [each.split(":")[0] for each in odd] == [
        "sourceIPAddress", "userAgent", "errorCode", "recipientAccountId", "userIdentity.sessionContext",
    ]  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([field.encode_name for field in msgspec.structs.fields(Record)]), json_values))
def test_any_json_object_is_read_or_refused(made: dict[str, Any]) -> None:
    """Whatever stands in a record's fields, it becomes an event or names the field that made it impossible."""
    fitted, _ = coerce(made)
    try:
        event = EventReader().read(fitted)
    except UnreadableError as error:
        named = error.field
    else:
        named = "eventName" if event.api.name else ""
    assert named in {"eventTime", "eventName"}


@given(st.dictionaries(st.sampled_from([field.encode_name for field in msgspec.structs.fields(Record)]), json_values))
def test_an_event_gives_back_its_record(made: dict[str, Any]) -> None:
    """What an event keeps apart, or shares with others, is field by field the record that it was read from."""
    fitted, _ = coerce({"eventTime": "2024-05-01T09:31:00.5Z", "eventName": "GetObject", **made})
    whole = msgspec.structs.replace(fitted, event_id=fitted.event_id or None)
    try:
        event = EventReader().read(fitted)
    except UnreadableError:
        return
    assert event.record == whole


def test_parameters_that_nobody_asks_for_are_let_go() -> None:
    """A call whose parameters nobody reads keeps none; one that was refused keeps what was asked, and why not."""
    parameters: Json = {"requestParameters": {"bucketName": "b"}, "responseElements": {"x": 1}}
    refused: Json = {"errorCode": "AccessDenied", "errorMessage": "no"}
    calls: list[tuple[str, Json]] = [("PutObject", {}), ("GetObject", {}), ("GetObject", refused)]
    reader = EventReader(frozenset({"s3.amazonaws.com:PutObject"}))
    kept, gone, denied = (
        reader.read(decode_record(msgspec.json.encode(record(name, role("web", "w"), **parameters, **fields))))
        for name, fields in calls
    )
    assert (kept.request(), kept.response()) == ({"bucketName": "b"}, {"x": 1})
    assert (gone.request(), gone.response()) == ({}, {})
    assert (denied.request(), denied.response(), denied.own.error_message) == ({"bucketName": "b"}, {}, "no")


def test_caches_are_bounded_in_size_too() -> None:
    """A call or caller that is told from others by very long texts is read, but not kept."""
    reader = EventReader()
    for name in ("awsRegion", "vpcEndpointId", "recipientAccountId"):
        made = record("GetObject", role("web", "w")) | {name: "x" * (MAX_CACHED_TEXT + 1)}
        reader.read(decode_record(msgspec.json.encode(made)))
    assert (len(reader._calls), len(reader._callers)) == (1, 1)  # noqa: SLF001 - the bound is the point


def test_caches_do_not_change_what_is_read() -> None:
    """A reader that has seen ten thousand identities reads the first one as a fresh reader does."""
    reader = EventReader()
    first = decode_record(msgspec.json.encode(record("GetObject", role("web", "first"))))
    before = reader.read(first)
    for n in range(20_000):
        reader.read(decode_record(msgspec.json.encode(record("GetObject", user(f"u{n}"), userAgent=f"client/{n}"))))
    assert reader.read(first) == before


@pytest.mark.parametrize(("name", "outcome", "shows"), [
    ("SwitchRole", "Success", True), ("RenewRole", "Success", True), ("ExitRole", "Success", True),
    ("SwitchRole", "Failure", False), ("RenewRole", "Failure", False), ("CheckMfa", "Success", False),
])  # fmt: skip
def test_a_role_that_is_switched_to_is_in_the_console(name: str, outcome: str, shows: bool) -> None:
    """As is one whose console session is renewed, or left; an attempt that failed is nobody in the console."""
    signed: Json = {
        "eventSource": "signin.amazonaws.com",
        "eventType": "AwsConsoleSignIn",
        "responseElements": {name: outcome},
    }
    event = read(record(name, role("web", "erin"), userAgent=CHROME, **signed))
    assert bool(event.facts & CONSOLE_MARKERS) is shows
