"""What goes to the rejected topic: what could not be read, or made a detector raise, with its bytes and why."""

from __future__ import annotations

from models.desks.tray import Fault
from models.record import encode
from models.trail import Rejected
from streams.formats.jsonl import line
from streams.summary import rejected_row


def message_of(rejected: Rejected) -> bytes:
    """Write it as a message."""
    return line(rejected_row(rejected)).encode()


def of_fault(fault: Fault) -> Rejected:
    """Say at which event a detector, or a desk itself, raised."""
    event = fault.event
    where = "the passing of time" if event is None else f"event {event.event_id}"
    what = f"detector {fault.detector}" if fault.detector else "a desk"
    content = b"" if event is None else encode(event.record)
    return Rejected(where, 0, "", f"{what} raised {fault.error}", content)
