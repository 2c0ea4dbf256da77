"""Routes: which sinks a finding is told to, and settings that are refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from models.finding import Class, Severity
from models.paging import routed
from models.routes import ClassLabel, SeverityLabel
from models.settings import SettingsError, parse_settings
from tests.findings import finding

SINKS = "\n".join(f'[sinks.{name}]\ntype = "pagerduty"\nrouting_key_env = "K"' for name in ("one", "two", "three"))


def told(routes: str, **changes: Any) -> list[str]:
    """List the sinks that a finding is told to."""
    organisation = '[organisation.accounts.111122223333]\nowner = "platform"\n'
    return routed(finding(**changes), parse_settings(f"{routes}\n{organisation}{SINKS}"))


@pytest.mark.parametrize(
    ("route", "is_met"),
    [
        ("", True),
        ('severity = "high"', True),
        ('severity = "critical"', False),
        ('account = "111122223333"', True),
        ('account = ["999988887777", "111122223333"]', True),
        ('account = "999988887777"', False),
        ('owner = "platform"', True),
        ('owner = "data"', False),
        ('detector = "machine-*"', True),
        ('detector = ["root-use", "machine-role-console"]', True),
        ('detector = "machine"', False),
        ('class = "workload"', True),
        ('class = ["human", "unknown"]', False),
        ('severity = "low"\nowner = "platform"\nclass = "workload"', True),
        ('severity = "low"\nowner = "platform"\nclass = "human"', False),
    ],
)
def test_a_route_matches_by_all_that_it_names(route: str, is_met: bool) -> None:
    """Severity from its level up; of a list any one; of several keys all."""
    assert told(f'[[routes]]\nsink = "one"\n{route}') == (["one"] if is_met else [])


def test_all_routes_that_match_count() -> None:
    """Each sink is named once, whatever the order of the routes."""
    routes = (
        '[[routes]]\nsink = ["one", "two"]\n[[routes]]\nsink = "two"\n[[routes]]\nsink = "three"\nseverity = "critical"'
    )
    assert told(routes) == ["one", "two"]
    assert told(routes, severity="critical") == ["one", "two", "three"]


def test_what_is_not_known_matches_no_name() -> None:
    """A finding without account, owner or class is told only where none is asked for."""
    nobody: Any = {"account_id": None, "entity": {"arn": "b", "type": "bucket", "class": None, "class_tier": None}}
    for key, value in (("account", "111122223333"), ("owner", "platform"), ("class", "unknown")):
        assert told(f'[[routes]]\nsink = "one"\n{key} = "{value}"', **nobody) == []
    assert told('[[routes]]\nsink = "one"', **nobody) == ["one"]


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ('[[routes]]\nsink = "no"', "routes, number 1: sink: there is no [sinks.no]"),
        ("[[routes]]\nsink = []", "routes, number 1: sink: names none"),
        ('[[routes]]\nsink = "a"\nserverity = "low"', "routes.serverity: unknown key; the nearest known is 'severity'"),
        ('[[routes]]\nsink = "a"\nseverity = "urgent"', "routes[0].severity: Invalid enum value 'urgent'"),
        ('[[routes]]\nsink = "a"\nclass = "robot"', "routes[0].class: Invalid enum value 'robot'"),
        ('[sinks.a]\ntype = "pager"', "sinks.a.type: must be one of pagerduty, alertmanager, webhook"),
        ('[sinks.a]\nurl = "https://x.example.com"', "sinks.a.type: must be one of"),
        ('[sinks.a]\ntype = "pagerduty"\nrouting_key = "k"', "sinks.a.routing_key: unknown key; the nearest known is"),
        ('[sinks.a]\ntype = "alertmanager"', "sinks.a: Object missing required field `url`"),
        ('[sinks.a]\ntype = "alertmanager"\nurl = "http://am.example.com"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "alertmanager"\nurl = "http://am"\nplain_http = true\nbearer_token_env = "T"', "sinks.a.url: must"),
        ('[sinks.a]\ntype = "webhook"\nurl = "http://127.0.0.1.example.com"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "webhook"\nurl = "https://me:secret@x.example.com"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "webhook"\nurl = "ftp://x"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "webhook"\nurl = "https://x:99999"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "webhook"\nurl = "https://x\\n"', "sinks.a.url: must be https"),
        ('[sinks.a]\ntype = "pagerduty"\napi_url = "http://api.example.com"', "sinks.a.api_url: must be https"),
        ('[sinks.a]\ntype = "pagerduty"\nproxy = "socks5://p:1"', "sinks.a.proxy: must be http"),
        ('[sinks.a]\ntype = "pagerduty"\ntimeout_s = 0', "sinks.a.timeout_s: Expected `float` >= 0.1"),
        ('[sinks."a b"]\ntype = "pagerduty"', "sinks.a b: a name is"),
        ("[alert]\nmax_age_hours = 0", "alert.max_age_hours: Expected `float` > 0"),
        ('[alert]\nrunbook_url = "https://x/{name}"', "alert.runbook_url: {name} is none of {detector}"),
        ('[alert]\ndashboard_url = "javascript:alert(1)"', "alert.dashboard_url: must begin with https://"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(toml: str, complaint: str) -> None:
    """Routes that lead nowhere, secrets in the settings, addresses in the clear: an error that names the key."""
    with pytest.raises(SettingsError) as error:
        parse_settings(toml)
    assert complaint in str(error.value)
    assert "secret" not in str(error.value)


def test_an_alertmanager_nearby_may_be_plain() -> None:
    """Plain http is for this machine, or where it is asked for."""
    for url in ("http://127.0.0.1:9093", "http://localhost:9093", "http://[::1]:9093", "https://am.example.com/prefix"):
        assert parse_settings(f'[sinks.a]\ntype = "alertmanager"\nurl = "{url}"').sinks
    assert parse_settings('[sinks.a]\ntype = "alertmanager"\nurl = "http://am:9093"\nplain_http = true').sinks


def test_names_are_the_models() -> None:
    """Severities and classes are spelled out in the routes, which know no findings; they agree."""
    assert list(get_args(SeverityLabel)) == [each.label for each in reversed(Severity)]
    assert set(get_args(ClassLabel)) == set(get_args(Class))
