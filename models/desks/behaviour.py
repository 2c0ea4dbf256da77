"""The behaviour desk: what each entity does.

A desk is a function over its state. Detectors see the state as it was before the event; what an event or the passing
of time yields goes to the tray: drafts and session edges for the incidents desk, changes of class, faults of detectors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from models.behaviour.evidence import Origin, origin_of
from models.behaviour.filing import Deed, trust_facts
from models.behaviour.habits import Habits
from models.behaviour.instances import INSTANCE, Instances, Place, learn_place, place_of
from models.behaviour.key_use import KeyUse, done_to, learn_act, learn_use, use_of
from models.behaviour.keys import KeyAct, KeyRow, key_of
from models.behaviour.learned import Learned, shipped_model
from models.behaviour.profile import DAY_S, MAX_FORMER_IDS, NEVER, SESSION_GAP_S, Profile, Session, maturity
from models.behaviour.recon import ASKING, is_news, new_recon
from models.behaviour.routine import OWN_CALL, close, note
from models.desks.agenda import Agenda
from models.desks.tray import ClassChange, Fault, Tray, observe
from models.desks.watchlist import Watchlist
from models.detector import BehaviourState, Detector, Rule
from models.entity import Actor, EntityType, account_of
from models.event import Event
from models.facts import CONFIGURATION, CONSOLE_MARKERS, Facts
from models.finding import Exhibits, evidence_of, who
from models.grants.graph import Holder
from models.grants.inventory import Inventory
from models.incidents.outlived import SPAN_S, KeySwitch, Sighting
from models.rows import Row, RowKind, Tracked, by_kind
from models.settings import Context

MAX_PROFILES: Final = 250_000  # of a process that runs for years; the longest unseen go first
UNSEEN_S: Final = 400 * DAY_S  # an entity that was not seen for so long is forgotten
MAX_AT_HOME: Final = 65_536  # sessions of instances with address and client, known to be at home; then it starts over

_PROFILE: Final = RowKind[Profile]("profile", Profile)
_COVERAGE: Final = RowKind[int]("coverage", int)

_LONG_LIVED_KEY: Final = int(Facts.LONG_LIVED_KEY)
_OF_A_KEY: Final = int(Facts.OF_A_KEY)
_AT_INSTANCE: Final = INSTANCE | Facts.DIRECT_CALL
_COPIED: Final = int(Facts.COPIED_CREDENTIALS)
_TELLING: Final = _LONG_LIVED_KEY | INSTANCE | ASKING  # what there is more to find out about


class _Found(NamedTuple):
    """What the desk finds out about an event, beside what the event shows of itself."""

    facts: int = 0
    use: KeyUse | None = None
    place: Place | None = None
    act: KeyAct | None = None


_NOTHING: Final = _Found()


class BehaviourDesk:
    """What each entity does. State: a profile for each, by ARN."""

    def __init__(
        self, rules: Iterable[Rule[BehaviourState]], context: Context, tray: Tray, learned: Learned | None = None
    ) -> None:
        self.profiles: Tracked[Profile] = Tracked()
        self.coverage_since = NEVER
        self.on_met: Callable[[str | None], None] = _ignore  # told in which account an entity was first seen to act
        self._context = context
        self._tray = tray
        rules = tuple(rules)
        self._watchlist = Watchlist(rules)
        self._at_home: set[tuple[str, str | None, str]] = set()  # as MAX_AT_HOME says; no state, only sparing time
        self._facts, self.calls = self._watchlist.facts, self._watchlist.calls
        self._sweeping = tuple(rule for rule in rules if _sweeps(rule))
        self._judging_habits = tuple(rule.detector.name for rule in rules if rule.detector.judges_habits)
        self._agenda = Agenda()  # of entities that are to be swept
        self._written_coverage = NEVER
        self.learned = learned or shipped_model()
        self.on_hour: Callable[[str, Habits], None] | None = (
            None  # told of each hour that is over, before it is learned
        )
        self.begun: Counter[Origin] = Counter()  # sessions that began to act since this process did, for who measures

    def observe(self, event: Event, actor: Actor) -> bool:
        """Score and learn what an entity itself does; says whether anything may lie on the tray."""
        arn, at, facts, name = actor.arn, event.at, event.facts, event.session_name
        profiles = self.profiles
        profile = profiles.get(arn)
        if profile is None or (actor.unique_id is not None and actor.unique_id != profile.unique_id):
            profile = self._meet(actor)
            self.on_met(event.caller.recipient_account_id)
        profiles.changed[arn] = None
        if is_due := at >= profile.next_due_at:
            self.sweep(profile, at)
        session = profile.sessions.get(name)
        if session is None or at - session.last_at > SESSION_GAP_S or at > session.ends_at:
            session = profile.session_at(name, at)
            self.begun[origin_of(facts)] += 1
        found = self._find_out(event, actor, profile) if facts & _TELLING else _NOTHING
        is_worth_a_look = facts & ~session.facts or facts & self._facts or found.facts or event.api.key in self.calls
        if is_worth_a_look:
            self._look(event, profile, session, facts, found, is_own=True)
        if found is not _NOTHING:
            self._learn_found(event, actor, profile, session, found)
        if session.facts & _OF_A_KEY and not facts & CONSOLE_MARKERS and _begins_span(session, at):
            self._tray.sightings.append(self._sighting(event, profile, session))
        session.events += 1
        profile.events += 1
        if at > session.last_at:
            session.last_at = at
        if at > profile.last_at:
            profile.last_at = at
        if at < profile.first_at:
            profile.first_at = at
        if facts & OWN_CALL and profile.type != "service":
            is_worth_a_look = self._note(event, profile, session) or is_worth_a_look
        if is_worth_a_look and self._sweeping:
            self._plan(profile)
        return is_due or bool(is_worth_a_look) or bool(self._tray.sightings)

    def _note(self, event: Event, profile: Profile, session: Session) -> bool:
        """Note a call among the entity's habits; an hour that is over joins them first."""
        habits = profile.habits
        if habits is not None and (hour := habits.hour) is not None and event.at >= hour.ends_at:
            if self.on_hour is not None:
                self.on_hour(profile.arn, habits)
            is_accepted = hour.is_odd and self._is_accepted(profile.arn)
            close(habits, hour, self.learned.surprise, is_accepted=is_accepted)
        caller = event.caller
        network = self._context.atlas.of(caller.source_ip_address, caller.vpc_endpoint_id)
        return note(event, profile, session, network)

    def _is_accepted(self, arn: str) -> bool:
        """Say whether a suppression of what judges habits says that what is strange in an entity may be learned."""
        return any(each.is_for(name, arn) for name in self._judging_habits for each in self._context.suppressions)

    def observe_deed(self, event: Event, deed: Deed) -> None:
        """Score and learn what is done to an entity."""
        profile = self.profiles.get(deed.arn)
        if profile is None:
            profile = self.profiles[deed.arn] = Profile(deed.arn, deed.type, deed.account_id, deed.path)
        if deed.unique_id is not None:
            profile = self._with_id(profile, deed.unique_id)
        self.profiles.touch(deed.arn)
        profile.path = deed.path or profile.path
        if event.at < profile.first_at:
            profile.first_at = event.at
        if deed.key is not None:
            self._look_at_key(event, profile, deed.key)
            return
        if deed.session_name is None:
            self._look_at_configuration(event, profile, deed)
            return
        profile.last_at = max(profile.last_at, event.at)  # to be assumed is to be used
        session = profile.issued_session(deed.session_name, event.at)
        if deed.facts & ~session.facts or not session.stance:
            self._look(event, profile, session, deed.facts, _NOTHING, is_own=False)
            self._plan(profile)

    def seed(self, inventory: Inventory) -> None:
        """Learn what the trust policies of an account's roles say of who uses them."""
        for arn, row in inventory.rows.items():
            if isinstance(row, Holder) and row.trust is not None:
                profile = self.profiles.get(arn) or Profile(arn, "role", inventory.account_id)
                self.profiles[arn] = profile
                profile.configure("trust", inventory.made_at.get(arn, -NEVER), trust_facts(row.trust), 0)

    def seed_keys(self, rows: Iterable[KeyRow], holds_at: int) -> None:
        """Learn which keys an account's users, and root, had at an instant; those made later are left out."""
        for row in rows:
            if row.created_at is not None and row.created_at > holds_at:
                continue
            profile = self.profiles.get(row.owner)
            if profile is None:
                kind: EntityType = "root" if row.owner.endswith(":root") else "user"
                profile = self.profiles[row.owner] = Profile(row.owner, kind, account_of(row.owner))
            self.profiles.touch(row.owner)
            key_of(profile.keys, row.key_id).learn_row(row, holds_at)
            self._plan(profile)

    def session_facts(self, event: Event) -> int:
        """Say what the session that an event belongs to has shown so far."""
        profile = self.profiles.get(event.actor.arn) if event.actor else None
        session = profile.sessions.get(event.session_name) if profile else None
        return session.facts if session else 0

    def sweep(self, profile: Profile, now: int) -> None:
        """Run what time alone has made true for an entity by `now`."""
        state = BehaviourState(
            profile,
            None,
            0,
            is_own=False,
            coverage_since=self.coverage_since,
            context=self._context,
            learned=self.learned,
        )
        for rule in self._sweeping:
            try:
                self._tray.drafts += rule.sweep(state, now)
            except Exception as error:  # noqa: BLE001 - as in `observe`
                self._tray.faults.append(Fault(rule.detector.name, None, f"{type(error).__name__}: {error}"))
        profile.swept_at = max(profile.swept_at, now)
        self.profiles.touch(profile.arn)
        self._plan(profile)

    def sweep_due(self, now: int, now_of: Callable[[Profile], int] | None = None) -> None:
        """Run what time alone has made true by `now`, for all entities in the order of their ARNs.

        ``now_of`` says what time it is for an entity, where it is not the same for all; never later than `now`.
        """
        for arn in self._agenda.reached(now):
            if (profile := self.profiles.get(arn)) is None:
                continue
            at = now if now_of is None else now_of(profile)
            if profile.next_due_at <= at:
                self.sweep(profile, at)
            else:  # events have put it off, or its own time has not come
                self._agenda.expect(arn, profile.next_due_at)

    @property
    def is_overfull(self) -> bool:
        """Whether there are a tenth more entities than MAX_PROFILES."""
        return len(self.profiles) > MAX_PROFILES * 1.1

    def forget(self, now: int) -> None:
        """Let entities go that were not seen for long; beyond MAX_PROFILES the longest unseen.

        What is not told when it was seen, an inventory's role that nobody uses, counts from the start of coverage.
        """
        seen = sorted((max(each.seen_at, self.coverage_since), arn) for arn, each in self.profiles.items())
        excess = len(seen) - MAX_PROFILES
        for number, (seen_at, arn) in enumerate(seen):
            if seen_at >= now - UNSEEN_S and number >= excess:
                break
            del self.profiles[arn]
            self._tray.changes.append(ClassChange(arn, "unknown", None))

    def changes(self) -> Iterator[Row]:
        """Write the rows that changed since this was last asked."""
        yield from _PROFILE.changes("behaviour", self.profiles)
        if self.coverage_since != self._written_coverage:
            self._written_coverage = self.coverage_since
            yield _COVERAGE.row("behaviour", (), 0, self.coverage_since)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows, in any order; raises StateVersionError."""
        stored = by_kind(rows)
        _PROFILE.fill(self.profiles, stored.get("profile", ()))
        for each in stored.get("coverage", ()):
            self.coverage_since = min(self.coverage_since, _COVERAGE.read(each)[1])
        self._written_coverage = self.coverage_since
        self._agenda.restore((arn, each.next_due_at) for arn, each in self.profiles.items())

    def _look_at_key(self, event: Event, profile: Profile, act: KeyAct) -> None:
        """Score what is done to a key of the entity's, then learn it."""
        use = done_to(event, profile.keys, act, self._context)
        self._score(event, profile, None, 0, 0, _Found(Facts.KEY_CHANGED, use, act=act), is_own=False)
        learn_act(event, profile.keys, act, use)
        if act.act != "created":
            self._tray.switches.append(
                KeySwitch(
                    act.key_id,
                    profile.arn,
                    profile.type,
                    profile.account_id,
                    act.at,
                    act.act == "enabled",
                    act.act,
                    act.by,
                )
            )
        self._plan(profile)

    def _find_out(self, event: Event, actor: Actor, profile: Profile) -> _Found:
        """Find out what an event brings to a key, an instance, and what the entity looks for."""
        facts = event.facts
        found = 0
        use = use_of(event, profile.keys, self._context) if facts & _LONG_LIVED_KEY else None
        if use is not None and use.is_news:
            found = int(Facts.KEY_NEWS)
        place = self._place(event, actor, profile) if facts & _AT_INSTANCE == _AT_INSTANCE else None
        if place is not None and (place.is_news or facts & _COPIED):
            found |= Facts.WHEREABOUTS
        if facts & ASKING and is_news(profile.recon, event):
            found |= Facts.LOOKED_AROUND
        return _NOTHING if not found and use is None and place is None else _Found(found, use, place)

    def _learn_found(self, event: Event, actor: Actor, profile: Profile, session: Session, found: _Found) -> None:
        """Learn what was found out."""
        if found.use is not None:
            learn_use(event, profile.keys, found.use)
        if found.place is not None:
            self._learn_place(event, actor, profile, session, found.place)
        if found.facts & Facts.LOOKED_AROUND:
            profile.recon = profile.recon or new_recon()
            profile.recon.learn(event)

    def _place(self, event: Event, actor: Actor, profile: Profile) -> Place | None:
        """Say where an instance's session is used; None where that is known, and no news."""
        caller = event.caller
        known = actor.session_arn, caller.source_ip_address, caller.client.kind
        if (caller.vpc_endpoint_id is not None or known in self._at_home) and not event.facts & _COPIED:
            return None
        network = self._context.network_of(event)
        is_office = self._context.is_known_network(caller.source_ip_address)
        return place_of(profile.instances, event, network, is_office=is_office, calls=profile.events)

    def _learn_place(self, event: Event, actor: Actor, profile: Profile, session: Session, place: Place) -> None:
        instances = profile.instances = profile.instances or Instances()
        learn_place(instances, event, place, session.id, session.facts)
        if place.is_settled(instances, event):
            if len(self._at_home) >= MAX_AT_HOME:
                self._at_home.clear()
            self._at_home.add((actor.session_arn, event.caller.source_ip_address, event.client.kind))
        elif place.where != "home":  # what the instance does at home is news again
            self._at_home.clear()

    def _look(
        self, event: Event, profile: Profile, session: Session, facts: int, found: _Found, *, is_own: bool
    ) -> None:
        """Score what an event shows of a session, and what was found out beside; then learn of the session."""
        self._score(event, profile, session, facts, facts & ~session.facts, found, is_own=is_own)
        if is_own and facts & CONSOLE_MARKERS and profile.type in ("role", "user") and not facts & Facts.SSO_ROLE:
            if session.visit is None:
                session.visit = Exhibits()
                profile.has_visits = True
            session.visit.add([evidence_of(event)], 1)
        if facts & ~session.facts or not session.stance:
            if profile.learn(session, facts):
                self._tray.changes.append(ClassChange(profile.arn, profile.class_, profile.tier))
            profile.note_day(session, event.at)

    def _sighting(self, event: Event, profile: Profile, session: Session) -> Sighting:
        known = maturity(profile.first_at, event.at)
        return Sighting(who(event, session.facts), evidence_of(event), known, self.coverage_since)

    def _look_at_configuration(self, event: Event, profile: Profile, deed: Deed) -> None:
        new = deed.facts & CONFIGURATION & ~profile.configuration
        self._score(event, profile, None, deed.facts, new, _NOTHING, is_own=False)
        if deed.what is not None and profile.configure(deed.what, event.at, deed.facts, deed.clears):
            self._tray.changes.append(ClassChange(profile.arn, profile.class_, profile.tier))
        self._plan(profile)

    def _score(
        self,
        event: Event,
        profile: Profile,
        session: Session | None,
        facts: int,
        new: int,
        found: _Found,
        *,
        is_own: bool,
    ) -> None:
        facts |= found.facts
        rules = self._watchlist.rules_for(facts, new, event.api.key if is_own else "")
        if not rules:
            return
        state = BehaviourState(profile, session, facts, is_own, self.coverage_since, self._context)
        if found.use is not None:
            use = found.use
            state = replace(state, key_id=use.key_id, key=use.key, act=found.act, network=use.network)
        if found.place is not None:
            state = replace(state, place=found.place)
        for rule in rules:
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
            if next_due_at != NEVER:
                self._agenda.expect(profile.arn, next_due_at)

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


def _begins_span(session: Session, at: int) -> bool:
    """Say whether an event is, as far as is known, the first of its session in a span of time."""
    return at < session.last_at or at // SPAN_S != session.last_at // SPAN_S or not session.events


def _ignore(_account_id: str | None) -> None:
    """Listen to nothing."""
