"""How many findings a week a learned score may make: the operator's budget, held whatever the scores are.

What is most unusual among all that came in the last four weeks is let through, so many of it as the budget has for that
time: with a budget of five a week, what stands among the twenty most unusual. Under drift the threshold moves along; it
needs no agreement on what a score means. For the first week it only watches.
Source: conformal prediction's rank argument (Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", 2005):
among exchangeable scores each rank is equally likely.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from operator import itemgetter
from typing import Final

from msgspec import Struct

HOUR_S: Final = 3_600
WEEK_S: Final = 7 * 24 * HOUR_S
WINDOW_S: Final = 4 * WEEK_S
MAX_KEPT: Final = 2_048  # candidates of the window; the least unusual go first


class Quota(Struct):
    """The candidates of the last weeks."""

    since: int | None = None  # the first one ever
    newest: int = 0
    kept: list[tuple[float, int]] = []  # (p-value, when), the most unusual first; at most MAX_KEPT

    def admits(self, p_value: float, at: int, per_week: float) -> bool:
        """Say whether a candidate is within the budget, and remember it."""
        if self.since is None:
            self.since = at
        if at > self.newest:
            if at // HOUR_S != self.newest // HOUR_S:
                self.kept = [each for each in self.kept if each[1] > at - WINDOW_S]
            self.newest = at
        span_s = min(self.newest - self.since, WINDOW_S)
        rank = bisect_right(self.kept, p_value, key=itemgetter(0)) + 1
        insort(self.kept, (p_value, at))
        del self.kept[MAX_KEPT:]
        return span_s >= WEEK_S and rank <= per_week * span_s / WEEK_S
