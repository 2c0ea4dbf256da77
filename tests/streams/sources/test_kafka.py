"""Messages of Kafka that anybody may have written: every form is told by content, and nothing raises."""

from __future__ import annotations

import gzip
import json

import pytest

from models.trail import Batch, TrailReader
from streams.closing import closing_tick, complete_until
from streams.sources import kafka
from streams.sources.kafka import read_message
from tests.records import instance_call

RECORDS = [instance_call(n) for n in range(3)]
LINES = b"\n".join(json.dumps(each).encode() for each in RECORDS)
FORMS = {
    "one record": (json.dumps(RECORDS[0]).encode(), 1),
    "JSON lines": (LINES, 3),
    "Records": (json.dumps({"Records": RECORDS}).encode(), 3),
    "EventBridge": (json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": RECORDS[0]}).encode(), 1),
    "SNS": (json.dumps({"Type": "Notification", "Message": json.dumps({"Records": RECORDS})}).encode(), 3),
    "SQS": (json.dumps({"Messages": [{"Body": json.dumps(each)} for each in RECORDS]}).encode(), 3),
}


def read(value: bytes) -> Batch:
    """Read a message, all its pieces as one."""
    whole = Batch()
    for batch in read_message(value, "cloudtrail/0/17", TrailReader()):
        whole.events = whole.events + batch.events
        whole.rejected = whole.rejected + batch.rejected
    return whole


@pytest.mark.parametrize("is_gzip", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read(form: str, is_gzip: bool) -> None:
    """Whoever wrote the message, plain or gzip, its events are read."""
    value, count = FORMS[form]
    batch = read(gzip.compress(value) if is_gzip else value)
    assert [event.event_id for event in batch.events] == [each["eventID"] for each in RECORDS[:count]]
    assert not batch.rejected


@pytest.mark.parametrize(
    "value", [b"", b"\0", b"no JSON", b"{}", b"[1]", gzip.compress(b"{", mtime=0), b"\x1f\x8b", b"\xff\x00"]
)
def test_nothing_else_raises(value: bytes) -> None:
    """What is no trail is rejected by where it was, whatever it is; an empty message is nothing."""
    batch = read(value)
    assert not batch.events
    assert bool(batch.rejected) == bool(value)
    assert {each.file for each in batch.rejected} <= {"cloudtrail/0/17"}


def test_what_damage_leaves_is_read() -> None:
    """Of gzip that ends early the events before its end are read, and the end is named."""
    batch = read(gzip.compress(LINES)[:-8])
    assert len(batch.events) == 3
    assert [each.reason for each in batch.rejected] == ["gzip ends early"]


def test_a_bomb_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that grows beyond all bounds when it is decompressed is given up."""
    monkeypatch.setattr(kafka, "MAX_INFLATED", 100_000)
    batch = read(gzip.compress(b" " * 5_000_000))
    assert [each.reason for each in batch.rejected] == ["more than 100,000 bytes once it is decompressed"]


def test_a_closing_tick_round_trips() -> None:
    """What is written as a closing tick is read as one; records and other JSON are none."""
    assert closing_tick(1_714_555_860) == b'{"rolehawk":{"complete_until":"2024-05-01T09:31:00Z"}}'
    assert complete_until(closing_tick(1_714_555_860)) == 1_714_555_860
    for value in (
        *(value for value, _ in FORMS.values()),
        b"",
        b'{"rolehawk":1}',
        b'{"rolehawk":{"complete_until":"soon"}}',
    ):
        assert complete_until(value) is None
