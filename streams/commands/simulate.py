"""simulate: an organisation that never was, with known truth."""

from __future__ import annotations

import sys
from typing import Any

import click

from streams.options import simulating_options
from streams.output import Unusable, abandon_stdout, say


@click.command()
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
