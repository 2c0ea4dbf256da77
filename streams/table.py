"""One partition of a table: its rows on this machine, over a changelog in Kafka.

Rows are written in transactions of a producer that each partition has of its own, by name. Whoever opens it ends all who
wrote before: what a process that stood still had yet to write is refused. A flush is in the changelog whole or not at all,
however large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types
from aiokafka.errors import (  # type: ignore[import-untyped]
    InvalidProducerIdMapping,
    InvalidTxnState,
    ProducerFenced,
)

from streams.localstore import LocalStore, StateRow
from streams.outbox import REQUEST_TIMEOUT_MS
from streams.recovery import catch_up
from streams.topics import MAX_FLUSH

CLOSE_S: Final = 5.0


class LostError(Exception):
    """A partition went to another worker before what was known of it could be stored."""


class Table:
    """One partition of a table, as its only writer."""

    def __init__(self, store: LocalStore, changelog: str, partition: int, client: Mapping[str, Any]) -> None:
        self._store = store
        self._changelog = changelog
        self._partition = partition
        self._client = client
        self._producer = AIOKafkaProducer(
            **client,
            transactional_id=f"{changelog}-{partition}",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_batch_size=MAX_FLUSH,
            max_request_size=MAX_FLUSH,
            compression_type="gzip",
        )

    async def open(self) -> Self:
        """Become the only writer, and read what others have written; raises KafkaError."""
        try:
            await self._producer.start()
            await catch_up(self._store, self._changelog, self._partition, self._client)
        except BaseException:
            await self.close()
            raise
        return self

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all rows."""
        return self._store.read()

    async def write(self, rows: Sequence[StateRow]) -> None:
        """Write rows into the changelog, then into the store; raises LostError where another has opened the table since.

        What is broken off is taken back by whoever opens the table next.
        """
        try:
            await self._producer.begin_transaction()
            offset = await self._send(rows)
            await self._producer.commit_transaction()
        except (ProducerFenced, InvalidProducerIdMapping, InvalidTxnState) as error:
            name = type(error).__name__
            raise LostError(
                f"{self._changelog}, partition {self._partition}: not its writer any more: {name}"
            ) from None
        if offset >= 0:
            self._store.write(rows, offset)
        else:
            await catch_up(self._store, self._changelog, self._partition, self._client)

    async def close(self) -> None:
        """Let the changelog go."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._producer.stop()

    async def _send(self, rows: Sequence[StateRow]) -> int:
        """Send rows in as few batches as can be; gives the last one's offset once Kafka has all, -1 if it does not say."""
        batch, sent = self._producer.create_batch(), []
        for row in rows:
            if batch.append(key=row.key, value=row.value, timestamp=None) is None:
                sent.append(await self._send_batch(batch))
                batch = self._producer.create_batch()
                batch.append(key=row.key, value=row.value, timestamp=None)
        sent.append(await self._send_batch(batch))
        done = await asyncio.gather(*sent)
        first: int = done[-1].offset  # not told where the same was sent twice, and taken the first time
        return first + batch.record_count() - 1 if first >= 0 else -1

    async def _send_batch(self, batch: Any) -> Any:  # noqa: ANN401 - untyped
        return await self._producer.send_batch(batch, self._changelog, partition=self._partition)
