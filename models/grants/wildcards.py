"""Rules W1 to W10: where a policy grants more than anybody can have meant.

Each action of a statement is reported once, under the strongest of W1 (``*`` on ``*``), W2 (``service:*`` on ``*``), W3
(other wildcards on ``*``) and W6 (an action that could name its resource, on ``*``); W4 (Allow with NotAction), W5
(Allow with NotResource), W7 (PassRole), W8 to W10 (principals: models/grants/trust.py) stand beside them. Patterns are
judged by what they match and not by how they are spelled. Denies and boundary are taken off first
(models/grants/holding.py); what they take away wholly is latent, and low.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, cast

from msgspec.structs import replace

from models.finding import Severity
from models.grants.actions import (
    ALL_LEVELS,
    LIST,
    PERMISSIONS,
    READ,
    TAGGING,
    WRITE,
    Action,
    Expansion,
    expand,
    expansion,
    find,
    is_service,
    takes_every,
)
from models.grants.allowed import Holding
from models.grants.cells import Element
from models.grants.document import Policy
from models.grants.holding import PASS_ROLE, Piece, is_denied, pieces
from models.grants.limits import narrows_resources
from models.grants.match import ANY, Glob, glob, surely_contains
from models.grants.trust import Outside, breaches
from models.grants.weakness import FIXES, Rule, Weakness, as_latent, joined, texts_of, weakness, why

MAX_COST: Final = 5_000  # names that one document's wildcards are held against; beyond it they count as anything

CRITICAL_SERVICES: Final = frozenset({"iam", "sts", "organizations", "sso", "kms", "secretsmanager"})
_ROLE: Final = glob("arn:aws:iam::*:role/?*")
_COLON: Final = ord(":")
_ANY_NAME: Final = glob("?*")
_EVERY_ACTION: Final = glob("?*:?*")
_ALL_ARNS: Final = glob("arn:aws:?*:*:*:?*")
_ANYTHING: Final = Expansion(ALL_LEVELS, 0)
_BY_LEVEL: Final = (
    (PERMISSIONS, Severity.HIGH),
    (WRITE | TAGGING, Severity.MEDIUM),
    (READ, Severity.LOW),
)


def weaknesses(holding: Holding, outside: Outside | None = None) -> list[Weakness]:
    """Judge all that one entity holds, or one trust or resource policy, in the order of documents and statements."""
    budget = _Budget()
    found: dict[tuple[int, str, Rule, Severity, bool], list[Weakness]] = {}
    judged = [each for piece in pieces(holding) for each in _judged(piece, budget)]
    for place, policy in enumerate(holding.policies):
        judged += _principals(place, policy, outside or Outside())
    for each in judged:
        found.setdefault((each.policy, each.pointer, each.rule, each.severity, each.is_latent), []).append(each)
    order = {
        (place, statement.pointer): number
        for number, (place, statement) in enumerate(
            (place, statement) for place, policy in enumerate(holding.policies) for statement in policy.statements
        )
    }
    listed = [joined(each) for each in found.values()]
    listed.sort(key=lambda each: (order[each.policy, each.pointer], int(each.rule[1:]), each.is_latent, -each.severity))
    return listed


class _Budget:
    """How many names a document's wildcards have been held against."""

    def __init__(self) -> None:
        self.spent = 0

    def expansion(self, pattern: Glob) -> Expansion:
        if self.spent > MAX_COST:
            return _ANYTHING
        found = expansion(pattern)
        self.spent += found.cost
        return found


def is_wild(resources: Element) -> bool:
    """Say whether resources are all there are: ``*``, however spelled, or an ARN with nothing fixed."""
    return not resources.is_not and any(
        each.is_everything or (not each.is_literal and surely_contains(each, _ALL_ARNS)) for each in resources.patterns
    )


def is_every_action(pattern: Glob) -> bool:
    """Say whether a pattern matches every action: ``*``, ``*:*``, ``?*:**``."""
    return not any(token >= 0 and token != _COLON for token in pattern.tokens) and surely_contains(
        pattern, _EVERY_ACTION
    )


def passes_any_role(resources: Element) -> bool:
    """Say whether resources take in every role of an account."""
    if resources.is_not:
        return not any(surely_contains(each, _ROLE) for each in resources.patterns)
    action = find(PASS_ROLE)
    return any(each.is_everything or (action is not None and takes_every(each, action)) for each in resources.patterns)


def _judged(piece: Piece, budget: _Budget) -> Iterator[Weakness]:
    if piece.is_latent:
        live = replace(piece, denied=(), is_latent=False)
        for each in _judged(live, budget):
            yield as_latent(each)
        return
    if piece.actions.is_not:
        yield from _not_action(piece)
    if piece.resources.is_not:
        yield from _not_resource(piece, budget)
    elif not piece.actions.is_not:
        yield from _on_resources(piece, budget)
    yield from _pass_role(piece)


def _on_resources(piece: Piece, budget: _Budget) -> Iterator[Weakness]:
    """W1, W2, W3 and W6: each action under the strongest that it breaks."""
    is_narrowed = narrows_resources(piece.statement)
    on_everything = is_wild(piece.resources)
    sorted_out: dict[tuple[Rule, Severity], list[tuple[Glob, int]]] = {}
    for pattern in piece.actions.patterns:
        if pattern.is_literal:
            found = None if is_narrowed else _plain(piece, pattern, on_everything=on_everything)
        else:
            found = _wild(piece, pattern, budget, on_everything=on_everything, is_narrowed=is_narrowed)
        if found is not None:
            rule, severity, levels = found
            sorted_out.setdefault((rule, severity), []).append((pattern, levels))
    for (rule, severity), hits in sorted_out.items():
        levels = _union(levels for _, levels in hits)
        texts = [pattern.text for pattern, _ in hits]
        yield weakness(piece, rule, severity, texts, levels, why(rule, texts, levels), FIXES[rule])


def _plain(piece: Piece, pattern: Glob, *, on_everything: bool) -> tuple[Rule, Severity, int] | None:
    """W6: one action, by name."""
    action = find(pattern.literal)
    if action is None:
        return _unlisted(piece, pattern, on_everything=on_everything)
    if not action.has_resources or action.level == LIST or is_denied(piece, pattern.literal):
        return None
    if pattern.literal == PASS_ROLE and piece.passed_to is not None:
        return None
    if not on_everything and not _reaches_every(piece.resources, action):
        return None
    return "W6", _severity(action.level), action.level


def _unlisted(piece: Piece, pattern: Glob, *, on_everything: bool) -> tuple[Rule, Severity, int] | None:
    """Judge an action of a service newer than the table by its verb; one that a known service lacks grants nothing."""
    service, _, name = pattern.literal.partition(":")
    if not on_everything or not name or is_service(service) or is_denied(piece, pattern.literal):
        return None
    if name.startswith(("list", "describe", "get", "search", "batchget", "query", "view", "lookup")):
        return None
    return "W6", Severity.MEDIUM, WRITE


def _wild(
    piece: Piece, pattern: Glob, budget: _Budget, *, on_everything: bool, is_narrowed: bool
) -> tuple[Rule, Severity, int] | None:
    """W1, W2 and W3: a pattern, by what it expands to."""
    if on_everything and is_every_action(pattern):
        keeps_iam = not _is_iam_denied(piece)
        severity = Severity.CRITICAL if keeps_iam else Severity.HIGH
        return "W1", _softened(severity, is_narrowed=is_narrowed), ALL_LEVELS
    found = budget.expansion(pattern)
    levels = _left(piece, pattern, found)
    if whole := _whole_services(piece.resources, pattern, on_everything=on_everything):
        severity = Severity.CRITICAL if whole & CRITICAL_SERVICES else Severity.HIGH
        return "W2", _softened(severity, is_narrowed=is_narrowed), levels or ALL_LEVELS
    if is_narrowed or not levels & ~LIST:
        return None
    if not on_everything:
        levels = _levels_of(each for each in expand(pattern) if _reaches_every(piece.resources, each)) & levels
        if not levels & ~LIST:
            return None
    return "W3", _severity(levels), levels


def _left(piece: Piece, pattern: Glob, found: Expansion) -> int:
    """Give the levels that a pattern has left once single actions are denied."""
    if not piece.denied or found is _ANYTHING:
        return found.levels
    return _levels_of(each for each in expand(pattern) if not is_denied(piece, each.text.lower()))


def _reaches_every(resources: Element, action: Action) -> bool:
    """Say whether resources name all that one of IAM's permissions can be given to: ``user/*``, ``policy/*``.

    Elsewhere an ARN with a wildcard for its name is no ``*``: it says at least of which kind.
    """
    if action.service != "iam" or action.level != PERMISSIONS or action.name == "PassRole":  # that is W7's
        return False
    return any(takes_every(each, action) for each in resources.patterns)


def _whole_services(resources: Element, pattern: Glob, *, on_everything: bool) -> set[str]:
    """Give the services that a pattern takes whole on all that they have: the one that it names, or all there are."""
    if (service := _whole_service(pattern)) is not None:
        return {service} if on_everything or _covers_service(resources, service) else set()
    if not is_every_action(pattern):
        return set()
    named = {service for each in resources.patterns if is_service(service := _service_in(each))}
    return {service for service in (*named, "iam") if _covers_service(resources, service)}


def _whole_service(pattern: Glob) -> str | None:
    """Give the service that a pattern names and takes whole: ``s3:*``, ``S3:**``, ``s3:?*``."""
    service = pattern.prefix.removesuffix(":")
    if not pattern.prefix.endswith(":") or not service:
        return None
    rest = pattern.tokens[len(pattern.prefix) :]
    return service if rest and set(rest) <= {ANY, -1} and rest.count(ANY) <= 1 and rest[-1] == -1 else None


def _covers_service(resources: Element, service: str) -> bool:
    """Say whether resources are all of a service's, in every account and region: ``arn:aws:s3:::*``.

    IAM has no regions, and an account's own is all that anybody in it can reach: ``arn:aws:iam::111122223333:*``.
    """
    wild = [each for each in resources.patterns if not each.is_literal]
    if service == "iam" and any(
        glob(_service_in(each)).matches(service) and surely_contains(glob(each.text.split(":", 5)[-1]), _ANY_NAME)
        for each in wild
    ):
        return True
    whole = glob(f"arn:aws:{service}:*:*:?*") if service != "s3" else glob("arn:aws:s3:::?*")
    return any(surely_contains(each, whole) for each in wild)


def _service_in(resource: Glob) -> str:
    """Give the service of an ARN, as the pattern has it; nothing where it is no whole ARN."""
    parts = resource.text.split(":", 5)
    return parts[2] if len(parts) == 6 else ""


def _not_action(piece: Piece) -> Iterator[Weakness]:
    """W4: all but some actions, those still to come among them."""
    texts = [f"not:{pattern.text}" for pattern in piece.actions.patterns]
    if any(pattern.is_everything for pattern in piece.actions.patterns):
        return
    stays = [
        service
        for service in ("iam", "organizations")
        if not any(surely_contains(pattern, glob(f"{service}:*")) for pattern in piece.actions.patterns)
        and not any(denies_service(denied, service) for denied in piece.denied)
    ]
    is_wide = piece.resources.is_not or is_wild(piece.resources)
    severity = Severity.CRITICAL if stays and is_wide else Severity.HIGH
    why = "allows every action but those named, new ones as AWS adds them"
    if stays:
        why += f"; {' and '.join(stays)} stay in"
    yield weakness(piece, "W4", _softened(severity, is_narrowed=narrows_resources(piece.statement)), texts, ALL_LEVELS,
                    why, "Allow the actions that are needed; deny the others with a Deny.")  # fmt: skip


def _not_resource(piece: Piece, budget: _Budget) -> Iterator[Weakness]:
    """W5: all but some resources."""
    if any(pattern.is_everything for pattern in piece.resources.patterns):
        return
    texts = texts_of(piece.actions)
    if piece.actions.is_not:
        levels = ALL_LEVELS
    else:
        levels = _union(_left(piece, pattern, budget.expansion(pattern)) for pattern in piece.actions.patterns)
    severity = Severity.HIGH if levels & PERMISSIONS else Severity.MEDIUM
    yield weakness(piece, "W5", severity, texts, levels, "allows on every resource but those named",
                    "Name the resources that are needed; deny the others with a Deny.")  # fmt: skip


def _pass_role(piece: Piece) -> Iterator[Weakness]:
    """W7: any role to any service. Beside W1 it adds nothing."""
    if is_denied(piece, PASS_ROLE) or not passes_any_role(piece.resources):
        return
    patterns = piece.actions.patterns
    if piece.actions.is_not:
        texts = [] if any(pattern.matches(PASS_ROLE) for pattern in patterns) else [f"not:{p.text}" for p in patterns]
    else:
        texts = [each.text for each in patterns if each.matches(PASS_ROLE) and not is_every_action(each)]
    if texts and piece.passed_to is None and not narrows_resources(piece.statement):
        yield weakness(piece, "W7", Severity.HIGH, texts, PERMISSIONS,
                        "passes any role to any service: whoever holds this can have a service act as that role",
                        "Name the roles, and the service in a condition on iam:PassedToService.")  # fmt: skip


def _principals(place: int, policy: Policy, outside: Outside) -> Iterator[Weakness]:
    """W8, W9 and W10."""
    for statement in policy.statements:
        for breach in breaches(policy, statement, outside):
            yield Weakness(
                pointer=statement.pointer,
                policy=place,
                rule=cast("Rule", breach.rule),
                severity=breach.severity,
                actions=tuple(texts_of(statement.actions)),
                resources=tuple(texts_of(statement.resources)),
                why=breach.why,
                fix=breach.fix,
            )


def _is_iam_denied(piece: Piece) -> bool:
    return all(any(denies_service(denied, service) for denied in piece.denied) for service in ("iam", "organizations"))


def denies_service(denied: Element, service: str) -> bool:
    """Say whether denied actions are all of a service's."""
    whole = glob(f"{service}:*")
    if denied.is_not:
        return all(not each.matches(f"{service}:x") and not each.prefix.startswith(f"{service}:") and each.is_literal
                   for each in denied.patterns)  # fmt: skip
    return any(surely_contains(pattern, whole) for pattern in denied.patterns)


def _softened(severity: Severity, *, is_narrowed: bool) -> Severity:
    """Lower a severity by one where a condition narrows the resources."""
    return Severity(severity - 1) if is_narrowed else severity


def _severity(levels: int) -> Severity:
    return next((severity for bits, severity in _BY_LEVEL if levels & bits), Severity.INFO)


def _levels_of(actions: Iterable[Action]) -> int:
    return _union(each.level for each in actions)


def _union(levels: Iterable[int]) -> int:
    mask = 0
    for each in levels:
        mask |= each
    return mask
