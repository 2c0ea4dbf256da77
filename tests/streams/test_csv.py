"""CSV: what a reader of RFC 4180 gets back, and what a spreadsheet must never run."""

from __future__ import annotations

import csv
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from models.finding import ActorView, EntityView
from streams.formats.csv import FINDING_COLUMNS, PRINCIPAL_COLUMNS, defuse, findings, principals
from streams.terminal import Screen, visible
from tests.streams.test_formats import EVIDENCE, FINDING, PRINCIPAL

DOCS = Path(__file__).parents[2] / "docs"
FORMULA_STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
BLANKS_AND_QUOTES = " \u00a0\u3000\"'"
hostile = st.text(st.characters(exclude_categories=())) | st.text([*FORMULA_STARTS, *BLANKS_AND_QUOTES, ";", ",", "x"])


def read(pieces: Any) -> list[dict[str, str]]:
    """Read CSV as any reader does."""
    return list(csv.DictReader(StringIO("".join(pieces), newline=""), strict=True))


def starts_a_formula(cell: str) -> bool:
    """Say whether a spreadsheet, one that splits at semicolons too, would run the cell or a part of it."""
    return any(part.lstrip(BLANKS_AND_QUOTES)[:1] in tuple(FORMULA_STARTS) for part in cell.split(";"))


def is_defused(cell: str) -> bool:
    """Say whether each part that would be run has an apostrophe before anything else."""
    return all(part.startswith("'") for part in cell.split(";") if starts_a_formula(part))


def undo(cell: str) -> str:
    """Take the apostrophes off again, as docs/formats.md says one can."""
    return ";".join(part[1:] if part.startswith("'") and defuse(part[1:]) == part else part for part in cell.split(";"))


def test_a_finding_is_a_row() -> None:
    """Each value stands under its heading: nested ones by their path, lists joined, objects as JSON, null as nothing."""
    evidence = [EVIDENCE, replace(EVIDENCE, event_id="e9", event_time="2024-05-01T10:31:00Z")]
    (row,) = read(findings([replace(FINDING, evidence=evidence, affected=["a", "b"])], Screen()))
    assert list(row) == list(FINDING_COLUMNS)
    assert row["entity_arn"] == "arn:aws:iam::111122223333:role/orders-api"
    assert row["actor_origin"] == "okta/nina@example.com"
    assert row["seen"] == '{"b":1,"a":[true,null]}'
    assert (row["first_event_id"], row["first_source_ip"], row["last_event_id"]) == ("e1", "198.51.100.7", "e9")
    assert (row["part_of"], row["affected"], row["evidence_count"]) == ("", "a; b", "13")


def test_a_principal_is_a_row() -> None:
    """Sessions have a column each; evidence is one cell, the strongest first."""
    (row,) = read(principals([PRINCIPAL], Screen()))
    assert list(row) == list(PRINCIPAL_COLUMNS)
    assert (row["human_sessions"], row["machine_sessions"], row["class"]) == ("1", "26", "workload")
    assert row["evidence"].startswith("tier 1: signed in to the console (1); tier 1: identity of")
    assert (row["probability"], row["path"]) == ("", "")
    assert read(principals([replace(PRINCIPAL, path="/a/")], Screen()))[0]["path"] == "/a/"
    assert PRINCIPAL.path is UNSET


def test_nothing_found_is_a_row_of_headings() -> None:
    """A reader always learns the columns; lines end as RFC 4180 has it."""
    text = "".join(findings([], Screen()))
    assert text.endswith('"runbook"\r\n')
    assert text.count("\r\n") == 1


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ('"=1', "'\"=1"),
        ("'=1", "''=1"),
        ("\u00a0\uff1d1", "'\u00a0\uff1d1"),
        ("\t=1", "\\x09=1"),
        ("\r=1", "\\x0d=1"),
        ("\x00=1", "\\x00=1"),
        ("a;=1", "a;'=1"),
        ("a; \uff20x", "a;' \uff20x"),
        ("a,=1 -1", "a,=1 -1"),
        ("'quoted'", "'quoted'"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_formulas_are_defused(text: str, cell: str) -> None:
    """An apostrophe goes before what would start a formula, and nowhere else; controls become visible."""
    assert defuse(text) == cell


@given(hostile)
def test_the_rule_can_be_undone(text: str) -> None:
    """Whoever needs the value as it was takes the apostrophes off again."""
    assert undo(defuse(text)) == visible(text)


@given(hostile, hostile, st.dictionaries(hostile.filter(lambda key: key.isascii()), st.booleans(), max_size=2))
def test_no_cell_starts_a_formula(text: str, other: str, seen: dict[str, Any]) -> None:
    """Whatever the strings of events, a reader gets the defused values back, and no cell starts a formula."""
    evil = replace(
        FINDING,
        title=text,
        summary=other,
        subject=text,
        entity=EntityView(text, other, None, None),
        actor=ActorView(other, None, text),
        seen=seen,
        evidence=[replace(EVIDENCE, event_id=text, user_agent=other, source_ip=text, region=other)],
        affected=[text, other],
    )
    (row,) = read(findings([evil], Screen()))
    assert (row["title"], row["summary"], row["entity_arn"]) == (defuse(text), defuse(other), defuse(text))
    assert (row["first_user_agent"], row["actor_origin"]) == (defuse(other), defuse(text))
    assert row["affected"] == defuse(f"{text}; {other}")
    assert all(is_defused(cell) and visible(cell) == cell for cell in row.values())
    (row,) = read(principals([replace(PRINCIPAL, arn=text, account_id=other, path=text)], Screen()))
    assert (row["arn"], row["account_id"], row["path"]) == (defuse(text), defuse(other), defuse(text))
    assert all(is_defused(cell) and visible(cell) == cell for cell in row.values())


def test_the_columns_are_documented() -> None:
    """docs/formats.md lists each column, in the order of the file."""
    sections = re.split(r"^#+ ", (DOCS / "formats.md").read_text(), flags=re.MULTILINE)
    for heading, columns in (("Columns of a finding", FINDING_COLUMNS), ("Columns of a principal", PRINCIPAL_COLUMNS)):
        (section,) = (section for section in sections if section.startswith(heading))
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        assert [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)] == list(columns)
