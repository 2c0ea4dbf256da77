"""replay, principals, explain: read trails to the end, and show what is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.formats import FORMATS, What
from streams.options import (
    KINDS,
    FindingId,
    Options,
    When,
    check,
    finding_options,
    is_listed,
    is_shown,
    kafka_option,
    load_settings,
    output_options,
    paths_argument,
    reading_options,
    showing_options,
)
from streams.output import EXIT_STATUS, Output, Unusable, WholeFile, say
from streams.summary import rejected_row, status_of, summarise

if TYPE_CHECKING:
    from models.event import Event
    from models.explanation import Explanation
    from models.finding import Finding
    from models.settings import Settings
    from models.trail import Rejected
    from streams.formats.html import Report
    from streams.replay import Result


@click.command(epilog=EXIT_STATUS)
@paths_argument
@output_options("findings", "reports")
@showing_options
@finding_options
@click.option(
    "--metrics-file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all metrics over the trail's time into FILE, for promtool to make Prometheus' blocks of.",
)
@reading_options
@click.pass_context
def replay(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own contract
    """Find what is wrong in trails.

    Reads all of PATH, runs all detectors, and shows the findings as they stand at the trail's end. Options choose what
    is shown; all events are read, or baselines would be cut.
    """
    options = Options(**given)
    with ExitStack() as files:
        what: What = "reports" if options.form in FORMATS["reports"] else "findings"
        metrics_file = None
        if options.metrics_file is not None:
            metrics_file = files.enter_context(WholeFile(options.metrics_file)).open()
        result, output = _read(options, what, files)
        since, until = options.span(_last_at(result))
        shown = [each for each in result.findings if is_shown(each, options, since, until)]
        changes = [each for each in result.history if options.history and is_shown(each, options, since, until)]
        if what == "reports":
            output.write([_reported(options, result, shown, changes)])
        else:
            output.write(changes if options.history else shown)
        if metrics_file is not None and result.samples is not None:
            metrics_file.write(result.samples.lines())
    summarise(options, result, shown)
    context.exit(status_of(options, result.summary, shown))


@click.command(epilog=EXIT_STATUS)
@paths_argument
@output_options("principals")
@showing_options
@click.option("--kind", type=click.Choice(KINDS), multiple=True, help="Show this kind only; may be repeated.")
@reading_options
@click.pass_context
def principals(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Tell who is human and who machine.

    Reads all of PATH, and shows one row per entity: what it is, and why.
    """
    options = Options(**given)
    with ExitStack() as files:
        result, output = _read(options, "principals", files)
        since, until = options.span(_last_at(result))
        shown = [each for each in result.principals if is_listed(each, options, since, until)]
        output.write(shown)
    summarise(options, result, None)
    context.exit(status_of(options, result.summary, []))


@click.command(epilog=EXIT_STATUS)
@click.argument("finding_id", metavar="FINDING_ID", type=FindingId())
@paths_argument
@output_options("explanations")
@reading_options
@click.pass_context
def explain(context: click.Context, /, finding_id: str, **given: Any) -> None:  # noqa: ANN401
    """Tell one finding's story.

    FINDING_ID is a finding's id, or its first six characters or more. Reads all of PATH, and PATH once more for what
    happened around the finding: who was behind it, the timeline, the evidence, and what to do.
    """
    options = Options(**given)
    if "-" in options.paths:
        raise click.UsageError("PATH is read twice, so it cannot be stdin", context)
    with ExitStack() as files:
        result, output = _read(options, "explanations", files)
        output.write([_explained(finding_id, options, result)])
    summarise(options, result, None)
    context.exit(status_of(options, result.summary, []))


@click.command(epilog=EXIT_STATUS)
@paths_argument
@reading_options
@click.option("--read-until", metavar="WHEN", type=When(may_be_span=False),
              help="Read only events before then; what comes in the stream and is older is known.")  # fmt: skip
@kafka_option
@click.pass_context
def seed(context: click.Context, /, kafka: str | None, **given: Any) -> None:  # noqa: ANN401
    """Begin a stream with what history tells.

    Reads all of PATH, and writes what a replay knows at its end into Kafka, as the state that workers begin with: so
    the first day of a stream is no first day. Only once, before the first worker starts.
    """
    options = Options(**given)
    settings, settings_file = load_settings(options.settings)
    check(options)

    from streams.kafka import Cluster, KafkaUnusableError  # noqa: PLC0415 - an extra
    from streams.seeding import check_is_new, write_seed  # noqa: PLC0415

    try:
        cluster = Cluster.of(settings, kafka)
        check_is_new(cluster, settings.stream)
        result = _replayed(options, settings, settings_file, with_history=False)
        known_before = _last_at(result) + 1 if options.read_until is None else options.read_until.seconds
        rows = write_seed(result.engine, known_before, cluster, settings.stream)
    except KafkaUnusableError as error:
        raise Unusable(f"seed: {error}") from None
    summarise(options, result, None)
    if not options.quiet:
        say(f"seeded      {rows:,} rows, {len(result.findings):,} findings of history")
    context.exit(status_of(options, result.summary, []))


def _read(options: Options, what: What, files: ExitStack) -> tuple[Result, Output]:
    """Check all that can be checked before hours of reading, then read; raises Unusable where nothing could be read."""
    settings, settings_file = load_settings(options.settings)
    check(options)
    output = Output(what, options.form, options.output, files)
    with_history = options.history or what in ("explanations", "reports")
    return _replayed(options, settings, settings_file, with_history=with_history), output


def _replayed(options: Options, settings: Settings, settings_file: str, *, with_history: bool) -> Result:
    """Read what the options say; raises Unusable where nothing could be read."""
    from models.settings import SettingsError  # noqa: PLC0415 - the engine is loaded by what uses it
    from streams.formats.jsonl import line  # noqa: PLC0415 - the engine is loaded by what uses it
    from streams.progress import reading  # noqa: PLC0415
    from streams.replay import Span  # noqa: PLC0415
    from streams.replay import replay as run_replay  # noqa: PLC0415
    from streams.sources.inventory import InventoryError  # noqa: PLC0415
    from streams.sources.inventory import load as load_inventory  # noqa: PLC0415

    try:
        inventory = load_inventory(options.inventory)
    except InventoryError as error:
        raise Unusable(str(error)) from None
    if settings_file and not options.quiet:
        say(f"settings    {settings_file}")
    paths = list(options.paths)
    with ExitStack() as reading_files:
        rejects = None if options.rejects is None else reading_files.enter_context(WholeFile(options.rejects)).open()

        def on_rejected(rejected: Rejected) -> None:
            if rejects is not None:
                rejects.write([line(rejected_row(rejected))])

        is_wanted = not (options.quiet or options.no_progress)
        on_bytes = reading_files.enter_context(reading(paths, sys.stderr, is_wanted=is_wanted))
        read_since = None if options.read_since is None else options.read_since.seconds
        try:
            result = run_replay(
                paths,
                settings,
                span=Span(read_since, None if options.read_until is None else options.read_until.seconds),
                inventory=inventory,
                inventory_at=None if options.inventory_at is None else options.inventory_at.seconds,
                with_history=with_history,
                with_samples=options.metrics_file is not None,
                on_bytes=on_bytes,
                on_rejected=on_rejected,
            )
        except SettingsError as error:  # of a file that the settings name
            raise Unusable(f"{settings_file}: {error}") from None
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None
    if not result.summary.events:
        summarise(options, result, None)
        where = paths[0] if len(paths) == 1 else f"{len(paths)} paths"
        raise Unusable(f"{where}: no CloudTrail event could be read")
    return result


def _explained(finding_id: str, options: Options, result: Result) -> Explanation:
    """Find the finding, and tell its story; raises Unusable where it is not there."""
    from models.explanation import choose, explain  # noqa: PLC0415 - loaded by now

    try:
        finding = choose(result.findings, finding_id)
    except LookupError as error:
        raise Unusable(str(error)) from None
    with _read_again(options) as events:
        return explain(finding, result.findings, result.lineages.get(finding.finding_id, []), events)


def _reported(options: Options, result: Result, shown: list[Finding], changes: list[Finding]) -> Report:
    """Make the report; what comes by a pipe cannot be read twice, and stories go without what happened around."""
    from streams.report import report_of  # noqa: PLC0415 - the engine is loaded by what uses it

    since, until = options.span(_last_at(result))
    principals = [each for each in result.principals if is_listed(each, options, since, until)]
    with _read_again(options) as events:
        return report_of(result, shown, changes, principals, events)


@contextmanager
def _read_again(options: Options) -> Iterator[Iterator[Event]]:
    """Read the trail once more; of stdin nothing is left. Raises Unusable where a file is there no more."""
    from streams.progress import reading  # noqa: PLC0415 - loaded by now
    from streams.replay import events_of  # noqa: PLC0415

    paths = list(options.paths)
    read_since = None if options.read_since is None else options.read_since.seconds
    is_wanted = not (options.quiet or options.no_progress)
    with reading(paths, sys.stderr, is_wanted=is_wanted) as on_bytes:
        try:
            yield iter(()) if "-" in paths else events_of(paths, read_since=read_since, on_bytes=on_bytes)
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None


def _last_at(result: Result) -> int:
    return result.summary.last_at or 0
