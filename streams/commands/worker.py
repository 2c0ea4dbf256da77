"""worker: the engine over Kafka."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from streams.options import kafka_option, listen_option, load_settings, settings_option
from streams.output import Unusable, say


@click.command()
@settings_option
@kafka_option
@click.option(
    "--state",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("rolehawk-worker"),
    show_default=True,
    help="Where this worker keeps its copy of state; each worker has one of its own.",
)
@listen_option
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
def worker(settings: Path | None, kafka: str | None, state: Path, listen: tuple[str, int], quiet: bool) -> None:
    """Detect in a stream, over Kafka.

    Reads CloudTrail from its topic, keeps what it knows in Kafka and in DIR, and writes each change of a finding to the
    findings topic. As many workers as there are shards share the work. Runs until Ctrl-C or SIGTERM; killed at any
    moment it loses nothing.
    """
    found, settings_file = load_settings(settings)
    os.environ.setdefault("F_LOOP", "uvloop")  # Faust looks for it as it is loaded
    try:
        from streams.worker import Worker  # noqa: PLC0415 - an extra, and slow to load
    except ImportError:
        raise Unusable("needs the extra `stream`: pip install 'rolehawk[stream]'") from None
    from models.settings import SettingsError  # noqa: PLC0415
    from streams.kafka import Cluster, KafkaUnusableError  # noqa: PLC0415
    from streams.metrics import Metrics, served  # noqa: PLC0415
    from streams.networks import opened  # noqa: PLC0415
    from streams.topics import prepare  # noqa: PLC0415

    try:
        cluster = Cluster.of(found, kafka)
        with _taken(state):
            prepare(cluster, found.stream)
            metrics = Metrics()
            with opened(found.networks) as locate, served(metrics, *listen) as port:
                made = Worker(found, cluster, state, metrics, locate)
                if not quiet:
                    if settings_file:
                        say(f"settings    {settings_file}")
                    say(f"worker      {', '.join(cluster.bootstrap)}, {found.stream.shards} shards, state in {state}")
                    say(f"metrics     http://{listen[0]}:{port}/metrics")
                    made.on_stopping = partial(say, "worker      stopping")
                made.run()
    except SettingsError as error:
        raise Unusable(str(error)) from None
    except KafkaUnusableError as error:
        raise Unusable(f"worker: {error}") from None
    except OSError as error:
        raise Unusable(f"{error.filename or f'{listen[0]}:{listen[1]}'}: {error.strerror or error}") from None


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    """Have a folder to ourselves; raises Unusable where another worker has it, OSError where it cannot be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"{folder}: another worker has it; each needs a folder of its own (--state DIR)") from None
        yield
