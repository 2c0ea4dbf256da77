"""Doors of resources with a policy of their own: buckets, KMS keys and their grants, functions.

Source: S3, KMS and Lambda API references.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from models.entity import account_of, partition_of
from models.event import Event, api_key
from models.grants.doors.door import Door, Edits, document_of, regional
from models.grants.graph import MAX_GRANTS, Graph, Resource
from models.record import text_of


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
    return regional(event, "kms", "key/", text_of(request.get("keyId")))


def _function(event: Event, request: dict[str, Any]) -> str | None:
    """Name a function, which a call gives by name, by ``account:function:name`` or by ARN."""
    name = text_of(request.get("functionName"))
    if name is not None and not name.startswith("arn:"):
        name = name.rpartition("function:")[2]
    return regional(event, "lambda", "function:", name)


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


def _function_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """DeleteFunction takes the policy along, unless it is about one version."""
    arn = _function(event, request)
    return {arn: None} if arn is not None and arn in graph.rows and not request.get("qualifier") else {}


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


def _granted(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """KMS's CreateGrant, where it reaches beyond the account: services and the account's own are everyday, and many."""
    arn, grantee = _key(event, request), text_of(request.get("granteePrincipal"))
    account = account_of(grantee) if grantee else None
    if arn is None or account is None or account == (account_of(arn) or event.account_id):
        return {}
    grant = text_of(event.response().get("grantId")) or text_of(request.get("name")) or "unnamed"
    known = graph.resource(arn)
    operations = request.get("operations")
    names = [each for each in operations if isinstance(each, str)] if isinstance(operations, list) else []
    text = document_of(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"AWS": grantee},
                "Action": [f"kms:{each}" for each in names] or "kms:*",
            },
        }
    )
    if text is None or (grant not in known.grants and len(known.grants) >= MAX_GRANTS):
        return {}
    return {arn: replace(known, grants={**known.grants, grant: text})}


def _grant_gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """RevokeGrant, or RetireGrant, which may name the grant alone."""
    grant = text_of(request.get("grantId")) or text_of(event.additional().get("grantId"))
    if grant is None:
        return {}
    arn = _key(event, request)
    known = [(arn, graph.resource(arn))] if arn else [
        (key, row) for key, row in graph.rows.items() if isinstance(row, Resource) and row.grants
    ]  # fmt: skip
    return {
        key: replace(row, grants={name: text for name, text in row.grants.items() if name != grant})
        for key, row in known
        if grant in row.grants
    }


DOORS: Final[dict[str, Door]] = {
    api_key("s3.amazonaws.com", "PutBucketPolicy"): _resource(_bucket, "bucketPolicy"),
    api_key("s3.amazonaws.com", "DeleteBucketPolicy"): _resource(_bucket, None),
    api_key("s3.amazonaws.com", "DeleteBucket"): _resource(_bucket, None),
    api_key("kms.amazonaws.com", "CreateKey"): _resource(_key, "policy"),
    api_key("kms.amazonaws.com", "PutKeyPolicy"): _resource(_key, "policy"),
    api_key("kms.amazonaws.com", "CreateGrant"): _granted,
    api_key("kms.amazonaws.com", "RetireGrant"): _grant_gone,
    api_key("kms.amazonaws.com", "RevokeGrant"): _grant_gone,
    api_key("lambda.amazonaws.com", "AddPermission"): _permission,
    api_key("lambda.amazonaws.com", "RemovePermission"): _permission_gone,
    api_key("lambda.amazonaws.com", "DeleteFunction"): _function_gone,
}
