"""What a weakness of a policy is: the rule that a statement breaks, how severe that is, and in words.

The rules themselves: models/grants/wildcards.py, and models/grants/trust.py for principals.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from models.finding import Severity
from models.grants.actions import ALL_LEVELS, Level, level_names
from models.grants.cells import Element
from models.grants.holding import Piece

Rule = Literal["W1", "W2", "W3", "W4", "W5", "W6", "W7", "W8", "W9", "W10"]

FIXES: Final[dict[Rule, str]] = {
    "W1": "Allow the actions that are needed, on the resources that they are needed on.",
    "W2": "Name the service's actions that are needed, and their resources.",
    "W3": "Name the actions that are needed, and their resources.",
    "W6": "Name the resources.",
}


class Weakness(Struct, frozen=True, kw_only=True):
    """One rule that a statement breaks: what is granted too widely, why that matters, the narrower change."""

    pointer: str  # JSON pointer to the statement
    rule: Rule
    severity: Severity
    actions: tuple[str, ...]  # as written
    resources: tuple[str, ...]
    why: str
    fix: str
    policy: int = 0  # place of the document among the entity's policies
    levels: tuple[Level, ...] = ()  # access levels of what is granted
    is_latent: bool = False  # wholly taken away by a Deny or the boundary


def weakness(
    piece: Piece, rule: Rule, severity: Severity, actions: list[str], levels: int, because: str, fix: str
) -> Weakness:
    """Make what a piece of an Allow breaks."""
    return Weakness(
        pointer=piece.statement.pointer,
        policy=piece.policy,
        rule=rule,
        severity=severity,
        actions=tuple(actions),
        resources=tuple(texts_of(piece.resources)),
        why=because,
        fix=fix,
        levels=tuple(level_names(levels)),
    )


def as_latent(live: Weakness) -> Weakness:
    """Make it one that a Deny or the boundary takes away: low."""
    because = f"latent, for a Deny or the boundary takes it away: {live.why}"
    return replace(live, severity=Severity.LOW, why=because, is_latent=True)


def joined(parts: list[Weakness]) -> Weakness:
    """Make one of what pieces of a statement break the same rule."""
    if len(parts) == 1:
        return parts[0]
    levels = {level for each in parts for level in each.levels}
    return replace(
        parts[0],
        actions=tuple(dict.fromkeys(action for each in parts for action in each.actions)),
        resources=tuple(dict.fromkeys(resource for each in parts for resource in each.resources)),
        levels=tuple(level for level in level_names(ALL_LEVELS) if level in levels),
    )


def texts_of(element: Element) -> list[str]:
    """Write an element's patterns as the document has them, negated ones with ``not:`` before."""
    return [f"not:{pattern.text}" if element.is_not else pattern.text for pattern in element.patterns]


def why(rule: Rule, actions: list[str], levels: int) -> str:
    """Say why it matters that actions are granted on everything."""
    kinds = ", ".join(level_names(levels))
    if rule == "W1":
        return "every action on every resource"
    if rule == "W2":
        return f"every action of a service on every resource: {kinds}"
    if rule == "W3":
        return f"a wildcard that expands to {kinds} actions, on every resource"
    count = f"{len(actions):,} actions" if len(actions) > 1 else "an action"
    return f"{count} ({kinds}) for which resources can be named, on every resource"
