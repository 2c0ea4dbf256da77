"""Filing: events of the source go to the shards of those whom they concern, many in one message.

A shard is a partition of the filed topic. What concerns an entity goes to the entity's shard, what concerns an account
to the account's; an event that concerns two entities is filed twice. Records are written lean: with the fields that are
read, and parameters only where a detector asks for them. Each message says how far its source partition has come.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
from isal import isal_zlib
from msgspec import Struct

from models.desks.grants import MAX_ACCOUNTS, account_of
from models.desks.pair import Desks
from models.event import Event
from models.reader import EventReader
from models.record import decode_lines, encode
from models.trail import Batch, TrailReader

MAX_ROWS: Final = 500  # events of one filed message
MAX_BYTES: Final = 1_000_000  # of its records before compression; one record may be larger
MAX_KNOWN: Final = 65_536  # entities whose shard is remembered; a full memory starts over
QUIET_S: Final = 60.0  # in which nothing came of it, and an account no longer holds the others' time back
STEP_S: Final = 10.0  # that count at most between two messages: Kafka, ingest or this machine stood still
NEVER: Final = 1 << 62
ID_BYTES: Final = 8
_LEVEL: Final = 1  # of compression: a quarter of the bytes for 1 µs an event


class FiledError(ValueError):
    """A message of the filed or the drafts topic that no version of this program wrote."""


class Filed(Struct, array_like=True, frozen=True):
    """What one message of the filed topic holds; without records it is a tick, which tells the time alone."""

    source: int  # partition of the source topic
    watermark: int  # events older than this are no longer expected from there: seconds since 1970
    is_idle: bool  # nothing has come from there for a while
    coverage_since: int  # the oldest event from there
    accounts: tuple[str, ...] = ()  # accounts that events were delivered to, where not yet said
    ids: bytes = b""  # ID_BYTES for each event: a hash of its id
    hows: bytes = b""  # one byte for each event: as what it is filed here (models.desks.pair)
    records: bytes = b""  # one JSON line for each event, compressed
    sources: int = 0  # how many partitions the source topic has

    @property
    def hashes(self) -> memoryview:
        """The hashes of the events' ids, as numbers."""
        return memoryview(self.ids).cast("Q")

    def events(self, reader: EventReader) -> list[Event]:
        """Read the events; raises FiledError."""
        if not self.records:
            return []
        try:
            return reader.read_all(decode_lines(isal_zlib.decompress(self.records)))
        except (isal_zlib.IsalError, msgspec.MsgspecError, ValueError) as error:  # type: ignore[misc]  # typed as an instance
            raise FiledError(f"records cannot be read: {error}") from None


encode_filed = msgspec.msgpack.Encoder().encode
_decode_filed = msgspec.msgpack.Decoder(Filed).decode


def decode_filed(data: bytes) -> Filed:
    """Read a message of the filed topic; raises FiledError."""
    try:
        filed = _decode_filed(data)
    except msgspec.MsgspecError as error:
        raise FiledError(f"no filed batch: {error}") from None
    if len(filed.ids) != ID_BYTES * len(filed.hows):
        raise FiledError("no filed batch: as many ids as events are needed")
    return filed


def idle_tick(source: int, sources: int) -> bytes:
    """Write a tick of a source partition that holds nothing, so that nobody waits for it."""
    return encode_filed(Filed(source, -NEVER, is_idle=True, coverage_since=NEVER, sources=sources))


def shard_of(key: str, shards: int) -> int:
    """Say in which shard an entity or account is kept: the same on every machine, for good."""
    return crc32(key.encode("utf-8", "surrogatepass")) % shards


class Unfiled(NamedTuple):
    """An event that is filed nowhere: it concerns nobody, or filing it failed."""

    event: Event
    error: str | None


class Pile:
    """Events of one shard that wait to be sent together."""

    def __init__(self) -> None:
        self.ids: list[bytes] = []
        self.hows = bytearray()
        self.records: list[bytes] = []
        self.size = 0

    def add(self, event_id: bytes, how: int, record: bytes) -> None:
        """Put an event on the pile."""
        self.ids.append(event_id)
        self.hows.append(how)
        self.records.append(record)
        self.size += len(record)

    @property
    def is_full(self) -> bool:
        """Whether it makes a message."""
        return len(self.hows) >= MAX_ROWS or self.size >= MAX_BYTES


class Filer:
    """Files what one partition of the source holds.

    State: piles that are not yet sent, and how far each account has come. Nothing of it needs to be kept: the source
    is acknowledged only after Kafka has what was filed.
    """

    def __init__(self, source: int, shards: int, desks: Desks, allowance_s: int, *, sources: int = 1) -> None:
        self.source = source
        self._sources = sources
        self._arrived_at: float | None = None  # up to when all that was written into Kafka is read
        self._waited_s = 0.0  # for so long events could have come
        self._newest: dict[str, int] = {}  # account -> time of its newest event; at most MAX_ACCOUNTS
        self._heard_at_s: dict[str, float] = {}  # account -> how long had been waited when its last event came
        self._last_at_s = 0.0  # the same of all
        self._closed_at = -NEVER
        self.coverage_since = NEVER
        self._desks = desks  # says where an event belongs; observes none
        self._allowance_s = allowance_s
        self._shards = shards
        self._reader = TrailReader(desks.asked_for)
        self._piles: list[Pile] = [Pile() for _ in range(shards)]
        self._full: list[tuple[int, bytes]] = []
        self._recipients: list[str] = []  # accounts that events were delivered to
        self._told = [0] * shards  # how many of the accounts each shard has been told
        self._shard_of: dict[str, int] = {}

    @property
    def watermark(self) -> int:
        """Up to when nothing more is expected: of the account that lags, of those that sent something lately.

        Accounts drift apart by days where history is read. For a while after the start it is not known which do. An
        event, or a closing tick, that is dated later than it came makes it no later than that.
        """
        until = self._closed_at
        if self._newest and self._waited_s >= QUIET_S:
            quiet_since_s = self._waited_s - QUIET_S
            active = [at for account, at in self._newest.items() if self._heard_at_s[account] > quiet_since_s]
            at = min(active) if active else max(self._newest.values())
            until = max(at - self._allowance_s, until)
        return until if self._arrived_at is None else min(until, int(self._arrived_at))

    @property
    def is_idle(self) -> bool:
        """Whether nothing has come for a while."""
        return self._waited_s - self._last_at_s >= QUIET_S

    def wait(self, until: float) -> None:
        """Learn that all was read that had been written into Kafka by a time, in seconds since 1970.

        That is what quiet is measured by: how fast we read, or that we could not, makes nobody quiet.
        """
        if self._arrived_at is None:
            self._arrived_at = until
        elif until > self._arrived_at:
            self._waited_s += min(until - self._arrived_at, STEP_S)
            self._arrived_at = until

    def read(self, data: bytes, where: str, first: int = 1) -> Batch:
        """Read a piece of a message of the source; what cannot be read is in the batch, with its place."""
        return self._reader.read(data, where, first)

    def file(self, events: Iterable[Event]) -> list[Unfiled]:
        """Put events on the piles of those whom they concern; gives those that are on none."""
        unfiled = []
        self._last_at_s = self._waited_s
        for event in events:
            try:
                is_filed = self._file(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next event is filed
                unfiled.append(Unfiled(event, f"{type(error).__name__}: {error}"))
            else:
                if not is_filed:
                    unfiled.append(Unfiled(event, None))
        return unfiled

    def _file(self, event: Event) -> bool:
        self.coverage_since = min(self.coverage_since, event.at)
        account = account_of(event)
        known_at = self._newest.get(account)
        if known_at is not None or len(self._newest) < MAX_ACCOUNTS:
            if known_at is None or event.at > known_at:
                self._newest[account] = event.at
            self._heard_at_s[account] = self._waited_s
            if known_at is None and event.caller.recipient_account_id is not None:
                self._recipients.append(account)
        hows: dict[int, int] = {}
        for key, how in self._desks.places_of(event):
            shard = self._shard_of.get(key)
            if shard is None:
                shard = self._learn_shard(key)
            hows[shard] = hows.get(shard, 0) | how
        if not hows:
            return False
        event_id = blake2b(f"{event.event_id} {event.at}".encode("utf-8", "replace"), digest_size=ID_BYTES).digest()
        record = encode(event.record)
        for shard, how in hows.items():
            self._piles[shard].add(event_id, how, record)
            if self._piles[shard].is_full:
                self._full.append((shard, self.message(shard)))
        return True

    def close(self, at: int) -> None:
        """Learn that all events up to a time have come."""
        self._closed_at = max(self._closed_at, at)
        self._last_at_s = self._waited_s

    def full(self) -> list[tuple[int, bytes]]:
        """Give the messages of full piles, each with its shard, in their order."""
        full, self._full = self._full, []
        return full

    def piled(self) -> list[int]:
        """List the shards that have anything on their piles."""
        return [shard for shard, pile in enumerate(self._piles) if pile.hows]

    def message(self, shard: int) -> bytes:
        """Write what lies on a shard's pile, or a tick where nothing does."""
        pile = self._piles[shard]
        accounts = tuple(self._recipients[self._told[shard] :])
        self._told[shard] = len(self._recipients)
        filed = Filed(self.source, self.watermark, self.is_idle, self.coverage_since, accounts, sources=self._sources)
        if pile.hows:
            lines = isal_zlib.compress(b"\n".join(pile.records), _LEVEL)
            filed = msgspec.structs.replace(filed, ids=b"".join(pile.ids), hows=bytes(pile.hows), records=lines)
            self._piles[shard] = Pile()
        return encode_filed(filed)

    def _learn_shard(self, key: str) -> int:
        if len(self._shard_of) >= MAX_KNOWN:
            self._shard_of.clear()
        shard = self._shard_of[key] = shard_of(key, self._shards)
        return shard
