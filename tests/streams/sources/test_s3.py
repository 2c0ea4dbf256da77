"""Trails in a bucket, over real HTTP: listed, read as they stream, and every error in one line."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import gzip
import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, ClassVar

import boto3
import msgspec
import pytest

from models.record import epoch
from models.settings import Settings
from streams.replay import replay
from streams.sources import s3
from streams.sources.files import FileReader, Source, begins_at, find
from tests.conftest import SECRET
from tests.records import ACCOUNT, instance_call, record, role

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ROOT = Path(__file__).parents[3]
DAY = f"AWSLogs/{ACCOUNT}/CloudTrail/eu-west-1/2024/05/01"
RECORDS = [
    *(instance_call(n) for n in range(5)),
    record("ListBuckets", role("web", "visitor"), 60, sessionCredentialFromConsole="true"),
]


def log_name(minute: int, unique: str = "abcdefghijklmnop") -> str:
    """Name a log file as CloudTrail does."""
    return f"{DAY}/{ACCOUNT}_CloudTrail_eu-west-1_20240501T09{minute:02}Z_{unique}.json.gz"


@pytest.fixture
def bucket(aws: str) -> S3Client:
    """Give a client of an AWS that has the bucket ``trail``."""
    client = boto3.client("s3", endpoint_url=aws)
    client.create_bucket(Bucket="trail", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return client


def put(client: S3Client, key: str, *records: object) -> None:
    """Store a log file."""
    client.put_object(Bucket="trail", Key=key, Body=gzip.compress(json.dumps({"Records": records}).encode()))


def test_objects_are_listed_over_pages(bucket: S3Client) -> None:
    """Objects are listed over several pages; digests, Insights and folders are not."""
    for number in range(7):
        bucket.put_object(Bucket="trail", Key=f"{DAY}/{number:04}.json", Body=b"{}")
    for key in (
        f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/eu-west-1/2024/05/01/digest.json.gz",
        f"AWSLogs/{ACCOUNT}/CloudTrail-Insight/eu-west-1/2024/05/01/insight.json.gz",
        f"{DAY}/",
    ):
        bucket.put_object(Bucket="trail", Key=key, Body=b"{}")
    keys = [each.key for each in s3.listed("s3://trail/AWSLogs", page=3)]
    assert keys == [f"{DAY}/{number:04}.json" for number in range(7)]
    assert [each.name for each in find(["s3://trail/AWSLogs"])[0]] == [f"s3://trail/{key}" for key in keys]


def test_a_file_says_in_its_name_when_it_begins(bucket: S3Client) -> None:
    """Delivered at the time in its name, up to 45 minutes after the event; another name goes by when it was stored."""
    put(bucket, log_name(50))
    put(bucket, f"{DAY}/other.json.gz")
    named, other = (begins_at(source) for source in find([f"s3://trail/{DAY}"])[0])
    assert named == epoch("2024-05-01T09:05:00Z")
    assert other is not None
    assert other > epoch("2025-01-01T00:00:00Z")
    assert s3.delivered_at("1_CloudTrail_eu-west-1_20249901T0950Z_a.json.gz") is None


def test_a_bucket_is_replayed_as_a_folder_is(bucket: S3Client, tmp_path: Path) -> None:
    """The same log files in a bucket and in a folder give the same findings."""
    for number, each in enumerate(RECORDS):
        put(bucket, log_name(number), each)
        (tmp_path / f"{number}.json").write_bytes(msgspec.json.encode({"Records": [each]}))
    stored, local = replay(["s3://trail/AWSLogs"], Settings()), replay([str(tmp_path)], Settings())
    assert [each.detector for each in stored.findings] == ["machine-role-console"]
    assert stored.findings == local.findings
    assert stored.summary.events == len(RECORDS)


class Breaking(BaseHTTPRequestHandler):
    """Serves one object, and closes the connection after a part of it unless it is asked for the rest."""

    content = b"".join(msgspec.json.encode(instance_call(n)) + b"\n" for n in range(3_000))
    ranges: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        """Answer with all that was asked for, or break off."""
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        rest = self.content[begin:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", '"one"')
        self.end_headers()
        self.wfile.write(rest[:500_000] if len(self.ranges) < 3 else rest)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("aws")
def test_a_broken_connection_is_read_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the connection breaks off inside an object, it goes on from there."""
    Breaking.ranges.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        source = Source("s3://trail/lines.json", True, len(Breaking.content))
        batches = list(FileReader().read(source))
        server.shutdown()
    assert sum(len(batch.events) for batch in batches) == 3_000
    assert not any(batch.rejected for batch in batches)
    assert len(Breaking.ranges) == 3
    assert all(Breaking.ranges[1:])


@pytest.mark.parametrize(
    ("path", "words"),
    [("s3://nowhere/AWSLogs", "s3://nowhere/AWSLogs: no such bucket"), ("s3:///AWSLogs", "no bucket is named")],
)
@pytest.mark.usefixtures("aws")
def test_what_cannot_be_listed_is_named(tmp_path: Path, path: str, words: str) -> None:
    """A bucket that is not there is one clear line and exit status 2, without a credential."""
    done = rolehawk("replay", path, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr.replace(", record 0", "")
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_object_that_is_gone_is_named(bucket: S3Client) -> None:
    """An object that was deleted between listing and reading is rejected by name."""
    put(bucket, log_name(1), RECORDS[0])
    (source,) = find(["s3://trail/"])[0]
    bucket.delete_object(Bucket="trail", Key=log_name(1))
    (batch,) = FileReader().read(source)
    assert [(each.file, each.reason.partition(";")[0]) for each in batch.rejected] == [
        (source.name, "could not be read: no such object")
    ]


def rolehawk(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run rolehawk in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
