"""Findings as JSON lines, from files or a pipe; read as they come, each checked before anybody is told of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from models.finding import Finding, Severity
from models.paging import bounded
from models.record import decode_lenient, epoch, iso

MAX_LINE_BYTES: Final = 4_194_304
CHUNK_BYTES: Final = 65_536
MAX_REVISION: Final = 2**53

_SHAPES: Final = (
    ("finding_id", re.compile("[0-9a-f]{32}")),
    ("detector", re.compile("[a-z0-9][a-z0-9-]{0,63}")),
    ("account_id", re.compile("([0-9]{12})?")),
)


class FindingError(ValueError):
    """What is no finding; names the field and the reason."""


class Line(NamedTuple):
    """One line and where it stands."""

    file: str
    number: int
    content: bytes | None  # None: longer than MAX_LINE_BYTES


def lines(paths: list[str]) -> Iterator[list[Line]]:
    """Read files, `-` for stdin: lists of lines as they come, so that a pipe is heard at once. Empty lines are nothing.

    Raises OSError that names the file.
    """
    for path in paths:
        with ExitStack() as opened:
            if path == "-":
                stream = sys.stdin.buffer
                assert isinstance(stream, BufferedReader)  # noqa: S101 - as Python opens stdin
            else:
                stream = opened.enter_context(Path(path).open("rb"))
            yield from _chunks(stream, "stdin" if path == "-" else path)


def decode(content: bytes | None) -> Finding:
    """Read one finding, with all of it within bounds, its times and severity in one spelling; raises FindingError."""
    if content is None or len(content) > MAX_LINE_BYTES:
        raise FindingError(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        try:
            finding = msgspec.json.decode(content, type=Finding)
        except msgspec.DecodeError:
            finding = msgspec.convert(decode_lenient(content)[0], Finding)
    except msgspec.ValidationError as error:
        where, reason = _said(error)
        raise FindingError(f"{where}: {reason}") from None
    except (ValueError, RecursionError):
        raise FindingError("record: no JSON") from None
    for name, shape in _SHAPES:
        if shape.fullmatch(getattr(finding, name) or "") is None:
            raise FindingError(f"{name}: is none")
    if not 1 <= finding.revision <= MAX_REVISION:
        raise FindingError("revision: is none")
    for name in ("opened_at", "updated_at"):
        try:
            setattr(finding, name, iso(epoch(getattr(finding, name))))
        except (ValueError, OverflowError):
            raise FindingError(f"{name}: is no time") from None
    try:
        finding.severity = Severity.parse(finding.severity).label
    except ValueError as error:
        raise FindingError(f"severity: {error}") from None
    try:
        return bounded(finding)
    except msgspec.ValidationError as error:  # an integer of which only the digits are kept, as text
        raise FindingError(f"{_said(error)[0]}: has too many digits") from None


def _said(error: msgspec.ValidationError) -> tuple[str, str]:
    """Take apart which field does not fit, and why."""
    reason, _, where = str(error).partition(" - at ")
    return where.strip("`").removeprefix("$.") or "record", reason


def _chunks(stream: BufferedReader, file: str) -> Iterator[list[Line]]:
    number, begun, is_too_long = 0, b"", False
    while piece := stream.read1(CHUNK_BYTES):
        first, *rest = piece.split(b"\n")
        begun += b"" if is_too_long else first
        is_too_long = is_too_long or len(begun) > MAX_LINE_BYTES
        if not rest:
            continue
        found = []
        for content in ((None if is_too_long else begun), *rest[:-1]):
            number += 1
            if content is None or content.strip():
                found.append(Line(file, number, content))
        begun, is_too_long = rest[-1], False
        if found:
            yield found
    if is_too_long or begun.strip():
        yield [Line(file, number + 1, None if is_too_long else begun)]
