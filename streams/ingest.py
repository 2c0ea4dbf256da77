"""Ingest: trails into Kafka, from files, a bucket, a queue that tells of new log files, or LookupEvents.

Records are passed on as they were written, an account's in time order as far as they have come. A source is done with
(a message of the queue deleted, an object ticked off, a slice of time noted) only after Kafka acknowledged all that it
held: killed at any moment nothing is lost, and what was on its way is sent again. What cannot be read is named, counted
and written into a topic of its own; it stops nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event as Flag
from typing import Final

from models.event import in_order
from models.record import iso
from models.settings import Settings
from models.trail import Rejected
from streams.batches import Original, OriginalLines, Receipt
from streams.checkpoint import Checkpoint, default_folder
from streams.kafka import Cluster
from streams.order import Merge, SpillSort
from streams.pipe import OnCount, Pipe, Summary, unheard
from streams.sources import lookup, s3, sqs
from streams.sources.aws import AwsError
from streams.sources.files import OnBytes, Source, find
from streams.sources.sqs import Notice, NoticeError, Queue, objects_in

MAX_ROUND: Final = 20_000  # records that a queue told of which are put in order together


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be ingested, and who is told how it goes."""

    sources: tuple[str, ...]
    settings: Settings
    cluster: Cluster
    state: Path | None = None  # the folder of the checkpoint
    read_since: int | None = None  # seconds since 1970, UTC
    stopping: Flag = field(default_factory=Flag)  # a queue is read until it is set
    on_count: OnCount = unheard  # see `streams.pipe.Pipe`
    on_words: Callable[[str], None] = unheard
    on_bytes: OnBytes | None = None
    on_total: OnBytes = unheard  # how many bytes are to be read, once that is known


def ingest(request: Request) -> Summary:
    """Bring all of the sources into Kafka, one after the other, files together.

    What ends by itself ends with a closing tick. Raises KafkaUnusableError, AwsError, CheckpointError.
    """
    began_s = time.monotonic()
    pipe = Pipe(
        request.cluster,
        request.settings,
        read_since=request.read_since,
        on_count=request.on_count,
        on_words=request.on_words,
        on_bytes=request.on_bytes,
    )
    try:
        if files := [each for each in request.sources if "://" not in each]:
            _from_files(pipe, files)
        for source in request.sources:
            try:
                _from_aws(pipe, request, source)
            except AwsError as error:
                raise AwsError(f"{source}: {error}") from None
        pipe.sender.flush()
        is_complete = not (pipe.summary.unread or request.stopping.is_set())
        if pipe.summary.last_at is not None and is_complete:
            pipe.sender.tick(pipe.summary.last_at)
    finally:
        pipe.sender.close()
    pipe.summary.elapsed_s = time.monotonic() - began_s
    return pipe.summary


def _from_files(pipe: Pipe, paths: list[str]) -> None:
    """Read files, and put all their events in order before the first is sent."""
    sources, missing = find(paths)
    for each in missing:
        pipe.reject(Rejected(each.name, 0, "", each.reason, b""))
    with SpillSort(OriginalLines()) as spill:
        for source in sources:
            for records in pipe.read(source):
                spill.add(records)
        for records in spill.batches():
            pipe.pass_on(records)
    pipe.send_rest()


def _from_aws(pipe: Pipe, request: Request, source: str) -> None:
    if source.startswith(s3.SCHEME):
        _from_bucket(pipe, request, source)
    elif source.startswith(lookup.SCHEME):
        _from_lookup(pipe, request, source)
    elif source.startswith(sqs.SCHEME):
        _from_queue(pipe, request, Queue(source))


def _from_bucket(pipe: Pipe, request: Request, url: str) -> None:
    """Read the objects under a prefix that Kafka does not have yet, in the order of their delivery."""
    with _checkpoint(request, url) as checkpoint:
        checkpoint.list(s3.listed(url))
        count, size = checkpoint.to_read()
        request.on_words(f"{url}: {count:,} log files to read; how far it has come is kept in {checkpoint.file}")
        request.on_total(size)
        merge: Merge[Original] = Merge(strict=False)
        for each, opened in s3.fetched(checkpoint.objects()):
            for records in merge.released(each.delivered_at or 0):
                pipe.pass_on(records)
            receipt = Receipt(partial(_tick_off, checkpoint, each.key))
            for records in pipe.read(Source(each.url, is_named=False, size=each.size), receipt, opened):
                merge.add(records)
        for records in merge.rest():
            pipe.pass_on(records)
        pipe.send_rest()
        pipe.sender.flush()
        if (newest_at := checkpoint.newest_at()) is not None:  # of an earlier run, perhaps
            pipe.summary.last_at = max(newest_at, pipe.summary.last_at or 0)


def _tick_off(checkpoint: Checkpoint, key: str, receipt: Receipt) -> None:
    checkpoint.tick_off(key, receipt.newest_at)


def _from_lookup(pipe: Pipe, request: Request, where: str) -> None:
    """Look up events, a slice of time after the other, from where it ended the last time."""
    looking = lookup.Lookup(where)
    now_at = int(time.time())
    with _checkpoint(request, where) as checkpoint:
        begins_at = now_at - lookup.KEPT_S
        if (until_at := checkpoint.looked_up_until()) is not None:
            begins_at = max(begins_at, until_at - lookup.LATE_S)
        begins_at = max(begins_at, request.read_since or 0)
        request.on_words(f"{where}: from {iso(begins_at)} on; how far it has come is kept in {checkpoint.file}")
        for from_at, until_at in lookup.slices(begins_at, now_at):
            with SpillSort(OriginalLines()) as spill:
                for page in looking.pages(from_at, until_at):
                    spill.add(pipe.read_bytes(page, where))
                for records in spill.batches():
                    pipe.pass_on(records)
            pipe.send_rest()
            pipe.sender.flush()
            checkpoint.look_up_on_from(until_at)


def _from_queue(pipe: Pipe, request: Request, queue: Queue) -> None:
    """Read what a queue tells of until told to stop; a message is deleted when Kafka has all that it tells of."""
    done: list[str] = []  # receipt handles

    def delete() -> None:
        handles = done.copy()
        done.clear()
        pipe.summary.deleted += len(handles) - queue.delete(handles)

    request.on_words(f"{queue.url}: waiting for log files; Ctrl-C stops it")
    while not request.stopping.is_set():
        gathered: list[Original] = []
        for notice in queue.receive():
            receipt = Receipt(partial(_append, done, notice.receipt_handle))
            for source in _sources_in(pipe, notice, receipt):
                receipt.expect(1)
                for records in pipe.read(source, receipt):
                    gathered += records
                    if len(gathered) >= MAX_ROUND:
                        _send_round(pipe, gathered)
            receipt.acknowledge()
        _send_round(pipe, gathered)
        pipe.sender.settle()
        delete()
    pipe.sender.flush()
    delete()


def _append(done: list[str], handle: str, _receipt: Receipt) -> None:
    done.append(handle)


def _sources_in(pipe: Pipe, notice: Notice, receipt: Receipt) -> list[Source]:
    try:
        return [Source(each.url, is_named=False, size=each.size) for each in objects_in(notice.body)]
    except NoticeError as error:
        pipe.reject(Rejected(f"message {notice.message_id}", 0, "", str(error), notice.body.encode()), receipt)
        return []


def _send_round(pipe: Pipe, gathered: list[Original]) -> None:
    pipe.pass_on(sorted(gathered, key=in_order))
    pipe.send_rest()
    gathered.clear()


def _checkpoint(request: Request, source: str) -> Checkpoint:
    """Open the checkpoint of a source on its way into this topic of this cluster."""
    topic, brokers = request.settings.stream.topics.cloudtrail, ",".join(sorted(request.cluster.bootstrap))
    return Checkpoint(request.state or default_folder(), f"{source} {topic} {brokers}")
