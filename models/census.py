"""The census: how many there are of what an organisation has, for whoever draws it over time.

Counted from the desks' state at an instant: principals by kind, entities unused, keys by age, wildcard grants in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct, field

from models.behaviour.profile import DAY_S, NEVER, Profile
from models.grants.account import AccountState
from models.grants.graph import Graph, Holder, Resource, joined
from models.grants.wildcards import weaknesses

UNUSED_DAYS: Final = 90
MAX_JUDGED: Final = 16_384  # documents whose judgement is remembered; the longest not asked for goes first

Age = Literal["0-30d", "30-90d", "90-180d", "180d+"]

# W8 to W10 are about who may use a grant, not how wide it is.
_WIDE: Final = frozenset({"W1", "W2", "W3", "W4", "W5", "W6", "W7"})
_REMOVABLE: Final = frozenset({"user", "role"})
_AGES: Final[tuple[tuple[int, Age], ...]] = ((30, "0-30d"), (90, "30-90d"), (180, "90-180d"))


class Census(Struct):
    """Numbers at an instant; an account is None where there is none, as for AWS's services."""

    profiles: int = 0
    principals: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # by account and kind
    unused: Counter[str] = field(default_factory=Counter)  # users and roles, by type
    access_keys: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # by account and age; none deleted
    wildcard_grants: Counter[str | None] = field(default_factory=Counter)  # by account, 0 too: the first is one more


class Counted:
    """Takes the census, and remembers what seldom changes: the grants of each account."""

    def __init__(self) -> None:
        self._grants: dict[str, tuple[Graph, int, int]] = {}  # account -> as it was: its graph, edits, wildcard grants

    def take(
        self, profiles: Iterable[Profile], accounts: Iterable[AccountState], now: int, coverage_since: int
    ) -> Census:
        """Count what there is at `now`; what was never seen in use counts as unused from the start of coverage."""
        census = Census()
        unused_before = now - UNUSED_DAYS * DAY_S
        for profile in profiles:
            census.profiles += 1
            if profile.stances:
                census.principals[profile.account_id, profile.kind] += 1
            if (
                profile.type in _REMOVABLE
                and max(profile.last_at, known_since(profile, coverage_since)) < unused_before
            ):
                census.unused[profile.type] += 1
            for key in profile.keys.values():
                if key.phase(now) != "deleted":
                    census.access_keys[profile.account_id, age_of(key.age_days(now)[0])] += 1
        known, self._grants = self._grants, {}
        for account in accounts:
            graph = account.graph
            was, edits, count = known.get(account.account_id, (None, 0, 0))
            if was is not graph or edits != graph.edits:
                count = wildcard_grants(graph)
            self._grants[account.account_id] = graph, graph.edits, count
            census.wildcard_grants[account.account_id] = count
        return census


def known_since(profile: Profile, coverage_since: int) -> int:
    """Say since when an entity could have been seen in use."""
    return coverage_since if profile.first_at == NEVER else profile.first_at


def age_of(days: int) -> Age:
    """Say in which span of ages a key falls."""
    return next((age for below, age in _AGES if days < below), "180d+")


def wildcard_grants(graph: Graph) -> int:
    """Count the policies in force that break one of W1 to W7, each document on its own.

    A managed policy counts once, if anybody holds it; an inline or resource policy for whom or what it is on.
    """
    count = 0
    held: set[str] = set()
    for row in graph.rows.values():
        if isinstance(row, Holder):
            held.update(row.attached)
            count += sum(map(_is_wide, row.inline.values()))
        elif isinstance(row, Resource) and row.policy is not None:
            count += _is_wide(row.policy)
    documents = (graph.document(arn) for arn in held)
    return count + sum(_is_wide(text) for text in documents if text is not None)


@lru_cache(maxsize=MAX_JUDGED)
def _is_wide(text: str) -> bool:
    return any(each.rule in _WIDE for each in weaknesses(joined([text])))
