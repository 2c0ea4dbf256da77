"""The doors through which grants change: from a control-plane call to edits of the graph's rows.

Keyed by (eventSource, eventName without version). Documents sit in different fields and forms by door.
Source: IAM, S3, KMS, Lambda, SNS, SQS and IAM Identity Center API references.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from models.entity import partition_of
from models.event import Event, api_key
from models.grants.graph import (
    MAX_DOCUMENT,
    MAX_NAMES,
    Graph,
    Holder,
    ManagedPolicy,
    Row,
    with_item,
    with_version,
    without_item,
)
from models.record import text_of

Edits = dict[str, Row | None]
Door = Callable[[Event, Graph, dict[str, Any]], Edits]


def edits_of(event: Event, graph: Graph) -> Edits:
    """Read what a call leaves of the rows that it touches, as if it were allowed; empty where it touches none."""
    door = _DOORS.get(event.api.key)
    return {} if door is None else door(event, graph, event.request())


def taken_back(event: Event, graph: Graph) -> Graph:
    """Give the graph without what the inventory assumed and the call itself now makes: so it was not there before."""
    if not event.api.name.startswith(("Put", "Attach", "Add")):
        return graph
    request = event.request()
    kind = next((each for each in ("user", "role", "group") if f"{each}Name" in request), None)
    arn = _holder_arn(event, request, kind) if kind else None
    if arn is None or not (assumed := graph.holder(arn).assumed):
        return graph
    group = _holder_arn(event, request, "group") if kind != "group" else None
    item = text_of(request.get("policyArn")) or text_of(request.get("policyName")) or group
    return graph.after({arn: graph.holder(arn).without(item)}) if item and item in assumed else graph


def document_of(value: object) -> str | None:
    """Take a policy document as text, whichever form it comes in; None where there is none, or it is too long to keep."""
    if isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    return value if isinstance(value, str) and 0 < len(value) <= MAX_DOCUMENT else None


def _holder_arn(event: Event, request: dict[str, Any], kind: str) -> str | None:
    name = text_of(request.get(f"{kind}Name"))
    return event.iam_arn(kind, name) if name else None


def _put(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, name = _holder_arn(event, request, kind), text_of(request.get("policyName"))
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
        arn, name = _holder_arn(event, request, kind), text_of(request.get("policyName"))
        if arn is None or arn not in graph.rows:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, inline={key: text for key, text in holder.inline.items() if key != name})}

    return door


def _attach(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, policy = _holder_arn(event, request, kind), text_of(request.get("policyArn"))
        if arn is None or policy is None:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, attached=with_item(holder.attached, policy))}

    return door


def _detach(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn, policy = _holder_arn(event, request, kind), text_of(request.get("policyArn"))
        if arn is None or policy is None or arn not in graph.rows:
            return {}
        holder = graph.holder(arn)
        return {arn: replace(holder, attached=without_item(holder.attached, policy))}

    return door


def _bound(kind: str) -> Door:
    """Set a boundary, or take it off where the call names none."""

    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = _holder_arn(event, request, kind)
        if arn is None:
            return {}
        return {arn: replace(graph.holder(arn), boundary=text_of(request.get("permissionsBoundary")))}

    return door


def _made(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:  # noqa: ARG001 - as every door
        arn = _holder_arn(event, request, kind)
        if arn is None:
            return {}
        trust = document_of(request.get("assumeRolePolicyDocument"))
        return {arn: Holder(boundary=text_of(request.get("permissionsBoundary")), trust=trust, is_known=True)}

    return door


def _gone(kind: str) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = _holder_arn(event, request, kind)
        return {arn: None} if arn is not None and arn in graph.rows else {}

    return door


def _trust(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    arn, text = _holder_arn(event, request, "role"), document_of(request.get("policyDocument"))
    if arn is None or text is None:
        return {}
    return {arn: replace(graph.holder(arn), trust=text)}


def _group(*, is_added: bool) -> Door:
    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        user, group = _holder_arn(event, request, "user"), _holder_arn(event, request, "group")
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
    version = version or f"v{1 + max((int(each[1:]) for each in policy.versions if each[1:].isdecimal()), default=0)}"
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


def _resource(arn_of: Callable[[Event, dict[str, Any]], str | None], field: str | None) -> Door:
    """Set a resource's own policy, or take it off where no field is named."""

    def door(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
        arn = arn_of(event, request)
        if arn is None:
            return {}
        if field is None:
            return {arn: None} if arn in graph.rows else {}
        text = document_of(request.get(field))
        return {} if text is None else {arn: replace(graph.resource(arn), policy=text)}

    return door


def _bucket(event: Event, request: dict[str, Any]) -> str | None:
    name = text_of(request.get("bucketName"))
    return f"arn:{partition_of(event.record.aws_region)}:s3:::{name}" if name else None


def _key(event: Event, request: dict[str, Any]) -> str | None:
    made = event.response().get("keyMetadata")
    if isinstance(made, dict) and (arn := text_of(made.get("arn"))):
        return arn
    return _regional(event, "kms", "key/", text_of(request.get("keyId")))


def _function(event: Event, request: dict[str, Any]) -> str | None:
    name = text_of(request.get("functionName"))
    return _regional(event, "lambda", "function:", name)


def _regional(event: Event, service: str, kind: str, name: str | None) -> str | None:
    if name is None or name.startswith("arn:"):
        return name
    region, account = event.record.aws_region, event.account_id
    if not region or not account:
        return None
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{kind}{name}"


def _permission(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """Lambda's AddPermission names the parts of one statement, which joins the function's policy."""
    arn, principal = _function(event, request), text_of(request.get("principal"))
    if arn is None or principal is None:
        return {}
    conditions: dict[str, Any] = {}
    for field, operator, key in (
        ("sourceArn", "ArnLike", "AWS:SourceArn"),
        ("sourceAccount", "StringEquals", "AWS:SourceAccount"),
        ("principalOrgID", "StringEquals", "aws:PrincipalOrgID"),
        ("eventSourceToken", "StringEquals", "lambda:EventSourceToken"),
        ("functionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ):
        if isinstance(value := request.get(field), str):
            conditions.setdefault(operator, {})[key] = value
    kind = "Service" if principal.endswith(".amazonaws.com") else "AWS"
    statement = {
        "Sid": text_of(request.get("statementId")) or "added",
        "Effect": "Allow",
        "Principal": "*" if principal == "*" else {kind: principal},
        "Action": text_of(request.get("action")) or "lambda:InvokeFunction",
        "Resource": arn,
        **({"Condition": conditions} if conditions else {}),
    }
    known = graph.resource(arn)
    statements = [each for each in _statements(known.policy) if each.get("Sid") != statement["Sid"]]
    text = document_of({"Version": "2012-10-17", "Statement": [*statements, statement]})
    return {} if text is None else {arn: replace(known, policy=text)}


def _permission_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    arn, sid = _function(event, request), text_of(request.get("statementId"))
    if arn is None or arn not in graph.rows:
        return {}
    known = graph.resource(arn)
    statements = [each for each in _statements(known.policy) if each.get("Sid") != sid]
    return {
        arn: replace(known, policy=document_of({"Version": "2012-10-17", "Statement": statements}))
        if statements
        else None
    }


def _statements(text: str | None) -> list[dict[str, Any]]:
    if text is None:
        return []
    try:
        found = msgspec.json.decode(text, type=dict[str, Any]).get("Statement")
    except msgspec.MsgspecError:
        return []
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, dict)]


_IAM, _SSO = "iam.amazonaws.com", "sso.amazonaws.com"
_DOORS: Final[dict[str, Door]] = {
    **{
        api_key(_IAM, f"{verb}{kind.capitalize()}{what}"): make(kind)
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
        api_key(_IAM, f"{verb}{kind.capitalize()}PermissionsBoundary"): _bound(kind)
        for kind in ("user", "role")
        for verb in ("Put", "Delete")
    },
    api_key(_IAM, "UpdateAssumeRolePolicy"): _trust,
    api_key(_IAM, "AddUserToGroup"): _group(is_added=True),
    api_key(_IAM, "RemoveUserFromGroup"): _group(is_added=False),
    api_key(_IAM, "CreatePolicy"): _policy_made,
    api_key(_IAM, "CreatePolicyVersion"): _version_made,
    api_key(_IAM, "SetDefaultPolicyVersion"): _default_set,
    api_key(_IAM, "DeletePolicyVersion"): _version_gone,
    api_key(_IAM, "DeletePolicy"): _policy_gone,
    api_key(_SSO, "PutInlinePolicyToPermissionSet"): _permission_set("inlinePolicy"),
    api_key(_SSO, "DeleteInlinePolicyFromPermissionSet"): _permission_set("inlinePolicy"),
    api_key(_SSO, "AttachManagedPolicyToPermissionSet"): _permission_set("managedPolicyArn"),
    api_key(_SSO, "DetachManagedPolicyFromPermissionSet"): _permission_set("managedPolicyArn"),
    api_key("s3.amazonaws.com", "PutBucketPolicy"): _resource(_bucket, "bucketPolicy"),
    api_key("s3.amazonaws.com", "DeleteBucketPolicy"): _resource(_bucket, None),
    api_key("kms.amazonaws.com", "CreateKey"): _resource(_key, "policy"),
    api_key("kms.amazonaws.com", "PutKeyPolicy"): _resource(_key, "policy"),
    api_key("lambda.amazonaws.com", "AddPermission"): _permission,
    api_key("lambda.amazonaws.com", "RemovePermission"): _permission_gone,
}
DOOR_CALLS: Final = frozenset(_DOORS)
