"""Brings a table up to its changelog, on a fresh machine as after a change of hands.

This is ours, and not Faust's, which as partitions change hands may throw away a part of what it has read of a changelog
and read on behind it (seen on 0.15.3): a table with holes, and nothing tells.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from streams.localstore import TableStore
from streams.outbox import StateRow
from streams.topics import TOMBSTONES_S

MAX_AGE_S: Final = TOMBSTONES_S / 2  # of a table: rows may be gone of which its changelog no longer says so
POLL_MS: Final = 1_000
AT_ONCE: Final = 1_000  # rows
RETRY_S: Final = 1.0

_log = logging.getLogger(__name__)


async def catch_up(store: TableStore, client: Mapping[str, Any]) -> None:
    """Write into a table what its changelog has and it has not; waits while Kafka is away. Raises KafkaError.

    A table that its changelog does not vouch for is made anew: one that is too old, or ahead of it, as of a topic that was
    made anew.
    """
    while True:
        try:
            async with _changelog(store, client) as (consumer, tp):
                return await _read(store, consumer, tp)
        except KafkaError as error:
            if not error.retriable:
                raise
            _log.warning("%s, partition %d is waited for: %s", store.changelog, store.partition, error)
            await asyncio.sleep(RETRY_S)


@asynccontextmanager
async def _changelog(
    store: TableStore, client: Mapping[str, Any]
) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        await consumer.start()
        tp = TopicPartition(store.changelog, store.partition)
        consumer.assign([tp])
        yield consumer, tp
    finally:
        await consumer.stop()


async def _read(store: TableStore, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
    begin, end = (await consumer.beginning_offsets([tp]))[tp], (await consumer.end_offsets([tp]))[tp]
    if store.offset >= 0 and not (begin <= store.offset + 1 <= end and 0 <= store.age_s <= MAX_AGE_S):
        _log.warning("%s, partition %d: the copy on this machine is let go of", store.changelog, store.partition)
        store.clear()
    offset = max(store.offset + 1, begin)
    consumer.seek(tp, offset)
    while offset < end:
        messages = (await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=AT_ONCE)).get(tp, [])
        offset = await consumer.position(tp)  # past what is no row, as a transaction's marker
        if messages:
            store.write([StateRow(each.key, each.value) for each in messages], offset - 1)
