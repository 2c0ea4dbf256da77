"""alert: findings to PagerDuty, Alertmanager, a webhook."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

import click

from streams.options import address, kafka_option, load_settings, settings_option
from streams.output import EXIT_STATUS, REJECTED, Unusable, abandon_stdout, complain, say
from streams.summary import counted

if TYPE_CHECKING:
    from models.settings import Settings
    from streams.alert import Couriers, Desk
    from streams.ledger import Ledger
    from streams.metrics import Metrics
    from streams.sinks.sink import Sink
    from streams.sources.findings import Line

_T = TypeVar("_T")

UNDELIVERED = 4
MAX_COMPLAINTS = 10  # of lines that are no findings; all are counted
GROUP = "rolehawk-alert"
SESSION_S = 10  # after a kill the next process waits so long for its partitions
TOPIC_LOOK_S = 0.5  # between two looks for a topic that is not there yet
_NO_EXTRA = "alert needs the extra `alert`: pip install 'rolehawk[alert]'"


@click.command(epilog=f"{EXIT_STATUS} 4: something could not be delivered within --wait-minutes, or was refused.")
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@settings_option
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep in DIR what every sink has been told; needed but for --dry-run of PATH.",
)
@kafka_option
@click.option("--dry-run", is_flag=True, help="Print what would be sent, and change nothing.")
@click.option("--dead-letters", is_flag=True, help="Print what sinks refused, with the reason, and do nothing else.")
@click.option("--retry-dead-letters", is_flag=True, help="Try again what was refused.")
@click.option(
    "--wait-minutes",
    type=click.FloatRange(0, 24 * 60),
    default=5,
    show_default=True,
    help="After the last finding of PATH: for how long to go on trying.",
)
@click.option("--listen", metavar="HOST:PORT", callback=address, help="Serve /metrics there.")
@click.option("--strict", is_flag=True, help="Exit with 3 if a line was no finding.")
@click.option("-q", "--quiet", is_flag=True, help="No summary: only errors on stderr.")
@click.pass_context
def alert(
    context: click.Context,
    /,
    paths: tuple[str, ...],
    settings: Path | None,
    state: Path | None,
    kafka: str | None,
    wait_minutes: float,
    listen: tuple[str, int] | None,
    **flags: bool,
) -> None:
    """Tell PagerDuty, Alertmanager or a webhook what was found.

    PATH holds findings as JSON lines, - is stdin; without PATH they come from the findings topic, until Ctrl-C.
    [[routes]] of the settings say who is told of what.
    """
    try:
        from streams.alert import foreseen  # noqa: PLC0415 - sinks and the ledger are loaded by what uses them
        from streams.database import StateError  # noqa: PLC0415
        from streams.ledger import Ledger  # noqa: PLC0415
        from streams.secret import SecretError  # noqa: PLC0415
        from streams.sinks import make_sinks  # noqa: PLC0415
    except ImportError as error:
        raise Unusable(_NO_EXTRA if error.name == "urllib3" else str(error)) from None

    if state is None and (flags["dead_letters"] or not (flags["dry_run"] and paths)):
        raise click.UsageError("--state DIR is needed, or --dry-run with PATH: it reads no topic", context)
    loaded, _ = load_settings(settings)
    with ExitStack() as closing:
        try:
            if flags["dead_letters"] and state is not None:
                ledger = Ledger.copy_of(state)
                closing.callback(ledger.close)
                _print(ledger.dead_letters())
                return
            _check_routes(loaded)
            sinks = make_sinks(loaded)
            for sink in sinks.values():
                closing.callback(sink.close)
            repeats = {name: sink.resend_s for name, sink in sinks.items() if sink.resend_s is not None}
            if flags["dry_run"] or state is None:
                ledger = Ledger(None, repeats) if state is None else Ledger.copy_of(state, repeats)
            else:
                ledger = Ledger(state, repeats)
        except (SecretError, StateError) as error:
            raise Unusable(str(error)) from None
        closing.callback(ledger.close)
        metrics = None if listen is None else closing.enter_context(_metrics_at(*listen))
        job = _Job(loaded, sinks, ledger, metrics)
        try:
            if flags["dry_run"]:
                job.read(paths)
                _print(foreseen(ledger, sinks, time.time()))
            else:
                if flags["retry_dead_letters"]:
                    say(f"dead letters {ledger.retry_dead_letters(time.time())} are tried again")
                job.work(paths, kafka, wait_minutes * 60)
        except StateError as error:
            raise Unusable(f"{state}: {error}") from None
        if not flags["quiet"]:
            job.summarise()
        undelivered = not flags["dry_run"] and bool(paths) and job.is_unfinished()
        context.exit(UNDELIVERED if undelivered else REJECTED if flags["strict"] and job.rejected else 0)


class _Stop:
    """Ctrl-C and SIGTERM: noted, and raised only while input is awaited, where no lock is held."""

    def __init__(self) -> None:
        self.is_asked = False
        self._is_awaiting = False
        self._main_thread = get_ident()

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        self.is_asked = True
        if self._is_awaiting:
            raise KeyboardInterrupt

    def ask(self) -> None:
        """Stop as by SIGTERM, from whatever thread: the main one may be waiting for input that never comes."""
        signal.pthread_kill(self._main_thread, signal.SIGTERM)

    def awaiting(self, read: Callable[[], _T]) -> _T:
        """Read, and let it be interrupted; raises KeyboardInterrupt."""
        try:
            self._is_awaiting = True
            if self.is_asked:
                raise KeyboardInterrupt
            return read()
        finally:
            self._is_awaiting = False


class _Job:
    """One run of the command."""

    def __init__(
        self, settings: Settings, sinks: dict[str, Sink], ledger: Ledger, metrics: Metrics | None = None
    ) -> None:
        from streams.alert import Courier, Couriers, Desk  # noqa: PLC0415 - loaded by now

        self._settings = settings
        self._ledger = ledger
        self._sinks = sinks
        self._metrics = metrics
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._desk: Desk = Desk(settings, ledger, self._count)
        digest_s = settings.alert.digest_minutes * 60
        couriers = [Courier(name, sink, ledger, digest_s, self._count, complain) for name, sink in sinks.items()]
        self._stop = _Stop()
        self._couriers: Couriers = Couriers(couriers, ledger, on_fault=self._stop.ask)
        self.findings = 0
        self.rejected = 0

    def read(self, paths: tuple[str, ...]) -> None:
        """Take in what files and stdin hold."""
        from streams.sources.findings import lines  # noqa: PLC0415 - loaded by what uses it

        chunks = lines(list(paths))
        try:
            while (found := self._stop.awaiting(lambda: next(chunks, None))) is not None:
                self._take(found)
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None

    def work(self, paths: tuple[str, ...], kafka: str | None, patience_s: float) -> None:
        """Take in and tell, to the end of the files or until it is stopped; raises Unusable where that can't go on."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._couriers.start()
        try:
            if paths:
                self.read(paths)
                self._couriers.finish(patience_s, lambda: self._stop.is_asked)
            else:
                self._follow(kafka)
        finally:
            self._couriers.stop()
            for error in self._couriers.faults:
                raise error
        if paths and self._stop.is_asked:
            raise KeyboardInterrupt

    def is_unfinished(self) -> bool:
        """Say whether something waits for a sink that there is, or was refused by it."""
        waiting = {*self._ledger.waiting(time.time()), *(each.sink for each in self._ledger.dead_letters())}
        return not waiting.isdisjoint(self._sinks)

    def summarise(self) -> None:
        """Say what was read and what became of it."""
        rejected = f", {self.rejected} rejected" if self.rejected else ""
        unrouted = f", {self._desk.unrouted} for no route" if self._desk.unrouted else ""
        say(f"read        {counted(self.findings, 'finding')}{rejected}{unrouted}")
        waiting = self._ledger.waiting(time.time())
        for name in dict.fromkeys((*self._sinks, *waiting)):
            told = [f"{number} {outcome}" for (sink, outcome), number in self._outcomes.items() if sink == name]
            told += [f"{waiting[name]} waiting"] if name in waiting else []
            gone = "" if name in self._sinks else " (no longer in the settings)"
            say(f"{name:<12}{', '.join(told) or 'nothing to tell'}{gone}")

    def _follow(self, kafka: str | None) -> None:
        """Take in the findings topic for ever. Offsets are committed when the ledger is."""
        from streams.kafka import Cluster, KafkaUnusableError  # noqa: PLC0415 - an extra
        from streams.seeding import HISTORY_HEADER  # noqa: PLC0415
        from streams.sources.findings import Line  # noqa: PLC0415

        topic = self._settings.stream.topics.findings
        try:
            consumer = Cluster.of(self._settings, kafka).consumer(
                group_id=GROUP,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_poll_records=500,
                session_timeout_ms=SESSION_S * 1_000,
                heartbeat_interval_ms=SESSION_S * 300,
            )
        except KafkaUnusableError as error:
            raise Unusable(str(error)) from None
        from kafka.errors import KafkaError  # noqa: PLC0415 - an extra, which the consumer asks for

        try:
            self._await(topic, lambda: consumer.partitions_for_topic(topic))
            consumer.subscribe([topic])
            while not self._stop.is_asked:
                polled = consumer.poll(timeout_ms=500)
                messages = [message for batch in polled.values() for message in batch]
                if not messages:
                    self._measure()
                    continue
                for is_history, batch in groupby(messages, lambda each: HISTORY_HEADER in dict(each.headers)):
                    places = ((f"{each.topic}/{each.partition}", each.offset, each.value) for each in batch)
                    lines = [Line(file, offset, value) for file, offset, value in places if value is not None]
                    self._take(lines, is_history=is_history)
                with suppress(KafkaError):  # read again, and passed over: the ledger knows each finding's revision
                    consumer.commit()
        except KafkaError as error:
            raise Unusable(f"kafka: {error}") from None
        finally:
            consumer.close(autocommit=False)

    def _await(self, topic: str, is_there: Callable[[], object]) -> None:
        """Wait until a topic is there: subscribing to one that is not makes it, of the kind that brokers make."""
        if not is_there():
            complain(f"topic {topic} is not there yet, and is waited for: rolehawk worker makes it")
        while not (self._stop.is_asked or is_there()):
            self._measure()
            time.sleep(TOPIC_LOOK_S)

    def _take(self, lines: list[Line], *, is_history: bool = False) -> None:
        from streams.sources.findings import FindingError, decode  # noqa: PLC0415 - loaded by now

        findings = []
        for line in lines:
            try:
                findings.append(decode(line.content))
            except FindingError as error:
                self.rejected += 1
                if self.rejected <= MAX_COMPLAINTS:
                    complain(f"{line.file}, {line.number}: {error}")
        self.findings += len(findings)
        self._desk.take(findings, is_history=is_history)
        self._measure()

    def _count(self, sink: str, outcome: str, number: int) -> None:
        self._outcomes[sink, outcome] += number
        if self._metrics is not None:
            self._metrics.count("rolehawk_alert_deliveries_total", number, sink, outcome)

    def _measure(self) -> None:
        if self._metrics is not None:
            self._metrics.waiting(self._ledger.waiting(time.time()))


@contextmanager
def _metrics_at(host: str, port: int) -> Iterator[Metrics]:
    """Serve metrics while the body runs; raises Unusable where the port cannot be had."""
    from streams.metrics import Metrics, served  # noqa: PLC0415 - loads the engine

    metrics = Metrics()
    with ExitStack() as serving:
        try:
            found = serving.enter_context(served(metrics, host, port))
        except OSError as error:
            raise Unusable(f"{host}:{port}: {error.strerror or error}") from None
        say(f"metrics     http://{host}:{found}/metrics")
        yield metrics


def _check_routes(settings: Settings) -> None:
    """Refuse settings by which nobody would be told, or a detector is meant that does not exist."""
    from difflib import get_close_matches  # noqa: PLC0415 - for an error alone
    from fnmatch import filter as matching  # noqa: PLC0415

    from models.detectors import REGISTRY  # noqa: PLC0415
    from models.routes import each_of  # noqa: PLC0415

    if not settings.routes:
        raise Unusable("the settings have no [[routes]]: nobody would be told of anything")
    known = [detector.name for detector in REGISTRY]
    for number, route in enumerate(settings.routes, 1):
        for glob in each_of(route.detector):
            if not matching(known, glob):
                nearest = get_close_matches(glob, known, n=1, cutoff=0.0)[0]
                raise Unusable(f"routes, number {number}: detector: none is {glob!r}; the nearest is {nearest!r}")


def _print(values: Iterable[object]) -> None:
    from streams.formats.jsonl import line  # noqa: PLC0415 - the engine is loaded by what uses it

    try:
        for value in values:
            sys.stdout.buffer.write(line(value).encode())
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
