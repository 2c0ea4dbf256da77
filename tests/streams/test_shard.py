"""Filing, shards and the incidents desk without Kafka: what they make of messages, and what they know of the past."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from models.desks.pair import Desks
from models.desks.tray import Fault
from models.detectors import build
from models.detectors.console.machine_role_console import MachineRoleConsole
from models.detectors.use.root_use import RootUse
from models.finding import Finding
from models.reader import EventReader
from models.record import encode, epoch, iso
from models.rows import Row, StateVersionError
from models.settings import Context, Settings
from models.trail import Rejected
from streams.filing import NEVER, FiledError, Filer, decode_filed, idle_tick, shard_of
from streams.kafka import MAX_MESSAGE_BYTES
from streams.rejected import message_of
from streams.shard import MIN_REMEMBERED, Clock, Incidents, Seen, Shard, shard_meta
from tests.models.test_conformance import trail
from tests.records import Json, instance_call, record, role, run, user
from tests.stream import sameness

SHARDS = 3
RULES = build(Settings())
CONTEXT = Context(Settings())


class Notes:
    """Writes down what is reported."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.faults: list[Fault] = []

    def duplicate(self, count: int) -> None:
        """Count copies."""
        self.duplicates += count

    def fault(self, fault: Fault) -> None:
        """Note what raised."""
        self.faults.append(fault)

    def changed(self, finding: Finding) -> None:
        """Take no note."""


class Line:
    """The whole line of desks, in this process; a table is the rows that were given out."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.filer = Filer(0, SHARDS, Desks(RULES, CONTEXT), 900)
        self.tables: list[dict[str, Row]] = [{} for _ in range(SHARDS + 1)]
        self.shards = [Shard(number, RULES, CONTEXT, self.notes) for number in range(SHARDS)]
        self.incidents = Incidents(RULES, CONTEXT, self.notes, shards=SHARDS)
        self.filed: list[list[bytes]] = [[] for _ in range(SHARDS)]
        self.drafts: list[bytes] = []
        self.found: dict[str, Json] = {}

    def send(self, records: Iterable[Json]) -> None:
        """File records, and work them off."""
        batch = self.filer.read(b"\n".join(msgspec.json.encode(each) for each in records), "here")
        assert not batch.rejected
        self.filer.file(batch.events)
        for shard in range(SHARDS):
            self.filed[shard].append(self.filer.message(shard))
        self.work()

    def complete(self, at: int) -> None:
        """Tell that all up to a time has come."""
        self.filer.close(at)
        self.send([])

    def work(self) -> None:
        """Apply what has not been applied."""
        for shard, messages in zip(self.shards, self.filed, strict=True):
            for offset in range(shard.applied + 1, len(messages)):
                self.drafts += [value for _, _, value in shard.apply(offset, messages[offset])]
        for offset in range(self.incidents.applied + 1, len(self.drafts)):
            for _, _, value in self.incidents.apply(offset, self.drafts[offset]):
                finding = msgspec.json.decode(value)
                self.found[finding["finding_id"]] = finding

    def states(self) -> list[Shard | Incidents]:
        """List all that know something."""
        return [*self.shards, self.incidents]

    def flush(self) -> None:
        """Store the rows that changed."""
        for table, state in zip(self.tables, self.states(), strict=True):
            for row in state.rows():
                table[f"{row.desk} {row.key}"] = row

    def crash(self) -> None:
        """Begin again from what was stored."""
        self.shards = [Shard(number, RULES, CONTEXT, self.notes) for number in range(SHARDS)]
        self.incidents = Incidents(RULES, CONTEXT, self.notes, shards=SHARDS)
        for table, state in zip(self.tables, self.states(), strict=True):
            state.restore(row for row in table.values() if row.value is not None)
        for shard, messages in zip(self.shards, self.filed, strict=True):
            shard.remember(messages[: shard.applied + 1])


EXAMPLE = sorted(
    [
        *trail(MachineRoleConsole, "POSITIVE"),
        *(instance_call(minute, instance=f"i-{minute:017x}") for minute in range(0, 300, 7)),
        *(record("ListBuckets", user("robot"), minute, userAgent="aws-cli/2.15.0") for minute in range(0, 300, 11)),
        *(record("GetObject", role("web", "visitor"), minute) for minute in range(200, 300, 13)),
    ],
    key=lambda each: str(each["eventTime"]),
)
LONG_AFTER = 1_900_000_000  # all that is told here
EXPECTED_ENGINE = run(EXAMPLE)
EXPECTED = sameness(msgspec.to_builtins(each) for each in EXPECTED_ENGINE.findings())


def test_a_line_of_desks_finds_what_one_engine_finds() -> None:
    """Spread over shards, record by record, the findings are the same."""
    line = Line()
    for each in EXAMPLE:
        line.send([each])
    line.complete(EXPECTED_ENGINE.now)
    assert EXPECTED
    assert sameness(line.found.values()) == EXPECTED
    assert line.notes.faults == []


@pytest.mark.parametrize("every", [1, 3, 7])
def test_taken_up_after_a_crash_nothing_is_lost_or_doubled(every: int) -> None:
    """Crashed after every few messages, with some flushed and some not, everything sent twice: the same."""
    line = Line()
    for number, each in enumerate(EXAMPLE):
        line.send([each, each] if number % 2 else [each])
        if number % every == 0:
            line.flush()
        if number % (every + 1) == 0:
            line.crash()
            line.work()
    line.complete(EXPECTED_ENGINE.now)
    assert sameness(line.found.values()) == EXPECTED
    assert line.notes.duplicates > 0
    counted = {each["finding_id"]: each["evidence_count"] for each in line.found.values()}
    assert all(counted[each.finding_id] <= each.evidence_count for each in EXPECTED_ENGINE.findings())


def test_what_was_seeded_is_known() -> None:
    """Events before the end of history are copies, whatever their ids."""
    line = Line()
    whole = Shard(0, RULES, CONTEXT, line.notes)
    whole.restore([shard_meta(EXPECTED_ENGINE.now, EXPECTED_ENGINE.now + 1)])
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)
    filer.file(filer.read(b"\n".join(msgspec.json.encode(each) for each in EXAMPLE), "here").events)
    whole.apply(0, filer.message(0))
    assert not whole.desks.behaviour.profiles
    assert line.notes.duplicates == len(EXAMPLE)


def test_half_a_seed_is_refused() -> None:
    """Rows without the one that is written last are no state."""
    line = Line()
    for each in EXAMPLE:
        line.send([each])
    (rows,) = ([row for row in state.rows() if row.desk == "behaviour"] for state in line.shards[:1])
    with pytest.raises(StateVersionError, match="not whole"):
        Shard(0, RULES, CONTEXT, line.notes).restore(rows)


@pytest.mark.parametrize("data", [b"", b"\xff", msgspec.msgpack.encode([1, 2, 3]), msgspec.msgpack.encode({})])
def test_what_is_no_message_is_refused_by_name(data: bytes) -> None:
    """Garbage in the topics between the desks raises what the keeper sends to the rejected."""
    line = Line()
    with pytest.raises(FiledError):
        line.shards[0].apply(0, data)
    with pytest.raises(FiledError):
        line.incidents.apply(0, data)


def test_records_are_filed_lean_and_read_back_whole() -> None:
    """What is read of a record survives filing; parameters nobody asks for are let go."""
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)
    sent = [record("GetObject", role("web", "a"), 1, requestParameters={"bucketName": "x" * 2_000}), *EXAMPLE[:5]]
    batch = filer.read(b"\n".join(msgspec.json.encode(each) for each in sent), "here")
    filer.file(batch.events)
    filed = decode_filed(filer.message(0))
    events = filed.events(EventReader())
    assert [(each.event_id, each.at, each.facts) for each in events] == [
        (each.event_id, each.at, each.facts) for each in batch.events
    ]
    assert len(encode(events[0].record)) < 1_000


def test_shards_are_the_same_everywhere() -> None:
    """Where an entity is kept never changes, on no machine and with no version."""
    assert [shard_of(f"arn:aws:iam::111122223333:role/r{n}", 8) for n in range(6)] == SHARDS_OF_SIX


SHARDS_OF_SIX = [2, 4, 6, 0, 3, 5]


def test_time_is_that_of_the_source_that_lags() -> None:
    """Several sources: the slowest says what time it is, but for idle ones; time never runs backwards."""
    clock = Clock()
    clock.hear(0, 100)
    clock.hear(1, 50)
    assert clock.now == 100
    clock = Clock()
    clock.hear(1, 50)
    clock.hear(0, 100)
    assert clock.now == 50
    clock.hear(1, 50, is_idle=True)
    assert clock.now == 100
    assert not clock.hear(1, 40, is_idle=True)


def test_time_waits_for_sources_that_are_there_and_not_yet_heard() -> None:
    """One that was closed early makes nobody late; one that holds nothing says so, and is waited for no longer."""
    clock = Clock(3)
    clock.hear(0, 100)
    clock.hear(1, 50)
    assert clock.now == -NEVER
    clock.hear(2, -NEVER, is_idle=True)
    assert clock.now == 50


def test_a_seeded_shard_waits_for_all_sources() -> None:
    """What time alone makes true of a known principal is not missed because another source was closed first."""
    filers = [Filer(source, 1, Desks(RULES, CONTEXT), 900, sources=2) for source in range(2)]
    shard = Shard(0, RULES, CONTEXT, Notes())
    shard.restore([shard_meta(1_000, 1_000)])
    filers[0].close(LONG_AFTER)
    shard.apply(0, filers[0].message(0))
    assert shard.clock.now == 1_000
    shard.apply(1, filers[1].message(0))
    assert shard.clock.now == 1_000
    shard.apply(2, idle_tick(1, 2))
    assert shard.clock.now == LONG_AFTER


def test_memory_of_events_is_bounded() -> None:
    """Two generations: at least so many events and so much time, and no more than about twice that."""
    seen = Seen()
    for number in range(5 * MIN_REMEMBERED):
        assert seen.is_new(number)
        if number % 1_000 == 0:
            seen.pass_time(number)
    assert len(seen) <= 2 * MIN_REMEMBERED + 1_000
    assert not any(seen.is_new(number) for number in range(4 * MIN_REMEMBERED, 5 * MIN_REMEMBERED))


def test_time_is_that_of_the_account_that_lags() -> None:
    """Within a source too; an account that has fallen silent holds it back no longer, and a new filer knows none yet."""
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)

    def send(minute: int, account: str) -> None:
        sent = record("GetObject", user("robot"), minute, recipientAccountId=account)
        filer.file(filer.read(msgspec.json.encode(sent), "here").events)

    def wait(begin_s: int, end_s: int) -> None:
        for at in range(begin_s, end_s + 1, 5):
            filer.wait(LONG_AFTER + at)

    begin = epoch(str(record("GetObject", None, 0)["eventTime"]))
    wait(0, 0)
    send(600, "111122223333")
    send(60, "444455556666")
    assert filer.watermark < begin
    wait(5, 60)
    send(601, "111122223333")
    send(61, "444455556666")
    assert filer.watermark == begin + 61 * 60 - 900
    wait(65, 125)
    was_idle = filer.is_idle
    send(602, "111122223333")
    assert (was_idle, filer.is_idle) == (True, False)
    assert filer.watermark == begin + 602 * 60 - 900
    filer.close(begin + 700 * 60)
    assert filer.watermark == begin + 700 * 60


def test_what_is_dated_ahead_takes_no_time_along() -> None:
    """An event, or a closing, of a year that is yet to come: time goes no further than to when it came."""
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)
    for at in range(0, 70, 5):
        filer.wait(LONG_AFTER + at)
    sent = {**record("GetObject", user("robot"), 0), "eventTime": "2099-01-01T00:00:00Z"}
    filer.file(filer.read(msgspec.json.encode(sent), "here").events)
    assert filer.watermark == LONG_AFTER + 65
    filer.close(epoch("2098-01-01T00:00:00Z"))
    assert filer.watermark == LONG_AFTER + 65


def test_nobody_is_quiet_because_nothing_could_come() -> None:
    """Kafka, ingest or this machine stood still for days: that counts as little, and who lags still holds time back."""
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)
    begin = epoch(str(record("GetObject", None, 0)["eventTime"]))
    for at in range(0, 70, 5):
        filer.wait(LONG_AFTER + at)
    for minute, account in ((600, "111122223333"), (60, "444455556666")):
        sent = record("GetObject", user("robot"), minute, recipientAccountId=account)
        filer.file(filer.read(msgspec.json.encode(sent), "here").events)
    filer.wait(LONG_AFTER + 70 + 3 * 86_400)
    filer.wait(LONG_AFTER + 10)
    assert filer.watermark == begin + 60 * 60 - 900
    assert not filer.is_idle


def test_a_message_full_of_events_becomes_many() -> None:
    """However many records one message of the source holds, those that are filed stay small, and in order."""
    filer = Filer(0, 1, Desks(RULES, CONTEXT), 900)
    sent = [record("GetObject", user("robot"), minute, eventID=f"id-{minute}") for minute in range(1_300)]
    filer.file(filer.read(b"\n".join(msgspec.json.encode(each) for each in sent), "here").events)
    full = [decode_filed(message) for _, message in filer.full()]
    assert [len(each.hows) for each in full] == [500, 500]
    assert filer.full() == []
    rest = decode_filed(filer.message(0))
    ids = [event.event_id for each in (*full, rest) for event in each.events(EventReader())]
    assert ids == [each["eventID"] for each in sent]


def test_what_is_rejected_fits_a_message() -> None:
    """However long it is and whatever it is made of, so that no poison is one in its own topic again."""
    for content in (b"\x00" * 5_000_000, b"\xff" * 5_000_000, b"short"):
        message = message_of(Rejected("here", 1, "", "no JSON", content))
        assert len(message) <= MAX_MESSAGE_BYTES
        assert msgspec.json.decode(message)["reason"] == "no JSON"


def test_a_finding_that_began_earlier_is_told_again() -> None:
    """Evidence that comes late, and is the earliest, moves the beginning; whoever keeps the last state has it right."""
    first = trail(RootUse, "POSITIVE")[0]
    begin = epoch(str(first["eventTime"]))
    earliest, *others = ({**first, "eventID": f"copy-{n}", "eventTime": iso(begin + 60 * n)} for n in range(3))
    line = Line()
    line.send(others)
    line.send([earliest])
    found = [each["opened_at"] for each in line.found.values() if each["detector"] == "root-use"]
    assert found == [first["eventTime"]]
