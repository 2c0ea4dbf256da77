"""The report on shapes counts what records are made of, and tells nothing of a single recorded event."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bench.compare_shapes import Sample, recorded, report
from tests.records import Json, instance_call, record, user

RECORDS: list[Json] = [
    *(instance_call(number) for number in range(3)),
    record("GetSecretValue", user("erin"), 5, errorCode="AccessDenied", privateField="private-value"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Lay out one set of records in two forms, and a README beside them."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "log.json.gz").write_bytes(gzip.compress(json.dumps({"Records": RECORDS}).encode()))
    (tmp_path / "two.jsonl").write_text("".join(json.dumps({"detail": each}) + "\n" for each in RECORDS))
    (tmp_path / "README.md").write_text("# not a trail\n")
    return tmp_path


def test_records_are_counted_in_any_form(folder: Path) -> None:
    """Files and folders of whatever form are a sample each; what is no trail is none."""
    samples = recorded(folder)
    assert [(each.name, each.count) for each in samples] == [("one", 4), ("two", 4)]
    for sample in samples:
        assert sample.share(sample.fields["errorCode"]) == 0.25
        assert sample.share(sample.fields["userIdentity.sessionContext.ec2RoleDelivery"]) == 0.75
        assert sample.types == {"AssumedRole": 3, "IAMUser": 1}
        assert 200 < sample.size(0.5) <= sample.size(0.99)


def test_a_null_counts_as_absent() -> None:
    """As the product reads it."""
    sample = Sample("nulls")
    sample.add({"eventName": "GetObject", "errorCode": None, "userIdentity": None})
    assert sample.errors == 0
    assert set(sample.fields) == {"eventName"}
    assert sample.types == {"none": 1}


def test_report_tells_nothing_of_a_single_event(folder: Path) -> None:
    """No id, ARN, address, key, path or field that AWS does not document gets into it; shares and sizes do."""
    text = "\n".join(report(recorded(folder)))
    assert "25.0%" in text
    assert "`userIdentity.accessKeyId`" in text
    assert str(folder) not in text
    for each in RECORDS:
        assert each["eventID"] not in text
        assert each["userIdentity"]["arn"] not in text
        assert each["sourceIPAddress"] not in text
    assert "private" not in text
