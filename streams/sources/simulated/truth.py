"""What is true of a simulated organisation: who acts and what it is, what should be found, what only looks like it.

Written as JSON lines (docs/simulate.md has the format): principals by ARN, then findings and near misses by time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from models.record import iso
from streams.sources.simulated.callers import Class, Made, Principal

MAX_EVENT_IDS: Final = 200  # named of one finding, the first ones; `events` says how many there are
_KIND: Final[dict[Class, str]] = {
    "human": "human",
    "workload": "machine",
    "service": "machine",
    "agent": "machine",
    "unknown": "unknown",
}


class Expected(Struct, frozen=True):
    """A finding that a detector owes, one that it may make, or a near miss of which it must make none."""

    kind: str  # finding | tolerated | near_miss
    detector: str
    entity_arn: str
    subject: str | None
    severity: str | None
    opened_at: int  # seconds since 1970, UTC
    event_ids: list[str]
    events: int
    story: str  # the incident, near miss or piece of ordinary life that it comes from


class Ledger:
    """Keeps the truth while it comes about: bounded by the number of principals and stories."""

    def __init__(self) -> None:
        self._principals: dict[str, Principal] = {}
        self.expected: list[Expected] = []

    def meet(self, arn: str, type_: str, class_: Class, account: str | None, platform: str) -> Principal:
        """Get to know a principal; the same one again for the same ARN."""
        return self._principals.setdefault(arn, Principal(arn, type_, class_, account, platform))

    @property
    def principals(self) -> list[Principal]:
        """List whoever acted or was assumed, by ARN."""
        return [who for _, who in sorted(self._principals.items()) if who.has_acted]

    def finding(
        self,
        story: str,
        detector: str,
        entity_arn: str,
        events: Iterable[Made],
        *,
        subject: str | None = None,
        severity: str | None = None,
        opened_at: int | None = None,
    ) -> None:
        """Put down that a detector owes a finding, opened by the first of these events, or at the time given."""
        self._expect("finding", story, detector, entity_arn, events, subject, severity, opened_at)

    def tolerate(self, story: str, detector: str, entity_arn: str, events: Iterable[Made]) -> None:
        """Put down that a detector may make a finding of these events, and need not: it counts neither way."""
        self._expect("tolerated", story, detector, entity_arn, events, None, None)

    def near_miss(self, story: str, detector: str, entity_arn: str, events: Iterable[Made]) -> None:
        """Put down that a detector must make nothing of these events."""
        self._expect("near_miss", story, detector, entity_arn, events, None, None)

    def _expect(
        self,
        kind: str,
        story: str,
        detector: str,
        entity_arn: str,
        events: Iterable[Made],
        subject: str | None,
        severity: str | None,
        opened_at: int | None = None,
    ) -> None:
        made = sorted(events, key=lambda each: each.at)
        ids = [each.event_id for each in made[:MAX_EVENT_IDS]]
        self.expected.append(
            Expected(kind, detector, entity_arn, subject, severity, opened_at or made[0].at, ids, len(made), story)
        )

    def lines(self) -> Iterator[bytes]:
        """Write the truth, one JSON object a line."""
        for who in self.principals:
            yield (
                msgspec.json.encode(
                    {
                        "kind": "principal",
                        "arn": who.arn,
                        "type": who.type,
                        "account_id": who.account,
                        "class": who.class_,
                        "principal_kind": "mixed" if who.is_mixed else _KIND[who.class_],
                        "platform": who.platform,
                    }
                )
                + b"\n"
            )
        for each in sorted(self.expected, key=lambda each: (each.opened_at, each.detector, each.entity_arn)):
            row = {
                "kind": each.kind,
                "detector": each.detector,
                "entity_arn": each.entity_arn,
                "subject": each.subject,
                "severity": each.severity,
                "opened_at": iso(each.opened_at),
                "events": each.events,
                "event_ids": each.event_ids,
                "story": each.story,
            }
            unsaid = [] if each.kind == "finding" else ["subject", "severity"]
            unsaid += [key for key in ("subject", "severity") if row[key] is None]
            yield msgspec.json.encode({key: value for key, value in row.items() if key not in unsaid}) + b"\n"
