"""Whether a finding is a page: where it is routed, what is told at once, what waits for a digest, what is taken back.

A sink is told where a finding stands, not each of its changes: a delivery is due while what the sink last heard differs
from what it should have heard. So revisions that come twice or late change nothing, and one row for each finding and
sink bounds what waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from models.finding import Finding, Severity, cut
from models.record import epoch
from models.routes import Alert, Route, each_of
from models.settings import Settings

HOUR_S: Final = 3_600
MAX_TEXT: Final = 2_048  # characters of each string: the longest ARN
MAX_ITEMS: Final = 20  # of each list and object; the first are kept
MAX_DIGITS: Final = 20  # of an integer; a longer one becomes text
MAX_DEPTH: Final = 4  # of lists and objects in each other; what is deeper becomes text
MAX_FINDING_BYTES: Final = 131_072  # as JSON; seen, expected, affected, evidence and attack make room, in this order
MAX_LISTED: Final = 50  # findings in a digest, the most severe first

# What a sink should hear: the finding is open; it is over; nothing by itself, but a digest that lists it (`held` until
# that is made, `digested` then); a digest is a delivery too.
Wanted = Literal["trigger", "resolve", "held", "digested", "digest"]
Told = Literal["trigger", "resolve", "digest"]


class Delivery(Struct, kw_only=True):
    """What one sink has heard of one finding, or of one digest, and what it should hear."""

    wanted: Wanted
    severity: int  # Severity of what is wanted
    heard: Told | None = None  # the last that the sink has surely taken
    heard_severity: int = 0
    doubt: Told | None = None  # sent after that, and the answer never came
    doubt_severity: int = 0
    refused: str | None = None  # why the sink will never take what is wanted

    @property
    def is_standing(self) -> bool:
        """Whether the finding is, or may be, open at the sink."""
        return self.heard == "trigger" or self.doubt is not None

    @property
    def standing(self) -> tuple[int, ...]:
        """The severities under which it is, or may be, open at the sink."""
        heard = {self.heard_severity} if self.heard == "trigger" else set()
        return tuple(sorted(heard if self.doubt is None else {*heard, self.doubt_severity}))

    @property
    def is_due(self) -> bool:
        """Whether the sink must be told: it heard something else, or may have."""
        if self.refused is not None or self.wanted in ("held", "digested"):
            return False
        if self.doubt is not None:
            return True
        if self.wanted == "resolve":
            return self.heard == "trigger"
        return self.heard != self.wanted or self.heard_severity < self.severity

    @property
    def telling(self) -> tuple[Told, int]:
        """What is told if it is due, and with which severity: what is in doubt again as it was, unless it has risen."""
        told: Told = self.wanted if self.wanted in ("trigger", "digest") else "resolve"
        return told, max(self.severity, self.doubt_severity) if self.doubt == told else self.severity

    def want(self, wanted: Wanted, severity: int) -> None:
        """Take up what the sink should hear now; what it refused before may pass in its new form."""
        if (wanted, severity) != (self.wanted, self.severity):
            self.refused = None
        self.wanted, self.severity = wanted, severity


class Recent(Struct, frozen=True):
    """What a sink was told of an entity in the last hour: how many findings, and the highest severity of them."""

    count: int = 0
    highest: int = -1


class Digest(Struct, kw_only=True):
    """Many findings in one message that wakes nobody."""

    digest_id: str
    made_at: str
    count: int
    by_severity: dict[str, int]
    by_detector: dict[str, int]  # at most MAX_ITEMS, the most frequent first
    first_opened_at: str
    last_updated_at: str
    findings: list[dict[str, Any]]  # at most MAX_LISTED

    @property
    def line(self) -> str:
        """What it holds, in one line."""
        counts = ", ".join(f"{count} {label}" for label, count in self.by_severity.items())
        noun = "finding" if self.count == 1 else "findings"
        return f"{self.count} {noun} not paged ({counts}), {self.first_opened_at} to {self.last_updated_at}"


def routed(finding: Finding, settings: Settings) -> list[str]:
    """List the sinks that the routes name for a finding: of all routes that match, each sink once."""
    account = settings.organisation.accounts.get(finding.account_id or "")
    owner = account.owner if account else None
    matching = (route for route in settings.routes if _matches(route, finding, owner))
    return list(dict.fromkeys(sink for route in matching for sink in route.sinks))


def is_told(finding: Finding) -> bool:
    """Say whether a finding is anybody's business by itself: no part of a chain, not in shadow, not explained away."""
    return (
        finding.stage == "live" and finding.part_of is None and finding.close_reason not in ("accepted", "superseded")
    )


def wanted(finding: Finding, known: Delivery | None, recent: Recent, alert: Alert, now: float) -> Wanted:
    """Decide what a sink should hear of a finding, by what it has heard so far.

    ``now`` is the clock's time: events older than the settings allow, and more findings of one entity than they allow
    (unless more severe than all that were told), wait for a digest. So does what was over before it could be told.
    """
    if not is_told(finding):
        return "resolve"
    before = known.wanted if known is not None else None
    if known is not None and known.is_standing:
        return "resolve" if finding.status == "closed" else "trigger"
    if finding.status == "closed":
        return before if before in ("resolve", "digested") else "held"
    if before == "trigger":
        return "trigger"
    severity = Severity.parse(finding.severity)
    is_old = epoch(finding.updated_at) < now - alert.max_age_hours * HOUR_S
    is_too_much = recent.count >= alert.max_per_entity_per_hour and severity <= recent.highest
    if not is_old and not is_too_much:
        return "trigger"
    return "digested" if before == "digested" and known is not None and severity <= known.severity else "held"


def bounded(finding: Finding) -> Finding:
    """Copy a finding with every string, list and object of it within bounds, and all of it within MAX_FINDING_BYTES."""
    kept = msgspec.convert(_bounded(msgspec.to_builtins(finding), 0), Finding)
    for name, empty in (("seen", {}), ("expected", {}), ("affected", []), ("evidence", []), ("attack", ())):
        if len(msgspec.json.encode(kept)) <= MAX_FINDING_BYTES:
            break
        setattr(kept, name, empty)
    return kept


def digest(findings: Iterable[Finding], digest_id: str, made_at: str) -> Digest:
    """Put findings, of which there is at least one, into one message."""
    by_severity: dict[str, int] = {each.label: 0 for each in reversed(Severity)}
    by_detector: dict[str, int] = {}
    ordered = sorted(findings, key=lambda each: (-Severity.parse(each.severity), each.opened_at, each.finding_id))
    for each in ordered:
        by_severity[each.severity] += 1
        by_detector[each.detector] = by_detector.get(each.detector, 0) + 1
    frequent = sorted(by_detector.items(), key=lambda item: (-item[1], item[0]))
    return Digest(
        digest_id=digest_id,
        made_at=made_at,
        count=len(ordered),
        by_severity={label: count for label, count in by_severity.items() if count},
        by_detector=dict(frequent[:MAX_ITEMS]),
        first_opened_at=min(each.opened_at for each in ordered),
        last_updated_at=max(each.updated_at for each in ordered),
        findings=[_listed(each) for each in ordered[:MAX_LISTED]],
    )


def _listed(finding: Finding) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "severity": finding.severity,
        "status": finding.status,
        "opened_at": finding.opened_at,
        "account_id": finding.account_id,
        "entity": finding.entity.arn,
        "title": finding.title,
    }


def _matches(route: Route, finding: Finding, owner: str | None) -> bool:
    return (
        Severity.parse(finding.severity) >= Severity.parse(route.severity)
        and _is_among(finding.account_id, route.account)
        and _is_among(owner, route.owner)
        and _is_among(finding.entity.class_, route.class_)
        and (
            not each_of(route.detector) or any(fnmatchcase(finding.detector, glob) for glob in each_of(route.detector))
        )
    )


def _is_among(value: str | None, wanted: str | tuple[str, ...]) -> bool:
    return not each_of(wanted) or value in each_of(wanted)


def _bounded(value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return cut(value, MAX_TEXT)
    if isinstance(value, dict | list | tuple):
        if depth > MAX_DEPTH:
            return cut(msgspec.json.encode(value).decode(), MAX_TEXT)
        if isinstance(value, dict):
            items = list(value.items())[: MAX_ITEMS if depth else None]
            return {cut(key, MAX_TEXT): _bounded(each, depth + 1) for key, each in items}
        return [_bounded(each, depth + 1) for each in value[:MAX_ITEMS]]
    if isinstance(value, int) and len(str(value)) > MAX_DIGITS:
        return cut(str(value), MAX_TEXT)
    return value
