"""What goes to the rejected topic: what could not be read, or made a detector raise, with its bytes and why."""

from __future__ import annotations

from typing import Final

import msgspec

from models.desks.tray import Fault
from models.record import encode
from models.trail import Rejected
from streams.formats.jsonl import line
from streams.kafka import MAX_MESSAGE_BYTES
from streams.summary import rejected_row

MAX_REJECTED_BYTES: Final = 400_000  # of a rejected record's content that are kept


def message_of(rejected: Rejected) -> bytes:
    """Put it down as a message, its content cut where it is long: escapes may make it six times as long as it is."""
    size = MAX_REJECTED_BYTES
    while True:
        kept = msgspec.structs.replace(rejected, content=rejected.content[:size])
        message = line(rejected_row(kept)).encode()
        if len(message) <= MAX_MESSAGE_BYTES:
            return message
        size //= 2


def of_fault(fault: Fault) -> Rejected:
    """Say at which event a detector, or a desk itself, raised."""
    event = fault.event
    where = "the passing of time" if event is None else f"event {event.event_id}"
    what = f"detector {fault.detector}" if fault.detector else "a desk"
    content = b"" if event is None else encode(event.record)
    return Rejected(where, 0, "", f"{what} raised {fault.error}", content)
