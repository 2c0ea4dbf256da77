"""Every query of every dashboard and rule, on a real Prometheus: a live scrape, and sixty days of loaded history."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from models.desks.tray import Fault
from models.detectors import build
from models.engine import Engine
from models.settings import Settings
from streams.metrics import Metrics, served
from streams.replay import events_of
from tests.prometheus import Answer, Prometheus, running, wait_for
from tests.test_dashboards import BOARDS

ACCOUNT: Final = "111133339999"
SAMPLE: Final = Path(__file__).parents[1] / "examples/sample-trail/AWSLogs"
QUERIES: Final = {
    f"{name}: {panel['title']} {target['refId']}": target
    for name, board in BOARDS.items()
    for panel in board["panels"]
    for target in panel.get("targets", ())
}


class Live(NamedTuple):
    """A Prometheus that has scraped a worker for a while."""

    prometheus: Prometheus
    since: float
    until: float


def filled(query: str, *, account: str = ".*", rate_interval: str = "15s") -> str:
    """Fill in a query's variables as Grafana does."""
    return query.replace("$account", account).replace("$__rate_interval", rate_interval)


def worked() -> Metrics:
    """Give the metrics of a process that has worked through the sample trail, and met all that can be met."""
    metrics = Metrics()
    engine = Engine(metrics.timed(build(Settings())), Settings(), metrics.failed, metrics.changed)
    events = sorted(events_of([str(SAMPLE)]), key=lambda event: (event.at, event.rank, event.event_id))
    engine.feed(events)
    engine.tick(events[-1].at)
    metrics.arrived(events)
    metrics.applied(events)
    metrics.take_census([engine.behaviour], [engine.grants], engine.now)
    metrics.failed(Fault("root-use", None, "KeyError: 'x'"))
    # What takes longer to become true than the sample trail lasts.
    metrics.count("rolehawk_access_keys", 2, "90-180d", ACCOUNT)
    metrics.count("rolehawk_access_keys", 1, "180d+", ACCOUNT)
    metrics.count("rolehawk_unused_entities", 4, "user")
    metrics.count("rolehawk_findings_open", 1, "key-for-another", "high", ACCOUNT)
    metrics.count("rolehawk_alert_waiting", 1, "pagerduty")
    return metrics


def work_on(metrics: Metrics) -> None:
    """Let a little more happen, as it does between two scrapes."""
    for outcome in ("accepted", "duplicate", "rejected", "ignored"):
        metrics.count("rolehawk_events_total", 5, outcome)
    for outcome in ("accepted", "rejected"):
        metrics.count("rolehawk_ingest_events_total", 5, outcome)
    for outcome in ("delivered", "failed"):
        metrics.count("rolehawk_alert_deliveries_total", 1, "pagerduty", outcome)
    for credential in ("temporary", "long_lived"):
        metrics.count("rolehawk_calls_total", 3, credential)
    metrics.count("rolehawk_late_events_total", 1)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Scrape a worker until an alert fires and its counters have been seen to grow."""
    metrics = worked()
    since = time.time()
    with (
        served(metrics, "127.0.0.1", 0) as port,
        running(tmp_path_factory.mktemp("prometheus"), port) as prometheus,
    ):

        def has_seen_enough() -> bool:
            work_on(metrics)
            seen = prometheus.at("count_over_time(rolehawk_ingest_events_total[1m])", time.time()).series
            firing = prometheus.at('ALERTS{alertstate="firing"}', time.time()).series
            return bool(firing) and bool(seen) and min(int(each["value"][1]) for each in seen) > 5

        wait_for(has_seen_enough)
        yield Live(prometheus, since, time.time())


def asked(live: Live, target: dict[str, Any], **variables: str) -> Answer:
    """Ask what a panel asks."""
    query = filled(target["expr"], **variables)
    if target.get("instant"):
        return live.prometheus.at(query, live.until)
    return live.prometheus.over(query, live.since, live.until, 1)


def test_panels_show_what_is_scraped(live: Live) -> None:
    """With all accounts no query of a panel fails and none is empty."""
    answers = {name: asked(live, target) for name, target in QUERIES.items()}
    assert len(answers) > 40
    assert {name: answer.error for name, answer in answers.items() if not answer.series} == {}


def test_panels_can_be_asked_of_some_accounts(live: Live) -> None:
    """With two accounts chosen no query fails."""
    some = f"({ACCOUNT}|222211114444)"
    answers = {name: asked(live, target, account=some) for name, target in QUERIES.items()}
    assert {name: answer.error for name, answer in answers.items() if answer.error} == {}


def test_accounts_can_be_chosen(live: Live) -> None:
    """The variable lists the accounts of the trail."""
    answer = live.prometheus.ask(
        "/api/v1/label/account/values",
        **{"match[]": '{__name__=~"rolehawk_(findings_open|principals|access_keys|wildcard_grants)"}'},
    )
    assert {ACCOUNT, "222211114444"} <= set(answer["data"])


def test_every_rule_is_evaluated(live: Live) -> None:
    """No rule fails on real metrics, and what should fire fires."""
    groups = live.prometheus.ask("/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}
    firing = {rule["name"] for rule in rules if rule.get("state") == "firing"}
    assert {"RolehawkCriticalFinding", "RolehawkDetectorErrors", "RolehawkRejects"} <= firing
