"""An instance's credentials are used where the instance is not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from models.behaviour.instances import Stray
from models.detector import BehaviourState, Desk, Detector, Family
from models.event import Event
from models.facts import Facts
from models.finding import ChainStage, Draft, Exhibits, Severity, cut


class InstanceCredentialsOutside(Detector[BehaviourState], frozen=True, kw_only=True):
    """One finding per session. A network that proves to be the role's egress closes it as superseded."""

    name: ClassVar[str] = "instance-credentials-outside"
    summary: ClassVar[str] = (
        "a session of an instance's role (i-…) is used outside the networks of that instance: with a client that its role "
        "never had, or that no instance runs, with credentials from an environment or profile, from an office's address; "
        "or while the instance itself goes on at home (medium where both are one operator's)"
    )
    family: ClassVar[Family] = "keys"
    desk: ClassVar[Desk] = "behaviour"
    severity: ClassVar[Severity] = Severity.HIGH
    attack: ClassVar[tuple[str, ...]] = ("T1552.005", "T1078.004")
    chain_stage: ClassVar[ChainStage | None] = "initial access"
    known_gaps: ClassVar[str] = (
        "Use from the instance itself, or through its egress; of several instances' credentials with their own kind of client. A thief who comes before the instance was ever seen, with a "
        "client that an instance could run. An instance that gets a new address and a new client at once looks like theft; "
        "so does EC2 Mac before it is known. With the clients of its own: one seen for under a day, or behind several gateways."
    )
    runbook: ClassVar[str] = (
        "Look at the address and the client: if nobody of your own copied the credentials, they are stolen. Revoke the "
        "role's active sessions (deny by aws:TokenIssueTime), isolate the instance, find out how its metadata was read "
        "(SSRF, a foothold), require IMDSv2, and look at every call from that address."
    )
    facts: ClassVar[int] = Facts.WHEREABOUTS

    def observe(self, event: Event, state: BehaviourState) -> Iterable[Draft]:
        """Yield a draft for a call from outside, or for one from elsewhere that the instance's own return gives away."""
        place, session = state.place, state.session
        if place is None or place.network is None or session is None:
            return
        for explained in place.explained:
            yield self.closing(state.entity, explained, event.at, reason="superseded")
        if place.where == "outside":
            yield self._draft(event, state, session.id, place.network.text, place.reasons, Severity.HIGH)
        elif place.stray is not None:
            there = state.context.atlas.named(place.stray.network)
            severity = Severity.MEDIUM if there.is_near(place.network) else Severity.HIGH
            why = ("the instance itself goes on from its own network",)
            yield self._draft(event, state, place.stray.session_id, there.text, why, severity, place.stray)

    def _draft(
        self,
        event: Event,
        state: BehaviourState,
        subject: str,
        network: str,
        reasons: tuple[str, ...],
        severity: Severity,
        stray: Stray | None = None,
    ) -> Draft:
        profile = state.profile
        role, instance = cut(profile.arn.rsplit("/", 1)[-1]), cut(event.session_name)
        known = profile.instances and profile.instances.by_name.get(event.session_name)
        home = [cut(name) for name in known.networks] if known else []
        at_home = f"The instance calls from {', '.join(home)}. " if home else ""
        return self.draft(
            event,
            state,
            subject=subject,
            title=f"Credentials of instance {instance} ({role}) used outside it",
            summary=(
                f"The session that {role} has on instance {instance} was used from {cut(network)}: "
                f"{'; '.join(map(cut, reasons))}. "
                f"{at_home}An instance's credentials work from anywhere once they are read off it."
            ),
            seen={
                "network": cut(network),
                "reasons": [cut(reason) for reason in reasons],
                "client": event.client.kind if stray is None else None,
                "role_delivery": _delivery(event) if stray is None else None,
            },
            expected={"networks": home},
            severity=severity,
            actor=None if stray is None else stray.who,
            exhibits=None if stray is None else Exhibits(1, [stray.evidence]),
        )


def _delivery(event: Event) -> str | None:
    context = event.identity.session_context if event.identity else None
    delivery = context.ec2_role_delivery if context else None
    return delivery and cut(delivery)
