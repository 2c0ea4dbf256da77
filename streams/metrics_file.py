"""Metrics over a trail's own time, as OpenMetrics text with timestamps: what `promtool` makes blocks of.

Every series has a sample at each step, for Prometheus takes a value to be gone after five minutes without one. In
memory a series is its changes alone. A silence that is no silence of a trail's has none: one record of 1970 would be
half a century of samples.
Source: OpenMetrics 1.0; Prometheus, "Backfilling from OpenMetrics format".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final, Protocol

from models.engine import Engine
from models.event import Event
from models.finding import Finding
from streams.metrics import FAMILIES, Metrics, Outcome

STEP_S: Final = 300  # of event time between two samples
MAX_SILENT_STEPS: Final = 400 * 24 * 3_600 // STEP_S  # without an event; of a longer silence only the beginning is told
STEPS_A_CENSUS: Final = 12  # what is known is counted anew every hour: it changes slowly, and there may be much of it

_TOLD: Final = frozenset(family.name.removesuffix("_total") for family in FAMILIES if not family.has_clock)


class Feed(Protocol):
    """Feeds events in order, and gives those that were fed; ``is_all`` says that what comes next is later than all."""

    def __call__(self, events: list[Event], *, is_all: bool) -> list[Event]:
        """Feed events."""


Series = tuple[str, str]  # the name of a sample, and its labels as they are written
_Change = tuple[int, float | None]  # a step, and the value from then on; None while there are no samples


class Samples:
    """Samples of an engine's metrics at every step of event time. State: each series' changes."""

    def __init__(self) -> None:
        self._metrics = Metrics()
        self._engine: Engine | None = None
        self._step: int | None = None  # in which the last event was
        self._taken = 0
        self._first: int | None = None
        self._changes: dict[str, dict[Series, list[_Change]]] = {}  # family -> series -> changes
        self._texts: dict[str, tuple[str, str]] = {}  # family -> sort, words

    def watch(self, engine: Engine) -> None:
        """Say whose state is sampled."""
        self._engine = engine

    def changed(self, finding: Finding) -> None:
        """Count a change of a finding."""
        self._metrics.changed(finding)

    def feed(self, events: list[Event], feed: Feed) -> None:
        """Feed events that are in order, step by step."""
        begin = 0
        for place, event in enumerate(events):
            step = event.at // STEP_S
            if step != self._step:
                self._fed(feed(events[begin:place], is_all=True))
                begin = place
                if self._step is not None:
                    self._pass(range(self._step + 1, step + 1))
                self._step = step
        self._fed(feed(events[begin:], is_all=False))

    def end(self, rest: list[Event], outcomes: Mapping[Outcome, int], detector_errors: Mapping[str, int]) -> None:
        """Take the last sample, after the last events; what only the whole trail tells is in that alone."""
        if self._step is None:
            return
        self._fed(rest)
        for outcome, count in outcomes.items():
            self._metrics.read(outcome, count)
        for detector, count in detector_errors.items():
            self._metrics.count("rolehawk_detector_errors_total", count, detector)
        self._sample(self._step + 1, is_last=True)

    def lines(self) -> Iterator[str]:
        """Write all samples, family by family and series by series."""
        for family, changes in self._changes.items():
            sort, words = self._texts[family]
            yield f"# HELP {family} {words}\n# TYPE {family} {sort}\n"
            for (name, labels), values in sorted(changes.items()):
                yield "".join(self._series(f"{name}{labels}", values))
        yield "# EOF\n"

    def _series(self, head: str, values: list[_Change]) -> Iterator[str]:
        ends: list[_Change] = [*values, (self._taken + 1, None)]
        for (begin, value), (end, _) in pairwise(ends):
            if value is None:
                continue
            written = f"{head} {value!r} "
            for step in range(begin, end):
                yield f"{written}{step * STEP_S}\n"

    def _fed(self, events: list[Event]) -> None:
        self._metrics.applied(events)
        self._metrics.read("accepted", len(events))

    def _pass(self, steps: range) -> None:
        """Take the samples of steps that have passed; of too many only the first and the last, and none in between."""
        if len(steps) > MAX_SILENT_STEPS:
            self._sample(steps[0])
            for changes in self._changes.values():
                for values in changes.values():
                    values.append((steps[1], None))
            steps = steps[-1:]
        for step in steps:
            self._sample(step)

    def _sample(self, step: int, *, is_last: bool = False) -> None:
        """Take a sample at the beginning of a step: all before it has been fed."""
        engine = self._engine
        if engine is None:
            return
        if not is_last:
            engine.tick(step * STEP_S)
        if self._first is None or is_last or step % STEPS_A_CENSUS == 0:
            self._metrics.take_census([engine.behaviour], [engine.grants], engine.now)
        self._first = step if self._first is None else self._first
        self._taken = step
        self._metrics.passed(engine.now)
        for family in self._metrics.collect():
            if family.name not in _TOLD or not family.samples:
                continue
            self._texts[family.name] = family.type, family.documentation
            changes = self._changes.setdefault(family.name, {})
            for sample in family.samples:
                series = sample.name, _labels(sample.labels)
                values = changes.setdefault(series, [])
                if not values or values[-1][1] != sample.value:
                    values.append((step, float(sample.value)))


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
