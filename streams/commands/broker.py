"""broker: a real Kafka on this machine, for trying things out."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import click

from streams.output import Unusable, say


@click.command()
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep topics in DIR; without it they are gone when the broker stops.",
)
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on; a free one if not given.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
def broker(data: Path | None, port: int | None, quiet: bool) -> None:
    """Run a real Kafka on this machine.

    One node on the loopback address, for trying things out. Prints the address, and runs until Ctrl-C or SIGTERM. The
    first start fetches Kafka from Maven Central.
    """
    from streams.broker import Broker, BrokerError  # noqa: PLC0415 - seldom asked for

    def on_progress(words: str) -> None:
        if not quiet:
            say(f"broker      {words}")

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with Broker(data, port=port or 0, on_progress=on_progress) as kafka:
            try:
                click.echo(kafka.bootstrap)
                on_progress("ready; Ctrl-C stops it")
                kafka.wait()
            except KeyboardInterrupt:
                on_progress("stopping")
    except BrokerError as error:
        raise Unusable(f"broker: {error}") from None


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
