"""A key is used minutes after it was made, by somebody or from somewhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from msgspec import Meta

from models.detector import BehaviourState, Desk, Detector, Family
from models.entity import role_of_session
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Exhibits, Severity, cut
from models.network import Network


class KeyMadeThenUsed(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: whoever got in makes a key to stay, and tries it at once."""

    name: ClassVar[str] = "key-made-then-used"
    summary: ClassVar[str] = (
        "a key is used within an hour of its making, by another than its maker or from another network, where neither "
        "is a pipeline; low between known networks"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1098.001", "T1078.004")
    chain_stage: ClassVar[ChainStage | None] = "persistence"
    known_gaps: ClassVar[str] = (
        "An administrator who makes a key for a service and hands it over at once does the same. Keys made by code "
        "(CloudFormation, Terraform, a pipeline of the settings) are passed over."
    )
    runbook: ClassVar[str] = (
        "Ask whoever made the key whom it was for. If they know nothing of it, delete it, and look at the maker's session: "
        "somebody acts in their name. What was done with the key stands in the evidence and after it."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS | Facts.KEY_CHANGED

    window_minutes: Annotated[int, Meta(ge=1, le=24 * 60)] = 60

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each use within the hour; where the making is told late, for the first use known by then."""
        key, act = state.key, state.act
        if key is None:
            return
        if act is None:
            if key.created_at is None or key.created_by is None or key.created_from is None:
                return
            maker, made_at, made_with = key.created_by, key.created_at, key.created_with or ""
            made_from, used_from, used_at = state.context.atlas.named(key.created_from), state.network, event.at
            exhibits = None
        else:
            if act.act != "created" or act.by is None or state.network is None or key.first_event is None:
                return
            maker, made_at, made_with, made_from = act.by, act.at, event.client.kind, state.network
            used_from = None if key.first_used_from is None else state.context.atlas.named(key.first_used_from)
            used_at, exhibits = key.first_used_at, Exhibits(1, [key.first_event])
        if used_from is None or not 0 <= used_at - made_at <= self.window_minutes * 60:
            return
        is_code = made_with.startswith("iac/") or made_from.kind in ("service", "internal")
        by = role_of_session(maker)[0]
        if is_code or state.context.is_pipeline(by) or state.context.is_pipeline(state.entity.arn):
            return
        is_other, is_elsewhere = by != state.entity.arn, not _is_same(made_from, used_from)
        if not is_other and not is_elsewhere:
            return
        addresses = [network.name.partition("/")[0] for network in (made_from, used_from)]
        is_at_home = all(state.context.is_known_network(address) for address in addresses)
        minutes = (used_at - made_at) // 60
        where = f"another network, {used_from.text}" if is_elsewhere else f"the same network, {used_from.text}"
        yield self.draft(
            event,
            state,
            subject=cut(key.id),
            title=f"Key {key.id} of {state.name} is used {minutes} minutes after {cut(by.rsplit('/', 1)[-1])} made it",
            summary=(
                f"{cut(maker)} made key {key.id} for {state.name} from {made_from.text}; {minutes} minutes later it was used "
                f"from {where}. Whoever breaks in makes a key to keep, and tries it at once."
            ),
            seen={
                "made_by": cut(maker),
                "made_from": made_from.text,
                "used_from": used_from.text,
                "minutes": minutes,
                "is_by_another": is_other,
                "is_from_another_network": is_elsewhere,
            },
            expected={"minutes": f"over {self.window_minutes}, or its maker in the same network"},
            severity=Severity.LOW if is_at_home else Severity.MEDIUM,
            exhibits=exhibits,
        )


def _is_same(made_from: Network, used_from: Network) -> bool:
    return made_from.name == used_from.name or made_from.is_near(used_from)
