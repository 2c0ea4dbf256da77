"""The doors through which grants change: from a control-plane call to edits of the graph's rows.

Keyed by (eventSource, eventName without version). Documents sit in different fields and forms by door.
"""

from __future__ import annotations

from typing import Final

from models.event import Event
from models.grants.doors import clusters, iam, identity_center, resources, roles_anywhere
from models.grants.doors.door import Door, Edits, holder_arn
from models.grants.graph import Graph
from models.record import text_of

_DOORS: Final[dict[str, Door]] = {
    **iam.DOORS, **identity_center.DOORS, **resources.DOORS, **clusters.DOORS, **roles_anywhere.DOORS,
}  # fmt: skip
DOOR_CALLS: Final = frozenset(_DOORS)


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
    arn = holder_arn(event, request, kind) if kind else None
    if arn is None or not (assumed := graph.holder(arn).assumed):
        return graph
    group = holder_arn(event, request, "group") if kind != "group" else None
    item = text_of(request.get("policyArn")) or text_of(request.get("policyName")) or group
    return graph.after({arn: graph.holder(arn).without(item)}) if item and item in assumed else graph
