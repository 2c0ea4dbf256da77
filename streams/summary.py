"""How a job went: its summary on stderr, what was rejected, and the exit status that it comes to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from streams.options import CLASSES, SEVERITIES, Options
from streams.output import FOUND, REJECTED, say

if TYPE_CHECKING:
    from models.finding import Finding
    from models.trail import Rejected
    from streams.replay import Result, Summary

MAX_SAMPLES: Final = 5  # rejected records named in the summary
LABEL: Final = 12  # columns of the word that a line begins with

Fact = tuple[str, str]  # a word, and what is said under it


def status_of(options: Options, summary: Summary, shown: list[Finding]) -> int:
    """Decide the exit status of a job that was done; what was found is more urgent than what could not be read."""
    if options.fail_on is not None:
        urgent = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
        if any(each.stage == "live" and each.severity in urgent for each in shown):
            return FOUND
    return REJECTED if options.strict and summary.rejected else 0


def summarise(options: Options, result: Result, shown: list[Finding] | None) -> None:
    """Say on stderr how it went; with --quiet only where a detector failed, for then findings may be missing."""
    lines = _lines(faults(result.summary)) if options.quiet else summary_of(result, shown)
    if lines and options.output is None and sys.stdout is not None and sys.stdout.isatty():
        say("")  # the table stands on the same terminal
    for line in lines:
        say(line)


def summary_of(result: Result, shown: list[Finding] | None) -> list[str]:
    """Sum up a replay in a few lines; shown is what findings were printed, None where none were asked for."""
    summary = result.summary
    facts = _read(summary)
    if summary.rejected:
        facts.append(("REJECTED", f"{counted(summary.rejected, 'record')} could not be read; --rejects FILE keeps all"))
    facts += [("", sample(each)) for each in summary.samples[:MAX_SAMPLES]]
    facts += _found(result, shown)
    if summary.elapsed_s > 0:
        rate = round(summary.events / summary.elapsed_s)
        facts.append(("took", f"{summary.elapsed_s:,.1f} s, {rate:,} events per second"))
    return _lines(facts + faults(summary))


def facts_of(result: Result, shown: list[Finding]) -> list[Fact]:
    """Say what was read and found, each under a word: the same for the same trail, however long it took."""
    return _read(result.summary) + _found(result, shown)


def rejected_of(summary: Summary) -> list[Rejected]:
    """Give the first few that were rejected; among the samples they stand before those that were repaired."""
    return summary.samples[: min(summary.rejected, MAX_SAMPLES)]


def faults(summary: Summary) -> list[Fact]:
    """Name the detectors that failed, and how often."""
    return [
        ("FAULT", f"detector {name} failed on {counted(times, 'event')}: findings of it may be missing")
        for name, times in sorted(summary.detector_errors.items())
    ]


def _lines(facts: list[Fact]) -> list[str]:
    return [f"{word:<{LABEL}}{words}" for word, words in facts]


def _read(summary: Summary) -> list[Fact]:
    facts = [("read", f"{counted(summary.files, 'file')}, {counted(summary.events, 'event')}{_extent(summary)}")]
    left_out = [
        counted(number, noun)
        for number, noun in (
            (summary.duplicates, "duplicate"), (summary.digests, "digest file"),
            (summary.insights, "Insights record"), (summary.others, "other file"),
        )
        if number
    ]  # fmt: skip
    if left_out:
        facts.append(("left out", ", ".join(left_out)))
    if summary.repaired:
        facts.append(("repaired", f"{counted(summary.repaired, 'record')} with an odd value, read all the same"))
    return facts


def _found(result: Result, shown: list[Finding] | None) -> list[Fact]:
    classes: Counter[str] = Counter(each.class_ for each in result.principals)
    facts = [("principals", tally(len(result.principals), classes, CLASSES))]
    if shown is not None:
        severities = Counter(each.severity for each in shown if each.stage == "live")
        notes = [tally(len(shown), severities, SEVERITIES)]
        if shadow := sum(each.stage == "shadow" for each in shown):
            notes.append(f"{shadow:,} in shadow")
        if len(shown) < len(result.findings):
            notes.append(f"{len(result.findings) - len(shown):,} more not shown")
        facts.append(("findings", "; ".join(notes)))
    return facts + [("settings", words) for words in result.summary.idle_suppressions]


def _extent(summary: Summary) -> str:
    if summary.first_at is None or summary.last_at is None:
        return ""
    from models.record import iso  # noqa: PLC0415 - loaded by now

    return f" from {iso(summary.first_at)} to {iso(summary.last_at)}"


def sample(rejected: Rejected) -> str:
    """Name one that was rejected, and why."""
    field = f", {rejected.field}" if rejected.field else ""
    return f"{rejected.file}, record {rejected.record}{field}: {rejected.reason}"


def tally(total: int, counts: Counter[str], order: Sequence[str]) -> str:
    """Write ``12: 3 high, 9 low``, in the order given."""
    parts = ", ".join(f"{counts[each]:,} {each}" for each in order if counts[each])
    return f"{total:,}: {parts}" if parts else f"{total:,}"


def counted(number: int, noun: str) -> str:
    """Write ``1 file`` or ``1,234 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """Put down what was rejected: its content as text, or in base64 where it is not UTF-8."""
    try:
        content, encoding = rejected.content.decode(), "utf-8"
    except UnicodeDecodeError:
        from base64 import b64encode  # noqa: PLC0415 - seldom needed

        content, encoding = b64encode(rejected.content).decode(), "base64"
    return {
        "file": _encodable(rejected.file),
        "record": rejected.record,
        "field": rejected.field and _encodable(rejected.field),
        "reason": _encodable(rejected.reason),
        "content": content,
        "encoding": encoding,
    }


def _encodable(text: str) -> str:
    """Escape what no UTF-8 can hold: a file's name may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
