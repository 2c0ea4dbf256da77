"""rolehawk.toml: what it takes, and how it refuses."""

from __future__ import annotations

import pytest

from models.detectors import build
from models.settings import Context, SettingsError, parse_settings

FULL = """
[organisation]
id = "o-example"
management_account = "111122223333"
accounts = {"111122223333" = {name = "production", environment = "prod", owner = "platform"}}
trusted_accounts = {"999988887777" = "vendor"}

[networks]
office = ["203.0.113.0/24", "2001:db8::/48"]
vpn = ["198.51.100.7"]

[people]
break_glass = ["arn:aws:iam::*:user/break-glass-*"]

[pipelines]
roles = ["arn:aws:iam::*:role/deploy-*"]

[scanners]
entities = ["arn:aws:iam::*:role/audit"]

[canaries]
keys = ["AKIAEXAMPLECANARY001"]

[detectors.machine-role-console]
severity = "critical"
min_workload_sessions = 2

[detectors.root-use]
enabled = false

[detectors.console-login-failures]
stage = "shadow"
quiet_hours = 6
window_minutes = 30
"""


def test_all_of_it_is_taken() -> None:
    """Every section is read, and detectors are tuned by it."""
    settings = parse_settings(FULL)
    rules = {rule.detector.name: rule for rule in build(settings)}
    assert settings.organisation.accounts["111122223333"].owner == "platform"
    assert "root-use" not in rules
    assert rules["machine-role-console"].tuning.severity == "critical"
    assert rules["console-login-failures"].tuning.stage == "shadow"
    context = Context(settings)
    assert context.is_known_network("203.0.113.77")
    assert context.is_known_network("2001:db8::1")
    assert context.is_known_network("198.51.100.7")
    assert not context.is_known_network("203.0.114.1")
    assert not context.is_known_network("cloudformation.amazonaws.com")
    assert not context.is_known_network(None)
    assert context.is_break_glass("arn:aws:iam::111122223333:user/break-glass-1")
    assert not context.is_break_glass("arn:aws:iam::111122223333:user/erin")


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        ("[organization]", "rolehawk.toml: organization: unknown key; the nearest known is 'organisation'"),
        ("[networks]\nofice = []", "networks.ofice: unknown key; the nearest known is 'office'"),
        ('[organisation]\naccounts = {"1" = {nme = "x"}}', "organisation.accounts.1.nme: unknown key; the nearest known is 'name'"),
        ("[detectors.machine-role-consle]", "detectors.machine-role-consle: unknown key; the nearest known is 'machine-role-console'"),
        ("[detectors.root-use]\nsevrity = 'low'", "detectors.root-use.sevrity: unknown key; the nearest known is 'severity'"),
        ("[detectors.root-use]\nseverity = 'urgent'", "detectors.root-use.severity: 'urgent' is no severity: critical, high"),
        ("[detectors.root-use]\nstage = 'off'", "detectors.root-use.stage: Invalid enum value 'off'"),
        ("[detectors.root-use]\nquiet_hours = 0", "detectors.root-use.quiet_hours: Expected `float` > 0"),
        ("[detectors.machine-role-console]\nmin_workload_sessions = '2'", "detectors.machine-role-console.min_workload_sessions: Expected `int`"),
        ("[detectors.machine-role-console]\nmin_workload_sessions = 99", "min_workload_sessions: Expected `int` <"),
        ("[networks]\noffice = ['300.1.1.1/8']", "networks.office: '300.1.1.1/8' does not appear to be an IPv4 or IPv6 network"),
        ("[networks]\noffice = '10.0.0.0/8'", "networks.office: Expected `array`"),
        ("detectors = 1", "detectors: Expected `object`"),
        ("a = [", "rolehawk.toml: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(toml: str, complaint: str) -> None:
    """An unknown key, a bad value and broken TOML each name file and key, and the nearest known key."""
    with pytest.raises(SettingsError) as error:
        build(parse_settings(toml))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


KAFKA = """
[kafka]
bootstrap = ["kafka-1.example.com:9093", "[2001:db8::1]:9092"]
sasl = {mechanism = "PLAIN", username = "rolehawk", password_env = "KAFKA_PASSWORD"}
tls = {certificate_file = "client.pem", key_file = "client.key"}

[stream]
topics = {cloudtrail = "security.cloudtrail"}
shards = 16
"""


def test_kafka_and_stream_are_taken() -> None:
    """Brokers, login, topics and shards are read; what is left out has its default."""
    settings = parse_settings(KAFKA)
    assert settings.kafka.bootstrap == ("kafka-1.example.com:9093", "[2001:db8::1]:9092")
    assert settings.kafka.sasl is not None
    assert settings.kafka.sasl.password_env == "KAFKA_PASSWORD"
    assert settings.stream.topics.cloudtrail == "security.cloudtrail"
    assert settings.stream.topics.findings == "rolehawk-findings"
    assert (settings.stream.shards, settings.stream.allowance_minutes) == (16, 15)
    assert parse_settings("").kafka.tls is None


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('kafka.bootstrap = ["kafka.example.com"]', "kafka.bootstrap: 'kafka.example.com' is no host:port"),
        ('kafka.sasl = {mechanism = "GSSAPI", username = "a", password_env = "P"}', "kafka.sasl.mechanism: Invalid"),
        ('kafka.sasl = {mechanism = "SCRAM-SHA-256", username = "a"}', "kafka.sasl: give either password_env or"),
        ('kafka.sasl = {mechanism = "PLAIN", username = "a", password_env = "P"}', "it needs [kafka.tls]"),
        ('kafka.sasl = {mechanism = "SCRAM-SHA-256", username = "a", password = "b"}', "kafka.sasl.password: unknown"),
        ('kafka.tls = {certificate_file = "a.pem"}', "kafka.tls: certificate_file and key_file go together"),
        ("kafka.tls = {verify = false}", "kafka.tls.verify: unknown key"),
        ("stream.shards = 0", "stream.shards: Expected `int` >= 1"),
        ('stream.topics = {filed = "no blanks"}', "stream.topics: 'no blanks' is no topic's name"),
        ('stream.topics = {filed = "cloudtrail"}', "stream.topics: two topics have the same name"),
    ],
)
def test_kafka_and_stream_are_checked(toml: str, words: str) -> None:
    """What Kafka could not be reached with is refused when the settings are read, with the key at fault."""
    with pytest.raises(SettingsError) as error:
        parse_settings(toml, "rolehawk.toml")
    assert words in str(error.value)
