"""How good the learned models are, held against a truth: people told from machines, misuse found within the budget.

An organisation is a folder with a trail and the truth of it (`truth.jsonl`, as `rolehawk simulate` writes it). The same
hours go to two baselines at the same budget: an isolation forest over the same numbers, and a rule that ranks hours by
how many calls they bring for the first time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import log2
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]  # comes without types
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from models.behaviour.classifier import opinion
from models.behaviour.features import FEATURES, is_enough, vector
from models.behaviour.habits import Habits, token
from models.behaviour.learned import Learned
from models.behaviour.surprise import is_known_enough
from models.detectors.behaviour.behaviour_anomaly import BehaviourAnomaly
from models.finding import Finding
from models.incidents.quota import WEEK_S
from models.record import epoch
from models.settings import Settings
from streams.learning.dataset import run
from streams.learning.manners import AS_THEY_ARE, Diary
from streams.learning.measures import calibration_error
from streams.learning.training import fit
from streams.replay import events_of

TRUTH_FILE: Final = "truth.jsonl"
ANOMALY: Final = BehaviourAnomaly.name
NEAR_H: Final = 2  # hours after its begin in which an incident may be found
FOREST_TREES: Final = 100

# What of the features goes together, for the question what each part is worth.
GROUPS: Final = {
    "times between calls": ("gap_median", "gap_spread", "gap_entropy", "gap_mode", "same_second"),
    "hours and days": (
        "hour_of_week_evenness", "hour_of_day_evenness", "silent_hours", "weekend_share", "weekday_evenness",
        "active_days", "hours_per_day", "minute_evenness", "same_minute",
    ),
    "bursts": ("burst_length", "burst_spread", "burst_calls", "events_per_hour"),
    "calls": ("api_count", "api_entropy", "pair_entropy", "write_share", "error_share"),
    "networks, clients, regions": (
        "place_count", "place_changes", "client_count", "client_changes", "region_count", "top_region",
    ),
}  # fmt: skip
TIMES_ALONE: Final = "times between calls"
NOTHING: Final = "nothing"  # left out


@dataclass
class Judged:
    """One principal in one manner: what it is, and what the model says of it."""

    organisation: str
    arn: str
    platform: str
    manner: str
    is_human: bool
    vector: list[float] | None  # None: too little behind it
    probability: float | None = None
    is_sure: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether the model is sure of it, and mistaken."""
        return self.is_sure and ((self.probability or 0.0) >= 0.5) != self.is_human


@dataclass
class HourSeen:
    """One hour of an entity that is known well enough, as the baselines see it."""

    arn: str
    number: int
    numbers: list[float]
    new_calls: int


@dataclass
class Organisation:
    """What came of one organisation."""

    name: str
    weeks: float = 0.0
    judged: list[Judged] = field(default_factory=list)
    alerts: list[Finding] = field(default_factory=list)
    owed: list[dict[str, Any]] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)
    found_by_forest: list[dict[str, Any]] = field(default_factory=list)
    found_by_rule: list[dict[str, Any]] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)  # events of an incident until it was found


def evaluate(
    name: str,
    paths: list[str],
    truth: Sequence[dict[str, Any]],
    learned: Learned | None = None,
    settings: Settings | None = None,
) -> Organisation:
    """Replay one organisation's trail and hold what is found against its truth; raises OSError."""
    result = Organisation(name)
    hours: list[HourSeen] = []

    def on_hour(arn: str, habits: Habits) -> None:
        if is_known_enough(habits):
            hours.append(_seen(arn, habits))

    diary = Diary()
    engine = run(paths, settings=settings, learned=learned, on_hour=on_hour, diary=diary)
    people = {row["arn"]: row for row in truth if row["kind"] == "principal"}
    for arn, profile in sorted(engine.behaviour.profiles.items()):
        row = people.get(arn)
        if row is None or profile.habits is None or row["principal_kind"] not in ("human", "machine"):
            continue
        is_human = row["principal_kind"] == "human"
        for manner, habits in (
            (AS_THEY_ARE, profile.habits),
            *diary.in_manners(arn, is_human=is_human),
        ):
            said = opinion(engine.behaviour.learned.people, habits)
            result.judged.append(
                Judged(
                    name,
                    arn,
                    row["platform"],
                    manner,
                    is_human,
                    vector(habits) if is_enough(habits) else None,
                    None if said is None else said.probability,
                    said is not None and said.side is not None,
                )
            )
    result.owed = [row for row in truth if row["kind"] == "finding" and row["detector"] == ANOMALY]
    result.alerts = [each for each in engine.findings() if each.detector == ANOMALY]
    quota = engine.incidents.quota
    result.weeks = 0.0 if quota.since is None else max((engine.now - quota.since) / WEEK_S - 1, 0.0)
    ids = {event_id for row in result.owed for event_id in row["event_ids"]}
    times = {event.event_id: event.at for event in events_of(paths) if event.event_id in ids} if ids else {}
    _hold(result, hours, times)
    return result


def read_truth(folder: Path) -> list[dict[str, Any]]:
    """Read a truth file; raises OSError, and ValueError that names file and line."""
    path, rows = folder / TRUTH_FILE, []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        rows.append(row)
    return rows


def _seen(arn: str, habits: Habits) -> HourSeen:
    hour = habits.hour
    assert hour is not None  # noqa: S101 - told of hours that are over
    new = [
        sum(each not in known for each in came)
        for came, known in (
            (map(token, hour.apis), habits.apis), (map(token, hour.places), habits.places),
            (hour.clients, habits.clients), (map(token, hour.regions), habits.regions),
        )
    ]  # fmt: skip
    of_day, day = hour.of_week % 24, hour.of_week // 24
    numbers = [
        log2(max(hour.events, 1)) - habits.volume / max(habits.active_hours, 1),
        float(hour.errors),
        hour.writes / max(hour.events, 1),
        float(len(hour.apis)),
        *map(float, new),
        sum(habits.hours[of_day::24]) / max(habits.active_hours, 1),
        sum(habits.hours[24 * day : 24 * day + 24]) / max(habits.active_hours, 1),
        log2(max(habits.active_hours, 1)),
    ]
    return HourSeen(arn, hour.number, numbers, new[0])


def _hold(result: Organisation, hours: list[HourSeen], times: dict[str, int]) -> None:
    """Look which incidents each of the three found, with as many alerts each."""
    budget = len(result.alerts)
    forest: set[tuple[str, int]] = set()
    if hours and budget:
        numbers = np.array([each.numbers for each in hours])
        scores = IsolationForest(n_estimators=FOREST_TREES, random_state=0).fit(numbers).score_samples(numbers)
        forest = {(hours[place].arn, hours[place].number) for place in np.argsort(scores)[:budget]}
    ranked = sorted(hours, key=lambda each: (-each.new_calls, each.number, each.arn))[:budget]
    rule = {(each.arn, each.number) for each in ranked if each.new_calls}
    for row in result.owed:
        begins = epoch(row["opened_at"]) // 3_600
        near = {(row["entity_arn"], begins + later) for later in range(NEAR_H + 1)}
        ours = [each for each in result.alerts if each.entity.arn == row["entity_arn"] and _is_of(each, row, near)]
        if ours:
            result.found.append(row)
            result.delays.append(_delay(ours, row, times))
        if near & forest:
            result.found_by_forest.append(row)
        if near & rule:
            result.found_by_rule.append(row)


def _delay(ours: list[Finding], row: dict[str, Any], times: dict[str, int]) -> int:
    """Count an incident's events until it was found: an hour is judged when it is over."""
    found_at = (min(epoch(each.opened_at) for each in ours) // 3_600 + 1) * 3_600
    return sum(times.get(each, found_at) < found_at for each in row["event_ids"])


def _is_of(finding: Finding, row: dict[str, Any], near: set[tuple[str, int]]) -> bool:
    return any(
        seen.event_id in row["event_ids"] or (finding.entity.arn, epoch(seen.event_time) // 3_600) in near
        for seen in finding.evidence
    )


class Tally(NamedTuple):
    """How those of one sort fared."""

    judged: int
    abstained: int
    wrong: int  # and sure of it


@dataclass(frozen=True)
class People:
    """How well people are told from machines, over all organisations: as they are, and in other manners."""

    judged: int
    too_few: int
    abstained: int
    auc: float
    auc_times_alone: float
    error: float
    wrong: list[Judged]
    by_kind: dict[str, Tally]  # what they are: as they are
    by_manner: dict[str, Tally]
    auc_without: dict[str, float]  # group of features left out -> what is left, in all manners


def people_of(organisations: Sequence[Organisation]) -> People:
    """Measure over all organisations; the ablation fits each anew, on the organisations that it is not asked about."""
    everyone = [each for organisation in organisations for each in organisation.judged]
    judged = [each for each in everyone if each.manner == AS_THEY_ARE]
    known = [each for each in judged if each.probability is not None]
    labels = np.array([float(each.is_human) for each in known])
    probabilities = np.array([each.probability or 0.0 for each in known])
    return People(
        judged=len(known),
        too_few=len(judged) - len(known),
        abstained=sum(not each.is_sure for each in known),
        auc=_auc(labels, probabilities),
        auc_times_alone=_fitted_auc(judged, GROUPS[TIMES_ALONE]),
        error=calibration_error(probabilities, labels),
        wrong=[each for each in known if each.is_wrong],
        by_kind=_tallies(judged, attrgetter("platform")),
        by_manner=_tallies(everyone, attrgetter("manner")),
        auc_without={
            group: _fitted_auc(everyone, [each.name for each in FEATURES if each.name not in names])
            for group, names in {NOTHING: (), **GROUPS}.items()
        },
    )


def _tallies(judged: Iterable[Judged], sort: Callable[[Judged], str]) -> dict[str, Tally]:
    """Count by sort, in the order of their names; what has too little behind it is left out."""
    by_sort: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        if each.probability is not None:
            by_sort[sort(each)].append(each)
    return {
        name: Tally(len(some), sum(not each.is_sure for each in some), sum(each.is_wrong for each in some))
        for name, some in sorted(by_sort.items())
    }


def _fitted_auc(judged: Iterable[Judged], names: Collection[str]) -> float:
    """Fit on some features alone, each organisation judged by a model of the others; the area under the curve."""
    columns = [place for place, each in enumerate(FEATURES) if each.name in names]
    by_organisation: dict[str, list[Judged]] = defaultdict(list)
    for each in judged:
        if each.vector is not None:
            by_organisation[each.organisation].append(each)
    sums, labels = [], []
    for name, asked in by_organisation.items():
        others = [each for other, some in by_organisation.items() if other != name for each in some]
        if len({each.is_human for each in others}) < 2:
            return float("nan")
        fitted = fit(*_columns(others, columns))
        vectors, known = _columns(asked, columns)
        sums.append(fitted.sums(vectors))
        labels.append(known)
    return _auc(np.concatenate(labels), np.concatenate(sums)) if sums else float("nan")


def _columns(judged: Sequence[Judged], columns: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    vectors = np.array([each.vector for each in judged])[:, columns]
    return vectors, np.array([float(each.is_human) for each in judged])


def _auc(labels: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    return float(roc_auc_score(labels, scores)) if len(set(labels.tolist())) == 2 else float("nan")


@dataclass(frozen=True)
class Anomalies:
    """What was found of misuse that no rule names, over all organisations."""

    weeks: float
    alerts: int
    owed: Counter[str]  # by story
    found: Counter[str]
    by_forest: Counter[str]
    by_rule: Counter[str]
    delays: list[int]

    @property
    def per_week(self) -> float:
        """Alerts a week and organisation, once the first week of watching is over."""
        return self.alerts / self.weeks if self.weeks else 0.0

    @property
    def precision(self) -> float:
        """The share of alerts that were an incident."""
        return sum(self.found.values()) / self.alerts if self.alerts else 0.0


def anomalies_of(organisations: Sequence[Organisation]) -> Anomalies:
    """Sum up over all organisations."""
    return Anomalies(
        weeks=sum(each.weeks for each in organisations),
        alerts=sum(len(each.alerts) for each in organisations),
        owed=_stories(each.owed for each in organisations),
        found=_stories(each.found for each in organisations),
        by_forest=_stories(each.found_by_forest for each in organisations),
        by_rule=_stories(each.found_by_rule for each in organisations),
        delays=[delay for each in organisations for delay in each.delays],
    )


def _stories(rows: Iterable[list[dict[str, Any]]]) -> Counter[str]:
    return Counter(row["story"] for some in rows for row in some)
