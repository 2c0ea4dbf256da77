"""Hostile strings on a terminal."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from streams.terminal import FALLBACK_WIDTH, safe_json, screen_of, shorten, visible, visible_line

HOSTILE = {
    "\x1b[31mred": "\\x1b[31mred",
    "tab\tbell\x07": "tab\\x09bell\\x07",
    "two\nlines\r": "two\\x0alines\\x0d",
    "\x7f\x9b31m\x85": "\\x7f\\x9b31m\\x85",
    "\u202egnp.exe\u2066": "\\u202egnp.exe\\u2066",
    "zero\u200bwidth\ufeff": "zero\\u200bwidth\\ufeff",
    "line\u2028end\u2029": "line\\u2028end\\u2029",
    "lone\udcff": "lone\\udcff",
    "tag\U000e0041": "tag\\U000e0041",
}


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_what_a_terminal_obeys_is_shown_as_an_escape(text: str, shown: str) -> None:
    """Controls, what turns a line, what has no width and lone surrogates are spelled out."""
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["", "plain [bold]text[/bold]", "Zoë 東京 🦅 …", "C:\\path"])
def test_ordinary_text_stays(text: str) -> None:
    """Letters of any script, brackets and backslashes are nobody's weapon."""
    assert visible(text) == text


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_hostile_is_left(text: str) -> None:
    """Whatever the text, no control, format control or surrogate of Unicode's own list of them comes through."""
    shown = visible(text)
    assert not any(
        ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F or 0xD800 <= ord(char) <= 0xDFFF or char in "\u200b\u2028\u2029"
        for char in shown
    )
    assert not set(shown) & {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    assert visible(shown) == shown


def test_a_message_is_one_line() -> None:
    """Line ends of a message become blanks, and what else is hostile becomes visible."""
    assert visible_line("one\n\ttwo \x1b[2J") == "one two \\x1b[2J"


@given(st.text())
def test_safe_json_is_the_same_value(text: str) -> None:
    """Escaped for a terminal, a JSON value reads back as it was, and nothing in it is hidden."""
    written = safe_json(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(written) == {"text": text}
    assert visible(written) == written


@given(st.text(), st.integers(1, 60))
def test_shortened_text_fits(text: str, width: int) -> None:
    """What is too wide loses its middle, wide characters counted as two; the rest stays."""
    text = visible(text)
    short = shorten(text, width)
    assert cell_len(short) <= width
    assert short == text or "…" in short


def test_both_ends_of_an_arn_stay() -> None:
    """An ARN keeps its beginning and its end."""
    assert shorten("arn:aws:iam::111122223333:role/orders-api", 21) == "arn:aws:ia…orders-api"


def test_a_stream_that_is_no_terminal_has_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file or pipe is as wide as COLUMNS says, else of a fixed width."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert screen_of(StringIO()) == screen_of(None) == (FALLBACK_WIDTH, False)
    monkeypatch.setenv("COLUMNS", "200")
    assert screen_of(StringIO()).width == 200
    monkeypatch.setenv("COLUMNS", "many")
    assert screen_of(StringIO()).width == FALLBACK_WIDTH
