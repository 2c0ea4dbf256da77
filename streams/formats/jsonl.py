"""JSON lines: one object a line, keys in the order of the record, the same bytes for the same results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from models.detector import Rule
from models.engine import Principal
from models.explanation import Explanation
from models.facts import LADDER, Facts
from models.finding import Finding, Severity, Stage
from streams.terminal import Screen, safe_json

if TYPE_CHECKING:
    from streams.policies import Answer, Changed


class Entry(Struct, frozen=True):
    """A detector as the catalogue lists it. The order of the fields is the order in which they are written."""

    name: str
    enabled: bool
    severity: str
    stage: Stage
    life: str
    quiet_hours: float | None  # of an incident
    desk: str
    family: str
    attack: tuple[str, ...]
    chain_stage: str | None
    summary: str
    calls: list[str]
    facts: list[str]
    settings: dict[str, Any]
    known_gaps: str
    runbook: str


def findings(found: list[Finding], screen: Screen) -> Iterator[str]:  # noqa: ARG001 - a line is as wide as it is
    """Write findings."""
    return map(line, found)


def principals(known: list[Principal], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write principals."""
    return map(line, known)


def detectors(rules: list[Rule[Any]], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write the catalogue, as the settings have it in force."""
    return (line(entry(rule)) for rule in rules)


def explanations(told: list[Explanation], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write stories."""
    return map(line, told)


def weaknesses(found: list[Answer], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write what is wrong with policies."""
    return map(line, found)


def differences(found: list[Changed], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write what changes of policies newly allow."""
    return map(line, found)


def line(value: object) -> str:
    """Write one value as a line of JSON that is safe to print."""
    return safe_json(msgspec.json.encode(value).decode()) + "\n"


def entry(rule: Rule[Any]) -> Entry:
    """Describe a detector as it is in force."""
    detector, tuning = rule.detector, rule.tuning
    return Entry(
        name=detector.name,
        enabled=tuning.enabled,
        severity=severity_in_force(rule).label,
        stage=tuning.stage,
        life=detector.life,
        quiet_hours=tuning.quiet_hours if detector.life == "incident" else None,
        desk=detector.desk,
        family=detector.family,
        attack=detector.attack,
        chain_stage=detector.chain_stage,
        summary=detector.summary,
        calls=[f"{source}:{name}" for source, name in detector.calls],
        facts=list(fact_names(detector.facts | detector.new_facts)),
        settings=msgspec.structs.asdict(detector),
        known_gaps=detector.known_gaps,
        runbook=detector.runbook,
    )


def severity_in_force(rule: Rule[Any]) -> Severity:
    """Say which severity a detector's findings start from: the settings', else its own."""
    named = rule.tuning.severity
    severity: Severity = rule.detector.severity if named is None else Severity.parse(named)
    return severity


def fact_names(mask: int) -> Iterable[str]:
    """Name the facts that a detector looks at."""
    return (LADDER[fact].text if fact in LADDER else fact.name.lower() for fact in Facts if mask & fact)
