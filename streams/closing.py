"""The closing tick: by which a source that ends says that all its events up to a time have come.

``{"rolehawk": {"complete_until": "2026-03-12T00:00:00Z"}}`` is the whole value of a message, one in each partition of
the topic of trails. An event of that partition that comes afterwards and is older is late.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from models.record import epoch, iso

_BEGIN: Final = b'{"rolehawk"'


class _Until(Struct):
    complete_until: str


class _Closing(Struct):
    rolehawk: _Until


_decode = msgspec.json.Decoder(_Closing).decode


def closing_tick(at: int) -> bytes:
    """Write the closing tick for an instant in seconds since 1970, UTC."""
    return msgspec.json.encode(_Closing(_Until(iso(at))))


def complete_until(value: bytes) -> int | None:
    """Read a closing tick; None where a message is something else."""
    if not value.startswith(_BEGIN):
        return None
    try:
        return epoch(_decode(value).rolehawk.complete_until)
    except (msgspec.MsgspecError, ValueError, OverflowError):
        return None
