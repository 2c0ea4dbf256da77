"""Replay: trails in, findings and principals out. The main job."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct, field

from models.behaviour.learned import Learned
from models.desks.tray import Fault
from models.detectors import build
from models.engine import Engine, Principal
from models.event import Event
from models.finding import Finding
from models.grants.inventory import read_inventory
from models.incidents.lineage import Hop
from models.network import Locate
from models.settings import Settings
from models.trail import Batch, Rejected
from streams.learning.model import model_of
from streams.networks import opened
from streams.order import DisorderError, Merge, Once, Records, SpillSort
from streams.sources.files import STDIN, FileReader, OnBytes, Source, Unopened, begins_at, find
from streams.sources.inventory import Answers

if TYPE_CHECKING:
    from streams.metrics_file import Samples

MAX_SAMPLES: Final = 5  # rejected and repaired records each that the summary names
SMALL: Final = 2 * 1024 * 1024  # bytes of all files together that are sorted without looking into them first

OnRejected = Callable[[Rejected], None]


class Summary(Struct, kw_only=True):
    """What a replay read, for the summary on stderr."""

    files: int = 0
    events: int = 0
    duplicates: int = 0
    rejected: int = 0
    repaired: int = 0  # read, with an odd value left out or made to fit
    digests: int = 0
    insights: int = 0
    others: int = 0  # files beside the trail that hold no JSON
    first_at: int | None = None
    last_at: int | None = None
    elapsed_s: float = 0.0
    detector_errors: dict[str, int] = field(default_factory=dict)
    idle_suppressions: list[str] = field(default_factory=list)  # expired or never matched, in words
    samples: list[Rejected] = field(default_factory=list)  # the first few rejected, then the first few repaired


class Result(Struct):
    """All that a replay found."""

    findings: list[Finding]
    principals: list[Principal]
    summary: Summary
    engine: Engine  # with all that it knows
    history: list[Finding] = []  # every change, by opening, id and revision; empty unless asked for
    lineages: dict[str, list[Hop]] = {}  # by finding, as far back as it was ever known; empty without the history
    samples: Samples | None = None  # of all metrics over the trail's time, if asked for


class Span(NamedTuple):
    """Which events are read: from a time on, and before another."""

    since: int | None = None
    until: int | None = None

    def within(self, events: list[Event]) -> list[Event]:
        """Leave out what is not to be read."""
        if self.since is not None:
            events = [event for event in events if event.at >= self.since]
        if self.until is not None:
            events = [event for event in events if event.at < self.until]
        return events


ALL: Final = Span()


def replay(  # noqa: PLR0913 - what can be asked of a replay
    paths: list[str],
    settings: Settings,
    *,
    span: Span = ALL,
    with_history: bool = False,
    with_samples: bool = False,
    inventory: Answers | None = None,
    inventory_at: int | None = None,
    on_bytes: OnBytes | None = None,
    on_rejected: OnRejected | None = None,
) -> Result:
    """Read trails in event-time order, run all detectors, and give the state at the trail's end.

    ``inventory`` is what was known of the accounts; it holds as of ``inventory_at``, else of the first event. Raises
    SettingsError where a file that the settings name under ``[networks]`` or ``[learned]`` cannot be read.
    ``on_bytes`` is told of every stretch of a file that was read; ``on_rejected`` of every record that could not be,
    and of every event at which a detector raised.
    """
    started_s = time.monotonic()
    sources, missing = find(paths)
    complaints = _Complaints(on_rejected)
    with _without_collections(), opened(settings.networks) as locate:
        known = _Known(inventory or Answers(), inventory_at, locate, model_of(settings))
        run = _Run(settings, span, complaints, on_bytes, known, with_history, with_samples)
        try:
            run.merge(sources)
        except DisorderError:  # the state so far is of no use: what was missed comes before it
            complaints.begin_again()
            run = _Run(settings, span, complaints, None, known, with_history, with_samples)
            run.sort(sources)
        return run.result(missing, started_s)


class _Known(NamedTuple):
    """What is known beside the trail: of accounts before the first event, of where addresses are, of behaviour."""

    inventory: Answers
    holds_at: int | None
    locate: Locate | None
    learned: Learned


def events_of(paths: list[str], *, read_since: int | None = None, on_bytes: OnBytes | None = None) -> Iterator[Event]:
    """Read trails once more, for what a replay did not keep: events in no order, copies and all."""
    reader = FileReader(on_bytes)
    for source in find(paths)[0]:
        for batch in reader.read(source):
            yield from (event for event in batch.events if read_since is None or event.at >= read_since)


class _Complaints:
    """What could not be read, told once, though files may be read twice."""

    def __init__(self, on_rejected: OnRejected | None) -> None:
        self._on_rejected = on_rejected
        self._told: set[tuple[str, int, str]] = set()
        self._told_before: set[tuple[str, int, str]] = set()  # in the reading before
        self.rejected = self.repaired = 0
        self.first_rejected: list[Rejected] = []
        self.first_repaired: list[Rejected] = []

    def begin_again(self) -> None:
        """Count anew; what was told is not told again."""
        self._told_before, self._told = self._told, set()
        self.rejected = self.repaired = 0
        self.first_rejected.clear()
        self.first_repaired.clear()

    def take(self, batch: Batch) -> None:
        """Count what was wrong with a batch."""
        for each in batch.rejected:
            self.reject(each)
        self.repaired += len(batch.repaired)
        self.first_repaired += batch.repaired[: MAX_SAMPLES - len(self.first_repaired)]

    def reject(self, rejected: Rejected) -> None:
        """Count and tell one that could not be read."""
        self.rejected += 1
        if len(self.first_rejected) < MAX_SAMPLES:
            self.first_rejected.append(rejected)
        if self._on_rejected is not None:
            place = (rejected.file, rejected.record, rejected.reason)
            self._told.add(place)
            if place not in self._told_before:
                self._on_rejected(rejected)


class _Run:
    """One reading of the sources through one engine."""

    def __init__(
        self,
        settings: Settings,
        span: Span,
        complaints: _Complaints,
        on_bytes: OnBytes | None,
        known: _Known,
        with_history: bool,
        with_samples: bool,
    ) -> None:
        self._known = known
        self._history: list[Finding] = []
        self._lineages: dict[str, list[Hop]] = {}
        self._with_history = with_history
        self._samples = _sampling() if with_samples else None
        on_change = self._on_change if with_history or with_samples else None
        self._engine = Engine(build(settings), settings, self._on_fault, on_change, known.locate, known.learned)
        if self._samples is not None:
            self._samples.watch(self._engine)
        self._suppressions = settings.suppressions
        self._reader = FileReader(on_bytes, asked_for=self._engine.asked_for)
        self._once = Once()
        self._complaints = complaints
        self._span = span
        self._summary = Summary()

    def merge(self, sources: list[Source]) -> None:
        """Read files in the order in which their events begin; raises DisorderError where that is not order enough."""
        if sum(source.size for source in sources) <= SMALL or any(source.name == STDIN for source in sources):
            self.sort(sources)
            return
        merge: Merge[Event] = Merge()
        begins = sorted(((begins_at(source) or 0, source) for source in sources), key=lambda each: each[0])
        for (_, source), (next_begins_at, _) in zip(begins, [*begins[1:], begins[-1]], strict=True):
            for batch in self._read(source):
                merge.add(batch.events)
            for events in merge.released(next_begins_at):
                self._feed(events)
        for events in merge.rest():
            self._feed(events)

    def sort(self, sources: list[Source]) -> None:
        """Read files in any order, and sort all events before the first is looked at."""
        with SpillSort(Records()) as spill:
            for source in sources:
                for batch in self._read(source):
                    spill.add(batch.events)
            for events in spill.batches():
                self._feed(events)

    def result(self, missing: list[Unopened], started_s: float) -> Result:
        """Let time pass to the last event, and sum up."""
        summary = self._summary
        rest = self._once.rest()
        self._engine.feed(rest)
        if summary.last_at is not None:
            self._engine.tick(summary.last_at)
        for each in missing:
            self._complaints.reject(Rejected(each.name, 0, "", each.reason, b""))
        summary.files, summary.others = self._reader.files, len(self._reader.others)
        summary.duplicates = self._once.duplicates
        summary.events -= summary.duplicates
        summary.rejected, summary.repaired = self._complaints.rejected, self._complaints.repaired
        summary.samples = self._complaints.first_rejected + self._complaints.first_repaired
        findings, principals = self._engine.findings(), self._engine.principals()
        summary.idle_suppressions = self._idle_suppressions()
        if self._samples is not None:
            left_out = summary.digests + summary.insights
            self._samples.end(
                rest,
                {"duplicate": summary.duplicates, "rejected": summary.rejected, "ignored": left_out},
                summary.detector_errors,
            )
        summary.elapsed_s = time.monotonic() - started_s
        history = sorted(self._history, key=lambda each: (each.opened_at, each.finding_id, each.revision))
        return Result(findings, principals, summary, self._engine, history, self._lineages, self._samples)

    def _idle_suppressions(self) -> list[str]:
        """Word which suppressions have ended by the trail's end, and which never matched."""
        last_at = self._summary.last_at
        words = []
        for number, each in enumerate(self._suppressions, 1):
            what = f"suppression {number} ({each.detector}: {each.reason})"
            if each.ends_at is not None and last_at is not None and each.ends_at <= last_at:
                words.append(f"{what} expired on {each.until}")
            elif number - 1 not in self._engine.incidents.matched:
                words.append(f"{what} never matched")
        return words

    def _read(self, source: Source) -> Iterator[Batch]:
        for batch in self._reader.read(source):
            self._complaints.take(batch)
            self._summary.digests += batch.digests
            self._summary.insights += batch.insights
            batch.events = self._span.within(batch.events)
            yield batch

    def _feed(self, events: list[Event]) -> None:
        if not events:
            return
        summary = self._summary
        summary.events += len(events)
        if summary.first_at is None:
            summary.first_at = events[0].at
            holds_at = self._known.holds_at
            seed(self._engine, self._known.inventory, events[0].at if holds_at is None else holds_at)
        summary.last_at = events[-1].at
        if self._samples is None:
            self._engine.feed(self._once.of(events))
        else:
            self._samples.feed(events, self._fed)

    def _fed(self, events: list[Event], *, is_all: bool) -> list[Event]:
        """Feed events in order; ``is_all`` says that what comes next is later than all of them."""
        fresh = self._once.of(events)
        if is_all:
            fresh += self._once.rest()
        self._engine.feed(fresh)
        return fresh

    def _on_change(self, finding: Finding) -> None:
        """Keep a change, and who stood behind it: what leads there is forgotten once nobody can act by it."""
        if self._samples is not None:
            self._samples.changed(finding)
        if not self._with_history:
            return
        self._history.append(finding)
        hops = self._engine.lineage_of(finding.finding_id)
        known = self._lineages.get(finding.finding_id, [])
        if len(hops) >= len(known) or hops[-1:] != known[-1:]:
            self._lineages[finding.finding_id] = hops

    def _on_fault(self, fault: Fault) -> None:
        errors = self._summary.detector_errors
        errors[fault.detector] = errors.get(fault.detector, 0) + 1
        self._complaints.reject(fault.rejected())


def _sampling() -> Samples:
    from streams.metrics_file import Samples  # noqa: PLC0415 - a replay without metrics loads no Prometheus

    return Samples()


def seed(engine: Engine, inventory: Answers, holds_at: int) -> None:
    """Tell an engine what was known of the accounts at an instant, before its first event."""
    for answer in inventory.details:
        for each in read_inventory(answer, holds_at):
            engine.seed(each)
    engine.seed_keys(inventory.keys, holds_at)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Spare the collector's walks over a growing heap: what is made here has no cycles, and goes when it is let go."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()  # these two make old what was made here: as young, it would all be walked through at once
            gc.unfreeze()
            gc.enable()
