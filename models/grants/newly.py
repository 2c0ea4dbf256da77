"""What a change makes newly wrong: the weaknesses and ways up of what is held after, less what was allowed before.

A weakness is new where any part of what it is about was not allowed before, by whatever documents; so a reformat or a
move from one policy to another is silent, and the loss of a condition, a Deny or a boundary is not. Where that cannot be
decided it counts as new.
"""

from __future__ import annotations

from models.grants.allowed import Holding
from models.grants.cells import Element
from models.grants.difference import is_allowed
from models.grants.document import Policy, Statement
from models.grants.escalation import Escalation, escalations
from models.grants.trust import Outside
from models.grants.weakness import Weakness
from models.grants.wildcards import weaknesses


def new_weaknesses(before: Holding, after: Holding, outside: Outside | None = None) -> list[Weakness]:
    """List the rules that are newly broken; what a Deny or the boundary takes away stays latent, and is not new."""
    if before == after:
        return []
    known: dict[tuple[int, str, tuple[str, ...]], bool] = {}
    found = []
    for each in weaknesses(after, outside):
        key = (each.policy, each.pointer, each.actions)
        if key not in known:
            known[key] = is_allowed(_part(after, each), before) is not True
        if known[key]:
            found.append(each)
    return found


def new_escalations(before: Holding, after: Holding) -> list[Escalation]:
    """List the ways to more rights that were not open before."""
    opened = {each.rule for each in escalations(before)}
    return [each for each in escalations(after) if each.rule not in opened]


def _part(holding: Holding, weakness: Weakness) -> Holding:
    """Cut a holding down to what one weakness is about: those actions of its statement, with all that takes away."""
    statement = next(
        each
        for each in holding.policies[weakness.policy].statements
        if each.pointer == weakness.pointer and each.is_allow
    )
    named = set(weakness.actions)
    kept = tuple(each for each in statement.actions.patterns if each.text in named)
    actions = statement.actions if statement.actions.is_not or not kept else Element(kept)
    about = Statement(
        pointer=statement.pointer,
        is_allow=True,
        actions=actions,
        resources=statement.resources,
        tests=statement.tests,
        principals=statement.principals,
    )
    denies = tuple(each for policy in holding.policies for each in policy.statements if not each.is_allow)
    return Holding((Policy((about, *denies)),), holding.boundary)
