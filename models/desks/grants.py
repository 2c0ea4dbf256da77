"""The grants desk: who may do what, account by account.

A desk is a function over its state. Detectors see the state as it was before the event; what an event or the passing
of time yields goes to the tray: drafts and session edges for the incidents desk, changes of class, faults of detectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from models.behaviour.profile import NEVER
from models.desks.tray import Tray, calls_of, observe
from models.detector import GrantsState, Rule
from models.event import SIGN_IN_SERVICE, Event, api_key
from models.grants.account import AccountState
from models.grants.change import changes_of
from models.grants.doors import DOOR_CALLS
from models.grants.guards import GUARD_CALLS, learn_guards
from models.grants.inventory import Inventory
from models.grants.sign_in import attempt_of
from models.grants.writers import learn_writer
from models.settings import Context

MAX_ACCOUNTS: Final = 4096  # accounts at the grants desk; the one first seen goes first

_SIGN_IN: Final = api_key(SIGN_IN_SERVICE, "ConsoleLogin")


class GrantsDesk:
    """Who may do what, account by account. State: one for each account."""

    def __init__(self, rules: Iterable[Rule[GrantsState]], context: Context, tray: Tray) -> None:
        self.accounts: dict[str, AccountState] = {}
        self.seen_accounts: set[str | None] = set()  # to which events were delivered; AWS itself has no more
        self.coverage_since = NEVER
        self._rules = tuple((rule, calls_of(rule)) for rule in rules)
        self.calls = frozenset({_SIGN_IN}).union(DOOR_CALLS, GUARD_CALLS, *(calls for _, calls in self._rules))
        self._context = context
        self._tray = tray

    def observe(self, event: Event) -> None:
        """Score and learn an event of the account it was delivered to."""
        account_id = account_of(event)
        self.seen_accounts.add(event.record.recipient_account_id)
        account = self.accounts.get(account_id) or self._open(account_id)
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
        account = self.accounts.get(inventory.account_id) or self._open(inventory.account_id)
        account.graph.apply(inventory.rows)
        self.seen_accounts.add(inventory.account_id)

    def _own_accounts(self) -> frozenset[str]:
        named = self._context.settings.organisation.accounts
        return frozenset(named) if named else frozenset(each for each in self.seen_accounts if each)

    def _open(self, account_id: str) -> AccountState:
        if len(self.accounts) >= MAX_ACCOUNTS:
            del self.accounts[next(iter(self.accounts))]
        account = self.accounts[account_id] = AccountState(account_id)
        return account


def account_of(event: Event) -> str:
    """Say under which account an event is filed: whose it was delivered to, else the actor's."""
    identity = event.identity
    return event.account_id or (identity.account_id if identity else None) or "unknown"
