"""Seeds the stream's state from history: what a replay knows at its end becomes what the workers begin with.

Rows go into the changelogs of the tables, each to the shard that keeps it, as if workers had flushed them; so a worker
takes them up as a fresh machine does. The findings of history go to the findings topic in their last state, marked by a
header, for they are nobody's news.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from models.engine import Engine
from models.rows import Row
from models.streaming import Stream
from streams.filing import shard_of
from streams.kafka import Cluster, KafkaUnusableError
from streams.keeper import to_state_row
from streams.shard import incidents_meta, shard_meta
from streams.topics import INCIDENTS, SHARDS, changelog, prepare

HISTORY_HEADER: Final = "rolehawk-history"  # of a finding that was there before the stream began

_EVERYWHERE: Final = frozenset(
    {"coverage", "grants"}
)  # kinds that every shard has; others begin with whom they are about
_decode_key = msgspec.json.Decoder(tuple[str, ...]).decode


def check_is_new(cluster: Cluster, stream: Stream) -> None:
    """Make the topics that are missing; raises KafkaUnusableError where there is state already."""
    prepare(cluster, stream)
    for table in (SHARDS, INCIDENTS):
        if cluster.has_messages(name := changelog(stream, table)):
            raise KafkaUnusableError(f"topic {name} holds state already: only a new stream.group can be seeded")


def write_seed(engine: Engine, known_before: int, cluster: Cluster, stream: Stream) -> int:
    """Write an engine's state into the stream's tables, and its findings; gives the number of rows.

    ``known_before`` is when history ends: what comes in the stream and is older, the state has already.
    """
    tables = {table: changelog(stream, table) for table in (SHARDS, INCIDENTS)}
    producer = cluster.producer(linger_ms=50, batch_size=512 * 1024)
    count = 0
    try:
        for table, partition, row in _placed(engine, known_before, stream.shards):
            key, value = to_state_row(row)
            producer.send(tables[table], value, key, partition=partition)
            count += 1
        for finding in engine.findings():
            producer.send(
                stream.topics.findings,
                msgspec.json.encode(finding),
                finding.finding_id.encode(),
                headers=[(HISTORY_HEADER, b"1")],
            )
        producer.flush()
    finally:
        producer.close()
    return count


def _placed(engine: Engine, known_before: int, shards: int) -> Iterator[tuple[str, int, Row]]:
    """Say of each row in which table and partition it belongs; last come those that make a shard's state whole."""
    for row in engine.changes():
        if row.desk == "incidents":
            yield INCIDENTS, 0, row
        elif row.desk in ("behaviour", "grants"):
            for shard in _shards_of(row, shards):
                yield SHARDS, shard, row
    yield INCIDENTS, 0, incidents_meta(engine.now)
    for shard in range(shards):
        yield SHARDS, shard, shard_meta(engine.now, known_before)


def _shards_of(row: Row, shards: int) -> Iterable[int]:
    kind, *names = _decode_key(row.key)
    return range(shards) if kind in _EVERYWHERE else (shard_of(names[0], shards),)
