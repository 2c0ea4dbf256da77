"""What `rolehawk evaluate` does: runs the models over organisations, sums up, compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from models.behaviour.learned import shipped_model
from models.engine import Engine
from models.settings import Settings, parse_settings
from streams.learning.card import card
from streams.learning.dataset import ERAS, make, plan_of, run
from streams.learning.evaluation import Organisation, anomalies_of, evaluate, people_of, read_truth
from streams.learning.masking import Masking
from streams.learning.model import load
from streams.output import WholeFile
from streams.simulate import simulate
from streams.sources.simulated.delivery import Folder
from streams.sources.simulated.stories import fitting, misuse
from streams.sources.simulated.world import World

LOGS: Final = "AWSLogs"

Truth = list[dict[str, Any]]
Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the options of the command say."""

    folders: tuple[Path, ...] = ()
    model: Path | None = None
    organisations: int = 0
    seed: int = 9_001
    events: int = 150_000
    days: int = 90
    masked: bool = False
    card: Path | None = None
    compare: tuple[Path, Path] | None = None

    @property
    def command(self) -> str:
        """The command that makes the same again."""
        words = ["rolehawk evaluate", *map(str, self.folders)]
        if self.organisations:
            words.append(
                f"--simulate {self.organisations} --seed {self.seed} --events {self.events} --days {self.days}"
            )
        return " ".join(
            [*words, *(["--masked"] if self.masked else []), *([f"--card {self.card}"] if self.card else [])]
        )


class Evaluation:
    """One run over all organisations that are asked for."""

    def __init__(self, asked: Asked, tell: Tell) -> None:
        self._asked = asked
        self._tell = tell

    def evaluate(self) -> list[str]:
        """Hold one model against the truth; raises ModelError, ValueError, OSError."""
        learned = load(self._asked.model) if self._asked.model else shipped_model()
        organisations: list[Organisation] = []
        for name, paths, truth in self._organisations():
            organisations.append(evaluate(name, paths, truth, learned))
            done = organisations[-1]
            self._tell(
                f"{name:<24}{len({each.arn for each in done.judged}):6,} principals{len(done.alerts):6,} alerts in {done.weeks:.0f} weeks"
                f"{len(done.found):6,} of {len(done.owed):,} incidents"
            )
        people, found = people_of(organisations), anomalies_of(organisations)
        if self._asked.card is not None:
            with WholeFile(self._asked.card) as file:
                file.open().write([card(learned, organisations, people, found, self._asked.command)])
        return [
            f"principals judged      {people.judged:,}",
            f"too few calls          {people.too_few:,}",
            f"ROC-AUC                {people.auc:.4f}",
            f"calibration error      {people.error:.4f}",
            f"abstained              {people.abstained:,}",
            f"sure and wrong         {len(people.wrong):,}",
            f"ROC-AUC, times alone   {people.auc_times_alone:.4f}",
            *(f"wrong, {name}: {each.wrong:,} of {each.judged:,}" for name, each in people.by_manner.items()),
            f"alerts a week          {found.per_week:.2f}",
            f"precision              {found.precision:.4f}",
            f"incidents found        {sum(found.found.values())} of {sum(found.owed.values())}",
            f"isolation forest       {sum(found.by_forest.values())} of {sum(found.owed.values())}",
            f"first-seen calls       {sum(found.by_rule.values())} of {sum(found.owed.values())}",
        ]

    def compare(self) -> list[str]:
        """Compare two models or settings over the same trails; raises as `evaluate`, and SettingsError."""
        old, new = self._asked.compare or (Path(), Path())
        lines: list[str] = []
        for name, paths, _ in self._organisations():
            lines += [f"{name}: {line}" for line in _differences(_engine(old, paths), _engine(new, paths))]
        return lines or ["no difference"]

    def _organisations(self) -> Iterator[tuple[str, list[str], Truth]]:
        for folder in self._asked.folders:
            paths = [str(folder / LOGS)] if (folder / LOGS).is_dir() else [str(folder)]
            yield str(folder), paths, read_truth(folder)
        for number in range(self._asked.organisations):
            seed = self._asked.seed + number
            plan = plan_of(seed, self._asked.events, self._asked.days, ERAS[number % len(ERAS)])
            stories = fitting(plan, [each.name for each in misuse.STORIES])
            with TemporaryDirectory(prefix="rolehawk-evaluate-") as made:
                if self._asked.masked:
                    truth = _masked(Path(made), World(replace(plan, stories=stories)))
                else:
                    truth = _truth(make(Path(made), plan, stories))
                yield f"simulated, seed {seed}", [made], truth


def _truth(world: World) -> Truth:
    return [msgspec.json.decode(line) for line in world.organisation.ledger.lines()]


def _masked(folder: Path, world: World) -> Truth:
    """Write an organisation's trail masked, and give the truth under the new names."""
    masking = Masking(Folder(folder, world.organisation), msgspec.json.decode)
    simulate(world, masking)
    new = {old: name for name, old in masking.names.items()}
    truth = []
    for row in _truth(world):
        for key in ("arn", "entity_arn"):
            if key in row:
                row[key] = new.get(row[key], row[key])
        truth.append(row)
    return truth


def _engine(chosen: Path, paths: list[str]) -> Engine:
    if chosen.suffix == ".toml":
        settings = parse_settings(chosen.read_text("utf-8"), str(chosen))
        return run(
            paths,
            settings=settings,
            learned=None if settings.learned.model is None else load(Path(settings.learned.model)),
        )
    return run(paths, settings=Settings(), learned=load(chosen))


def _differences(old: Engine, new: Engine) -> Iterator[str]:
    before = {each.finding_id: each for each in old.findings()}
    after = {each.finding_id: each for each in new.findings()}
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            yield f"+ {key[:12]} {now.severity} {now.detector}: {now.title}"
        elif now is None and was is not None:
            yield f"- {key[:12]} {was.severity} {was.detector}: {was.title}"
        elif was is not None and now is not None and (was.severity, was.status) != (now.severity, now.status):
            yield f"~ {key[:12]} {was.detector}: {was.severity} {was.status} -> {now.severity} {now.status}"
    kinds = {each.arn: (each.kind, each.class_) for each in old.principals()}
    for each in new.principals():
        if kinds.get(each.arn) != (each.kind, each.class_):
            was_kind, was_class = kinds.get(each.arn, ("unknown", "unknown"))
            yield f"~ {each.arn}: {was_kind}, {was_class} -> {each.kind}, {each.class_}"
