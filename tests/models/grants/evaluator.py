"""A slow evaluator of policies, request by request, written from AWS's description and from nothing of the product's.

It reads raw documents and concrete requests: no sets, no symbols, no cells. What it says is what the policy engine must
agree with.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Any, NamedTuple

Json = dict[str, Any]


class Request(NamedTuple):
    """One call: what is done, to what, and what comes with it (a list where a key has several values)."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]] = MappingProxyType({})


def allows(documents: list[Json], boundary: Json | None, request: Request) -> bool:
    """Say whether an entity that holds these documents, within that boundary, may make the request."""
    everything = [*documents, *([boundary] if boundary else [])]
    if any(_decides(document, "Deny", request) for document in everything):
        return False
    if boundary and not _decides(boundary, "Allow", request):
        return False
    return any(_decides(document, "Allow", request) for document in documents)


def _decides(document: Json, effect: str, request: Request) -> bool:
    listed = document["Statement"]
    return any(
        statement["Effect"] == effect and _applies(statement, request, document.get("Version", "2008-10-17"))
        for statement in (listed if isinstance(listed, list) else [listed])
    )


def _applies(statement: Json, request: Request, version: str) -> bool:
    if "Action" in statement:
        if not any(like(each.lower(), request.action.lower()) for each in _listed(statement["Action"])):
            return False
    elif any(like(each.lower(), request.action.lower()) for each in _listed(statement["NotAction"])):
        return False
    if "Resource" in statement:
        if not any(_matches(each, request, version) for each in _listed(statement["Resource"])):
            return False
    elif any(_matches(each, request, version) for each in _listed(statement["NotResource"])):
        return False
    return all(
        _holds(operator, key, _listed(values), request, version)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _matches(pattern: str, request: Request, version: str) -> bool:
    filled = _filled(pattern, request, version)
    return filled is not None and like(filled, request.resource)


def _filled(pattern: str, request: Request, version: str) -> str | None:
    """Put values for variables, with their own wildcards taken literally; None where one has no value."""
    if version != "2012-10-17":
        return pattern
    is_whole = True

    def fill(found: re.Match[str]) -> str:
        nonlocal is_whole
        name = found[1]
        value = name if name in ("*", "?", "$") else request.context.get(name.lower())
        if not isinstance(value, str):
            is_whole = False
            return ""
        return value.replace("*", "\0").replace("?", "\1")

    filled = re.sub(r"\$\{([^}]*)\}", fill, pattern)
    return filled if is_whole else None


@cache
def like(pattern: str, text: str) -> bool:
    """Match by way of an expression, character by character."""
    text = text.replace("*", "\0").replace("?", "\1")
    expression = "".join(".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _holds(operator: str, key: str, values: list[str], request: Request, version: str) -> bool:
    given = request.context.get(key.lower())
    present = [] if given is None else [given] if isinstance(given, str) else given
    if operator == "Null":
        return any((value.lower() == "true") == (not present) for value in values)
    quantifier, _, base = operator.rpartition(":")
    if base.endswith("IfExists"):
        if not present:
            return True
        base = base.removesuffix("IfExists")
    is_negated = "Not" in base
    if not present:
        return quantifier == "ForAllValues" if quantifier else is_negated
    filled = [_filled(value, request, version) for value in values]
    each = [
        any(_compares(base.replace("Not", ""), value, mine) for value in filled if value is not None) != is_negated
        for mine in present
    ]
    return all(each) if quantifier == "ForAllValues" else any(each)


def _compares(operator: str, value: str, mine: str) -> bool:
    if operator in ("StringLike", "ArnLike", "ArnEquals"):
        return like(value, mine)
    if operator == "StringEqualsIgnoreCase":
        return value.lower() == mine.lower()
    if operator == "IpAddress":
        return ip_address(mine) in ip_network(value, strict=False)
    if operator.startswith(("Numeric", "Date")):
        read = float if operator.startswith("Numeric") else _instant
        bound, number = read(value), read(mine)
        relation = operator.removeprefix("Numeric").removeprefix("Date")
        return {
            "Equals": number == bound,
            "LessThan": number < bound,
            "LessThanEquals": number <= bound,
            "GreaterThan": number > bound,
            "GreaterThanEquals": number >= bound,
        }[relation]
    if operator == "Bool":
        return value.lower() == mine.lower()
    return value == mine


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
