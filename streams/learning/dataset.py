"""What a model learns from: principals whose class AWS itself vouches for, as numbers that say how they behave.

A label comes from tiers 1 and 2 of the evidence: asserted by AWS, or configured. Who is mixed, or known by the client's
word alone, teaches nothing. An organisation is one trail: its principals stand together on one side of every split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from models.behaviour.features import is_enough, vector
from models.behaviour.habits import Habits
from models.behaviour.profile import Profile
from models.settings import Settings
from streams.replay import replay
from streams.simulate import simulate
from streams.sources.simulated.delivery import Folder
from streams.sources.simulated.organisation import START, START_OLD, Era, Plan
from streams.sources.simulated.stories import fitting
from streams.sources.simulated.world import World

MAX_TIER: Final = 2  # of the evidence that a label may come from
ERAS: Final[tuple[Era, ...]] = ("new", "old", "both")


@dataclass(frozen=True)
class Example:
    """One principal: how it behaves, and whether it is a person."""

    arn: str
    vector: list[float]
    is_human: bool
    events: int


@dataclass
class Sample:
    """One organisation's principals."""

    name: str
    era: str
    events: int = 0
    examples: list[Example] = field(default_factory=list)
    too_few: int = 0  # labelled principals with too little behind them

    @property
    def digest(self) -> str:
        """Hash what is learned from: the same trail gives the same digest."""
        hashed = hashlib.sha256()
        for each in self.examples:
            hashed.update(repr((each.arn, each.is_human, each.vector)).encode())
        return hashed.hexdigest()[:16]


def of_trail(name: str, paths: list[str], era: str = "given") -> Sample:
    """Replay a trail, and take its labelled principals; raises OSError."""
    result = replay(paths, Settings(), with_profiles=True)
    sample = Sample(name, era, result.summary.events)
    for profile in result.profiles:
        is_human = label(profile)
        if is_human is None:
            continue
        habits = profile.habits or Habits()
        if is_enough(habits):
            sample.examples.append(Example(profile.arn, vector(habits), is_human, habits.events))
        else:
            sample.too_few += 1
    return sample


def label(profile: Profile) -> bool | None:
    """Say whether a principal is a person, where tiers 1 and 2 say so and nothing contradicts them."""
    answer = profile.answer()
    tier = answer.verdict.tier
    if tier is None or tier > MAX_TIER or answer.kind not in ("human", "machine"):
        return None
    return answer.kind == "human"


def simulated(seeds: list[int], events: int, days: int) -> Iterator[Sample]:
    """Simulate organisations, one after another, in all eras and sizes, and take their principals."""
    for number, seed in enumerate(seeds):
        era = ERAS[number % len(ERAS)]
        with TemporaryDirectory(prefix="rolehawk-train-") as folder:
            make(Path(folder), seed, events, days, era, accounts=3 + number % 4)
            yield of_trail(f"simulated {seed}", [folder], era)


def make(folder: Path, seed: int, events: int, days: int, era: Era, *, accounts: int, stories: bool = True) -> World:
    """Write one simulated organisation's trail; gives its world, with the truth of it."""
    plan = Plan(
        seed=seed, events=events, days=days, accounts=accounts, era=era, start_at=START if era == "new" else START_OLD
    )
    if stories:
        plan = Plan(**{**{name: getattr(plan, name) for name in plan.__slots__}, "stories": fitting(plan)})
    world = World(plan)
    simulate(world, Folder(folder, world.organisation))
    return world
