"""The five dashboards: what each asks, and why one would look at it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from grafana.panels import GOOD_BELOW, SOURCE, Query, bars, number, over_time, rows
from grafana.queries import grown, rate, selector, share, standing
from models.detectors import REGISTRY

TAG: Final = "rolehawk"
OPEN: Final = "rolehawk_findings_open"
NEW: Final = "rolehawk_findings_total"
CLOSED: Final = "rolehawk_findings_closed_total"
RUNBOOK: Final = ("Runbook", "${docs}/detectors.md#${__value.raw}")

Panel = Builder[model.Panel]
Section = tuple[str, Iterable[Panel]]


def boards() -> list[model.Dashboard]:
    """Make all dashboards."""
    return [overview(), principals(), grants(), keys(), pipeline()]


def overview() -> model.Dashboard:
    """Make the first one: what is open, what is new, and whether it is getting better or worse."""
    week = f"({standing(OPEN)} or vector(0)) - ({standing(OPEN, ago='7d')} or vector(0))"
    return _board(
        "overview",
        "Overview",
        "Findings: what is open, what is new, and whether it is getting better or worse.",
        "now-30d",
        (
            "Now",
            [
                number("Open findings", "Findings that are open, by severity.",
                       Query(standing(OPEN, "severity"), "{{severity}}"), width=12),
                number("New in 24 hours", "Findings that opened in the last 24 hours.", Query(grown(NEW)),
                       steps=GOOD_BELOW),
                number("Against a week ago", "Open findings now, less those that were open a week ago: below zero is better.",
                       Query(week), steps=(("green", None), ("orange", 1.0)), is_change=True),
            ],
        ),
        (
            "Better or worse",
            [
                over_time("Open findings over time", "How many are open, by severity. Rising is worse.",
                          Query(standing(OPEN, "severity"), "{{severity}}"), is_stacked=True),
                over_time("Opened and closed", "Findings that opened and that closed within a day: more closed than opened is better.",
                          Query(grown(NEW), "opened"), Query(grown(CLOSED), "closed")),
                over_time("New by severity", "Findings that opened within a day.",
                          Query(grown(NEW, "severity"), "{{severity}}"), is_stacked=True),
                over_time("Why findings closed", "quiet: no further evidence; resolved: what it named is no more; superseded: explained by later events; accepted: suppressed.",
                          Query(grown(CLOSED, "reason"), "{{reason}}"), is_stacked=True),
            ],
        ),
        (
            "Which",
            [
                rows("Open findings by detector", "What is open where. The detector's name leads to its runbook, the account to what it grants.",
                     Query(f"{standing(OPEN, 'severity, detector, account')} > 0"), value="open",
                     links={"detector": RUNBOOK, "account": ("Grants", "/d/rolehawk-grants?var-account=${__value.raw}&${datasource:queryparam}&${__url_time_range}")}),
            ],
        ),
    )  # fmt: skip


def principals() -> model.Dashboard:
    """Who is human and who machine, and where one is used as the other."""
    people = "rolehawk_principals"
    return _board(
        "principals",
        "Principals",
        "Who is human and who machine, who is both, and who is not known; and machine roles in the console.",
        "now-30d",
        (
            "Who",
            [
                number("Principals", "Whoever acted or was assumed, by kind.",
                       Query(standing(people, "kind"), "{{kind}}"), width=12),
                number("Used by both", "Principals that people and machines use alike: give each side one of its own.",
                       Query(standing(people, matchers='kind="mixed"')), steps=GOOD_BELOW),
                number("Not known", "The share of principals of which no evidence says what they are.",
                       Query(share(standing(people, matchers='kind="unknown"'), standing(people))), unit="percentunit",
                       steps=(("green", None), ("orange", 0.2))),
                over_time("Principals by kind", "How many of each kind are known.",
                          Query(standing(people, "kind"), "{{kind}}"), is_stacked=True),
                bars("Used by both, by account", "Where people and machines share principals.",
                     Query(standing(people, "account", 'kind="mixed"'), "{{account}}")),
            ],
        ),
        (
            "Sessions",
            [
                over_time("Sessions by origin", "Sessions that began within a day, by how they were used.",
                          Query(grown("rolehawk_sessions_total", "origin", by_account=False), "{{origin}}"), is_stacked=True),
                bars("Unused for 90 days", "Users, roles and keys last used over 90 days ago, by type: what nobody uses, nobody misses.",
                     Query(standing("rolehawk_unused_entities", "type", by_account=False), "{{type}}")),
            ],
        ),
        (
            "One used as the other",
            [
                over_time("Machine roles in the console", "Sessions of machines' roles that were used from the console, that began within a day, by account.",
                          Query(grown(NEW, "account", 'detector="machine-role-console"'), "{{account}}"), is_bars=True),
                over_time("Behaviour that does not fit", "Findings that opened within a day and say that an entity behaves as the other kind, or is shared.",
                          Query(grown(NEW, "detector", _detectors("behaviour", "console")), "{{detector}}"), is_stacked=True),
            ],
        ),
    )  # fmt: skip


def grants() -> model.Dashboard:
    """Where grants are too broad, and who granted them past the pipeline."""
    wildcards, of_grants = "rolehawk_wildcard_grants", _detectors("grants", "guardrails")
    change = f"({standing(wildcards)} or vector(0)) - ({standing(wildcards, ago='7d')} or vector(0))"
    return _board(
        "grants",
        "Grants",
        "Where a grant has become too broad, who made it, and which guardrails were touched.",
        "now-30d",
        (
            "Now",
            [
                number("Wildcard grants", "Policies in force that break one of the rules W1 to W7.",
                       Query(standing(wildcards)), steps=GOOD_BELOW, width=8),
                number("Against a week ago", "Wildcard grants now, less those of a week ago: below zero is better.",
                       Query(change), steps=(("green", None), ("orange", 1.0)), is_change=True, width=8),
                number("Open on grants and guardrails", "By severity.",
                       Query(standing(OPEN, "severity", of_grants), "{{severity}}"), width=8),
                over_time("Wildcard grants over time", "By account. Rising is worse.",
                          Query(standing(wildcards, "account"), "{{account}}"), is_stacked=True),
                bars("Wildcard grants by account", "Where they are now.", Query(standing(wildcards, "account"), "{{account}}")),
            ],
        ),
        (
            "Changes",
            [
                over_time("New grants that were found too broad", "Findings on grants that opened within a day, by detector.",
                          Query(grown(NEW, "detector", _detectors("grants")), "{{detector}}"), is_bars=True),
                over_time("Guardrails touched", "Findings on trails, identity providers and other guardrails that opened within a day, by detector.",
                          Query(grown(NEW, "detector", _detectors("guardrails")), "{{detector}}"), is_bars=True),
                rows("Open findings on grants and guardrails", "What is open where. The detector's name leads to its runbook.",
                     Query(f"{standing(OPEN, 'severity, detector, account', of_grants)} > 0"), value="open",
                     links={"detector": RUNBOOK}),
            ],
        ),
    )  # fmt: skip


def keys() -> model.Dashboard:
    """How old access keys are, and whether people and machines move on to temporary credentials."""
    ages, calls = "rolehawk_access_keys", "rolehawk_calls_total"
    old = standing(ages, matchers='age=~"90-180d|180d[+]"')
    temporary = rate(calls, matchers='credential="temporary"')
    both = rate(calls, matchers='credential=~"temporary|long_lived"')
    return _board(
        "keys",
        "Keys",
        "Long-lived access keys: how many, how old, and how much is still called with them.",
        "now-30d",
        (
            "Now",
            [
                number("Access keys by age", "Keys that are active, by the days since they were made.",
                       Query(standing(ages, "age"), "{{age}}"), width=12),
                number("Older than 90 days", "The share of keys that are due for rotation.", Query(share(old, standing(ages))),
                       unit="percentunit", steps=(("green", None), ("orange", 0.2))),
                number("Temporary credentials", "The share of calls by users and roles that are made with temporary credentials: rising is better.",
                       Query(share(temporary, both)), unit="percentunit",
                       steps=(("orange", None), ("green", 0.9))),
                over_time("Access keys by age over time", "Keys that are active.", Query(standing(ages, "age"), "{{age}}"),
                          is_stacked=True),
                bars("Keys older than 180 days, by account", "Where to begin.",
                     Query(standing(ages, "account", 'age="180d+"'), "{{account}}")),
            ],
        ),
        (
            "Use",
            [
                over_time("Calls by credential", "Calls a second, by what they were signed with.",
                          Query(rate(calls, "credential"), "{{credential}}"), unit="reqps", is_stacked=True),
                over_time("Findings on keys", "Findings on keys, passwords and MFA that opened within a day, by detector.",
                          Query(grown(NEW, "detector", _detectors("keys", "use")), "{{detector}}"), is_bars=True),
                rows("Open findings on keys", "What is open where. The detector's name leads to its runbook.",
                     Query(f"{standing(OPEN, 'severity, detector, account', _detectors('keys', 'use'))} > 0"), value="open",
                     links={"detector": RUNBOOK}),
            ],
        ),
    )  # fmt: skip


def pipeline() -> model.Dashboard:
    """Whether rolehawk itself is well: what comes in, how late, what is refused, what each part takes."""
    events, late = "rolehawk_events_total", "rolehawk_event_lateness_seconds_bucket"
    rejected = share(rate(events, matchers='outcome="rejected"'), rate(events))
    quantile = f"sum by (le) (rate({late}[$__rate_interval]))"
    return _board(
        "pipeline",
        "Pipeline health",
        "Whether rolehawk sees everything, in time: events, lag, rejects, detectors, deliveries.",
        "now-6h",
        (
            "Now",
            [
                number("Events a second", "Events that were filed, whatever became of them.", Query(rate(events)), unit="eps"),
                number("Rejected", "The share of records that could not be read: what they tell is not looked at.", Query(rejected),
                       unit="percentunit", steps=(("green", None), ("orange", 0.0001), ("red", 0.05))),
                number("Behind", "How long ago the last event that was looked at happened, at the slowest instance. CloudTrail itself takes 5 to 15 minutes.",
                       Query("max(rolehawk_processing_lag_seconds)"), unit="s",
                       steps=(("green", None), ("orange", 1800.0), ("red", 7200.0))),
                number("Watermark", "How far behind the clock rolehawk's own time is, at the slowest instance.",
                       Query("time() - min(rolehawk_watermark_timestamp_seconds)"), unit="s",
                       steps=(("green", None), ("orange", 5400.0), ("red", 14400.0))),
            ],
        ),
        (
            "Events",
            [
                over_time("Events by outcome", "accepted; duplicate: delivered twice; rejected: could not be read; ignored: digests and Insights.",
                          Query(rate(events, "outcome"), "{{outcome}}"), unit="eps", is_stacked=True),
                over_time("Brought in", "What the ingest put into Kafka.",
                          Query(rate("rolehawk_ingest_events_total", "outcome"), "{{outcome}}"), unit="eps", is_stacked=True),
                over_time("Lag by instance", "How long ago the last event that was looked at happened.",
                          Query("max by (instance) (rolehawk_processing_lag_seconds)", "{{instance}}"), unit="s"),
                over_time("Lateness of events", "How long events take from when they happened until they are here.",
                          *(Query(f"histogram_quantile({q}, {quantile})", f"{name} of events within")
                            for q, name in ((0.5, "half"), (0.99, "99 %"))), unit="s"),
            ],
        ),
        (
            "Inside",
            [
                over_time("Time by detector", "Seconds of work a second, the ten detectors that take most.",
                          Query(f"topk(10, {rate('rolehawk_detector_seconds', 'detector')})", "{{detector}}"), unit="percentunit"),
                over_time("Detectors that failed", "Events at which a detector raised, within an hour: findings of it may be missing.",
                          Query(grown("rolehawk_detector_errors_total", "detector", window="1h", by_account=False), "{{detector}}"), is_bars=True),
                over_time("Profiles", "Entities that are known, by instance.",
                          Query(f"sum by (instance) ({selector('rolehawk_profiles', by_account=False)})", "{{instance}}")),
                over_time("Late events", "Events applied later than the allowance, within an hour: detectors that need order may judge them wrongly.",
                          Query(grown("rolehawk_late_events_total", window="1h", by_account=False), "late")),
            ],
        ),
        (
            "Alerts",
            [
                over_time("Deliveries", "What `rolehawk alert` told its sinks, within an hour: delivered, repeated, held for a digest, failed and to be tried again, refused.",
                          Query(grown("rolehawk_alert_deliveries_total", "sink, outcome", window="1h", by_account=False), "{{sink}} {{outcome}}"), is_bars=True),
                over_time("Waiting to be told", "What is due to a sink or held for its digest: what rises here does not reach anybody.",
                          Query("sum by (sink) (rolehawk_alert_waiting)", "{{sink}}")),
                rows("Firing", "Alerts of rolehawk's rules that fire now. The name leads to what to do.",
                     Query('sum by (alertname, severity) (ALERTS{alertname=~"Rolehawk.*",alertstate="firing"})'), value="firing",
                     links={"alertname": ("What to do", "${docs}/alerts-and-dashboards.md")}, width=12),
                rows("Versions", "Which rolehawk runs where.", Query("max by (instance, version) (rolehawk_build_info)"), value="is up", links={}, width=12),
            ],
        ),
    )  # fmt: skip


def _detectors(*families: str) -> str:
    """Match the detectors of families."""
    names = sorted(each.name for each in REGISTRY if each.family in families)
    return f'detector=~"{"|".join(names)}"'


def _board(uid: str, title: str, description: str, since: str, *sections: Section) -> model.Dashboard:
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    board = (
        dashboard.Dashboard(f"rolehawk: {title}")
        .uid(f"rolehawk-{uid}")
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .time(since, "now")
        .refresh("1m")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").description("Where the metrics are.").type("prometheus")
        )
        .with_variable(
            dashboard.QueryVariable("account")
            .label("Account")
            .description("AWS accounts; beyond 200 they are one, other.")
            .datasource(SOURCE)
            .query({"query": 'label_values({__name__=~"rolehawk_(findings_open|principals|access_keys|wildcard_grants)"}, account)', "refId": "accounts"})
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(everything)
        )
        .with_variable(
            dashboard.TextBoxVariable("docs").label("Docs").description("Where rolehawk's docs are served.").default_value("docs")
        )
        .link(
            dashboard.DashboardLink("rolehawk").type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).include_vars(True).keep_time(True)
        )
        .link(
            dashboard.DashboardLink("What to do").type(model.DashboardLinkType.LINK).url("${docs}/alerts-and-dashboards.md").target_blank(True)
        )
    )  # fmt: skip
    for name, panels in sections:
        board = board.with_row(dashboard.Row(name))
        for panel in panels:
            board = board.with_panel(panel)
    made = board.build()
    for place, each in enumerate(made.panels or [], 1):
        each.id_val = place
    return made
