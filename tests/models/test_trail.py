"""Every form in which CloudTrail is passed on is read, told by content; what is bad costs itself alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.event import Event
from models.pieces import earliest_time, is_json, pieces
from models.trail import Batch, TrailReader
from tests.records import Json, instance_call, record, role, time, user

RECORDS = [instance_call(n, requestParameters={"bucketName": 'a{b"c]'}) for n in range(5)]
DIGEST = {
    "awsAccountId": "111122223333", "digestStartTime": time(0), "digestEndTime": time(60), "digestS3Bucket": "trail",
    "logFiles": [{"s3Bucket": "trail", "s3Object": "AWSLogs/x.json.gz", "hashValue": "00"}],
}  # fmt: skip
INSIGHT = {
    "eventVersion": "1.07", "eventTime": time(3), "awsRegion": "eu-west-1", "eventID": "i-1",
    "eventType": "AwsCloudTrailInsight", "eventCategory": "Insight", "insightDetails": {"eventName": "PutObject"},
}  # fmt: skip


def text(value: Any) -> str:
    """Write JSON without blanks."""
    return json.dumps(value, separators=(",", ":"))


def lines(values: list[Any]) -> str:
    """Write JSON lines."""
    return "".join(f"{text(each)}\n" for each in values)


def read(content: str | bytes, first: int = 1) -> Batch:
    """Read one piece."""
    return TrailReader().read(content.encode() if isinstance(content, str) else content, "trail.json", first)


def ids(events: list[Event]) -> list[str]:
    """List event ids."""
    return [event.event_id for event in events]


def envelope(detail: Json) -> Json:
    """Wrap a record as EventBridge does."""
    return {
        "version": "0",
        "id": "1",
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "detail": detail,
    }


def notification(message: Any) -> Json:
    """Wrap a message as SNS does."""
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:::t", "Message": text(message)}


def looked_up(each: Json) -> Json:
    """Wrap a record as LookupEvents does."""
    return {"EventId": each["eventID"], "EventName": each["eventName"], "CloudTrailEvent": text(each)}


FORMS = {
    "a log file": text({"Records": RECORDS}),
    "a log file, indented": json.dumps({"Records": RECORDS}, indent=2),
    "a log file with a byte order mark": "\ufeff" + text({"Records": RECORDS}),
    "a bare list": text(RECORDS),
    "a bare list, a record a line": "[\n" + ",\n".join(map(text, RECORDS)) + "\n]\n",
    "a list in lines": '{"Records": [\n' + ",\n".join(map(text, RECORDS)) + "\n]}",
    "JSON lines": lines(RECORDS),
    "JSON lines of Windows": lines(RECORDS).replace("\n", "\r\n\r\n"),
    "log files, one a line": lines([{"Records": RECORDS[:2]}, {"Records": RECORDS[2:]}]),
    "records one behind the other": "".join(map(text, RECORDS)),
    "indented records one behind the other": "\n".join(json.dumps(each, indent=1) for each in RECORDS),
    "EventBridge": lines([envelope(each) for each in RECORDS]),
    "SNS": lines([notification(each) for each in RECORDS]),
    "SNS of log files": lines([notification({"Records": RECORDS})]),
    "EventBridge in SNS in SQS": text(
        {"Messages": [{"MessageId": "1", "Body": text(notification(envelope(each)))} for each in RECORDS]}
    ),
    "SQS as Lambda gets it": text({"Records": [{"messageId": "1", "body": text(each)} for each in RECORDS]}),
    "SNS as Lambda gets it": text({"Records": [{"Sns": {"Message": text(each)}} for each in RECORDS]}),
    "LookupEvents": json.dumps({"Events": [looked_up(each) for each in RECORDS]}, indent=4),
    "LookupEvents in lines": lines([looked_up(each) for each in RECORDS]),
    "CloudTrail Lake": lines([{"eventData": each} for each in RECORDS]),
    "CloudTrail Lake, the record as text": lines([{"eventData": text(each)} for each in RECORDS]),
    "Beats in a search index": lines(
        [{"_source": {"event": {"kind": "event", "original": text(each)}}} for each in RECORDS]
    ),
    "a search in Splunk": lines([{"preview": False, "offset": 0, "result": {"_raw": text(each)}} for each in RECORDS]),
    "a search index": lines([{"_index": "trail", "_source": each} for each in RECORDS]),
    "CloudWatch Logs": text({"logEvents": [{"id": "1", "message": text(each)} for each in RECORDS]}),
    "forms mixed in lines": lines(
        [RECORDS[0], envelope(RECORDS[1]), {"Records": [RECORDS[2]]}, [RECORDS[3]], RECORDS[4]]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_events(form: str) -> None:
    """Whatever wraps the records, the same events come out, none rejected and none repaired."""
    batch = read(FORMS[form])
    assert ids(batch.events) == [each["eventID"] for each in RECORDS]
    assert (batch.rejected, batch.repaired, batch.count) == ([], [], len(RECORDS))


@pytest.mark.parametrize("form", FORMS)
def test_the_hash_of_a_record_does_not_depend_on_its_form(form: str) -> None:
    """A record without an eventID goes by its hash, which blanks and escapes do not change."""
    without = FORMS[form]
    for each in RECORDS:
        without = without.replace(each["eventID"], "")
    batch = read(without)
    plain = read(lines([{**each, "eventID": ""} for each in RECORDS]))
    assert ids(batch.events) == ids(plain.events)
    assert len(set(ids(plain.events))) == len(RECORDS)


def test_one_record_is_a_trail() -> None:
    """A single record, on a line of its own or indented, is read."""
    assert ids(read(text(RECORDS[0])).events) == [RECORDS[0]["eventID"]]
    assert ids(read(json.dumps(RECORDS[0], indent=2)).events) == [RECORDS[0]["eventID"]]


def test_utf16_is_read() -> None:
    """What PowerShell redirects into a file is UTF-16."""
    assert len(read(FORMS["LookupEvents"].encode("utf-16")).events) == len(RECORDS)


def test_nothing_is_nothing() -> None:
    """Empty lists and blank lines hold no record, and that is no fault."""
    for content in ("", "\n\n", "[]", '{"Records": []}', '{"Events": []}'):
        assert read(content) == Batch(), content


def test_digests_and_insights_are_counted_and_left_out() -> None:
    """Both lie beside the logs and hold no calls."""
    batch = read(text(DIGEST))
    assert (batch.digests, batch.events, batch.rejected) == (1, [], [])
    batch = read(text({"Records": [INSIGHT, RECORDS[0], INSIGHT]}))
    assert (batch.insights, len(batch.events), batch.rejected) == (2, 1, [])


# Bad records


@pytest.mark.parametrize(
    ("bad", "name", "reason"),
    [
        ({"eventName": "GetObject"}, "eventTime", "missing"),
        ({**RECORDS[0], "eventTime": "soon"}, "eventTime", "not an ISO 8601 instant"),
        ({**RECORDS[0], "eventTime": "1709283600000"}, "eventTime", "not an ISO 8601 instant"),
        ({**RECORDS[0], "eventTime": None}, "eventTime", "missing"),
        ({**RECORDS[0], "eventName": None}, "eventName", "missing"),
        ({**RECORDS[0], "eventName": {"a": 1}}, "eventName", "missing"),
        ({"hello": "world"}, "", "holds no CloudTrail record"),
        ({"s3Bucket": "trail", "s3ObjectKey": ["x.json.gz"]}, "", "holds no CloudTrail record"),
        (7, "", "no object, so no record"),
        (None, "", "no object, so no record"),
    ],
)
def test_a_bad_record_costs_itself_alone(bad: Any, name: str, reason: str) -> None:
    """In a log file as in lines, the others are read and the bad one is named: file, number, field, reason, bytes."""
    mixed = [*RECORDS[:2], bad, *RECORDS[2:]]
    for content in (text({"Records": mixed}), lines(mixed)):
        batch = read(content)
        assert ids(batch.events) == [each["eventID"] for each in RECORDS]
        (rejected,) = batch.rejected
        assert (rejected.file, rejected.record, rejected.field, rejected.reason) == ("trail.json", 3, name, reason)
        assert json.loads(rejected.content) == bad


def test_numbers_go_on_from_piece_to_piece() -> None:
    """The number of a record counts from the start of its file, not of the piece."""
    (rejected,) = read(lines([RECORDS[0], {"eventName": "x"}]), first=101).rejected
    assert rejected.record == 102


@pytest.mark.parametrize(
    ("spoilt", "repaired"),
    [
        ({"userIdentity": "root"}, "userIdentity"),
        ({"userIdentity": {**role("web", "x"), "accountId": 111122223333}}, "userIdentity.accountId"),
        ({"sourceIPAddress": 17}, "sourceIPAddress"),
        ({"userAgent": ["a"]}, "userAgent"),
        ({"managementEvent": 1}, "managementEvent"),
    ],
)
def test_an_odd_value_costs_that_value(spoilt: Json, repaired: str) -> None:
    """A number where a string belongs, or an identity that is a string, leaves the record readable, and is named."""
    batch = read(text({"Records": [RECORDS[0], {**RECORDS[1], **spoilt}, RECORDS[2]]}))
    assert ids(batch.events) == [each["eventID"] for each in RECORDS[:3]]
    assert batch.rejected == []
    (named,) = batch.repaired
    assert (named.record, named.field) == (2, repaired)


def test_deep_nesting_is_rejected_or_passed_over() -> None:
    """Ten thousand levels neither crash nor hide the records beside them."""
    deep = "[" * 10_000 + "]" * 10_000
    before, after = text(RECORDS[0]), text(RECORDS[1])
    spoilt = text(RECORDS[2]).replace('"eventType"', f'"deep":{deep},"eventType"')
    for content in (f'{{"Records":[{before},{spoilt},{after}]}}', f"{before}\n{spoilt}\n{after}\n"):
        batch = read(content)
        assert ids(batch.events) == [RECORDS[0]["eventID"], RECORDS[1]["eventID"]]
        assert [each.reason for each in batch.rejected] == ["nested too deep"]


def test_lone_surrogates_and_stray_bytes_become_replacement_characters() -> None:
    """What no UTF-8 can hold is read as U+FFFD, wherever it stands, and whole pairs stay what they are."""
    good = text(RECORDS[0])
    agent = good.replace(RECORDS[0]["userAgent"], r"\ud800 \ud83d\ude00 é")
    (event,) = read(f'{{"Records":[{agent}]}}').events
    assert event.record.user_agent == "\ufffd \U0001f600 é"
    (event,) = read(good.replace("a{b", r"\udfff")).events
    assert event.request()["bucketName"].startswith("\ufffd")
    (event,) = read(good.encode().replace(b"a{b", b"\xff")).events
    assert event.request()["bucketName"].startswith("\ufffd")


def test_nan_and_keys_that_stand_twice_are_read_and_named() -> None:
    """NaN becomes null, of two values the last counts; in the slow path both are named."""
    spoilt = text(RECORDS[0]).replace('"a{b', 'NaN,"eventName":"odd","x":"a{b').replace('{"bucketName":NaN', '{"n":NaN')
    batch = read(spoilt)
    assert len(batch.events) == 1
    (named,) = batch.repaired
    assert "NaN" in named.reason
    twice = text(RECORDS[0]).replace('"eventName":', '"eventName":"First","eventName":')
    assert [event.api.name for event in read(twice).events] == ["GetObject"]
    named_twice = twice.replace('"eventType":"AwsApiCall"', '"eventType":7')
    (named,) = read(named_twice).repaired
    assert named.field == "eventName"
    assert "twice" in named.reason


def test_huge_strings_are_read() -> None:
    """A user agent of 10 MB is an event like any other, and is not kept whole."""
    huge = record("GetObject", user("robot"), userAgent="x" * 10_000_000)
    (event,) = read(text({"Records": [huge]})).events
    assert len(event.record.user_agent or "") <= 4096


def test_a_number_beyond_all_bounds_is_no_crash() -> None:
    """A number of 10,000 digits, or one too large for a float, costs at most its record."""
    for number in ("9" * 10_000, "1e999", "-1e999"):
        spoilt = text(RECORDS[0]).replace('"a{b\\"c]"', number)
        batch = read(lines([RECORDS[1]]) + spoilt + "\n")
        assert batch.count == 2
        assert RECORDS[1]["eventID"] in ids(batch.events)
        for event in batch.events:
            event.request()


@pytest.mark.parametrize("cut", [1, 3, 30, 400, 700])
def test_what_is_cut_off_yields_what_came_before(cut: int) -> None:
    """A log file that ends early gives its whole records, and one reject with the rest."""
    content = FORMS["a log file"]
    batch = read(content[:-cut])
    whole = 5 if cut <= 2 else 4
    assert ids(batch.events) == [each["eventID"] for each in RECORDS[:whole]]
    expected = [] if cut == 1 else ["cut off in the middle of a record"]
    assert [each.reason for each in batch.rejected] == expected


def test_a_list_that_is_never_closed_is_named() -> None:
    """Cut off just behind a record nothing readable is lost, but it is said that something may be missing."""
    batch = read(FORMS["a log file"][:-2])
    assert len(batch.events) == len(RECORDS)
    assert ["never closed" in each.reason for each in batch.rejected] == [True]
    assert ["never closed" in each.reason for each in read('{"Records": [').rejected] == [True]


def test_a_record_broken_in_the_middle_costs_itself() -> None:
    """A quote or a brace too few in one record leaves all others readable."""
    written = [text(each) for each in RECORDS]
    for broken in (
        written[2].replace('"eventName":"', '"eventName":'),
        written[2][:-1],
        written[2].replace("{", "", 2),
    ):
        for content in (
            '{"Records":[' + ",".join([*written[:2], broken, *written[3:]]) + "]}",
            "\n".join([*written[:2], broken, *written[3:]]) + "\n",
        ):
            batch = read(content)
            assert ids(batch.events) == [RECORDS[n]["eventID"] for n in (0, 1, 3, 4)]
            assert len(batch.rejected) >= 1


def test_hostile_quotes_take_no_quadratic_time() -> None:
    """A megabyte of escaped quotes that is never closed is one token; a test that hangs has failed."""
    batch = read('{"eventVersion":"1.08","a":"' + '\\"' * 500_000)
    assert len(batch.rejected) == 1
    batch = read('{"Records":[' + '{"eventVersion":"x",' * 50_000)
    assert len(batch.rejected) == 50_000


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_bytes_are_read_or_rejected(content: bytes) -> None:
    """Nothing makes the reader raise, and nothing but blanks and byte order marks is passed over in silence."""
    batch = read(content)
    assert batch.count >= len(batch.events) + len(batch.rejected)


@given(st.data())
@settings(max_examples=200)
def test_any_damage_to_a_log_file_costs_no_more_than_it_hit(data: st.DataObject) -> None:
    """One byte changed anywhere loses at most the record it stands in and the one beside it."""
    content = bytearray(FORMS["a log file"].encode())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    batch = read(bytes(content))
    assert len(batch.events) >= len(RECORDS) - 2


# Pieces


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 100, 1_000, 2_000, 1_000_000])
def test_pieces_hold_the_same_records(form: str, size: int) -> None:
    """However small the pieces and chunks, together they give the same events; only a list is ever rewritten."""
    content = FORMS[form].encode()
    chunks = [content[at : at + 700] for at in range(0, len(content), 700)]
    reader = TrailReader()
    events = [event for piece in pieces(chunks, size) for event in reader.read(piece, "x").events]
    assert ids(events) == [each["eventID"] for each in RECORDS]


def test_pieces_of_a_log_file_are_small() -> None:
    """A log file is cut where it can be, so that memory does not grow with the file."""
    content = text({"Records": RECORDS * 100}).encode()
    made = list(pieces([content], 4_000))
    assert max(map(len, made)) < 6_000
    assert len(made) > 50


def test_what_never_holds_a_record_is_cut_all_the_same() -> None:
    """Megabytes without a record are passed on by the piece, to be rejected as what they are."""
    made = list(pieces([b'{"a": "' + b"x" * 1000] * 20, 100, 2_000))
    assert max(map(len, made)) < 4_000
    assert b"".join(made) == (b'{"a": "' + b"x" * 1000) * 20


def test_earliest_time_is_found_in_any_spelling() -> None:
    """The start of a document tells when its events begin, escaped inside a string or not."""
    later, earlier = instance_call(10), instance_call(5)
    for content in (
        text([later, earlier]),
        text({"Events": [looked_up(later), looked_up(earlier)]}),
        '{"@timestamp": "' + time(5) + '"}',
    ):
        assert earliest_time(content.encode()) == time(5).encode()
    assert earliest_time(b"{}") is None


def test_is_json() -> None:
    """Only what could be JSON is a trail."""
    assert is_json(b'\xef\xbb\xbf [{"a')
    assert is_json(b'garbage {"eventVersion": "1.08"')
    assert not is_json(b"# Notes")
    assert not is_json(b"")


def test_rejected_round_trips() -> None:
    """What was rejected can be passed on as JSON."""
    (rejected,) = read("{nonsense").rejected
    assert msgspec.json.decode(msgspec.json.encode(rejected), type=type(rejected)) == rejected
