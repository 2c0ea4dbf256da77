"""What may reach a terminal: hostile strings made visible, long ones cut, and how wide and colourful a screen is.

User agents, session names, file names and error messages are an attacker's to choose. None of them moves a cursor,
turns the direction of a line or hides a character here.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import NamedTuple, TextIO

# What is never shown as itself: controls (C0, DEL, C1), what is invisible or has no width, what turns the direction of
# a line or breaks it, lone surrogates, tags. Listed, not looked up: the tables of unicodedata differ between Pythons.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

ELLIPSIS = "…"
FALLBACK_WIDTH = 120  # columns of a table that goes into a file or a pipe
MIN_WIDTH = 60  # narrower than this a table is no table: the terminal wraps it


class Screen(NamedTuple):
    """Where a table is shown: its width in columns, and whether it may carry colour."""

    width: int = FALLBACK_WIDTH
    is_coloured: bool = False


def screen_of(stream: TextIO | None) -> Screen:
    """Measure what a stream leads to; colour only on a terminal that has it, and never with NO_COLOR set."""
    if stream is None or not stream.isatty():
        width = os.environ.get("COLUMNS", "")
        return Screen(max(int(width), MIN_WIDTH) if width.isdecimal() else FALLBACK_WIDTH)
    is_coloured = not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in (None, "", "dumb", "unknown")
    return Screen(max(shutil.get_terminal_size().columns, MIN_WIDTH), is_coloured)


def visible(text: str) -> str:
    r"""Show what a terminal would obey or hide as an escape (``\x1b``, ``\u202e``); all else stays as it is."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub(_escape, text)


def visible_line(text: str) -> str:
    """Make a message one line: runs of white space become one blank, the rest is made visible."""
    return visible(" ".join(text.split()))


def safe_json(encoded: str) -> str:
    r"""Write the same JSON value without a character that a terminal would obey or hide: each as ``\uXXXX``.

    Takes one compact value, without a line's end: there such a character can only stand inside a string.
    """
    return encoded if encoded.isascii() and "\x7f" not in encoded else _UNSAFE.sub(_escape_in_json, encoded)


def shorten(text: str, width: int) -> str:
    """Cut the middle out of what is wider than so many columns: an ARN's ends say the most."""
    from rich.cells import cell_len  # noqa: PLC0415 - errors need this module, and not rich

    if cell_len(text) <= width:
        return text
    head, tail = "", ""
    room = width - 1
    for step in range(len(text)):
        add_to_head = step % 2 == 0
        char = text[len(head)] if add_to_head else text[-1 - len(tail)]
        if cell_len(head) + cell_len(tail) + cell_len(char) > room:
            break
        if add_to_head:
            head += char
        else:
            tail = char + tail
    return f"{head}{ELLIPSIS}{tail}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_in_json(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
