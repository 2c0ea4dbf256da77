"""The report of a replay: its result, and what happened around the most severe of its findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from models.engine import Principal
from models.event import Event
from models.explanation import explain_each
from models.finding import Finding
from models.record import iso
from streams.formats.html import Report, ordered
from streams.replay import Result
from streams.summary import facts_of, faults, rejected_of
from streams.version import installed

MAX_STORIES: Final = 300  # findings whose surroundings are gathered; those of the least severe are left out


def report_of(
    result: Result, shown: list[Finding], changes: list[Finding], principals: list[Principal], events: Iterable[Event]
) -> Report:
    """Make the report of what is shown; the trail's events, in any order, tell what happened around it.

    With changes, what is suppressed is shown too, as its last change left it.
    """
    by_id: dict[str, list[Finding]] = {}
    for each in changes:
        by_id.setdefault(each.finding_id, []).append(each)
    known = {each.finding_id for each in shown}
    findings = ordered([*shown, *(revisions[-1] for id_, revisions in by_id.items() if id_ not in known)])
    summary = result.summary
    return Report(
        facts=facts_of(result, shown),
        since=iso(summary.first_at or 0),
        until=iso(summary.last_at or 0),
        faults=[words for _, words in faults(summary)],
        rejected=rejected_of(summary),
        rejected_count=summary.rejected,
        findings=findings,
        stories=explain_each(findings[:MAX_STORIES], result.findings, result.lineages, events),
        changes=by_id,
        principals=principals,
        version=installed(),
    )
