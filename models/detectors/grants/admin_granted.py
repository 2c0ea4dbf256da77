"""An entity newly holds administration, by whatever documents."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import ClassVar, Final

from models.detector import Desk, Detector, Family, GrantsState, Life
from models.event import Event, calls_in
from models.finding import ChainStage, Draft, EntityRef, Severity, cut, doer
from models.grants.actions import PERMISSIONS, expand
from models.grants.allowed import Holding
from models.grants.change import MAX_HOLDERS, Change
from models.grants.difference import is_allowed
from models.grants.document import parse
from models.grants.doors import DOOR_CALLS
from models.grants.match import glob

_EVERY_IAM_ACTION: Final = "iam:*"
_ONE_OF_THEM: Final = "iam:attachuserpolicy"


class AdminGranted(Detector[GrantsState], frozen=True, kw_only=True):
    """A condition, for each holder; about the policy itself where one that more than ten hold becomes administration."""

    name: ClassVar[str] = "admin-granted"
    summary: ClassVar[str] = (
        "an entity newly holds `*` on `*`, `iam:*`, or all of IAM's permissions management on `*`, by whatever documents"
    )
    family: ClassVar[Family] = "grants"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.CRITICAL
    life: ClassVar[Life] = "condition"
    attack: ClassVar[tuple[str, ...]] = ("T1098.003",)
    chain_stage: ClassVar[ChainStage | None] = "escalation"
    known_gaps: ClassVar[str] = (
        "Administration by steps, through a role that can be passed or a policy that can be changed: rules W7 and the "
        "escalation paths of `check-policy` say those."
    )
    runbook: ClassVar[str] = (
        "Ask who granted it (actor.origin) and for how long. Administrators come through break-glass or an approved, "
        "short-lived permission set. If nobody owns up to it, detach it, end the holder's sessions, and look at what it "
        "made: users, keys, roles, policies."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = calls_in(DOOR_CALLS)

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Compare what each touched entity holds with administration, before and after."""
        if event.is_failed and not event.is_denied:
            return
        by_entity: dict[EntityRef, Change] = {}
        for change in state.changes:
            is_shared = change.entity.type == "policy" and len(change.affected) <= MAX_HOLDERS
            if change.kind in ("identity", "holding") and change.is_held and not is_shared:
                by_entity.setdefault(change.entity, change)
        for entity, change in by_entity.items():
            was, now = (is_admin(each, entity.arn) for each in (change.before, change.after))
            if now and not was:
                yield self._draft(event, state, change)
            elif was and not now and not event.is_failed:
                yield self.closing(entity, None, event.at)

    def _draft(self, event: Event, state: GrantsState, change: Change) -> Draft:
        name = cut(change.entity.arn.rsplit("/", 1)[-1])
        by = doer(event)
        denied = event.is_denied
        return self.draft(
            event,
            state,
            entity=change.entity,
            subject=None,
            title=f"{'Denied: ' if denied else ''}{change.entity.type} {name} newly holds administration",
            summary=(
                f"{by} {'tried' if denied else 'made'} {event.api.name}, by which {change.entity.type} {name} holds all of "
                "IAM's permissions management: whoever has that can give themselves everything else."
            ),
            seen={"door": event.api.name, "by_document": cut(change.subject), "is_denied": denied},
            expected={"administration": False},
            severity=Severity.LOW if denied else Severity.CRITICAL,
            affected=change.affected,
            maturity=None if change.is_known else "none",
            is_attempt=denied,
        )


def is_admin(holding: Holding, holder: str) -> bool:
    """Say whether a holding surely takes in all of IAM's permissions management in its holder's account, unconditionally."""
    parts = holder.split(":", 5)
    partition, account_id = (parts[1], parts[4]) if parts[2:3] == ["iam"] else ("aws", "")
    return _may_be_admin(holding) and is_allowed(_administration(partition, account_id), holding) is True


def _may_be_admin(holding: Holding) -> bool:
    """Say whether some statement takes in one of the actions at least: that rules out nearly every holding."""
    return any(
        statement.is_allow
        and any(pattern.matches(_ONE_OF_THEM) for pattern in statement.actions.patterns) != statement.actions.is_not
        for policy in holding.policies
        for statement in policy.statements
    )


@lru_cache(maxsize=1024)
def _administration(partition: str, account_id: str) -> Holding:
    """Make the holding that is administration: of all of an account's IAM, or of any where the account is not known."""
    actions = [action.text for action in expand(glob(_EVERY_IAM_ACTION)) if action.level & PERMISSIONS]
    resource = f"arn:{partition}:iam::{account_id}:*" if account_id else "*"
    statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
    return Holding((parse({"Version": "2012-10-17", "Statement": [statement]}),))
