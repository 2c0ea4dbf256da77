"""Brings a store up to its changelog, on a fresh machine as after a change of hands.

This is ours, and not Faust's, which as partitions change hands may throw away a part of what it has read of a changelog
and read on behind it (seen on 0.15.3): a store with holes, and nothing tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streams.localstore import LocalStore, StateRow
from streams.topics import TOMBSTONES_S

MAX_AGE_S: Final = TOMBSTONES_S / 2  # of a store: rows may be gone of which its changelog no longer says so
POLL_MS: Final = 1_000
AT_ONCE: Final = 1_000  # rows
RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)


async def catch_up(store: LocalStore, changelog: str, partition: int, client: Mapping[str, Any]) -> None:
    """Write into a store what its changelog has and it has not; waits while Kafka is away. Raises KafkaError.

    A store that its changelog does not vouch for is begun anew: one that is too old, or ahead of it, as of a topic that was
    made anew.
    """
    tp = TopicPartition(changelog, partition)
    while True:
        try:
            async with _consumer_of(tp, client) as consumer:
                return await _read(store, consumer, tp)
        except KafkaError as error:
            if not error.retriable:
                raise
            _log.warning("%s, partition %d is waited for: %s", changelog, partition, error)
            await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def _consumer_of(tp: TopicPartition, client: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    try:
        await consumer.start()
        consumer.assign([tp])
        yield consumer
    finally:
        await consumer.stop()


async def _read(store: LocalStore, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    if store.offset >= 0 and not (begin <= store.offset + 1 <= end and 0 <= store.age_s <= MAX_AGE_S):
        _log.warning("%s, partition %d: the copy on this machine is let go of", tp.topic, tp.partition)
        store.clear()
    offset = max(store.offset + 1, begin)
    consumer.seek(tp, offset)
    while offset < end:
        messages = (await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=AT_ONCE)).get(tp, [])
        offset = await consumer.position(tp)  # past what is no row: a transaction's marker, or what was taken back
        if messages:
            store.write([StateRow(each.key, each.value) for each in messages], offset - 1)
