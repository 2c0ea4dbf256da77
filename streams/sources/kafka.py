"""Trails in Kafka: what one message holds, whoever wrote it.

One record, JSON lines, ``{"Records": [...]}``, an envelope of EventBridge, SNS or SQS; plain or gzip: told by content.
"""

from __future__ import annotations

from typing import Final

from models.trail import MAX_PIECE, Batch, Rejected, TrailReader
from streams.sources.files import inflate

MAX_INFLATED: Final = MAX_PIECE  # bytes of a message once it is decompressed: more is no trail but an attack


def read_message(value: bytes, where: str, reader: TrailReader) -> Batch:
    """Read the value of a message; nothing raises: what cannot be read is in the batch, named by ``where``."""
    content, fault = inflate(value, MAX_INFLATED)
    batch = reader.read(content, where) if content else Batch()
    if fault:
        batch.count += 1
        batch.rejected.append(Rejected(where, 0, "", fault, value))
    return batch
