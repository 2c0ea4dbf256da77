"""Metrics: the names that dashboards rely on, what they count, and that no stranger's string becomes a label."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.behaviour.profile import DAY_S
from models.desks.tray import Fault
from models.detectors import build
from models.engine import Engine
from models.finding import Finding
from models.settings import Settings
from streams.metrics import FAMILIES, MAX_VALUES, OTHER, Metrics, served
from tests.records import (
    ACCOUNT,
    OTHER_ACCOUNT,
    Json,
    events_of,
    findings,
    instance_call,
    raise_fault,
    record,
    role,
    root,
    service,
    sign_in,
    user,
)

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
DAY = 24 * 60
WIDE = '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'

# As dashboards and alerts rely on them: names here are permanent.
PROMISED = {
    "rolehawk_events_total": {"outcome"},
    "rolehawk_findings_total": {"detector", "severity", "account"},
    "rolehawk_findings_open": {"detector", "severity", "account"},
    "rolehawk_findings_closed_total": {"detector", "reason", "account"},
    "rolehawk_principals": {"kind", "account"},
    "rolehawk_sessions_total": {"origin"},
    "rolehawk_wildcard_grants": {"account"},
    "rolehawk_unused_entities": {"type"},
    "rolehawk_access_keys": {"age", "account"},
    "rolehawk_calls_total": {"credential"},
    "rolehawk_event_lateness_seconds": set(),
    "rolehawk_processing_lag_seconds": set(),
    "rolehawk_detector_seconds": {"detector"},
    "rolehawk_detector_errors_total": {"detector"},
    "rolehawk_profiles": set(),
    "rolehawk_alert_deliveries_total": {"sink", "outcome"},
    "rolehawk_watermark_timestamp_seconds": set(),
    "rolehawk_build_info": {"version"},
    "rolehawk_alert_waiting": {"sink"},
    "rolehawk_ingest_events_total": {"outcome"},
}


def measured(records: list[Json], **options: Any) -> Metrics:
    """Run records as a process does that measures."""
    metrics = Metrics(**options)
    settings = Settings()
    engine = Engine(metrics.timed(build(settings)), settings, raise_fault, metrics.changed)
    events = events_of(records)
    engine.feed(events)
    engine.tick(events[-1].at)
    metrics.arrived(events)
    metrics.applied(events)
    metrics.take_census([engine.behaviour], [engine.grants], engine.now)
    return metrics


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """List a metric's samples by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == name
    }


def test_the_names_and_labels_are_as_promised() -> None:
    """What dashboards rely on is there, by exactly that name, with exactly those labels."""
    found = {family.name: set(family.labels) for family in FAMILIES}
    assert PROMISED.items() <= found.items()


def test_the_page_says_what_the_code_counts() -> None:
    """docs/metrics.md has one row for each metric, with its sort, labels and words; and no other."""
    rows = re.findall(r"^\| `(rolehawk_\w+)` \| (\w+) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == [family.name for family in FAMILIES]
    for (_, sort, labels, text), family in zip(rows, FAMILIES, strict=True):
        assert sort == family.sort
        assert re.findall(r"`(\w+)`", labels) == list(family.labels)
        assert text == family.text
    assert f"{MAX_VALUES} values" in PAGE


def test_findings_are_counted_as_they_open_and_close() -> None:
    """Opened, open, closed by reason; opened again counts again; severity is the one in force."""
    erin = {"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}
    failures = [sign_in(erin, n, outcome="Failure") for n in range(5)]
    labels = "console-login-failures", "medium", ACCOUNT
    metrics = measured(failures)
    assert samples(metrics, "rolehawk_findings_total")[labels] == 1
    assert samples(metrics, "rolehawk_findings_open")[labels] == 1
    later = [sign_in(erin, 2 * DAY + n, outcome="Failure") for n in range(5)]
    metrics = measured([*failures, *later, record("ListUsers", user("dora"), 9 * DAY)])
    assert samples(metrics, "rolehawk_findings_total")[labels] == 2
    assert samples(metrics, "rolehawk_findings_open")[labels] == 0
    assert samples(metrics, "rolehawk_findings_closed_total")["console-login-failures", "quiet", ACCOUNT] == 2


def test_suppressed_and_shadow_findings_are_not_open() -> None:
    """What is accepted counts as closed once; what is in shadow counts for nothing."""
    (found,) = findings([record("ListUsers", root("AKIAEXAMPLEROOT00001"))], only="root-use")
    metrics = Metrics()
    metrics.changed(msgspec.structs.replace(found, close_reason="accepted"))
    metrics.changed(msgspec.structs.replace(found, finding_id="2", stage="shadow"))
    assert samples(metrics, "rolehawk_findings_total") == {}
    assert samples(metrics, "rolehawk_findings_closed_total") == {("root-use", "accepted", ACCOUNT): 1}


def test_what_was_open_before_a_restart_is_open() -> None:
    """Stored findings are taken up: open ones count as open, and not as new."""
    found = findings([record("ListUsers", root("AKIAEXAMPLEROOT00001"))], only="root-use")
    metrics = Metrics()
    metrics.known(found)
    assert list(samples(metrics, "rolehawk_findings_open").values()) == [1]
    assert samples(metrics, "rolehawk_findings_total") == {}
    metrics.changed(msgspec.structs.replace(found[0], close_reason="quiet", revision=2))
    assert list(samples(metrics, "rolehawk_findings_open").values()) == [0]


def test_calls_sessions_and_principals() -> None:
    """Calls by credential, sessions by how they made their first call, principals by kind and account."""
    metrics = measured([
        *(instance_call(n) for n in range(3)),
        record("ListUsers", user("erin", key="AKIAEXAMPLE000000001"), 4, userAgent="aws-cli/2.15.0 md/awscrt#0.19"),
        record("ListUsers", root("AKIAEXAMPLEROOT00001"), 5),
        record("Decrypt", service("lambda.amazonaws.com"), 6),
        sign_in(user("dora", key=None), 7),
        record("ListBuckets", role("other", "x", account=OTHER_ACCOUNT), 8),
    ])  # fmt: skip
    assert samples(metrics, "rolehawk_calls_total") == {
        ("temporary",): 4, ("long_lived",): 1, ("root",): 1, ("service",): 1,
    }  # fmt: skip
    origins = samples(metrics, "rolehawk_sessions_total")
    assert (origins["cli",], origins["console",], origins["service",]) == (1, 1, 1)
    principals = samples(metrics, "rolehawk_principals")
    assert principals["machine", ACCOUNT] == 1
    assert principals["machine", "none"] == 1
    assert sum(principals.values()) == 6 == samples(metrics, "rolehawk_profiles")[()]


def test_the_census_follows_what_there_is() -> None:
    """Wildcard grants in force come and go, keys grow old, entities fall out of use."""
    grant = {"roleName": "web", "policyName": "p", "policyDocument": WIDE}
    put = record("PutRolePolicy", user("erin"), 1, eventSource="iam.amazonaws.com", requestParameters=grant)
    key = record("GetObject", user("robot", key="AKIAEXAMPLE000000009"), 2)
    metrics = measured([put, key])
    assert samples(metrics, "rolehawk_wildcard_grants") == {(ACCOUNT,): 1}
    assert samples(metrics, "rolehawk_access_keys")["0-30d", ACCOUNT] >= 1
    assert samples(metrics, "rolehawk_unused_entities") == {}
    taken = record(
        "DeleteRolePolicy", user("erin"), 100 * DAY, eventSource="iam.amazonaws.com", requestParameters=grant
    )
    metrics = measured([put, key, taken])
    assert samples(metrics, "rolehawk_wildcard_grants") == {(ACCOUNT,): 0}
    assert samples(metrics, "rolehawk_access_keys")["90-180d", ACCOUNT] >= 1
    assert samples(metrics, "rolehawk_unused_entities") == {("user",): 1}


def test_a_gauge_that_is_no_more_is_zero() -> None:
    """A label that once counted something goes to 0, and does not vanish."""
    metrics = Metrics()
    engine = Engine(build(Settings()))
    engine.feed(events_of([record("GetObject", user("robot"), 0), record("GetObject", user("other"), 91 * DAY)]))
    metrics.take_census([engine.behaviour], [], engine.now)
    assert samples(metrics, "rolehawk_unused_entities") == {("user",): 1}
    engine.feed(events_of([record("GetObject", user("robot"), 91 * DAY + 1)]))
    metrics.take_census([engine.behaviour], [], engine.now)
    assert samples(metrics, "rolehawk_unused_entities") == {("user",): 0}


def test_lateness_is_a_histogram() -> None:
    """Each event lies in the bucket of the time that it took to come."""
    events = events_of([record("ListUsers", user("erin"), n) for n in range(3)])
    metrics = Metrics(now=lambda: float(events[-1].at + 61))
    metrics.arrived(events)
    metrics.applied(events)
    buckets = samples(metrics, "rolehawk_event_lateness_seconds_bucket")
    assert (buckets["60.0",], buckets["120.0",], buckets["300.0",], buckets["+Inf",]) == (0, 1, 3, 3)
    assert samples(metrics, "rolehawk_event_lateness_seconds_sum")[()] == 61 + 121 + 181
    assert samples(metrics, "rolehawk_processing_lag_seconds")[()] == 61


def test_detectors_are_timed_and_their_faults_counted() -> None:
    """Each detector has its seconds, those that looked some; one that raises is named."""
    metrics = measured([record("ListUsers", root("AKIAEXAMPLEROOT00001"))])
    seconds = samples(metrics, "rolehawk_detector_seconds")
    assert seconds["root-use",] > 0
    assert len(seconds) == len(build(Settings()))
    metrics.failed(Fault("root-use", None, "KeyError: 'x'"))
    assert samples(metrics, "rolehawk_detector_errors_total") == {("root-use",): 1}


def test_hostile_values_do_not_become_labels(whole_finding: Finding) -> None:
    """A hundred thousand accounts, detectors, sinks, keys: a label has its bound, all further ones are `other`."""
    metrics = Metrics()
    for n in range(100_000):
        account = f"{n:012d}" if n % 2 else f'"}} evil{{x="\n{n}'
        metrics.changed(msgspec.structs.replace(whole_finding, finding_id=str(n), account_id=account))
        metrics.count("rolehawk_alert_deliveries_total", 1, f"sink{n}", f"outcome\\{n}")
    opened = samples(metrics, "rolehawk_findings_total")
    assert len({labels[2] for labels in opened}) == MAX_VALUES + 1
    assert sum(opened.values()) == 100_000
    assert opened["root-use", "medium", OTHER] == 100_000 - MAX_VALUES
    assert len(samples(metrics, "rolehawk_alert_deliveries_total")) <= MAX_VALUES + 1
    assert sum(len(family.samples) for family in metrics.collect()) < 1_000


def test_hostile_events_do_not_become_labels() -> None:
    """Accounts, users, keys, agents and addresses by the thousand leave the scrape as small as it was."""
    records = [
        record("GetObject", {"type": "IAMUser", "arn": f"arn:aws:iam::{n:012d}:user/{n}", "accountId": f"{n:012d}",
                             "userName": str(n), "accessKeyId": f"AKIA{n:016d}"}, n / 100,
               userAgent=f"agent/{n}", recipientAccountId=f"{n:012d}")
        for n in range(3_000)
    ]  # fmt: skip
    metrics = measured(records)
    counts = {family.name: len(family.samples) for family in metrics.collect()}
    assert max(counts.values()) <= 2 * MAX_VALUES + 2
    assert not any(
        "AKIA" in value for family in metrics.collect() for sample in family.samples for value in sample.labels.values()
    )


@pytest.fixture
def whole_finding() -> Finding:
    """Give a finding that is open."""
    (found,) = findings([record("ListUsers", root("AKIAEXAMPLEROOT00001"))], only="root-use")
    return msgspec.structs.replace(found, severity="medium")


def test_a_scrape_over_http_gives_what_there_is() -> None:
    """Prometheus' own parser reads every metric from /metrics, and nothing is left open afterwards."""
    metrics = measured([record("ListUsers", root("AKIAEXAMPLEROOT00001"))])
    with served(metrics, "127.0.0.1", 0) as port:
        for _ in range(2):
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
                text = response.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for family in FAMILIES:
        assert family.name.removesuffix("_total") in families
    assert families["rolehawk_findings"].type == "counter"
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30)


def test_a_port_that_is_taken_is_an_error() -> None:
    """A second server on one port is refused."""
    with (
        served(Metrics(), "127.0.0.1", 0) as port,
        pytest.raises(OSError, match="in use"),
        served(Metrics(), "127.0.0.1", port),
    ):
        pass


def test_unused_counts_from_the_last_use() -> None:
    """A day short of 90 is in use."""
    engine = Engine(build(Settings()))
    engine.feed(events_of([record("GetObject", user("robot"))]))
    for days, unused in ((90, {}), (91, {("user",): 1})):
        metrics = Metrics()
        metrics.take_census([engine.behaviour], [], engine.now + days * DAY_S)
        assert samples(metrics, "rolehawk_unused_entities") == unused
