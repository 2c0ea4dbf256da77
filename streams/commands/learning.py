"""train, evaluate: the learned models, made and measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from streams.output import Unusable, WholeFile, say

_MANY = "1,000 to 2,000,000"


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the model there: JSON, for `[learned] model` of the settings.",
)
@click.option(
    "--simulate",
    "organisations",
    metavar="N",
    type=click.IntRange(0, 200),
    default=12,
    show_default=True,
    help="Train on so many simulated organisations as well.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, show_default=True, help="Which organisations: seed, seed + 1, ..."
)
@click.option(
    "--events",
    metavar="N",
    type=click.IntRange(1_000, 2_000_000),
    default=80_000,
    show_default=True,
    help="How many events each of them has.",
)
@click.option(
    "--days", metavar="N", type=click.IntRange(14, 400), default=42, show_default=True, help="How many days they span."
)
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")  # fmt: skip
def train(
    paths: tuple[str, ...], output: Path, organisations: int, seed: int, events: int, days: int, quiet: bool
) -> None:
    """Learn who is human by behaviour, and how unusual ordinary hours are.

    Each PATH is one organisation's trail; labels come from what AWS asserts and what is configured, never from names or
    clients. Every organisation is judged by a model that never saw it. It needs the extra `train`.
    """
    try:
        from streams.learning.dataset import of_trail, simulated  # noqa: PLC0415 - what it needs is an extra
        from streams.learning.training import TooLittleError, encoded  # noqa: PLC0415
        from streams.learning.training import train as fit_all  # noqa: PLC0415
    except ImportError:
        raise Unusable("train needs scikit-learn: pip install 'rolehawk[train]'") from None
    samples = []
    try:
        for path in paths:
            samples.append(of_trail(path, [path]))
            _tell(samples[-1], quiet=quiet)
        for sample in simulated(list(range(seed, seed + organisations)), events, days):
            samples.append(sample)
            _tell(sample, quiet=quiet)
        learned = fit_all(samples)
    except TooLittleError as error:
        raise Unusable(f"too little to learn from: {error}") from None
    except OSError as error:
        raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None
    with WholeFile(output) as file:
        file.open().write([encoded(learned)])
    if not quiet:
        for name, value in learned.metrics.items():
            say(f"{name:<28}{value:.4f}")


def _tell(sample: Any, *, quiet: bool) -> None:  # noqa: ANN401 - a Sample, whose module is loaded by now
    if not quiet:
        people = len({each.arn for each in sample.examples if each.is_human})
        machines = len({each.arn for each in sample.examples}) - people
        say(f"read        {sample.name} ({sample.era}): {people} people, {machines} machines")
        sys.stderr.flush()


@click.command()
@click.argument("folders", metavar="[DIR]...", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--model",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Which model; without it the one that ships.",
)
@click.option(
    "--simulate",
    "organisations",
    metavar="N",
    type=click.IntRange(0, 200),
    default=0,
    show_default=True,
    help="Hold it against so many simulated organisations as well.",
)
@click.option("--seed", type=click.IntRange(0), default=9_001, show_default=True, help="Which: seed, seed + 1, ...")
@click.option(
    "--events",
    metavar="N",
    type=click.IntRange(1_000, 2_000_000),
    default=150_000,
    show_default=True,
    help="How many events each of them has.",
)
@click.option(
    "--days", metavar="N", type=click.IntRange(14, 400), default=90, show_default=True, help="How many days they span."
)
@click.option(
    "--masked", is_flag=True, help="Mask what decides by itself, and swap users and roles, in simulated organisations."
)
@click.option(
    "--card", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write a model card there."
)
@click.option(
    "--compare",
    metavar="OLD NEW",
    nargs=2,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Compare two models, or two settings (.toml), over the trails, finding by finding.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only errors on stderr.")
@click.pass_context
def evaluate(context: click.Context, /, quiet: bool, **given: Any) -> None:  # noqa: ANN401 - click's own contract
    """Hold the learned models against a truth.

    Each DIR is an organisation: a trail, and truth.jsonl as simulate writes it. It needs the extra `train`.
    """
    try:
        from streams.learning.report import Asked, Evaluation  # noqa: PLC0415 - what it needs is an extra
    except ImportError:
        raise Unusable("evaluate needs scikit-learn: pip install 'rolehawk[train]'") from None
    from models.behaviour.learned import ModelError  # noqa: PLC0415
    from models.settings import SettingsError  # noqa: PLC0415

    asked = Asked(**given)
    if not asked.folders and not asked.organisations:
        raise click.UsageError("give a DIR, or --simulate N", context)
    tell = (lambda _words: None) if quiet else say
    try:
        lines = Evaluation(asked, tell).compare() if asked.compare else Evaluation(asked, tell).evaluate()
    except (ModelError, SettingsError, ValueError) as error:
        raise Unusable(str(error)) from None
    except OSError as error:
        raise Unusable(f"{error.filename or 'reading'}: {error.strerror or error}") from None
    for line in lines:
        click.echo(line)
