"""Trails in Kafka: what one message holds, whoever wrote it.

One record, JSON lines, ``{"Records": [...]}``, an envelope of EventBridge, SNS or SQS; plain or gzip: told by content.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from models.pieces import pieces
from models.trail import Batch, Rejected
from streams.sources.files import inflate

MAX_INFLATED: Final = 256 * 1024 * 1024  # bytes of a message once it is decompressed: more is no trail but an attack


class Reader(Protocol):
    """Whoever reads pieces of a trail."""

    def read(self, data: bytes, where: str, first: int = 1, /) -> Batch:
        """Read one piece; ``first`` is the number of its first record."""


def read_message(value: bytes, where: str, reader: Reader) -> Iterator[Batch]:
    """Read the value of a message, piece by piece; what cannot be read is in the batches, named by ``where``."""
    content, fault = inflate(value, MAX_INFLATED)
    number = 1
    for piece in pieces([content] if content else []):
        batch = reader.read(piece, where, number)
        number += batch.count
        yield batch
    if fault:
        yield Batch(count=1, rejected=[Rejected(where, 0, "", fault, value)])
