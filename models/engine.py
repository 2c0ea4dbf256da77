"""The engine: files each event at the desks that it concerns, and takes what they yield to the incidents desk.

The same engine runs in a replay, in a worker and inside a test. It knows no detector by name, reads no clock, and its
state is plain data that round-trips through bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from models.behaviour.classifier import LEARNED_TIER, Regression, opinion
from models.behaviour.evidence import Kind
from models.behaviour.keys import KeyRow
from models.behaviour.learned import Learned
from models.behaviour.profile import NEVER, Profile
from models.desks.incidents import IncidentsDesk, OnChange
from models.desks.pair import Desks
from models.desks.tray import Fault
from models.detector import Rule
from models.event import Event
from models.facts import LADDER, Facts
from models.finding import Class, Finding
from models.grants.inventory import Inventory
from models.incidents.lineage import Hop
from models.network import Locate
from models.record import iso
from models.rows import Row, RowKind, by_kind
from models.settings import Context, Settings

_FAILED: Final = int(Facts.SIGN_IN_FAILED)
_NOW: Final = RowKind[int]("now", int)


class FactCount(Struct, frozen=True):
    """One piece of evidence of what a principal is, and the number of its sessions that showed it."""

    tier: int
    fact: str
    count: int


class SessionCount(Struct, frozen=True):
    """A principal's sessions by what they were."""

    human: int
    machine: int
    unknown: int


class Principal(Struct, kw_only=True, rename={"class_": "class"}):
    """Who is human, who is machine, and why. The order of the fields is the order in which they are written."""

    arn: str
    type: str
    account_id: str | None
    kind: Kind
    class_: Class
    tier: int | None
    probability: float | None
    evidence: list[FactCount]
    sessions: SessionCount
    events: int
    first_seen: str
    last_seen: str
    path: str | UnsetType = UNSET  # once known


class Engine:
    """The three desks, one after another."""

    def __init__(
        self,
        rules: Iterable[Rule[Any]],
        settings: Settings | None = None,
        on_fault: Callable[[Fault], None] | None = None,
        on_change: OnChange | None = None,
        locate: Locate | None = None,
        learned: Learned | None = None,
    ) -> None:
        rules = tuple(rules)
        context = Context(settings, locate)
        self.now = self._written_now = -NEVER
        self._on_fault = on_fault
        self.desks = Desks(rules, context, learned)
        self.behaviour, self.grants = self.desks.behaviour, self.desks.grants
        self.incidents = IncidentsDesk((rule for rule in rules if rule.detector.desk == "incidents"), context)
        self.incidents.on_change = on_change

    @property
    def asked_for(self) -> frozenset[str]:
        """The calls whose parameters anybody reads: an event of another call may come without."""
        return self.desks.asked_for

    def feed(self, events: Iterable[Event]) -> None:
        """Score and learn events; in their order a replay is exact."""
        desks, behaviour, tray = self.desks, self.behaviour, self.desks.tray
        filed_calls = desks.filed_calls
        for event in events:
            at, actor = event.at, event.caller.actor
            if at < behaviour.coverage_since:
                desks.cover(at)
            if at > self.now:
                self.now = at
            # A sign-in that failed is nobody's act: whose name was typed stands at the grants desk.
            may_have_yielded = actor is not None and not event.facts & _FAILED and behaviour.observe(event, actor)
            if event.api.key in filed_calls:
                may_have_yielded = True
                desks.observe_call(event, actor)
            if may_have_yielded and tray.holds_anything:
                self._hand_on()

    @property
    def is_overfull(self) -> bool:
        """Whether there is a tenth more than the bounds allow, so that it is time to forget."""
        return self.behaviour.is_overfull or self.incidents.is_overfull

    def forget(self) -> None:
        """Let go of what is long over, for a process that runs for years: each day of event time, and when overfull.

        A replay never does: it shows all that it found.
        """
        self.behaviour.forget(self.now)
        self._hand_on()
        self.incidents.forget(self.now)

    def seed(self, inventory: Inventory) -> None:
        """Learn what an account held before the first event."""
        self.behaviour.seed(inventory)
        self.grants.seed(inventory)

    def seed_keys(self, rows: Iterable[KeyRow], holds_at: int) -> None:
        """Learn which keys there were at an instant before the first event."""
        self.behaviour.seed_keys(rows, holds_at)

    def tick(self, now: int) -> None:
        """Let time pass to `now`: what it alone makes true becomes a finding, what has been quiet closes."""
        self.now = max(self.now, now)
        self.behaviour.sweep_due(self.now)
        self._hand_on()
        self.incidents.pass_time(self.now)

    def findings(self) -> list[Finding]:
        """List all findings in their present state, by the time they opened, then by id; none that is suppressed."""
        return self.incidents.findings()

    def lineage_of(self, finding_id: str) -> list[Hop]:
        """List who stands behind a finding, the root first, the actor last."""
        return self.incidents.lineage_of(finding_id)

    def principals(self) -> list[Principal]:
        """List whatever acted or was assumed, by ARN."""
        profiles, people = self.behaviour.profiles, self.behaviour.learned.people
        return [_principal(profiles[arn], people) for arn in sorted(profiles) if profiles[arn].stances]

    def changes(self) -> Iterator[Row]:
        """Write the rows of state that changed since this was last asked; all of them, where it never was.

        What is given counts as written: whoever cannot keep it must not go on.
        """
        yield from self.behaviour.changes()
        yield from self.grants.changes()
        yield from self.incidents.changes()
        if self.now != self._written_now:
            self._written_now = self.now
            yield _NOW.row("engine", (), 0, self.now)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up the rows that `changes` wrote, in any order; raises StateVersionError where they cannot be read."""
        desks: dict[str, list[Row]] = {}
        for row in rows:
            desks.setdefault(row.desk, []).append(row)
        self.behaviour.restore(desks.get("behaviour", ()))
        self.grants.restore(desks.get("grants", ()))
        self.incidents.restore(desks.get("incidents", ()))
        for each in by_kind(desks.get("engine", ())).get("now", ()):
            self.now = self._written_now = _NOW.read(each)[1]

    def _hand_on(self) -> None:
        """Take what lies on the tray to the incidents desk, what explains before what it explains."""
        tray = self.desks.tray
        self.incidents.pass_time(self.now)
        for step in self.incidents.steps(tray):
            step()
        if self._on_fault is not None:
            for fault in tray.faults:
                self._on_fault(fault)
        tray.clear()


def _principal(profile: Profile, people: Regression) -> Principal:
    answer = profile.answer()
    kind, class_, tier = answer.kind, answer.verdict.class_, answer.verdict.tier
    judged = None if profile.habits is None else opinion(people, profile.habits)
    if tier is None and judged is not None and judged.side is not None:  # a stronger tier always wins
        kind, class_, tier = "human" if judged.side == "human" else "machine", judged.side, LEARNED_TIER
    sessions = max(sum(profile.stances.values()), 1)
    counted = {1 << bit: count for bit, count in profile.shown.items()}
    for fact in LADDER:
        if profile.configuration & fact:  # the entity's own, so it holds for all its sessions
            counted[int(fact)] = sessions
    evidence = [
        FactCount(rung.tier, rung.text, counted[int(fact)]) for fact, rung in LADDER.items() if int(fact) in counted
    ]
    if judged is not None and tier not in (1, 2):  # where AWS or the configuration say it, nobody asks
        like = "a person" if judged.probability >= 0.5 else "a machine"
        evidence += [
            FactCount(LEARNED_TIER, f"behaves like {like}: {each.what} ({each.value:.3g} {each.unit})", profile.events)
            for each in judged.contributors
        ]
    return Principal(
        arn=profile.arn,
        type=profile.type,
        account_id=profile.account_id,
        kind=kind,
        class_=class_,
        tier=tier,
        probability=None if judged is None else round(judged.probability, 4),
        evidence=sorted(evidence, key=lambda each: (each.tier, -each.count, each.fact)),
        sessions=SessionCount(answer.human, answer.machine, answer.unknown),
        events=profile.events,
        first_seen=iso(profile.first_at),
        last_seen=iso(max(profile.last_at, profile.first_at)),
        path=profile.path or UNSET,
    )
