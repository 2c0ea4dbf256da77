"""The catalogue as a page: docs/detectors.md, one section per detector, headed by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from models.detector import Rule
from streams.formats.jsonl import entry
from streams.terminal import Screen

HEAD = """\
# Detectors

What rolehawk detects. Written by `rolehawk detectors --format markdown`; the settings here are the defaults.
A detector is tuned in `rolehawk.toml` under its name, `[detectors.NAME]`: see [settings](settings.md). An *incident*
closes by itself after quiet hours without evidence; a *condition* closes when what it names is no more.

| detector | severity | fires when |
|---|---|---|
"""


def detectors(rules: list[Rule[Any]], screen: Screen) -> Iterator[str]:  # noqa: ARG001 - a page has no width
    """Write the page."""
    yield HEAD
    for rule in rules:
        each = rule.detector
        yield f"| [`{each.name}`](#{each.name}) | {each.severity.label} | {_cell(each.summary)} |\n"
    for rule in rules:
        yield "\n"
        yield from _section(rule)


def _section(rule: Rule[Any]) -> Iterator[str]:
    each = entry(rule)
    life = "condition" if each.quiet_hours is None else f"incident, closes after {each.quiet_hours:g} quiet hours"
    yield f"## {each.name}\n\n{_sentence(each.summary)}\n\n"
    yield "| | |\n|---|---|\n"
    yield f"| severity | {each.severity} |\n| life | {life} |\n| desk | {each.desk} |\n"
    yield f"| ATT&CK | {', '.join(_technique(technique) for technique in each.attack)} |\n"
    yield f"| chain stage | {each.chain_stage or 'none'} |\n"
    if each.calls:
        yield f"| looks at calls | {', '.join(f'`{call}`' for call in each.calls)} |\n"
    if each.facts:
        yield f"| looks at facts | {_cell('; '.join(each.facts))} |\n"
    yield "\n"
    if fields := msgspec.structs.fields(rule.detector):
        yield "| setting | default | allowed |\n|---|---|---|\n"
        for field in fields:
            yield f"| `{field.encode_name}` | {getattr(rule.detector, field.name)} | {_allowed(field.type)} |\n"
        yield "\n"
    yield f"**Known gaps.** {each.known_gaps}\n\n**Runbook.** {each.runbook}\n"


def _technique(technique: str) -> str:
    return f"[{technique}](https://attack.mitre.org/techniques/{technique.replace('.', '/')}/)"


def _allowed(declared: Any) -> str:  # noqa: ANN401 - a type expression has no narrower type
    """Say which values a setting takes, as its type has it."""
    info = msgspec.inspect.type_info(declared)
    if not isinstance(info, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        return type(info).__name__.removesuffix("Type").lower()
    lowest = f"over {info.gt}" if info.gt is not None else info.ge
    highest = info.lt - 1 if isinstance(info, msgspec.inspect.IntType) and info.lt is not None else info.le
    return " to ".join(str(bound) for bound in (lowest, highest) if bound is not None)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
