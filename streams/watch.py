"""Watch: a replay that goes on. New files are read as they come, and each counts once, whatever is killed when.

Events wait for late ones, and are then fed in order up to a second, the *frontier*. A file stays open until the frontier
has passed its last event: after a restart it is read again, and of its events only those beyond the frontier are new.
So no event has to be stored. State, files, frontier and the length of the output change in one transaction.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from threading import Event as Flag
from typing import Final, NamedTuple, Protocol

from models.behaviour.profile import DAY_S, NEVER
from models.desks.tray import Fault
from models.detectors import build
from models.engine import Engine
from models.event import Event, in_order
from models.finding import Finding
from models.network import Locate
from models.settings import Settings
from models.trail import Rejected
from streams.arrivals import Arrivals, Stamp
from streams.formats.jsonl import line
from streams.held import Held
from streams.learning.model import model_of
from streams.metrics import Metrics
from streams.order import Once
from streams.replay import seed
from streams.sources.files import FileReader, Source, Unopened
from streams.sources.inventory import Answers
from streams.store import HORIZON_S, MAX_APPLIED, Known, Place, Store

EVENTS_AT_ONCE: Final = 20_000  # applied between two commits
CLOCK_SKEW_S: Final = 300  # seconds that this machine's clock may be behind AWS's
CENSUS_S: Final = 30  # seconds between two counts of what there is, at the least
LISTING_SHARE: Final = 10  # a folder is looked at again after ten times the time that it took
MAX_NAMED: Final = 5  # records of a file that are named because they could not be read
MAX_ID: Final = 40  # characters of an event's id that are remembered as they are; longer ones by their hash


class Sink(Protocol):
    """Where changes go, one line each."""

    length: int

    def write(self, lines: list[str]) -> int:
        """Write lines for good; gives the bytes that there are now."""


class Tally(NamedTuple):
    """What a watch did since it started."""

    files: int
    events: int
    late: int
    duplicates: int
    rejected: int
    changes: int


class Watch:
    """One watch over paths. State: the engine's, in the store; what waits, in memory and temporary files."""

    def __init__(  # noqa: PLR0913 - what a watch works with
        self,
        paths: list[str],
        settings: Settings,
        store: Store,
        sink: Sink,
        *,
        output: str = "",
        allowance_s: int,
        metrics: Metrics,
        is_shown: Callable[[Finding], bool],
        on_rejected: Callable[[Rejected], None],
        inventory: Answers | None = None,
        inventory_at: int | None = None,
        locate: Locate | None = None,
    ) -> None:
        self.files = self.events = self.late = self.duplicates = self.rejected = self.changes = 0
        self._arrivals = Arrivals(paths, store.files())
        self._store = store
        self._sink = sink
        self._allowance_s = allowance_s
        self._metrics = metrics
        self._is_shown = is_shown
        self._on_rejected = on_rejected
        self._inventory = inventory
        self._inventory_at = inventory_at
        self._engine = Engine(
            metrics.timed(build(settings)), settings, self._on_fault, self._on_change, locate, model_of(settings)
        )
        self._reader = FileReader(asked_for=self._engine.asked_for)
        self._held = Held(store.folder / "held")
        self._recent = _Recent()
        self._lines: list[str] = []  # since the last commit
        self._applied: list[str] = []
        self._missing: set[str] = set()  # paths that lead nowhere, as was said
        self._failing: set[str] = set()  # files that could not be read, as was said
        self._is_dirty = False
        self._heard_s = time.monotonic()  # when a file last came
        self._counted_s = -1e9
        self._take_up(output)

    def close(self) -> None:
        """Let go of what waits."""
        self._held.clear()

    def tally(self) -> Tally:
        """Say what was done."""
        return Tally(self.files, self.events, self.late, self.duplicates, self.rejected, self.changes)

    @property
    def leads_nowhere(self) -> bool:
        """Whether a path led nowhere when it was last looked at."""
        return bool(self._missing)

    def run(self, stop: Flag, poll_s: float, *, once: bool) -> None:
        """Look for files, read them, feed what is due, commit; until told to stop, or once."""
        while not stop.is_set():
            begun_s = time.monotonic()
            self._look(stop, is_last=once)
            if once:
                break
            stop.wait(max(poll_s, LISTING_SHARE * (time.monotonic() - begun_s)))
        self._commit()

    # Files

    def _look(self, stop: Flag, *, is_last: bool) -> None:
        """Read what is new; then feed what is due."""
        for source, stamp in self._arrivals.due(is_last=is_last):
            if stop.is_set():
                return
            self._take(source, stamp)
            self._heard_s = time.monotonic()
        self._complain_of(self._arrivals.missing)
        self._arrivals.forget(self._place.fed_until)
        self._advance(self._due_until(is_last=is_last), stop)
        if self._is_dirty:
            self._commit()
        self._count()

    def _due_until(self, *, is_last: bool) -> int:
        """Say up to which second events have waited long enough.

        What is dated ahead of the clock waits for its day: one such record must not make all that follow it late.
        """
        if is_last:
            return self._place.newest_at
        is_quiet = time.monotonic() - self._heard_s > self._allowance_s
        newest_at = min(self._place.newest_at, int(time.time()) + CLOCK_SKEW_S)
        return newest_at - (0 if is_quiet else self._allowance_s)

    def _take(self, source: Source, stamp: Stamp) -> None:
        """Read a file: what is beyond the frontier waits, what is not is late, and is applied now."""
        frontier = self._place.fed_until
        known = self._arrivals.known.get(source.name)
        # One that has grown is read on from where it was.
        skipped = known.events if known is not None and stamp.size >= known.size else 0
        late: list[Event] = []
        count, newest_at = 0, -NEVER if known is None else known.newest_at
        wrong: list[Rejected] = []
        wrong_count = 0
        for batch in self._reader.read(source):
            wrong += batch.rejected[: MAX_NAMED - len(wrong)]
            wrong_count += len(batch.rejected)
            self._metrics.read("ignored", batch.digests + batch.insights)
            events = batch.events[max(0, skipped - count) :]
            self._metrics.arrived(events)
            count += len(batch.events)
            newest_at = max(newest_at, max((event.at for event in events), default=newest_at))
            waiting = [event for event in events if event.at > frontier]
            self._held.add(waiting)
            if len(waiting) < len(events):
                late += [event for event in events if event.at <= frontier]
        if self._reader.error is not None:  # it is tried again; what was read of it waits, and its copies are dropped
            if source.name not in self._failing:
                self._complain(wrong, wrong_count)
            self._failing.add(source.name)
            return
        self._failing.discard(source.name)
        self._complain(wrong, wrong_count)
        self._place.newest_at = max(self._place.newest_at, newest_at)
        self.files += 1
        self._arrivals.take(source.name, Known(*stamp, count, newest_at))
        self._is_dirty = True
        if late:
            late.sort(key=in_order)
            fresh = [event for event in late if event.event_id not in self._recent]
            self._drop(len(late) - len(fresh))
            applied = self._feed(fresh)
            self.late += applied
            self._metrics.count("rolehawk_late_events_total", applied)

    def _take_again(self, name: str, known: Known) -> None:
        """Read a file again, some events of which still wait; raises OSError where it is there and cannot be read."""
        if "://" not in name and not os.path.exists(name):  # noqa: PTH110 - as in `find`
            self._reject(Rejected(name, 0, "", "is gone, and its last events were still waiting: they are lost", b""))
            return
        count = 0
        for batch in self._reader.read(Source(name, False, known.size)):
            events = batch.events[: known.events - count]  # what came since, the next look sees
            count += len(batch.events)
            self._held.add([event for event in events if event.at > self._place.fed_until])
        if self._reader.error is not None:
            raise self._reader.error

    # Events

    def _advance(self, until: int, stop: Flag) -> None:
        """Feed what has waited long enough, in order, and let time pass to there."""
        if until <= self._place.fed_until:
            return
        due: list[Event] = []
        for end_at, events in self._held.until(until):
            due += events
            if len(due) >= EVENTS_AT_ONCE:
                self._feed(due)
                self._pass_time(end_at)
                self._commit()
                self._count()
                due = []
                if stop.is_set():
                    return
        self._feed(due)
        self._pass_time(until)
        self._engine.tick(until)

    def _pass_time(self, until: int) -> None:
        day = self._place.fed_until // DAY_S
        self._place.fed_until = until
        self._is_dirty = True
        if until // DAY_S != day or self._engine.is_overfull:
            self._engine.tick(until)
            self._engine.forget()

    def _feed(self, events: list[Event]) -> int:
        """Apply events that are in order, each once; says how many."""
        if not events:
            return 0
        if self._inventory is not None:
            seed(self._engine, self._inventory, events[0].at if self._inventory_at is None else self._inventory_at)
            self._inventory = None
        once = Once()
        fresh = once.of(events)
        fresh += once.rest()
        self._drop(once.duplicates)
        self._engine.feed(fresh)
        self._metrics.applied(fresh)
        self._metrics.read("accepted", len(fresh))
        self._applied += self._recent.add(fresh)
        self.events += len(fresh)
        self._is_dirty = True
        return len(fresh)

    def _drop(self, duplicates: int) -> None:
        self.duplicates += duplicates
        self._metrics.read("duplicate", duplicates)

    # State

    def _take_up(self, output: str) -> None:
        """Stand where the last commit was, or begin."""
        place = self._store.place()
        self._place = place or Place(-NEVER, -NEVER, output)
        self._engine.restore(self._store.rows())
        if place is None:
            self._commit()
            return
        self._place.output = output
        self._inventory = None  # it was told when the state began
        self._metrics.known(self._engine.findings())
        for at, ids in self._store.applied():
            self._recent.take_up(at, ids)
        for name, known in self._arrivals.known.items():
            if known.newest_at > self._place.fed_until:
                self._take_again(name, known)

    def _commit(self) -> None:
        """Write the output, then all that changed, in one transaction."""
        self._place.written = self._sink.write(self._lines) if self._lines else self._sink.length
        self._store.commit(self._place, self._engine.changes(), self._arrivals.changes(), self._applied)
        self._lines, self._applied, self._is_dirty = [], [], False

    def _count(self) -> None:
        """Count anew what there is, now and then."""
        now_s = time.monotonic()
        if now_s - self._counted_s < CENSUS_S or self._place.fed_until == -NEVER:
            return
        self._metrics.take_census([self._engine.behaviour], [self._engine.grants], self._place.fed_until)
        # The longer it takes, the less often.
        self._counted_s = time.monotonic() + LISTING_SHARE * (time.monotonic() - now_s)

    # Words

    def _on_change(self, finding: Finding) -> None:
        self._metrics.changed(finding)
        if self._is_shown(finding):
            self.changes += 1
            self._lines.append(line(finding))

    def _on_fault(self, fault: Fault) -> None:
        self._metrics.failed(fault)
        self._reject(fault.rejected())

    def _complain(self, wrong: list[Rejected], count: int) -> None:
        """Name the first few of so many records of a file that could not be read."""
        for each in wrong:
            self._reject(each)
        if (more := count - len(wrong)) > 0:
            self.rejected += more
            self._metrics.read("rejected", more)
            self._on_rejected(Rejected(wrong[0].file, 0, "", f"{more:,} more records could not be read", b""))

    def _complain_of(self, missing: list[Unopened]) -> None:
        """Say of each path once that it leads nowhere, and again if it comes and goes."""
        for each in missing:
            if each.name not in self._missing:
                self._reject(Rejected(each.name, 0, "", each.reason, b""))
        self._missing = {each.name for each in missing}

    def _reject(self, rejected: Rejected) -> None:
        self.rejected += 1
        self._metrics.read("rejected", 1)
        self._on_rejected(rejected)


class _Recent:
    """Ids of the events that were applied last: MAX_APPLIED of them at least, and all of an hour."""

    def __init__(self) -> None:
        self._older: set[str] = set()
        self._newer: set[str] = set()
        self._since = NEVER  # from when on the newer ones are

    def __contains__(self, event_id: str) -> bool:
        known = _short(event_id)
        return known in self._newer or known in self._older

    def add(self, events: list[Event]) -> list[str]:
        """Remember events that were applied; gives what is remembered of each."""
        ids = [_short(event.event_id) for event in events]
        if events:
            self.take_up(events[-1].at, ids)
        return ids

    def take_up(self, at: int, ids: list[str]) -> None:
        """Remember ids of events up to a time."""
        self._since = min(self._since, at)
        self._newer.update(ids)
        if len(self._newer) >= MAX_APPLIED and at - self._since >= HORIZON_S:
            self._older, self._newer, self._since = self._newer, set(), NEVER


def _short(event_id: str) -> str:
    return event_id if len(event_id) <= MAX_ID else sha256(event_id.encode()).hexdigest()[:MAX_ID]
