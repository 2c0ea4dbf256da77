"""An instance's credentials were copied into an environment or a profile."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import Draft, Severity, cut


class CredentialSourceMismatch(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session, at home: outside, instance-credentials-outside says it."""

    name: ClassVar[str] = "credential-source-mismatch"
    summary: ClassVar[str] = (
        "a session of an instance's role (i-…) whose client says that it has its credentials from its environment or a "
        "profile, and not from the instance's metadata service"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.LOW
    attack: ClassVar[tuple[str, ...]] = ("T1552.005",)
    known_gaps: ClassVar[str] = (
        "Clients that do not say where they have their credentials from: SDKs from before 2025. Software on the instance "
        "that hands credentials on by environment variables does the same."
    )
    runbook: ClassVar[str] = (
        "Find out what on the instance exports credentials: a wrapper, a container's entry point, or somebody at a shell "
        "who copied them from the metadata service. If the latter, ask what for: the next step is to carry them off."
    )
    facts: ClassVar[int] = Facts.WHEREABOUTS

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for each call whose client has the instance's credentials by another way."""
        place, session = state.place, state.session
        if place is None or place.where == "outside" or session is None:
            return
        if not event.facts & Facts.COPIED_CREDENTIALS or event.facts & Facts.PRESIGNED:
            return
        role, instance, source = cut(state.profile.arn.rsplit("/", 1)[-1]), cut(session.name), event.client.source
        yield self.draft(
            event,
            state,
            subject=session.id,
            title=f"Credentials of instance {instance} ({role}) taken from its {source}",
            summary=(
                f"A client ({event.client.kind}) in the session that {role} has on instance {instance} says that it has its "
                f"credentials from its {source}. Software on an instance takes them from the metadata service; whoever "
                "puts them elsewhere has copied them."
            ),
            seen={"source": source, "client": event.client.kind, "api": cut(event.api.key)},
            expected={"source": "instance metadata"},
        )
