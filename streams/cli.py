"""The command line: reads options, runs the job, shows what is asked for, and says how it went.

Results go to stdout or into a file; progress, summary and complaints to stderr. Exit status: 0 done; 1 findings at or
above ``--fail-on``; 2 wrong usage, bad settings or nothing readable; 3 done, but records were rejected and ``--strict``
was given; 130 interrupted. What a command alone needs is imported inside it: ``--help`` waits for no engine.
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.formats import What
from streams.options import (
    KINDS,
    SETTINGS_FILE,
    SEVERITIES,
    FindingId,
    Options,
    check,
    finding_options,
    is_listed,
    is_shown,
    load_settings,
    output_options,
    paths_argument,
    policy_options,
    reading_options,
    settings_option,
    showing_options,
    simulating_options,
)
from streams.output import (
    EXIT_STATUS,
    FOUND,
    INTERRUPTED,
    REJECTED,
    UNUSABLE,
    Output,
    Unusable,
    WholeFile,
    abandon_stdout,
    complain,
    say,
)
from streams.summary import counted, rejected_row, status_of, summarise, tally

if TYPE_CHECKING:
    from models.detector import Rule
    from models.explanation import Explanation
    from models.settings import Settings
    from models.trail import Rejected
    from streams.policies import Reading
    from streams.replay import Result


def _print_version(context: click.Context, _param: click.Parameter, is_wanted: bool) -> None:
    if not is_wanted or context.resilient_parsing:
        return
    from streams.version import installed  # noqa: PLC0415 - slow, and seldom asked for

    click.echo(f"rolehawk {installed() or '(not installed)'}")
    context.exit()


@click.group(invoke_without_command=True, epilog=EXIT_STATUS, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
              help="Show the version and exit.")  # fmt: skip
@click.pass_context
def rolehawk(context: click.Context) -> None:
    """Watch what every IAM entity does: who is human, who is machine, and where one is used as the other.

    PATH is a file, a folder, a glob, or - for stdin. Results go to stdout or FILE, everything else to stderr.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(UNUSABLE)


@rolehawk.command(epilog=EXIT_STATUS)
@paths_argument
@output_options("findings")
@showing_options
@finding_options
@reading_options
@click.pass_context
def replay(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own contract
    """Find what is wrong in trails.

    Reads all of PATH, runs all detectors, and shows the findings as they stand at the trail's end. Options choose what
    is shown; all events are read, or baselines would be cut.
    """
    options = Options(**given)
    with ExitStack() as files:
        result, output = _read(options, "findings", files)
        since, until = options.span(_last_at(result))
        shown = [each for each in result.findings if is_shown(each, options, since, until)]
        changes = [each for each in result.history if is_shown(each, options, since, until)]
        output.write(changes if options.history else shown)
    summarise(options, result, shown)
    context.exit(status_of(options, result.summary, shown))


@rolehawk.command(epilog=EXIT_STATUS)
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


@rolehawk.command(epilog=EXIT_STATUS)
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


@rolehawk.command()
@output_options("detectors")
@settings_option
def detectors(form: str | None, output: Path | None, settings: Path | None) -> None:
    """List what can be detected.

    Table and JSON lines show the settings in force; markdown is docs/detectors.md, always with the defaults.
    """
    if form == "markdown":
        rules = catalogue(None)
    else:
        loaded, file = load_settings(settings)
        rules = catalogue(loaded, file)
    with ExitStack() as files:
        Output("detectors", form, output, files).write(rules)
    if form != "markdown":
        from models.grants.tables import action_table, managed_table  # noqa: PLC0415 - seldom asked for

        for what, source in (("actions", action_table()), ("policies", managed_table())):
            say(f"{what:<12}{source.source}, as of {source.date}")


@rolehawk.command()
@simulating_options
def simulate(**given: Any) -> None:  # noqa: ANN401
    """Make a trail of an organisation that never was.

    Writes log files as an organisation's trail has them, and what is true of them: who is human, what should be found.
    """
    from streams.simulate import Request, UnusablePlanError  # noqa: PLC0415 - the simulator is loaded by what uses it
    from streams.simulate import run as run_simulation  # noqa: PLC0415

    given["start_at"] = None if (start := given.pop("start")) is None else start.seconds
    try:
        lines = run_simulation(Request(**given), sys.stdout, sys.stderr)
    except BrokenPipeError:  # whoever reads has seen enough
        abandon_stdout()
        return
    except UnusablePlanError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    except OSError as error:
        raise Unusable(f"{error.filename or 'writing'}: {error.strerror or error}") from None
    if not given["quiet"]:
        for line in lines:
            say(line)


@rolehawk.command("check-policy", epilog=EXIT_STATUS)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True)
@output_options("weaknesses")
@settings_option
@click.option("--min-severity", type=click.Choice(SEVERITIES), help="Show what is wrong from this severity up.")
@click.option(
    "--fail-on", type=click.Choice(SEVERITIES), help="Exit with 1 if anything from this severity up is shown."
)
@policy_options
@click.pass_context
def check_policy(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Find what IAM policies grant too widely.

    FILE is a policy document, {"policies": [...], "boundary": ...} for all that one entity holds, or an inventory
    (GetAccountAuthorizationDetails); - is stdin.
    """
    from streams.policies import Reading  # noqa: PLC0415 - the policy engine is loaded by what uses it
    from streams.policies import check as check_policies  # noqa: PLC0415

    options, reading = Options(**given), Reading()
    settings, _ = load_settings(options.settings)
    with ExitStack() as files:
        output = Output("weaknesses", options.form, options.output, files)
        answers = list(check_policies(options.paths, settings, reading))
        lowest = SEVERITIES.index(options.min_severity or SEVERITIES[-1])
        shown = [each for each in answers if SEVERITIES.index(each.severity) <= lowest]
        _report_reading(reading, options.paths)
        output.write(shown)
    if not options.quiet:
        say(f"read        {counted(reading.files, 'file')}, {counted(reading.documents, 'policy document')}")
        say(f"found       {tally(len(shown), Counter(each.severity for each in shown), SEVERITIES)}")
    urgent = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1] if options.fail_on else ()
    is_found = any(each.severity in urgent for each in shown)
    context.exit(FOUND if is_found else REJECTED if options.strict and reading.complaints else 0)


@rolehawk.command("diff-policy", epilog=EXIT_STATUS)
@click.argument("paths", metavar="OLD NEW", nargs=2, required=True)
@output_options("differences")
@click.option(
    "--fail-on",
    type=click.Choice(("widened", "unknown")),
    help="Exit with 1 if the change widens; with unknown also if that cannot be decided.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
@click.pass_context
def diff_policy(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Tell what a change of policies newly allows.

    OLD and NEW are as for check-policy; of two inventories every entity that changed is shown.
    """
    from streams.policies import Reading, compare  # noqa: PLC0415 - as above

    options, reading = Options(**given), Reading()
    with ExitStack() as files:
        output = Output("differences", options.form, options.output, files)
        old, new = options.paths
        answers = compare(old, new, reading)
        _report_reading(reading, ())
        if reading.complaints:
            raise Unusable("nothing is compared unless both files can be read whole")
        output.write(answers)
    failing = {"widened": ("widened",), "unknown": ("widened", "unknown")}.get(options.fail_on or "", ())
    context.exit(FOUND if any(each.change in failing for each in answers) else 0)


def _report_reading(reading: Reading, paths: Sequence[str]) -> None:
    """Complain of each policy that could not be read; raises Unusable where none could."""
    for complaint in reading.complaints:
        complain(complaint)
    if paths and not reading.files:
        where = paths[0] if len(paths) == 1 else f"{len(paths)} files"
        raise Unusable(f"{where}: no policy could be read")


def catalogue(settings: Settings | None, file: str = SETTINGS_FILE) -> list[Rule[Any]]:
    """List every detector as the settings have it, those that they turn off too."""
    from msgspec.structs import replace  # noqa: PLC0415 - with the engine, as below

    from models.detectors import build  # noqa: PLC0415
    from models.settings import Settings  # noqa: PLC0415

    settings = settings or Settings()
    enabled = {rule.detector.name for rule in build(settings, file)}
    all_on = replace(settings, detectors={name: {**each, "enabled": True} for name, each in settings.detectors.items()})
    return [
        replace(rule, tuning=replace(rule.tuning, enabled=rule.detector.name in enabled))
        for rule in build(all_on, file)
    ]


def _read(options: Options, what: What, files: ExitStack) -> tuple[Result, Output]:
    """Check all that can be checked before hours of reading, then read; raises Unusable where nothing could be read."""
    settings, settings_file = load_settings(options.settings)
    check(options)
    output = Output(what, options.form, options.output, files)

    from streams.formats.jsonl import line  # noqa: PLC0415 - the engine is loaded by what uses it
    from streams.progress import reading  # noqa: PLC0415
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
                read_since=read_since,
                inventory=inventory,
                inventory_at=None if options.inventory_at is None else options.inventory_at.seconds,
                with_history=options.history or what == "explanations",
                on_bytes=on_bytes,
                on_rejected=on_rejected,
            )
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None
    if not result.summary.events:
        summarise(options, result, None)
        where = paths[0] if len(paths) == 1 else f"{len(paths)} paths"
        raise Unusable(f"{where}: no CloudTrail event could be read")
    return result, output


def _explained(finding_id: str, options: Options, result: Result) -> Explanation:
    """Find the finding, and tell its story; raises Unusable where it is not there."""
    from models.explanation import choose, explain  # noqa: PLC0415 - loaded by now
    from streams.progress import reading  # noqa: PLC0415
    from streams.replay import events_of  # noqa: PLC0415

    try:
        finding = choose(result.findings, finding_id)
    except LookupError as error:
        raise Unusable(str(error)) from None
    paths = list(options.paths)
    read_since = None if options.read_since is None else options.read_since.seconds
    is_wanted = not (options.quiet or options.no_progress)
    with reading(paths, sys.stderr, is_wanted=is_wanted) as on_bytes:
        events = events_of(paths, read_since=read_since, on_bytes=on_bytes)
        try:
            return explain(finding, result.findings, result.lineages.get(finding.finding_id, []), events)
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None


def _last_at(result: Result) -> int:
    return result.summary.last_at or 0


def _place_of(error: Exception) -> str:
    """Name the line of ours that raised an error, for whoever reports it."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [each for each in frames if Path(each.filename).is_relative_to(Path(__file__).parents[1])] or frames
    place = Path(ours[-1].filename)
    return f"{place.parent.name}/{place.name}, line {ours[-1].lineno}"


def run(arguments: Sequence[str]) -> int:
    """Run one command line, and give its exit status; every error is one line on stderr."""
    try:
        with rolehawk.make_context("rolehawk", list(arguments)) as context:
            rolehawk.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "rolehawk"
        complain(f"{error.format_message().rstrip('.')} (see {path} --help)")
        return UNUSABLE
    except click.ClickException as error:
        complain(error.format_message())
        return UNUSABLE
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # --help and --version into a pipe that closed
        abandon_stdout()
    except Exception as error:  # noqa: BLE001 - a fault of ours is one line too, and not status 1, which means findings
        complain(f"internal error: {type(error).__name__}: {error} ({_place_of(error)})")
        return UNUSABLE
    return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
