"""Replays simulated organisations of unseen seeds and holds what is found against the truth of them.

    python -m bench.against_truth -o docs/against-truth.md [--seeds 9001-9008] [--events 30000]

A finding that is owed counts as found where detector and entity agree, and the subject where the truth is certain of
it. Whatever else is found is a false alarm, unless the truth tolerates it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, get_args

from models.detectors import REGISTRY
from models.engine import Principal
from models.finding import Class, Finding, Severity
from models.settings import parse_settings
from streams.replay import replay
from streams.simulate import SETTINGS_FILE, TRUTH_FILE, simulate, write_truth
from streams.sources.simulated.delivery import Folder
from streams.sources.simulated.organisation import START, START_OLD, Era, Plan
from streams.sources.simulated.stories import BY_NAME, fitting
from streams.sources.simulated.world import World

Row = dict[str, Any]

EVENTS: Final = 30_000
DAYS: Final = 14
ACCOUNTS: Final = 5
ERAS: Final[tuple[Era, ...]] = ("new", "both")
MAX_NAMED: Final = 20  # misses and false alarms that are named one by one
CHAIN: Final = "attack-chain"
SEVERITIES: Final = tuple(each.label for each in reversed(Severity))


class Score:
    """What came of all trails together, detector by detector."""

    def __init__(self, detectors: Iterable[str]) -> None:
        self.detectors = tuple(detectors)
        self.events = 0
        self.owed: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.as_severe: Counter[str] = Counter()  # found, and of the severity that the truth names
        self.severity_named: Counter[str] = Counter()  # found, where it names one
        self.near_misses: Counter[str] = Counter()
        self.roused: Counter[str] = Counter()
        self.false_alarms: Counter[tuple[str, str]] = Counter()  # by detector and severity
        self.classes: Counter[tuple[str, str]] = Counter()  # truth and answer
        self.named: list[str] = []

    def add(self, where: str, truth: list[Row], findings: list[Finding], principals: list[Principal]) -> None:
        """Hold what was found in one trail against its truth."""
        self._count_owed(where, [row for row in truth if row["kind"] == "finding"], findings)
        known = {(row["detector"], row["entity_arn"]) for row in truth if row["kind"] in ("finding", "tolerated")}
        acts = {event for row in truth if row["kind"] in ("finding", "tolerated") for event in row["event_ids"]}
        for each in findings:
            # What another detector says of an injected act is no alarm over ordinary life.
            is_of_an_act = any(event.event_id in acts for event in each.evidence)
            if (each.detector, each.entity.arn) not in known and not is_of_an_act:
                self.false_alarms[each.detector, each.severity] += 1
                self._name(f"false alarm: {where}, `{each.detector}`, {each.severity}: {each.title}")
        for row in truth:
            if row["kind"] == "near_miss" and row["detector"] in self.detectors:
                self.near_misses[row["detector"]] += 1
                self.roused[row["detector"]] += _is_roused(row, findings, known)
        answers = {each.arn: each.class_ for each in principals}
        for row in truth:
            if row["kind"] == "principal" and row["class"] != "unknown" and row["principal_kind"] != "mixed":
                self.classes[row["class"], answers.get(row["arn"], "unknown")] += 1

    def _count_owed(self, where: str, owed: list[Row], findings: list[Finding]) -> None:
        for row in owed:
            if (detector := row["detector"]) not in self.detectors or not self._has_parts(row):
                continue
            self.owed[detector] += 1
            fits = [each for each in findings if _fits(row, each)]
            if not fits:
                self._name(f"missed: {where}, `{detector}`, story {row['story']}")
                continue
            self.found[detector] += 1
            if "severity" in row:
                self.severity_named[detector] += 1
                self.as_severe[detector] += any(each.severity == row["severity"] for each in fits)

    def _has_parts(self, row: Row) -> bool:
        """Say whether all detectors of a chain's parts are there: a chain is made of their findings."""
        return row["detector"] != CHAIN or set(BY_NAME[row["story"]].detectors) <= set(self.detectors)

    def _name(self, text: str) -> None:
        if len(self.named) < MAX_NAMED:
            self.named.append(text)


def _fits(row: Row, finding: Finding) -> bool:
    return (
        finding.detector == row["detector"]
        and finding.entity.arn == row["entity_arn"]
        and row.get("subject") in (None, finding.subject)
    )


def _is_roused(row: Row, findings: list[Finding], known: set[tuple[str, str]]) -> bool:
    """Say whether a detector made something of a near miss: of its events, or of its entity where nothing is owed."""
    is_known = (row["detector"], row["entity_arn"]) in known
    return any(
        each.detector == row["detector"]
        and each.entity.arn == row["entity_arn"]
        and (not is_known or {evidence.event_id for evidence in each.evidence} <= set(row["event_ids"]))
        for each in findings
    )


def run(seeds: Iterable[int], events: int) -> Score:
    """Simulate, replay and score a trail for each seed and era."""
    score = Score(sorted(detector.name for detector in REGISTRY))
    for seed in seeds:
        for era in ERAS:
            start_at = START if era == "new" else START_OLD
            plan = Plan(seed=seed, events=events, days=DAYS, accounts=ACCOUNTS, start_at=start_at, era=era)
            with TemporaryDirectory() as folder:
                _one(Path(folder), replace(plan, stories=fitting(plan)), score)
    return score


def _one(folder: Path, plan: Plan, score: Score) -> None:
    world = World(plan)
    simulate(world, Folder(folder, world.organisation))
    write_truth(folder, world)
    settings = parse_settings((folder / SETTINGS_FILE).read_text())
    result = replay([str(folder / "AWSLogs")], settings)
    truth = [json.loads(line) for line in (folder / TRUTH_FILE).read_text().splitlines()]
    score.events += result.summary.events
    score.add(f"seed {plan.seed}, {plan.era}", truth, result.findings, result.principals)


def report(score: Score, seeds: Iterable[int]) -> Iterator[str]:
    """Write the table, line by line."""
    yield "# Findings held against the truth"
    yield ""
    yield "Made by `python -m bench.against_truth -o docs/against-truth.md`. Simulated organisations with all that can go"
    yield f"wrong in {DAYS} days ([simulate](simulate.md)), seeds {', '.join(map(str, seeds))}, new records alone and both eras,"
    yield f"{score.events:,} events together, settings as each organisation's own. Simulated people and machines are plainer"
    yield "than real ones: what is missed here is missed for certain, what is found here may not be in life. A chain is owed"
    yield "once the detectors of all its parts are there."
    yield ""
    yield "| detector | owed | found | severity as expected | near misses | roused | false alarms |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name in score.detectors:
        alarms = sum(count for (detector, _), count in score.false_alarms.items() if detector == name)
        severe = f"{score.as_severe[name]} of {score.severity_named[name]}"
        yield (
            f"| `{name}` | {score.owed[name]} | {score.found[name]} | {severe} | "
            f"{score.near_misses[name]} | {score.roused[name]} | {alarms} |"
        )
    yield ""
    yield "| false alarms | " + " | ".join(SEVERITIES) + " |"
    yield "|---|" + "---:|" * len(SEVERITIES)
    counts = [
        sum(count for (_, severity), count in score.false_alarms.items() if severity == each) for each in SEVERITIES
    ]
    yield "| in all | " + " | ".join(map(str, counts)) + " |"
    yield "| per 1,000 events | " + " | ".join(f"{count / max(1, score.events) * 1000:.4f}" for count in counts) + " |"
    yield ""
    yield "## Who is what"
    yield ""
    yield "Principals that the truth is certain of, and that one kind alone uses."
    yield ""
    answers = get_args(Class)
    yield "| in truth | " + " | ".join(f"said {each}" for each in answers) + " |"
    yield "|---|" + "---:|" * len(answers)
    for truth in [each for each in answers if any(kind == each for kind, _ in score.classes)]:
        yield f"| {truth} | " + " | ".join(str(score.classes[truth, each]) for each in answers) + " |"
    if score.named:
        yield ""
        yield f"## Missed, or found in error (at most {MAX_NAMED})"
        yield ""
        yield from (f"- {each}" for each in score.named)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> None:
    """Write the report where -o says, else to stdout."""
    parser = argparse.ArgumentParser(prog="python -m bench.against_truth", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, metavar="FILE")
    parser.add_argument("--seeds", type=_seeds, default=range(9_001, 9_009), metavar="FIRST-LAST")
    parser.add_argument("--events", type=int, default=EVENTS, help="of each trail")
    chosen = parser.parse_args()
    text = "\n".join(report(run(chosen.seeds, chosen.events), chosen.seeds)) + "\n"
    if chosen.output is None:
        print(text, end="")
    else:
        chosen.output.write_text(text)


if __name__ == "__main__":
    main()
