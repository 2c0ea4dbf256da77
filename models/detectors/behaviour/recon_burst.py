"""Somebody looks around: asks for much that is refused, or for all that there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from models.behaviour.profile import DAY_S
from models.behaviour.recon import ASSUME_ROLE, MAX_ITEMS, READ_ALL, WINDOW_S, Recon, new_recon
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Severity, cut

Count = Annotated[int, Meta(ge=2, le=MAX_ITEMS)]


class ReconBurst(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session, against the entity's own past: what it always did, or was always denied, is no news."""

    name: ClassVar[str] = "recon-burst"
    summary: ClassVar[str] = (
        "within 10 minutes many different calls are denied, or one call for many resources, or AssumeRole for many roles; "
        "many lists are asked for that the entity never asked for before; or all of IAM is read "
        "(GetAccountAuthorizationDetails) by who never did. Low where nothing is known yet of what is usual"
    )
    family: ClassVar[Family] = "behaviour"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.MEDIUM
    attack: ClassVar[tuple[str, ...]] = ("T1580", "T1526", "T1087.004")
    chain_stage: ClassVar[ChainStage | None] = "discovery"
    known_gaps: ClassVar[str] = (
        "Looking around in the console, whose pages ask for dozens of things at once; slowly, over hours; or with a client "
        "that claims to be infrastructure as code, as far as lists go. Denials that do not name the resource count once. "
        "A scanner that is new to the accounts is found once: name it under [scanners]."
    )
    runbook: ClassVar[str] = (
        "See whether the entity's owner knows of a new tool or a change of its permissions: a job that lost a right is "
        "denied as much, but always the same. If nobody does, take the credentials for stolen: look at what was asked for, "
        "what of it was granted, where the calls came from, and end the session."
    )
    facts: ClassVar[int] = Facts.LOOKED_AROUND

    min_denied_per_window: Count = 10
    min_resources_per_window: Count = 15
    min_roles_per_window: Count = 5
    min_lists_per_window: Count = 20
    min_services_per_window: Count = 5

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each call that makes a burst, or goes on with it."""
        profile = state.profile
        if state.session is None or not state.is_own or state.context.is_scanner(profile.arn):
            return
        recon = profile.recon or new_recon()
        found = [*self._denied(event, recon), *self._listed(event, recon)]
        if not found:
            return
        is_usual_known = event.at - state.coverage_since >= DAY_S
        is_denied = any(weight for _, weight in found)
        name = cut(profile.arn.rsplit("/", 1)[-1])
        said = "; ".join(text for text, _ in found)
        yield self.draft(
            event,
            state,
            subject=state.session.id,
            title=f"{profile.type.capitalize()} {name} looks around: {said}",
            summary=(
                f"Session {cut(state.session.name)} of {name}: {said}, up to {cut(event.api.key)} with {event.client.kind}. "
                f"{'It never did so before.' if is_usual_known else 'What is usual for it is not known yet.'} Whoever has "
                "got hold of credentials finds out like this what they are good for."
            ),
            seen={
                "what": [text for text, _ in found],
                "client": event.client.kind,
                "known_network": state.context.is_known_network(event.caller.source_ip_address),
            },
            expected={"most_denied_before": list(recon.past_at(event.at)), "window_minutes": WINDOW_S // 60},
            severity=Severity.MEDIUM if is_denied or is_usual_known else Severity.LOW,
        )

    def _denied(self, event: Event, recon: Recon) -> Iterator[tuple[str, bool]]:
        """Say what of the denials is too much, by more than twice the most before."""
        if not event.facts & Facts.DENIED:
            return
        counts, past = recon.counts(event), recon.past_at(event.at)
        if counts.calls >= max(self.min_denied_per_window, 2 * past.calls + 1):
            yield f"{counts.calls} different calls denied in {WINDOW_S // 60} min", True
        is_role = event.api.key == ASSUME_ROLE
        least = self.min_roles_per_window if is_role else self.min_resources_per_window
        if counts.others >= max(least, 2 * past.others + 1):
            what = "roles tried in vain" if is_role else f"resources denied to {cut(event.api.name)}"
            yield f"{counts.others} {what} in {WINDOW_S // 60} min", True

    def _listed(self, event: Event, recon: Recon) -> Iterator[tuple[str, bool]]:
        """Say what of the lists asked for is new, and too much."""
        if event.api.key == READ_ALL and not recon.has_read_all:
            yield "all of IAM read for the first time", False
        if event.facts & Facts.IAC:  # a plan reads all that there is in its state
            return
        listed = recon.listed_with(event)
        if listed.calls >= self.min_lists_per_window and listed.others >= self.min_services_per_window:
            yield f"{listed.calls} lists of {listed.others} services asked for the first time", False
