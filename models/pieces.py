"""A document's bytes before they are decoded: in which encoding, lines or one document, where it can be cut in pieces."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Raw

PIECE: Final = 256 * 1024  # bytes of a document that are read at once; larger ones are cut between two records
MAX_PIECE: Final = 64 * 1024 * 1024  # bytes in which no record begins; where there are more, they are no trail
MAX_BETWEEN: Final = 256  # bytes of white space and brackets between two records
MAX_TIMES_LOOKED_AT: Final = 65_536  # bytes at the start of a document in which `earliest_time` looks for times

SPACE: Final = b" \t\r\n"
# How a record begins. Inside a string its quotes would be escaped, so this is never a part of one.
BEGIN = re.compile(rb'\{\s*"eventVersion"\s*:')
_TIME = re.compile(
    rb'"(?:eventTime|@timestamp)\\?"\s*:\s*\\?"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,}(?:Z|[+-][0-9:]+)?)'
)
_decode_raw = msgspec.json.Decoder(Raw).decode
# A byte that is no UTF-8 makes msgspec raise UnicodeDecodeError, which is a ValueError.
UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def pieces(chunks: Iterable[bytes], piece: int = PIECE, max_piece: int = MAX_PIECE) -> Iterator[bytes]:
    """Cut a document of any size into pieces that can be read one after the other.

    Lines are cut after a line, lists between two records, as soon as there are ``piece`` bytes: what is decoded at once
    stays in the processor's caches, and no record pins more than its neighbours. Where no record begins in
    ``max_piece`` bytes, what there is so far is a piece. Each piece is a document of its own.
    """
    gathered: list[bytes] = []
    size, head, enough = 0, b"", piece
    for chunk in chunks:
        gathered.append(chunk)
        size += len(chunk)
        if size < enough:
            continue
        buffer = b"".join(gathered)
        while len(buffer) >= enough:
            found = _cut(buffer, enough)
            if found is None and len(buffer) < max_piece:
                enough = min(2 * len(buffer), max_piece)
                break
            end, tail, next_head = found or (len(buffer), b"", b"")
            yield b"".join((head, memoryview(buffer)[:end], tail))
            rest = buffer[end:]
            buffer, head, enough = rest.lstrip(b", \t\r\n") if tail else rest, next_head or head, piece
        gathered, size = [buffer], len(buffer)
    if size:
        yield head + b"".join(gathered)


def _cut(buffer: bytes, enough: int) -> tuple[int, bytes, bytes] | None:
    """Say where a piece ends, what closes it, and what the next one begins with; None where no record begins.

    It ends as late as it can without being larger than enough, else as soon as it can.
    """
    if is_lines(buffer):
        return (buffer.rfind(b"\n", 0, enough) + 1 or buffer.find(b"\n", enough) + 1), b"", b""
    end = _between(buffer, buffer.rfind, 0, enough) or _between(buffer, buffer.find, enough, len(buffer))
    if not end:
        return None
    is_list = buffer[:MAX_BETWEEN].lstrip(SPACE).startswith(b"[")
    return (end, b"]", b"[") if is_list else (end, b"]}", b'{"Records":[')


def _between(buffer: bytes, search: Callable[[bytes, int, int], int], begin: int, end: int) -> int:
    """Find the comma between two records, the next one in the direction of the search; 0 where there is none."""
    while (at := search(b'"eventVersion"', begin, end)) > 0:
        before = buffer[max(at - MAX_BETWEEN, 0) : at].rstrip(SPACE)
        if before.endswith(b"{") and (before := before[:-1].rstrip(SPACE)).endswith(b","):
            return max(at - MAX_BETWEEN, 0) + len(before) - 1
        begin, end = (begin, at) if search == buffer.rfind else (at + 1, end)
    return 0


def earliest_time(start: bytes) -> bytes | None:
    """Find the earliest event time near the start of a document, as it is written there; None if there is none."""
    return min(_TIME.findall(start[:MAX_TIMES_LOOKED_AT]), default=None)


def is_json(start: bytes) -> bool:
    """Say whether a file's start could be JSON at all; what cannot be is no trail."""
    return as_utf8(start).lstrip(SPACE)[:1] in (b"{", b"[") or BEGIN.search(start) is not None


def as_utf8(data: bytes) -> bytes:
    """Take off a byte order mark; what PowerShell redirects into a file is UTF-16."""
    if data.startswith(codecs.BOM_UTF8):
        return data[3:]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace").encode("utf-8", "replace")
    return data


def is_lines(data: bytes) -> bool:
    """Say whether a document is JSON lines: one of its first three lines is an object all by itself.

    A list with a record a line is none: its first line ends with what opens it, or with a comma.
    """
    start = 0
    for number in range(3):
        end = data.find(b"\n", start)
        if end < 0:
            return False
        line = data[start:end].strip(SPACE)
        if number == 0 and line.endswith((b"[", b"{", b",", b":")):
            return False
        if line.startswith(b"{") and line.endswith(b"}") and is_json_value(line):
            return True
        start = end + 1
    return False


def is_json_value(content: bytes) -> bool:
    """Say whether bytes are one JSON value, whole."""
    try:
        _decode_raw(content)
    except UNDECODABLE:
        return False
    return True
