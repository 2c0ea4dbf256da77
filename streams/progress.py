"""Progress of a long read or of a long simulation, for whoever waits at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from streams.terminal import screen_of

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

OnBytes = Callable[[int], None]


class Bar:
    """A bar that is being shown."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, count: int) -> None:
        """Take it that so much more is done."""
        self._progress.update(self._task, advance=count)

    def expect(self, total: int) -> None:
        """Take it that there will be so much in all."""
        self._progress.update(self._task, total=total)


@contextmanager
def reading(paths: list[str], stream: TextIO | None, *, is_wanted: bool) -> Iterator[OnBytes | None]:
    """Show a bar while the body runs; gives what to call with each further number of bytes read, or None.

    Nothing is shown where it is not wanted or the stream is no terminal. The bar is gone when the body ends, however
    it ends.
    """
    with copying(paths, stream, is_wanted=is_wanted) as bar:
        yield None if bar is None else bar.advance


@contextmanager
def copying(paths: list[str], stream: TextIO | None, *, is_wanted: bool) -> Iterator[Bar | None]:
    """Show a bar as `reading` does; gives the bar itself, for whoever learns later how much there is."""
    if not is_wanted or stream is None or not stream.isatty():
        yield None
        return
    # rich is loaded for a bar alone: JSON lines in a pipe never need it
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("reading"), BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with _bar("reading", columns, stream, bytes_in(paths)) as bar:
        yield bar


@contextmanager
def making(count: int, stream: TextIO | None, *, is_wanted: bool) -> Iterator[Callable[[int], None] | None]:
    """Show a bar while so many records are made; gives what to call with each further number of them, or None."""
    if not is_wanted or stream is None or not stream.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - as above

    columns = (TextColumn("making"), BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn())
    with _bar("making", columns, stream, count) as bar:
        yield bar.advance


@contextmanager
def _bar(title: str, columns: tuple[ProgressColumn, ...], stream: TextIO, total: int | None) -> Iterator[Bar]:
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.progress import Progress  # noqa: PLC0415

    screen = screen_of(stream)
    console = Console(
        file=stream,
        force_terminal=True,
        force_jupyter=False,
        color_system="standard" if screen.is_coloured else None,
        legacy_windows=False,
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress, progress.add_task(title, total=total))


def bytes_in(paths: list[str]) -> int | None:
    """Add up the sizes of files, folders and globs; None where it can't be known (stdin, a bucket).

    A file that is not there counts nothing: whoever reads it says so.
    """
    total = 0
    for path in paths:
        if path == "-" or "://" in path:
            return None
        if Path(path).exists():
            total += _size(Path(path))
        else:
            total += sum(_size(Path(name)) for name in iglob(path, recursive=True))  # noqa: PTH207 - may be absolute
    return total


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
        return path.stat().st_size
    except OSError:
        return 0
