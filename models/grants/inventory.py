"""The inventory: what an account held at a time, from GetAccountAuthorizationDetails, so that the first day is not blind.

It holds as of an instant: what was made later is left out. Attachments bear no date, so each is marked as assumed: where
the trail itself makes one, it was not there before.
Source: IAM API reference, "GetAccountAuthorizationDetails", as the AWS CLI writes it.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from models.entity import account_of, bare_arn
from models.grants.doors.door import document_of
from models.grants.graph import Holder, ManagedPolicy, Row
from models.record import epoch, text_of

_LISTS: Final = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
_INLINE: Final = ("UserPolicyList", "GroupPolicyList", "RolePolicyList")


class Inventory(Struct, frozen=True):
    """The rows of one account, and when each role's trust was last known to be set."""

    account_id: str
    rows: dict[str, Row]
    made_at: dict[str, int]  # by ARN, as far as it is told
    unreadable: tuple[str, ...] = ()  # JSON pointers to what was left out because it could not be read


def is_inventory(value: object) -> bool:
    """Say whether a document is GetAccountAuthorizationDetails' answer."""
    return isinstance(value, dict) and any(isinstance(value.get(key), list) for key in _LISTS)


def read_inventory(value: dict[str, Any], holds_at: int | None) -> list[Inventory]:
    """Read the answer, account by account; ``holds_at`` leaves out what was made later, None nothing."""
    rows: dict[str, dict[str, Row]] = {}
    made_at: dict[str, dict[str, int]] = {}
    unreadable: list[str] = []
    for key in _LISTS:
        for number, each in enumerate(value.get(key) or []):
            arn = text_of(each.get("Arn")) if isinstance(each, dict) else None
            account = account_of(arn) if arn else None
            if arn is None or account is None:
                unreadable.append(f"/{key}/{number}")
                continue
            at = _instant(each.get("CreateDate"))
            if at is not None and holds_at is not None and at > holds_at:
                continue
            row = _policy(each, holds_at) if key == "Policies" else _holder(each, account)
            arn = arn if key == "Policies" else bare_arn(arn)[0]
            if row is not None:
                rows.setdefault(account, {})[arn] = row
                if at is not None:
                    made_at.setdefault(account, {})[arn] = at
    return [
        Inventory(account, found, made_at.get(account, {}), tuple(unreadable))
        for account, found in sorted(rows.items())
    ]


def _holder(each: dict[str, Any], account: str) -> Holder:
    inline = {
        name: text
        for key in _INLINE
        for policy in _objects(each.get(key))
        if (name := text_of(policy.get("PolicyName"))) and (text := document_of(policy.get("PolicyDocument")))
    }
    attached = sorted(
        arn for policy in _objects(each.get("AttachedManagedPolicies")) if (arn := text_of(policy.get("PolicyArn")))
    )
    partition = str(each.get("Arn", "arn:aws")).split(":")[1]
    names = each.get("GroupList") or []
    groups = sorted(f"arn:{partition}:iam::{account}:group/{name}" for name in names if isinstance(name, str))
    boundary = each.get("PermissionsBoundary")
    return Holder(
        inline=inline,
        attached=tuple(attached),
        boundary=text_of(boundary.get("PermissionsBoundaryArn")) if isinstance(boundary, dict) else None,
        groups=tuple(groups),
        trust=document_of(each.get("AssumeRolePolicyDocument")),
        is_known=True,
        assumed=(*inline, *attached, *groups),
    )


def _policy(each: dict[str, Any], holds_at: int | None) -> ManagedPolicy | None:
    """Keep a managed policy's versions up to the instant; the newest of them was in force, or the one that still is."""
    versions: dict[str, str] = {}
    default = text_of(each.get("DefaultVersionId"))
    for version in _objects(each.get("PolicyVersionList")):
        at, name = _instant(version.get("CreateDate")), text_of(version.get("VersionId"))
        text = document_of(version.get("Document"))
        if name and text and not (at is not None and holds_at is not None and at > holds_at):
            versions[name] = text
    if not versions:
        return None
    ordered = dict(sorted(versions.items(), key=lambda item: _number(item[0])))
    return ManagedPolicy(ordered, default if default in ordered else next(reversed(ordered)), is_known=True)


def _number(version: str) -> int:
    return int(version[1:]) if version[1:].isdecimal() else 0


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _instant(value: object) -> int | None:
    try:
        return epoch(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
