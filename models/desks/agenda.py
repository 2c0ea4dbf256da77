"""Which entities are to be looked at again because time has passed, though they do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from models.behaviour.profile import NEVER


class Agenda:
    """When each entity is due: a heap, in which entries that no longer count are skipped."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due_at: dict[str, int] = {}  # entity -> the entry that counts

    def expect(self, arn: str, at: int) -> None:
        """Queue an entity, unless it stands there already for that time or an earlier one."""
        if at < self._due_at.get(arn, NEVER):
            self._due_at[arn] = at
            heappush(self._heap, (at, arn))

    def reached(self, now: int) -> list[str]:
        """Take off the entities whose time has come, in the order of their ARNs."""
        reached = []
        while self._heap and self._heap[0][0] <= now:
            at, arn = heappop(self._heap)
            if self._due_at.get(arn) == at:
                del self._due_at[arn]
                reached.append(arn)
        return sorted(reached)

    def restore(self, due: Iterable[tuple[str, int]]) -> None:
        """Take up when entities are due, in place of all that was known."""
        self._due_at = {arn: at for arn, at in due if at != NEVER}
        self._heap = [(at, arn) for arn, at in self._due_at.items()]
        heapify(self._heap)
