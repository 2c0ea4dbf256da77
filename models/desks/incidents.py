"""The incidents desk: drafts become findings, findings get an origin, and stages of one lineage become a chain.

It folds by event time, in whatever order drafts, edges and switches of keys come, and says of every change when it
happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple

from models.desks.tray import Tray
from models.detector import IncidentsState, OutlivedState, Rule
from models.finding import Class, Draft, Finding, Who
from models.incidents.chain import DAY_S, as_part, is_stage
from models.incidents.life import NEVER, Closing, Matter, opened
from models.incidents.lineage import Edge, Hop, Lineage
from models.incidents.outlived import KeySwitch, OffKeys, Sighting
from models.incidents.quota import Quota
from models.rows import Row, RowKind, Tracked, by_kind
from models.settings import Context

MAX_EARLY: Final = 1_024  # closings that came before what they close; the longest known go first
MAX_MATTERS: Final = 100_000  # of a process that runs for years; the longest closed go first, then the longest quiet
CLOSED_S: Final = 90 * DAY_S  # so long a finding that closed is kept, and may open again

# What acts, and so has a class; an account, a bucket, a policy has none.
_ACTING: Final = frozenset(
    {
        "user", "role", "root", "federated-user", "saml-subject", "web-identity-subject", "identity-center-user",
        "service",
    }
)  # fmt: skip

OnChange = Callable[[Finding], None]


class _Judged(NamedTuple):
    class_: Class
    tier: int | None


_MATTER: Final = RowKind[Matter]("matter", Matter)
_CLASS: Final = RowKind[_Judged]("class", _Judged)
_EARLY: Final = RowKind[Closing]("early", Closing)
_NOW: Final = RowKind[int]("now", int)
_QUOTA: Final = RowKind[Quota]("quota", Quota)


class IncidentsDesk:
    """Folds drafts into findings and keeps their life. State: matters by id, classes of entities, edges, keys off."""

    def __init__(self, rules: Iterable[Rule[Any]] = (), context: Context | None = None) -> None:
        self.matters: Tracked[Matter] = Tracked()
        self.classes: Tracked[_Judged] = Tracked()  # of entities that have one
        self.early: Tracked[Closing] = Tracked()
        self.lineage = Lineage()
        self.off_keys = OffKeys()
        self.quota = Quota()
        self.is_quota_changed = False
        self.now = -NEVER
        self.on_change: OnChange | None = None
        # Told what is no change of a finding's own: it comes to a chain or leaves it, it began earlier, another began it.
        self.on_shift: OnChange | None = None
        self.matched: set[int] = set()  # suppressions, by their place in the settings, that ever matched
        rules = tuple(rules)
        self._rules = tuple(rule for rule in rules if rule.detector.folds == "stages")
        self._key_rules = tuple(rule for rule in rules if rule.detector.folds == "sessions")
        self._suppressions = (context or Context()).suppressions
        self._due: list[tuple[int, str]] = []  # when findings close by themselves, a heap; outdated entries are skipped
        self._due_at: dict[str, int] = {}  # finding -> the entry that counts
        self._waiting: dict[str, set[str]] = {}  # node of a lineage -> findings whose origin an edge to it may change
        self._groups: dict[str, set[str]] = {}  # root of a lineage -> findings that are, or were, stages
        self._written_now = -NEVER

    def steps(self, tray: Tray) -> Iterator[Callable[[], None]]:
        """List what is to be done with what desks handed on, in order: what is known of entities before what was found."""
        yield from (partial(self.learn_class, each.arn, each.class_, each.tier) for each in tray.changes)
        yield from (partial(self.learn_edge, each) for each in tray.edges)
        yield from (partial(self.learn_switch, each) for each in tray.switches)
        yield from (partial(self.learn_sighting, each) for each in tray.sightings)
        yield from (partial(self.fold, each) for each in tray.drafts)

    def fold(self, draft: Draft) -> None:
        """Take in one draft: open its matter, add to it, or close it. What time it is, `pass_time` alone says."""
        key = draft.finding_id
        matter = self.matters.get(key)
        if matter is None and draft.p_value is not None:
            self.is_quota_changed = True
            if not self.quota.admits(draft.p_value, draft.at, draft.per_week):
                return
        if draft.closes is not None:
            closing = Closing(draft.at, draft.closes)
            if matter is None:
                self._come_early(key, closing)
            elif matter.closing is None or closing.at >= matter.closing.at:
                matter.closing = closing
                self.matters.touch(key)
                self._settle(key, matter)
            return
        is_accepted = self._is_suppressed(draft)
        if matter is None:
            matter = self.matters[key] = opened(draft)
            matter.is_accepted = is_accepted
            matter.closing = self.early.pop(key, None)
            matter.close_reason = matter.reason_at(self.now)
            self._trace(key, matter)
            self._announce(key, matter, is_new=True)
            return
        self.matters.touch(key)
        before = matter.opened_at, matter.actor.arn
        is_news = matter.add(draft)
        matter.is_accepted = matter.is_accepted and is_accepted
        is_news |= self._trace(key, matter)
        self._settle(key, matter, is_news=is_news)
        if self.on_shift is not None and (matter.opened_at, matter.actor.arn) != before:
            self.on_shift(matter.finding(key))

    def learn_edge(self, edge: Edge) -> None:
        """Take in who issued whom, and tell the findings that waited for it."""
        for key in sorted({key for node in self.lineage.learn(edge) for key in self._waiting.get(node, ())}):
            matter = self.matters[key]
            self.matters.touch(key)
            if self._trace(key, matter):
                self._announce(key, matter)
        self._weigh_all(edge.issued)

    def learn_switch(self, switch: KeySwitch) -> None:
        """Take in that a key was switched off or on, and look at the sessions that were seen since."""
        if self.off_keys.learn_switch(switch) and not switch.is_on:
            self._weigh_all()

    def learn_sighting(self, sighting: Sighting) -> None:
        """Take in that a session goes on which a long-lived key may have issued."""
        self.off_keys.keep(sighting)
        self._weigh(sighting)

    def learn_class(self, arn: str, class_: Class, tier: int | None) -> None:
        """Note what an entity turned out to be; unknown is what it is unless something is noted."""
        if class_ == "unknown":
            self.classes.pop(arn, None)
        else:
            self.classes[arn] = _Judged(class_, tier)

    def pass_time(self, now: int) -> None:
        """Close what has been quiet long enough at `now`, each at its time."""
        self.now = max(self.now, now)
        while self._due and self._due[0][0] <= self.now:
            at, key = heappop(self._due)
            if self._due_at.get(key) == at:
                del self._due_at[key]
                matter = self.matters[key]
                if matter.closes_at > at:  # evidence has put it off
                    self._expect(key, matter)
                else:
                    self._settle(key, matter)

    @property
    def is_overfull(self) -> bool:
        """Whether there are a tenth more findings than MAX_MATTERS."""
        return len(self.matters) > MAX_MATTERS * 1.1

    def forget(self, now: int) -> None:
        """Let findings go that have been closed for long, a chain and its parts together; beyond MAX_MATTERS more."""
        families: dict[str, tuple[int, int, list[str]]] = {}  # closed since, last spoken of, members
        for key, matter in self.matters.items():
            closed_at, drafted_at, keys = families.get(matter.part_of or key, (-NEVER, -NEVER, []))
            keys.append(key)
            families[matter.part_of or key] = max(closed_at, matter.closed_at), max(drafted_at, matter.drafted_at), keys
        for closed_at, _, keys in sorted(families.values()):
            if closed_at >= now - CLOSED_S and len(self.matters) <= MAX_MATTERS:
                break
            for key in keys:
                self._drop(key)
        self.off_keys.expire(now)

    def findings(self, *, is_accepted: bool = False) -> list[Finding]:
        """List all findings in their present state, by the time they opened, then by id; suppressed ones if asked."""
        shown = ((key, each) for key, each in self.matters.items() if is_accepted or each.close_reason != "accepted")
        ordered = sorted(shown, key=lambda item: (item[1].opened_at, item[0]))
        return [matter.finding(key) for key, matter in ordered]

    def lineage_of(self, key: str) -> list[Hop]:
        """List who stands behind a finding, the root first, the actor last."""
        matter = self.matters[key]
        if matter.actor.arn is None:
            return []
        path = self.lineage.path(matter.actor)
        issued = [(matter.actor, path[0] if path else None)]
        issued += [(edge.issuer, path[n + 1] if n + 1 < len(path) else None) for n, edge in enumerate(path)]
        hops = [self._hop(who, edge) for who, edge in reversed(issued)]
        root = issued[-1][0]
        if not root.is_root and root.origin and root.origin != root.arn:
            hops.insert(0, Hop(root.origin, "unknown", "", None, None, "unknown"))
        return hops

    def changes(self) -> Iterator[Row]:
        """Write the rows that changed since this was last asked."""
        yield from _MATTER.changes("incidents", self.matters)
        yield from _CLASS.changes("incidents", self.classes)
        yield from _EARLY.changes("incidents", self.early)
        yield from self.lineage.changes()
        yield from self.off_keys.changes()
        if self.is_quota_changed:
            self.is_quota_changed = False
            yield _QUOTA.row("incidents", (), 0, self.quota)
        if self.now != self._written_now:
            self._written_now = self.now
            yield _NOW.row("incidents", (), 0, self.now)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows, in any order, and work out the rest anew; raises StateVersionError."""
        stored = by_kind(rows)
        _MATTER.fill(self.matters, stored.get("matter", ()))
        _CLASS.fill(self.classes, stored.get("class", ()))
        _EARLY.fill(self.early, stored.get("early", ()))
        self.lineage.restore(stored.get("edge", ()))
        self.off_keys.restore(stored)
        for each in stored.get("quota", ()):
            self.quota = _QUOTA.read(each)[1]
        self.now = self._written_now = max((_NOW.read(each)[1] for each in stored.get("now", ())), default=-NEVER)
        for key, matter in self.matters.items():
            for node in matter.waits_for:
                self._waiting.setdefault(node, set()).add(key)
            if matter.root is not None:
                self._groups.setdefault(matter.root, set()).add(key)
            if matter.closes_at != NEVER:
                self._due_at[key] = matter.closes_at
        self._due = [(at, key) for key, at in self._due_at.items()]
        heapify(self._due)

    def _settle(self, key: str, matter: Matter, *, is_news: bool = False) -> None:
        """Close or open again what has become so, and say so."""
        reason = matter.reason_at(self.now)
        if reason == matter.close_reason:
            if is_news:
                self._announce(key, matter)
            else:
                self._expect(key, matter)
            return
        matter.close_reason = reason
        self._announce(key, matter)

    def _announce(self, key: str, matter: Matter, *, is_new: bool = False) -> None:
        """Count and tell a change; then see whether it makes, changes or ends a chain."""
        self.matters.touch(key)
        if not is_new:
            matter.revision += 1
        matter.emitted_count = matter.exhibits.count
        matter.entity_class = matter.entity_tier = matter.actor_class = None
        if matter.draft.entity.type in _ACTING:
            matter.entity_class, matter.entity_tier = self.classes.get(matter.draft.entity.arn, ("unknown", None))
        if matter.actor.entity_arn is not None:
            matter.actor_class = self.classes.get(matter.actor.entity_arn, ("unknown", None))[0]
        self._expect(key, matter)
        if self._rules and matter.draft.chain_stage is not None:
            self._regroup(key, matter)
        if self.on_change is not None:
            self.on_change(matter.finding(key))

    def _expect(self, key: str, matter: Matter) -> None:
        """Queue a finding for when it closes by itself, unless it stands there already for an earlier time."""
        if matter.closes_at < self._due_at.get(key, NEVER):
            self._due_at[key] = matter.closes_at
            heappush(self._due, (matter.closes_at, key))

    def _drop(self, key: str) -> None:
        """Let a finding go, and all that points to it."""
        matter = self.matters.pop(key)
        self._due_at.pop(key, None)
        _point(self._waiting, key, matter.waits_for, ())
        _point(self._groups, key, (matter.root,) if matter.root else (), ())

    def _come_early(self, key: str, closing: Closing) -> None:
        known = self.early.pop(key, closing)
        self.early[key] = max(known, closing, key=lambda each: each.at)
        if len(self.early) > MAX_EARLY:
            del self.early[next(iter(self.early))]

    def _is_suppressed(self, draft: Draft) -> bool:
        addresses = [each.source_ip for each in draft.exhibits.kept]
        of_draft = draft.detector, draft.entity.arn, addresses, draft.at
        found = [n for n, each in enumerate(self._suppressions) if each.covers(*of_draft)]
        self.matched.update(found)
        return bool(found)

    # Origins

    def _trace(self, key: str, matter: Matter) -> bool:
        """Work out the origin; says whether it changed."""
        before = matter.origin
        matter.origin = self.lineage.origin(matter.actor)
        self._wait(key, matter)
        return matter.origin != before

    def _wait(self, key: str, matter: Matter) -> None:
        path = (matter.actor, *(edge.issuer for edge in self.lineage.path(matter.actor)))
        nodes = tuple(dict.fromkeys(node for who in path for node in (who.arn, who.key) if node))
        _point(self._waiting, key, matter.waits_for, nodes)
        matter.waits_for = nodes

    def _hop(self, who: Who, edge: Edge | None) -> Hop:
        class_ = self.classes.get(who.entity_arn or "", ("unknown", None))[0]
        how, at, event_id = (edge.how, edge.at, edge.event_id) if edge else ("", None, None)
        return Hop(who.arn or "", who.type or "unknown", how, at, event_id, class_)

    # Sessions that go on

    def _weigh_all(self, issued: str | None = None) -> None:
        """Look at the sightings that wait: all of them, or those of one session."""
        if self.off_keys.switches:
            for sighting in [each for each in self.off_keys.sightings.values() if issued in (None, each.who.arn)]:
                self._weigh(sighting)

    def _weigh(self, sighting: Sighting) -> None:
        """See whether a session was issued by a key that was off by then; if so it is told, once."""
        if not self.off_keys.switches or not self._key_rules:
            return
        for edge in self.lineage.path(sighting.who):
            if edge.how == "CreateAccessKey":  # further back it is another key's story
                return
            if edge.issuer.key and (switch := self.off_keys.off(edge.issuer.key, sighting.who.at)):
                self.off_keys.sightings.pop(sighting.evidence.event_id, None)
                for rule in self._key_rules:
                    for draft in rule.fold(OutlivedState(switch, edge, sighting)):
                        self.fold(draft)
                return

    # Chains

    def _regroup(self, key: str, matter: Matter) -> None:
        before, root = matter.root, matter.origin or matter.draft.entity.arn
        matter.root = root
        _point(self._groups, key, (before,) if before else (), (root,))
        if before is not None and before != root:
            self._rechain(before)
        self._rechain(root)

    def _rechain(self, root: str) -> None:
        """Work out the chains of one lineage anew from its findings: some begin, some change, some are superseded."""
        keys = self._groups.get(root, set())
        parts = [as_part(key, each) for key in sorted(keys) if is_stage(each := self.matters[key])]
        was = {key: self.matters[key].part_of for key in keys}
        regrouped: list[str] = []
        before = set(filter(None, was.values()))
        for key in keys:
            self.matters[key].part_of = None
        drafts = [
            draft for rule in self._rules for draft in rule.fold(IncidentsState(root, parts, parts[0].coverage_since))
        ] if parts else []  # fmt: skip
        for draft in drafts:
            chain_id = draft.finding_id
            before.discard(chain_id)
            for part in draft.parts:
                self.matters[part].part_of = chain_id
            self._set(chain_id, draft)
        for key in keys:
            if self.matters[key].part_of != was[key]:
                self.matters.touch(key)
                regrouped.append(key)
        for chain_id in sorted(before):
            chain = self.matters[chain_id]
            self.matters.touch(chain_id)
            chain.closing = Closing(max(self.now, chain.drafted_at), "superseded")
            self._settle(chain_id, chain)
        if self.on_shift is not None:
            for key in sorted(regrouped):
                self.on_shift(self.matters[key].finding(key))

    def _set(self, key: str, draft: Draft) -> None:
        """Let a draft that holds the whole matter stand for it."""
        matter = self.matters.get(key)
        is_accepted = self._is_suppressed(draft)
        if matter is None:
            matter = self.matters[key] = opened(draft)
            matter.is_accepted = is_accepted
            matter.close_reason = matter.reason_at(self.now)
            self._trace(key, matter)
            self._announce(key, matter, is_new=True)
            return
        self.matters.touch(key)
        is_news = matter.replace(draft)
        matter.closing, matter.is_accepted = None, is_accepted
        is_news |= self._trace(key, matter)
        self._settle(key, matter, is_news=is_news)


def _point(index: dict[str, set[str]], key: str, before: Iterable[str], now: Iterable[str]) -> None:
    """Let an index lead from other names to a finding than before."""
    for name in before:
        index[name].discard(key)
        if not index[name]:
            del index[name]
    for name in now:
        index.setdefault(name, set()).add(key)
