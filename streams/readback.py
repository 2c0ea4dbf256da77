"""Reads a topic beside the stream: what comes next in a partition, and what was there before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # it ships no types

from streams.shard import Shard

FIRST_STRIDE: Final = 1_024  # messages that are looked at first; four times as many each time they are too few
POLL_MS: Final = 1_000


class Reader:
    """A consumer that belongs to no group, for one partition at a time."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._consumer: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def first_at(self, topic: str, partition: int, offset: int, end: int) -> int | None:
        """Find the first message from an offset on and before another; None where there is none. Raises KafkaError."""
        async with self._assigned(topic, partition) as (consumer, tp):
            consumer.seek(tp, offset)
            while offset < end:
                for message in (await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=1)).get(tp, ()):
                    return int(message.offset)
                offset = await consumer.position(tp)  # past what is no message, as a transaction's marker
        return None

    async def read_back(self, topic: str, shard: Shard) -> None:
        """Let a shard remember the events before what it applies next: MIN_REMEMBERED, and an hour's, or all there are.

        So copies of them are known when they come. Raises KafkaError.
        """
        if shard.applied < 0:
            return
        async with self._assigned(topic, shard.number) as (consumer, tp):
            begin = (await consumer.beginning_offsets([tp]))[tp]
            stride = FIRST_STRIDE
            while True:
                start = max(begin, shard.applied + 1 - stride)
                is_enough = shard.remember(await _read(consumer, tp, start, shard.applied))
                if is_enough or start == begin:
                    return
                stride *= 4

    @asynccontextmanager
    async def _assigned(self, topic: str, partition: int) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
        async with self._turn:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(**self._client, enable_auto_commit=False, auto_offset_reset="earliest")
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumer = consumer
            tp = TopicPartition(topic, partition)
            self._consumer.assign([tp])
            try:
                yield self._consumer, tp
            finally:
                self._consumer.unsubscribe()  # or it would read on


async def _read(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, last: int) -> list[bytes]:
    messages: list[bytes] = []
    consumer.seek(tp, start)
    while start <= last:
        for message in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
            start = message.offset + 1
            if message.offset <= last:
                messages.append(message.value)
    return messages
