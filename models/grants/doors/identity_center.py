"""Doors of IAM Identity Center: permission sets, to whom they are assigned in which account, and groups of its users.

What Identity Center then writes into the accounts' IAM belongs to the change that caused it (models/grants/writers.py).
Sources: IAM Identity Center and Identity Store API references; AWS CloudTrail records of sso-directory, which the
console calls.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from models.event import Event, api_key
from models.grants.doors.door import Door, Edits, document_of
from models.grants.graph import Graph, Membership, assignment, with_item, without_item
from models.record import text_of

_SSO: Final = "sso.amazonaws.com"


def _permission_set(field: str) -> Door:
    """Change what a permission set of Identity Center holds: one inline policy, and managed ones."""

    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = text_of(request.get("permissionSetArn"))
        if arn is None:
            return {}
        holder = graph.holder(arn)
        if field == "managedPolicyArn":
            policy = text_of(request.get(field))
            if policy is None:
                return {}
            change = with_item if event.api.name.startswith("Attach") else without_item
            return {arn: replace(holder, attached=change(holder.attached, policy))}
        text = document_of(request.get(field))
        return {arn: replace(holder, inline={} if text is None else {"inline": text})}

    return door


def _set_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001 - as every door
    arn = text_of(request.get("permissionSetArn"))
    return {arn: None} if arn is not None and arn in graph.rows else {}


def _assigned(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """Give a permission set to a user or group in one account, or take it."""
    permission_set, account = text_of(request.get("permissionSetArn")), text_of(request.get("targetId"))
    kind = {"USER": "user", "GROUP": "group"}.get(text_of(request.get("principalType")) or "")
    name = text_of(request.get("principalId"))
    if permission_set is None or account is None or kind is None or name is None:
        return {}
    key = assignment(_principal(kind, name), account)
    holder = graph.holder(key)
    change = with_item if event.api.name.startswith("Create") else without_item
    return {key: replace(holder, groups=change(holder.groups, permission_set))}


def _joined(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """Put a user into a group: by the directory's call, or by the Identity Store's, which names the membership."""
    group = text_of(request.get("groupId"))
    user = _member(request)
    if group is None or user is None:
        return {}
    edits = _with_groups(graph, user, group, is_added=True)
    if name := text_of(event.response().get("membershipId")):
        edits[_membership(name)] = Membership(user, group)
    return edits


def _left(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001 - as every door
    """Take a user out of a group, which the Identity Store's call names by the membership alone."""
    if name := text_of(request.get("membershipId")):
        known = graph.rows.get(_membership(name))
        if not isinstance(known, Membership):
            return {}
        return {**_with_groups(graph, known.user, known.group, is_added=False), _membership(name): None}
    group, user = text_of(request.get("groupId")), _member(request)
    return {} if group is None or user is None else _with_groups(graph, user, group, is_added=False)


def _member(request: dict[str, Any]) -> str | None:
    member = request.get("member") or request.get("memberId")
    if isinstance(member, dict):
        member = member.get("memberId") or member.get("userId")
    return text_of(member)


def _with_groups(graph: Graph, user: str, group: str, *, is_added: bool) -> Edits:
    key = _principal("user", user)
    holder = graph.holder(key)
    change = with_item if is_added else without_item
    return {key: replace(holder, groups=change(holder.groups, _principal("group", group)))}


def _membership(name: str) -> str:
    return f"membership {name}"


def _principal(kind: str, name: str) -> str:
    """Name a user or group as IAM policies do: the calls tell no identity store that would make it unique."""
    return f"arn:aws:identitystore:::{kind}/{name}"


DOORS: Final[dict[str, Door]] = {
    api_key(_SSO, "PutInlinePolicyToPermissionSet"): _permission_set("inlinePolicy"),
    api_key(_SSO, "DeleteInlinePolicyFromPermissionSet"): _permission_set("inlinePolicy"),
    api_key(_SSO, "AttachManagedPolicyToPermissionSet"): _permission_set("managedPolicyArn"),
    api_key(_SSO, "DetachManagedPolicyFromPermissionSet"): _permission_set("managedPolicyArn"),
    api_key(_SSO, "DeletePermissionSet"): _set_gone,
    api_key(_SSO, "CreateAccountAssignment"): _assigned,
    api_key(_SSO, "DeleteAccountAssignment"): _assigned,
    api_key("identitystore.amazonaws.com", "CreateGroupMembership"): _joined,
    api_key("identitystore.amazonaws.com", "DeleteGroupMembership"): _left,
    api_key("sso-directory.amazonaws.com", "AddMemberToGroup"): _joined,
    api_key("sso-directory.amazonaws.com", "RemoveMemberFromGroup"): _left,
}
