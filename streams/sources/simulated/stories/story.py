"""One story: its name, how it is told, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from streams.sources.simulated.callers import Made
from streams.sources.simulated.organisation import Plan
from streams.sources.simulated.stage import Stage


class Story(NamedTuple):
    """Something that happens besides ordinary life; its telling puts the truth on record and gives the events."""

    name: str
    tell: Callable[[Stage], list[Made]]
    detectors: tuple[str, ...]
    min_days: int = 1
    era: Literal["new", "old"] | None = None  # in which alone records show it

    def fits(self, plan: Plan) -> bool:
        """Say whether a plan has the days and the era for it."""
        return plan.days >= self.min_days and (self.era is None or plan.era in (self.era, "both"))
