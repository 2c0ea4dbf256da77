"""The topics of the stream: how many partitions each has, and for how long it keeps what."""

from __future__ import annotations

from typing import Final

from models.streaming import Stream
from streams.kafka import Cluster, KafkaUnusableError

MAX_REQUEST: Final = 8 * 1024 * 1024  # bytes of one message and what is sent with it
MAX_FLUSH: Final = 16 * 1024 * 1024  # bytes of a flush's rows that go in one batch, before compression
TOMBSTONES_S: Final = 86_400  # for so long a changelog says at least which rows are gone
SHARDS: Final = "shards"  # the tables
INCIDENTS: Final = "incidents"

_FRAMING: Final = 65_536
_DAY_MS: Final = 86_400_000


def changelog(stream: Stream, table: str) -> str:
    """Name the topic that holds a table's rows."""
    return f"{stream.group}-{table}-changelog"


def prepare_source(cluster: Cluster, stream: Stream) -> None:
    """Make the topics that trails come in by, where they are missing; raises KafkaUnusableError."""
    topics = stream.topics
    cluster.make_topics(
        {topics.cloudtrail: stream.shards, topics.rejected: 1}, {topics.rejected: {"retention.ms": str(14 * _DAY_MS)}}
    )


def prepare(cluster: Cluster, stream: Stream) -> None:
    """Make the topics that are missing; raises KafkaUnusableError where those that are there do not fit."""
    topics, shards = stream.topics, stream.shards
    state = {changelog(stream, SHARDS): shards, changelog(stream, INCIDENTS): 1}
    wanted = {topics.filed: shards, topics.drafts: 1, **state}
    there = cluster.partitions()
    for name, count in wanted.items():
        if there.get(name, count) != count:
            raise KafkaUnusableError(
                f"topic {name} has {there[name]} partitions, the settings want {count}: the number of shards is fixed "
                "when state is first made (stream.shards); to change it, start over with another stream.group and "
                "topics, seeded from history"
            )
    prepare_source(cluster, stream)
    large = {"max.message.bytes": str(MAX_REQUEST + _FRAMING)}
    kept = {
        "cleanup.policy": "compact",
        "delete.retention.ms": str(TOMBSTONES_S * 1000),
        "max.message.bytes": str(MAX_FLUSH + _FRAMING),
    }
    cluster.make_topics(
        {topics.findings: 1, **wanted},
        {
            topics.filed: {**large, "retention.ms": str(3 * _DAY_MS)},
            topics.drafts: {**large, "retention.ms": str(7 * _DAY_MS)},
            topics.findings: {"cleanup.policy": "compact", "min.compaction.lag.ms": str(7 * _DAY_MS)},
            **dict.fromkeys(state, kept),
        },
    )
