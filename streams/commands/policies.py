"""check-policy, diff-policy: the policy engine over files, for a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from streams.options import SEVERITIES, Options, load_settings, output_options, policy_options, settings_option
from streams.output import EXIT_STATUS, FOUND, REJECTED, Output, Unusable, complain, say
from streams.summary import counted, tally

if TYPE_CHECKING:
    from streams.policies import Reading


@click.command("check-policy", epilog=EXIT_STATUS)
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


@click.command("diff-policy", epilog=EXIT_STATUS)
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
