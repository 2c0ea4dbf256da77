"""A key that was laid out as bait is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut


class CanaryKey(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per key: nobody has a reason to use it, so whoever does has found it."""

    name: ClassVar[str] = "canary-key"
    summary: ClassVar[str] = "a key that the settings name as bait is used, whatever the outcome"
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.CRITICAL
    attack: ClassVar[tuple[str, ...]] = ("T1078.004", "T1552.001")
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "CloudTrail does not record every call: sts:GetAccessKeyInfo for the key, for one, is logged in the asker's account. "
        "A scanner of your own that tries all keys it finds sets it off too."
    )
    runbook: ClassVar[str] = (
        "The key lay where somebody has now been. Find out where it was laid out and who can read there; treat every "
        "other secret in that place as stolen and renew it. Address and client of the evidence tell how the finder works."
    )
    order_free: ClassVar[bool] = True
    facts: ClassVar[int] = Facts.KEY_NEWS

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for every call with the key."""
        if state.key_id not in state.context.canaries:
            return
        network = "an unknown network" if state.network is None else state.network.text
        yield self.draft(
            event,
            state,
            subject=cut(state.key_id),
            title=f"Canary key of {state.name} is used from {cut(event.caller.source_ip_address or 'an unknown address')}",
            summary=(
                f"Key {cut(state.key_id)} of {state.name} is bait: nobody has a reason to use it. Somebody called "
                f"{cut(event.api.name)} with it from {network}, so whatever else lay beside it has been found too."
            ),
            seen={
                "api": cut(event.api.key),
                "network": network,
                "client": event.client.kind,
                "is_denied": event.is_denied,
            },
            expected={"calls": 0},
        )
