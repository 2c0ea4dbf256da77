"""What the behaviour and grants desks share: what they hand on, and how they run a detector."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from models.detector import BehaviourState, GrantsState, Rule
from models.event import Event, api_key
from models.finding import Class, Draft
from models.incidents.lineage import Edge
from models.incidents.outlived import KeySwitch, Sighting
from models.record import encode
from models.trail import Rejected


class ClassChange(Struct, frozen=True):
    """An entity turned out to be something else than was known."""

    arn: str
    class_: Class
    tier: int | None


class Fault(Struct, frozen=True):
    """A detector raised: the event is named (None where time alone was the cause), the stream goes on."""

    detector: str
    event: Event | None
    error: str

    def rejected(self) -> Rejected:
        """Say at which event a detector, or a desk itself, raised."""
        event = self.event
        where = "the passing of time" if event is None else f"event {event.event_id}"
        what = f"detector {self.detector}" if self.detector else "a desk"
        content = b"" if event is None else encode(event.record)
        return Rejected(where, 0, "", f"{what} raised {self.error}", content)


class Tray(Struct):
    """What the desks hand on."""

    drafts: list[Draft] = []
    edges: list[Edge] = []
    changes: list[ClassChange] = []
    switches: list[KeySwitch] = []
    sightings: list[Sighting] = []
    faults: list[Fault] = []

    @property
    def holds_anything(self) -> bool:
        """Whether there is anything to hand on."""
        return bool(self.drafts or self.edges or self.changes or self.switches or self.sightings or self.faults)

    def clear(self) -> None:
        """Let go what was handed on."""
        for each in (self.drafts, self.edges, self.changes, self.switches, self.sightings, self.faults):
            each.clear()


def observe(rule: Rule[Any], event: Event, state: BehaviourState | GrantsState, tray: Tray) -> None:
    """Run one detector on one event; what it raises is its own fault and nobody else's loss."""
    try:
        tray.drafts += rule.observe(event, state)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next detector and the next event go on
        tray.faults.append(Fault(rule.detector.name, event, f"{type(error).__name__}: {error}"))


def calls_of(rule: Rule[Any]) -> frozenset[str]:
    """List the calls that a detector looks at, as events key them."""
    return frozenset(api_key(*call) for call in rule.detector.calls)
