"""How results are written: a format turns findings, principals or the catalogue into text and knows no source.

Each format is a module of its own with a function for each thing that it can write; one is imported when it is asked
for, so that JSON lines never pay for tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final, Literal, cast

from streams.terminal import Screen

What = Literal["findings", "reports", "principals", "detectors", "explanations", "weaknesses", "differences"]
Write = Callable[[list[Any], Screen], Iterator[str]]

FORMATS: Final[dict[What, tuple[str, ...]]] = {
    "findings": ("table", "jsonl", "csv", "ocsf"),
    "reports": ("html",),
    "principals": ("table", "jsonl", "csv"),
    "detectors": ("table", "jsonl", "markdown"),
    "explanations": ("table", "jsonl", "html"),
    "weaknesses": ("table", "jsonl"),
    "differences": ("table", "jsonl"),
}


def writer(what: What, name: str) -> Write:
    """Give the function that writes findings, principals or detectors in a format, as pieces of text in order."""
    return cast("Write", getattr(import_module(f"streams.formats.{name}"), what))
