"""Makes a simulated organisation's trail: files with the truth beside them, or records one by one at a rate.

The folder gets ``AWSLogs/``, ``truth.jsonl`` and ``rolehawk.toml`` (what the organisation would say of itself). The truth
is written last: a folder without it is not complete.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from models.event import in_order
from models.record import iso
from streams.progress import making
from streams.sources.simulated.delivery import Arrival, Folder, Sink, deliver
from streams.sources.simulated.organisation import DAY, START, START_OLD, Era, Plan
from streams.sources.simulated.stories import BY_NAME, fitting
from streams.sources.simulated.world import World

if TYPE_CHECKING:
    from streams.pipe import Pipe

OnEvents = Callable[[int], None]

TRUTH_FILE: Final = "truth.jsonl"
SETTINGS_FILE: Final = "rolehawk.toml"
EARLIEST: Final = 1_136_073_600  # 2006-01-01, before there was anything to record
LATEST: Final = 4_102_444_800  # 2100-01-01
REPORT_EVERY: Final = 2_000  # records between two reports of progress
TICK_S: Final = 0.05  # a live stream is written and flushed so often


class UnusablePlanError(ValueError):
    """What is asked for cannot be simulated: says what is in the way."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the options of the command say."""

    output: Path | None = None
    seed: int = 1
    events: int = 100_000
    days: int = 14
    accounts: int = 4
    start_at: int | None = None  # seconds since 1970, UTC; its day is meant
    era: Era = "new"
    incidents: str = "all"
    live: float | None = None  # records per second, to stdout or into Kafka
    pipe: Pipe | None = None  # into Kafka
    digests: bool = False
    quiet: bool = False
    no_progress: bool = False

    def plan(self) -> Plan:
        """Work out the plan; raises UnusablePlanError."""
        start_at = self.start_at
        if start_at is None:
            start_at = START if self.era == "new" else START_OLD
        if not EARLIEST <= start_at < LATEST:
            raise UnusablePlanError(f"--start must lie between {iso(EARLIEST)[:10]} and {iso(LATEST)[:10]}")
        plan = Plan(
            seed=self.seed,
            events=self.events,
            days=self.days,
            accounts=self.accounts,
            start_at=start_at // DAY * DAY,
            era=self.era,
        )
        return replace(plan, stories=stories_of(plan, [each.strip() for each in self.incidents.split(",")]))


def run(request: Request, stdout: TextIO | None, stderr: TextIO | None) -> list[str]:
    """Do what the command is asked for; gives a summary in a few lines. Raises UnusablePlanError, OSError."""
    plan = request.plan()
    if request.output is None and request.live is None:
        raise UnusablePlanError("give -o DIR, or --live RATE")
    if request.live is not None and isnan(request.live):
        raise UnusablePlanError("--live nan: no rate")
    if request.output is not None:
        prepare(request.output)
    began_s = time.monotonic()
    world = World(plan)
    sink: Folder | Live
    if request.live is not None and request.pipe is not None:
        sink = IntoKafka(request.pipe, request.live)
    elif request.live is not None:
        if stdout is None:
            raise UnusablePlanError("stdout is closed: nothing can be streamed")
        sink = Lines(stdout.buffer, request.live)
    else:
        sink = Folder(request.output or Path(), world.organisation, digests=request.digests)
    is_wanted = not (request.quiet or request.no_progress)
    with making(plan.events, stderr, is_wanted=is_wanted) as on_events:
        records = simulate(world, sink, on_events)
    if request.output is not None:
        write_truth(request.output, world)
    took_s = time.monotonic() - began_s
    wrote = f"wrote       {records:,} records"
    if isinstance(sink, Folder):
        wrote += f" in {sink.files:,} files, {sink.stored_bytes / 1e6:,.1f} MB ({sink.raw_bytes / 1e6:,.1f} MB raw)"
    return [
        wrote,
        *summary(world),
        f"took        {took_s:,.1f} s, {round(records / max(took_s, 1e-9)):,} records per second",
    ]


def stories_of(plan: Plan, wanted: list[str]) -> tuple[str, ...]:
    """Work out which stories are meant by ``all``, ``none`` or names.

    Raises UnusablePlanError at a name that is none, and at a story that the plan has not the days or the era for.
    """
    if wanted == ["none"]:
        return ()
    if wanted == ["all"]:
        return fitting(plan)
    for name in wanted:
        if name in ("all", "none"):
            raise UnusablePlanError(f"{name!r} stands alone, not beside names")
        if name not in BY_NAME:
            nearest = get_close_matches(name, BY_NAME, n=1, cutoff=0.0)[0]
            raise UnusablePlanError(f"no incident {name!r}; the nearest is {nearest!r}")
        if not (story := BY_NAME[name]).fits(plan):
            era = f", and the {story.era} era" if story.era else ""
            raise UnusablePlanError(f"{name!r} needs at least {story.min_days} days{era}")
    return tuple(dict.fromkeys(wanted))


def simulate(world: World, sink: Sink, on_events: OnEvents | None = None) -> int:
    """Let a world live, and hand its records to a sink in the order of their arrival; answers how many there were."""
    count = 0
    for arrival in deliver(world.events(), world.organisation.rng("delivery")):
        sink.take(arrival)
        count += 1
        if on_events is not None and not count % REPORT_EVERY:
            on_events(REPORT_EVERY)
    sink.close()
    return count


def prepare(folder: Path) -> None:
    """Make the folder; one that holds anything is refused, for two trails in one are neither."""
    folder.mkdir(parents=True, exist_ok=True)
    if next(folder.iterdir(), None) is not None:
        raise UnusablePlanError(f"{folder}: not empty; name a new folder")


def write_truth(folder: Path, world: World) -> None:
    """Write the settings and, last of all, the truth."""
    (folder / SETTINGS_FILE).write_text(world.organisation.settings())
    with (folder / TRUTH_FILE).open("wb") as file:
        file.writelines(world.organisation.ledger.lines())


class Live(ABC):
    """Writes records, so many a second: event time runs as fast as that takes."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate  # records per second
        self._clock = clock
        self._sleep = sleep
        self._began_s: float | None = None
        self._due = 0  # records until the next look at the clock
        self.records = 0

    def take(self, arrival: Arrival) -> None:
        """Write one record, when its time has come."""
        if self._began_s is None:
            self._began_s = self._clock()
        if self._due <= 0:
            self.flush()
            ahead_s = self.records / self._rate - (self._clock() - self._began_s)
            if ahead_s > 0:
                self._sleep(ahead_s)
            self._due = max(1, int(self._rate * TICK_S))
        self.write(arrival.text.encode())
        self.records += 1
        self._due -= 1

    @abstractmethod
    def write(self, record: bytes) -> None:
        """Write one record."""

    @abstractmethod
    def flush(self) -> None:
        """Let go of what was written so far."""

    def close(self) -> None:
        """Take it that there are no more."""
        self.flush()


class Lines(Live):
    """Writes records as JSON lines."""

    def __init__(
        self,
        out: BinaryIO,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(rate, clock, sleep)
        self._out = out

    def write(self, record: bytes) -> None:
        """Write one line."""
        self._out.write(record + b"\n")

    def flush(self) -> None:
        """Flush the stream."""
        self._out.flush()


class IntoKafka(Live):
    """Writes records into Kafka as ingest does, and at the end the closing tick."""

    def __init__(self, pipe: Pipe, rate: float) -> None:
        super().__init__(rate)
        self._pipe = pipe
        self._waiting: list[bytes] = []

    def write(self, record: bytes) -> None:
        """Keep one record until the next flush."""
        self._waiting.append(record)

    def flush(self) -> None:
        """Send what there is."""
        records = self._pipe.read_bytes(b"\n".join(self._waiting), "simulate")
        self._waiting.clear()
        self._pipe.pass_on(sorted(records, key=in_order))
        self._pipe.send_rest()

    def close(self) -> None:
        """Send the rest and the closing tick, and wait until Kafka has all."""
        super().close()
        self._pipe.sender.tick(self._pipe.summary.last_at or 0)


def summary(world: World) -> Iterator[str]:
    """Say what the truth came to."""
    ledger, plan = world.organisation.ledger, world.plan
    kinds = [each.kind for each in ledger.expected]
    yield (
        f"truth       {len(ledger.principals):,} principals, {kinds.count('finding'):,} findings, "
        f"{kinds.count('near_miss'):,} near misses"
    )
    left_out = [name for name in BY_NAME if name not in fitting(plan)]
    if left_out and plan.stories:
        yield f"left out    {', '.join(left_out)}: for want of days, or of the other era"
