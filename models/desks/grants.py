"""The grants desk: who may do what, account by account.

A desk is a function over its state. Detectors see the state as it was before the event; what an event or the passing
of time yields goes to the tray: drafts and session edges for the incidents desk, changes of class, faults of detectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct

from models.behaviour.profile import NEVER
from models.desks.tray import Tray, calls_of, observe
from models.detector import GrantsState, Rule
from models.event import SIGN_IN_SERVICE, Event, api_key
from models.grants.account import AccountState, Attempt, Writes
from models.grants.change import changes_of
from models.grants.doors import DOOR_CALLS
from models.grants.graph import Row as GrantRow
from models.grants.guards import GUARD_CALLS, learn_guards
from models.grants.inventory import Inventory
from models.grants.sign_in import attempt_of
from models.grants.writers import learn_writer
from models.rows import Row, RowKind, Stored, Tracked, by_kind
from models.settings import Context

MAX_ACCOUNTS: Final = 4096  # accounts at the grants desk; the longest untouched goes first

_SIGN_IN: Final = api_key(SIGN_IN_SERVICE, "ConsoleLogin")


class _Head(Struct):
    """What of an account is written as one row; the rest has a row for each thing: an account may be large."""

    trail_buckets: list[str]
    dimmed: dict[str, list[str]] = {}


class _Desk(Struct):
    coverage_since: int
    seen_accounts: list[str]


_HEAD: Final = RowKind[_Head]("account", _Head)
_GRANT: Final = RowKind[GrantRow]("grant", GrantRow)
_WRITTEN: Final = RowKind[Writes]("written", Writes)
_BY_IDENTITY: Final = RowKind[list[Attempt]]("by-identity", list[Attempt])
_BY_ADDRESS: Final = RowKind[list[Attempt]]("by-address", list[Attempt])
_DESK: Final = RowKind[_Desk]("grants", _Desk)


class GrantsDesk:
    """Who may do what, account by account. State: one for each account."""

    def __init__(self, rules: Iterable[Rule[GrantsState]], context: Context, tray: Tray) -> None:
        self.accounts: Tracked[AccountState] = Tracked()
        self.seen_accounts: set[str | None] = set()  # to which events were delivered; AWS itself has no more
        self.coverage_since = NEVER
        self._rules = tuple((rule, calls_of(rule)) for rule in rules)
        self.calls = frozenset({_SIGN_IN}).union(DOOR_CALLS, GUARD_CALLS, *(calls for _, calls in self._rules))
        self._context = context
        self._tray = tray
        self._dropped: list[AccountState] = []  # since changes were last asked for
        self._written: tuple[int, int] | None = None  # coverage and accounts seen as they were written last

    def observe(self, event: Event) -> None:
        """Score and learn an event of the account it was delivered to."""
        account_id = account_of(event)
        self.seen_accounts.add(event.record.recipient_account_id)
        account = self._account(account_id)
        edits, changes = changes_of(event, account.graph) if event.api.key in DOOR_CALLS else ({}, [])
        state = GrantsState(
            account, self.coverage_since, self._context, tuple(edits), tuple(changes), self._own_accounts()
        )
        for rule, calls in self._rules:
            if event.api.key in calls:
                observe(rule, event, state, self._tray)
        if event.api.key == _SIGN_IN and (attempt := attempt_of(event)) is not None:
            account.learn(attempt)
        if not event.is_failed:
            account.graph.apply(edits)
            learn_writer(event, account, edits)
            learn_guards(event, account)

    def seed(self, inventory: Inventory) -> None:
        """Learn what an account held before its first event."""
        account = self._account(inventory.account_id)
        account.graph.apply(inventory.rows)
        self.seen_accounts.add(inventory.account_id)

    def changes(self) -> Iterator[Row]:
        """Write the rows that changed since this was last asked."""
        for account in self._dropped:
            yield _HEAD.row("grants", (account.account_id,), 0, None)
            for kind, table in _tables(account):
                yield from (
                    kind.row("grants", (account.account_id, name), 0, None) for name in (*table, *table.changed)
                )
        self._dropped.clear()
        changed, self.accounts.changed = self.accounts.changed, {}
        for account_id in changed:
            if (known := self.accounts.get(account_id)) is not None:
                self.accounts.written += 1
                head = _Head(known.trail_buckets, known.dimmed)
                yield _HEAD.row("grants", (account_id,), self.accounts.written, head)
                for kind, table in _tables(known):
                    yield from kind.changes("grants", table, account_id)
        if (now := (self.coverage_since, len(self.seen_accounts))) != self._written:
            self._written = now
            yield _DESK.row("grants", (), 0, _Desk(self.coverage_since, sorted(filter(None, self.seen_accounts))))

    def restore(self, rows: Iterable[Row]) -> None:
        """Take up stored rows, in any order; raises StateVersionError."""
        stored = by_kind(rows)
        heads: Tracked[_Head] = Tracked()
        _HEAD.fill(heads, stored.get("account", ()))
        self.accounts.written = heads.written
        parts: dict[tuple[str, str], list[Stored]] = {}
        for kind in (_GRANT, _WRITTEN, _BY_IDENTITY, _BY_ADDRESS):
            for each in stored.get(kind.name, ()):
                parts.setdefault((each.names[0], kind.name), []).append(each)
        for account_id, head in heads.items():
            account = AccountState(account_id, trail_buckets=head.trail_buckets, dimmed=head.dimmed)
            for kind, table in _tables(account):
                kind.fill(table, parts.get((account_id, kind.name), ()))
            dict.__setitem__(self.accounts, account_id, account)
        for each in stored.get("grants", ()):
            desk = _DESK.read(each)[1]
            self.coverage_since = min(self.coverage_since, desk.coverage_since)
            self.seen_accounts.update(desk.seen_accounts)
        self._written = (self.coverage_since, len(self.seen_accounts))

    def _own_accounts(self) -> frozenset[str]:
        organisation = self._context.settings.organisation
        named = organisation.accounts or filter(None, self.seen_accounts)
        return frozenset(named) | frozenset(filter(None, [organisation.management_account]))

    def _account(self, account_id: str) -> AccountState:
        """Find or open an account, which now is the one last touched."""
        account = self.accounts.pop(account_id, None) or AccountState(account_id)
        if len(self.accounts) >= MAX_ACCOUNTS:
            self._dropped.append(self.accounts.pop(next(iter(self.accounts))))
        self.accounts[account_id] = account
        return account


def account_of(event: Event) -> str:
    """Say under which account an event is filed: whose it was delivered to, else the actor's."""
    if (account_id := event.account_id) is None and (identity := event.identity) is not None:
        account_id = identity.account_id
    return account_id or "unknown"


def _tables(account: AccountState) -> tuple[tuple[RowKind[Any], Tracked[Any]], ...]:
    """List what of an account is written row by row."""
    return (
        (_GRANT, account.graph.rows),
        (_WRITTEN, account.writes_to),
        (_BY_IDENTITY, account.by_identity),
        (_BY_ADDRESS, account.by_address),
    )
