"""Keys that were switched off, and the sessions that they issued and that go on: the one thing two desks must put together.

The behaviour desk hands on what becomes of keys, and now and then (once in SPAN_S and session) that a session goes on
which a long-lived key issued. Which key that was, lineage knows. A disabled or deleted key ends no session that it
issued. Source: IAM user guide, "Disabling permissions for temporary security credentials". ATT&CK T1550.001.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from models.finding import Evidence, Maturity, Who
from models.rows import Row, RowKind, Stored, Tracked

SPAN_S: Final = 900  # a session's first event in each such span of time is handed on
KEPT_S: Final = 2 * 3_600  # for so long a sighting waits for what is late: the issue, the end of the key
LIFE_S: Final = 37 * 3_600  # of a session at most (36 hours, for GetSessionToken), and an hour's lateness

MAX_KEYS: Final = 1_024  # switched off or on; the longest known go first
MAX_SWITCHES: Final = 4  # of one key; the oldest goes first
MAX_SIGHTINGS: Final = 2_048  # the longest known go first


class KeySwitch(Struct, frozen=True):
    """A key was disabled, enabled or deleted."""

    key_id: str
    owner: str  # ARN
    owner_type: str
    account_id: str | None
    at: int
    is_on: bool
    how: str  # "disabled", "enabled", "deleted"
    by: str | None  # who did it, as AWS writes it


class Sighting(Struct, frozen=True):
    """A session that a long-lived key may have issued goes on."""

    who: Who
    evidence: Evidence
    maturity: Maturity
    coverage_since: int


_SWITCHES: Final = RowKind[list[KeySwitch]]("key-switches", list[KeySwitch])
_SIGHTING: Final = RowKind[Sighting]("sighting", Sighting)


class OffKeys:
    """What became of keys, and the latest sightings of sessions. State: bounded, plain data."""

    def __init__(self) -> None:
        self.switches: Tracked[list[KeySwitch]] = Tracked()  # by key id, in time order
        # By event id; those that belong to a key that is off are told and let go.
        self.sightings: Tracked[Sighting] = Tracked()

    def learn_switch(self, switch: KeySwitch) -> bool:
        """Take in what became of a key; says whether it is news."""
        known = self.switches.get(switch.key_id, [])
        if switch in known:
            return False
        # Made anew, so that it is the longest known no longer.
        self.switches.pop(switch.key_id, None)
        ordered = sorted([*known, switch], key=lambda each: (each.at, each.is_on, each.how))
        self.switches[switch.key_id] = ordered[-MAX_SWITCHES:]
        if len(self.switches) > MAX_KEYS:
            del self.switches[next(iter(self.switches))]
        return True

    def keep(self, sighting: Sighting) -> None:
        """Keep a sighting for what is late."""
        self.sightings[sighting.evidence.event_id] = sighting
        if len(self.sightings) > MAX_SIGHTINGS:
            del self.sightings[next(iter(self.sightings))]

    def off(self, key_id: str, at: int) -> KeySwitch | None:
        """Say by what a key was off at a time; None where it was on, as far as is known.

        Only a span of time that lies wholly after the switch counts: of any other, only some event is known.
        """
        last = None
        for switch in self.switches.get(key_id, ()):
            if switch.at <= at // SPAN_S * SPAN_S:
                last = switch
        return None if last is None or last.is_on else last

    def expire(self, now: int) -> None:
        """Forget what can no longer matter."""
        for event_id in [each for each, seen in self.sightings.items() if seen.who.at + KEPT_S < now]:
            del self.sightings[event_id]
        for key_id in [each for each, known in self.switches.items() if known[-1].at + LIFE_S < now]:
            del self.switches[key_id]

    def changes(self) -> Iterator[Row]:
        """Write the rows that changed since this was last asked."""
        yield from _SWITCHES.changes("incidents", self.switches)
        yield from _SIGHTING.changes("incidents", self.sightings)

    def restore(self, stored: Mapping[str, Iterable[Stored]]) -> None:
        """Take up stored rows, by their kind."""
        _SWITCHES.fill(self.switches, stored.get("key-switches", ()))
        _SIGHTING.fill(self.sightings, stored.get("sighting", ()))
