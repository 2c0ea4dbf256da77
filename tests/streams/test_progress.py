"""The progress bar: on a terminal only."""

from __future__ import annotations

import os
import pty
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from streams.progress import bytes_in, reading


def test_sizes_add_up(tmp_path: Path) -> None:
    """Files, folders with what lies below and globs are added; what is not there counts nothing."""
    (tmp_path / "below").mkdir()
    (tmp_path / "a.json").write_bytes(b"x" * 10)
    (tmp_path / "below" / "b.json").write_bytes(b"x" * 5)
    assert bytes_in([str(tmp_path)]) == 15
    assert bytes_in([str(tmp_path / "a.json"), str(tmp_path / "below")]) == 15
    assert bytes_in([str(tmp_path / "*.json")]) == 10
    assert bytes_in([str(tmp_path / "**" / "*.json")]) == 15
    assert bytes_in([str(tmp_path / "nothing")]) == 0


def test_some_sizes_are_not_known() -> None:
    """Stdin and a bucket have no size beforehand."""
    assert bytes_in(["-"]) is None
    assert bytes_in(["s3://bucket/prefix"]) is None


def test_there_is_no_bar_where_nobody_watches() -> None:
    """A stream that is no terminal, or is closed, gets nothing."""
    stream = StringIO()
    for each in (stream, None):
        with reading(["x"], each, is_wanted=True) as on_bytes:
            assert on_bytes is None
    assert stream.getvalue() == ""


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_terminal_gets_a_bar_if_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_wanted: bool
) -> None:
    """On a real terminal the bar counts the bytes and is wiped out at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "trail").write_bytes(b"x" * 2000)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, reading([str(tmp_path)], stream, is_wanted=is_wanted) as on_bytes:
        assert (on_bytes is not None) == is_wanted
        if on_bytes is not None:
            on_bytes(1000)
            on_bytes(1000)
    shown = b""
    with suppress(OSError):  # as Linux ends a terminal
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert (b"reading" in shown) == is_wanted
    assert (b"2.0/2.0 kB" in shown) == is_wanted
    if is_wanted:
        assert shown.rstrip().endswith(b"\x1b[2K")
