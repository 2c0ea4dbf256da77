"""What one partition of the stream knows, and what it makes of a message: a shard's two desks, and the incidents desk.

Both are functions over their state, as in a replay: a message in, messages out. They touch no Kafka; `streams/keeper.py`
feeds them, sends what they yield, and stores their rows. An offset that was applied is never applied again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from isal import isal_zlib
from msgspec import Struct

from models.behaviour.learned import Learned
from models.behaviour.profile import Profile
from models.desks.incidents import IncidentsDesk
from models.desks.pair import Desks
from models.desks.tray import Fault, Tray
from models.detector import Rule
from models.event import Event
from models.finding import Finding
from models.reader import EventReader
from models.rows import Row, RowKind, StateVersionError, by_kind
from models.settings import Context
from streams.filing import NEVER, FiledError, decode_filed
from streams.rejected import message_of

DAY_S: Final = 86_400
MIN_REMEMBERED: Final = 200_000  # events in a row of which copies are dropped
MIN_REMEMBERED_S: Final = 3_600  # and of so much event time, whichever is more
MAX_DRAFTS: Final = 200  # of one message of the drafts topic

Outgoing = tuple[str, bytes | None, bytes]  # topic by its role, key, value


class Handed(Struct, array_like=True, frozen=True):
    """What a shard hands on to the incidents desk of one filed message, or a part of it."""

    shard: int
    offset: int  # of the filed message
    part: int  # of several, from 0
    now: int  # until when the shard has seen all that is expected; -NEVER while it knows nothing
    tray: Tray


_encode = msgspec.msgpack.Encoder().encode
_decode_handed = msgspec.msgpack.Decoder(Handed).decode


def decode_handed(data: bytes) -> Handed:
    """Read a message of the drafts topic; raises FiledError."""
    try:
        return _decode_handed(isal_zlib.decompress(data))
    except (isal_zlib.IsalError, msgspec.MsgspecError, ValueError) as error:  # type: ignore[misc]  # typed as an instance
        raise FiledError(f"no drafts: {error}") from None


class Report(Protocol):
    """Whoever counts what happens."""

    def duplicate(self, count: int) -> None:
        """Count events that had been there before."""

    def fault(self, fault: Fault) -> None:
        """Count an event at which a detector, or a desk, raised."""

    def changed(self, finding: Finding) -> None:
        """Count a finding that opened, changed or closed."""


class Mark(NamedTuple):
    """How far a source partition has come."""

    watermark: int
    is_idle: bool


class Clock:
    """What time it is for all who look at several sources: that of the one that lags, idle ones left aside.

    One that is there and was not heard of yet lags: until then time does not pass.
    """

    def __init__(self, sources: int = 0) -> None:
        self.sources = sources  # that are known to be there
        self.marks: dict[int, Mark] = {}
        self.now = -NEVER

    def hear(self, source: int, watermark: int, *, is_idle: bool = False) -> bool:
        """Learn how far a source has come; says whether that is news. Time never runs backwards."""
        known = self.marks.get(source)
        mark = Mark(max(watermark, known.watermark if known else -NEVER), is_idle)
        if mark == known:
            return False
        self.marks[source] = mark
        if len(self.marks) < self.sources:
            return True
        active = [each.watermark for each in self.marks.values() if not each.is_idle]
        at = min(active) if active else max(each.watermark for each in self.marks.values())
        self.now = max(self.now, at)
        return True


class Seen:
    """Hashes of events that have been there, in two generations: the older one goes when the younger is full."""

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()
        self._since = self._until = -NEVER

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def is_new(self, event_hash: int) -> bool:
        """Say whether an event has not been there, and remember it."""
        if event_hash in self._young or event_hash in self._old:
            return False
        self._young.add(event_hash)
        return True

    def pass_time(self, at: int) -> None:
        """Let go what is older than need be, now that it is so late."""
        self._until = max(self._until, at)
        if self._since == -NEVER:
            self._since = self._until
        if len(self._young) >= MIN_REMEMBERED and self._until - self._since >= MIN_REMEMBERED_S:
            self._old, self._young, self._since = self._young, set(), self._until


class ShardMeta(Struct, array_like=True):
    """How far a shard's state has come."""

    applied: int
    marks: dict[int, Mark]
    now: int
    forgot_on: int  # day since 1970
    known_before: int  # when the history ends that the state was seeded from; -NEVER if it was not


class Shard:
    """The behaviour and grants desks of one partition of the filed topic. State: theirs, and how far they have come."""

    def __init__(
        self,
        number: int,
        rules: Iterable[Rule[Any]],
        context: Context,
        report: Report,
        learned: Learned | None = None,
    ) -> None:
        self.number = number
        self.applied = -1
        self.desks = Desks(rules, context, learned)
        self.clock = Clock()
        self._seen = Seen()
        self._report = report
        self._reader = EventReader(self.desks.asked_for)
        self._forgot_on = 0
        self._known_before = -NEVER
        self._source_of: dict[str, int] = {}  # account -> partition of the source that has its events
        self._written_sources = 0

    def remember(self, messages: Iterable[bytes]) -> bool:
        """Learn from messages that were applied which events have been there; says whether so many are enough."""
        seen = Seen()
        marks: list[int] = []
        for data in messages:
            try:
                filed = decode_filed(data)
            except FiledError:  # told when it was applied
                continue
            for event_hash in filed.hashes:
                seen.is_new(event_hash)
            seen.pass_time(filed.watermark)
            marks.append(filed.watermark)
        self._seen = seen
        return len(seen) >= MIN_REMEMBERED and max(marks) - min(marks) >= MIN_REMEMBERED_S

    def apply(self, offset: int, data: bytes) -> list[Outgoing]:
        """Take in one filed message, and give what the incidents desk is to have of it; raises FiledError."""
        self.applied = offset
        filed = decode_filed(data)
        self.desks.cover(filed.coverage_since)
        for account in filed.accounts:
            self.desks.grants.seen_accounts.add(account)
            self._source_of[account] = filed.source
        faults: list[Fault] = []
        if filed.hows:
            events, hows = self._unseen(filed.events(self._reader), filed.hows, filed.hashes)
            faults = self.desks.apply(events, hows)
            self._seen.pass_time(max([event.at for event in events], default=filed.watermark))
        before = self.clock.now
        self.clock.sources = max(self.clock.sources, filed.sources)
        self.clock.hear(filed.source, filed.watermark, is_idle=filed.is_idle)
        if not filed.hows:  # a tick: what lies between two of them is all the same to whatever time alone makes true
            self._pass_time()
        return self._handed(offset, faults, is_later=self.clock.now > before)

    def rows(self) -> Iterator[Row]:
        """Write what has changed since this was last asked."""
        yield from self.desks.behaviour.changes()
        yield from self.desks.grants.changes()
        if len(self._source_of) > self._written_sources:
            self._written_sources = len(self._source_of)
            yield _SOURCES.row("shard", (), 0, self._source_of)
        meta = ShardMeta(self.applied, self.clock.marks, self.clock.now, self._forgot_on, self._known_before)
        yield _SHARD.row("shard", (), 0, meta)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows, in any order; raises StateVersionError."""
        desks: dict[str, list[Row]] = {}
        for row in rows:
            desks.setdefault(row.desk, []).append(row)
        self.desks.behaviour.restore(desks.get("behaviour", ()))
        self.desks.grants.restore(desks.get("grants", ()))
        own = by_kind(desks.get("shard", ()))
        for stored in own.get("sources", ()):
            _, self._source_of = _SOURCES.read(stored)
            self._written_sources = len(self._source_of)
        for stored in own.get("shard", ()):
            _, meta = _SHARD.read(stored)
            self.applied, self._forgot_on, self._known_before = meta.applied, meta.forgot_on, meta.known_before
            self.clock.marks, self.clock.now = meta.marks, meta.now
            return
        if desks:
            raise StateVersionError(
                "state is not whole: seeding it was interrupted; begin again with a new stream.group"
            )

    def _unseen(self, events: list[Event], hows: bytes, hashes: memoryview) -> tuple[list[Event], list[int]]:
        if len(events) != len(hows):
            raise FiledError("no filed batch: as many records as ids are needed")
        is_new, known_before = self._seen.is_new, self._known_before
        news = [
            number
            for number, event_hash in enumerate(hashes)
            if is_new(event_hash) and events[number].at >= known_before
        ]
        if len(news) == len(events):
            return events, list(hows)
        kept = set(news)
        self._report.duplicate(sum(hows[each] & 1 for each in range(len(hows)) if each not in kept))
        return [events[each] for each in news], [hows[each] for each in news]

    def _pass_time(self) -> None:
        marks, now = self.clock.marks, self.clock.now

        def now_of(profile: Profile) -> int:
            """Say how far the source has come that has an entity's account: another may be days ahead of it."""
            source = self._source_of.get(profile.account_id or "")
            return now if source is None else marks[source].watermark

        self.desks.behaviour.sweep_due(max(each.watermark for each in marks.values()), now_of)
        if now // DAY_S > self._forgot_on:
            self._forgot_on = now // DAY_S
            self.desks.behaviour.forget(now)

    def _handed(self, offset: int, faults: list[Fault], *, is_later: bool) -> list[Outgoing]:
        tray = self.desks.tray
        handed = [self._fault(fault) for fault in (*faults, *tray.faults)]
        tray.faults.clear()
        if tray.holds_anything or is_later:
            rest, tray.drafts = tray.drafts[MAX_DRAFTS:], tray.drafts[:MAX_DRAFTS]
            parts = [tray, *(Tray(drafts=rest[at : at + MAX_DRAFTS]) for at in range(0, len(rest), MAX_DRAFTS))]
            for part, some in enumerate(parts):
                now = self.clock.now if part == len(parts) - 1 else -NEVER
                message = Handed(self.number, offset, part, now, some)
                handed.append(("drafts", b"%d" % self.number, isal_zlib.compress(_encode(message), 1)))
        tray.clear()
        return handed

    def _fault(self, fault: Fault) -> Outgoing:
        self._report.fault(fault)
        return "rejected", None, message_of(fault.rejected())


class IncidentsMeta(Struct, array_like=True):
    """How far the incidents desk has come."""

    applied: int
    last: dict[int, tuple[int, int]]
    marks: dict[int, Mark]
    now: int
    forgot_on: int


class Incidents:
    """The incidents desk. State: its own, and of each shard what it last had."""

    def __init__(self, rules: Iterable[Rule[Any]], context: Context, report: Report, *, shards: int) -> None:
        self.applied = -1
        self.clock = Clock(shards)
        self.desk = IncidentsDesk((rule for rule in rules if rule.detector.desk == "incidents"), context)
        self.desk.on_change = self._on_change
        self.desk.on_shift = self._emit
        self._last: dict[int, tuple[int, int]] = {}  # shard -> offset and part of what was last applied
        self._changed: dict[tuple[str, int], Finding] = {}  # by id and revision, in the order of their changes
        self._report = report
        self._faults: list[Fault] = []
        self._forgot_on = 0

    def apply(self, offset: int, data: bytes) -> list[Outgoing]:
        """Take in what a shard handed on, and give the findings that changed by it; raises FiledError."""
        self.applied = offset
        handed = decode_handed(data)
        place = handed.offset, handed.part
        if place > self._last.get(handed.shard, (-1, -1)):
            self._last[handed.shard] = place
            self._take(handed)
        changed, self._changed = self._changed, {}
        faults, self._faults = self._faults, []
        return [
            *(("findings", each.finding_id.encode(), msgspec.json.encode(each)) for each in changed.values()),
            *(("rejected", None, message_of(each.rejected())) for each in faults),
        ]

    def rows(self) -> Iterator[Row]:
        """Write what has changed since this was last asked."""
        yield from self.desk.changes()
        meta = IncidentsMeta(self.applied, self._last, self.clock.marks, self.clock.now, self._forgot_on)
        yield _INCIDENTS.row("progress", (), 0, meta)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows, in any order; raises StateVersionError."""
        rows = list(rows)
        self.desk.restore(row for row in rows if row.desk == "incidents")
        for stored in by_kind(row for row in rows if row.desk == "progress").get("progress", ()):
            _, meta = _INCIDENTS.read(stored)
            self.applied, self._last, self._forgot_on = meta.applied, meta.last, meta.forgot_on
            self.clock.marks, self.clock.now = meta.marks, meta.now
            return
        if rows:
            raise StateVersionError(
                "state is not whole: seeding it was interrupted; begin again with a new stream.group"
            )

    def _take(self, handed: Handed) -> None:
        desk = self.desk
        for step in desk.steps(handed.tray):
            try:
                step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
                self._faults.append(Fault("", None, f"{type(error).__name__}: {error}"))
                self._report.fault(self._faults[-1])
        if handed.now != -NEVER and self.clock.hear(handed.shard, handed.now):
            desk.pass_time(self.clock.now)
            if self.clock.now // DAY_S > self._forgot_on:
                self._forgot_on = self.clock.now // DAY_S
                desk.forget(self.clock.now)

    def _on_change(self, finding: Finding) -> None:
        self._emit(finding)
        self._report.changed(finding)

    def _emit(self, finding: Finding) -> None:
        self._changed[finding.finding_id, finding.revision] = finding


def shard_meta(now: int, known_before: int) -> Row:
    """Write how far a shard has come whose state was seeded from history."""
    return _SHARD.row("shard", (), 0, ShardMeta(-1, {}, now, now // DAY_S, known_before))


def incidents_meta(now: int) -> Row:
    """Write how far the incidents desk has come when its state was seeded from history."""
    return _INCIDENTS.row("progress", (), 0, IncidentsMeta(-1, {}, {}, now, now // DAY_S))


_SHARD: Final = RowKind[ShardMeta]("shard", ShardMeta)
_SOURCES: Final = RowKind[dict[str, int]]("sources", dict[str, int])
_INCIDENTS: Final = RowKind[IncidentsMeta]("progress", IncidentsMeta)
