"""How fast the worker is, beside replay and beside a bare consumer, on a real broker in the same run.

    python -m bench.stream [--events 200000] [--entities 2000] [--pairs 3] [--shards 4]

Each process's CPU time is read from the kernel, from the moment at which it waits for work to the one at which all is
acknowledged. What is quoted is the median. The broker has its own process and counts for nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple
from zlib import crc32

from isal import igzip
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from bench import trail
from models.desks.pair import Desks
from models.detectors import build
from models.event import Event
from models.pieces import pieces
from models.reader import EventReader
from models.record import decode_log_file, encode
from models.settings import Context, Settings, parse_settings
from streams.broker import Broker
from streams.filing import Filer, decode_filed
from streams.kafka import Cluster
from streams.order import Merge
from streams.sources.files import begins_at, find, inflated
from streams.topics import prepare

ROOT: Final = Path(__file__).parents[1]
DAYS: Final = 3
BATCH: Final = 500
SINGLE: Final = 20_000  # events sent one a message
TARGET, LIMIT = 0.40, 0.25
SETTLE_S: Final = 12.0  # for workers to start and to join
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
Message = tuple[int, bytes]  # partition and value


class Run(NamedTuple):
    """What one process or more took, for each event of all."""

    cpu_us: float  # of all processes together
    busiest_us: float  # CPU time of the one that had most: what it would take if each had a core of its own
    wall_us: float
    peak_mb: float = 0.0  # memory that one process held at most


class Topics:
    """Topics and settings of one group of workers."""

    def __init__(self, broker: Broker, folder: Path, name: str, shards: int, *, filed: str | None = None) -> None:
        self.name, self.bootstrap, self.folder = name, broker.bootstrap, folder
        self.idle_s = 0.0  # CPU time of a worker that has started and waits
        self.names = {role: f"{name}-{role}" for role in ("cloudtrail", "filed", "drafts", "findings", "rejected")}
        if filed is not None:
            self.names["filed"] = filed
        self.file = folder / f"{name}.toml"
        topics = "\n".join(f'{role} = "{topic}"' for role, topic in self.names.items())
        self.file.write_text(f'[stream]\ngroup = "{name}"\nshards = {shards}\n[stream.topics]\n{topics}\n')
        self.settings: Settings = parse_settings(self.file.read_text())
        prepare(Cluster.of(self.settings, self.bootstrap), self.settings.stream)

    def start(self, number: int = 0) -> subprocess.Popen[bytes]:
        """Start a worker, and give it time to join."""
        command = [
            str(Path(sys.executable).with_name("rolehawk")),
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--settings",
            str(self.file),
        ]
        state = str(self.folder / f"{self.name}-{number}")
        return subprocess.Popen([*command, "--kafka", self.bootstrap, "--state", state, "-q"])

    def left(self, role: str) -> int:
        """Count messages that are not acknowledged."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        committed = admin.list_group_offsets(self.name)[self.name]
        admin.close()
        ends = ends_of(self.bootstrap, self.names[role])
        return sum(end - max(committed[each].offset if each in committed else 0, 0) for each, end in ends.items())

    def work_off_what_is_there(self, count: int, roles: tuple[str, ...], idle_s: float) -> Run:
        """Start a worker on topics that are full, and say what it took beyond what starting takes."""
        process, began_s = self.start(), time.monotonic()
        time.sleep(SETTLE_S)
        while any(self.left(role) for role in roles):
            time.sleep(0.3)
        cpu_us = (cpu_s(process.pid) - idle_s) / count * 1e6
        took = Run(cpu_us, cpu_us, (time.monotonic() - began_s) / count * 1e6)
        process.terminate()
        process.wait()
        return took

    def work_off(self, messages: Iterable[Message], count: int, roles: tuple[str, ...], workers: int = 1) -> Run:
        """Start workers, let them wait for work, give it to them, and say what it took until all is acknowledged."""
        processes = [self.start(number) for number in range(workers)]
        time.sleep(SETTLE_S)
        before, began_s = [cpu_s(each.pid) for each in processes], time.monotonic()
        self.idle_s = sum(before) / workers
        produce(self.bootstrap, self.names[roles[0]], messages)
        while any(self.left(role) for role in roles):
            time.sleep(0.3)
        cpu_us = [(cpu_s(each.pid) - before_s) / count * 1e6 for each, before_s in zip(processes, before, strict=True)]
        wall_us = (time.monotonic() - began_s) / count * 1e6
        took = Run(sum(cpu_us), max(cpu_us), wall_us, max(peak_mb(each.pid) for each in processes))
        for each in processes:
            each.terminate()
        for each in processes:
            each.wait()
        return took


def cpu_s(process_id: int) -> float:
    """Say how much CPU time a process has had."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def peak_mb(process_id: int) -> float:
    """Say how much memory a process held at most."""
    return int(Path(f"/proc/{process_id}/status").read_text().partition("VmHWM:")[2].split(None, 1)[0]) / 1024


def ends_of(bootstrap: str, topic: str) -> dict[TopicPartition, int]:
    """Say how many messages each partition of a topic has had."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    partitions = [TopicPartition(topic, each) for each in consumer.partitions_for_topic(topic)]
    ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
    consumer.close()
    return ends


def produce(bootstrap: str, topic: str, messages: Iterable[Message]) -> None:
    """Write messages, all acknowledged."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, batch_size=1 << 20, max_request_size=8 << 20)
    for partition, value in messages:
        producer.send(topic, value, partition=partition)
    producer.flush()
    producer.close()


def filed(folder: Path, shards: int, *, is_skewed: bool = False) -> list[Message]:
    """File a trail as a worker does; skewed: every second event is made by one and the same entity."""
    filer = Filer(0, shards, Desks(build(Settings()), Context(Settings())), 900)
    messages: list[Message] = []
    hot: Event | None = None
    for events in _ordered(folder):
        for number, event in enumerate(events):
            if is_skewed and event.actor is not None and event.actor.type == "role":
                hot = hot or event
                if number % 2:
                    event.caller = hot.caller
        filer.file(events)
        messages += filer.full()
    return messages + [(shard, filer.message(shard)) for shard in filer.piled()]


def batches(folder: Path, size: int, partitions: int) -> Iterator[Message]:
    """Read a trail as ingest does: in order, an account in one partition, so many records in a message."""
    piles: dict[int, list[bytes]] = {}
    for events in _ordered(folder):
        records = [(each.caller.recipient_account_id or "", encode(each.record)) for each in events]
        for account, line in records:
            partition = crc32(account.encode()) % partitions
            pile = piles.setdefault(partition, [])
            pile.append(line)
            if len(pile) == size:
                yield partition, _packed(piles.pop(partition))
    for partition, pile in piles.items():
        yield partition, _packed(pile)


def _ordered(folder: Path) -> Iterator[list[Event]]:
    reader = EventReader()
    merge: Merge[Event] = Merge()
    sources, _ = find([str(folder)])
    begins = sorted(((begins_at(source) or 0, source) for source in sources), key=lambda each: each[0])
    for (_, source), (next_begins_at, _) in zip(begins, [*begins[1:], (1 << 62, sources[0])], strict=True):
        for piece in pieces(inflated(source)):
            merge.add(reader.read_all(decode_log_file(piece).records))
        yield from merge.released(next_begins_at)


def _packed(lines: list[bytes]) -> bytes:
    return lines[0] if len(lines) == 1 else igzip.compress(b"\n".join(lines), 1)


async def consumed(bootstrap: str, topic: str, partitions: list[int]) -> dict[str, float]:
    """Read and decode filed batches of some partitions with a bare consumer, and say what it took."""
    from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]  # noqa: PLC0415 - it ships no types
    from aiokafka import TopicPartition as AIOKafkaPartition  # noqa: PLC0415

    found = {each.partition: end for each, end in ends_of(bootstrap, topic).items() if end}
    ends = {each: end for each, end in found.items() if each in partitions}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", max_poll_records=500)
    await consumer.start()
    consumer.assign([AIOKafkaPartition(topic, each) for each in ends])
    reader, count = EventReader(), 0
    before_s, began_s = time.process_time(), time.monotonic()
    while ends:
        for partition, messages in (await consumer.getmany(timeout_ms=500)).items():
            for message in messages:
                count += len(decode_filed(message.value).events(reader))
                if message.offset + 1 >= ends.get(partition.partition, 0):
                    ends.pop(partition.partition, None)
    took = {
        "cpu_us": (time.process_time() - before_s) / count * 1e6,
        "wall_us": (time.monotonic() - began_s) / count * 1e6,
    }
    await consumer.stop()
    return {**took, "rows": count}


def bare(bootstrap: str, topic: str, shards: int, processes: int = 1) -> Run:
    """Run bare consumers, each in a process of its own with its part of the partitions."""
    shares = [",".join(map(str, range(number, shards, processes))) for number in range(processes)]
    command = [sys.executable, "-m", "bench.stream", "--consume", bootstrap, topic]
    running = [subprocess.Popen([*command, share], cwd=ROOT, stdout=subprocess.PIPE) for share in shares]
    found = [json.loads(each.communicate()[0]) for each in running]
    rows = sum(each["rows"] for each in found)
    cpu_us = [each["cpu_us"] * each["rows"] / rows for each in found]
    return Run(sum(cpu_us), max(cpu_us), max(each["wall_us"] * each["rows"] for each in found) / rows)


def replayed(folder: Path) -> dict[str, Any]:
    """Run a replay in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.measured", "replay", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def log_bytes(broker: Broker, topic: str) -> int:
    """Say how many bytes a topic takes on the broker's disk."""
    return sum(each.stat().st_size for each in broker.folder.glob(f"data/{topic}-*/*.log"))


def compare(broker: Broker, folder: Path, given: argparse.Namespace) -> None:
    """Measure, and print."""
    count = 0
    replays, wholes, desks, bares = [], [], [], []
    for pair in range(given.pairs):
        found = replayed(folder / "trail")
        count = found["records"]
        replays.append(found["cpu_us"])
        whole = Topics(broker, folder, f"whole{pair}", given.shards)
        messages = batches(folder / "trail", BATCH, given.shards)
        took = whole.work_off(messages, count, ("cloudtrail", "filed", "drafts"))
        wholes.append(took.cpu_us)
        alone = Topics(broker, folder, f"desks{pair}", given.shards, filed=whole.names["filed"])
        desks.append(alone.work_off_what_is_there(count, ("filed", "drafts"), whole.idle_s).cpu_us)
        bares.append(bare(broker.bootstrap, whole.names["filed"], given.shards).cpu_us)
        print(f"pair {pair + 1}: {replays[-1]:.2f}, {wholes[-1]:.2f}, {desks[-1]:.2f}, {bares[-1]:.2f} us", flush=True)
    print(f"\n{'':44}{'us of CPU per event':>20}{'events per s and core':>24}")
    rows = (
        ("replay", median(replays)),
        ("bare consumer, decoding filed batches", median(bares)),
        ("worker on filed batches", median(desks)),
        ("worker, filing and all", median(wholes)),
        ("filing (the difference)", median(wholes) - median(desks)),
    )
    for label, cpu_us in rows:
        print(f"{label:44}{cpu_us:20.2f}{1e6 / cpu_us:24,.0f}")
    ratio = median(one / other for one, other in zip(replays, desks, strict=True))
    verdict = "reached" if ratio >= TARGET else "below the target" if ratio >= LIMIT else "MISSED"
    print(f"\nworker on filed batches runs at {ratio:.0%} of replay; target {TARGET:.0%}: {verdict}")
    changelog = sum(log_bytes(broker, f"{whole.name}-{table}-changelog") for table in ("shards", "incidents"))
    raw = sum(len(igzip.decompress(each.read_bytes())) for each in (folder / "trail").rglob("*.json.gz"))
    stored = sum(each.stat().st_size for each in (folder / "trail").rglob("*.json.gz"))
    filed_bytes = log_bytes(broker, whole.names["filed"])
    print(
        f"changelog: {changelog / raw:.2f} bytes for each byte of input, {changelog / stored:.2f} for each compressed one; "
        f"filed topic {filed_bytes / stored:.2f} for each compressed one"
    )
    disk_mb = sum(each.stat().st_size for each in (folder / f"{whole.name}-0").rglob("*") if each.is_file()) / 1e6
    print(f"memory of a worker: {took.peak_mb:.0f} MB at most; its state on disk: {disk_mb:.1f} MB")


def single(broker: Broker, folder: Path, given: argparse.Namespace) -> None:
    """Measure one record a message."""
    trail.write(folder / "single", SINGLE, given.entities, 1, 2)
    topics = Topics(broker, folder, "single", given.shards)
    took = topics.work_off(batches(folder / "single", 1, given.shards), SINGLE, ("cloudtrail", "filed", "drafts"))
    print(f"one record a message: {took.cpu_us:.0f} us of CPU per event, {1e6 / took.wall_us:,.0f} events per s")


def spread(broker: Broker, folder: Path, given: argparse.Namespace) -> None:
    """Measure one worker and two on the same filed batches, beside one bare consumer and two; then with a busy entity.

    How much faster two are goes by the CPU time of the busier one: this machine has no core for each, and none for Kafka.
    """
    roles = ("filed", "drafts")
    for label, is_skewed in (("even keys", False), ("one entity makes half of all events", True)):
        messages = filed(folder / "trail", given.shards, is_skewed=is_skewed)
        rows = sum(len(decode_filed(value).hows) for _, value in messages)
        topics = [Topics(broker, folder, f"spread{each}{int(is_skewed)}", given.shards) for each in (1, 2)]
        ours = [each.work_off(messages, rows, roles, workers) for workers, each in enumerate(topics, 1)]
        bares = [bare(broker.bootstrap, topics[1].names["filed"], given.shards, workers) for workers in (1, 2)]
        gained, bare_gained = (alone.busiest_us / both.busiest_us for alone, both in (ours, bares))
        walls = [f"{alone.wall_us / both.wall_us:.2f}" for alone, both in (ours, bares)]
        print(
            f"two workers, {label}: {gained:.2f} times as fast as one by the busier one's CPU time, two bare consumers "
            f"{bare_gained:.2f} times: {gained / bare_gained:.0%} of that. CPU time of all {ours[0].cpu_us:.1f} and "
            f"{ours[1].cpu_us:.1f} us; by the clock {' and '.join(walls)} times",
            flush=True,
        )


PARTS: Final = {"compare": compare, "single": single, "spread": spread}


def main() -> None:
    """Make the trail, start a broker, measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--entities", type=int, default=2_000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--only", choices=PARTS, help="measure one part alone")
    parser.add_argument("--consume", nargs=3, help=argparse.SUPPRESS)  # bootstrap, topic, partitions
    given = parser.parse_args()
    if given.consume:
        bootstrap, topic, partitions = given.consume
        print(json.dumps(asyncio.run(consumed(bootstrap, topic, [int(each) for each in partitions.split(",")]))))
        return
    with TemporaryDirectory(prefix="rolehawk-bench-") as temporary:
        folder = Path(temporary)
        trail.write(folder / "trail", given.events, given.entities, DAYS, 1)
        with Broker(folder / "broker") as broker:
            print(f"{given.events:,} events, {given.entities:,} entities, {given.shards} shards, batches of {BATCH}")
            for name, part in PARTS.items():
                if given.only in (None, name):
                    part(broker, folder, given)


if __name__ == "__main__":
    main()
