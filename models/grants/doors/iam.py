"""IAM's own doors: policies, versions, attachments, groups, boundaries, trusts. Source: IAM API reference."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from models.entity import partition_of
from models.event import Event, api_key
from models.grants.doors.door import Door, Edits, document_of, holder_arn
from models.grants.graph import MAX_NAMES, Graph, Holder, ManagedPolicy, with_item, with_version, without_item
from models.record import text_of


def _put(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, name = holder_arn(event, request, kind), text_of(request.get("policyName"))
        text = document_of(request.get("policyDocument"))
        if arn is None or name is None or text is None:
            return {}
        holder = graph.holder(arn)
        if name not in holder.inline and len(holder.inline) >= MAX_NAMES:
            return {}
        return {arn: replace(holder, inline={**holder.inline, name: text})}

    return door


def _delete(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, name = holder_arn(event, request, kind), text_of(request.get("policyName"))
        if arn is None or arn not in graph.rows:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, inline={key: text for key, text in holder.inline.items() if key != name})}

    return door


def _attach(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, policy = holder_arn(event, request, kind), text_of(request.get("policyArn"))
        if arn is None or policy is None:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, attached=with_item(holder.attached, policy))}

    return door


def _detach(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, policy = holder_arn(event, request, kind), text_of(request.get("policyArn"))
        if arn is None or policy is None or arn not in graph.rows:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, attached=without_item(holder.attached, policy))}

    return door


def _bound(kind: str) -> Door:
    """Set a boundary, or take it off where the call names none."""

    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = holder_arn(event, request, kind)
        if arn is None:
            return {}
        return {arn: replace(graph.holder(arn), boundary=text_of(request.get("permissionsBoundary")))}

    return door


def _made(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001 - as every door
        arn = holder_arn(event, request, kind)
        if arn is None:
            return {}
        trust = document_of(request.get("assumeRolePolicyDocument"))
        return {arn: Holder(boundary=text_of(request.get("permissionsBoundary")), trust=trust, is_known=True)}

    return door


def _gone(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = holder_arn(event, request, kind)
        return {arn: None} if arn is not None and arn in graph.rows else {}

    return door


def _trust(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    arn, text = holder_arn(event, request, "role"), document_of(request.get("policyDocument"))
    if arn is None or text is None:
        return {}
    return {arn: replace(graph.holder(arn), trust=text)}


def _group(*, is_added: bool) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        user, group = holder_arn(event, request, "user"), holder_arn(event, request, "group")
        if user is None or group is None:
            return {}
        holder = graph.holder(user)
        change = with_item if is_added else without_item
        return {user: replace(holder, groups=change(holder.groups, group))}

    return door


def _policy_made(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001
    name, text = text_of(request.get("policyName")), document_of(request.get("policyDocument"))
    made = event.response().get("policy")
    arn = text_of(made.get("arn")) if isinstance(made, dict) else None
    if arn is None and name is not None and event.account_id:
        path = (text_of(request.get("path")) or "/").strip("/")
        where = f"{path}/{name}" if path else name
        arn = f"arn:{partition_of(event.record.aws_region)}:iam::{event.account_id}:policy/{where}"
    return {} if arn is None or text is None else {arn: ManagedPolicy({"v1": text}, "v1", is_known=True)}


def _version_made(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    arn, text = text_of(request.get("policyArn")), document_of(request.get("policyDocument"))
    if arn is None or text is None:
        return {}
    policy = graph.policy(arn)
    made = event.response().get("policyVersion")
    version = text_of(made.get("versionId")) if isinstance(made, dict) else None
    version = version or f"v{1 + max((int(each[1:]) for each in policy.versions if each[1:].isdecimal()), default=1)}"
    return {arn: with_version(policy, version, text, is_default=request.get("setAsDefault") in (True, "true"))}


def _default_set(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001
    arn, version = text_of(request.get("policyArn")), text_of(request.get("versionId"))
    if arn is None or version is None or arn not in graph.rows:
        return {}
    policy = graph.policy(arn)
    return {arn: replace(policy, default=version)}


def _version_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001
    arn, version = text_of(request.get("policyArn")), text_of(request.get("versionId"))
    if arn is None or arn not in graph.rows:
        return {}
    policy = graph.policy(arn)
    return {arn: replace(policy, versions={key: text for key, text in policy.versions.items() if key != version})}


def _policy_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001
    arn = text_of(request.get("policyArn"))
    return {arn: None} if arn is not None and arn in graph.rows else {}


_SERVICE: Final = "iam.amazonaws.com"
DOORS: Final[dict[str, Door]] = {
    **{
        api_key(_SERVICE, f"{verb}{kind.capitalize()}{what}"): make(kind)
        for kind in ("user", "role", "group")
        for verb, what, make in (
            ("Put", "Policy", _put),
            ("Delete", "Policy", _delete),
            ("Attach", "Policy", _attach),
            ("Detach", "Policy", _detach),
            ("Create", "", _made),
            ("Delete", "", _gone),
        )
    },
    **{
        api_key(_SERVICE, f"{verb}{kind.capitalize()}PermissionsBoundary"): _bound(kind)
        for kind in ("user", "role")
        for verb in ("Put", "Delete")
    },
    api_key(_SERVICE, "UpdateAssumeRolePolicy"): _trust,
    api_key(_SERVICE, "AddUserToGroup"): _group(is_added=True),
    api_key(_SERVICE, "RemoveUserFromGroup"): _group(is_added=False),
    api_key(_SERVICE, "CreatePolicy"): _policy_made,
    api_key(_SERVICE, "CreatePolicyVersion"): _version_made,
    api_key(_SERVICE, "SetDefaultPolicyVersion"): _default_set,
    api_key(_SERVICE, "DeletePolicyVersion"): _version_gone,
    api_key(_SERVICE, "DeletePolicy"): _policy_gone,
}
