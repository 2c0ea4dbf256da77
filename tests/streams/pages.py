"""Reports to test with: the sample trail's, and one in which every string is an attack."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import fields, replace

from models.explanation import Explanation
from models.finding import Finding
from models.settings import parse_settings
from models.trail import Rejected
from streams.formats import writer
from streams.formats.html import Report
from streams.replay import events_of, replay
from streams.report import report_of
from streams.terminal import Screen
from tests.streams.test_explanation import TOLD
from tests.streams.test_formats import FINDING, PRINCIPAL

SAMPLE: Final = Path(__file__).parents[2] / "examples/sample-trail"

HOSTILE: Final = (
    "<script>document.title='owned'</script>",
    "</title></style></script><img src=x onerror=document.title='owned'>",
    "\"><svg onload=document.title='owned'>",
    "' onmouseover='document.title=1' x='",
    "javascript:document.title='owned'",
    "&lt;b&gt;&#x3c;i&#62;&amp;",
    "]]><!--<b>--><![CDATA[",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\x1b]0;owned\x07\x1b[2J\x9b31m\rnext\nline\x00",
    "\u202egnp.exe\u202c\u2066x\u2069\u200b\u200f\ufeff\u00ad",
    "\U000e0041\U000e0042 tagged",
    "\u05d0\u05d1\u05d2 \u0627\u0628 abc",
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    " \t=1+1",
    "\uff1d1+1",
    "x" * 512,
    "\ud800 alone",
)
KEPT: Final = frozenset(
    {"severity", "stage", "status", "close_reason", "opened_at", "updated_at", "kind", "since", "until"}
)


def written(report: Report) -> str:
    """Write a report as one text."""
    return "".join(writer("reports", "html")([report], Screen()))


def sample_report(*, with_history: bool = False) -> Report:
    """Make the report of the sample trail."""
    settings = parse_settings((SAMPLE / "rolehawk.toml").read_text())
    paths = [str(SAMPLE / "AWSLogs")]
    result = replay(paths, settings, with_history=True)
    changes = result.history if with_history else []
    return report_of(result, result.findings, changes, result.principals, events_of(paths))


def small_report(**changes: Any) -> Report:
    """Make a report with one finding, all of whose sections are filled."""
    chain = replace(FINDING, finding_id="c" * 32, detector="attack-chain")
    told: Explanation = replace(TOLD, parts=[TOLD.chain])
    report = Report(
        facts=[("read", "1 file, 2 events")],
        since="2024-05-01T00:00:00Z",
        until="2024-05-02T00:00:00Z",
        faults=["detector x failed"],
        rejected=[Rejected("AWSLogs/a.json", 3, "eventTime", "no time", b"{}")],
        rejected_count=7,
        findings=[chain, FINDING],
        stories=[told],
        changes={FINDING.finding_id: [replace(FINDING, revision=1), FINDING]},
        principals=[PRINCIPAL],
        version="1",
    )
    return replace(report, **changes)


def hostile(value: Any, attack: str) -> Any:
    """Put an attack in the place of every string of a value, but for those that rolehawk alone writes."""
    if isinstance(value, str):
        return attack
    if isinstance(value, list | tuple):
        return type(value)(hostile(each, attack) for each in value)
    if isinstance(value, dict):
        return {key if len(key) == 32 else attack: hostile(each, attack) for key, each in value.items()}
    if isinstance(value, msgspec.Struct):
        kept = KEPT - ({"since", "until"} if type(value).__name__ == "Timeline" else set())
        return replace(
            value,
            **{
                field.name: hostile(getattr(value, field.name), attack)
                for field in fields(value)
                if field.name not in kept and field.name != "attack"
            },
        )
    return value


def hostile_report(attack: str) -> Report:
    """Make a report with an attack in every field."""
    report: Report = hostile(small_report(), attack)
    finding: Finding = replace(report.findings[0], attack=(attack,))
    return replace(report, findings=[finding, *report.findings[1:]])
