"""What leaves the process: results into stdout or a file, words for people to stderr, and the exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO, Final, Self

import click

from streams.formats import What, writer
from streams.terminal import Screen, screen_of, visible, visible_line

FOUND, UNUSABLE, REJECTED, INTERRUPTED = 1, 2, 3, 130

EXIT_STATUS: Final = (
    "Exit status: 0 done; 1 findings at or above --fail-on; 2 wrong usage, bad settings or nothing readable; "
    "3 done, but records were rejected and --strict was given (1 wins over 3)."
)


class Unusable(click.ClickException):
    """The job cannot be done: says what is in its way."""

    exit_code = UNUSABLE


class Output:
    """Where results go and in which format: stdout, or a file that is written whole or not at all."""

    def __init__(self, what: What, form: str | None, path: Path | None, files: ExitStack) -> None:
        if path is None and sys.stdout is None:
            raise Unusable("stdout is closed: give -o FILE")
        is_for_people = path is None and sys.stdout.isatty()
        self._write = writer(what, form or ("table" if is_for_people else "jsonl"))
        self._screen = Screen() if path is not None else screen_of(sys.stdout)
        self._file = None if path is None else files.enter_context(WholeFile(path)).open()

    def write(self, results: list[Any]) -> None:
        """Write all results. Whoever closes stdout early has seen enough: that is no error."""
        pieces = self._write(results, self._screen)
        if self._file is not None:
            self._file.write(pieces)
            return
        is_terminal = sys.stdout.isatty()
        encoding = sys.stdout.encoding if is_terminal else "utf-8"
        try:
            for piece in pieces:
                sys.stdout.buffer.write(piece.encode(encoding, "backslashreplace"))
            sys.stdout.flush()
        except BrokenPipeError:
            abandon_stdout()
        except OSError as error:
            abandon_stdout()
            raise Unusable(f"stdout: {error.strerror}") from None


class WholeFile:
    """A file that takes its name only when it is complete: until then, and if anything fails, the old one stays.

    The part written so far lies beside it. A device or a pipe cannot be replaced and is written as it is.
    """

    def __init__(self, path: Path) -> None:
        self._name = path
        self._path = path.resolve()  # a symbolic link goes on pointing to it
        self._file: BinaryIO | None = None
        self._part: Path | None = None
        if self._path.is_dir():
            raise Unusable(f"{path}: is a folder")
        if not self._path.exists() or self._path.is_file():
            self._part = self._path.with_name(f".{self._path.name[:200]}.{token_hex(4)}.part")

    def open(self) -> Self:
        """Begin, or say now that it cannot be written. Entered before, so that no interruption leaves a part behind."""
        self._opened()
        return self

    def _opened(self) -> BinaryIO:
        if self._file is None:
            try:
                self._file = (self._part or self._path).open("wb" if self._part is None else "xb")
                if self._part is not None and self._path.exists():
                    self._part.chmod(self._path.stat().st_mode & 0o777)
            except OSError as error:
                raise Unusable(f"{self._name}: {error.strerror}") from None
        return self._file

    def __enter__(self) -> Self:
        return self

    def write(self, pieces: Iterable[str]) -> None:
        """Add to what will be in it; raises Unusable where the disk does not take it."""
        try:
            for piece in pieces:
                self._opened().write(piece.encode())
        except OSError as error:
            raise Unusable(f"{self._path}: {error.strerror}") from None

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Put it in its place, or leave no trace."""
        try:
            if self._file is not None:
                self._file.flush()
                if self._part is not None and error_type is None:
                    os.fsync(self._file.fileno())
                    self._part.replace(self._path)
        except OSError as error:
            if error_type is None:
                raise Unusable(f"{self._path}: {error.strerror}") from None
        finally:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # said already by the flush
                self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)


class GrowingFile:
    """A file that lines are added to, of which only so many bytes count as a commit says: what is beyond is cut off."""

    def __init__(self, path: Path, counted: int | None) -> None:
        """Open it; ``counted`` bytes of it count, None where it is not known to be ours: then it must be new or empty."""
        try:
            self._file = path.open("ab")
            size = self._file.tell()
            if counted is None and size:
                self._file.close()
                raise Unusable(f"{path}: holds something already, and this state did not write it")
            self.length = min(size, counted or 0)
            self._file.truncate(self.length)
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from None
        self.lost = (counted or 0) - self.length  # bytes that somebody took away
        self._path = path

    def write(self, lines: Iterable[str]) -> int:
        """Add lines, down to the disk; gives the bytes that there are now."""
        try:
            self._file.writelines(line.encode() for line in lines)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise Unusable(f"{self._path}: {error.strerror}") from None
        self.length = self._file.tell()
        return self.length

    def close(self) -> None:
        """Let it go."""
        with suppress(OSError):  # what counts was flushed
            self._file.close()


def say(line: str) -> None:
    """Write one line to stderr, if anybody is there to read it."""
    if sys.stderr is None:
        return
    try:
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - stderr is where it belongs
    except OSError:  # as closed as a pipe can be: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def complain(message: str) -> None:
    """Say in one line what went wrong."""
    say(f"rolehawk: {visible_line(message)}")


def abandon_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter flushes stdout once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
