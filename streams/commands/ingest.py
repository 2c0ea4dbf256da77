"""ingest: trails into Kafka."""

from __future__ import annotations

import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from streams.options import Moment, When, address, kafka_option, load_settings, settings_option
from streams.output import REJECTED, Unusable, say
from streams.summary import counted, sample

if TYPE_CHECKING:
    from streams.pipe import Summary

SCHEMES = ("s3://", "sqs://", "lookup://")
EXIT_STATUS = (
    "Exit status: 0 done; 2 wrong usage, bad settings, Kafka or AWS out of reach or nothing readable; 3 done, but records "
    "were rejected and --strict was given."
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the options of the command say."""

    sources: tuple[str, ...]
    queues: tuple[str, ...]
    kafka: str | None
    settings: Path | None
    state: Path | None
    read_since: Moment | None
    listen: tuple[str, int] | None
    strict: bool
    quiet: bool
    no_progress: bool


@click.command(epilog=EXIT_STATUS)
@click.argument("sources", metavar="SOURCE...", nargs=-1)
@click.option(
    "--sqs",
    "queues",
    metavar="URL",
    multiple=True,
    help="A queue that is told of new log files, by its URL; the same as sqs://URL.",
)
@kafka_option
@settings_option
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it is kept how far a bucket or LookupEvents has been read.",
)
@click.option("--read-since", metavar="WHEN", type=When(may_be_span=False), help="Pass on only events from then on.")
@click.option("--listen", metavar="HOST:PORT", callback=address, help="Serve /metrics there; port 0 is a free one.")
@click.option("--strict", is_flag=True, help="Exit with 3 if records were rejected.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary: only errors on stderr.")
@click.option("--no-progress", is_flag=True, help="No progress bar.")
@click.pass_context
def ingest(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own contract
    """Bring trails into Kafka.

    SOURCE is a file, a folder, a glob, - for stdin, s3://bucket/prefix, sqs://QUEUE for what a queue tells of, or
    lookup://REGION for the events that AWS keeps of the last 90 days.
    """
    options = Options(**given)
    sources = _checked((*options.sources, *(f"sqs://{queue}" for queue in options.queues)), context)
    loaded, _ = load_settings(options.settings)

    from streams.checkpoint import CheckpointError  # noqa: PLC0415 - loaded by what uses it
    from streams.ingest import Request  # noqa: PLC0415
    from streams.ingest import ingest as run_ingest  # noqa: PLC0415
    from streams.kafka import Cluster, KafkaUnusableError  # noqa: PLC0415
    from streams.pipe import unheard  # noqa: PLC0415
    from streams.progress import copying  # noqa: PLC0415
    from streams.sources.aws import AwsError  # noqa: PLC0415

    stopping = Event()
    _stop_by_signal(stopping, at_once=not any(each.startswith("sqs://") for each in sources))
    with ExitStack() as files:
        on_count = _counting(options, files)
        bar = files.enter_context(
            copying(list(sources), sys.stderr, is_wanted=not (options.quiet or options.no_progress))
        )
        try:
            summary = run_ingest(
                Request(
                    sources=sources,
                    settings=loaded,
                    cluster=Cluster.of(loaded, options.kafka),
                    state=options.state,
                    read_since=None if options.read_since is None else options.read_since.seconds,
                    stopping=stopping,
                    on_count=on_count,
                    on_words=unheard if options.quiet else say,
                    on_bytes=None if bar is None else bar.advance,
                    on_total=unheard if bar is None else bar.expect,
                )
            )
        except (KafkaUnusableError, AwsError, CheckpointError) as error:
            raise Unusable(str(error)) from None
        except (OSError, sqlite3.Error) as error:  # a disk that is full
            raise Unusable(f"could not be kept: {error}") from None
    if not options.quiet:
        for line in _summary_of(summary):
            say(line)
    if summary.unread:
        raise Unusable(f"{summary.unread:,} log files could not be read; the next run tries them again")
    if not (summary.sent or any("://" in each for each in sources)):
        raise Unusable(f"{', '.join(sources)}: no CloudTrail event could be read")
    context.exit(REJECTED if options.strict and summary.rejected else 0)


def _counting(options: Options, files: ExitStack) -> Callable[[str, int], None]:
    """Serve what is counted, if that is asked for; raises Unusable."""
    from streams.pipe import unheard  # noqa: PLC0415 - loaded by now

    if options.listen is None:
        return unheard
    from streams.metrics import Metrics, served  # noqa: PLC0415

    metrics = Metrics()
    try:
        port = files.enter_context(served(metrics, *options.listen))
    except OSError as error:
        raise Unusable(f"{options.listen[0]}:{options.listen[1]}: {error.strerror or error}") from None
    if not options.quiet:
        say(f"metrics     http://{options.listen[0]}:{port}/metrics")
    return lambda outcome, count: metrics.count("rolehawk_ingest_events_total", count, outcome)


def _checked(sources: tuple[str, ...], context: click.Context) -> tuple[str, ...]:
    """Refuse what is no source, and a queue that would be waited at before others are read."""
    if not sources:
        raise click.UsageError("Missing argument 'SOURCE...'", context)
    for each in sources:
        if "://" in each and not each.startswith(SCHEMES):
            raise click.UsageError(f"{each}: no source; there are files, {', '.join(SCHEMES)}", context)
    if len(sources) > 1 and any(each.startswith("sqs://") for each in sources):
        raise click.UsageError("a queue is read until it is stopped, so it stands alone", context)
    return sources


def _stop_by_signal(stopping: Event, *, at_once: bool) -> None:
    """Let Ctrl-C and SIGTERM stop a queue in good order, the second one or other sources at once."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if at_once or stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as a shell starts what runs in the background
        signal.signal(signal.SIGINT, stop)


def _summary_of(summary: Summary) -> list[str]:
    """Sum up in a few lines."""
    from models.record import iso  # noqa: PLC0415 - loaded by now

    until = "" if summary.last_at is None else f", the last of {iso(summary.last_at)}"
    lines = [f"sent        {counted(summary.sent, 'event')} of {counted(summary.files, 'file')}{until}"]
    left_out = [
        counted(number, noun)
        for number, noun in (
            (summary.digests, "digest file"), (summary.insights, "Insights record"), (summary.others, "other file"),
        )
        if number
    ]  # fmt: skip
    if left_out:
        lines.append(f"left out    {', '.join(left_out)}")
    if summary.deleted:
        lines.append(f"deleted     {counted(summary.deleted, 'message')} of the queue")
    if summary.rejected:
        lines.append(f"REJECTED    {counted(summary.rejected, 'record')} could not be read")
    lines += [f"            {sample(each)}" for each in summary.samples]
    rate = round(summary.sent / max(summary.elapsed_s, 1e-9))
    return [*lines, f"took        {summary.elapsed_s:,.1f} s, {rate:,} events per second"]
