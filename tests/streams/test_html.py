"""The report as a file: well formed, whole without its script, harmless whatever the strings, and bounded."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest
from msgspec.structs import replace

from models.record import epoch
from streams.formats.csv import defuse
from streams.formats.html import Report
from streams.formats.html.charts import over_time
from streams.formats.html.markup import element
from streams.formats.html.report import MAX_FINDINGS, MAX_PRINCIPALS
from streams.options import SEVERITIES
from streams.terminal import Screen, visible
from tests.streams.pages import HOSTILE, hostile_report, sample_report, small_report, written
from tests.streams.test_explanation import TOLD
from tests.streams.test_formats import FINDING, PRINCIPAL, write


def parsed(page: str) -> Element:
    """Parse a page as browsers do, and refuse whatever they would only forgive."""
    root: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    return root


def said(root: Element) -> str:
    """Give all the text of a page that is for people, its runs of blanks made one."""
    (body,) = root.findall("body")
    words = (text for each in body if each.tag != "script" for text in each.itertext())
    return " ".join(" ".join(words).split())


def shape(root: Element) -> list[tuple[Any, ...]]:
    """List the elements of a page with the names of their attributes, in order."""
    return [(each.tag, *sorted(each.attrib)) for each in root.iter()]


@pytest.fixture(scope="module")
def sample() -> Report:
    """Make the report of the sample trail."""
    return sample_report()


@pytest.fixture(scope="module")
def root(sample: Report) -> Element:
    """Parse the report of the sample trail."""
    return parsed(written(sample))


EMPTY = Report(facts=[], since="2024-05-01T00:00:00Z", until="2024-05-01T00:00:00Z", findings=[], principals=[])


def test_a_page_has_its_landmarks(sample: Report, root: Element) -> None:
    """Language, title, one main part, a navigation, one first heading, and no level of headings skipped."""
    assert root.get("lang") == "en"
    counts = Counter(finding.severity for finding in sample.findings)
    tally = ", ".join(f"{counts[each]} {each}" for each in SEVERITIES if counts[each])
    assert root.findtext("head/title") == f"rolehawk report: {tally}, 2026-03-02 00:11 to 2026-03-15 23:46 UTC"
    assert [len(list(root.iter(tag))) for tag in ("main", "nav", "h1")] == [1, 1, 1]
    levels = [int(each.tag[1]) for each in root.iter() if re.fullmatch("h[1-6]", str(each.tag))]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_tables_and_pictures_are_named(sample: Report, root: Element) -> None:
    """Each table has a caption and headings with a scope, each picture says what it shows."""
    tables = list(root.iter("table"))
    assert len(tables) >= 40
    for table in tables:
        assert table.findtext("caption")
        assert all(each.get("scope") for each in table.iter("th"))
    pictures = [each for each in root.iter() if str(each.tag).endswith("svg")]
    assert [each.get("role") for each in pictures] == ["img"] * 3
    kinds = Counter(each.kind for each in sample.principals)
    said_of = ", ".join(f"{kind} {kinds[kind]}" for kind in ("human", "machine", "mixed", "unknown"))
    assert f"Principals by kind: {said_of}" in [each.get("aria-label") for each in pictures]


@pytest.mark.parametrize("report", [sample_report(), small_report(), EMPTY], ids=["sample", "small", "empty"])
def test_links_lead_somewhere(report: Report) -> None:
    """No id is given twice; a link leads to a place on the page, or to the catalogue of ATT&CK."""
    root = parsed(written(report))
    ids = Counter(each.get("id") for each in root.iter() if each.get("id"))
    assert set(ids.values()) <= {1}
    for link in root.iter("a"):
        target = str(link.get("href"))
        assert target.startswith("https://attack.mitre.org/") or target[1:] in ids


def test_a_page_loads_nothing(root: Element) -> None:
    """The policy allows the one style and the one script that stand in it, by their hashes; nothing names an address."""
    (style,), (script,) = root.iter("style"), root.iter("script")
    policy = next(each.get("content") for each in root.iter("meta") if each.get("http-equiv"))
    hashes = [b64encode(sha256(str(each.text).encode()).digest()).decode() for each in (style, script)]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in str(style.text)
    assert "@import" not in str(style.text)
    for each in root.iter():
        assert each.tag not in ("link", "img", "iframe", "object", "embed", "base", "form", "source")
        assert not any(name in ("src", "srcset", "style", "action") or name.startswith("on") for name in each.attrib)


def test_the_report_says_all(sample: Report, root: Element) -> None:
    """Each finding has its row and its story: evidence, surroundings, lineage, runbook; each principal its row."""
    words = said(root)
    for finding in sample.findings:
        for text in (finding.title, finding.summary, finding.finding_id, finding.detector):
            assert " ".join(text.split()) in words
        for evidence in finding.evidence:
            assert evidence.event_id in words
    for told in sample.stories:
        assert told.what_to_do in words
        assert told.known_gaps in words
        for step in told.timeline.events:
            assert f"{step.event_source.removesuffix('.amazonaws.com')}:{step.event_name}" in words
        for hop in told.lineage:
            assert hop.event_id is None or f"event {hop.event_id}" in words
    bodies = {str(table.get("data-filter")): table.findall("tbody/tr") for table in root.iter("table")}
    assert len(bodies["severity"]) == len(sample.findings) == len(sample.stories)
    assert len(bodies["kind"]) == len(sample.principals)
    assert not any("hidden" in each.attrib for each in root.iter())


def test_what_is_most_urgent_comes_first(root: Element) -> None:
    """Findings stand by severity, a chain before its parts, and three are named to begin with."""
    rows = [
        row
        for table in root.iter("table")
        if table.get("data-filter") == "severity"
        for row in table.findall("tbody/tr")
    ]
    facets = [str(row.get("data-facet")) for row in rows]
    assert facets == sorted(facets, key=SEVERITIES.index)
    assert "".join(rows[0].itertext()).count("attack-chain") == 1
    (first,) = (each for each in root.iter("div") if each.get("class") == "first")
    titles = [link.findtext("bdi") for link in first.iter("a")]
    assert len(titles) == 3
    assert str(titles[0]).startswith("quotes_batch1002: ")


@pytest.mark.parametrize(
    ("until", "per", "label"),
    [
        ("2024-05-02T07:00:00Z", "hour", "05-01 00:00"),
        ("2024-05-08T00:00:00Z", "6 hours", "05-01 00:00"),
        ("2024-06-08T00:00:00Z", "day", "05-01"),
        ("2024-12-08T00:00:00Z", "week", "04-25"),
        ("2026-03-11T00:00:00Z", "30 days", "2024-04"),
        ("2034-03-11T00:00:00Z", "90 days", "2024-03"),
        ("2054-03-11T00:00:00Z", "year", "2023-12"),
        ("2124-05-01T00:00:00Z", "3 years", "2023-12"),
    ],
)
def test_bars_stand_for_what_people_count_in(until: str, per: str, label: str) -> None:
    """However long a trail is, a bar is an hour, a day, years, and its label tells it from all others, by the year too."""
    chart = over_time([], epoch("2024-05-01T00:00:00Z"), epoch(until))
    picture = next(
        each for each in parsed(f"<!doctype html><title>t</title>{chart}").iter() if str(each.tag).endswith("svg")
    )
    labels = [each.text for each in picture if str(each.tag).endswith("text") and not each.get("text-anchor")]
    assert picture.get("aria-label") == f"Findings opened per {per}: 0 findings, at most 0 to a bar."
    assert label == labels[0]
    assert 1 < len(labels) == len(set(labels))


def test_changes_are_told_where_asked_for() -> None:
    """With the history a story lists its revisions, and one that was suppressed is shown too."""
    report = sample_report(with_history=True)
    words = said(parsed(written(report)))
    assert "How it came to stand as it does" in words
    assert "How it came to stand as it does" not in said(parsed(written(sample_report())))


def test_what_went_wrong_is_said_at_the_top() -> None:
    """Rejected records and failed detectors are warnings before everything else, and listed at the end."""
    root = parsed(written(small_report()))
    warnings = ["".join(each.itertext()) for each in root.iter("p") if each.get("class") == "warning"]
    assert warnings == [
        "detector x failed",
        "7 records could not be read: what they tell is not in this report.",
    ]
    assert "The first 1 of 7 records that could not be read" in said(root)


def test_nothing_to_report_is_a_page_too() -> None:
    """A trail without findings makes a page that says so."""
    words = said(parsed(written(EMPTY)))
    assert "No findings." in words
    assert "No principals." in words


@pytest.mark.parametrize("attack", HOSTILE, ids=ascii)
def test_every_string_stays_text(attack: str) -> None:
    """Whatever stands in every field, the page has the elements that it has with harmless strings, and shows the rest."""
    page = written(hostile_report(attack))
    root = parsed(page)
    assert shape(root) == shape(parsed(written(hostile_report("harmless"))))
    assert all(visible(line) == line for line in page.split("\n"))
    shown = " ".join(defuse(attack).split())
    assert said(root).count(shown) > 40
    for each in root.iter():
        assert str(each.get("href", "#")).startswith(("#", "https://attack.mitre.org/"))


@pytest.mark.parametrize("attack", [each for each in HOSTILE if defuse(each) != visible(each)], ids=ascii)
def test_no_cell_is_a_formula(attack: str) -> None:
    """A table copied into a spreadsheet holds no cell that it would run."""
    for cell in parsed(written(hostile_report(attack))).iter("td"):
        assert not re.match("[ \t]*[=+@\uff1d-]", "".join(cell.itertext()))


def test_attributes_are_quoted() -> None:
    """What goes into an attribute cannot leave it; one that is not wanted is left out."""
    made = element("a", "<", href='"><b', title="\x1b", aria_label=None, hidden=False, open=True)
    assert made == '<a href="&quot;&gt;&lt;b" title="\\x1b" open>&lt;</a>'


def test_a_large_result_is_bounded() -> None:
    """Of ten thousand findings the most severe are told; the page says how many are not, and where they are."""
    severities = ("critical", "high", "medium", "low")
    findings = [
        replace(FINDING, finding_id=f"{n:032x}", severity=severities[min(n // 20, 3)], title=f"finding {n}")
        for n in range(10_000)
    ]
    principals = [replace(PRINCIPAL, arn=f"arn:aws:iam::111122223333:role/r{n}") for n in range(MAX_PRINCIPALS + 5)]
    stories = [replace(TOLD, finding=each) for each in findings[:300]]
    page = written(replace(EMPTY, findings=findings, principals=principals, stories=stories))
    assert len(page) < 6_000_000
    root = parsed(page)
    words = said(root)
    assert f"{10_000 - MAX_FINDINGS:,} more findings, the least severe, are not in this table" in words
    assert "The stories of 1,700 findings, the least severe, are not in this report" in words
    assert "5 more are not in this table: rolehawk principals lists all" in words
    assert "20 critical" in str(root.findtext("head/title"))


def test_stories_are_bounded_by_their_size() -> None:
    """Strings may be long: stories are told until the page is full, and the rest are rows."""
    long = replace(TOLD, finding=replace(FINDING, seen={f"k{n}": "<" * 512 for n in range(400)}))
    findings = [replace(FINDING, finding_id=f"{n:032x}") for n in range(50)]
    stories = [replace(long, finding=replace(long.finding, finding_id=each.finding_id)) for each in findings]
    page = written(replace(EMPTY, findings=findings, stories=stories))
    assert len(page) < 9_000_000
    assert re.search(r"The stories of [0-9]+ findings, the least severe, are not in this report", page)


def test_a_story_is_a_page_of_its_own() -> None:
    """`explain` writes the same story, under a heading of the first level, with no link to what is not there."""
    root = parsed(write("explanations", "html", [TOLD], Screen()))
    (first,) = root.iter("h1")
    assert "".join(first.itertext()) == "high Machine role orders-api used from the console"
    assert [str(each.get("href"))[:8] for each in root.iter("a")] == ["https://"]


def test_what_does_not_count_is_shown_last() -> None:
    """A finding in shadow and a suppressed one have their rows, are in no number, and are not what to begin with."""
    shadow = replace(FINDING, finding_id="a" * 32, severity="critical", stage="shadow")
    accepted = replace(FINDING, finding_id="b" * 32, severity="critical", close_reason="accepted")
    stories = [replace(TOLD, finding=each) for each in (shadow, accepted, FINDING)]
    root = parsed(written(replace(EMPTY, findings=[shadow, accepted, FINDING], stories=stories)))
    assert str(root.findtext("head/title")).startswith("rolehawk report: 1 high, ")
    rows = [row for table in root.iter("table") if table.get("data-filter") for row in table.findall("tbody/tr")]
    assert [row.get("data-facet") for row in rows] == ["high", "critical", "critical"]
    (first,) = (each for each in root.iter("div") if each.get("class") == "first")
    assert [link.get("href") for link in first.iter("a")] == [f"#finding-{FINDING.finding_id}"]
    assert "1 in shadow, counted nowhere else" in said(root)
