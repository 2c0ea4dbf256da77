"""What stands in the topic of what was rejected: where it was, why, and its bytes, as far as a message holds them."""

from __future__ import annotations

from codecs import getincrementaldecoder
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from models.trail import Rejected
from streams.formats.jsonl import line
from streams.summary import rejected_row

MAX_CONTENT: Final = 150_000  # bytes; written as JSON one may become six, and a broker takes 1 MiB

_decoder = getincrementaldecoder("utf-8")


def rejected_value(rejected: Rejected) -> bytes:
    """Write one message's value; of text that is too long a whole number of characters is kept."""
    if len(content := rejected.content) > MAX_CONTENT:
        content = content[:MAX_CONTENT]
        with suppress(UnicodeDecodeError):  # no text at all
            content = _decoder().decode(content).encode()
        rejected = replace(rejected, content=content)
    return line(rejected_row(rejected)).encode()
