"""Merges all lives of an organisation into one stream of events in time order, filled up to the size asked for.

Memory is bounded by one step (an hour, or `STEP_EVENTS` where hours are busier) and the stories, never by the trail.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import accumulate
from operator import itemgetter
from random import Random
from typing import Final

from streams.sources.simulated.callers import Made
from streams.sources.simulated.machines import Fleet
from streams.sources.simulated.organisation import DAY, HOUR, Organisation, Plan
from streams.sources.simulated.people import Staff
from streams.sources.simulated.pipelines import Automation
from streams.sources.simulated.services import Services
from streams.sources.simulated.stage import Stage
from streams.sources.simulated.stories import tell

STEP_EVENTS: Final = 20_000
SERVICE_SHARE: Final = 0.25  # of the times that machines or services act
CALLS_IN_A_ROW: Final = 2.4  # when they do, on average; what is over or short is made up for within the step
# How busy machines are, by hour of the day (UTC): their users sleep too.
_LOAD: Final = tuple(1.0 + (0.25 if 7 <= hour < 20 else -0.2) for hour in range(24))
_WEEKEND: Final = 0.85

_when = itemgetter(0)


class World:
    """One organisation with everybody in it; `events` lets it live once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.organisation = Organisation(plan)
        self.staff = Staff(self.organisation)
        self.automation = Automation(self.organisation)
        self.fleet = Fleet(self.organisation)
        self.services = Services(self.organisation)
        stage = Stage(self.organisation, self.staff, self.automation, self.fleet, self.services)
        self._stories = sorted(tell(stage, plan.stories), key=_when)

    def events(self) -> Iterator[Made]:
        """Let all live: machines and services fill each step up to its part of the events asked for."""
        lives = [iter(self._stories), *self.staff.lives(), *self.automation.lives()]
        scripted = merge(*lives, key=_when)
        ahead = next(scripted, None)
        made = 0
        for begin_at, end_at, quota in self._steps():
            batch: list[Made] = []
            while ahead is not None and ahead.at < end_at:
                batch.append(ahead)
                ahead = next(scripted, None)
            self._fill(batch, begin_at, end_at, quota - made)
            batch.sort(key=_when)
            made += len(batch)
            for each in batch:
                if each.who is not None:
                    each.who.has_acted = True
                yield each

    def _fill(self, batch: list[Made], begin_at: int, end_at: int, wanted: int) -> None:
        """Let machines and services make events until the batch holds as many as wanted."""
        if len(batch) >= wanted:  # people and stories alone are as many
            return
        rng = self.organisation.rng("step", begin_at)
        span_s, random = end_at - begin_at, rng.random
        starts = round((wanted - len(batch)) / CALLS_IN_A_ROW)
        at = begin_at
        for at in sorted(begin_at + int(random() * span_s) for _ in range(starts)):
            if len(batch) >= wanted:
                break
            self._act(rng, at, end_at, batch)
        while len(batch) < wanted:
            at += int(random() * (end_at - at))  # never back: credentials are not older than their use
            self._act(rng, at, end_at, batch)
        del batch[wanted:]

    def _act(self, rng: Random, at: int, end_at: int, batch: list[Made]) -> None:
        """Let a machine or a service act, and be done before the step ends."""
        if rng.random() < SERVICE_SHARE:
            batch += self.services.work(rng, at)
            return
        workload = self.fleet.pick(rng)
        sessions = workload.sessions
        batch += workload.work(rng, at, sessions[int(rng.random() * len(sessions))], until=end_at)

    def _steps(self) -> Iterator[tuple[int, int, int]]:
        """Cut the span into steps: begin, end, and how many events there shall have been by then."""
        plan = self.plan
        parts = max(1, -(-plan.events // (plan.days * 24 * STEP_EVENTS)))
        hours = range(plan.start_at // HOUR, plan.end_at // HOUR)
        weights = [_LOAD[hour % 24] * (_WEEKEND if (hour * HOUR // DAY + 3) % 7 >= 5 else 1.0) for hour in hours]
        total = sum(weights)
        for hour, weight, done in zip(hours, weights, accumulate(weights), strict=True):
            for part in range(parts):
                begin_at = hour * HOUR + part * HOUR // parts
                end_at = hour * HOUR + (part + 1) * HOUR // parts
                share = (done - weight * (1 - (part + 1) / parts)) / total
                yield begin_at, end_at, round(plan.events * share)
