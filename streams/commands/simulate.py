"""simulate: an organisation that never was, with known truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streams.options import load_settings, simulating_options
from streams.output import Unusable, abandon_stdout, say

if TYPE_CHECKING:
    from streams.pipe import Pipe


@click.command()
@simulating_options
def simulate(**given: Any) -> None:  # noqa: ANN401
    """Make a trail of an organisation that never was.

    Writes log files as an organisation's trail has them, and what is true of them: who is human, what should be found.
    """
    from streams.kafka import KafkaUnusableError  # noqa: PLC0415
    from streams.simulate import Request, UnusablePlanError  # noqa: PLC0415 - the simulator is loaded by what uses it
    from streams.simulate import run as run_simulation  # noqa: PLC0415

    given["start_at"] = None if (start := given.pop("start")) is None else start.seconds
    pipe = given["pipe"] = _pipe(given.pop("kafka"), given.pop("settings"), given["live"])
    try:
        lines = run_simulation(Request(**given), sys.stdout, sys.stderr)
    except BrokenPipeError:  # whoever reads has seen enough
        abandon_stdout()
        return
    except UnusablePlanError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    except KafkaUnusableError as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"{error.filename or 'writing'}: {error.strerror or error}") from None
    finally:
        if pipe is not None:
            pipe.sender.close()
    if not given["quiet"]:
        for line in lines:
            say(line)


def _pipe(kafka: str | None, settings_file: Path | None, rate: float | None) -> Pipe | None:
    """Connect with Kafka, if records are to go there."""
    if kafka is None:
        return None
    if rate is None:
        raise click.UsageError("--kafka goes with --live RATE", click.get_current_context())
    from streams.kafka import Cluster, KafkaUnusableError  # noqa: PLC0415 - an extra
    from streams.pipe import Pipe  # noqa: PLC0415

    settings, _ = load_settings(settings_file)
    try:
        return Pipe(Cluster.of(settings, kafka), settings)
    except KafkaUnusableError as error:
        raise Unusable(str(error)) from None
