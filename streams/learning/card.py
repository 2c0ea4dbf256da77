"""The model card: what the learned models were made of, how good they are, where they fail. Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.behaviour.features import FEATURES, MIN_ACTIVE_DAYS, MIN_ACTIVE_HOURS, MIN_EVENTS
from models.behaviour.learned import Learned
from models.behaviour.routine import AGED_DAYS
from models.behaviour.surprise import MIN_ACTIVE_DAYS as MIN_DAYS_JUDGED
from models.behaviour.surprise import MIN_ACTIVE_HOURS as MIN_HOURS_JUDGED
from streams.learning.evaluation import Anomalies, Judged, Organisation, People, Tally

MAX_WRONG = 20


def card(
    learned: Learned, organisations: Sequence[Organisation], people: People, found: Anomalies, command: str
) -> str:
    """Write the card."""
    data = learned.data
    lines = [
        "# Model card: the learned models",
        "",
        f"Made by `{command}`. Made-up organisations are plainer than real ones: what is missed here is missed for certain,",
        "what is found here may not be in life.",
        "",
        "## What they were made of",
        "",
        f"- {len(data.get('organisations', []))} organisations, {data.get('events', 0):,} events, eras {', '.join(data.get('eras', []))};",
        f"  {data.get('people', 0):,} people and {data.get('machines', 0):,} machines that AWS or the configuration vouches for",
        f"  (tiers 1 and 2); {data.get('too_few_events', 0):,} more had too little behind them. Many of them once more in other",
        f"  manners: {data.get('in_other_manners', 0):,}.",
        f"- Data {learned.data_hash}, features {learned.features_hash}, by {learned.made_by}.",
        "- Held out, each organisation by a model that never saw it: "
        + ", ".join(
            f"{name.removeprefix('held_out_').replace('_', ' ')} {value:.4f}" for name, value in learned.metrics.items()
        )
        + ".",
        "",
        "## People and machines",
        "",
        f"{len(organisations)} other organisations, {people.judged:,} principals; {people.too_few:,} more had too little behind them",
        f"(under {MIN_EVENTS} calls of their own, {MIN_ACTIVE_HOURS} active hours or {MIN_ACTIVE_DAYS} days).",
        "",
        "| measure | value |",
        "|---|---:|",
        f"| area under the ROC curve | {people.auc:.4f} |",
        f"| expected calibration error | {people.error:.4f} |",
        f"| abstained | {people.abstained / max(people.judged, 1):.1%} |",
        f"| sure and wrong | {len(people.wrong):,} |",
        f"| area under the curve of a model of times between calls alone | {people.auc_times_alone:.4f} |",
        "",
        *_tallied("what they are", people.by_kind),
        "The same principals once more, each in manners that the trail does not hold: a machine by the clock or on the move, a",
        "person at one desk or with a script. It was trained on such manners of other organisations' principals.",
        "",
        *_tallied("manner", people.by_manner),
        "What is left when a group of features is left out, fitted anew, in all manners:",
        "",
        "| without | area under the curve |",
        "|---|---:|",
        *(f"| {group} | {auc:.4f} |" for group, auc in people.auc_without.items()),
        "",
        *_wrong(people.wrong),
        "## Behaviour that does not fit",
        "",
        f"{found.alerts:,} alerts in {found.weeks:,.0f} weeks of organisations: {found.per_week:.2f} a week each, the first week of",
        f"watching aside. {found.precision:.0%} of them were an injected incident. The baselines have as many alerts each.",
        "",
        "| incident that no rule names | injected | found | isolation forest | first-seen calls |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {story} | {count} | {found.found[story]} | {found.by_forest[story]} | {found.by_rule[story]} |"
            for story, count in sorted(found.owed.items())
        ),
        (
            f"| all | {sum(found.owed.values())} | {sum(found.found.values())} | {sum(found.by_forest.values())} "
            f"| {sum(found.by_rule.values())} |"
        ),
        "",
        *_delays(found.delays),
        "## Limits",
        "",
        f"- An entity is judged after {MIN_HOURS_JUDGED} active hours on {MIN_DAYS_JUDGED} days; before, it is said to be learning.",
        "- An hour is judged when it is over: what happens in it has happened.",
        f"- What is too strange is learned after {AGED_DAYS} days, or at once where a suppression accepts it.",
        "- Whoever keeps to what an entity always does, when and from where it always does it, is not seen.",
        "- A person who works around the clock, or one whose script a timer starts, is told as a machine.",
        "- In a stream of several shards the budget sees candidates about in their order; in a replay exactly so.",
        "",
        "## Features",
        "",
        "None reads a type, a name, a user agent or a console flag; networks and clients count as alike or not.",
        "",
        "| feature | unit | range | what |",
        "|---|---|---|---|",
        *(f"| `{each.name}` | {each.unit} | {each.low:g} to {each.high:g} | {each.what} |" for each in FEATURES),
        "",
    ]
    return "\n".join(lines)


def _tallied(sort: str, tallies: Mapping[str, Tally]) -> list[str]:
    return [
        f"| {sort} | judged | abstained | sure and wrong |",
        "|---|---:|---:|---:|",
        *(f"| {name} | {each.judged:,} | {each.abstained:,} | {each.wrong:,} |" for name, each in tallies.items()),
        "",
    ]


def _wrong(wrong: Sequence[Judged]) -> list[str]:
    if not wrong:
        return ["Of those that it was sure of none was wrong.", ""]
    rows = [
        f"- {each.organisation}: {each.platform}, in truth {'a person' if each.is_human else 'a machine'}, "
        f"probability of a person {each.probability:.3f}"
        for each in wrong[:MAX_WRONG]
    ]
    return ["Sure, and wrong:", "", *rows, ""]


def _delays(delays: Sequence[int]) -> list[str]:
    if not delays:
        return []
    ordered = sorted(delays)
    return [
        f"Events of an incident until its hour was over and judged: median {ordered[len(ordered) // 2]}, at most {ordered[-1]}.",
        "",
    ]
