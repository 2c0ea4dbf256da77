"""A person writes IAM by hand where infrastructure as code always did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.detector import Desk, Detector, Family, GrantsState
from models.event import Event, calls_in
from models.finding import Draft, EntityRef, Severity, cut
from models.grants.account import Writes
from models.grants.change import entity_ref
from models.grants.doors import DOOR_CALLS
from models.grants.writers import is_write, writer_of, writes_to_all


class GrantOutsidePipeline(Detector[GrantsState], frozen=True, kw_only=True):
    """One finding per entity and session of whoever changed it."""

    name: ClassVar[str] = "grant-outside-pipeline"
    summary: ClassVar[str] = (
        "an IAM write by a person, other than a removal (console, CLI, SSO; no infrastructure-as-code client) where infrastructure as code "
        "always wrote: the entity, or nearly all of the account"
    )
    family: ClassVar[Family] = "grants"
    desk: ClassVar[Desk] = "grants"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1098.003",)
    known_gaps: ClassVar[str] = (
        "Infrastructure as code run from a person's desk looks like code. An account where people always wrote too."
    )
    runbook: ClassVar[str] = (
        "Bring the change into the code, or undo it: else the next run will, or the code no longer says who may do what. "
        "Ask why the pipeline was not the way; emergencies are what break-glass users are for."
    )
    calls: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (source, name) for source, name in calls_in(DOOR_CALLS) if source == "iam.amazonaws.com"
    )

    min_writes_as_code: Annotated[int, Meta(ge=1, le=10_000)] = 3
    max_share_by_hand: Annotated[float, Meta(ge=0, le=1)] = 0.1

    def observe(self, event: Event, state: GrantsState) -> Iterable[Draft]:
        """Weigh a person's write against how IAM was written in the account before."""
        account, actor = state.account, event.actor
        is_removal = event.api.name.startswith(("Delete", "Detach", "Remove"))
        if event.is_failed or is_removal or actor is None or not is_write(event) or writer_of(event) != "person":
            return
        if state.context.is_pipeline(actor.arn):
            return
        for arn in state.written:
            entity: EntityRef = entity_ref(arn)
            writes, where = account.writes_to.get(arn, Writes()), "There"
            if not self._is_codes(writes):
                is_membership = event.api.name in _OF_COLLEAGUES
                writes = writes_to_all(account, users_alone=is_membership)
                where = "Among the account's users" if is_membership else "In this account"
                if not self._is_codes(writes):
                    continue
            name = cut(arn.rsplit("/", 1)[-1])
            yield self.draft(
                event,
                state,
                entity=entity,
                subject=cut(actor.session_arn),
                title=f"{event.api.name} on {name} by hand, outside the pipeline",
                summary=(
                    f"{cut(actor.session_arn)} made {event.api.name} on {name} by hand. "
                    f"{where} code made {writes.as_code} changes so far, people {writes.by_hand}."
                ),
                seen={"api": event.api.name, "writer": "person"},
                expected={
                    "writer": "code",
                    "writes_as_code": writes.as_code,
                    "writes_by_hand": writes.by_hand,
                },
            )

    def _is_codes(self, writes: Writes) -> bool:
        return writes.as_code >= self.min_writes_as_code and writes.by_hand <= self.max_share_by_hand * writes.as_code


# Colleagues come and go by hand where code writes all roles and policies.
_OF_COLLEAGUES: Final = frozenset({"CreateUser", "AddUserToGroup"})
