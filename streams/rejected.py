"""What goes to the rejected topic: what could not be read, or made a detector raise, with its bytes and why."""

from __future__ import annotations

from codecs import getincrementaldecoder
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from models.trail import Rejected
from streams.formats.jsonl import line
from streams.summary import rejected_row

MAX_CONTENT: Final = 150_000  # bytes of a record that are kept: in JSON one may become six, and a broker takes 1 MiB

_decoder = getincrementaldecoder("utf-8")


def message_of(rejected: Rejected) -> bytes:
    """Put it down as a message; of text that is too long a whole number of characters is kept."""
    if len(content := rejected.content) > MAX_CONTENT:
        content = content[:MAX_CONTENT]
        with suppress(UnicodeDecodeError):  # no text at all
            content = _decoder().decode(content).encode()
        rejected = replace(rejected, content=content)
    return line(rejected_row(rejected)).encode()
