"""How events arrive: a few minutes late, some 45, a few of them twice; put into files as an organisation's trail has them.

CloudTrail delivers "within an average of about 5 minutes" (AWS CloudTrail user guide); the worst seen is 45.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from pathlib import Path
from random import Random
from typing import Final, NamedTuple, Protocol

from isal import igzip

from models.record import iso
from streams.sources.simulated.callers import Made, Stream
from streams.sources.simulated.organisation import DAY, HOUR, MINUTE, Organisation, Plan
from streams.sources.simulated.shapes import log_path

DUPLICATES: Final = 0.005  # share of events delivered twice
LATE: Final = 0.004  # share of events delivered 15 to 45 minutes late
MEAN_S, EARLIEST_S, ON_TIME_S, LATEST_S = 290, 40, 15 * MINUTE, 45 * MINUTE
RECORDS_PER_FILE: Final = 5_000  # at most
RECORDS_WANTED: Final = 60  # in a file, on average: a window as long as that takes
WINDOWS_S: Final = (5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY)


class Arrival(NamedTuple):
    """One record as it arrives."""

    at: int  # seconds since 1970, UTC
    stream: Stream
    text: str


class Sink(Protocol):
    """Where arriving records go: a folder, a terminal, a topic."""

    def take(self, arrival: Arrival) -> None:
        """Take one record; they come in the order of their arrival."""

    def close(self) -> None:
        """Take it that there are no more."""


def deliver(made: Iterable[Made], rng: Random) -> Iterator[Arrival]:
    """Put events in the order of their arrival; memory holds what is on its way, 45 minutes of events at most."""
    on_the_way: list[tuple[int, int, Arrival]] = []
    sent = 0
    random, push, pop = rng.random, heapq.heappush, heapq.heappop
    for at, stream, _event_id, text, _who in made:
        for _ in range(2 if random() < DUPLICATES else 1):
            if random() < LATE:
                late_s = ON_TIME_S + random() * (LATEST_S - ON_TIME_S)
            else:
                late_s = min(ON_TIME_S, EARLIEST_S + rng.expovariate(1 / (MEAN_S - EARLIEST_S)))
            arrived_at = at + int(late_s)
            push(on_the_way, (arrived_at, sent, Arrival(arrived_at, stream, text)))
            sent += 1
        while on_the_way[0][0] <= at:
            yield pop(on_the_way)[2]
    while on_the_way:
        yield pop(on_the_way)[2]


class Folder:
    """Writes files as CloudTrail delivers them: one series for each account and region, closed by size or by time."""

    def __init__(self, folder: Path, organisation: Organisation, *, digests: bool = False) -> None:
        self._folder = folder
        self._organisation = organisation
        self._window_s = window_s(organisation.plan, len(organisation.regions))
        self._waiting: dict[Stream, list[str]] = {}
        self._digests: dict[Stream, list[dict[str, str]]] | None = {} if digests else None
        self._close_at = -inf
        self._made: set[Path] = set()
        self.files = self.records = self.raw_bytes = self.stored_bytes = 0

    def take(self, arrival: Arrival) -> None:
        """Put a record into the file of its account and region."""
        if arrival.at >= self._close_at:
            self._close_all(int(self._close_at) if self._close_at > 0 else arrival.at)
            self._close_at = (arrival.at // self._window_s + 1) * self._window_s
        waiting = self._waiting.setdefault(arrival.stream, [])
        waiting.append(arrival.text)
        if len(waiting) >= RECORDS_PER_FILE:
            self._write(arrival.stream, arrival.at, self._waiting.pop(arrival.stream))

    def close(self) -> None:
        """Write what is left."""
        self._close_all(int(self._close_at) if self._close_at > 0 else 0)
        self._write_digests(self._organisation.plan.end_at + HOUR)

    def _close_all(self, at: int) -> None:
        for stream, records in sorted(self._waiting.items()):
            self._write(stream, at, records)
        self._waiting.clear()

    def _write(self, stream: Stream, at: int, records: list[str]) -> None:
        raw = f'{{"Records":[{",".join(records)}]}}'.encode()
        stored = igzip.compress(raw, compresslevel=2, mtime=0)
        unique = sha256(f"{self._organisation.plan.seed}/{self.files}".encode()).hexdigest()[:16]
        path = log_path(stream.account, stream.region, at, unique, self._organisation.id)
        self._store(path, stored)
        self.files += 1
        self.records += len(records)
        self.raw_bytes += len(raw)
        self.stored_bytes += len(stored)
        if self._digests is not None:
            self._digests.setdefault(stream, []).append(
                {
                    "s3Bucket": f"example-trail-{self._organisation.management.id}",
                    "s3Object": path,
                    "hashValue": sha256(raw).hexdigest(),
                    "hashAlgorithm": "SHA-256",
                    "newestEventTime": iso(at),
                    "oldestEventTime": iso(at - self._window_s),
                }
            )
            if len(self._digests[stream]) >= RECORDS_PER_FILE:
                self._write_digests(at)

    def _write_digests(self, at: int) -> None:
        """Write a digest of each series beside the logs, which whoever reads trails must pass over."""
        for stream, files in sorted((self._digests or {}).items()):
            when = datetime.fromtimestamp(at, UTC)
            digest = {
                "awsAccountId": stream.account,
                "digestEndTime": iso(at),
                "digestSignatureAlgorithm": "SHA256withRSA",
                "previousDigestSignature": None,
                "logFiles": files,
            }
            path = (
                f"AWSLogs/{self._organisation.id}/{stream.account}/CloudTrail-Digest/{stream.region}/{when:%Y/%m/%d}/"
                f"{stream.account}_CloudTrail-Digest_{stream.region}_trail_{stream.region}_{when:%Y%m%dT%H%M%SZ}.json.gz"
            )
            self._store(path, igzip.compress(json.dumps(digest).encode(), compresslevel=2, mtime=0))
        if self._digests is not None:
            self._digests.clear()

    def _store(self, path: str, content: bytes) -> None:
        target = self._folder / path
        if target.parent not in self._made:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        target.write_bytes(content)


def window_s(plan: Plan, regions: int) -> int:
    """Say for how long a file is kept open: 5 minutes as in life, longer where a file would hold next to nothing."""
    streams = plan.accounts * regions
    for window in WINDOWS_S:
        if plan.events * window / (plan.days * DAY) / streams >= RECORDS_WANTED:
            return window
    return WINDOWS_S[-1]
