"""A key that lay unused for a season is used again."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, ClassVar, Final

from msgspec import Meta

from models.behaviour.keys import DAY_S, DORMANT_DAYS, GAP_S, SETTLING_S, Key
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut
from models.record import iso

_MIN_DAYS: Final = GAP_S // DAY_S


class KeyDormantRevived(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: all that is done on the first day after the quiet is its evidence."""

    name: ClassVar[str] = "key-dormant-revived"
    summary: ClassVar[str] = (
        "a key is used after 90 quiet days, or for the first time so long after it was made; low where it has come back "
        "like this before, from the same network and with the same client"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "Quiet is what the trail holds none of: it must reach back that far, or an inventory must tell of the last use. "
        "Jobs that run once a quarter look the same the first time."
    )
    runbook: ClassVar[str] = (
        "Ask the owner who woke the key and why. A key that nobody missed for a season is best deleted; if nobody used it "
        "on purpose, disable it at once, and look for where it lay: old repositories, images, laptops, backups."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS

    min_quiet_days: Annotated[int, Meta(ge=_MIN_DAYS, le=730)] = DORMANT_DAYS

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each use on the first day after the quiet."""
        key = state.key
        if key is None:
            return
        quiet_since, woke_at = _quiet(key, event.at)
        if quiet_since is None or woke_at - quiet_since < self.min_quiet_days * DAY_S:
            return
        days = (woke_at - quiet_since) // DAY_S
        network = None if state.network is None else state.network.name
        is_usual = network in key.networks and event.client.kind in key.clients
        is_rhythm = is_usual and self._naps(key, woke_at) > 0
        was_used = key.seasons and key.seasons[0].first_at < woke_at
        yield self.draft(
            event,
            state,
            subject=cut(state.key_id),
            title=f"Key {cut(state.key_id)} of {state.name} is used after {days} quiet days",
            summary=(
                f"Key {cut(state.key_id)} of {state.name} was {'last used' if was_used else 'made'} at {iso(quiet_since)}"
                f"{'' if was_used else ' and never used'}. After {days} days {cut(event.api.name)} was called with it, from "
                f"{'an unknown network' if state.network is None else state.network.text}"
                f"{', as so far' if is_usual else ''}."
            ),
            seen={
                "quiet_days": days,
                "quiet_since": iso(quiet_since),
                "network": None if state.network is None else state.network.text,
                "client": event.client.kind,
                "is_usual_place": is_usual,
                "has_come_back_before": is_rhythm,
            },
            expected={"quiet_days": f"under {self.min_quiet_days}"},
            severity=Severity.LOW if is_rhythm else Severity.MEDIUM,
        )

    def _naps(self, key: Key, woke_at: int) -> int:
        """Count how often the key had slept as long before."""
        seasons = [season for season in key.seasons if season.last_at < woke_at]
        quiet_s = (then.first_at - before.last_at for before, then in pairwise(seasons))
        return sum(each >= self.min_quiet_days * DAY_S for each in quiet_s)


def _quiet(key: Key, at: int) -> tuple[int | None, int]:
    """Say since when the key had been quiet, and when it woke, if an instant belongs to the first day of a season."""
    seasons = key.seasons
    made_at = key.created_at if key.created_by is not None else None  # else it may have been used before the trail
    if not seasons:
        return made_at, at
    season = seasons[-1]
    if at - season.last_at > GAP_S:
        return season.last_at, at
    if at - season.first_at >= SETTLING_S:
        return None, at
    return (seasons[-2].last_at if len(seasons) > 1 else made_at), min(at, season.first_at)
