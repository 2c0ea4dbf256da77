"""Writes messages into Kafka, so many on their way at once, and tells what they came from when Kafka has them."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.producer.future import FutureRecordMetadata

from models.streaming import Topics
from streams.batches import Message
from streams.closing import closing_tick
from streams.kafka import Cluster, KafkaUnusableError

MAX_IN_FLIGHT: Final = 128  # messages
MAX_IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
WAIT_S: Final = 0.5  # between two looks at a message that is not acknowledged
PATIENCE_S: Final = 10  # without an acknowledgement before whoever waits is told
_FOR_EVER_MS: Final = 2**31 - 1  # a broker that is down is waited for, and nothing new is read meanwhile

OnCount = Callable[[str, int], None]


class Sender:
    """An idempotent producer with a bound on what is on its way; `send` waits where it is reached.

    ``on_count`` is told an outcome (``sent``, ``rejected``) and a number of records when Kafka has them; ``on_waiting``
    in words when Kafka has not answered for long.
    """

    def __init__(self, cluster: Cluster, topics: Topics, on_count: OnCount, on_waiting: Callable[[str], None]) -> None:
        self._topics = topics
        self._where = ", ".join(cluster.bootstrap)
        self._on_count = on_count
        self._on_waiting = on_waiting
        self._in_flight: deque[tuple[FutureRecordMetadata, Message]] = deque()
        self._bytes = 0
        self._producer = cluster.producer(
            delivery_timeout_ms=_FOR_EVER_MS, linger_ms=5, batch_size=1_048_576, max_request_size=1_100_000
        )

    def send(self, message: Message) -> None:
        """Write a message as soon as there is room; raises KafkaUnusableError where Kafka refuses one for good."""
        while len(self._in_flight) >= MAX_IN_FLIGHT or (
            self._in_flight and self._bytes + len(message.value) > MAX_IN_FLIGHT_BYTES
        ):
            self._settle_oldest()
        topic = self._topics.rejected if message.is_rejected else self._topics.cloudtrail
        try:
            future = self._producer.send(topic, key=message.key, value=message.value, partition=message.partition)
        except KafkaError as error:
            raise self._unusable(error) from None
        self._in_flight.append((future, message))
        self._bytes += len(message.value)
        self.settle()

    def settle(self) -> None:
        """Acknowledge what Kafka has by now, in the order in which it was sent."""
        while self._in_flight and self._in_flight[0][0].is_done:
            self._settle_oldest()

    def flush(self) -> None:
        """Wait until Kafka has all."""
        while self._in_flight:
            self._settle_oldest()

    def tick(self, at: int) -> None:
        """Write the closing tick into every partition, and wait until Kafka has it."""
        self.flush()
        for partition in sorted(self._producer.partitions_for(self._topics.cloudtrail)):
            self.send(Message(None, closing_tick(at), 0, Counter(), partition))
        self.flush()

    def close(self) -> None:
        """Let go of the connection; what is not acknowledged yet may or may not get there."""
        self._producer.close(timeout=0 if self._in_flight else None)

    def _settle_oldest(self) -> None:
        future, message = self._in_flight[0]
        began_s = told_s = time.monotonic()
        while True:
            try:
                future.get(timeout=WAIT_S)
            except KafkaTimeoutError as error:
                if future.is_done:
                    raise self._unusable(error) from None
                if time.monotonic() - told_s > PATIENCE_S:
                    told_s = time.monotonic()
                    self._on_waiting(f"Kafka at {self._where} has not answered for {told_s - began_s:.0f} s; waiting")
            except KafkaError as error:
                raise self._unusable(error) from None
            else:
                break
        self._in_flight.popleft()
        self._bytes -= len(message.value)
        for receipt, count in message.receipts.items():
            receipt.acknowledge(count)
        if message.records:
            self._on_count("rejected" if message.is_rejected else "sent", message.records)

    def _unusable(self, error: KafkaError) -> KafkaUnusableError:
        return KafkaUnusableError(f"Kafka at {self._where} does not take messages: {type(error).__name__}: {error}")
