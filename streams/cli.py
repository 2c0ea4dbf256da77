"""The command line: the commands, and what becomes of their errors.

Results go to stdout or into a file; progress, summary and complaints to stderr. Exit status: 0 done; 1 findings at or
above ``--fail-on``; 2 wrong usage, bad settings or nothing readable; 3 done, but records were rejected and ``--strict``
was given; 130 interrupted. What a command alone needs is imported inside it: ``--help`` waits for no engine.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from streams.commands.alert import alert
from streams.commands.broker import broker
from streams.commands.detectors import detectors
from streams.commands.ingest import ingest
from streams.commands.learning import evaluate, train
from streams.commands.policies import check_policy, diff_policy
from streams.commands.simulate import simulate
from streams.commands.trails import explain, principals, replay, seed
from streams.commands.watch import watch
from streams.commands.worker import worker
from streams.output import EXIT_STATUS, INTERRUPTED, UNUSABLE, abandon_stdout, complain


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

    PATH is a file, a folder, a glob, s3://bucket/prefix, or - for stdin. Results go to stdout or FILE, everything else to stderr.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(UNUSABLE)


_COMMANDS = (
    replay, principals, explain, detectors, simulate, check_policy, diff_policy, broker, ingest, seed, worker, alert,
    watch, train, evaluate,
)  # fmt: skip

for _command in _COMMANDS:
    rolehawk.add_command(_command)


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
