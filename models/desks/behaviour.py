"""The behaviour desk: what each entity does.

A desk is a function over its state. Detectors see the state as it was before the event; what an event or the passing
of time yields goes to the tray: drafts and session edges for the incidents desk, changes of class, faults of detectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from models.behaviour.filing import Deed, trust_facts
from models.behaviour.profile import MAX_FORMER_IDS, NEVER, SESSION_GAP_S, Profile, Session
from models.desks.tray import ClassChange, Fault, Tray, calls_of, observe
from models.detector import BehaviourState, Detector, Rule
from models.entity import Actor
from models.event import Event
from models.facts import CONFIGURATION, CONSOLE_MARKERS, Facts
from models.finding import Exhibits, evidence_of
from models.grants.graph import Holder
from models.grants.inventory import Inventory
from models.settings import Context


class BehaviourDesk:
    """What each entity does. State: a profile for each, by ARN."""

    def __init__(self, rules: Iterable[Rule[BehaviourState]], context: Context, tray: Tray) -> None:
        self.profiles: dict[str, Profile] = {}
        self.coverage_since = NEVER
        self.on_met: Callable[[str | None], None] = _ignore  # told in which account an entity was first seen to act
        self._rules = tuple(rules)
        self._context = context
        self._tray = tray
        self._watches = tuple(
            (rule, rule.detector.facts, rule.detector.new_facts, calls_of(rule)) for rule in self._rules
        )
        self._facts = 0  # what any detector looks for in every event
        for rule in self._rules:
            self._facts |= rule.detector.facts
        self.calls = frozenset[str]().union(*(calls for *_, calls in self._watches))
        self._sweeping = tuple(rule for rule in self._rules if _sweeps(rule))

    def observe(self, event: Event, actor: Actor) -> bool:
        """Score and learn what an entity itself does; says whether anything may lie on the tray."""
        profile = self.profiles.get(actor.arn)
        if profile is None or (actor.unique_id is not None and actor.unique_id != profile.unique_id):
            profile = self._meet(actor)
            self.on_met(event.record.recipient_account_id)
        at = event.at
        if at >= profile.next_due_at:
            self.sweep(profile, at)
        session = profile.sessions.get(event.session_name)
        if session is None or at - session.last_at > SESSION_GAP_S or at > session.ends_at:
            session = profile.session_at(event.session_name, at)
        facts = event.facts
        is_worth_a_look = facts & ~session.facts or facts & self._facts or event.api.key in self.calls
        if is_worth_a_look:
            self._look(event, profile, session, facts, is_own=True)
        session.events += 1
        profile.events += 1
        if at > session.last_at:
            session.last_at = at
        if at > profile.last_at:
            profile.last_at = at
        if at < profile.first_at:
            profile.first_at = at
        if is_worth_a_look and self._sweeping:
            self._plan(profile)
        return bool(is_worth_a_look)

    def observe_deed(self, event: Event, deed: Deed) -> None:
        """Score and learn what is done to an entity."""
        profile = self.profiles.get(deed.arn)
        if profile is None:
            profile = self.profiles[deed.arn] = Profile(deed.arn, deed.type, deed.account_id, deed.path)
        if deed.unique_id is not None:
            profile = self._with_id(profile, deed.unique_id)
        profile.path = deed.path or profile.path
        if event.at < profile.first_at:
            profile.first_at = event.at
        if deed.session_name is None:
            self._look_at_configuration(event, profile, deed)
            return
        profile.last_at = max(profile.last_at, event.at)  # to be assumed is to be used
        session = profile.issued_session(deed.session_name, event.at)
        if deed.facts & ~session.facts or not session.stance:
            self._look(event, profile, session, deed.facts, is_own=False)
            self._plan(profile)

    def seed(self, inventory: Inventory) -> None:
        """Learn what the trust policies of an account's roles say of who uses them."""
        for arn, row in inventory.rows.items():
            if isinstance(row, Holder) and row.trust is not None:
                profile = self.profiles.setdefault(arn, Profile(arn, "role", inventory.account_id))
                profile.configure("trust", inventory.made_at.get(arn, -NEVER), trust_facts(row.trust), 0)

    def session_facts(self, event: Event) -> int:
        """Say what the session that an event belongs to has shown so far."""
        profile = self.profiles.get(event.actor.arn) if event.actor else None
        session = profile.sessions.get(event.session_name) if profile else None
        return session.facts if session else 0

    def sweep(self, profile: Profile, now: int) -> None:
        """Run what time alone has made true for an entity by `now`."""
        state = BehaviourState(
            profile, None, 0, is_own=False, coverage_since=self.coverage_since, context=self._context
        )
        for rule in self._sweeping:
            try:
                self._tray.drafts += rule.sweep(state, now)
            except Exception as error:  # noqa: BLE001 - as in `observe`
                self._tray.faults.append(Fault(rule.detector.name, None, f"{type(error).__name__}: {error}"))
        profile.swept_at = max(profile.swept_at, now)
        self._plan(profile)

    def sweep_due(self, now: int) -> None:
        """Run what time alone has made true by `now`, for all entities in the order of their ARNs."""
        if self._sweeping:
            for arn in sorted(arn for arn, profile in self.profiles.items() if profile.next_due_at <= now):
                self.sweep(self.profiles[arn], now)

    def _look(self, event: Event, profile: Profile, session: Session, facts: int, *, is_own: bool) -> None:
        """Score what an event shows of a session, then learn it."""
        self._score(event, profile, session, facts, facts & ~session.facts, is_own=is_own)
        if is_own and facts & CONSOLE_MARKERS and profile.type in ("role", "user") and not facts & Facts.SSO_ROLE:
            if session.visit is None:
                session.visit = Exhibits()
                profile.has_visits = True
            session.visit.add([evidence_of(event)], 1)
        if facts & ~session.facts or not session.stance:
            if profile.learn(session, facts):
                self._tray.changes.append(ClassChange(profile.arn, profile.class_, profile.tier))
            profile.note_day(session, event.at)

    def _look_at_configuration(self, event: Event, profile: Profile, deed: Deed) -> None:
        new = deed.facts & CONFIGURATION & ~profile.configuration
        self._score(event, profile, None, deed.facts, new, is_own=False)
        if deed.what is not None and profile.configure(deed.what, event.at, deed.facts, deed.clears):
            self._tray.changes.append(ClassChange(profile.arn, profile.class_, profile.tier))
        self._plan(profile)

    def _score(
        self, event: Event, profile: Profile, session: Session | None, facts: int, new: int, *, is_own: bool
    ) -> None:
        state: BehaviourState | None = None
        for rule, any_of, any_new, calls in self._watches:
            if facts & any_of or new & any_new or (is_own and event.api.key in calls):
                if state is None:
                    state = BehaviourState(profile, session, facts, is_own, self.coverage_since, self._context)
                observe(rule, event, state, self._tray)

    def _plan(self, profile: Profile) -> None:
        """Note when the entity is next due, if any detector waits for time to pass."""
        if self._sweeping:
            state = BehaviourState(profile, None, 0, False, self.coverage_since, self._context)
            next_due_at = NEVER
            for rule in self._sweeping:
                due_at = rule.detector.due_at(state)
                if due_at is not None and profile.swept_at < due_at < next_due_at:
                    next_due_at = due_at
            profile.next_due_at = next_due_at

    def _meet(self, actor: Actor) -> Profile:
        """Find or make the profile of an entity that acts; another unique id under its name makes it a new one."""
        profile = self.profiles.get(actor.arn)
        if profile is None:
            profile = self.profiles[actor.arn] = Profile(actor.arn, actor.type, actor.account_id)
        if actor.unique_id is not None:
            profile = self._with_id(profile, actor.unique_id)
        profile.path = actor.path or profile.path
        return profile

    def _with_id(self, profile: Profile, unique_id: str) -> Profile:
        """Give the profile that a unique id belongs to: a different one that is known starts afresh."""
        known = profile.unique_id
        if known is None:
            profile.unique_id = unique_id
        elif unique_id != known and unique_id not in profile.former_ids:
            former = [*profile.former_ids, known][-MAX_FORMER_IDS:]
            profile = Profile(profile.arn, profile.type, profile.account_id, None, unique_id, former)
            self.profiles[profile.arn] = profile
            self._tray.changes.append(ClassChange(profile.arn, profile.class_, profile.tier))
        return profile


def _sweeps(rule: Rule[Any]) -> bool:
    return type(rule.detector).sweep is not Detector.sweep


def _ignore(_account_id: str | None) -> None:
    """Listen to nothing."""
