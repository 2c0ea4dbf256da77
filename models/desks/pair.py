"""The behaviour and the grants desk side by side: a replay has one pair of them, the stream one for each shard.

What concerns an entity is filed where the entity is, what concerns an account where the account is. `places_of` says
where an event belongs, `Desks` looks at it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from models.behaviour.filing import FILED_CALLS, deed_of
from models.behaviour.learned import Learned
from models.desks.behaviour import BehaviourDesk
from models.desks.grants import GrantsDesk, account_of
from models.desks.tray import Fault, Tray
from models.detector import Rule
from models.entity import Actor
from models.event import Event
from models.facts import Facts
from models.incidents.lineage import EDGE_CALLS, edge_of
from models.settings import Context

# As what an event is filed: bits, so that one that concerns several at one place is filed there once.
ACTOR: Final = 1  # at its actor: what an entity does, and whom it issues
DEED: Final = 2  # at whom it is done to
GRANTS: Final = 4  # at the account
EVERYWHERE: Final = ACTOR | DEED | GRANTS

_FAILED: Final = int(Facts.SIGN_IN_FAILED)


class Place(NamedTuple):
    """Where an event is filed: under which entity or account, and as what."""

    key: str
    how: int


class Desks:
    """The behaviour and the grants desk, and what they hand on."""

    def __init__(self, rules: Iterable[Rule[Any]], context: Context, learned: Learned | None = None) -> None:
        rules = tuple(rules)
        self.tray = Tray()
        self.behaviour = BehaviourDesk(
            (rule for rule in rules if rule.detector.desk == "behaviour"), context, self.tray, learned
        )
        self.grants = GrantsDesk((rule for rule in rules if rule.detector.desk == "grants"), context, self.tray)
        self.behaviour.on_met = self.grants.seen_accounts.add
        self.filed_calls = FILED_CALLS | EDGE_CALLS | self.grants.calls

    @property
    def asked_for(self) -> frozenset[str]:
        """The calls whose parameters anybody reads: an event of another call may come without."""
        return self.filed_calls | self.behaviour.calls

    def cover(self, since: int) -> None:
        """Learn that there are events from a time on."""
        if since < self.behaviour.coverage_since:
            self.behaviour.coverage_since = self.grants.coverage_since = since

    def places_of(self, event: Event) -> Iterator[Place]:
        """Say where an event is filed; nowhere where it concerns nobody."""
        actor = event.actor
        if actor is not None and not event.facts & _FAILED:
            yield Place(actor.arn, ACTOR)
        if event.api.key in self.filed_calls:
            if (deed := deed_of(event)) is not None:
                yield Place(deed.arn, DEED)
            if event.api.key in self.grants.calls:
                yield Place(account_of(event), GRANTS)

    def observe(self, event: Event, how: int) -> None:
        """Score and learn an event as what it is filed."""
        actor = event.actor
        if how & ACTOR and actor is not None:
            self.behaviour.observe(event, actor)
        if event.api.key in self.filed_calls:
            self.observe_call(event, actor, how)

    def observe_call(self, event: Event, actor: Actor | None, how: int = EVERYWHERE) -> None:
        """Score and learn one of `filed_calls`, as far as it concerns others than its actor."""
        key = event.api.key
        if how & DEED and (deed := deed_of(event)) is not None:
            self.behaviour.observe_deed(event, deed)
        if how & GRANTS and key in self.grants.calls:
            self.grants.observe(event)
        if how & ACTOR and key in EDGE_CALLS and actor is not None and actor.type != "service":
            edge = edge_of(event, self.behaviour.session_facts(event))
            if edge is not None:
                self.tray.edges.append(edge)

    def apply(self, events: list[Event], hows: Iterable[int]) -> list[Fault]:
        """Observe filed events in their order; one at which a desk itself fails is named, the rest go on."""
        faults: list[Fault] = []
        observe = self.observe
        for event, how in zip(events, hows, strict=True):
            try:
                observe(event, how)
            except Exception as error:  # noqa: BLE001 - whatever it is, the stream goes on
                faults.append(Fault("", event, f"{type(error).__name__}: {error}"))
        return faults
