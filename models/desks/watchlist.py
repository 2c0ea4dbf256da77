"""Which detectors look at an event, by the facts that it shows and the call that it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from models.desks.tray import calls_of
from models.detector import Rule

MAX_KINDS: Final = 4_096  # of events, of which it is known who looks at them; then it starts over


class Watchlist:
    """The detectors of a desk. Events of few kinds make up a trail: for each kind it is worked out once who looks."""

    def __init__(self, rules: Iterable[Rule[Any]]) -> None:
        self._watches = tuple((rule, rule.detector.facts, rule.detector.new_facts, calls_of(rule)) for rule in rules)
        self.facts = self.new_facts = 0  # what any detector looks for in every event, and in one that is new
        for _, facts, new_facts, _ in self._watches:
            self.facts |= facts
            self.new_facts |= new_facts
        self.calls = frozenset[str]().union(*(calls for *_, calls in self._watches))
        self._known: dict[tuple[int, int, str], tuple[Rule[Any], ...]] = {}

    def rules_for(self, facts: int, new_facts: int, call: str) -> tuple[Rule[Any], ...]:
        """Give the detectors that look at an event with these facts, some of them new to its session, of that call."""
        kind = facts & self.facts, new_facts & self.new_facts, call if call in self.calls else ""
        rules = self._known.get(kind)
        if rules is None:
            rules = self._work_out(*kind)
            if len(self._known) >= MAX_KINDS:
                self._known.clear()
            self._known[kind] = rules
        return rules

    def _work_out(self, facts: int, new_facts: int, call: str) -> tuple[Rule[Any], ...]:
        return tuple(
            rule
            for rule, any_of, any_new, calls in self._watches
            if facts & any_of or new_facts & any_new or call in calls
        )
