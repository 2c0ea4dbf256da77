"""Reads back what was applied of a partition last, so that copies of it are known when they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types

from streams.shard import Shard

FIRST_STRIDE: Final = 1_024  # messages that are looked at first; four times as many each time they are too few


async def read_back(client: Mapping[str, Any], topic: str, shard: Shard) -> None:
    """Let a shard remember the events before what it applies next: MIN_REMEMBERED, and an hour's, or all there are."""
    if shard.applied < 0:
        return
    partition = TopicPartition(topic, shard.number)
    consumer = AIOKafkaConsumer(**client, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        begin = (await consumer.beginning_offsets([partition]))[partition]
        stride = FIRST_STRIDE
        while True:
            start = max(begin, shard.applied + 1 - stride)
            is_enough = shard.remember(await _read(consumer, partition, start, shard.applied))
            if is_enough or start == begin:
                return
            stride *= 4
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, last: int) -> list[bytes]:
    messages: list[bytes] = []
    consumer.seek(partition, start)
    while start <= last:
        found = await consumer.getmany(partition, timeout_ms=1_000)
        for message in found.get(partition, ()):
            start = message.offset + 1
            if message.offset <= last:
                messages.append(message.value)
    return messages
