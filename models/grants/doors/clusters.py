"""Doors of EKS: access policies, by which a role or user of IAM may do things inside a cluster.

What they allow is Kubernetes' business and in no policy document; the two that make an administrator are read as every
action of the cluster, on everything in it or in the namespaces named.
Source: Amazon EKS user guide, "Review access policy permissions"; EKS API reference.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from msgspec.structs import replace

from models.entity import bare_arn
from models.event import Event, api_key
from models.grants.doors.door import Door, Edits, document_of
from models.grants.graph import MAX_NAMES, Graph
from models.record import text_of

_EKS: Final = "eks.amazonaws.com"
_ADMINISTRATORS: Final = frozenset({"AmazonEKSClusterAdminPolicy", "AmazonEKSAdminPolicy"})


def _associated(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """Give a principal an access policy in one cluster, or take it."""
    cluster, policy = text_of(request.get("name")), _unquoted(request.get("policyArn"))
    key = _holder(request)
    if cluster is None or policy is None or key is None or policy.rpartition("/")[2] not in _ADMINISTRATORS:
        return {}
    holder = graph.holder(key)
    name = f"{policy.rpartition('/')[2]}@{cluster}"
    inline = {each: text for each, text in holder.inline.items() if each != name}
    if event.api.name.startswith("Associate"):
        scope = request.get("accessScope")
        is_whole = not isinstance(scope, dict) or scope.get("type") != "namespace"
        spaces = scope.get("namespaces") if isinstance(scope, dict) else None
        named = [each for each in spaces if isinstance(each, str)] if isinstance(spaces, list) else []
        text = document_of(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Action": f"kubernetes/{cluster}:*",
                    "Resource": "*" if is_whole else [f"namespace/{each}" for each in named] or "namespace/",
                },
            }
        )
        if text is None or len(inline) >= MAX_NAMES:
            return {}
        inline[name] = text
    return {} if inline == holder.inline else {key: replace(holder, inline=inline)}


def _entry_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001 - as every door
    """DeleteAccessEntry takes all that a principal holds in a cluster."""
    cluster, key = text_of(request.get("name")), _holder(request)
    if cluster is None or key is None:
        return {}
    holder = graph.holder(key)
    inline = {name: text for name, text in holder.inline.items() if not name.endswith(f"@{cluster}")}
    return {} if inline == holder.inline else {key: replace(holder, inline=inline)}


def _holder(request: dict[str, Any]) -> str | None:
    arn = _unquoted(request.get("principalArn"))
    return bare_arn(arn)[0] if arn else None


def _unquoted(value: object) -> str | None:
    """Read an ARN that stands in the call's path, where it is URL-encoded."""
    return unquote(value) if isinstance(value, str) and value else None


DOORS: Final[dict[str, Door]] = {
    api_key(_EKS, "AssociateAccessPolicy"): _associated,
    api_key(_EKS, "DisassociateAccessPolicy"): _associated,
    api_key(_EKS, "DeleteAccessEntry"): _entry_gone,
}
