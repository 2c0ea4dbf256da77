"""What a worker counts of itself, for Prometheus.

Events are counted once, where they are filed, but for copies, which the actor's shard finds. What is known is counted by
the worker that has the shard; so sums over all workers are right, whoever has what.
"""

from __future__ import annotations

import asyncio
from typing import Final

from models.desks.tray import Fault
from models.finding import Finding
from models.trail import Batch
from streams.filing import NEVER, Unfiled
from streams.metrics import Metrics
from streams.shard import Incidents, Shard

CENSUS_S: Final = 30.0  # a census looks at all that is known: a second for half a million entities


class Tally:
    """Counts what happens, and from time to time what is known."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._shards: dict[int, Shard] = {}

    def read(self, batch: Batch, unfiled: list[Unfiled], watermark: int) -> None:
        """Count what a message of the source held; what is older than the watermark was late."""
        metrics = self._metrics
        failed = sum(each.error is not None for each in unfiled)
        metrics.read("accepted", len(batch.events) - failed)
        metrics.read("rejected", len(batch.rejected) + failed)
        metrics.read("ignored", batch.digests + batch.insights)
        metrics.arrived(batch.events)
        metrics.applied(batch.events)
        if late := sum([event.at < watermark for event in batch.events]):
            metrics.count("rolehawk_late_events_total", late)

    def duplicate(self, count: int) -> None:
        """Count events that had been there before."""
        self._metrics.read("duplicate", count)

    def fault(self, fault: Fault) -> None:
        """Count an event at which a detector, or a desk, raised."""
        self._metrics.failed(fault)

    def changed(self, finding: Finding) -> None:
        """Count a finding that opened, changed or closed."""
        self._metrics.changed(finding)

    def took(self, state: Shard | Incidents) -> None:
        """Learn that this worker has a shard, or the incidents desk, with what that knows."""
        if isinstance(state, Shard):
            self._shards[state.number] = state
        else:
            self._metrics.known(state.desk.findings())

    def gave(self, state: Shard | Incidents) -> None:
        """Learn that it has it no more."""
        if isinstance(state, Shard):
            self._shards.pop(state.number, None)
        else:
            self._metrics.forget_open()

    async def take_census(self) -> None:
        """Count what is known, again and again."""
        while True:
            await asyncio.sleep(CENSUS_S)
            desks = [each.desks for each in self._shards.values()]
            now = min((each.clock.now for each in self._shards.values() if each.clock.now > -NEVER), default=None)
            if now is not None:
                self._metrics.take_census([each.behaviour for each in desks], [each.grants for each in desks], now)
