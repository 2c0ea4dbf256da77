"""A key that was disabled or deleted is still tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar

from msgspec import Meta

from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import Draft, Severity, cut
from models.record import iso


class KeyUsedAfterDisable(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: something still holds it, or its disabling did not take."""

    name: ClassVar[str] = "key-used-after-disable"
    summary: ClassVar[str] = "a key is used more than 15 minutes after it was disabled or deleted"
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1078.004",)
    known_gaps: ClassVar[str] = (
        "AWS refuses most calls with such a key before it knows the account, and CloudTrail records none of those. Silence "
        "is no proof that nobody holds the key."
    )
    runbook: ClassVar[str] = (
        "Address and client tell what still holds the key: a job that nobody moved, or whoever took it. Renew the "
        "credentials of the job; if the address is a stranger's, look at what was done with the key before it was "
        "disabled."
    )
    facts: ClassVar[int] = Facts.KEY_NEWS

    grace_minutes: Annotated[int, Meta(ge=1, le=24 * 60)] = 15

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each use after the grace."""
        key = state.key
        off_at = None if key is None else key.off_at
        if key is None or off_at is None or event.at - off_at <= self.grace_minutes * 60:
            return
        what = "deleted" if key.deleted_at == off_at else "disabled"
        minutes = (event.at - off_at) // 60
        yield self.draft(
            event,
            state,
            subject=cut(key.id),
            title=f"Key {key.id} of {state.name} is used {_for(minutes)} after it was {what}",
            summary=(
                f"Key {key.id} of {state.name} was {what} at {iso(off_at)}, and {cut(event.api.name)} was called with it "
                f"from {cut(event.caller.source_ip_address or 'an unknown address')} {_for(minutes)} later. Something "
                "still holds the key."
            ),
            seen={
                f"{what}_at": iso(off_at),
                "minutes_after": minutes,
                "network": None if state.network is None else state.network.text,
                "client": event.client.kind,
                "is_denied": event.is_denied,
            },
            expected={"calls": 0, "grace_minutes": self.grace_minutes},
        )


def _for(minutes: int) -> str:
    return (
        f"{minutes} minutes"
        if minutes < 120
        else f"{minutes // 60} hours"
        if minutes < 2880
        else f"{minutes // 1440} days"
    )
