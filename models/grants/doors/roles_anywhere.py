"""Doors of IAM Roles Anywhere: a profile lets certificates become its roles, within its session policies.

Source: IAM Roles Anywhere API reference, "CreateProfile", "UpdateProfile".
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from models.entity import bare_arn
from models.event import Event, api_key
from models.grants.doors.door import Door, Edits, document_of, regional
from models.grants.graph import MAX_NAMES, Graph, Holder
from models.record import text_of

_SERVICE: Final = "rolesanywhere.amazonaws.com"


def _profile(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    """Make a profile, or change what the call names of it."""
    key = _arn(event, request)
    if key is None:
        return {}
    holder = graph.holder(key) if event.api.name == "UpdateProfile" else Holder(is_known=True)
    if isinstance(roles := request.get("roleArns"), list):
        named = {bare_arn(each)[0] for each in roles if isinstance(each, str)}
        holder = replace(holder, groups=tuple(sorted(named))[:MAX_NAMES])
    if isinstance(managed := request.get("managedPolicyArns"), list):
        holder = replace(holder, session_attached=tuple(each for each in managed if isinstance(each, str))[:MAX_NAMES])
    if "sessionPolicy" in request:
        holder = replace(holder, session=document_of(request["sessionPolicy"]))
    return {key: holder}


def _gone(event: Event, graph: Graph, request: dict[str, Any]) -> Edits:
    key = _arn(event, request)
    return {key: None} if key is not None and key in graph.rows else {}


def _arn(event: Event, request: dict[str, Any]) -> str | None:
    made = event.response().get("profile")
    if isinstance(made, dict) and (arn := text_of(made.get("profileArn"))):
        return arn
    return regional(
        event, "rolesanywhere", "profile/", text_of(request.get("profileId")) or text_of(request.get("name"))
    )


DOORS: Final[dict[str, Door]] = {
    api_key(_SERVICE, "CreateProfile"): _profile,
    api_key(_SERVICE, "UpdateProfile"): _profile,
    api_key(_SERVICE, "DeleteProfile"): _gone,
}
