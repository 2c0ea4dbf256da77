"""Trails into a real Kafka, from files and standard input: whole, in order, each account in its partition."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from base64 import b64decode
from collections import defaultdict
from pathlib import Path
from random import Random

import msgspec
import pytest

from models.record import epoch
from models.trail import Rejected
from streams.broker import Broker
from streams.ingest import Request, ingest
from streams.kafka import MAX_MESSAGE_BYTES, Cluster
from streams.pipe import Summary
from streams.rejected import message_of
from tests.records import ACCOUNT, OTHER_ACCOUNT, START, instance_call
from tests.records import time as minute
from tests.streams.topics import DEADLINE_S, Topics, log_file

ROOT = Path(__file__).parents[2]
THIRD_ACCOUNT = "777788889999"


def run(topics: Topics, *sources: str | Path, **more: object) -> Summary:
    """Ingest in this process."""
    settings = topics.settings
    return ingest(Request(sources=tuple(map(str, sources)), settings=settings, cluster=Cluster.of(settings), **more))  # type: ignore[arg-type]


def command(topics: Topics, folder: Path, *arguments: str | Path) -> list[str]:
    """Give the command line of an ingest into the test's topics."""
    return [
        *(sys.executable, "-m", "streams.cli", "ingest", "--settings", str(topics.file(folder))),
        *map(str, arguments),
    ]


def environment() -> dict[str, str]:
    """Give an environment in which the settings alone say where Kafka is."""
    return {key: value for key, value in os.environ.items() if key != "KAFKA_BOOTSTRAP_SERVERS"} | {
        "PYTHONPATH": str(ROOT)
    }


def test_files_arrive_whole_in_order_and_by_account(topics: Topics, tmp_path: Path) -> None:
    """Files that overlap in time, of three accounts: each record as it was, an account's in order in one partition."""
    random = Random(1)
    records = [
        instance_call(
            n,
            recipientAccountId=random.choice((ACCOUNT, OTHER_ACCOUNT, THIRD_ACCOUNT)),
            tlsDetails={"tlsVersion": "TLSv1.3"},
        )
        for n in range(700)
    ]
    random.shuffle(records)
    for number in range(7):
        (tmp_path / f"{number}.json.gz").write_bytes(log_file(*records[number * 100 : number * 100 + 100]))
    summary = run(topics, tmp_path)
    written = topics.written()
    assert (summary.sent, summary.files, summary.rejected) == (700, 7, 0)
    by_id = {each["eventID"]: each for each in records}
    assert {each["eventID"]: each for each in written.records} == by_id
    assert len(written.records) == 700
    places: dict[bytes | None, set[int]] = defaultdict(set)
    times: dict[bytes | None, list[str]] = defaultdict(list)
    for partition, key, value in written.messages:
        places[key].add(partition)
        found = json.loads(gzip.decompress(value))["Records"]
        assert {each["recipientAccountId"].encode() for each in found} == {key}
        times[key] += [each["eventTime"] for each in found]
    assert places.keys() == {each.encode() for each in (ACCOUNT, OTHER_ACCOUNT, THIRD_ACCOUNT)}
    assert all(len(each) == 1 for each in places.values())
    assert all(each == sorted(each) for each in times.values())
    assert written.ticks == [(partition, epoch(minute(699))) for partition in range(3)]


def test_no_message_outlasts_the_wait_for_late_events(topics: Topics, tmp_path: Path) -> None:
    """Two accounts a long time: no message spans more event time than the stream waits, nor do two of a partition cross."""
    (tmp_path / "trail.json").write_bytes(
        log_file(*(instance_call(n, recipientAccountId=(ACCOUNT, OTHER_ACCOUNT)[n % 2]) for n in range(200)))
    )
    run(topics, tmp_path)
    newest: dict[int, int] = {}
    for partition, _, value in topics.written().messages:
        times = [epoch(each["eventTime"]) for each in json.loads(gzip.decompress(value))["Records"]]
        assert times[-1] - times[0] <= 600
        assert times[0] >= newest.get(partition, 0) - 600
        newest[partition] = max(times[-1], newest.get(partition, 0))


def test_a_busy_account_fills_messages(topics: Topics, tmp_path: Path) -> None:
    """Events that lie close together travel 500 in a message, none larger than Kafka takes."""
    lines = b"".join(
        msgspec.json.encode(instance_call(n / 600, requestParameters={"x": Random(n).randbytes(3_000).hex()})) + b"\n"
        for n in range(1_200)
    )
    (tmp_path / "trail.jsonl").write_bytes(lines)
    run(topics, tmp_path / "trail.jsonl")
    written = topics.written()
    assert len(written.records) == 1_200
    assert all(len(value) <= MAX_MESSAGE_BYTES for _, _, value in written.messages)
    assert max(len(json.loads(gzip.decompress(value))["Records"]) for _, _, value in written.messages) >= 250


def test_what_cannot_be_read_is_told_and_stops_nothing(topics: Topics, tmp_path: Path) -> None:
    """Bad records, a file that is none, a path that leads nowhere: in a topic of their own, with place, reason and bytes."""
    good = [instance_call(n) for n in range(3)]
    without_time = {key: value for key, value in instance_call(9).items() if key != "eventTime"}
    digest = {"digestStartTime": START, "digestEndTime": START, "logFiles": []}
    (tmp_path / "trail.json").write_bytes(log_file(good[0], without_time, good[1]) + gzip.compress(b""))
    (tmp_path / "damaged.json.gz").write_bytes(log_file(good[2])[:-20])
    (tmp_path / "digest.json").write_bytes(msgspec.json.encode(digest))
    summary = run(topics, tmp_path, tmp_path / "nowhere")
    written = topics.written()
    assert (summary.sent, summary.digests) == (len(written.records), 1)
    assert {good[0]["eventID"], good[1]["eventID"]} <= set(written.ids)
    assert summary.rejected == len(written.rejected)
    reasons = {(Path(each["file"]).name, each["record"], each["field"]): each["reason"] for each in written.rejected}
    assert reasons["trail.json", 2, "eventTime"] == "missing"
    assert reasons["nowhere", 0, ""].startswith("no such file")
    assert "gzip" in reasons["damaged.json.gz", 0, ""]
    assert [json.loads(each["content"]) for each in written.rejected if each["field"]] == [without_time]


def test_a_record_that_fits_no_message_is_rejected(topics: Topics, tmp_path: Path) -> None:
    """A record larger than a message of Kafka's, even as gzip, is rejected with the beginning of its bytes."""
    huge = instance_call(0, requestParameters={"x": Random(1).randbytes(1_500_000).hex()})
    (tmp_path / "trail.json").write_bytes(log_file(huge, instance_call(1)))
    summary = run(topics, tmp_path)
    written = topics.written()
    assert (summary.sent, summary.rejected) == (1, 1)
    assert "larger than a message of Kafka's" in written.rejected[0]["reason"]
    assert written.rejected[0]["content"].startswith('{"eventVersion"')


@pytest.mark.parametrize(
    "content", [b"\0" * 500_000, "\u200b".encode() * 500_000, "é".encode() * 500_000, b"\xff" * 500_000, b"x" * 10]
)
def test_what_is_rejected_fits_a_message(content: bytes) -> None:
    """However long or odd, what was rejected fits a message, with the beginning of its bytes, whole characters of a text."""
    value = message_of(Rejected("file", 1, "", "no JSON", content))
    assert len(value) < MAX_MESSAGE_BYTES
    row = json.loads(value)
    kept = row["content"].encode() if row["encoding"] == "utf-8" else b64decode(row["content"])
    assert content.startswith(kept)
    assert len(kept) > 149_000 or kept == content
    assert row["encoding"] == ("base64" if b"\xff" in content else "utf-8")


def test_standard_input_by_the_command(topics: Topics, tmp_path: Path) -> None:
    """`rolehawk ingest -` reads a pipe, says how it went on stderr, and exits with 3 if it must be strict."""
    records = [instance_call(n) for n in range(5)]
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in records) + b"no record\n"
    done = subprocess.run(
        command(topics, tmp_path, "-", "--strict"), input=lines, capture_output=True, env=environment(), check=False
    )
    assert done.returncode == 3
    assert done.stdout == b""
    assert b"sent        5 events of 1 file" in done.stderr
    assert b"record 6: cut off or no JSON" in done.stderr
    assert sorted(topics.written().ids) == sorted(each["eventID"] for each in records)


def test_a_simulated_organisation_goes_live_into_kafka(topics: Topics, tmp_path: Path) -> None:
    """`rolehawk simulate --live --kafka` writes what it would write as lines, and ends with a closing tick."""
    line = [sys.executable, "-m", "streams.cli", "simulate", "--events", "1500", "--days", "2", "--live", "100000"]
    lines = subprocess.run([*line, "--quiet"], env=environment(), capture_output=True, check=True).stdout.splitlines()
    into_kafka = [*line, "--kafka", topics.bootstrap, "--settings", str(topics.file(tmp_path))]
    done = subprocess.run(into_kafka, env=environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    written = topics.written()
    assert sorted(written.ids) == sorted(json.loads(each)["eventID"] for each in lines)
    assert len({at for _, at in written.ticks}) == 1
    assert len(written.ticks) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"),
        (["ftp://host/file"], "ftp://host/file: no source"),
        (["sqs://queue", "trail.json"], "stands alone"),
        (["trail.json", "--kafka", "127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    """What cannot be done is said in one line on stderr, with exit status 2."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "ingest", *arguments],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_kafka_named_says_how(tmp_path: Path) -> None:
    """Without an address anywhere it says where one may be given."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "ingest", "trail.json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "KAFKA_BOOTSTRAP_SERVERS" in done.stderr


@pytest.mark.long
def test_a_broker_that_comes_back_gets_everything(own_broker: Broker, unique: str, tmp_path: Path) -> None:
    """The broker is killed in the middle of an ingest and started again: every record arrives, and ingest ends well."""
    topics = Topics(own_broker.bootstrap, unique)
    count = 60_000
    with gzip.open(tmp_path / "trail.json.gz", "wb", compresslevel=1) as file:
        for n in range(count):
            file.write(msgspec.json.encode(instance_call(n / 60, requestParameters={"n": n})) + b"\n")
    process = subprocess.Popen(
        command(topics, tmp_path, tmp_path / "trail.json.gz"), env=environment(), stderr=subprocess.PIPE, text=True
    )
    give_up_at = time.monotonic() + DEADLINE_S
    while not _has_messages(topics):
        assert time.monotonic() < give_up_at
    own_broker.kill()
    time.sleep(2)  # so that sends fail and are tried again
    own_broker.start()
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    written = topics.written()
    assert len(set(written.ids)) == count
    assert len(written.ids) == count


def _has_messages(topics: Topics) -> bool:
    try:
        return bool(topics.written().messages)
    except ValueError:
        return False
