"""The detector contract: one class says when it looks, what it decides, and how it is tuned.

A detector is immutable and pure: it is handed an event and the state as it was before that event, and yields a draft
for each matching event. Ids, evidence, baseline, severity overrides and staging are this module's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from msgspec import Meta, Struct

from models.behaviour.instances import Place
from models.behaviour.keys import Key, KeyAct
from models.behaviour.learned import Learned
from models.behaviour.profile import HOUR_S, NEVER, Profile, Session, maturity
from models.event import Event
from models.facts import BEGINS_WITH_ITSELF
from models.finding import (
    MAX_AFFECTED,
    ChainStage,
    CloseReason,
    Draft,
    EntityRef,
    Evidence,
    Exhibits,
    Maturity,
    Severity,
    Stage,
    Who,
    cut,
    evidence_of,
    one_line,
    who,
)
from models.grants.account import AccountState
from models.grants.change import Change
from models.grants.trust import Outside
from models.incidents.chain import Part
from models.incidents.lineage import Edge
from models.incidents.outlived import KeySwitch, Sighting
from models.network import Network
from models.settings import Context

Desk = Literal["behaviour", "grants", "incidents"]
Life = Literal["incident", "condition"]
Family = Literal["console", "grants", "guardrails", "keys", "use", "behaviour", "incidents"]


class BehaviourState(Struct, frozen=True):
    """What a behaviour detector sees: an entity as it was before the event, and what the event brings to it."""

    profile: Profile
    session: Session | None  # None where the event concerns the entity itself and no session of it
    facts: int  # of the event, as far as they concern this entity
    is_own: bool  # False where the event is done to the entity: its role assumed, its trust changed
    coverage_since: int
    context: Context
    key_id: str = ""  # of the long-lived key that the event is made with, or that something is done to
    key: Key | None = None  # as it is known so far, perhaps without its id; None where it is not
    act: KeyAct | None = None  # what is done to a key
    network: Network | None = None  # that a key is used, made or switched from
    place: Place | None = None  # of an instance's session: where it is used
    learned: Learned | None = None  # the models, where time alone is looked at

    @property
    def entity(self) -> EntityRef:
        """Whom a finding is about, unless the detector says otherwise."""
        return EntityRef(self.profile.arn, self.profile.type)

    @property
    def name(self) -> str:
        """The entity's name, for a sentence."""
        return "root" if self.profile.type == "root" else cut(self.profile.arn.rsplit("/", 1)[-1])

    @property
    def account_id(self) -> str | None:
        """The entity's account."""
        return self.profile.account_id

    @property
    def session_facts(self) -> int:
        """What the session had shown before."""
        return self.session.facts if self.session is not None and self.is_own else 0

    def maturity(self, at: int) -> Maturity:
        """Say how long the entity had been known at that time."""
        return maturity(self.profile.first_at, at)

    def who_was(self, session: Session) -> Who:
        """Name who acted in a session of the entity's, now that its events are gone."""
        profile = self.profile
        arn = profile.arn
        if profile.type == "role":
            fields = arn.split(":", 5)
            arn = f"arn:{fields[1]}:sts::{fields[4]}:assumed-role/{arn.rsplit('/', 1)[-1]}/{session.name}"
        is_root = profile.type != "role" or session.facts & BEGINS_WITH_ITSELF != 0
        return Who(arn, profile.arn, profile.type, None, session.last_at, is_root)


class GrantsState(Struct, frozen=True):
    """What a grants detector sees: an account as it was before the event."""

    account: AccountState
    coverage_since: int
    context: Context
    written: tuple[str, ...] = ()  # ARNs of what the event writes, or would write if it were allowed
    changes: tuple[Change, ...] = ()  # of grants, that it makes, or would make
    own_accounts: frozenset[str] = frozenset()  # of the organisation: as the settings say, else all seen so far

    @property
    def entity(self) -> EntityRef:
        """Whom a finding is about, unless the detector says otherwise."""
        return EntityRef(self.account.account_id, "account")

    @property
    def outside(self) -> Outside:
        """Which accounts are the organisation's own, and whom it trusts."""
        organisation = self.context.settings.organisation
        return Outside(self.own_accounts, frozenset(organisation.trusted_accounts), organisation.id)

    @property
    def account_id(self) -> str | None:
        """The account."""
        return self.account.account_id

    @property
    def session_facts(self) -> int:
        """Nothing is known of sessions here."""
        return 0

    def maturity(self, at: int) -> Maturity:
        """Say how long the account had been known at that time."""
        return maturity(self.coverage_since, at)


class IncidentsState(Struct, frozen=True):
    """What an incidents detector sees: all findings of one lineage that are stages of an intrusion."""

    root: str  # who the lineage leads back to, else the entity
    parts: list[Part]
    coverage_since: int


class OutlivedState(Struct, frozen=True):
    """What an incidents detector of sessions sees: one that goes on though the key that issued it is off."""

    switch: KeySwitch
    edge: Edge  # from the session, or one that came of it, to the key
    sighting: Sighting


State = TypeVar("State", BehaviourState, GrantsState, IncidentsState, OutlivedState)


class Detector(Struct, Generic[State], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One detection. Its fields are its own tuning; class variables describe it.

    `observe` yields a draft for *each* matching event. A detector whose finding comes true by time alone gives
    `due_at` and `sweep` too.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    family: ClassVar[Family]
    desk: ClassVar[Desk]
    severity: ClassVar[Severity]
    life: ClassVar[Life] = "incident"
    attack: ClassVar[tuple[str, ...]]
    chain_stage: ClassVar[ChainStage | None] = None
    known_gaps: ClassVar[str]
    runbook: ClassVar[str]
    order_free: ClassVar[bool] = False
    judges_habits: ClassVar[bool] = False  # so that a suppression of it lets what is strange be learned
    # When to look: at calls by (eventSource, eventName without version), at facts, at facts new to their session.
    calls: ClassVar[tuple[tuple[str, str], ...]] = ()
    facts: ClassVar[int] = 0
    new_facts: ClassVar[int] = 0
    folds: ClassVar[Literal["stages", "sessions"]] = "stages"  # what an incidents detector is shown

    def observe(self, event: Event, state: State) -> Iterable[Draft]:  # noqa: ARG002
        """Yield a draft for each matter that this event is evidence of; at the incidents desk there are no events."""
        return ()

    def due_at(self, state: State) -> int | None:  # noqa: ARG002
        """Say when, at the earliest, `sweep` would find something; None while nothing is in sight."""
        return None

    def sweep(self, state: State, now: int) -> Iterable[Draft]:  # noqa: ARG002
        """Yield what the passing of time alone has made true by `now`, dated to the instant it came true."""
        return ()

    def fold(self, state: State) -> Iterable[Draft]:  # noqa: ARG002
        """Yield, at the incidents desk, each finding that the stages of one lineage make, whole; or a draft of a session."""
        return ()

    def draft(  # noqa: PLR0913 - a finding has that many parts
        self,
        event: Event,
        state: BehaviourState | GrantsState,
        *,
        subject: str | None,
        title: str,
        summary: str,
        seen: dict[str, Any],
        expected: dict[str, Any],
        severity: Severity | None = None,
        chain_stage: ChainStage | None = None,
        entity: EntityRef | None = None,
        actor: Who | None = None,
        exhibits: Exhibits | None = None,
        affected: Sequence[str] = (),
        maturity: Maturity | None = None,
        is_attempt: bool = False,
    ) -> Draft:
        """Make a draft about the state's entity, with the event as evidence unless other exhibits are given."""
        if exhibits is None:
            exhibits = Exhibits(1, [evidence_of(event)])
        else:  # what is handed in may be state, which goes on growing
            exhibits = Exhibits(exhibits.count, exhibits.kept.copy())
        entity = entity or state.entity
        actor = actor or who(event, state.session_facts)
        if context := state.context.notes(entity.arn, actor.entity_arn, exhibits.kept[0].source_ip):
            seen = {**seen, "context": context}
        return Draft(
            detector=self.name,
            entity=entity,
            subject=subject,
            at=event.at,
            severity=self.severity if severity is None else severity,
            account_id=state.account_id or event.account_id,
            actor=actor,
            chain_stage=chain_stage or self.chain_stage,
            title=one_line(title),
            summary=summary,
            seen=seen,
            expected=expected,
            exhibits=exhibits,
            affected=list(affected[:MAX_AFFECTED]),
            affected_count=max(len(affected), 1),
            maturity=maturity or state.maturity(event.at),
            coverage_since=state.coverage_since,
            attack=self.attack,
            runbook=runbook_address(self.name),
            is_attempt=is_attempt,
        )

    def born(  # noqa: PLR0913 - as above
        self,
        state: BehaviourState,
        at: int,
        *,
        subject: str | None,
        title: str,
        summary: str,
        seen: dict[str, Any],
        expected: dict[str, Any],
        evidence: Sequence[Evidence] = (),
        severity: Severity | None = None,
    ) -> Draft:
        """Make a draft of what time alone made true of the state's entity at an instant; the entity itself stands for the actor."""
        entity = state.entity
        if context := state.context.notes(entity.arn, None, None):
            seen = {**seen, "context": context}
        return Draft(
            detector=self.name,
            entity=entity,
            subject=subject,
            at=at,
            severity=self.severity if severity is None else severity,
            account_id=state.account_id,
            actor=Who(entity.arn, entity.arn, entity.type, None, at, is_root=True),
            chain_stage=self.chain_stage,
            title=one_line(title),
            summary=summary,
            seen=seen,
            expected=expected,
            exhibits=Exhibits(len(evidence), list(evidence)),
            maturity=state.maturity(at),
            coverage_since=at if state.coverage_since == NEVER else state.coverage_since,
            attack=self.attack,
            runbook=runbook_address(self.name),
            born_at=at,
        )

    def closing(self, entity: EntityRef, subject: str | None, at: int, *, reason: CloseReason = "resolved") -> Draft:
        """Make a draft that closes a finding: what it names is no more."""
        return Draft(
            detector=self.name,
            entity=entity,
            subject=subject,
            at=at,
            severity=self.severity,
            account_id=None,
            actor=Who(),
            title="",
            summary="",
            seen={},
            expected={},
            exhibits=Exhibits(),
            maturity="none",
            coverage_since=at,
            attack=self.attack,
            runbook=runbook_address(self.name),
            closes=reason,
        )


class Tuning(Struct, frozen=True, kw_only=True):
    """What the settings may say of any detector."""

    enabled: bool = True
    severity: str | None = None
    stage: Stage = "live"
    quiet_hours: Annotated[float, Meta(gt=0, le=24 * 366)] = 24.0


class Rule(Struct, Generic[State], frozen=True):
    """A detector as it is in force: with the severity, stage and quiet time of the settings."""

    detector: Detector[State]
    tuning: Tuning = Tuning()

    def observe(self, event: Event, state: State) -> list[Draft]:
        """Run the detector on one event."""
        return [self._stamp(draft) for draft in self.detector.observe(event, state)]

    def sweep(self, state: State, now: int) -> list[Draft]:
        """Run what is due by time alone."""
        return [self._stamp(draft) for draft in self.detector.sweep(state, now)]

    def fold(self, state: State) -> list[Draft]:
        """Run an incidents detector on the stages of one lineage."""
        return [self._stamp(draft) for draft in self.detector.fold(state)]

    def _stamp(self, draft: Draft) -> Draft:
        if self.tuning.severity is not None:
            draft.severity = Severity.parse(self.tuning.severity)
        draft.stage = self.tuning.stage
        is_incident = self.detector.life == "incident" or draft.is_attempt
        draft.quiet_s = int(self.tuning.quiet_hours * HOUR_S) if is_incident else None
        return draft


def runbook_address(name: str) -> str:
    """Say where a detector's runbook stands."""
    return f"docs/detectors.md#{name}"
