"""What the worker tells others by Kafka: messages for the next desk, findings, and what was rejected.

The producer is idempotent, and so tries for as long as it takes and keeps the order of a partition: what came later is
never there without what came before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final, Self

from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types

from streams.topics import MAX_REQUEST

LINGER_MS: Final = 20
REQUEST_TIMEOUT_MS: Final = 40_000


class Outbox:
    """The producer of a process."""

    def __init__(self, client: Mapping[str, Any], topics: Mapping[str, str]) -> None:
        self._topics = topics  # by role
        self._producer = AIOKafkaProducer(
            **client,
            enable_idempotence=True,
            acks="all",
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            linger_ms=LINGER_MS,
            max_request_size=MAX_REQUEST,
        )

    async def start(self) -> Self:
        """Connect."""
        await self._producer.start()
        return self

    async def send(
        self, role: str, value: bytes, key: bytes | None = None, partition: int | None = None
    ) -> Awaitable[Any]:
        """Send a message to the topic of a role; what is given is done when Kafka has it."""
        future: Awaitable[Any] = await self._producer.send(self._topics[role], value, key, partition)
        return future
