"""PagerDuty: what it gets of a finding, within its limits, whatever stands in the finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.pagerduty import MAX_EVENT_BYTES, Mood, PagerDuty
from models.finding import Finding
from models.paging import MAX_FINDING_BYTES, bounded
from streams.alert import Courier, Desk, foreseen
from streams.ledger import Ledger
from streams.secret import SecretError
from streams.sinks import make_sinks
from streams.sources.findings import FindingError, decode
from tests.findings import KEY, NOW, finding
from tests.findings import settings as settings_of


@pytest.fixture(autouse=True)
def routing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the routing key where the settings say it is."""
    monkeypatch.setenv("ROUTING_KEY", KEY)


def tell(server: PagerDuty, *changes: Finding, extra: str = "", steps: int = 10) -> list[str]:
    """Take in changes, one after another, and tell them; gives the outcomes."""
    given, outcomes = settings_of(server.url, extra), []
    ledger, (sink,) = Ledger(None), make_sinks(given).values()

    def count(_sink: str, outcome: str, number: int) -> None:
        outcomes.extend([outcome] * number)

    courier = Courier("oncall", sink, ledger, 0, count, lambda _: None)
    for change in changes:
        Desk(given, ledger, count, lambda: NOW).take([change])
        for _ in range(steps):
            courier.step(NOW)
    courier.close()
    ledger.close()
    return outcomes


def test_a_finding_becomes_an_incident() -> None:
    """Every part of the event comes from the finding, and its id is the dedup_key."""
    links = """
    [alert]
    runbook_url = "https://wiki.example.com/{detector}"
    dashboard_url = "https://grafana.example.com/d/f?var-account={account_id}&var-finding={finding_id}"
    """
    opened = finding()
    with PagerDuty() as server:
        assert tell(server, opened, extra=links) == ["delivered"]
    (event,) = server.events()
    dashboard = f"https://grafana.example.com/d/f?var-account=111122223333&var-finding={opened.finding_id}"
    details = event["payload"].pop("custom_details")
    assert event == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": opened.finding_id,
        "client": "rolehawk",
        "client_url": dashboard,
        "links": [
            {"href": "https://wiki.example.com/machine-role-console", "text": "Runbook"},
            {"href": dashboard, "text": "Dashboard"},
        ],
        "payload": {
            "summary": opened.title,
            "source": opened.entity.arn,
            "severity": "error",
            "timestamp": opened.opened_at,
            "component": "role",
            "group": "111122223333",
            "class": "machine-role-console",
        },
    }
    assert details["summary"] == opened.summary
    assert details["actor"] == {"arn": opened.actor.arn, "class": "human", "origin": None}
    assert details["evidence"][0]["event_id"] == "e1"


def test_the_end_of_a_finding_resolves_it() -> None:
    """A closed finding resolves its incident, and one that opens again opens another."""
    with PagerDuty() as server:
        tell(server, finding(), finding(revision=2, close_reason="quiet"), finding(revision=3))
    assert [event["event_action"] for event in server.events()] == ["trigger", "resolve", "trigger"]
    assert [each.is_open for each in server.incidents] == [False, True]


def test_only_a_rise_of_severity_is_told_again() -> None:
    """More evidence is no news; a higher severity is, under the same key; a lower one is not."""
    severities = ("high", "high", "critical", "medium")
    with PagerDuty() as server:
        tell(server, *(finding(revision=n, severity=each) for n, each in enumerate(severities, 1)))
    assert [event["payload"]["severity"] for event in server.events("trigger")] == ["error", "critical"]
    assert [(each.severity, each.is_open) for each in server.incidents] == [("critical", True)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info"), ("info", "info")],
)
def test_severities_have_pagerdutys_names(ours: str, theirs: str) -> None:
    """Each severity has its counterpart, which the settings may change."""
    with PagerDuty() as server:
        tell(server, finding(severity=ours))
        tell(server, finding(severity=ours), extra='severities = {critical = "warning"}')
    first, second = (event["payload"]["severity"] for event in server.events())
    assert first == theirs
    assert second == ("warning" if ours == "critical" else theirs)


def test_what_is_old_is_a_change_event() -> None:
    """A digest wakes nobody: it goes where changes go, and says what it holds."""
    old: Any = {"opened_at": "2024-05-01T09:00:00Z", "updated_at": "2024-05-02T10:00:00Z"}
    with PagerDuty() as server:
        outcomes = tell(server, finding("a", **old), finding("b", severity="low", **old))
    assert outcomes.count("held") == 2
    assert server.incidents == []
    assert [each["payload"]["custom_details"]["count"] for each in server.changes] == [1, 1]
    assert server.changes[0]["payload"]["summary"] == (
        "1 finding not paged (1 high), 2024-05-01T09:00:00Z to 2024-05-02T10:00:00Z"
    )


def test_what_is_wrong_with_a_request_is_kept_and_not_repeated(tmp_path: Path) -> None:
    """A 400 is counted, kept with its reason, and never sent again by itself."""
    given = settings_of("http://127.0.0.1:1")
    with PagerDuty() as server:
        given = settings_of(server.url)
        (sink,) = make_sinks(given).values()
        ledger = Ledger(tmp_path)
        said: list[str] = []
        courier = Courier("oncall", sink, ledger, 0, lambda *_: None, said.append)
        Desk(given, ledger, lambda *_: None, lambda: NOW).take([finding()])
        server.moods.append(Mood(400, body=f'{{"message": "bad key {KEY}"}}'.encode()))
        for second in range(100):
            courier.step(NOW + 1_000 * second)
        assert len(server.events()) == 1
        (letter,) = ledger.dead_letters()
        assert letter.reason == '127.0.0.1: 400 Bad Request: {"message": "bad key ***"}'
        assert json.loads(bytes(letter.body))["finding_id"] == letter.key == finding().finding_id
        assert said == [f"oncall: {letter.key} refused, kept in the dead letters: {letter.reason}"]
        assert ledger.retry_dead_letters(NOW) == 1
        courier.step(NOW + 200_000)
        assert ledger.dead_letters() == []
        assert len(server.incidents) == 1
        ledger.close()
        courier.close()


HOSTILE = [
    "\x1b[2J\x00\x07\r\n", "\u202eevil\u2066", "\ud800", "a" * 10_000, "\U000e0001" * 1_500, "'; DROP TABLE --",
    "<script>alert(1)</script>", "{{7*7}}", "\\" * 10_000, '"' * 10_000, "\x7f\x85" * 5_000, "",
]  # fmt: skip


def everywhere(text: str) -> dict[str, Any]:
    """Put a string wherever a finding has one that is free."""
    made: dict[str, Any] = msgspec.to_builtins(finding())
    made |= dict.fromkeys(("title", "summary", "subject", "runbook"), text)
    made["entity"] = {"arn": text, "type": text, "class": None, "class_tier": None}
    made["actor"] = {"arn": text, "class": None, "origin": text}
    short = text[:2_200]
    deep: Any = short
    for _ in range(50):
        deep = [deep, 1]
    made["seen"] = {f"{short}{n}": [short] * 3 for n in range(20)} | {"deep": deep}
    made["expected"] = {"n": 10**4000, text: text, "few": ["x"] * 1_000}
    made["evidence"] = [dict.fromkeys(made["evidence"][0], short)] * 12
    made["affected"] = [short] * 12
    made["attack"] = [short] * 12
    return made


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_arrive_as_valid_json_within_limits(text: str) -> None:
    """Whatever stands in a finding's fields, PagerDuty takes it, and nothing in it moves a cursor."""
    found = decode(json.dumps(everywhere(text)).encode())
    with PagerDuty() as server:
        assert tell(server, found) == ["delivered"]
        (request,) = server.requests
    assert len(request.content) < MAX_EVENT_BYTES
    assert len(server.incidents[0].summary) <= 1024
    shown = json.dumps(request.json, ensure_ascii=False)
    assert not any(char in shown for char in "\x1b\x00\x7f\x85\u202e\u2066\U000e0001\ud800")


def test_a_title_of_a_megabyte_is_cut() -> None:
    """However long a title is, its beginning and its end are told."""
    with PagerDuty() as server:
        tell(server, decode(msgspec.json.encode(finding(title="begin" + "x" * 1_000_000 + "end"))))
    summary = server.incidents[0].summary
    assert len(summary) <= 1024
    assert summary.startswith("begin")
    assert summary.endswith("end")


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=20), st.sampled_from([1, 20, 500]))
def test_any_text_is_bounded(text: str, times: int) -> None:
    """A finding of any strings is bounded, and its event with all escapes is within PagerDuty's limit."""
    found = decode(json.dumps(everywhere(text * times), ensure_ascii=False).encode())
    assert len(msgspec.json.encode(found)) <= MAX_FINDING_BYTES
    assert bounded(found) == found
    given = settings_of("http://127.0.0.1:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROUTING_KEY", KEY)
        (sink,) = make_sinks(given).values()
    ledger = Ledger(None)
    Desk(given, ledger, lambda *_: None, lambda: NOW).take([found])
    (line,) = foreseen(ledger, {"oncall": sink}, NOW)
    assert len(json.dumps(line["body"], ensure_ascii=False).encode()) < MAX_EVENT_BYTES
    sink.close()
    ledger.close()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"finding_id": "x"}, "finding_id: is none"),
        ({"finding_id": "../../etc/passwd"}, "finding_id: is none"),
        ({"revision": 0}, "revision: is none"),
        ({"revision": 2**70}, "revision: "),
        ({"severity": "urgent"}, "severity: 'urgent' is no severity"),
        ({"detector": "A b"}, "detector: is none"),
        ({"account_id": "12"}, "account_id: is none"),
        ({"opened_at": "yesterday"}, "opened_at: is no time"),
        ({"updated_at": "99999-01-01T00:00:00Z"}, "updated_at: is no time"),
        ({"status": "odd"}, "status: Invalid enum value 'odd'"),
        ({"title": 7}, "title: Expected `str`, got `int`"),
        ({"seen": []}, "seen: Expected `object`, got `array`"),
        ({"evidence_count": 10**30}, "evidence_count: has too many digits"),
        (
            {"entity": {"arn": "a", "type": "role", "class": None, "class_tier": -(10**30)}},
            "entity.class_tier: has too many",
        ),
    ],
)
def test_what_is_no_finding_is_named_by_field(change: dict[str, Any], complaint: str) -> None:
    """A line that is no finding is refused by field and reason."""
    with pytest.raises(FindingError) as error:
        decode(json.dumps({**msgspec.to_builtins(finding()), **change}).encode())
    assert str(error.value).startswith(complaint)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b"{}", None])
def test_what_is_no_json_is_refused(content: bytes | None) -> None:
    """Neither broken nor nested nor other JSON is taken for a finding."""
    with pytest.raises(FindingError):
        decode(content)


def test_severities_have_one_spelling() -> None:
    """However another producer spells a severity, a page has it and a digest counts it."""
    old: dict[str, Any] = {"opened_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z"}
    spelled = [finding("a", severity="High"), finding("b", severity="CRITICAL", **old)]
    with PagerDuty() as server:
        tell(server, *(decode(msgspec.json.encode(each)) for each in spelled))
    assert [event["payload"]["severity"] for event in server.events()] == ["error"]
    assert [change["payload"]["custom_details"]["by_severity"] for change in server.changes] == [{"critical": 1}]


def test_numbers_stay_numbers() -> None:
    """A probability with all its digits is told as the number that it is; digits without end are text."""
    seen = decode(msgspec.json.encode(finding(seen={"p_value": 1.2345678901234567e-05, "n": 10**30}))).seen
    assert seen == {"p_value": 1.2345678901234567e-05, "n": f"1{'0' * 30}"}


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No repr, no error and no preview has a secret; one that is missing or odd is named by its setting."""
    given = settings_of("https://localhost:1")
    (sink,) = make_sinks(given).values()
    assert KEY not in repr(sink.secrets())
    assert KEY not in repr(vars(sink))
    sink.close()
    monkeypatch.setenv("ROUTING_KEY", "")
    with pytest.raises(
        SecretError, match=r"sinks\.oncall\.routing_key_env: there is no environment variable 'ROUTING_KEY'"
    ):
        make_sinks(given)
    monkeypatch.setenv("ROUTING_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(SecretError, match="has a line end") as error:
        make_sinks(given)
    assert KEY not in str(error.value)
    key_file = tmp_path / "key"
    by_file = settings_of("https://localhost:1", "").sinks["oncall"]
    by_file = msgspec.structs.replace(by_file, routing_key_env=None, routing_key_file=str(key_file))
    with pytest.raises(SecretError, match=r"routing_key_file: .*No such file"):
        make_sinks(msgspec.structs.replace(given, sinks={"oncall": by_file}))
    key_file.write_text(f"{KEY}\n")
    (sink,) = make_sinks(msgspec.structs.replace(given, sinks={"oncall": by_file})).values()
    assert [each.reveal() for each in sink.secrets() if each is not None] == [KEY]
    sink.close()
