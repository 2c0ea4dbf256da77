"""A stream for tests: topics of its own on a real broker, workers as processes of the installed command, and their results."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen
from zlib import crc32

import msgspec
from isal import igzip
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError

from models.record import epoch
from models.settings import parse_settings
from streams.batches import MAX_SPAN_S
from streams.closing import closing_tick
from streams.kafka import Cluster
from streams.replay import replay
from streams.topics import prepare

DEADLINE_S: Final = 120
IN_TRANSACTION: Final = 200  # messages
COMMAND: Final = Path(sys.executable).with_name("rolehawk")
Json = dict[str, Any]
Sameness = tuple[Any, ...]


class Program:
    """A worker in a process of its own."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdout=out, stderr=out, cwd=log.parent, env={**os.environ, **environment}
            )

    def has_ended(self) -> bool:
        """Say whether it has ended by itself."""
        return self.process.poll() is not None

    def is_suspended(self) -> bool:
        """Say whether a signal has stopped it."""
        return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def metrics(self) -> dict[str, float]:
        """Ask it for its metrics."""
        address = re.findall(r"http://127\.0\.0\.1:\d+/metrics", self.log.read_text())[-1]
        with urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310 - our own process, on loopback
            lines = answer.read().decode().splitlines()
        pairs = (each.rpartition(" ") for each in lines if not each.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def kill(self) -> None:
        """End it at once, as a machine that loses power does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in good order, and give its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class StreamUnderTest:
    """Topics, settings and workers that no other test has."""

    def __init__(
        self, folder: Path, bootstrap: str, name: str, *, shards: int = 2, sources: int = 2, toml: str = ""
    ) -> None:
        self.folder = folder
        self.bootstrap = bootstrap
        self.name = name
        self.sources = sources
        self.settings_file = folder / "rolehawk.toml"
        topics = "\n".join(
            f'{each} = "{self.topic(each)}"' for each in ("cloudtrail", "filed", "drafts", "findings", "rejected")
        )
        stream = f'[stream]\ngroup = "{name}"\nshards = {shards}\n[stream.topics]\n{topics}\n'
        self.settings_file.write_text(f"{toml}\n{stream}")
        self.settings = parse_settings(self.settings_file.read_text())
        self.cluster = Cluster.of(self.settings, bootstrap)
        self.programs: list[Program] = []
        self.cluster.make_topics({self.topic("cloudtrail"): sources})
        prepare(self.cluster, self.settings.stream)

    def topic(self, role: str) -> str:
        """Name the topic of a role."""
        return f"{self.name}-{role}"

    def start(self, name: str = "a", program: str = "", **environment: str) -> Program:
        """Start a worker that has a folder of its own; or a program of the test's that runs one."""
        options = [
            "worker",
            "--listen",
            "127.0.0.1:0",
            "--settings",
            str(self.settings_file),
            "--kafka",
            self.bootstrap,
            "--state",
            str(self.folder / name),
        ]
        run = [sys.executable, "-c", program] if program else [str(COMMAND)]
        started = Program([*run, *options], self.folder / f"{name}.log", environment)
        self.programs.append(started)
        return started

    def close(self) -> None:
        """End all workers."""
        for each in self.programs:
            with suppress(ProcessLookupError):
                each.kill()

    def send(
        self,
        records: Iterable[Json],
        *,
        size: int = 100,
        times: int = 1,
        hours_an_hour: float | None = None,
        is_transactional: bool = False,
    ) -> None:
        """Write records as ingest does: by account, each account's in order, so many and of so short a time in a message.

        All are written at once, or it looks as if they had come in an hour for so many hours of theirs, until now.
        """
        by_account: dict[str, list[list[Json]]] = {}
        for each in records:
            piles = by_account.setdefault(each.get("recipientAccountId") or "", [[]])
            if len(piles[-1]) >= size or (piles[-1] and age_s(piles[-1][0], each) > MAX_SPAN_S):
                piles.append([])
            piles[-1].append(each)
        sent = sorted(
            ((some[0], account, some) for account, piles in by_account.items() for some in piles),
            key=lambda each: (each[0]["eventTime"], each[1]),
        )
        now = time.time()
        messages = (
            (
                self.topic("cloudtrail"),
                self.source_of(account),
                igzip.compress(b"\n".join(json.dumps(each).encode() for each in some)),
                None if hours_an_hour is None else now - age_s(first, sent[-1][0]) / hours_an_hour,
            )
            for first, account, some in sent
            for _ in range(times)
        )
        self.produce(messages, is_transactional=is_transactional)

    def source_of(self, account: str) -> int:
        """Say which partition of the source has an account's records."""
        return crc32(account.encode()) % self.sources

    def complete(self, records: Iterable[Json], sources: Iterable[int] | None = None) -> None:
        """Tell that all records have come, in all partitions of the source or in some."""
        last = max(each["eventTime"] for each in records)
        closing = closing_tick(epoch(last))
        these = range(self.sources) if sources is None else sources
        self.produce((self.topic("cloudtrail"), source, closing, None) for source in these)

    def produce(
        self, messages: Iterable[tuple[str, int, bytes, float | None]], *, is_transactional: bool = False
    ) -> None:
        """Write messages (topic, partition, value, when: now if None), each acknowledged."""
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all",
            linger_ms=5,
            transactional_id=self.name if is_transactional else None,
        )
        left = deque(messages)
        if is_transactional:
            producer.init_transactions()
        while left:
            if is_transactional:
                producer.begin_transaction()
            sent = [
                producer.send(topic, value, partition=partition, timestamp_ms=None if at is None else round(at * 1000))
                for topic, partition, value, at in (left.popleft() for _ in range(min(len(left), IN_TRANSACTION)))
            ]
            for each in sent:
                each.get(timeout=DEADLINE_S)
            if is_transactional:
                producer.commit_transaction()
        producer.close()

    def wait_until_done(self) -> None:
        """Wait until everything that was written has been worked off and acknowledged."""
        for role in ("cloudtrail", "filed", "drafts"):
            wait_for(partial(self.is_done, role), lambda: f"not all is done; {self.logs()}")

    def is_done(self, role: str) -> bool:
        """Say whether all messages of a topic are acknowledged."""
        return self.left(role) == 0

    def left(self, role: str) -> int:
        """Count the messages of a topic that are not acknowledged."""
        ends = self.ends(role)
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            committed = admin.list_group_offsets(self.name)[self.name]
        except CoordinatorNotAvailableError:  # a broker that never had a group
            committed = {}
        finally:
            admin.close()
        done = {each: committed[each].offset if each in committed else 0 for each in ends}
        return sum(max(end - max(done[each], 0), 0) for each, end in ends.items())  # some may have come since

    def ends(self, role: str) -> dict[TopicPartition, int]:
        """Say how many messages each partition of a topic has had."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap)
        try:
            partitions = [
                TopicPartition(self.topic(role), each) for each in consumer.partitions_for_topic(self.topic(role))
            ]
            ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
            return ends
        finally:
            consumer.close()

    def values(self, role: str) -> list[bytes]:
        """Read a topic from its beginning to its end."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        found: list[bytes] = []
        try:
            for partition, end in self.ends(role).items():
                consumer.assign([partition])
                consumer.seek_to_beginning(partition)
                while (consumer.position(partition) or 0) < end:
                    found += [each.value for some in consumer.poll(500).values() for each in some]
        finally:
            consumer.close()
        return found

    def messages(self, role: str) -> list[Json]:
        """Read a topic of JSON from its beginning to its end."""
        return [json.loads(each) for each in self.values(role)]

    def findings(self) -> dict[str, Json]:
        """Give each finding in its last state."""
        return {each["finding_id"]: each for each in self.messages("findings")}

    def logs(self) -> str:
        """Give what the workers said."""
        return "\n".join(f"{each.log.name}: {each.log.read_text()[-2000:]}" for each in self.programs)


def age_s(earlier: Json, later: Json) -> int:
    """Say how much time lies between two records, in seconds."""
    return epoch(later["eventTime"]) - epoch(earlier["eventTime"])


def wait_for(is_so: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until something is so, for as long as a slow machine may take."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < give_up_at, f"still not so: {what()}"
        time.sleep(0.3)


def sameness(findings: Iterable[Json]) -> dict[str, Sameness]:
    """Reduce findings to what must be the same however they were found; superseded ones left out."""
    return {
        each["finding_id"]: (
            each["detector"], each["stage"], each["severity"], each["entity"]["arn"], each["subject"],
            each["actor"]["arn"], each["actor"]["origin"], each["opened_at"], each["status"] == "closed",
            each["close_reason"], each["part_of"],
        )
        for each in findings
        if each["close_reason"] != "superseded"
    }  # fmt: skip


def replayed(folder: Path, settings: str) -> dict[str, Sameness]:
    """Find the same by a replay."""
    result = replay([str(folder)], parse_settings(settings))
    return sameness(msgspec.to_builtins(each) for each in result.findings)


def records_in(folder: Path) -> list[Json]:
    """Read all records of a trail, in the order of their times."""
    found = [
        each
        for path in sorted(folder.rglob("*.json.gz"))
        for each in json.loads(igzip.decompress(path.read_bytes()))["Records"]
    ]
    return sorted(found, key=lambda each: str(each["eventTime"]))
