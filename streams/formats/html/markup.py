"""Elements and pages of HTML: every string that is not markup already is made harmless on its way in.

Strings of events are an attacker's to choose. In a page they are text: no element, no attribute, no character that
hides itself or turns the direction of a line, and no formula, should a table be copied into a spreadsheet.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from streams.formats.csv import defuse
from streams.terminal import visible

Content = str | int | None
Attribute = str | int | float | bool | None

_VOID: Final = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already; `element` alone makes it of what comes from outside."""

    __slots__ = ()


def text(content: Content) -> Markup:
    """Make HTML of a string; what is HTML stays as it is."""
    if isinstance(content, Markup):
        return content
    return Markup("" if content is None else escape(defuse(str(content))))


def element(name: str, /, *content: Content, **attributes: Attribute) -> Markup:
    """Make an element: ``class_`` is the attribute class, ``aria_label`` is aria-label; None and False are left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(visible(str(value)))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*content)}</{name}>")


def join(*content: Content) -> Markup:
    """Put pieces one after another."""
    return Markup("".join(map(text, content)))


def table(caption: str, headings: list[Markup], bodies: list[Markup], **attributes: Attribute) -> Markup:
    """Make a table that is named, and that scrolls by itself where it is wider than the page.

    Browsers let the keyboard into what scrolls, and only into that.
    """
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *headings)),
        *bodies,
        **attributes,
    )
    return element("div", whole, class_="scroll")


def heading(label: str, class_: str | None = None, **attributes: Attribute) -> Markup:
    """Make the heading of a column."""
    return element("th", label, scope="col", class_=class_, **attributes)


def page(title: str, body: Iterator[Markup]) -> Iterator[str]:
    """Write a page around its body; a browser runs and loads nothing but the style and the script that stand in it."""
    style, script = _asset("page.css"), _asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield element("meta", http_equiv="Content-Security-Policy", content=policy) + "\n"
    yield element("meta", name="viewport", content="width=device-width, initial-scale=1") + "\n"
    yield element("meta", name="color-scheme", content="light dark") + "\n"
    yield element("meta", name="referrer", content="no-referrer") + "\n"
    yield element("title", title) + "\n"
    yield f"<style>{style}</style>\n</head>\n<body>\n"
    for piece in body:
        yield piece + "\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n"


@cache
def _asset(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(inline: str) -> str:
    return f"sha256-{b64encode(sha256(inline.encode()).digest()).decode()}"
