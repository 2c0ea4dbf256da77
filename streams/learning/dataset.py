"""What a model learns from: principals whose class AWS itself vouches for, and ordinary hours, as numbers.

A label comes from tiers 1 and 2 of the evidence: asserted by AWS, or configured. Who is mixed, or known by the client's
word alone, teaches nothing. An organisation is one trail: its principals stand together on one side of every split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from models.behaviour.classifier import Regression
from models.behaviour.features import FEATURES, is_enough, vector
from models.behaviour.habits import Habits
from models.behaviour.learned import FORMAT, Learned, features_hash
from models.behaviour.profile import Profile
from models.behaviour.surprise import AGES, Calibration, age_of, is_known_enough, surprise
from models.detectors import build
from models.engine import Engine
from models.event import Event
from models.settings import Settings
from streams.learning.manners import AS_THEY_ARE, Diary
from streams.order import Once, Records, SpillSort
from streams.simulate import simulate
from streams.sources.files import FileReader, find
from streams.sources.simulated.delivery import Folder
from streams.sources.simulated.organisation import START, START_OLD, Era, Plan
from streams.sources.simulated.world import World

MAX_TIER: Final = 2  # of the evidence that a label may come from
ERAS: Final[tuple[Era, ...]] = ("new", "old", "both")

OnHour = Callable[[str, Habits], None]

# What is in force while there is no model yet: it knows nobody, and finds nothing strange.
BLANK: Final = Learned(
    format=FORMAT,
    made_by="",
    features=[each.name for each in FEATURES],
    features_hash=features_hash(),
    data_hash="",
    data={},
    metrics={},
    people=Regression(
        means=[0.0] * len(FEATURES),
        scales=[1.0] * len(FEATURES),
        weights=[0.0] * len(FEATURES),
        bias=0.0,
        slope=1.0,
        offset=0.0,
        max_spreads=1.0,
        min_confidence=1.0,
    ),
    surprise=Calibration(tail=1.0, starts=[1e9] * len(AGES), scales=[1.0] * len(AGES)),
)


@dataclass(frozen=True)
class Example:
    """One principal: how it behaves, and whether it is a person."""

    arn: str
    vector: list[float]
    is_human: bool
    manner: str = AS_THEY_ARE


@dataclass
class Sample:
    """One organisation: its principals, and how unusual its hours were, by age (`AGES`)."""

    name: str
    era: str
    events: int = 0
    examples: list[Example] = field(default_factory=list)
    too_few: int = 0  # labelled principals with too little behind them
    hours: list[list[float]] = field(default_factory=lambda: [[] for _ in AGES])

    @property
    def digest(self) -> str:
        """Hash what is learned from: the same trail gives the same digest."""
        hashed = hashlib.sha256()
        for each in self.examples:
            hashed.update(repr((each.arn, each.is_human, each.manner, each.vector)).encode())
        hashed.update(repr(self.hours).encode())
        return hashed.hexdigest()[:16]


def run(
    paths: list[str],
    *,
    settings: Settings | None = None,
    learned: Learned | None = None,
    on_hour: OnHour | None = None,
    diary: Diary | None = None,
) -> Engine:
    """Replay a trail through an engine of its own, to the end; raises OSError.

    ``on_hour`` is told of each hour that is over, before it is learned; in the diary it stands who called what.
    """
    settings = settings or Settings()
    engine = Engine(build(settings), settings, learned=learned)
    engine.behaviour.on_hour = on_hour
    reader, once = FileReader(asked_for=engine.asked_for), Once()

    def live(events: list[Event]) -> None:
        if diary is not None:
            for event in events:
                diary.note(event)
        engine.feed(events)

    with SpillSort(Records()) as spill:
        for source in find(paths)[0]:
            for batch in reader.read(source):
                spill.add(batch.events)
        for events in spill.batches():
            live(once.of(events))
    live(once.rest())
    engine.tick(engine.now)
    return engine


def of_trail(name: str, paths: list[str], era: str = "given") -> Sample:
    """Replay a trail, and take its labelled principals and its hours; raises OSError."""
    sample = Sample(name, era)

    def on_hour(_arn: str, habits: Habits) -> None:
        if habits.hour is not None and is_known_enough(habits):
            nats = surprise(habits, habits.hour).nats if habits.hour.is_odd else 0.0
            sample.hours[age_of(habits)].append(nats)

    diary = Diary()
    engine = run(paths, learned=BLANK, on_hour=on_hour, diary=diary)
    for arn, profile in sorted(engine.behaviour.profiles.items()):
        sample.events += profile.events
        is_human = label(profile)
        if is_human is None or profile.habits is None:
            continue
        if is_enough(profile.habits):
            sample.examples.append(Example(arn, vector(profile.habits), is_human))
        else:
            sample.too_few += 1
        for manner, habits in diary.in_manners(arn, is_human=is_human):
            if is_enough(habits):
                sample.examples.append(Example(arn, vector(habits), is_human, manner))
    return sample


def label(profile: Profile) -> bool | None:
    """Say whether a principal is a person, where tiers 1 and 2 say so and nothing contradicts them."""
    answer = profile.answer()
    tier = answer.verdict.tier
    if tier is None or tier > MAX_TIER or answer.kind not in ("human", "machine"):
        return None
    return answer.kind == "human"


def simulated(seeds: list[int], events: int, days: int) -> Iterator[Sample]:
    """Simulate organisations in which nothing goes wrong, in all eras and sizes, and take what they teach."""
    for number, seed in enumerate(seeds):
        era = ERAS[number % len(ERAS)]
        with TemporaryDirectory(prefix="rolehawk-learning-") as folder:
            make(Path(folder), plan_of(seed, events, days, era))
            yield of_trail(f"simulated, seed {seed}", [folder], era)


def plan_of(seed: int, events: int, days: int, era: Era = "new") -> Plan:
    """Plan an organisation; how many accounts it has, the seed decides."""
    return Plan(
        seed=seed,
        events=events,
        days=days,
        accounts=3 + seed % 4,
        era=era,
        start_at=START if era == "new" else START_OLD,
    )


def make(folder: Path, plan: Plan, stories: tuple[str, ...] = ()) -> World:
    """Write one simulated organisation's trail; gives its world, with the truth of it."""
    world = World(replace(plan, stories=stories))
    simulate(world, Folder(folder, world.organisation))
    return world
