"""Trails in files: folders walked, globs, stdin, buckets; gzip of any number of members, plain; large files in pieces.

What a file is, is told by its content. A file that was found by walking a folder and could not be JSON at all (a
README beside the trail) is left out and counted; one that was named is rejected.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from glob import iglob
from io import BytesIO
from typing import Final, cast

from isal import igzip_lib
from isal.igzip_lib import DECOMP_GZIP, IgzipDecompressor
from msgspec import Struct

from models.pieces import PIECE, earliest_time, is_json, pieces
from models.record import epoch
from models.trail import Batch, Rejected, TrailReader
from streams.sources import s3
from streams.sources.aws import AwsError
from streams.sources.s3 import Readable

STDIN: Final = "-"
PEEK: Final = 16_384  # bytes read of a file to see when its events begin
_CHUNK: Final = 1024 * 1024  # bytes read, and decompressed, at once
_STEP: Final = 32_768  # bytes of gzip decompressed at once: what damage in the middle takes with it at most
_GZIP: Final = b"\x1f\x8b"
_OTHER: Final = {b"PK\x03\x04": "a zip archive", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstandard"}

# The package's types leave out that this is an exception.
_DAMAGED: Final = cast("type[Exception]", igzip_lib.error)

OnBytes = Callable[[int], None]


class Source(Struct, frozen=True):
    """One file, an object of a bucket, or stdin."""

    name: str
    is_named: bool  # named by whoever asked, not found by walking
    size: int  # bytes on disk; 0 for stdin
    begins_at: int | None = None  # when its events begin, as far as its name says


class Unopened(Struct, frozen=True):
    """A path that leads to nothing readable."""

    name: str
    reason: str


def find(paths: list[str]) -> tuple[list[Source], list[Unopened]]:
    """List the files behind paths, each once, in the order of their names within a path; and what leads nowhere.

    A path is a file, a folder (walked; links to folders are not followed), a glob, ``s3://bucket/prefix``, or ``-`` for
    stdin.
    """
    found: dict[tuple[int, int] | str, Source] = {}  # by device and inode: a link to a file is that file
    missing: list[Unopened] = []
    for path in paths:
        if path == STDIN:
            found.setdefault((0, 0), Source(STDIN, True, 0))
            continue
        if path.startswith(s3.SCHEME):
            try:
                for each in s3.listed(path):
                    found.setdefault(each.url, Source(each.url, each.url == path, each.size, each.begins_at))
            except AwsError as error:
                missing.append(Unopened(path, str(error)))
            continue
        names = [path] if os.path.lexists(path) else sorted(iglob(path, recursive=True))  # noqa: PTH207 - may be absolute
        if not names:
            missing.append(Unopened(path, "no such file or folder, and no glob that matches one"))
        for name in names:
            try:
                for identity, source in _walk(name, is_named=name == path, on_error=missing.append):
                    found.setdefault(identity, source)
            except OSError as error:
                missing.append(Unopened(name, error.strerror or str(error)))
    return list(found.values()), missing


def _walk(
    name: str, *, is_named: bool, on_error: Callable[[Unopened], None]
) -> Iterator[tuple[tuple[int, int], Source]]:
    status = os.stat(name)  # noqa: PTH116 - a trail has a hundred thousand files: here Path costs as much as reading them
    if not stat.S_ISDIR(status.st_mode):
        yield (status.st_dev, status.st_ino), Source(name, is_named, status.st_size)
        return

    def complain(error: OSError) -> None:
        on_error(Unopened(str(error.filename), error.strerror or str(error)))

    for folder, folders, files in os.walk(name, onerror=complain):
        folders.sort()
        for file in sorted(files):
            path = f"{folder}{os.sep}{file}"
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError as error:  # a link that leads nowhere
                on_error(Unopened(path, error.strerror or str(error)))
                continue
            if stat.S_ISREG(status.st_mode):
                yield (status.st_dev, status.st_ino), Source(path, False, status.st_size)


class FileReader:
    """Reads files into batches of events; counts files, and those that were left out.

    ``asked_for`` names the calls whose parameters are kept (`models.event.EventReader`); ``with_contents`` keeps the
    records as they were written as well.
    """

    def __init__(
        self,
        on_bytes: OnBytes | None = None,
        piece: int = PIECE,
        asked_for: frozenset[str] | None = None,
        *,
        with_contents: bool = False,
    ) -> None:
        self.files = 0
        self.others: list[str] = []  # found by walking, and no trail
        self.error: OSError | None = None  # what kept the last one from being read to its end
        self._trail = TrailReader(asked_for, with_contents=with_contents)
        self._on_bytes = on_bytes
        self._piece = piece

    def read(self, source: Source, opened: Readable | None = None) -> Iterator[Batch]:
        """Read one file, piece by piece, opened by now or not; what cannot be read is in the batches."""
        self.files += 1
        self.error = None
        stream = _Inflated(source, self._on_bytes, opened)
        number, is_first = 1, True
        for piece in pieces(stream, self._piece):
            if is_first and not is_json(piece[:PEEK]):
                if source.is_named:
                    yield Batch(count=1, rejected=[Rejected(source.name, 0, "", _what_else(piece), piece)])
                else:
                    self.files -= 1
                    self.others.append(source.name)
                return
            is_first = False
            batch = self._trail.read(piece, source.name, number)
            number += batch.count
            yield batch
        self.error = stream.error
        if stream.fault:
            reason = f"{stream.fault}; {number - 1:,} records before it were read"
            yield Batch(count=1, rejected=[Rejected(source.name, 0, "", reason, b"")])


def inflated(source: Source) -> Iterator[bytes]:
    """Give the content of a file, decompressed if it is gzip, in chunks."""
    return iter(_Inflated(source, None))


def is_whole(source: Source) -> bool:
    """Say whether a file looks complete: gzip that ends, and text that ends as JSON can."""
    stream = _Inflated(source, None)
    end = b""
    for chunk in stream:
        end = chunk[-PEEK:].rstrip()[-1:] or end
    return not stream.fault and end in (b"}", b"]")


def inflate(value: bytes, most: int) -> tuple[bytes, str]:
    """Decompress bytes if they are gzip, to so many bytes at most; gives them, and what was wrong."""
    stream = _Inflated(Source("", False, len(value)), None, BytesIO(value))
    chunks: list[bytes] = []
    size = 0
    for chunk in stream:
        if (size := size + len(chunk)) > most:
            return b"", f"more than {most:,} bytes once it is decompressed"
        chunks.append(chunk)
    return b"".join(chunks), stream.fault


def begins_at(source: Source) -> int | None:
    """Say when the events at the start of a file begin; None where nothing tells."""
    if source.begins_at is not None:
        return source.begins_at
    try:
        with open(source.name, "rb", buffering=0) as file:  # noqa: PTH123 - as in `_walk`
            start = file.read(PEEK)
    except OSError:  # is said when it is read
        return None
    if start.startswith(_GZIP):
        try:
            start = IgzipDecompressor(flag=DECOMP_GZIP).decompress(start, PEEK)
        except _DAMAGED:
            return None
    written = earliest_time(start)
    try:
        return None if written is None else epoch(written.decode())
    except (ValueError, OverflowError):
        return None


class _Inflated:
    """The content of a file, decompressed if it is gzip, in chunks; says afterwards what was wrong with it."""

    def __init__(self, source: Source, on_bytes: OnBytes | None, opened: Readable | None = None) -> None:
        self.fault = ""
        self.error: OSError | None = None  # what kept it from being read, where that is not in the bytes themselves
        self._source = source
        self._on_bytes = on_bytes
        self._opened = opened

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._opened is not None:
                yield from self._content(self._opened)
                return
            if self._source.name == STDIN:
                yield from self._content(sys.stdin.buffer)
                return
            if self._source.name.startswith(s3.SCHEME):
                with s3.Body(self._source.name) as body:
                    yield from self._content(body)
                return
            with open(self._source.name, "rb") as file:  # noqa: PTH123 - as in `_walk`
                yield from self._content(file)
        except OSError as error:
            self.error = error
            self.fault = f"could not be read: {error.strerror or error}"

    def _content(self, file: Readable) -> Iterator[bytes]:
        chunk = self._next(file)
        if not chunk.startswith(_GZIP):
            while chunk:
                yield chunk
                chunk = self._next(file)
            return
        unzip = IgzipDecompressor(flag=DECOMP_GZIP)
        while chunk or (chunk := self._next(file)):
            if unzip.eof:  # another member, or the zeros that tapes and some tools pad with
                if not (chunk := chunk.lstrip(b"\0")):
                    continue
                unzip = IgzipDecompressor(flag=DECOMP_GZIP)
            try:
                for at in range(0, len(chunk), _STEP):
                    step = chunk[at : at + _STEP]
                    yield unzip.decompress(step, _CHUNK)
                    while not unzip.needs_input and not unzip.eof:
                        yield unzip.decompress(b"", _CHUNK)
                    if unzip.eof:
                        chunk = unzip.unused_data + chunk[at + _STEP :]
                        break
                else:
                    chunk = b""
            except _DAMAGED as error:
                self.fault = f"gzip is damaged: {error}"
                return
        if not unzip.eof:
            self.fault = "gzip ends early"

    def _next(self, file: Readable) -> bytes:
        chunk = file.read(_CHUNK)
        if self._on_bytes is not None and chunk:
            self._on_bytes(len(chunk))
        return chunk


def _what_else(start: bytes) -> str:
    for magic, name in _OTHER.items():
        if start.startswith(magic):
            return f"{name}, not CloudTrail: unpack it first"
    return "no JSON, so no CloudTrail"
