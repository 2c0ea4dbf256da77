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
from models.grants.sign_in import attempt_of
from models.settings import Context

MAX_ACCOUNTS: Final = 4096  # accounts at the grants desk; the one that signs in least recently known goes first


_STATE_CALLS: Final = frozenset({api_key(SIGN_IN_SERVICE, "ConsoleLogin")})


class GrantsDesk:
    """Who may do what, account by account. State: one for each account."""

    def __init__(self, rules: Iterable[Rule[GrantsState]], context: Context, tray: Tray) -> None:
        self.accounts: dict[str, AccountState] = {}
        self.coverage_since = NEVER
        self._rules = tuple((rule, calls_of(rule)) for rule in rules)
        self.calls = _STATE_CALLS.union(*(calls for _, calls in self._rules))
        self._context = context
        self._tray = tray

    def observe(self, event: Event) -> None:
        """Score and learn an event of the account it was delivered to."""
        identity = event.record.user_identity
        account_id = event.account_id or (identity.account_id if identity else None) or "unknown"
        account = self.accounts.get(account_id) or self._open(account_id)
        state = GrantsState(account, self.coverage_since, self._context)
        for rule, calls in self._rules:
            if event.api.key in calls:
                observe(rule, event, state, self._tray)
        if event.api.key in _STATE_CALLS and (attempt := attempt_of(event)) is not None:
            account.learn(attempt)

    def _open(self, account_id: str) -> AccountState:
        if len(self.accounts) >= MAX_ACCOUNTS:
            del self.accounts[next(iter(self.accounts))]
        account = self.accounts[account_id] = AccountState(account_id)
        return account
