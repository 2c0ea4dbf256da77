"""What is known of one account at the grants desk. Bounded, plain data."""

from __future__ import annotations

from bisect import insort
from typing import Final

import msgspec
from msgspec import Struct

from models.finding import Evidence
from models.grants.graph import Graph
from models.rows import Tracked

MAX_WATCHED: Final = 1024  # identities and addresses each; the longest quiet goes first
MAX_ATTEMPTS: Final = 256  # kept of one identity or address; the oldest goes first
MAX_WRITTEN: Final = 10_000  # entities whose writers are counted; the longest untouched go first
MAX_TRAIL_BUCKETS: Final = 64  # the longest known go first
MAX_DIMMED: Final = 256  # guards that see less than they did; the longest known go first
MEMORY_S: Final = 4 * 3600  # attempts so much older than the newest are forgotten


class Attempt(Struct, frozen=True, gc=False):
    """One sign-in that failed or succeeded."""

    at: int
    is_failure: bool
    identity: str | None  # ARN; None where AWS hides the name
    evidence: Evidence

    @property
    def key(self) -> tuple[int, str]:
        """Where it stands in time."""
        return self.at, self.evidence.event_id


class Writes(Struct):
    """IAM writes, by who made them."""

    as_code: int = 0
    by_hand: int = 0


class AccountState(Struct):
    """One account: who may do what in it, and its recent sign-ins, by whom they claim to be and where they come from."""

    account_id: str
    by_identity: Tracked[list[Attempt]] = msgspec.field(default_factory=Tracked)
    by_address: Tracked[list[Attempt]] = msgspec.field(default_factory=Tracked)
    graph: Graph = msgspec.field(default_factory=Graph)
    writes_to: Tracked[Writes] = msgspec.field(
        default_factory=Tracked
    )  # by ARN of what was written; at most MAX_WRITTEN
    trail_buckets: list[str] = []  # names of buckets that trails deliver to; at most MAX_TRAIL_BUCKETS
    # By ARN, guards that see less than they did, and in which ways; at most MAX_DIMMED.
    dimmed: dict[str, list[str]] = {}

    def learn(self, attempt: Attempt) -> None:
        """File an attempt at its place in time, whatever order it comes in."""
        if attempt.identity is not None:
            _file(self.by_identity, attempt.identity, attempt)
        if attempt.evidence.source_ip is not None:
            _file(self.by_address, attempt.evidence.source_ip, attempt)


def with_attempt(attempts: list[Attempt], attempt: Attempt) -> list[Attempt]:
    """Make the list that holds one attempt more, in time order and within bounds."""
    more = attempts.copy()
    insort(more, attempt, key=lambda each: each.key)
    oldest_at = more[-1].at - MEMORY_S
    return [each for each in more[-MAX_ATTEMPTS:] if each.at >= oldest_at]


def _file(watched: dict[str, list[Attempt]], key: str, attempt: Attempt) -> None:
    watched[key] = with_attempt(watched.get(key, []), attempt)
    if len(watched) > MAX_WATCHED:
        del watched[min(watched, key=lambda each: (watched[each][-1].at, each))]
