"""CSV as RFC 4180 has it, one row a finding or principal, for spreadsheets and for whatever reads tables.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, and events hold strings that an
attacker chose: no cell leaves here that one would run. Every cell is quoted, every control character visible.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO
from operator import attrgetter
from typing import Any, Final

import msgspec

from models.engine import Principal
from models.finding import Finding
from streams.terminal import Screen, visible

# What starts a formula, in ASCII, full width and the small forms that some input methods write; blanks and quotes
# before it are skipped by spreadsheets, and a semicolon is where half of Europe's split a line.
_FORMULA = re.compile(
    "(^|;)(?=[\\s\"'`\u2018-\u201f\uff02\uff07]*[=+\\-@\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b])"
)

Column = Callable[[Any], object]


def findings(found: list[Finding], screen: Screen) -> Iterator[str]:  # noqa: ARG001 - a row is as wide as it is
    """Write findings, under a row of headings."""
    return _table(FINDING_COLUMNS, found)


def principals(known: list[Principal], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write principals, under a row of headings."""
    return _table(PRINCIPAL_COLUMNS, known)


def defuse(text: str) -> str:
    """Make a cell that no spreadsheet runs: an apostrophe goes before whatever would start a formula."""
    return _FORMULA.sub(r"\1'", visible(text))


def _table(columns: dict[str, Column], items: list[Any]) -> Iterator[str]:
    yield _row(list(columns))
    for item in items:
        yield _row([_cell(read(item)) for read in columns.values()])


def _row(cells: list[str]) -> str:
    line = StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()


def _cell(value: object) -> str:
    """Write one value: null as nothing, a list joined by semicolons, an object as JSON."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return defuse("; ".join(map(str, value)))
    if isinstance(value, dict):
        return defuse(msgspec.json.encode(value).decode())
    return defuse(str(value))


def _of_evidence(index: int, name: str) -> Column:
    def read(finding: Finding) -> object:
        return getattr(finding.evidence[index], name) if finding.evidence else None

    return read


def _facts(principal: Principal) -> list[str]:
    return [f"tier {each.tier}: {each.fact} ({each.count})" for each in principal.evidence]


FINDING_COLUMNS: Final[dict[str, Column]] = {
    "finding_id": attrgetter("finding_id"),
    "revision": attrgetter("revision"),
    "detector": attrgetter("detector"),
    "stage": attrgetter("stage"),
    "severity": attrgetter("severity"),
    "status": attrgetter("status"),
    "close_reason": attrgetter("close_reason"),
    "opened_at": attrgetter("opened_at"),
    "updated_at": attrgetter("updated_at"),
    "account_id": attrgetter("account_id"),
    "part_of": attrgetter("part_of"),
    "entity_arn": attrgetter("entity.arn"),
    "entity_type": attrgetter("entity.type"),
    "entity_class": attrgetter("entity.class_"),
    "entity_class_tier": attrgetter("entity.class_tier"),
    "subject": attrgetter("subject"),
    "actor_arn": attrgetter("actor.arn"),
    "actor_class": attrgetter("actor.class_"),
    "actor_origin": attrgetter("actor.origin"),
    "title": attrgetter("title"),
    "summary": attrgetter("summary"),
    "seen": attrgetter("seen"),
    "expected": attrgetter("expected"),
    "first_event_id": _of_evidence(0, "event_id"),
    "first_event_time": _of_evidence(0, "event_time"),
    "first_event_source": _of_evidence(0, "event_source"),
    "first_event_name": _of_evidence(0, "event_name"),
    "first_source_ip": _of_evidence(0, "source_ip"),
    "first_user_agent": _of_evidence(0, "user_agent"),
    "first_region": _of_evidence(0, "region"),
    "last_event_id": _of_evidence(-1, "event_id"),
    "last_event_time": _of_evidence(-1, "event_time"),
    "evidence_count": attrgetter("evidence_count"),
    "affected_count": attrgetter("affected_count"),
    "affected": attrgetter("affected"),
    "baseline_maturity": attrgetter("baseline.maturity"),
    "baseline_coverage_since": attrgetter("baseline.coverage_since"),
    "attack": attrgetter("attack"),
    "runbook": attrgetter("runbook"),
}
PRINCIPAL_COLUMNS: Final[dict[str, Column]] = {
    "arn": attrgetter("arn"),
    "type": attrgetter("type"),
    "account_id": attrgetter("account_id"),
    "kind": attrgetter("kind"),
    "class": attrgetter("class_"),
    "tier": attrgetter("tier"),
    "probability": attrgetter("probability"),
    "evidence": _facts,
    "human_sessions": attrgetter("sessions.human"),
    "machine_sessions": attrgetter("sessions.machine"),
    "unknown_sessions": attrgetter("sessions.unknown"),
    "events": attrgetter("events"),
    "first_seen": attrgetter("first_seen"),
    "last_seen": attrgetter("last_seen"),
    "path": lambda principal: principal.path or None,
}
