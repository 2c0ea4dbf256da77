"""Topics of a test's own on the broker that all tests share, and what ingest wrote into them."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from kafka import KafkaConsumer, TopicPartition

from models.settings import Settings, parse_settings
from streams.closing import complete_until

DEADLINE_S = 120


class Topics(NamedTuple):
    """Where Kafka is, and how the test's topics are called."""

    bootstrap: str
    unique: str

    @property
    def toml(self) -> str:
        """Write the settings that lead there."""
        return f"""
[kafka]
bootstrap = ["{self.bootstrap}"]
[stream]
shards = 3
[stream.topics]
cloudtrail = "trail-{self.unique}"
rejected = "rejected-{self.unique}"
"""

    @property
    def settings(self) -> Settings:
        """Give the settings that lead there."""
        return parse_settings(self.toml)

    def file(self, folder: Path) -> Path:
        """Put the settings into a file."""
        path = folder / "rolehawk.toml"
        path.write_text(self.toml)
        return path

    def ends(self) -> int:
        """Count the messages that the main topic has taken, ticks among them."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, enable_auto_commit=False)
        topic = f"trail-{self.unique}"
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(partitions) if partitions else {}
        consumer.close()
        return sum(ends.values())

    def written(self) -> Written:
        """Read all that is in the topics by now."""
        found = Written([], [], [], [])
        for partition, key, value in _read(self.bootstrap, f"trail-{self.unique}"):
            if (until_at := complete_until(value)) is not None:
                found.ticks.append((partition, until_at))
                continue
            found.messages.append((partition, key, value))
            found.records.extend(json.loads(gzip.decompress(value))["Records"])
        found.rejected.extend(json.loads(value) for _, _, value in _read(self.bootstrap, f"rejected-{self.unique}"))
        return found


class Written(NamedTuple):
    """What topics hold."""

    messages: list[tuple[int, bytes | None, bytes]]  # partition, key, value; in the order of each partition
    records: list[dict[str, Any]]
    ticks: list[tuple[int, int]]  # partition, instant
    rejected: list[dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        """List the events, in the order of each partition."""
        return [each["eventID"] for each in self.records]


def _read(bootstrap: str, topic: str) -> list[tuple[int, bytes | None, bytes]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    messages: list[tuple[int, bytes | None, bytes]] = []
    if partitions:
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        give_up_at = time.monotonic() + DEADLINE_S
        while any((consumer.position(each) or 0) < ends[each] for each in partitions):
            for batch in consumer.poll(500).values():
                messages += [(message.partition, message.key, message.value) for message in batch]
            assert time.monotonic() < give_up_at
    consumer.close()
    return sorted(messages, key=lambda message: message[0])


def log_file(*records: object) -> bytes:
    """Write a log file as CloudTrail does."""
    return gzip.compress(msgspec.json.encode({"Records": records}))
