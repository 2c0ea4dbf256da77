"""What the worker writes into Kafka: messages for the next desk, and rows of state into a changelog.

Both producers are idempotent, and so try for as long as it takes and keep the order of a partition: what came later is
never there without what came before. All rows of a flush go as one record batch, which a broker appends whole or not at
all; so state is never half of one moment and half of another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Self

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types

from streams.topics import MAX_FLUSH, MAX_REQUEST

LINGER_MS: Final = 20
REQUEST_TIMEOUT_MS: Final = 40_000

_log = logging.getLogger(__name__)


class StateRow(NamedTuple):
    """One row of state as a table keeps it; no value: it is gone."""

    key: bytes
    value: bytes | None


class Outbox:
    """Two producers of one process: one for messages, one for rows."""

    def __init__(self, client: Mapping[str, Any], topics: Mapping[str, str]) -> None:
        self._topics = topics  # by role
        common = {**client, "enable_idempotence": True, "acks": "all", "request_timeout_ms": REQUEST_TIMEOUT_MS}
        self._messages = AIOKafkaProducer(**common, linger_ms=LINGER_MS, max_request_size=MAX_REQUEST)
        self._rows = AIOKafkaProducer(
            **common, max_batch_size=MAX_FLUSH, max_request_size=MAX_FLUSH, compression_type="gzip"
        )

    async def start(self) -> Self:
        """Connect."""
        await self._messages.start()
        await self._rows.start()
        return self

    async def send(
        self, role: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> Awaitable[Any]:
        """Send a message to the topic of a role; what is given is done when Kafka has it."""
        future: Awaitable[Any] = await self._messages.send(self._topics[role], value, key, partition)
        return future

    async def keep(self, changelog: str, partition: int, rows: Iterable[StateRow]) -> int:
        """Write rows into a changelog, and wait until Kafka has them; gives the offset of the last one."""
        batch = self._rows.create_batch()
        sent: list[Awaitable[Any]] = []
        for row in rows:
            if batch.append(key=row.key, value=row.value, timestamp=None) is None:
                _log.warning("more than %d bytes of state at once: a crash now would leave half of them", MAX_FLUSH)
                sent.append(await self._send_batch(batch, changelog, partition))
                batch = self._rows.create_batch()
                batch.append(key=row.key, value=row.value, timestamp=None)
        sent.append(await self._send_batch(batch, changelog, partition))
        done = await asyncio.gather(*sent)
        last: int = done[-1].offset + batch.record_count() - 1
        return last

    async def _send_batch(self, batch: Any, changelog: str, partition: int) -> Awaitable[Any]:  # noqa: ANN401 - untyped
        future: Awaitable[Any] = await self._rows.send_batch(batch, changelog, partition=partition)
        return future
