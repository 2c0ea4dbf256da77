"""Chains: findings of one lineage that are stages of one intrusion, worked out anew from all of them in time order."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import Struct

from models.finding import ChainStage, EntityRef, Evidence, Severity, Who
from models.incidents.life import Matter

DAY_S: Final = 24 * 3_600


class Part(Struct, frozen=True):
    """A finding as a chain sees it."""

    finding_id: str
    detector: str
    stage: ChainStage
    severity: Severity
    opened_at: int
    entity: EntityRef
    account_id: str | None
    actor: Who
    title: str
    opening: Evidence
    coverage_since: int

    @property
    def order(self) -> tuple[int, str]:
        """Where it stands in time."""
        return self.opened_at, self.finding_id


def chains(parts: list[Part], min_stages: int, window_s: int) -> list[list[Part]]:
    """Group the parts of one lineage into chains; each part belongs to one at most.

    A chain begins at the earliest part from which on ``min_stages`` different stages open within ``window_s``, and goes
    on as long as the next part opens within ``window_s`` of the one before.
    """
    ordered = sorted(parts, key=lambda each: each.order)
    found: list[list[Part]] = []
    stages: Counter[ChainStage] = Counter()  # of the parts from `begin` on that open within its window
    begin = seen = 0
    while begin < len(ordered):
        until_at = ordered[begin].opened_at + window_s
        while seen < len(ordered) and ordered[seen].opened_at <= until_at:
            stages[ordered[seen].stage] += 1
            seen += 1
        if len(stages) < min_stages:
            if stages[ordered[begin].stage] == 1:
                del stages[ordered[begin].stage]
            else:
                stages[ordered[begin].stage] -= 1
            begin += 1
            continue
        end = begin + 1
        while end < len(ordered) and ordered[end].opened_at - ordered[end - 1].opened_at <= window_s:
            end += 1
        found.append(ordered[begin:end])
        stages.clear()
        begin = seen = end
    return found


def is_stage(matter: Matter) -> bool:
    """Say whether a finding counts for chains: live, not suppressed, not explained away."""
    return (
        matter.draft.chain_stage is not None
        and matter.stage == "live"
        and matter.close_reason not in ("accepted", "superseded")
        and matter.exhibits.kept != []  # what only an inventory tells has no place in a story
    )


def as_part(key: str, matter: Matter) -> Part:
    """Make a finding that is a stage into a part."""
    draft = matter.draft
    assert draft.chain_stage is not None  # noqa: S101 - by is_stage
    return Part(
        key, draft.detector, draft.chain_stage, matter.severity, matter.opened_at, draft.entity, draft.account_id,
        matter.actor, draft.title, matter.exhibits.kept[0], draft.coverage_since,
    )  # fmt: skip
