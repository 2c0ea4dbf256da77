"""watch: a replay that goes on, and remembers where it was."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import click

from streams.options import (
    SEVERITIES,
    Options,
    When,
    check,
    is_shown,
    load_settings,
    metrics_options,
    paths_argument,
    settings_option,
)
from streams.output import UNUSABLE, GrowingFile, Unusable, abandon_stdout, say

if TYPE_CHECKING:
    from models.trail import Rejected
    from streams.store import Place
    from streams.watch import Sink, Watch


@click.command()
@paths_argument
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Remember in DIR, of this watch alone, what is known and what was read.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add changes to FILE instead of stdout.",
)
@click.option(
    "--allowance-minutes",
    type=click.FloatRange(0, 24 * 60),
    default=15,
    show_default=True,
    help="How long events wait for others that come late.",
)
@click.option(
    "--poll-seconds",
    type=click.FloatRange(0, 3_600, min_open=True),
    default=5,
    show_default=True,
    help="How often to look for new files.",
)
@click.option("--once", is_flag=True, help="Read what is there, to its end, and exit: for cron.")
@settings_option
@click.option(
    "--inventory",
    metavar="FILE",
    multiple=True,
    help="What an account held before the first event; told when the state begins. May be repeated.",
)
@click.option(
    "--inventory-at",
    metavar="WHEN",
    type=When(may_be_span=False),
    help="As of when the inventory holds; the first event if not given.",
)
@click.option("--account", metavar="ID", multiple=True, help="Write this account's findings only; may be repeated.")
@click.option("--entity", metavar="GLOB", multiple=True, help="Write what matches this glob by ARN; may be repeated.")
@click.option("--detector", metavar="NAME", multiple=True, help="Write this detector's findings only; may be repeated.")
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Write findings from this severity up.")
@metrics_options
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
def watch(
    state: Path,
    allowance_minutes: float,
    poll_seconds: float,
    once: bool,
    metrics_host: str,
    metrics_port: int,
    **given: Any,  # noqa: ANN401 - click's own contract
) -> None:
    """Find what is wrong in trails as they come.

    Reads all of PATH, then what is added to it, and writes each change of a finding as a line of JSON. Goes on until
    it is told to stop; started again it goes on where it was.
    """
    options = Options(**given)
    settings, _ = load_settings(options.settings)
    check(options)
    if "-" in options.paths:
        raise click.UsageError("PATH is looked at again and again, so it cannot be stdin")

    from models.rows import StateVersionError  # noqa: PLC0415 - the engine is loaded by what uses it
    from models.settings import SettingsError  # noqa: PLC0415
    from streams.database import StateError  # noqa: PLC0415
    from streams.metrics import Metrics, served  # noqa: PLC0415
    from streams.networks import opened  # noqa: PLC0415
    from streams.sources.inventory import InventoryError  # noqa: PLC0415
    from streams.sources.inventory import load as load_inventory  # noqa: PLC0415
    from streams.store import Store  # noqa: PLC0415
    from streams.watch import Watch  # noqa: PLC0415

    def on_rejected(rejected: Rejected) -> None:
        if not options.quiet:
            place = f", record {rejected.record}" if rejected.record else ""
            field = f", {rejected.field}" if rejected.field else ""
            say(f"REJECTED    {rejected.file}{place}{field}: {rejected.reason}")

    try:
        with ExitStack() as stack:
            inventory = load_inventory(options.inventory)
            stop = stack.enter_context(_told_to_stop())
            store = stack.enter_context(Store(state))
            sink = stack.enter_context(_sink(options.output, store.place()))
            metrics = Metrics()
            served_at = ""
            if not once:
                try:
                    port = stack.enter_context(served(metrics, metrics_host, metrics_port))
                except OSError as error:
                    raise Unusable(f"{metrics_host}:{metrics_port}: {error.strerror}") from None
                served_at = f"; metrics on http://{metrics_host}:{port}/metrics"
            watching = Watch(
                list(options.paths),
                settings,
                store,
                sink,
                output=_name(options.output),
                allowance_s=round(allowance_minutes * 60),
                metrics=metrics,
                is_shown=lambda finding: is_shown(finding, options, None, None),
                on_rejected=on_rejected,
                inventory=inventory,
                inventory_at=None if options.inventory_at is None else options.inventory_at.seconds,
                locate=stack.enter_context(opened(settings.networks)),
            )
            stack.callback(watching.close)
            if not options.quiet:
                say(f"watching    {', '.join(options.paths)}; state in {state}{served_at}")
            watching.run(stop, poll_seconds, once=once)
            if not options.quiet:
                _summarise(watching)
            if once and watching.leads_nowhere:
                raise click.exceptions.Exit(UNUSABLE)
    except (InventoryError, StateError, SettingsError) as error:
        raise Unusable(str(error)) from None
    except StateVersionError as error:
        raise Unusable(f"{state}: {error}; docs/watch.md says how to go on") from None
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}" if error.filename else str(error)) from None


class _Stdout:
    """Stdout as a sink: what was written before a kill may be written once more."""

    length = 0

    def write(self, lines: list[str]) -> int:
        """Write lines; whoever closed stdout has seen enough, and what was not written is not committed either."""
        try:
            sys.stdout.buffer.writelines(line.encode() for line in lines)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            abandon_stdout()
            raise click.exceptions.Exit from None
        return 0


@contextmanager
def _sink(path: Path | None, place: Place | None) -> Iterator[Sink]:
    if path is None:
        if sys.stdout is None:
            raise Unusable("stdout is closed: give -o FILE")
        yield _Stdout()
        return
    is_ours = place is not None and place.output == _name(path)
    file = GrowingFile(path, place.written if place is not None and is_ours else None)
    if file.lost:
        say(f"rolehawk: {path}: {file.lost:,} bytes shorter than it was; going on at its end")
    try:
        yield file
    finally:
        file.close()


def _name(path: Path | None) -> str:
    return "" if path is None else str(path.resolve())


@contextmanager
def _told_to_stop() -> Iterator[Flag]:
    """Give a flag that SIGTERM and Ctrl-C set; a second one ends the process as it is."""
    stop = Flag()
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def on_signal(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])

    for each in before:
        signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _summarise(watching: Watch) -> None:
    from streams.summary import counted  # noqa: PLC0415 - loaded with the engine

    done = watching.tally()
    say(
        f"read        {counted(done.files, 'file')}, {counted(done.events, 'event')}, of them {done.late:,} late; "
        f"left out {counted(done.duplicates, 'duplicate')}, rejected {done.rejected:,}"
    )
    say(f"written     {counted(done.changes, 'change')} of findings")
