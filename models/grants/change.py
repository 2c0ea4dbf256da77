"""What a call changes of who may do what: before and after, for each holder, policy and resource that it touches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from msgspec import Struct

from models.event import Event
from models.finding import EntityRef
from models.grants.allowed import Holding
from models.grants.doors import edits_of, taken_back
from models.grants.doors.door import Edits
from models.grants.graph import (
    GRANT,
    RESOURCE_POLICY,
    TRUST,
    Graph,
    Holder,
    ManagedPolicy,
    Resource,
    is_assignment,
    joined,
)
from models.grants.writers import is_by_aws

Kind = Literal["identity", "trust", "resource", "holding"]

_TYPES: Final = (
    (":identitystore:::user/", "identity-center-user"),
    (":user/", "user"),
    (":role/", "role"),
    (":group/", "group"),
    (":policy/", "policy"),
    (":permissionSet/", "permission-set"),
    (":s3:::", "bucket"),
    (":kms:", "kms-key"),
    (":lambda:", "function"),
    (":rolesanywhere:", "identity-provider"),
)


MAX_HOLDERS: Final = 10  # of a policy, for which what each of them holds is compared


class Change(Struct, frozen=True):
    """One document, trust or resource policy: what its holder could do before, and can do after.

    Where a shared policy's content changes, there is one change of the policy, and one of what each holder holds (kind
    ``holding``), unless there are more than MAX_HOLDERS of them.
    """

    entity: EntityRef
    subject: str  # policy name or ARN, `trust`, `resource-policy`
    kind: Kind
    before: Holding
    after: Holding
    places: tuple[int, ...]  # where the subject's document stands among the policies after; none where it is gone
    is_known: bool  # whether all that was held before is known
    is_held: bool = True  # whether anybody holds it at all
    affected: tuple[str, ...] = ()  # of a policy or group: who holds it


def changes_of(event: Event, graph: Graph) -> tuple[Edits, list[Change]]:
    """Read a call's edits, and compare what they leave with what is there.

    What AWS itself writes is learned, and judged where it was asked for.
    """
    graph = taken_back(event, graph)
    edits = edits_of(event, graph)
    if not edits or is_by_aws(event):
        return edits, []
    after = graph.after(edits)
    return edits, [each for arn in edits for each in _changes(arn, graph, after)]


def entity_ref(key: str) -> EntityRef:
    """Name what a row's key is of: an ARN, or an assignment's principal."""
    arn = key.partition(" in ")[0] if is_assignment(key) else key
    return EntityRef(arn, next((kind for mark, kind in _TYPES if mark in arn), "resource"))


def _changes(arn: str, before: Graph, after: Graph) -> Iterator[Change]:
    was = before.rows.get(arn)
    row = after.rows.get(arn) or was
    if isinstance(row, Holder):
        yield from _of_holder(arn, before, after)
    elif isinstance(row, ManagedPolicy):
        yield from _of_policy(arn, before, after)
    elif isinstance(row, Resource):
        texts = before.resource(arn).policy, after.resource(arn).policy
        if texts[0] != texts[1]:
            yield _single(arn, RESOURCE_POLICY, "resource", texts, is_known=was is not None)
        old, new = before.resource(arn).grants, after.resource(arn).grants
        for grant in sorted(old.keys() ^ new.keys()):
            yield _single(arn, f"{GRANT}{grant}", "trust", (old.get(grant), new.get(grant)), is_known=True)


def _of_holder(arn: str, before: Graph, after: Graph) -> Iterator[Change]:
    was, now = before.holder(arn), after.holder(arn)
    if was.trust != now.trust:
        yield _single(arn, TRUST, "trust", (was.trust, now.trust), is_known=was.trust is not None or now.is_known)
    (held, held_names), (holds, names) = before.holding(arn), after.holding(arn)
    texts_before, texts_after = _texts(before, arn), _texts(after, arn)
    is_bound_anew = held.boundary != holds.boundary
    for subject in dict.fromkeys((*held_names, *names)):
        if texts_before.get(subject) == texts_after.get(subject) and not is_bound_anew:
            continue
        yield Change(
            entity=entity_ref(arn),
            subject=subject,
            kind="identity",
            before=held,
            after=holds,
            places=tuple(place for place, name in enumerate(names) if name == subject),
            is_known=was.is_known or now.is_known,
            affected=tuple(after.members(arn)),
        )


def _texts(graph: Graph, arn: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for each in graph.sources(arn):
        found.update(each.inline)
        found.update((attached, graph.document(attached)) for attached in each.attached)
    return found


def _of_policy(arn: str, before: Graph, after: Graph) -> Iterator[Change]:
    was, now = before.policy(arn), after.policy(arn)
    holders = tuple(after.holders_of(arn))
    used = [after.holder(each) for each in holders]
    if used and all(each.boundary == arn and arn not in each.attached for each in used):
        return  # used as a boundary alone: it grants nothing
    if was.document != now.document:
        yield _single(
            arn, arn, "identity", (was.document, now.document), is_known=was.document is not None or now.is_known,
            is_held=bool(holders) or not now.is_known, affected=holders,  # of one from before the trail nobody knows
        )  # fmt: skip
        if len(holders) <= MAX_HOLDERS:
            for holder in holders:
                held, holds = before.holding(holder)[0], after.holding(holder)[0]
                is_known = before.holder(holder).is_known
                yield Change(entity_ref(holder), arn, "holding", held, holds, (), is_known)
    for version in now.versions.keys() - was.versions.keys() - {now.default}:  # latent: made, and not in force
        yield _single(
            arn, arn, "identity", (was.document, now.versions[version]), is_known=True, is_held=False, affected=holders
        )


def _single(
    arn: str,
    subject: str,
    kind: Kind,
    texts: tuple[str | None, str | None],
    *,
    is_known: bool,
    is_held: bool = True,
    affected: tuple[str, ...] = (),
) -> Change:
    after = joined(texts[1:])
    return Change(
        entity_ref(arn), subject, kind, joined(texts[:1]), after, tuple(range(len(after.policies))), is_known, is_held,
        affected,
    )  # fmt: skip
