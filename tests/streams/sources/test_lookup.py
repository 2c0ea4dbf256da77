"""LookupEvents over real HTTP: paged, no faster than AWS allows, and gone on from where it ended."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from models.record import iso
from streams.sources.aws import AwsError
from streams.sources.lookup import Lookup, slices
from tests.records import Json, instance_call
from tests.streams.test_ingest import run
from tests.streams.topics import Topics

PAGE = 3  # events that this AWS gives at once
NOW = int(time.time())


class CloudTrail(BaseHTTPRequestHandler):
    """Answers LookupEvents as AWS does: the newest first, a page at a time."""

    events: ClassVar[list[Json]] = []
    asked: ClassVar[list[Json]] = []

    def do_POST(self) -> None:
        """Answer one call."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({**asked, "region": self.headers["Authorization"].split("/")[2]})
        if self.headers["X-Amz-Target"].endswith("LookupEvents") and not self.events:
            self.answer(400, {"__type": "AccessDeniedException", "message": "not allowed"})
            return
        within = [each for each in self.events if iso(asked["StartTime"]) <= each["eventTime"] <= iso(asked["EndTime"])]
        within.sort(key=lambda each: str(each["eventTime"]), reverse=True)
        begin = int(asked.get("NextToken", 0))
        page = within[begin : begin + PAGE]
        found: Json = {"Events": [{"EventId": each["eventID"], "CloudTrailEvent": json.dumps(each)} for each in page]}
        if begin + PAGE < len(within):
            found["NextToken"] = str(begin + PAGE)
        self.answer(200, found)

    def answer(self, status: int, value: Json) -> None:
        """Write an answer."""
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cloudtrail(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[CloudTrail]]:
    """Give a CloudTrail without events, instead of moto's, which has no LookupEvents."""
    CloudTrail.events.clear()
    CloudTrail.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), CloudTrail) as server:
        Thread(target=server.serve_forever).start()
        assert aws
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield CloudTrail
        server.shutdown()


def event(seconds_ago: int) -> Json:
    """Make an event of so many seconds ago."""
    return {**instance_call(seconds_ago), "eventTime": iso(NOW - seconds_ago)}


def test_events_are_ingested_and_gone_on_from(cloudtrail: type[CloudTrail], topics: Topics, tmp_path: Path) -> None:
    """All events arrive in time order; the next run asks only for what may have come since."""
    cloudtrail.events += [event(ago) for ago in range(600, 5_400, 400)]
    first = run(topics, "lookup://us-east-1", state=tmp_path, read_since=NOW - 7_000)
    times = [each["eventTime"] for each in topics.written().records]
    assert times == sorted(each["eventTime"] for each in cloudtrail.events)
    assert first.sent == len(cloudtrail.events)
    assert {each["region"] for each in cloudtrail.asked} == {"us-east-1"}
    calls = len(cloudtrail.asked)
    assert calls > len(cloudtrail.events) / PAGE
    assert first.elapsed_s >= (calls - 1) / 2 - 0.1
    cloudtrail.asked.clear()
    run(topics, "lookup://us-east-1", state=tmp_path)
    assert min(each["StartTime"] for each in cloudtrail.asked) >= NOW - 3_600
    assert {each["eventID"] for each in topics.written().records} == {each["eventID"] for each in cloudtrail.events}


def test_two_calls_a_second() -> None:
    """No call comes earlier than half a second after the one before."""
    now_s, slept = 0.0, []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        slept.append(seconds)

    lookup = Lookup("lookup://", lambda: now_s, sleep)
    for _ in range(5):
        lookup._wait()  # noqa: SLF001 - what is under test is the pace alone
    assert slept == [0.5] * 4


def test_slices_cover_the_span() -> None:
    """Slices follow one another without a gap, the last one cut short."""
    found = list(slices(100, 9_000))
    assert found[0][0] == 100
    assert found[-1][1] == 9_000
    assert all(one[1] == next_one[0] for one, next_one in pairwise(found))


def test_access_denied_is_one_line(cloudtrail: type[CloudTrail]) -> None:
    """Whoever may not look up events is told so."""
    assert not cloudtrail.events
    with pytest.raises(AwsError, match="access denied"):
        next(Lookup("lookup://").pages(NOW - 10, NOW))
