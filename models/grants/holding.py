"""What is left of each Allow of one entity once its unconditional Denies and its boundary are taken off.

Statement by statement and pattern by pattern, so that a finding can point at what to change: the exact set lives in
models/grants/allowed.py. Where a Deny or the boundary takes away only part of a pattern, the pattern stays; what is
left is never too little.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from models.grants.allowed import Holding
from models.grants.cells import Element
from models.grants.document import Policy, Statement
from models.grants.limits import services_passed_to
from models.grants.match import Glob, TooComplexError, contains, intersects, shared

MAX_PRODUCT: Final = 60_000  # of the lengths of two lists of patterns; beyond it a Deny's NotAction takes nothing off
PASS_ROLE: Final = "iam:passrole"  # noqa: S105 - an action


class Piece(Struct, frozen=True):
    """A part of an Allow that stands or falls as one: some of its actions, on what is left of its resources."""

    policy: int  # place of the document among the entity's policies
    statement: Statement
    actions: Element
    resources: Element
    denied: tuple[Element, ...] = ()  # actions that are denied on every resource
    passed_to: tuple[Glob, ...] | None = None  # the services that roles can be passed to; None for any
    is_latent: bool = False  # wholly taken away


def pieces(holding: Holding) -> Iterator[Piece]:
    """Split what an entity's policies allow into pieces; what is wholly taken away is marked as latent."""
    every_deny = list(_denies(holding))
    denies = [each for each in every_deny if not each.tests]
    everywhere = tuple(each.actions for each in denies if _is_everything(each.resources))
    spared = next(filter(None, map(_services_spared, every_deny)), None)
    for place, policy in enumerate(holding.policies):
        for statement in policy.statements:
            if not statement.is_allow or statement.principals is not None:
                continue
            passed_to = services_passed_to(statement) or spared
            whole = Piece(place, statement, statement.actions, statement.resources, everywhere, passed_to)
            if not denies and holding.boundary is None:
                yield whole
            else:
                for piece in _bounded(whole, holding.boundary):
                    yield from _undenied(piece, denies)


def is_denied(piece: Piece, action: str) -> bool:
    """Say whether an action (in lower case) of a piece is denied on every resource."""
    return any(_matches(element, action) for element in piece.denied)


def _denies(holding: Holding) -> Iterator[Statement]:
    documents = (*holding.policies, *([holding.boundary] if holding.boundary else ()))
    for policy in documents:
        for each in policy.statements:
            if not each.is_allow and each.principals is None:
                yield each


def _services_spared(deny: Statement) -> tuple[Glob, ...] | None:
    """Give the services to which a Deny of passing any role to all others still lets roles be passed."""
    if not _matches(deny.actions, PASS_ROLE) or not _is_everything(deny.resources):
        return None
    return services_passed_to(deny)


def _bounded(whole: Piece, boundary: Policy | None) -> Iterator[Piece]:
    """Cut a piece to what the boundary allows; a conditional Allow of the boundary counts as one."""
    if boundary is None:
        yield whole
        return
    allows = [each for each in boundary.statements if each.is_allow and each.principals is None]
    if any(_within(whole.actions, each.actions) and _within(whole.resources, each.resources) for each in allows):
        yield whole
        return
    meeting = [each for each in allows if _meet(whole.actions, each.actions) and _meet(whole.resources, each.resources)]
    if whole.resources.is_not or (whole.actions.is_not and any(each.actions.is_not for each in meeting)):
        yield replace(whole, is_latent=not meeting)
        return
    for each in meeting:
        kept_out = tuple(Element(one.patterns) for one in (whole.actions, each.actions) if one.is_not)
        actions = _cut(each.actions, whole.actions) if whole.actions.is_not else _cut(whole.actions, each.actions)
        resources = _cut(whole.resources, each.resources)
        if actions.patterns and resources.patterns:
            yield replace(whole, actions=actions, resources=resources, denied=whole.denied + kept_out)
    gone = whole.actions.patterns if not whole.actions.is_not else ()
    gone = tuple(each for each in gone if not any(_meet(Element((each,)), allow.actions) for allow in meeting))
    if gone or not meeting:
        yield replace(whole, actions=Element(gone) if gone else whole.actions, is_latent=True)


def _undenied(piece: Piece, denies: list[Statement]) -> Iterator[Piece]:
    """Take whole patterns of actions off where a Deny covers them, or leave them the resources that it spares."""
    if piece.is_latent or piece.actions.is_not or piece.resources.is_not:
        gone = piece.is_latent or any(
            _within(piece.actions, each.actions) and _within(piece.resources, each.resources) for each in denies
        )
        yield _replaced(piece, piece.actions, piece.resources, is_latent=gone)
        return
    kept: dict[Element, list[Glob]] = {}
    spared = piece.actions
    for each in denies:
        if each.actions.is_not and _is_everything(each.resources) and _is_cheap(spared, each.actions):
            spared = _cut(spared, Element(each.actions.patterns))
    gone_patterns = [pattern for pattern in piece.actions.patterns if not _meet(Element((pattern,)), spared)]
    for pattern in spared.patterns:
        resources: Element | None = piece.resources
        for each in denies:
            if resources is not None and _within(Element((pattern,)), each.actions):
                resources = _spared(resources, each.resources)
        if resources is None:
            gone_patterns.append(pattern)
        else:
            kept.setdefault(resources, []).append(pattern)
    for resources, patterns in kept.items():
        yield _replaced(piece, Element(tuple(patterns)), resources)
    if gone_patterns:
        yield _replaced(piece, Element(tuple(gone_patterns)), piece.resources, is_latent=True)


def _is_cheap(one: Element, other: Element) -> bool:
    """Say whether two lists of patterns are worth intersecting: by the tokens of those that are neither plain nor all."""
    lengths = (
        sum(len(pattern.tokens) for pattern in each.patterns if not (pattern.is_literal or pattern.is_everything))
        for each in (one, other)
    )
    return prod(lengths) <= MAX_PRODUCT


def _spared(resources: Element, denied: Element) -> Element | None:
    """Give what a Deny on some resources leaves of others; None for nothing."""
    if denied.is_not:
        if not denied.patterns:
            return None
        if resources.is_not:
            return resources
        return _cut(resources, Element(denied.patterns)) if _meet(resources, Element(denied.patterns)) else None
    return None if _within(resources, denied) else resources


def _cut(wide: Element, bound: Element) -> Element:
    """Intersect a list of patterns with an element; patterns that a NotAction only nicks stay as they are."""
    found: dict[Glob, None] = {}
    for pattern in wide.patterns:
        if bound.is_not:
            if not _within(Element((pattern,)), Element(bound.patterns)):
                found[pattern] = None
            continue
        for limit in bound.patterns:
            part = _shared(pattern, limit)
            if part is not None:
                found[part] = None
    return Element(tuple(found))


def _shared(one: Glob, other: Glob) -> Glob | None:
    try:
        return shared(one, other)
    except TooComplexError:
        return one


def _within(inner: Element, outer: Element) -> bool:
    """Say whether one element surely lies within another; a no may be a "not for certain"."""
    try:
        if inner.is_not:
            if outer.is_not:
                return all(any(contains(mine, theirs) for mine in inner.patterns) for theirs in outer.patterns)
            return _is_everything(outer)
        if outer.is_not:
            return not any(intersects(mine, theirs) for mine in inner.patterns for theirs in outer.patterns)
        return all(any(contains(theirs, mine) for theirs in outer.patterns) for mine in inner.patterns)
    except TooComplexError:
        return False


def _meet(one: Element, other: Element) -> bool:
    """Say whether two elements may share a text."""
    if one.is_not and other.is_not:
        return True
    if one.is_not or other.is_not:
        listed, complement = (other, one) if one.is_not else (one, other)
        return any(not _within(Element((each,)), Element(complement.patterns)) for each in listed.patterns)
    return any(intersects(mine, theirs) for mine in one.patterns for theirs in other.patterns)


def _matches(element: Element, text: str) -> bool:
    return any(pattern.matches(text) for pattern in element.patterns) != element.is_not


def _is_everything(element: Element) -> bool:
    return not element.is_not and any(pattern.is_everything for pattern in element.patterns)


def _replaced(piece: Piece, actions: Element, resources: Element, *, is_latent: bool = False) -> Piece:
    return replace(piece, actions=actions, resources=resources, is_latent=is_latent)
