"""Tables and JSON lines of findings, principals and detectors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from models.engine import FactCount, Principal, SessionCount
from models.finding import ActorView, Baseline, EntityView, Evidence, Finding
from models.settings import parse_settings
from streams.commands.detectors import catalogue
from streams.formats import FORMATS, What, writer
from streams.terminal import Screen, visible

EVIDENCE = Evidence(
    "e1", "2024-05-01T09:31:00Z", "s3.amazonaws.com", "ListBuckets", "198.51.100.7", "Mozilla", "eu-west-1"
)
FINDING = Finding(
    finding_id="2f6c1a9e03b4d5e6f708192a3b4c5d6e",
    revision=2,
    detector="machine-role-console",
    stage="live",
    severity="high",
    status="closed",
    close_reason="quiet",
    opened_at="2024-05-01T09:31:00Z",
    updated_at="2024-05-01T10:31:00Z",
    account_id="111122223333",
    part_of=None,
    entity=EntityView("arn:aws:iam::111122223333:role/orders-api", "role", "workload", 1),
    subject="nina@2024-05-01T09:31:00Z",
    actor=ActorView("arn:aws:sts::111122223333:assumed-role/orders-api/nina", "workload", "okta/nina@example.com"),
    title="Machine role orders-api used from the console",
    summary="Somebody was there.",
    seen={"b": 1, "a": [True, None]},
    expected={},
    evidence=[EVIDENCE],
    evidence_count=13,
    affected_count=1,
    affected=[],
    baseline=Baseline("mature", "2024-01-01T00:00:00Z"),
    attack=("T1078.004",),
    runbook="docs/detectors.md#machine-role-console",
)
PRINCIPAL = Principal(
    arn="arn:aws:iam::111122223333:role/orders-api",
    type="role",
    account_id="111122223333",
    kind="mixed",
    class_="workload",
    tier=1,
    probability=None,
    evidence=[FactCount(1, "signed in to the console", 1), FactCount(1, "identity of an EC2 instance", 26)],
    sessions=SessionCount(1, 26, 0),
    events=1265,
    first_seen="2024-05-01T09:00:00Z",
    last_seen="2024-05-02T10:31:00Z",
)
PIPE = Screen()
HOSTILE = "\x1b]0;owned\x07[red]\u202egnp\x9b2J\nnext" + "x" * 300
EVIL = replace(
    FINDING,
    severity="critical",
    stage="shadow",
    title=HOSTILE[:120],
    detector=HOSTILE,
    account_id=HOSTILE,
    entity=EntityView(f"arn:aws:iam::{HOSTILE}:role/{HOSTILE}", "role", None, None),
    actor=ActorView(HOSTILE, None, f"arn:aws-cn:s3:::{HOSTILE}"),
)
EVIL_PRINCIPAL = replace(PRINCIPAL, arn=HOSTILE, account_id=HOSTILE, evidence=[], tier=None, kind="unknown")


def write(what: What, form: str, items: list[Any], screen: Screen = PIPE) -> str:
    """Write items in a format as one text."""
    return "".join(writer(what, form)(items, screen))


@pytest.mark.parametrize("what", FORMATS)
def test_every_format_writes_what_it_says(what: What) -> None:
    """Each registered format has a function for each thing registered with it."""
    assert all(callable(writer(what, name)) for name in FORMATS[what])


def test_jsonl_has_keys_in_the_records_order() -> None:
    """One object a line, keys in the order of the struct, the same bytes each time; `class` is spelled as agreed."""
    first, second = write("findings", "jsonl", [FINDING, EVIL]).splitlines()
    assert list(json.loads(first)) == [field.encode_name for field in msgspec.structs.fields(Finding)]
    assert json.loads(first)["entity"]["class"] == "workload"
    assert json.loads(second)["title"] == HOSTILE[:120]
    assert write("findings", "jsonl", [FINDING, EVIL]) == f"{first}\n{second}\n"
    row = json.loads(write("principals", "jsonl", [PRINCIPAL]))
    assert list(row)[:6] == ["arn", "type", "account_id", "kind", "class", "tier"]


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize(
    ("what", "items"), [("findings", [FINDING, EVIL]), ("principals", [PRINCIPAL, EVIL_PRINCIPAL])]
)
def test_nothing_hostile_is_written(what: What, items: list[Any], width: int, form: str) -> None:
    """Whatever the strings, no line holds what a terminal would obey."""
    for line in write(what, form, items, Screen(width)).splitlines():
        assert visible(line) == line


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 190, 200, 250])
@pytest.mark.parametrize(
    ("what", "items"), [("findings", [FINDING, EVIL]), ("principals", [PRINCIPAL, EVIL_PRINCIPAL])]
)
def test_tables_fit(what: What, items: list[Any], width: int) -> None:
    """No line is wider than the screen, none ends in blanks, and markup in data stays text."""
    text = write(what, "table", items, Screen(width))
    assert all(cell_len(line) <= width for line in text.splitlines())
    assert all(line == line.rstrip() for line in text.splitlines())
    assert not text.endswith("\n\n")


def test_narrow_findings_are_stacked() -> None:
    """At 80 columns all that matters is there, the title first."""
    assert write("findings", "table", [FINDING], Screen(80)) == (
        "severity  opened (UTC)      finding\n"
        "HIGH      2024-05-01 09:31  Machine role orders-api used from the console\n"
        "                            role/orders-api in 111122223333\n"
        "                            by orders-api/nina\n"
        "                            origin okta/nina@example.com\n"
        "                            machine-role-console, closed (quiet)\n"
        "                            13 events, id 2f6c1a9e03b4\n"
    )


def test_wide_findings_are_one_line_each() -> None:
    """At 200 columns a finding is one line, with status, evidence and id."""
    header, line, *rest = write("findings", "table", [FINDING], Screen(200)).splitlines()
    assert not rest
    assert line.split("  ")[0] == "HIGH"
    for words in ("orders-api used from the", "111122223333", "closed (quiet)", " 13  ", "2f6c1a9e03b4"):
        assert words in line
    assert header.index("account") == line.index("111122223333")


def test_shadow_is_said() -> None:
    """A finding in shadow says so at every width."""
    shadow = replace(FINDING, stage="shadow")
    assert all("shadow" in write("findings", "table", [shadow], Screen(width)) for width in (80, 120, 200))


def test_principals_name_the_evidence_for_their_class() -> None:
    """The evidence shown is what speaks for the class, not merely the first."""
    for width in (80, 120, 200):
        text = write("principals", "table", [PRINCIPAL], Screen(width))
        assert "identity of an EC2 instance (26" in text
        assert "signed in" not in text
        assert all(words in text for words in ("mixed", "workload", "role/orders-api", "1/26/0", "1,265", "2024-05-02"))


def test_colour_only_where_it_may_be() -> None:
    """A coloured screen has escapes around the severity, which is spelled all the same; a plain one has none."""
    coloured = write("findings", "table", [FINDING], Screen(80, is_coloured=True))
    assert "\x1b[1;31mHIGH" in coloured
    assert "\x1b" not in write("findings", "table", [FINDING], Screen(80))


def test_empty_results_say_so() -> None:
    """No rows are words in a table, and no line at all in JSON lines."""
    assert write("findings", "table", []) == "No findings.\n"
    assert write("principals", "table", []) == "No principals.\n"
    assert write("findings", "jsonl", []) == ""


def test_catalogue_shows_what_is_in_force() -> None:
    """Settings show in table and JSON lines: another severity, a value tuned, shadow, a detector turned off."""
    rules = catalogue(
        parse_settings(
            "[detectors.root-use]\nenabled = false\n"
            "[detectors.machine-role-console]\nseverity = 'low'\nmin_workload_sessions = 3\nstage = 'shadow'"
        )
    )
    rows = {row["name"]: row for row in map(json.loads, write("detectors", "jsonl", rules).splitlines())}
    assert rows["root-use"]["enabled"] is False
    assert rows["machine-role-console"]["severity"] == "low"
    assert rows["machine-role-console"]["settings"] == {"min_workload_sessions": 3}
    table = write("detectors", "table", rules, Screen(80))
    assert "root-use  off in the settings" in table
    assert "LOW       machine-role-console  shadow" in table
    assert "min_workload_sessions = 3" in table
