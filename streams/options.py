"""What can be asked of a command: its options, what they mean, and what they choose of the results.

What is wrong with them is said before anything is read. The engine is imported where it is used: ``--help`` waits for
none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from streams.formats import FORMATS, What
from streams.output import Unusable

if TYPE_CHECKING:
    from models.engine import Principal
    from models.finding import Finding
    from models.settings import Settings

SETTINGS_FILE: Final = "rolehawk.toml"
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
CLASSES: Final = ("human", "workload", "service", "agent", "unknown")
KINDS: Final = ("human", "machine", "mixed", "unknown")
DAY_S: Final = 86_400
HOUR_S: Final = 3_600

_Command = TypeVar("_Command", bound=Callable[..., Any])


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


class FindingId(click.ParamType):
    """A finding's id, or so much of its beginning that another is unlikely to begin with it."""

    name = "finding id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read an id; its letters may be capitals."""
        if re.fullmatch("[0-9A-Fa-f]{6,32}", value) is None:
            self.fail(f"{value!r} is no finding's id: 6 to 32 characters of 0-9 and a-f", param, ctx)
        return str(value).lower()


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the options of a command that reads trails say."""

    paths: tuple[str, ...]
    form: str | None = None
    output: Path | None = None
    settings: Path | None = None
    since: Moment | None = None
    until: Moment | None = None
    read_since: Moment | None = None
    read_until: Moment | None = None
    account: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    detector: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    min_severity: str | None = None
    fail_on: str | None = None
    rejects: Path | None = None
    inventory: tuple[str, ...] = ()
    inventory_at: Moment | None = None
    strict: bool = False
    history: bool = False
    metrics_file: Path | None = None
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


def output_options(*what: What) -> Callable[[_Command], _Command]:
    """Offer where results go, and the formats that there are for them."""
    return _options(
        click.option("--format", "form", type=click.Choice([form for each in what for form in FORMATS[each]]),
                     help="How to write it; table on a terminal, else jsonl."),
        click.option("-o", "--output", metavar="FILE", callback=_output_path,
                     help="Write into FILE, whole or not at all, instead of stdout."),
    )  # fmt: skip


settings_option = click.option(
    "--settings",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"Settings; {SETTINGS_FILE} here, if there is one.",
)


def address(_context: click.Context, param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """Read HOST:PORT."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise click.BadParameter(f"{value!r} is no HOST:PORT", param=param)
    return host.strip("[]"), int(port)


listen_option = click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:9464",
    show_default=True,
    callback=address,
    help="Serve /metrics there; port 0 is a free one.",
)
kafka_option = click.option(
    "--kafka",
    metavar="HOST:PORT,...",
    help="Where Kafka is; if not given, KAFKA_BOOTSTRAP_SERVERS, else [kafka] bootstrap of the settings.",
)
reading_options = _options(
    settings_option,
    click.option("--inventory", metavar="FILE", multiple=True,
                 help="GetAccountAuthorizationDetails or ListAccessKeys' answer, or the credential report; may be repeated."),
    click.option("--inventory-at", metavar="WHEN", type=When(may_be_span=False),
                 help="As of when the inventory holds; the trail's first event if not given."),
    click.option("--read-since", metavar="WHEN", type=When(may_be_span=False),
                 help="Read only events from then on (2024-05-01, 2024-05-01T09:30:00Z); what came before is not known."),
    click.option("--rejects", metavar="FILE", type=click.Path(path_type=Path),
                 help="Write every record that could not be read into FILE, as JSON lines."),
    click.option("--strict", is_flag=True, help="Exit with 3 if records were rejected."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no summary: only errors on stderr."),
    click.option("--no-progress", is_flag=True, help="No progress bar."),
)  # fmt: skip
showing_options = _options(
    click.option("--since", metavar="WHEN", type=When(),
                 help="Show what was still going on then or later: a date, an instant, or 90d or 36h before the last event."),
    click.option("--until", metavar="WHEN", type=When(is_end=True),
                 help="Show what began by then; a date means to its end."),
    click.option("--account", metavar="ID", multiple=True, help="Show this account only; may be repeated."),
    click.option("--entity", metavar="GLOB", multiple=True,
                 help="Show what matches this glob by ARN, like '*role/web*'; may be repeated."),
)  # fmt: skip
finding_options = _options(
    click.option("--detector", metavar="NAME", multiple=True, help="Show this detector's findings only; may be repeated."),
    click.option("--min-severity", type=click.Choice(SEVERITIES), help="Show findings from this severity up."),
    click.option("--fail-on", type=click.Choice(SEVERITIES),
                 help="Exit with 1 if a live finding from this severity up is shown."),
    click.option("--history", is_flag=True, help="Show every change of each finding, suppressed ones too."),
)  # fmt: skip
simulating_options = _options(
    click.option("-o", "--output", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
                 help="Write the trail, its truth and settings into DIR, which must be new or empty."),
    click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True,
                 help="Which organisation: the same arguments make the same bytes."),
    click.option("--events", type=click.IntRange(1_000, 10_000_000), default=100_000, show_default=True,
                 help="How many events, all accounts together."),
    click.option("--days", type=click.IntRange(1, 400), default=14, show_default=True, help="How many days they span."),
    click.option("--accounts", type=click.IntRange(3, 60), default=4, show_default=True, help="How many accounts."),
    click.option("--start", metavar="DATE", type=When(may_be_span=False),
                 help="The first day; 2026-03-02, with old records 2021-03-01."),
    click.option("--era", type=click.Choice(("new", "old", "both")), default="new", show_default=True,
                 help="Records as they are now, as before 2022, or half and half."),
    click.option("--incidents", metavar="all|none|NAME,...", default="all", show_default=True,
                 help="What goes wrong, or only looks so."),
    click.option("--live", metavar="RATE", type=click.FloatRange(0, 1_000_000, min_open=True),
                 help="Write records to stdout as JSON lines, RATE a second."),
    click.option("--kafka", metavar="HOST:PORT,...", help="With --live: write into the topic of trails of this Kafka."),
    settings_option,
    click.option("--digests", is_flag=True, help="Put digest files beside the logs."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no summary: only errors on stderr."),
    click.option("--no-progress", is_flag=True, help="No progress bar."),
)  # fmt: skip
policy_options = _options(
    click.option("--strict", is_flag=True, help="Exit with 3 if a policy could not be read."),
    click.option("-q", "--quiet", is_flag=True, help="No summary: only errors on stderr."),
)  # fmt: skip
metrics_options = _options(
    click.option("--metrics-host", metavar="ADDRESS", default="127.0.0.1", show_default=True,
                 help="Serve /metrics on this address."),
    click.option("--metrics-port", metavar="PORT", type=click.IntRange(0, 65_535), default=9464, show_default=True,
                 help="Serve /metrics on this port; 0 for any that is free."),
)  # fmt: skip
paths_argument = click.argument("paths", metavar="PATH...", nargs=-1, required=True)


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
    return _with_paths_beside(path, settings), str(path)


def _with_paths_beside(path: Path, settings: Settings) -> Settings:
    """Take the files that settings name for relative to the settings' own folder."""
    from msgspec.structs import replace  # noqa: PLC0415 - the engine is loaded by what uses it

    named = {name: getattr(settings.networks, name) for name in ("maxmind_asn", "maxmind_city", "aws_ranges")}
    beside = {name: str(path.parent / value) for name, value in named.items() if value is not None}
    if settings.learned.model is not None:
        settings = replace(settings, learned=replace(settings.learned, model=str(path.parent / settings.learned.model)))
    return replace(settings, networks=replace(settings.networks, **beside)) if beside else settings


def check(options: Options) -> None:
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
    named = {"-o": options.output, "--rejects": options.rejects, "--metrics-file": options.metrics_file}
    written = [path.resolve() for path in named.values() if path is not None]
    if len(set(written)) < len(written):
        same = " and ".join(name for name, path in named.items() if path and written.count(path.resolve()) > 1)
        raise click.UsageError(f"{same} name the same file")
    for path in written:
        if path.is_file() and any(Path(read).exists() and path.samefile(read) for read in options.paths):
            raise click.UsageError(f"{path} is both read and written")


def is_shown(finding: Finding, options: Options, since: int | None, until: int | None) -> bool:
    """Decide whether a finding is among those asked for."""
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


def is_listed(principal: Principal, options: Options, since: int | None, until: int | None) -> bool:
    """Decide whether a principal is among those asked for."""
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
