"""The command line: reads options, runs the job, shows what is asked for, and says how it went.

Results go to stdout or into a file; progress, summary and complaints to stderr. Exit status: 0 done; 1 findings at or
above ``--fail-on``; 2 wrong usage, bad settings or nothing readable; 3 done, but records were rejected and ``--strict``
was given; 130 interrupted. What a command alone needs is imported inside it: ``--help`` waits for no engine.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, TypeVar

import click

from streams.formats import FORMATS, What, writer
from streams.terminal import Screen, screen_of, visible, visible_line

if TYPE_CHECKING:
    from models.detector import Rule
    from models.engine import Principal
    from models.finding import Finding
    from models.settings import Settings
    from models.trail import Rejected
    from streams.replay import Result, Summary

SETTINGS_FILE: Final = "rolehawk.toml"
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
CLASSES: Final = ("human", "workload", "service", "agent", "unknown")
KINDS: Final = ("human", "machine", "mixed", "unknown")
MAX_SAMPLES: Final = 5  # rejected records named in the summary
DAY_S: Final = 86_400
HOUR_S: Final = 3_600

FOUND, UNUSABLE, REJECTED, INTERRUPTED = 1, 2, 3, 130

EXIT_STATUS: Final = (
    "Exit status: 0 done; 1 findings at or above --fail-on; 2 wrong usage, bad settings or nothing readable; "
    "3 done, but records were rejected and --strict was given (1 wins over 3)."
)

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Unusable(click.ClickException):
    """The job cannot be done: says what is in its way."""

    exit_code = UNUSABLE


@dataclass(frozen=True)
class Moment:
    """A point in time as an option gives it: an instant, or so many seconds before the trail's last event."""

    seconds: int
    is_span: bool = False

    def at(self, last_at: int) -> int:
        """Say which instant is meant, now that the trail's last event is known."""
        return last_at - self.seconds if self.is_span else self.seconds


class When(click.ParamType):
    """A date, an instant or, where a span makes sense, a number of days or hours back from the last event."""

    name = "when"

    def __init__(self, *, is_end: bool = False, may_be_span: bool = True) -> None:
        self.is_end = is_end
        self.may_be_span = may_be_span

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:  # noqa: ANN401
        """Read a moment; a date means its first second, or its last where it ends a span."""
        if isinstance(value, Moment):
            return value
        if span := re.fullmatch(r"([0-9]{1,6})([dh])", value):
            if not self.may_be_span:
                self.fail(
                    f"{value!r} counts back from the last event, which is not known before it is read", param, ctx
                )
            return Moment(int(span[1]) * (DAY_S if span[2] == "d" else HOUR_S), is_span=True)
        try:
            day = datetime.combine(date.fromisoformat(value), datetime.min.time(), UTC)
            return Moment(int(day.timestamp()) + (DAY_S - 1 if self.is_end else 0))
        except ValueError:
            pass
        from models.record import epoch  # noqa: PLC0415 - the one spelling of instants, paid for where one is given

        try:
            return Moment(epoch(value))
        except (ValueError, OverflowError):
            examples = "2024-05-01, 2024-05-01T09:30:00Z" + (", 90d, 36h" if self.may_be_span else "")
            self.fail(f"{value!r} is no time; write it like {examples}", param, ctx)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the options of replay and principals say."""

    paths: tuple[str, ...]
    form: str | None = None
    output: Path | None = None
    settings: Path | None = None
    since: Moment | None = None
    until: Moment | None = None
    read_since: Moment | None = None
    account: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    detector: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    min_severity: str | None = None
    fail_on: str | None = None
    rejects: Path | None = None
    strict: bool = False
    quiet: bool = False
    no_progress: bool = False

    def span(self, last_at: int) -> tuple[int | None, int | None]:
        """Work out which span is shown; raises where it ends before it begins."""
        since = None if self.since is None else self.since.at(last_at)
        until = None if self.until is None else self.until.at(last_at)
        if since is not None and until is not None and since > until:
            raise click.UsageError("--since is later than --until", click.get_current_context(silent=True))
        return since, until


def _output_path(_context: click.Context, _param: click.Parameter, value: str | None) -> Path | None:
    return None if value in (None, "-") else Path(str(value))


def _options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Join options into one decorator; they stand in the help in the order given."""

    def decorate(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _output_options(what: What) -> Callable[[_Command], _Command]:
    return _options(
        click.option("--format", "form", type=click.Choice(FORMATS[what]),
                     help="How to write it; table on a terminal, else jsonl."),
        click.option("-o", "--output", metavar="FILE", callback=_output_path,
                     help="Write into FILE, whole or not at all, instead of stdout."),
    )  # fmt: skip


_settings_option = click.option(
    "--settings",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Settings; {SETTINGS_FILE} here, if there is one.",
)
_reading_options = _options(
    _settings_option,
    click.option("--read-since", metavar="WHEN", type=When(may_be_span=False),
                 help="Read only events from then on (2024-05-01, 2024-05-01T09:30:00Z); what came before is not known."),
    click.option("--rejects", metavar="FILE", type=click.Path(path_type=Path),
                 help="Write every record that could not be read into FILE, as JSON lines."),
    click.option("--strict", is_flag=True, help="Exit with 3 if records were rejected."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no summary: only errors on stderr."),
    click.option("--no-progress", is_flag=True, help="No progress bar."),
)  # fmt: skip
_showing_options = _options(
    click.option("--since", metavar="WHEN", type=When(),
                 help="Show what was still going on then or later: a date, an instant, or 90d or 36h before the last event."),
    click.option("--until", metavar="WHEN", type=When(is_end=True),
                 help="Show what began by then; a date means to its end."),
    click.option("--account", metavar="ID", multiple=True, help="Show this account only; may be repeated."),
    click.option("--entity", metavar="GLOB", multiple=True,
                 help="Show what matches this glob by ARN, like '*role/web*'; may be repeated."),
)  # fmt: skip
_finding_options = _options(
    click.option("--detector", metavar="NAME", multiple=True, help="Show this detector's findings only; may be repeated."),
    click.option("--min-severity", type=click.Choice(SEVERITIES), help="Show findings from this severity up."),
    click.option("--fail-on", type=click.Choice(SEVERITIES),
                 help="Exit with 1 if a live finding from this severity up is shown."),
)  # fmt: skip
_paths_argument = click.argument("paths", metavar="PATH...", nargs=-1, required=True)


def _print_version(context: click.Context, _param: click.Parameter, is_wanted: bool) -> None:
    if not is_wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow, and seldom asked for

    try:
        found = version("rolehawk")
    except PackageNotFoundError:
        found = "(not installed)"
    click.echo(f"rolehawk {found}")
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
@_paths_argument
@_output_options("findings")
@_showing_options
@_finding_options
@_reading_options
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
        shown = [each for each in result.findings if _is_shown(each, options, since, until)]
        output.write(shown)
    _summarise(options, result, shown)
    context.exit(status_of(options, result.summary, shown))


@rolehawk.command(epilog=EXIT_STATUS)
@_paths_argument
@_output_options("principals")
@_showing_options
@click.option("--kind", type=click.Choice(KINDS), multiple=True, help="Show this kind only; may be repeated.")
@_reading_options
@click.pass_context
def principals(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401
    """Tell who is human and who machine.

    Reads all of PATH, and shows one row per entity: what it is, and why.
    """
    options = Options(**given)
    with ExitStack() as files:
        result, output = _read(options, "principals", files)
        since, until = options.span(_last_at(result))
        shown = [each for each in result.principals if _is_listed(each, options, since, until)]
        output.write(shown)
    _summarise(options, result, None)
    context.exit(status_of(options, result.summary, []))


@rolehawk.command()
@_output_options("detectors")
@_settings_option
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


@rolehawk.command()
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the trail, its truth and settings into DIR, which must be new or empty.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=1,
    show_default=True,
    help="Which organisation: the same arguments make the same bytes.",
)
@click.option(
    "--events",
    type=click.IntRange(1_000, 10_000_000),
    default=100_000,
    show_default=True,
    help="How many events, all accounts together.",
)
@click.option("--days", type=click.IntRange(1, 400), default=14, show_default=True, help="How many days they span.")
@click.option("--accounts", type=click.IntRange(3, 60), default=4, show_default=True, help="How many accounts.")
@click.option(
    "--start",
    metavar="DATE",
    type=When(may_be_span=False),
    help="The first day; 2026-03-02, with old records 2021-03-01.",
)
@click.option(
    "--era",
    type=click.Choice(("new", "old", "both")),
    default="new",
    show_default=True,
    help="Records as they are now, as before 2022, or half and half.",
)
@click.option(
    "--incidents",
    metavar="all|none|NAME,...",
    default="all",
    show_default=True,
    help="What goes wrong, or only looks so.",
)
@click.option(
    "--live",
    metavar="RATE",
    type=click.FloatRange(0, 1_000_000, min_open=True),
    help="Write records to stdout as JSON lines, RATE a second.",
)
@click.option("--digests", is_flag=True, help="Put digest files beside the logs.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary: only errors on stderr.")
@click.option("--no-progress", is_flag=True, help="No progress bar.")
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
        _abandon_stdout()
        return
    except UnusablePlanError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    except OSError as error:
        raise Unusable(f"{error.filename or 'writing'}: {error.strerror or error}") from None
    if not given["quiet"]:
        for line in lines:
            _say(line)


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


def load_settings(path: Path | None) -> tuple[Settings, str]:
    """Read and check the settings: the file named, else rolehawk.toml here, else the defaults.

    Gives the name of the file too; it is empty where there is none. Raises Unusable that names file and key.
    """
    from models.detectors import build  # noqa: PLC0415 - the engine is loaded by what uses it
    from models.settings import MAX_SETTINGS_BYTES, Settings, SettingsError, parse_settings  # noqa: PLC0415

    if path is None:
        path = Path(SETTINGS_FILE)
        if not path.exists():
            return Settings(), ""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SETTINGS_BYTES + 1).decode("utf-8-sig")
        settings = parse_settings(text, str(path))
        build(settings, str(path))
    except UnicodeDecodeError:
        raise Unusable(f"{path}: not UTF-8") from None
    except SettingsError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
    return settings, str(path)


class Output:
    """Where results go and in which format: stdout, or a file that is written whole or not at all."""

    def __init__(self, what: What, form: str | None, path: Path | None, files: ExitStack) -> None:
        if path is None and sys.stdout is None:
            raise Unusable("stdout is closed: give -o FILE")
        is_for_people = path is None and sys.stdout.isatty()
        self._write = writer(what, form or ("table" if is_for_people else "jsonl"))
        self._screen = Screen() if path is not None else screen_of(sys.stdout)
        self._file = None if path is None else files.enter_context(WholeFile(path)).open()

    def write(self, results: list[Any]) -> None:
        """Write all results. Whoever closes stdout early has seen enough: that is no error."""
        pieces = self._write(results, self._screen)
        if self._file is not None:
            self._file.write(pieces)
            return
        is_terminal = sys.stdout.isatty()
        encoding = sys.stdout.encoding if is_terminal else "utf-8"
        try:
            for piece in pieces:
                sys.stdout.buffer.write(piece.encode(encoding, "backslashreplace"))
            sys.stdout.flush()
        except BrokenPipeError:
            _abandon_stdout()
        except OSError as error:
            _abandon_stdout()
            raise Unusable(f"stdout: {error.strerror}") from None


class WholeFile:
    """A file that takes its name only when it is complete: until then, and if anything fails, the old one stays.

    The part written so far lies beside it. A device or a pipe cannot be replaced and is written as it is.
    """

    def __init__(self, path: Path) -> None:
        self._name = path
        self._path = path.resolve()  # a symbolic link goes on pointing to it
        self._file: BinaryIO | None = None
        self._part: Path | None = None
        if self._path.is_dir():
            raise Unusable(f"{path}: is a folder")
        if not self._path.exists() or self._path.is_file():
            self._part = self._path.with_name(f".{self._path.name[:200]}.{token_hex(4)}.part")

    def open(self) -> Self:
        """Begin, or say now that it cannot be written. Entered before, so that no interruption leaves a part behind."""
        self._opened()
        return self

    def _opened(self) -> BinaryIO:
        if self._file is None:
            try:
                self._file = (self._part or self._path).open("wb" if self._part is None else "xb")
                if self._part is not None and self._path.exists():
                    self._part.chmod(self._path.stat().st_mode & 0o777)
            except OSError as error:
                raise Unusable(f"{self._name}: {error.strerror}") from None
        return self._file

    def __enter__(self) -> Self:
        return self

    def write(self, pieces: Iterable[str]) -> None:
        """Add to what will be in it; raises Unusable where the disk does not take it."""
        try:
            for piece in pieces:
                self._opened().write(piece.encode())
        except OSError as error:
            raise Unusable(f"{self._path}: {error.strerror}") from None

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        """Put it in its place, or leave no trace."""
        try:
            if self._file is not None:
                self._file.flush()
                if self._part is not None and error_type is None:
                    os.fsync(self._file.fileno())
                    self._part.replace(self._path)
        except OSError as error:
            if error_type is None:
                raise Unusable(f"{self._path}: {error.strerror}") from None
        finally:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # said already by the flush
                self._file.close()
        if self._part is not None:
            self._part.unlink(missing_ok=True)


def _read(options: Options, what: What, files: ExitStack) -> tuple[Result, Output]:
    """Check all that can be checked before hours of reading, then read; raises Unusable where nothing could be read."""
    settings, settings_file = load_settings(options.settings)
    _check(options)
    output = Output(what, options.form, options.output, files)

    from streams.formats.jsonl import line  # noqa: PLC0415 - the engine is loaded by what uses it
    from streams.progress import reading  # noqa: PLC0415
    from streams.replay import replay as run_replay  # noqa: PLC0415

    if settings_file and not options.quiet:
        _say(f"settings    {settings_file}")
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
            result = run_replay(paths, settings, read_since=read_since, on_bytes=on_bytes, on_rejected=on_rejected)
        except OSError as error:
            raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None
    if not result.summary.events:
        _summarise(options, result, None)
        where = paths[0] if len(paths) == 1 else f"{len(paths)} paths"
        raise Unusable(f"{where}: no CloudTrail event could be read")
    return result, output


def _check(options: Options) -> None:
    """Refuse what would show nothing, or write over what is read, before anything is read."""
    from models.detectors import REGISTRY  # noqa: PLC0415 - the engine is loaded by what uses it

    for account in options.account:
        if not re.fullmatch("[0-9]{12}", account):
            raise click.BadParameter(f"{account!r} is no account id of 12 digits", param_hint="--account")
    known = [detector.name for detector in REGISTRY]
    for name in options.detector:
        if name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise click.BadParameter(f"no detector {name!r}; the nearest is {nearest!r}", param_hint="--detector")
    if not any(moment is not None and moment.is_span for moment in (options.since, options.until)):
        options.span(0)
    written = [path.resolve() for path in (options.output, options.rejects) if path is not None]
    if len(set(written)) < len(written):
        raise click.UsageError("-o and --rejects name the same file")
    for path in written:
        if path.is_file() and any(Path(read).exists() and path.samefile(read) for read in options.paths):
            raise click.UsageError(f"{path} is both read and written")


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """Put down what was rejected: its content as text, or in base64 where it is not UTF-8."""
    try:
        content, encoding = rejected.content.decode(), "utf-8"
    except UnicodeDecodeError:
        from base64 import b64encode  # noqa: PLC0415 - seldom needed

        content, encoding = b64encode(rejected.content).decode(), "base64"
    return {
        "file": _encodable(rejected.file),
        "record": rejected.record,
        "field": rejected.field and _encodable(rejected.field),
        "reason": _encodable(rejected.reason),
        "content": content,
        "encoding": encoding,
    }


def _encodable(text: str) -> str:
    """Escape what no UTF-8 can hold: a file's name may be any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_shown(finding: Finding, options: Options, since: int | None, until: int | None) -> bool:
    from models.finding import Severity  # noqa: PLC0415 - loaded by now; here it would slow down --help
    from models.record import epoch  # noqa: PLC0415

    names = (finding.entity.arn, finding.actor.arn, finding.actor.origin)
    return (
        (not options.account or finding.account_id in options.account)
        and (not options.detector or finding.detector in options.detector)
        and (options.min_severity is None or Severity.parse(finding.severity) >= Severity.parse(options.min_severity))
        and _matches(names, options.entity)
        and (since is None or epoch(finding.updated_at) >= since)
        and (until is None or epoch(finding.opened_at) <= until)
    )


def _is_listed(principal: Principal, options: Options, since: int | None, until: int | None) -> bool:
    from models.record import epoch  # noqa: PLC0415 - as above

    return (
        (not options.account or principal.account_id in options.account)
        and (not options.kind or principal.kind in options.kind)
        and _matches((principal.arn,), options.entity)
        and (since is None or epoch(principal.last_seen) >= since)
        and (until is None or epoch(principal.first_seen) <= until)
    )


def _matches(names: Iterable[str | None], globs: Sequence[str]) -> bool:
    return not globs or any(name is not None and fnmatchcase(name, glob) for name in names for glob in globs)


def _last_at(result: Result) -> int:
    return result.summary.last_at or 0


def status_of(options: Options, summary: Summary, shown: list[Finding]) -> int:
    """Decide the exit status of a job that was done; what was found is more urgent than what could not be read."""
    if options.fail_on is not None:
        urgent = SEVERITIES[: SEVERITIES.index(options.fail_on) + 1]
        if any(each.stage == "live" and each.severity in urgent for each in shown):
            return FOUND
    return REJECTED if options.strict and summary.rejected else 0


def _summarise(options: Options, result: Result, shown: list[Finding] | None) -> None:
    """Say on stderr how it went; with --quiet only where a detector failed, for then findings may be missing."""
    lines = faults(result.summary) if options.quiet else summary_of(result, shown)
    if lines and options.output is None and sys.stdout is not None and sys.stdout.isatty():
        _say("")  # the table stands on the same terminal
    for line in lines:
        _say(line)


def summary_of(result: Result, shown: list[Finding] | None) -> list[str]:
    """Sum up a replay in a few lines; shown is what findings were printed, None where none were asked for."""
    summary = result.summary
    lines = [f"read        {_count(summary.files, 'file')}, {_count(summary.events, 'event')}{_extent(summary)}"]
    left_out = [
        _count(number, noun)
        for number, noun in (
            (summary.duplicates, "duplicate"), (summary.digests, "digest file"),
            (summary.insights, "Insights record"), (summary.others, "other file"),
        )
        if number
    ]  # fmt: skip
    if left_out:
        lines.append(f"left out    {', '.join(left_out)}")
    if summary.repaired:
        lines.append(f"repaired    {_count(summary.repaired, 'record')} with an odd value, read all the same")
    if summary.rejected:
        lines.append(f"REJECTED    {_count(summary.rejected, 'record')} could not be read; --rejects FILE keeps all")
    lines += [f"            {_sample(each)}" for each in summary.samples[:MAX_SAMPLES]]
    classes: Counter[str] = Counter(each.class_ for each in result.principals)
    lines.append(f"principals  {_tally(len(result.principals), classes, CLASSES)}")
    if shown is not None:
        severities = Counter(each.severity for each in shown if each.stage == "live")
        notes = [_tally(len(shown), severities, SEVERITIES)]
        if shadow := sum(each.stage == "shadow" for each in shown):
            notes.append(f"{shadow:,} in shadow")
        if len(shown) < len(result.findings):
            notes.append(f"{len(result.findings) - len(shown):,} more not shown")
        lines.append(f"findings    {'; '.join(notes)}")
    if summary.elapsed_s > 0:
        rate = round(summary.events / summary.elapsed_s)
        lines.append(f"took        {summary.elapsed_s:,.1f} s, {rate:,} events per second")
    return lines + faults(summary)


def faults(summary: Summary) -> list[str]:
    """Name the detectors that failed, and how often."""
    return [
        f"FAULT       detector {name} failed on {_count(times, 'event')}: findings of it may be missing"
        for name, times in sorted(summary.detector_errors.items())
    ]


def _extent(summary: Summary) -> str:
    if summary.first_at is None or summary.last_at is None:
        return ""
    from models.record import iso  # noqa: PLC0415 - loaded by now

    return f" from {iso(summary.first_at)} to {iso(summary.last_at)}"


def _sample(rejected: Rejected) -> str:
    field = f", {rejected.field}" if rejected.field else ""
    return f"{rejected.file}, record {rejected.record}{field}: {rejected.reason}"


def _tally(total: int, counts: Counter[str], order: Sequence[str]) -> str:
    """Write ``12: 3 high, 9 low``, in the order given."""
    parts = ", ".join(f"{counts[each]:,} {each}" for each in order if counts[each])
    return f"{total:,}: {parts}" if parts else f"{total:,}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _say(line: str) -> None:
    """Write one line to stderr, if anybody is there to read it."""
    if sys.stderr is None:
        return
    try:
        print(visible(line), file=sys.stderr, flush=True)  # noqa: T201 - stderr is where it belongs
    except OSError:  # as closed as a pipe can be: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _complain(message: str) -> None:
    _say(f"rolehawk: {visible_line(message)}")


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere: the interpreter flushes stdout once more as it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        _complain(f"{error.format_message().rstrip('.')} (see {path} --help)")
        return UNUSABLE
    except click.ClickException as error:
        _complain(error.format_message())
        return UNUSABLE
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # --help and --version into a pipe that closed
        _abandon_stdout()
    except Exception as error:  # noqa: BLE001 - a fault of ours is one line too, and not status 1, which means findings
        _complain(f"internal error: {type(error).__name__}: {error} ({_place_of(error)})")
        return UNUSABLE
    return 0


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
