"""What is injected into ordinary life: incidents, what only looks like one, and the changes of any organisation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from streams.sources.simulated.callers import Made
from streams.sources.simulated.organisation import Plan
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories import chain, changes, console, grants, keys, misuse, near_misses
from streams.sources.simulated.stories.story import Story

INCIDENTS: Final[tuple[Story, ...]] = (
    *console.STORIES,
    *grants.STORIES,
    *keys.STORIES,
    *chain.STORIES,
    *misuse.STORIES,
)
NEAR_MISSES: Final[tuple[Story, ...]] = near_misses.STORIES
CHANGES: Final[tuple[Story, ...]] = changes.STORIES  # always told: they are ordinary life
BY_NAME: Final = {story.name: story for story in (*INCIDENTS, *NEAR_MISSES)}


def fitting(plan: Plan, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """List the stories that there is time for in a plan: of those named, or of all."""
    return tuple(name for name in names or BY_NAME if BY_NAME[name].fits(plan))


def tell(stage: Stage, names: Iterable[str]) -> list[Made]:
    """Tell the stories of those names, and those of ordinary life; gives all their events, story by story."""
    made: list[Made] = []
    for story in (*CHANGES, *(BY_NAME[name] for name in names)):
        if story.fits(stage.plan):
            stage.begin(story.name)
            made += story.tell(stage)
    return made
