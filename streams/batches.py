"""Records on their way into Kafka: gathered by account, packed into messages, followed until Kafka has them.

A message holds records of one account in time order, as CloudTrail wrote them: gzip of ``{"Records": [...]}``, at most
MAX_RECORDS of them. None spans more event time than the stream waits for late events, so no message makes another's
events late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec
from isal import igzip
from msgspec import Struct

from models.event import Event
from models.trail import Batch, Rejected
from streams.kafka import MAX_MESSAGE_BYTES
from streams.rejected import message_of

MAX_RECORDS: Final = 500  # in a message: what the stream reads the fastest
MAX_RAW_BYTES: Final = 4 * 1024 * 1024  # of a message before gzip
MAX_GATHERED: Final = 20_000  # records of all accounts that wait for more of theirs
MAX_SPAN_S: Final = 600  # of event time in a message
MAX_ACCOUNT: Final = 64  # characters of an account id that a message's key has


class Receipt:
    """Follows what a source gave until Kafka has all of it, and then says so, once.

    A source that could not be read to its end is `fail`ed: then nothing is said, for it has to be read again.
    """

    def __init__(self, on_acknowledged: Callable[[Receipt], None]) -> None:
        self.newest_at: int | None = None  # time of the last event, seconds since 1970, UTC
        self._on_acknowledged = on_acknowledged
        self._on_the_way = 1  # the source itself, until it has been read

    def expect(self, events: int, newest_at: int | None = None) -> None:
        """Count what was read of the source."""
        self._on_the_way += events
        if newest_at is not None:
            self.newest_at = max(newest_at, self.newest_at or newest_at)

    def acknowledge(self, events: int = 1) -> None:
        """Count what Kafka has; called once more when the source has been read to its end."""
        self._on_the_way -= events
        if self._on_the_way == 0:
            self._on_acknowledged(self)

    def fail(self) -> None:
        """Let the source stay unacknowledged, whatever Kafka has of it."""
        self._on_acknowledged = lambda _receipt: None


OnRejected = Callable[[Rejected, Receipt | None], None]


class Original(Struct, gc=False):
    """A record as it was written, and what it is put in order by."""

    at: int  # seconds since 1970, UTC
    rank: int
    event_id: str
    account: str
    content: bytes
    receipt: Any = None  # Receipt | None: what it came with


class Message(NamedTuple):
    """What is written into Kafka at once."""

    key: bytes | None
    value: bytes
    records: int
    receipts: Counter[Receipt]  # how many records of which source it has
    partition: int | None = None
    is_rejected: bool = False


def originals(batch: Batch, receipt: Receipt | None, since: int | None = None) -> list[Original]:
    """Take the records out of a batch that was read with its contents, and expect them in the receipt."""
    taken = [
        _original(event, content, receipt)
        for event, content in zip(batch.events, batch.contents, strict=True)
        if since is None or event.at >= since
    ]
    if receipt is not None and taken:
        receipt.expect(len(taken), max(each.at for each in taken))
    return taken


def _original(event: Event, content: bytes, receipt: Receipt | None) -> Original:
    account = (event.account_id or "")[:MAX_ACCOUNT]
    return Original(event.at, event.rank, event.event_id, account, content, receipt)


class OriginalLines:
    """Records as lines of a file, for a sort that spills; what they came with stays behind."""

    _encode = msgspec.json.Encoder().encode
    _decode = msgspec.json.Decoder(Original).decode_lines

    def write(self, each: Original) -> bytes:
        """Write a record with its place."""
        each.receipt = None
        return self._encode(each)

    def read(self, lines: bytes) -> list[Original]:
        """Read records with their places."""
        return self._decode(lines)


class Gathering:
    """Gathers records that come in time order into messages, an account's each."""

    def __init__(self, max_span_s: int, on_rejected: OnRejected) -> None:
        self._max_span_s = min(max_span_s, MAX_SPAN_S)
        self._on_rejected = on_rejected
        self._waiting: dict[str, list[Original]] = {}
        self._raw_bytes: Counter[str] = Counter()
        self._count = 0
        self._oldest_at: int | None = None

    def add(self, records: Iterable[Original]) -> Iterator[Message]:
        """Take in records; gives the messages that are full, or that other accounts' events have run away from."""
        for record in records:
            if self._oldest_at is None:
                self._oldest_at = record.at
            elif abs(record.at - self._oldest_at) > self._max_span_s or self._count >= MAX_GATHERED:
                yield from self.rest()
                self._oldest_at = record.at
            account = record.account
            waiting = self._waiting.setdefault(account, [])
            waiting.append(record)
            self._count += 1
            self._raw_bytes[account] += len(record.content)
            if len(waiting) >= MAX_RECORDS or self._raw_bytes[account] >= MAX_RAW_BYTES:
                yield from self._packed(account)

    def rest(self) -> Iterator[Message]:
        """Give what is left, however little: the accounts whose events begin first come first."""
        for account in list(self._waiting):
            yield from self._packed(account)
        self._oldest_at = None

    def _packed(self, account: str) -> Iterator[Message]:
        records = self._waiting.pop(account)
        self._count -= len(records)
        del self._raw_bytes[account]
        yield from _pack(records, self._on_rejected)


def _pack(records: list[Original], on_rejected: OnRejected) -> Iterator[Message]:
    """Pack records of one account into a message, or into more where they do not fit into one."""
    value = igzip.compress(b'{"Records":[' + b",".join(each.content for each in records) + b"]}", 1, mtime=0)
    if len(value) <= MAX_MESSAGE_BYTES:
        receipts = Counter(each.receipt for each in records if each.receipt is not None)
        yield Message(records[0].account.encode("utf-8", "replace"), value, len(records), receipts)
    elif len(records) > 1:
        half = len(records) // 2
        yield from _pack(records[:half], on_rejected)
        yield from _pack(records[half:], on_rejected)
    else:
        (only,) = records
        reason = f"larger than a message of Kafka's, {MAX_MESSAGE_BYTES:,} bytes, even as gzip"
        on_rejected(Rejected(f"event {only.event_id}", 1, "", reason, only.content), only.receipt)


def rejection(rejected: Rejected, receipt: Receipt | None = None) -> Message:
    """Put down what was rejected, for the topic of its own: where it was, why, and its bytes, cut where they are many."""
    receipts = Counter({receipt: 1} if receipt is not None else {})
    return Message(None, message_of(rejected), 1, receipts, is_rejected=True)
