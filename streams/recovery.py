"""What Faust's recovery never misses: what it has thrown away itself.

When partitions change hands a read may be under way that ends only after Faust has gone back in the changelogs. It takes
what lies there, is thrown away as one of before, and Faust waits for ever for what Kafka has given (seen on 0.15.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Protocol

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # it ships no types
from faust.types import TP

from streams.commits import Consumer

STALLED_S: Final = 3.0  # without one row of a changelog that has more; more than a read waits (1 s)

_log = logging.getLogger(__name__)


class Recovery(Protocol):
    """What is used of Faust's recovery."""

    @property
    def in_recovery(self) -> bool:
        """Whether tables are being read."""

    @property
    def active_offsets(self) -> Mapping[TP, int | None]:
        """Give the last row that was read, by partition of a changelog."""

    def active_remaining(self) -> Mapping[TP, int]:
        """Count the rows that are missing, by partition of a changelog."""


class Patience:
    """Which changelogs have given nothing since they were last looked at."""

    def __init__(self) -> None:
        self._before: dict[TP, int] = {}

    def lost_with(self, recovery: Recovery) -> dict[TP, int]:
        """Give the offsets to go back to, of changelogs that have more and have not moved since the last call."""
        offsets = recovery.active_offsets
        missing = (tp for tp, left in recovery.active_remaining().items() if left > 0) if recovery.in_recovery else ()
        now = {tp: max(offsets[tp] or 0, 0) for tp in missing}
        still = {tp: offset for tp, offset in now.items() if self._before.get(tp) == offset}
        self._before = now
        return still


async def read_on(recovery: Recovery, consumer: Consumer) -> None:
    """Go back, again and again, in a changelog that is being read and does not come."""
    patience = Patience()
    while True:
        await asyncio.sleep(STALLED_S)
        if lost := patience.lost_with(recovery):
            _log.info("read once more: %s", lost)
            with suppress(KafkaError, TimeoutError):  # it is tried again
                await consumer.seek_wait(lost)
