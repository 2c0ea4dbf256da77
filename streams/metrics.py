"""What Prometheus is told: every metric by name, counted in batches, on a registry of its own.

Whoever works counts here, in its own thread; a scrape reads under the same lock, so it sees whole batches. Labels are
bounded: of each at most MAX_VALUES values, in the order in which they come, then ``other``; never an ARN, an address,
a key or an event's id.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from threading import Lock
from time import perf_counter
from typing import Any, Final, Literal, NamedTuple

from msgspec import field
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.exposition import start_wsgi_server

from models.census import Counted
from models.desks.behaviour import BehaviourDesk
from models.desks.grants import GrantsDesk
from models.desks.tray import Fault
from models.detector import Rule
from models.event import Event
from models.finding import Draft, Finding
from streams.version import installed

MAX_VALUES: Final = 200  # of one label; further ones are `other`
OTHER: Final = "other"
NO_ACCOUNT: Final = "none"  # of what belongs to no account, as AWS's services

Outcome = Literal["accepted", "duplicate", "rejected", "ignored"]
Labels = tuple[str, ...]

# Seconds from an event to when it was read: CloudTrail takes about 5 minutes, and 45 at worst.
LATENESS_S: Final = (30, 60, 120, 300, 600, 900, 1_800, 2_700, 3_600, 7_200, 21_600, 86_400)


class Family(NamedTuple):
    """One metric: its name as Prometheus shows it, its sort, its labels, and what it says."""

    name: str
    sort: Literal["counter", "gauge", "histogram"]
    labels: Labels
    text: str
    has_clock: bool = False  # whether it says something of this process and not of the trail


FAMILIES: Final = (
    Family("rolehawk_events_total", "counter", ("outcome",),
           "Records read: accepted, duplicate, rejected (could not be read), ignored (digests, Insights)."),
    Family("rolehawk_late_events_total", "counter", (), "Events applied later than the allowance."),
    Family("rolehawk_findings_total", "counter", ("detector", "severity", "account"),
           "Findings that opened, or opened again; live ones, that are not suppressed."),
    Family("rolehawk_findings_open", "gauge", ("detector", "severity", "account"), "Live findings that are open."),
    Family("rolehawk_findings_closed_total", "counter", ("detector", "reason", "account"),
           "Live findings that closed: quiet, resolved, superseded, accepted."),
    Family("rolehawk_principals", "gauge", ("kind", "account"),
           "Whatever acted or was assumed: human, machine, mixed, unknown."),
    Family("rolehawk_sessions_total", "counter", ("origin",), "Sessions that began to act, by how they made their first call."),
    Family("rolehawk_wildcard_grants", "gauge", ("account",),
           "Policies in force that break one of the rules W1 to W7, as far as the trail or an inventory told of them."),
    Family("rolehawk_unused_entities", "gauge", ("type",), "Users and roles last used over 90 days ago."),
    Family("rolehawk_access_keys", "gauge", ("age", "account"), "Long-lived access keys by their age, deleted ones left out."),
    Family("rolehawk_calls_total", "counter", ("credential",), "Calls by the credential that they were made with."),
    Family("rolehawk_event_lateness_seconds", "histogram", (), "From an event to when it was read.", has_clock=True),
    Family("rolehawk_processing_lag_seconds", "gauge", (),
           "How old the newest event was when it was last worked on.", has_clock=True),
    Family("rolehawk_detector_seconds", "counter", ("detector",),
           "Seconds spent in a detector; untyped, for its name has no _total.", has_clock=True),
    Family("rolehawk_detector_errors_total", "counter", ("detector",), "Events at which a detector raised."),
    Family("rolehawk_profiles", "gauge", (), "Entities that are known."),
    Family("rolehawk_alert_deliveries_total", "counter", ("sink", "outcome"), "What was delivered to sinks, or was not."),
    Family("rolehawk_alert_waiting", "gauge", ("sink",), "What waits to be told to a sink: due, or held for a digest."),
    Family("rolehawk_ingest_events_total", "counter", ("outcome",), "Records that ingest wrote into Kafka, or did not."),
    Family("rolehawk_watermark_timestamp_seconds", "gauge", (), "Event time up to which all is worked on."),
    Family("rolehawk_build_info", "gauge", ("version",), "Which rolehawk this is; always 1."),
)  # fmt: skip

_ACCOUNT = re.compile("[0-9]{12}")


class Metrics:
    """All metrics of one process. State: a number for each set of labels, bounded by `MAX_VALUES`."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        self._now = now
        self._lock = Lock()
        self._values: dict[str, dict[Labels, float]] = {family.name: {} for family in FAMILIES}
        self._known: dict[str, set[str]] = {}  # label -> values that it had
        self._open: dict[str, Labels] = {}  # finding that is open -> its labels
        self._lateness = [0] * (len(LATENESS_S) + 1)
        self._lateness_s = 0.0
        self._seconds: dict[str, float] = {}  # by detector
        self._counted = Counted()
        self._set("rolehawk_build_info", {(installed() or "unknown",): 1})

    # Counting

    def count(self, name: str, by: float, *labels: str | None) -> None:
        """Add to a counter; an account that is None, or no account's id, is put in order."""
        with self._lock:
            self._add(name, by, labels)

    def read(self, outcome: Outcome, count: int) -> None:
        """Count records read."""
        if count:
            self.count("rolehawk_events_total", count, outcome)

    def arrived(self, events: list[Event]) -> None:
        """Note how late events are, now that they have just been read."""
        if not events:
            return
        now = self._now()
        times = sorted([event.at for event in events])
        ends = [len(times) - bisect_left(times, now - bound) for bound in LATENESS_S]
        with self._lock:
            for place, (before, end) in enumerate(zip([0, *ends], [*ends, len(times)], strict=True)):
                self._lateness[place] += end - before
            self._lateness_s += now * len(times) - sum(times)

    def applied(self, events: list[Event]) -> None:
        """Count events that have just been worked on."""
        if not events:
            return
        calls = Counter([event.actor.credential for event in events if event.actor is not None])
        with self._lock:
            for credential, count in calls.items():
                if credential is not None:
                    self._add("rolehawk_calls_total", count, (credential,))
            self._set("rolehawk_processing_lag_seconds", {(): max(0.0, self._now() - events[-1].at)})

    def changed(self, finding: Finding) -> None:
        """Count a change of a finding; shadow findings count for nothing."""
        if finding.stage != "live":
            return
        labels = finding.detector, finding.severity, finding.account_id
        with self._lock:
            before = self._open.pop(finding.finding_id, None)
            if before is not None:
                self._values["rolehawk_findings_open"][before] -= 1
            if finding.close_reason is None:
                if before is None:
                    self._add("rolehawk_findings_total", 1, labels)
                self._open[finding.finding_id] = self._add("rolehawk_findings_open", 1, labels)
            elif before is not None or finding.revision == 1:
                self._add("rolehawk_findings_closed_total", 1, (finding.detector, finding.close_reason, labels[2]))

    def known(self, findings: Iterable[Finding]) -> None:
        """Take up the findings that stored state has: they opened before."""
        with self._lock:
            for each in findings:
                if each.stage == "live" and each.close_reason is None:
                    labels = each.detector, each.severity, each.account_id
                    self._open[each.finding_id] = self._add("rolehawk_findings_open", 1, labels)

    def forget_open(self) -> None:
        """Let go of the findings that are open: another process has them now."""
        with self._lock:
            self._open.clear()
            self._set("rolehawk_findings_open", dict.fromkeys(self._values["rolehawk_findings_open"], 0))

    def failed(self, fault: Fault) -> None:
        """Count an event at which a detector raised."""
        self.count("rolehawk_detector_errors_total", 1, fault.detector)

    def waiting(self, by_sink: dict[str, int]) -> None:
        """Note how much waits for each sink."""
        with self._lock:
            self._set("rolehawk_alert_waiting", dict.fromkeys(self._values["rolehawk_alert_waiting"], 0))
            for sink, count in by_sink.items():
                self._add("rolehawk_alert_waiting", count, (sink,))

    def timed(self, rules: Iterable[Rule[Any]]) -> list[Rule[Any]]:
        """Give the rules so that the seconds which they take are counted."""
        found = [TimedRule(rule.detector, rule.tuning, self._seconds) for rule in rules]
        self._seconds.update((rule.detector.name, 0.0) for rule in found)
        return list(found)

    def take_census(
        self, behaviour: Iterable[BehaviourDesk], grants: Iterable[GrantsDesk], now: int, watermark: int | None = None
    ) -> None:
        """Count anew what the desks know at `now`, for all desks of this process together: on ticks, never per event."""
        behaviour, grants = list(behaviour), list(grants)
        coverage_since = min((desk.coverage_since for desk in behaviour), default=now)
        profiles = (profile for desk in behaviour for profile in desk.profiles.values())
        accounts = (account for desk in grants for account in desk.accounts.values())
        census = self._counted.take(profiles, accounts, now, coverage_since)
        with self._lock:
            for desk in behaviour:
                for origin, count in desk.begun.items():
                    self._add("rolehawk_sessions_total", count, (origin,))
                desk.begun.clear()
            self._set("rolehawk_profiles", {(): census.profiles})
            self._set("rolehawk_watermark_timestamp_seconds", {(): now if watermark is None else watermark})
            for name, numbers in (
                ("rolehawk_principals", {(kind, account): n for (account, kind), n in census.principals.items()}),
                ("rolehawk_access_keys", {(age, account): n for (account, age), n in census.access_keys.items()}),
                ("rolehawk_wildcard_grants", {(account,): n for account, n in census.wildcard_grants.items()}),
                ("rolehawk_unused_entities", {(kind,): n for kind, n in census.unused.items()}),
            ):
                # What is no more is 0: a gauge that vanished would be drawn as it was for five minutes.
                self._set(name, dict.fromkeys(self._values[name], 0))
                for labels, number in numbers.items():
                    self._add(name, number, labels)

    def passed(self, watermark: int) -> None:
        """Say how far event time has come."""
        with self._lock:
            self._set("rolehawk_watermark_timestamp_seconds", {(): watermark})

    # Telling

    def collect(self) -> Iterator[Metric]:
        """Give all metrics as they stand: what the registry asks for at a scrape."""
        with self._lock:
            return iter([self._family(family) for family in FAMILIES])

    def _family(self, family: Family) -> Metric:
        if family.sort == "histogram":
            counts = accumulate(self._lateness)
            bounds = [*map(str, map(float, LATENESS_S)), "+Inf"]
            lateness = HistogramMetricFamily(family.name, family.text)
            lateness.add_metric([], list(zip(bounds, counts, strict=True)), self._lateness_s)
            return lateness
        values = self._values[family.name]
        if family.name == "rolehawk_detector_seconds":
            values = {(name,): seconds for name, seconds in self._seconds.items()}
        # Whatever is typed as a counter must end in _total.
        is_untyped = family.sort == "counter" and not family.name.endswith("_total")
        made: UnknownMetricFamily | CounterMetricFamily | GaugeMetricFamily
        made = (UnknownMetricFamily if is_untyped else _SORTS[family.sort])(
            family.name, family.text, labels=family.labels
        )
        for labels, value in values.items():
            made.add_metric(labels, value)
        return made

    # Under the lock

    def _add(self, name: str, by: float, labels: Iterable[str | None]) -> Labels:
        bounded = tuple(self._bounded(label, value) for label, value in zip(_LABELS[name], labels, strict=True))
        values = self._values[name]
        values[bounded] = values.get(bounded, 0) + by
        return bounded

    def _set(self, name: str, values: dict[Labels, float]) -> None:
        self._values[name] = values

    def _bounded(self, label: str, value: str | None) -> str:
        if label == "account":
            if value is None:
                return NO_ACCOUNT
            if _ACCOUNT.fullmatch(value) is None:
                return OTHER
        known = self._known.setdefault(label, set())
        if value in known:
            return str(value)
        if value is None or len(known) >= MAX_VALUES:
            return OTHER
        known.add(value)
        return value


class TimedRule(Rule[Any], frozen=True):
    """A rule that adds the seconds which it takes to its detector's."""

    seconds: dict[str, float] = field(default_factory=dict)

    def observe(self, event: Event, state: Any) -> list[Draft]:  # noqa: ANN401 - as Rule has it
        """Run the detector on one event."""
        begun_s = perf_counter()
        try:
            return Rule.observe(self, event, state)
        finally:
            self.seconds[self.detector.name] += perf_counter() - begun_s

    def sweep(self, state: Any, now: int) -> list[Draft]:  # noqa: ANN401
        """Run what is due by time alone."""
        begun_s = perf_counter()
        try:
            return Rule.sweep(self, state, now)
        finally:
            self.seconds[self.detector.name] += perf_counter() - begun_s

    def fold(self, state: Any) -> list[Draft]:  # noqa: ANN401
        """Run an incidents detector."""
        begun_s = perf_counter()
        try:
            return Rule.fold(self, state)
        finally:
            self.seconds[self.detector.name] += perf_counter() - begun_s


_SORTS: Final = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}
_LABELS: Final = {family.name: family.labels for family in FAMILIES}


@contextmanager
def served(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serve `/metrics` while the body runs; gives the port. Raises OSError where it cannot be had."""
    server, thread = start_wsgi_server(port, host, metrics.registry)
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
