"""Lineage: who issued whom, so that a finding about a session names the person or machine at the root.

An edge leads from what was issued (a session, a key) back to who issued it. Edges come from AssumeRole and its like,
AssumeRoot, SwitchRole, GetSessionToken, GetFederationToken and CreateAccessKey; a cross-account call stands in two
accounts' trails, and the caller's own record is the better one. Where AWS services issue, there is no edge: such a session
is a root.
GetSigninToken issues nobody new: the console session that it opens bears the name of the session that asked for it.
Source: AWS STS API reference; AWS CloudTrail user guide, "Logging IAM and AWS STS API calls".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from models.entity import Actor, account_of, partition_of, role_of_session
from models.event import Event, api_key
from models.finding import Who, who
from models.record import text_of
from models.rows import Row, RowKind, Stored, Tracked

HOUR_S: Final = 3_600
MAX_HOPS: Final = 8
MAX_EDGES: Final = 20_000  # the longest known go first
MAX_PER_SESSION: Final = 16  # edges to one session name; the oldest go first
DEFAULT_LIFE_S: Final = HOUR_S  # of a session that does not say how long it lasts
CONSOLE_LIFE_S: Final = 12 * HOUR_S  # what a console session made from credentials may last beyond them
KEY_LIFE_S: Final = 7 * 24 * HOUR_S  # so long a new key leads back to who made it for somebody else


class Edge(Struct, frozen=True, gc=False):
    """Something was issued to somebody: a session or a key, by whom, until when."""

    issued: str  # ARN as AWS writes it: a role session's STS ARN, else the entity's
    key: str | None  # access key id issued
    at: int
    expires_at: int
    issuer: Who
    how: str  # eventName
    event_id: str
    is_by_key_alone: bool = False  # the issued one acts as well without this edge
    is_weak: bool = False  # the record of the account called: of the caller it knows the account alone

    @property
    def order(self) -> tuple[bool, int, str]:
        """Which of several edges to one session counts: the caller's own record before the other, then the latest."""
        return not self.is_weak, self.at, self.event_id


class Hop(Struct, frozen=True, rename={"class_": "class"}):
    """One step of a lineage: who, and how they became the next."""

    arn: str
    type: str
    how: str  # eventName by which it was issued; "" for the root
    at: int | None
    event_id: str | None
    class_: str


class Lineage:
    """Edges, by what they issued. State: bounded, plain data."""

    def __init__(self) -> None:
        self.edges: Tracked[Edge] = Tracked()  # by event id, the longest known first
        self._by_key: dict[str, list[Edge]] = {}
        self._by_session: dict[str, list[Edge]] = {}

    def learn(self, edge: Edge) -> tuple[str, ...]:
        """Add an edge; gives the nodes to which it may be news."""
        if edge.event_id in self.edges:
            return ()
        self.edges[edge.event_id] = edge
        self._index(edge)
        if len(self.edges) > MAX_EDGES:
            self._forget(self.edges[next(iter(self.edges))])
        return tuple(node for node in (edge.issued, edge.key) if node)

    def path(self, who: Who) -> list[Edge]:
        """List the edges from who acts back to the root, the nearest first; at most MAX_HOPS, none twice."""
        found: list[Edge] = []
        while len(found) < MAX_HOPS and (edge := self._edge_to(who)) is not None and edge not in found:
            found.append(edge)
            who = edge.issuer
        return found

    def origin(self, who: Who) -> str | None:
        """Name the root: a person or a machine; None where an edge is missing."""
        path = self.path(who)
        root = path[-1].issuer if path else who
        return root.arn if root.is_root else root.origin

    def _edge_to(self, who: Who) -> Edge | None:
        """Find who issued what acts: by its key, else by the session's name and the time."""
        known = self._by_key.get(who.key or "", [])
        candidates = [each for each in known if each.issued == who.arn and who.at <= each.expires_at + CONSOLE_LIFE_S]
        if not candidates:
            candidates = [
                each
                for each in self._by_session.get(who.arn or "", [])
                if each.at <= who.at <= max(each.expires_at, each.at + CONSOLE_LIFE_S)
            ]
        return max(candidates, key=lambda each: each.order, default=None)

    def _index(self, edge: Edge) -> None:
        if edge.key:
            _file(self._by_key, edge.key, edge)
        if not edge.is_by_key_alone:
            _file(self._by_session, edge.issued, edge)

    def _forget(self, edge: Edge) -> None:
        del self.edges[edge.event_id]
        for index, node in ((self._by_key, edge.key), (self._by_session, edge.issued)):
            if node and edge in index.get(node, ()):
                index[node].remove(edge)
                if not index[node]:
                    del index[node]

    def changes(self) -> Iterator[Row]:
        """Write the edges that changed since this was last asked."""
        return _EDGE.changes("incidents", self.edges)

    def restore(self, rows: Iterable[Stored]) -> None:
        """Take up stored edges."""
        _EDGE.fill(self.edges, rows)
        for edge in self.edges.values():
            self._index(edge)


_EDGE: Final = RowKind[Edge]("edge", Edge)


def edge_of(event: Event, session_facts: int = 0) -> Edge | None:
    """Read whom an event issues; None where it issues nobody, failed, or an AWS service does it for itself.

    ``session_facts`` is what the issuing session has shown so far.
    """
    read = _READERS.get(event.api.key)
    actor = event.actor
    if read is None or actor is None or actor.type == "service" or event.is_failed:
        return None
    return read(event, actor, who(event, session_facts))


def _role(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    response, request = event.response(), event.request()
    assumed = _mapping(response.get("assumedRoleUser"))
    session = text_of(assumed.get("arn"))
    if session is None:
        role, name = text_of(request.get("roleArn")), text_of(request.get("roleSessionName"))
        fields = (role or "").split(":", 5)
        if role is None or name is None or len(fields) < 6:
            return None
        session = f"arn:{fields[1]}:sts::{fields[4]}:assumed-role/{role.rsplit('/', 1)[-1]}/{name}"
    return _temporary(event, session, request, response, issuer, is_weak=actor.type == "account")


def _assumed_root(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    """Read AssumeRoot: the management account acts as a member's root, which then bears the key that was issued."""
    request = event.request()
    target = text_of(request.get("targetPrincipal")) or ""
    if (account := account_of(target) or target) == "":
        return None
    root = f"arn:{partition_of(event.call.aws_region)}:iam::{account}:root"
    return _temporary(
        event, root, request, event.response(), issuer, is_by_key_alone=True, is_weak=actor.type == "account"
    )


def _session_token(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    return _temporary(event, actor.session_arn, event.request(), event.response(), issuer, is_by_key_alone=True)


def _federation_token(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    response, request = event.response(), event.request()
    federated = text_of(_mapping(response.get("federatedUser")).get("arn"))
    name = text_of(request.get("name"))
    if federated is None and name and actor.account_id:
        federated = f"arn:aws:sts::{actor.account_id}:federated-user/{name}"
    return _temporary(event, federated, request, response, issuer) if federated else None


def _temporary(
    event: Event,
    issued: str,
    request: dict[str, Any],
    response: dict[str, Any],
    issuer: Who,
    *,
    is_by_key_alone: bool = False,
    is_weak: bool = False,
) -> Edge:
    key = text_of(_mapping(response.get("credentials")).get("accessKeyId"))
    asked = request.get("durationSeconds")
    life_s = asked if isinstance(asked, int) and 0 < asked <= 36 * HOUR_S else DEFAULT_LIFE_S
    return Edge(
        issued, key, event.at, event.at + life_s, issuer, event.api.name, event.event_id, is_by_key_alone, is_weak
    )


def _switch(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    """Read SwitchRole: recorded as the role, it names in SwitchFrom who came."""
    came = text_of(event.additional().get("SwitchFrom"))
    if came is None or actor.type != "role":
        return None
    entity, session_name = role_of_session(came)
    from_who = Who(
        arn=came,
        entity_arn=entity,
        type="role" if session_name else "user",
        at=event.at,
        is_root=session_name is None or "/AWSReservedSSO_" in came,
        origin=issuer.origin,
    )
    return Edge(actor.session_arn, None, event.at, event.at + CONSOLE_LIFE_S, from_who, event.api.name, event.event_id)


def _access_key(event: Event, actor: Actor, issuer: Who) -> Edge | None:
    made = _mapping(event.response().get("accessKey"))
    key, name = text_of(made.get("accessKeyId")), text_of(made.get("userName"))
    owner = event.iam_arn("user", name) if name else None
    if not key or owner is None or owner == actor.arn:
        return None
    return Edge(
        owner, key, event.at, event.at + KEY_LIFE_S, issuer, event.api.name, event.event_id, is_by_key_alone=True
    )


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _file(index: dict[str, list[Edge]], node: str, edge: Edge) -> None:
    edges = index.setdefault(node, [])
    edges.append(edge)
    if len(edges) > MAX_PER_SESSION:
        edges.remove(min(edges, key=lambda each: each.order))


_Reader = Callable[[Event, Actor, Who], Edge | None]
_READERS: Final[dict[str, _Reader]] = {
    api_key("sts.amazonaws.com", "AssumeRole"): _role,
    api_key("sts.amazonaws.com", "AssumeRoleWithSAML"): _role,
    api_key("sts.amazonaws.com", "AssumeRoleWithWebIdentity"): _role,
    api_key("sts.amazonaws.com", "AssumeRoot"): _assumed_root,
    api_key("sts.amazonaws.com", "GetSessionToken"): _session_token,
    api_key("sts.amazonaws.com", "GetFederationToken"): _federation_token,
    api_key("signin.amazonaws.com", "SwitchRole"): _switch,
    api_key("iam.amazonaws.com", "CreateAccessKey"): _access_key,
}
EDGE_CALLS: Final = frozenset(_READERS)
