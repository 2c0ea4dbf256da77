"""What is known of one entity: its sessions, the facts they showed, and how long it has been known. Bounded, plain data."""

from __future__ import annotations

from bisect import insort
from typing import Final

from msgspec import Struct

from models.behaviour.evidence import Answer, Kind, Stance, judge_entity, judge_session, stance
from models.behaviour.habits import Habits
from models.behaviour.instances import Instances
from models.behaviour.keys import Key
from models.behaviour.recon import Recon
from models.entity import CONSOLE_SESSION, EntityType
from models.facts import LADDER, WORKLOAD_PROOF, Facts
from models.finding import Class, Exhibits, Maturity
from models.record import iso

HOUR_S: Final = 3600
DAY_S: Final = 86_400
SESSION_GAP_S: Final = 12 * HOUR_S
SESSION_MAX_S: Final = 24 * HOUR_S  # of a name that never changes: an instance's, a function's, a user's key
NEVER: Final = 1 << 62
ISSUED: Final = -1  # the end of a session that has not acted: any event of its own comes after it

MAX_SESSIONS: Final = 64  # in detail; the longest quiet quarter goes first
MAX_PROOFS: Final = 8  # sessions remembered as proof of a workload; the first ones stay
MAX_PAST_VISITS: Final = 8  # console visits remembered until proof comes; the oldest goes first
MAX_DAYS: Final = 4  # the latest days on which people, and machines, came
MAX_FORMER_IDS: Final = 4  # unique ids that the name had before; the oldest goes first
LEARNING_DAYS: Final = 1
MATURE_DAYS: Final = 14

# Session names that never change, so that days of work would be one session: an instance's, a function's.
_FIXED_NAME: Final = Facts.INSTANCE_SESSION_NAME | Facts.PLATFORM_CLIENT | Facts.IN_SCOPE_OF_WORKLOAD
_LADDER_MASK: Final = sum(LADDER)


def maturity(known_since: int, at: int) -> Maturity:
    """Say how long something had been known at a time: none under a day, learning under two weeks, then mature."""
    days = (at - known_since) / DAY_S
    return "none" if days < LEARNING_DAYS else "learning" if days < MATURE_DAYS else "mature"


class Session(Struct, gc=False, array_like=True):
    """One session of an entity: a name, cut where it was quiet for 12 hours (fixed names: also after 24 hours)."""

    name: str
    started_at: int  # its own first event; for one that was issued and has not acted, the issue
    last_at: int
    ends_at: int = NEVER  # of a fixed name: 24 hours after the start; ISSUED until it acts
    events: int = 0
    facts: int = 0
    stance: Stance = ""  # as it is counted in its profile; empty until it is
    visit: Exhibits | None = None  # its console events, where the entity could be a machine

    @property
    def id(self) -> str:
        """The session's id: name@start."""
        return f"{self.name}@{iso(self.started_at)}"

    def is_over(self, at: int) -> bool:
        """Say whether an event at that time belongs to a new session."""
        return at - self.last_at > SESSION_GAP_S or ISSUED != self.ends_at < at


class Profile(Struct, omit_defaults=True):
    """What is known of one entity."""

    arn: str
    type: EntityType
    account_id: str | None
    path: str | None = None
    unique_id: str | None = None
    former_ids: list[str] = []  # at most MAX_FORMER_IDS
    events: int = 0
    first_at: int = NEVER
    last_at: int = -NEVER
    configuration: int = 0  # tier 2 facts of the entity itself
    configured_at: dict[str, int] = {}  # what was configured (trust, password, mfa) -> when last
    sessions: dict[str, Session] = {}  # by name, at most MAX_SESSIONS
    stances: dict[Stance, int] = {}  # sessions by what they say; at most 4 x 3 x 3 x 4 keys
    shown: dict[int, int] = {}  # bit of a fact -> sessions that showed it
    has_visits: bool = False  # whether any session ever held a console visit
    past_visits: list[Session] = []  # with a console visit, over; at most MAX_PAST_VISITS
    proofs: list[str] = []  # ids of the first MAX_PROOFS sessions with workload proof
    human_days: list[int] = []  # days since 1970 on which a person's session showed itself, sorted; at most MAX_DAYS
    machine_days: list[int] = []
    class_: Class = "unknown"
    tier: int | None = None
    kind: Kind = "unknown"
    is_contested: bool = False  # whether the numbers of sessions decide the class
    keys: dict[str, Key] = {}  # a user's or root's long-lived ones, by id; at most MAX_KEYS
    instances: Instances | None = None  # of an instances' role: where they call from
    recon: Recon | None = None  # what it looked for, once it did
    habits: Habits | None = None  # of what acts itself
    swept_at: int = -NEVER  # until when the passing of time has been looked at
    next_due_at: int = NEVER

    @property
    def is_people_only(self) -> bool:
        """Whether AWS itself keeps this entity for people, so that a console session is what it is for."""
        return bool(self.shown.get(_SSO_BIT))

    @property
    def seen_at(self) -> int:
        """When it last acted, was used, or was configured."""
        return max(self.last_at, -NEVER if self.first_at == NEVER else self.first_at, *self.configured_at.values())

    def answer(self) -> Answer:
        """Decide what the entity is."""
        return judge_entity(self.stances, self.configuration)

    def session_at(self, name: str, at: int) -> Session:
        """Find the session that an event of that name and time belongs to, or open one."""
        session = self.sessions.get(name)
        if session is None or session.is_over(at):
            session = self._open(name, at, session)
            session.ends_at = self._end_of(session)
        elif session.ends_at == ISSUED:
            self._begin(session, at)
        return session

    def issued_session(self, name: str, at: int) -> Session:
        """Find the session that credentials issued at that time belong to, or open one that has not acted yet."""
        session = self.sessions.get(name)
        if session is None or session.is_over(at):
            session = self._open(name, at, session)
            session.ends_at = ISSUED
        session.last_at = max(session.last_at, at)
        return session

    def learn(self, session: Session, facts: int) -> bool:
        """Add facts to a session; says whether the entity's class or tier changed by it."""
        before = session.facts
        session.facts = before | facts
        new = facts & ~before
        rungs = new & _LADDER_MASK
        while rungs:
            bit = rungs.bit_length() - 1
            self.shown[bit] = self.shown.get(bit, 0) + 1
            rungs ^= 1 << bit
        if new & _FIXED_NAME and session.ends_at != ISSUED:
            session.ends_at = self._end_of(session)
        if new & WORKLOAD_PROOF and len(self.proofs) < MAX_PROOFS and session.id not in self.proofs:
            self.proofs.append(session.id)
        was, now = session.stance, stance(session.facts)
        if was == now:
            return False
        session.stance = now
        is_new_sort = self._count(now, 1)
        is_last_of_sort = self._count(was, -1) if was else False
        return self._judge() if is_new_sort or is_last_of_sort or self.is_contested else False

    def note_day(self, session: Session, at: int) -> None:
        """Remember that people, or machines, came on a day, as the session has it so far."""
        class_ = judge_session(session.stance, self.configuration).class_
        days = self.human_days if class_ == "human" else self.machine_days if class_ == "workload" else None
        day = at // DAY_S
        if days is None or day in days:
            return
        insort(days, day)
        del days[:-MAX_DAYS]

    def configure(self, what: str, at: int, facts: int, clears: int) -> bool:
        """Set and clear configuration facts, the newest word on each matter winning; says whether the class changed."""
        if at < self.configured_at.get(what, at):
            return False
        self.configured_at[what] = at
        self.configuration = (self.configuration & ~clears) | facts
        return self._judge()

    def proofs_outside(self, session: Session) -> int:
        """Count the proofs, outside one session, that the entity is a workload's; configuration counts as any number."""
        if self.configuration & WORKLOAD_PROOF:
            return MAX_PROOFS
        return len(self.proofs) - (session.id in self.proofs)

    def visited_sessions(self) -> list[Session]:
        """List the sessions known to hold a console visit, past and present."""
        if not self.has_visits:
            return []
        return [*self.past_visits, *(each for each in self.sessions.values() if each.visit is not None)]

    def _open(self, name: str, at: int, before: Session | None) -> Session:
        """Open a session in the place of an earlier one of its name."""
        if before is not None:
            self._end(before)
        session = self.sessions[name] = Session(name, at, at)
        if len(self.sessions) > MAX_SESSIONS:
            self._forget_some(but=session)
        return session

    def _begin(self, session: Session, at: int) -> None:
        """Date a session that was issued earlier from its own first event."""
        issued_as = session.id
        session.started_at = at
        session.ends_at = self._end_of(session)
        if issued_as in self.proofs:
            self.proofs[self.proofs.index(issued_as)] = session.id

    def _end_of(self, session: Session) -> int:
        """Say when a session ends at the latest: only names that never change need an end."""
        is_key = self.type != "role" and session.name != CONSOLE_SESSION
        return session.started_at + SESSION_MAX_S if is_key or session.facts & _FIXED_NAME else NEVER

    def _judge(self) -> bool:
        answer = self.answer()
        changed = answer.verdict != (self.class_, self.tier)
        self.class_, self.tier = answer.verdict
        self.kind, self.is_contested = answer.kind, answer.is_contested
        return changed

    def _count(self, of: Stance, by: int) -> bool:
        """Count a session in or out; says whether it is the first or was the last of its sort."""
        before = self.stances.get(of, 0)
        if before + by:
            self.stances[of] = before + by
        else:
            self.stances.pop(of, None)
        return before == 0 or before + by == 0

    def _forget_some(self, but: Session) -> None:
        """Let a quarter of the sessions go, the longest quiet first."""
        others = (each for each in self.sessions.values() if each is not but)
        for session in sorted(others, key=lambda each: (each.last_at, each.name))[: MAX_SESSIONS // 4]:
            self._end(session)
            del self.sessions[session.name]

    def _end(self, session: Session) -> None:
        if session.visit is not None:
            self.past_visits.append(session)
            del self.past_visits[:-MAX_PAST_VISITS]


_SSO_BIT: Final = Facts.SSO_ROLE.bit_length() - 1
