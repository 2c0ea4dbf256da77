"""The way from what was read into Kafka: counted, gathered by account, sent; what is wrong goes to the rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from models.settings import Settings
from models.trail import Batch, Rejected, TrailReader
from streams.batches import Gathering, Original, Receipt, originals, rejection
from streams.kafka import Cluster
from streams.sender import Sender
from streams.sources.aws import AwsError
from streams.sources.files import FileReader, OnBytes, Source
from streams.sources.s3 import Readable
from streams.topics import prepare_source

MAX_SAMPLES: Final = 5  # rejected records that the summary names
MAX_UNREAD: Final = 20  # objects one after the other that could not be read: then it is not the objects

OnCount = Callable[[str, int], None]


def unheard(*_: object) -> None:
    """Tell nobody."""


@dataclass
class Summary:
    """What was ingested, for the summary on stderr."""

    files: int = 0
    sent: int = 0
    rejected: int = 0
    digests: int = 0
    insights: int = 0
    others: int = 0  # files beside the trail that hold no JSON
    unread: int = 0  # objects that could not be read this time; they will be the next time
    deleted: int = 0  # messages of a queue
    last_at: int | None = None
    elapsed_s: float = 0.0
    samples: list[Rejected] = field(default_factory=list)


class Pipe:
    """One way into Kafka. ``on_count`` is told an outcome (sent, rejected, failed, left_out) and how many records or files.

    ``on_words`` is told what whoever waits should know, ``on_bytes`` of every stretch that was read.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: Settings,
        *,
        read_since: int | None = None,
        on_count: OnCount = unheard,
        on_words: Callable[[str], None] = unheard,
        on_bytes: OnBytes | None = None,
    ) -> None:
        stream = settings.stream
        prepare_source(cluster, stream)
        self.summary = Summary()
        self.sender = Sender(cluster, stream.topics, self._count, on_words)
        self._gathering = Gathering(stream.allowance_minutes * 60, self._reject)
        self._files = FileReader(on_bytes, with_contents=True)
        self._trail = TrailReader(with_contents=True)
        self._read_since = read_since
        self._on_count = on_count
        self._on_words = on_words
        self._unread = 0  # one after the other

    def read(
        self, source: Source, receipt: Receipt | None = None, opened: Readable | None = None
    ) -> Iterator[list[Original]]:
        """Read one file or object.

        One that S3 would not give leaves its receipt unacknowledged, to be read again another time. Raises AwsError
        where S3 gives nothing any more.
        """
        summary = self.summary
        for batch in self._files.read(source, opened):
            error = self._files.error
            if isinstance(error, AwsError) and not error.is_gone:
                self._leave(source, receipt, error)
                return
            yield self.take(batch, receipt)
        summary.files, summary.others = self._files.files - summary.unread, len(self._files.others)
        self._unread = 0
        if receipt is not None:
            receipt.acknowledge()

    def read_bytes(self, content: bytes, where: str) -> list[Original]:
        """Read what came otherwise than in a file."""
        return self.take(self._trail.read(content, where), None)

    def take(self, batch: Batch, receipt: Receipt | None) -> list[Original]:
        """Count a batch, pass on what could not be read, and give the records."""
        self.summary.digests += batch.digests
        self.summary.insights += batch.insights
        if left_out := batch.digests + batch.insights:
            self._on_count("left_out", left_out)
        for rejected in batch.rejected:
            self.reject(rejected, receipt)
        return originals(batch, receipt, self._read_since)

    def pass_on(self, records: list[Original]) -> None:
        """Send records, which are in time order; some wait for more of their account's."""
        for message in self._gathering.add(records):
            self.sender.send(message)
        if records:
            self.summary.last_at = max(self.summary.last_at or 0, records[-1].at)

    def send_rest(self) -> None:
        """Send what waits for more."""
        for message in self._gathering.rest():
            self.sender.send(message)

    def reject(self, rejected: Rejected, receipt: Receipt | None = None) -> None:
        """Write what could not be read into its own topic."""
        if receipt is not None:
            receipt.expect(1)
        self._reject(rejected, receipt)

    def _reject(self, rejected: Rejected, receipt: Receipt | None) -> None:
        if len(self.summary.samples) < MAX_SAMPLES:
            self.summary.samples.append(rejected)
        self.sender.send(rejection(rejected, receipt))

    def _leave(self, source: Source, receipt: Receipt | None, error: AwsError) -> None:
        """Leave an object for another time."""
        if receipt is not None:
            receipt.fail()
        self.summary.unread += 1
        self._unread += 1
        self._on_count("failed", 1)
        self._on_words(f"{source.name}: {error}; left for another time")
        if self._unread == MAX_UNREAD:
            raise AwsError(
                f"{MAX_UNREAD} objects one after the other could not be read, the last one {source.name}: {error}"
            )

    def _count(self, outcome: str, records: int) -> None:
        if outcome == "sent":
            self.summary.sent += records
        else:
            self.summary.rejected += records
        self._on_count(outcome, records)
