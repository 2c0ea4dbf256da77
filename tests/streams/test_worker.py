"""The worker on a real broker: the same findings as a replay, whatever dies, comes twice, late, or makes no sense."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from kafka import TopicPartition

from models.detectors import REGISTRY
from models.record import epoch
from models.settings import parse_settings
from streams.broker import Broker
from streams.filing import decode_filed
from streams.kafka import Cluster
from streams.login import client_options, faust_credentials
from tests.conftest import SharedBroker
from tests.stream import COMMAND, DEADLINE_S, Json, Sameness, StreamUnderTest, records_in, replayed, sameness, wait_for

EVENTS = 12_000
HORIZON_S = 3_600

# Programs that run a worker which ends itself, as SIGKILL does, at a certain point of its nth flush.
DIES = """
import os, signal
from streams.cli import main
from streams.{module} import {owner}
before, calls = {owner}.{method}, 0
def die_at(self, *given):
    global calls
    calls += 1
    if calls == {at} and {is_before}:
        os.kill(os.getpid(), signal.SIGKILL)
    done = before(self, *given)
    if calls == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
{owner}.{method} = die_at
main()
"""
BEFORE_ROWS_ARE_SENT = DIES.format(module="table", owner="Table", method="write", at=3, is_before=True)
ROWS_SENT_BUT_NOT_STORED = DIES.format(module="localstore", owner="LocalStore", method="write", at=3, is_before=True)
STORED_BUT_NOT_ACKNOWLEDGED = DIES.format(
    module="localstore", owner="LocalStore", method="write", at=3, is_before=False
)

# A program that runs a worker that takes a source for quiet after seconds.
HASTY = """
import streams.course, streams.filing, streams.worker
streams.course.CHECK_S = streams.worker.WAKE_S = 1.0
streams.filing.QUIET_S = 3.0
from streams.cli import main
main()
"""

# A program that runs a worker that goes back in each partition every second or two, without need.
RESTLESS = """
from streams.cli import main
from streams.course import Course
check = Course.check
async def go_back(self, expected):
    if self.is_steady:
        await self._place.go_to(max(expected - 3, 0))
    return await check(self, expected)
Course.check = go_back
main()
"""

# A program that runs a worker whose Faust, without its compiled parts, after a while throws every message away, as it does
# with what it has read ahead when partitions change hands; it says so once Faust has had the time to commit twice.
THROWS_AWAY = """
import faust.streams
from faust.transport.consumer import Consumer
from mode.utils.queues import FlowControlEvent
from streams.cli import main
faust.streams._CStreamIterator = None
is_active, commit, asked, commits = FlowControlEvent.is_active, Consumer.force_commit, 0, 0
def is_active_at_first(self):
    global asked
    asked += 1
    return asked <= 20 and is_active(self)
async def commit_and_say(self, *given, **more):
    global commits
    done = await commit(self, *given, **more)
    commits += asked > 40
    if commits == 2:
        print("thrown away", flush=True)
    return done
FlowControlEvent.is_active, Consumer.force_commit = is_active_at_first, commit_and_say
main()
"""

# A program that runs a worker whose incidents desk stores nothing.
INCIDENTS_ARE_NOT_STORED = """
from streams.cli import main
from streams.keeper import Keeper
from streams.shard import Incidents
flush = Keeper.flush
async def flush_others(self):
    if not isinstance(self._state, Incidents):
        await flush(self)
Keeper.flush = flush_others
main()
"""

# A program that runs a worker that throws away what it reads first of the drafts, as Faust does with what a read that was
# under way brings when partitions change hands.
FORGETS = """
import streams.worker
from faust.transport.consumer import Consumer
from streams.cli import main
streams.worker.WAKE_S = 2.0
seek = Consumer.perform_seek
async def seek_and_forget(self):
    await seek(self)
    thread, tps = self._thread, {tp for tp in self.assignment() if tp.topic.endswith("-drafts")}
    gone = await thread.call_thread(thread._ensure_consumer()._fetcher.fetched_records, tps, 10.0)
    print("forgot", sum(map(len, gone.values())), flush=True)
Consumer.perform_seek = seek_and_forget
main()
"""

# A program that runs a worker that says which messages it applies.
SAYS_WHAT_IT_APPLIES = """
from streams.cli import main
from streams.keeper import Keeper
apply = Keeper._apply
def say_and_apply(self, event):
    print("applied", type(self._state).__name__, event.message.partition, event.message.offset, flush=True)
    return apply(self, event)
Keeper._apply = say_and_apply
main()
"""

# The same, of a worker that is suspended as it sends the rows of its fifth flush.
SLEEPS_IN_MID_FLUSH = f"""
import os, signal
from streams.table import Table
send, calls = Table._send, 0
async def sleep_and_send(self, rows):
    global calls
    calls += 1
    if calls == 5:
        os.kill(os.getpid(), signal.SIGSTOP)
    return await send(self, rows)
Table._send = sleep_and_send
{SAYS_WHAT_IT_APPLIES}
"""

# A program that runs a worker to which Kafka refuses a flush for good.
REFUSED = """
from streams.cli import main
from streams.table import Table
async def refused(self, *given):
    raise ValueError("refused for good")
Table.write = refused
main()
"""

# A program that runs a worker with one more detector, which raises at each event that it looks at.
RAISES = """
import models.detectors
from models.detector import Detector, Rule
class Raising(Detector, frozen=True, kw_only=True):
    name = "raising"
    desk = "behaviour"
    calls = (("signin.amazonaws.com", "ConsoleLogin"),)
    def observe(self, event, state):
        raise KeyError(event.api.name)
build = models.detectors.build
models.detectors.build = lambda *given: (*build(*given), Rule(Raising()))
from streams.cli import main
main()
"""


def order_free(found: dict[str, Sameness]) -> dict[str, tuple[str, str, bool]]:
    """Reduce findings to what no order of events may change: when it opened, how severe it is, whether it is closed."""
    return {
        each: (opened_at, severity, closed) for each, (_, _, severity, *_, opened_at, closed, _, _) in found.items()
    }


def idle_ticks(stream: StreamUnderTest) -> Counter[int]:
    """Count how often shards have been told of each source that nothing comes of it."""
    filed = (decode_filed(each) for each in stream.values("filed"))
    return Counter(each.source for each in filed if each.is_idle)


class Trail(NamedTuple):
    """A simulated trail, and what a replay finds in it."""

    folder: Path
    records: list[Json]
    settings: str
    findings: dict[str, Sameness]


def check_it_ends_as_a_replay(stream: StreamUnderTest, trail: Trail) -> None:
    """Tell that all has come, and hold every finding in its last state against the replay's."""
    stream.complete(trail.records)
    stream.wait_until_done()
    assert sameness(stream.findings().values()) == trail.findings


@pytest.fixture(scope="session")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Trail:
    """Simulate an organisation with all that can go wrong in it."""
    folder = tmp_path_factory.mktemp("trail") / "made"
    size = ["--events", str(EVENTS), "--days", "8"]
    subprocess.run([str(COMMAND), "simulate", "-o", str(folder), "--seed", "11", *size, "-q"], check=True)  # noqa: S603
    settings = (folder / "rolehawk.toml").read_text()
    found = replayed(folder / "AWSLogs", settings)
    assert len(found) > 20
    return Trail(folder / "AWSLogs", records_in(folder / "AWSLogs"), settings, found)


@pytest.fixture
def stream(tmp_path: Path, broker: SharedBroker, unique: str, trail: Trail) -> Iterator[StreamUnderTest]:
    """Give topics and settings of the test's own."""
    made = StreamUnderTest(tmp_path, broker.bootstrap, unique, toml=trail.settings)
    yield made
    made.close()


def test_one_worker_finds_what_a_replay_finds(stream: StreamUnderTest, trail: Trail) -> None:
    """The whole trail in one go: every finding in its last state is the replay's, none comes besides; SIGTERM ends it."""
    worker = stream.start()
    stream.send(trail.records)
    check_it_ends_as_a_replay(stream, trail)
    assert stream.messages("rejected") == []
    counted = worker.metrics()
    assert counted['rolehawk_events_total{outcome="accepted"}'] == len(trail.records)
    copies = len(trail.records) - len({each["eventID"] for each in trail.records})
    assert counted['rolehawk_events_total{outcome="duplicate"}'] == copies > 0
    live = [each for each in stream.findings().values() if each["stage"] == "live" and each["status"] != "closed"]
    is_open = [value for name, value in counted.items() if name.startswith("rolehawk_findings_open{")]
    assert sum(is_open) == len(live)
    assert worker.stop() == 0


def test_time_passes_as_events_come(stream: StreamUnderTest, trail: Trail) -> None:
    """What looks as if it had come over an hour makes time pass before all has come, and that changes nothing."""
    stream.start()
    stream.send(trail.records, hours_an_hour=200)
    stream.wait_until_done()
    told_at = max(decode_filed(each).watermark for each in stream.values("filed"))
    assert told_at > epoch(trail.records[-1]["eventTime"]) - 86_400
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_a_producer_with_transactions(stream: StreamUnderTest, trail: Trail) -> None:
    """Its markers stand between messages and behind the last one, and are none."""
    stream.send(trail.records, is_transactional=True)
    first = stream.start()
    wait_for(lambda: len(stream.findings()) > 10, stream.logs)
    first.kill()
    stream.start()
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_going_back_costs_nothing_but_time(stream: StreamUnderTest, trail: Trail) -> None:
    """Messages that come again, and those that do not yet come because of it, in mid-stream and in every partition."""
    worker = stream.start(program=RESTLESS)
    stream.send(trail.records, size=10)
    check_it_ends_as_a_replay(stream, trail)
    assert not worker.has_ended()


@pytest.mark.long
def test_a_source_that_stays_silent_is_known_to_be(stream: StreamUnderTest, trail: Trail) -> None:
    """After a restart too, though not one message comes of it: others' time does not wait for it."""
    stream.send(trail.records[:1_000])
    first = stream.start()
    stream.wait_until_done()
    first.kill()
    before = idle_ticks(stream)
    stream.start(program=HASTY)
    wait_for(lambda: all(idle_ticks(stream)[each] > before[each] for each in range(stream.sources)), stream.logs)


@pytest.mark.long
def test_a_source_without_one_message_holds_nobody_back(
    tmp_path: Path, broker: SharedBroker, unique: str, trail: Trail
) -> None:
    """Nothing was ever written there, a closing tick neither: shards are told, and do not wait for it."""
    stream = StreamUnderTest(tmp_path, broker.bootstrap, unique, sources=16, toml=trail.settings)
    try:
        used = {stream.source_of(each["recipientAccountId"]) for each in trail.records}
        unused = set(range(stream.sources)) - used
        assert unused
        stream.send(trail.records)
        stream.complete(trail.records, used)
        stream.start()
        wait_for(lambda: unused <= idle_ticks(stream).keys(), stream.logs)
        stream.wait_until_done()
        assert sameness(stream.findings().values()) == trail.findings
    finally:
        stream.close()


def test_killed_and_started_again(stream: StreamUnderTest, trail: Trail) -> None:
    """SIGKILL in mid-stream, everything twice in the source, and a second life in the same folder."""
    stream.send(trail.records, times=2)
    first = stream.start()
    wait_for(lambda: len(stream.findings()) > 10, stream.logs)
    first.kill()
    stream.start()
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_what_never_comes_is_asked_for_again(stream: StreamUnderTest, trail: Trail) -> None:
    """What Faust threw away of a partition before anybody worked on it comes again, though nothing comes behind it."""
    first = stream.start(program=INCIDENTS_ARE_NOT_STORED)
    stream.send(trail.records)
    stream.complete(trail.records)
    wait_for(lambda: stream.left("cloudtrail") == stream.left("filed") == 0, stream.logs)
    first.kill()
    assert stream.left("drafts") > 0
    second = stream.start(program=FORGETS)
    stream.wait_until_done()
    assert re.search("^forgot [1-9]", second.log.read_text(), re.MULTILINE)
    assert sameness(stream.findings().values()) == trail.findings


@pytest.mark.long
def test_what_is_thrown_away_is_not_done(stream: StreamUnderTest, trail: Trail) -> None:
    """Messages that Faust has read ahead and drops come again, also to a worker that takes over after a SIGKILL."""
    stream.send(trail.records)
    first = stream.start(program=THROWS_AWAY)
    wait_for(lambda: "thrown away" in first.log.read_text(), stream.logs)
    first.kill()
    assert stream.left("cloudtrail") > 0
    stream.start()
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
@pytest.mark.parametrize(
    "program",
    [BEFORE_ROWS_ARE_SENT, ROWS_SENT_BUT_NOT_STORED, STORED_BUT_NOT_ACKNOWLEDGED],
    ids=["before rows are sent", "rows sent but not stored", "stored but not acknowledged"],
)
def test_killed_in_mid_flush(stream: StreamUnderTest, trail: Trail, program: str) -> None:
    """SIGKILL at each point of a flush, again and again, as events come."""
    at, deaths = 0, 4
    for number in range(deaths):
        worker = stream.start(program=program)
        upto = len(trail.records) * (number + 1) // deaths
        stream.send(trail.records[at:upto])
        at = upto
        wait_for(worker.has_ended, stream.logs)
    stream.start()
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_a_worker_that_cannot_store_ends(stream: StreamUnderTest, trail: Trail) -> None:
    """It ends by itself, acknowledges nothing that is not stored, and the next one loses nothing."""
    worker = stream.start(program=REFUSED)
    stream.send(trail.records)
    assert worker.process.wait(DEADLINE_S) != 0
    assert "refused for good" in worker.log.read_text()
    assert stream.left("filed") > 0
    stream.start()
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_a_second_worker_joins_and_leaves(stream: StreamUnderTest, trail: Trail) -> None:
    """Two workers share the shards; one is killed, and the other goes on with what it had."""
    third = len(trail.records) // 3
    first = stream.start("a")
    stream.send(trail.records[:third])
    wait_for(lambda: len(stream.findings()) > 3, stream.logs)
    second = stream.start("b")
    stream.send(trail.records[third : 2 * third])
    wait_for(lambda: (stream.folder / "b/shards").exists() or stream.left("cloudtrail") == 0, stream.logs)
    first.kill()
    stream.send(trail.records[2 * third :])
    stream.start("c")
    stream.wait_until_done()
    assert second.stop() == 0
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
@pytest.mark.parametrize("program", [SAYS_WHAT_IT_APPLIES, SLEEPS_IN_MID_FLUSH], ids=["anywhere", "in mid-flush"])
def test_a_worker_that_stood_still_goes_on_with_nothing_of_it(
    stream: StreamUnderTest, trail: Trail, program: str
) -> None:
    """Suspended in mid-stream until another has done all, it wakes: what it had at hand is not applied, what comes is."""
    stream.send(trail.records)
    first = stream.start("a", program=program)
    if program is SAYS_WHAT_IT_APPLIES:
        wait_for(lambda: len(stream.findings()) > 3, stream.logs)
        first.process.send_signal(signal.SIGSTOP)
    else:
        wait_for(first.is_suspended, stream.logs)
    second = stream.start("b")
    stream.complete(trail.records)
    stream.wait_until_done()
    ends = {**stream.ends("filed"), **stream.ends("drafts")}
    slept_at = first.log.stat().st_size
    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "member_id was not recognized" in first.log.read_text(), stream.logs)
    assert second.stop() == 0
    stream.complete(trail.records)
    stream.wait_until_done()
    assert not first.has_ended()
    applied = re.findall(r"^applied (\S+) (\d+) (\d+)$", first.log.read_text()[slept_at:], re.MULTILINE)
    topics = {"Shard": stream.topic("filed"), "Incidents": stream.topic("drafts")}
    assert applied
    assert all(int(at) >= ends[TopicPartition(topics[state], int(number))] for state, number, at in applied)
    newest: dict[str, Json] = {}
    for each in stream.messages("findings"):  # one that was on its way to Kafka when it fell asleep may be the last
        if each["revision"] >= newest.get(each["finding_id"], each)["revision"]:
            newest[each["finding_id"]] = each
    assert sameness(newest.values()) == trail.findings


@pytest.mark.long
def test_two_workers_find_what_a_replay_finds(stream: StreamUnderTest, trail: Trail) -> None:
    """Two workers from the start, each with a part of the shards."""
    stream.start("a")
    stream.start("b")
    stream.send(trail.records)
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_a_fresh_machine_recovers_from_the_changelog(stream: StreamUnderTest, trail: Trail) -> None:
    """Stopped in good order with work at hand, and taken up with an empty folder: all that was known is known again."""
    half = len(trail.records) // 2
    worker = stream.start("a")
    stream.send(trail.records[:half])
    wait_for(lambda: len(stream.findings()) > 3, stream.logs)
    assert worker.stop() == 0
    stream.start("elsewhere")
    stream.send(trail.records[half:])
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_the_broker_stops_and_starts(tmp_path: Path, own_broker: Broker, trail: Trail) -> None:
    """With the broker down workers wait, and go on when it is back; nothing is lost on either side."""
    stream = StreamUnderTest(tmp_path, own_broker.bootstrap, "interrupted", toml=trail.settings)
    try:
        stream.start()
        half = len(trail.records) // 2
        stream.send(trail.records[:half])
        wait_for(lambda: len(stream.findings()) > 3, stream.logs)
        own_broker.restart()
        stream.send(trail.records[half:])
        stream.complete(trail.records)
        if stream.programs[0].process.poll() is not None:  # gave up: whoever runs workers starts them again
            stream.start()
        stream.wait_until_done()
        assert sameness(stream.findings().values()) == trail.findings
    finally:
        stream.close()


@pytest.mark.long
def test_poison_and_a_detector_that_raises(stream: StreamUnderTest, trail: Trail) -> None:
    """What makes no sense, in every topic, and a fault of our own: named in the rejected topic, and nothing else is lost."""
    stream.start(program=RAISES)
    half = len(trail.records) // 2
    stream.send(trail.records[:half])
    poison = [
        b"",
        b"\x1f\x8bno gzip",
        b"no json",
        b'{"eventName": "NoTime"}',
        b"\xff\xfe\x00",
        b'{"Records": [1, null]}',
    ]
    for role in ("cloudtrail", "filed", "drafts"):
        stream.produce((stream.topic(role), 0, each, None) for each in poison)
    stream.send(trail.records[half:])
    check_it_ends_as_a_replay(stream, trail)
    reasons = [each["reason"] for each in stream.messages("rejected")]
    assert any("detector raising raised KeyError: 'ConsoleLogin'" in each for each in reasons)
    assert sum("raised" not in each for each in reasons) >= 3 * len(poison) - 1  # an empty message holds no record


@pytest.mark.long
def test_an_hour_late(tmp_path: Path, broker: SharedBroker, unique: str, trail: Trail) -> None:
    """Events that come up to an hour late and in any order change nothing for detectors that say so."""
    others = "\n".join(f"[detectors.{each.name}]\nenabled = false" for each in REGISTRY if not each.order_free)
    settings = f"{trail.settings}\n{others}\n"
    random = Random(7)
    late = sorted(trail.records, key=lambda each: epoch(each["eventTime"]) + random.uniform(0, HORIZON_S))
    stream = StreamUnderTest(tmp_path, broker.bootstrap, unique, toml=settings)
    try:
        stream.start()
        stream.send(late)
        stream.complete(trail.records)
        stream.wait_until_done()
        expected = order_free(replayed(trail.folder, settings))
        assert expected
        assert order_free(sameness(stream.findings().values())) == expected
    finally:
        stream.close()


@pytest.mark.long
def test_seeded_from_history(stream: StreamUnderTest, trail: Trail) -> None:
    """History up to an instant by a replay, from then on the stream, which brings part of the history again."""
    until = trail.records[len(trail.records) // 2]["eventTime"]
    options = ["--settings", str(stream.settings_file), "--kafka", stream.bootstrap, "--read-until", until, "-q"]
    seed = [str(COMMAND), "seed", *options, str(trail.folder)]
    subprocess.run(seed, check=True)  # noqa: S603 - our own command
    again = subprocess.run(seed, capture_output=True, check=False)  # noqa: S603
    assert again.returncode == 2
    assert b"holds state already" in again.stderr
    history = stream.findings()
    assert history
    stream.start()
    stream.send(trail.records[len(trail.records) // 3 :])
    check_it_ends_as_a_replay(stream, trail)


@pytest.mark.long
def test_shards_are_fixed(stream: StreamUnderTest) -> None:
    """Another number of shards than there is state for: refused, in one line that says what to do."""
    text = stream.settings_file.read_text()
    stream.settings_file.write_text(text.replace("shards = 2", "shards = 3"))
    worker = stream.start()
    assert worker.process.wait(60) == 2
    assert "has 2 partitions, the settings want 3" in worker.log.read_text()


@pytest.mark.long
def test_each_worker_has_a_folder_of_its_own(stream: StreamUnderTest) -> None:
    """A second one in the same folder is refused, in one line; once the first is gone it is taken."""
    first = stream.start()
    wait_for(lambda: "metrics" in first.log.read_text(), stream.logs)
    assert stream.start().process.wait(DEADLINE_S) == 2
    assert "another worker has it" in first.log.read_text()
    first.kill()
    again = stream.start()
    wait_for(lambda: first.log.read_text().count("metrics  ") == 2, stream.logs)
    assert not again.has_ended()


def test_workers_log_in_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust and our own clients get the same name, password and certificate authority; nothing shows the password."""
    monkeypatch.setenv("PASSWORD", "correct horse")
    settings = parse_settings(
        """
        [kafka]
        bootstrap = ["kafka.example.com:9093"]
        sasl = { mechanism = "SCRAM-SHA-512", username = "rolehawk", password_env = "PASSWORD" }
        tls = {}
        """
    )
    cluster = Cluster.of(settings)
    ours, faust = client_options(cluster), faust_credentials(cluster)
    assert (ours["security_protocol"], ours["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert ours["sasl_plain_password"] == faust.password == "correct horse"
    assert (faust.username, faust.mechanism.value, faust.protocol.value) == ("rolehawk", "SCRAM-SHA-512", "SASL_SSL")
    assert faust.ssl_context is ours["ssl_context"] is cluster.credentials.tls is not None
    assert "correct horse" not in repr(cluster)
    plain = Cluster.of(parse_settings('[kafka]\nbootstrap = ["kafka.example.com:9092"]'))
    assert faust_credentials(plain) is None
    assert client_options(plain)["security_protocol"] == "PLAINTEXT"
