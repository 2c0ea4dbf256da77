"""The Grafana dashboards: what is committed is what the code makes, whole and consistent, of metrics that there are."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from grafana.__main__ import FOLDER, pages
from models.detectors import REGISTRY
from streams.metrics import FAMILIES

BOARDS: dict[str, dict[str, Any]] = {path.stem: json.loads(path.read_text()) for path in FOLDER.glob("*.json")}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
METRICS = {
    *(family.name for family in FAMILIES if family.sort != "histogram"),
    *(
        f"{family.name}_{part}"
        for family in FAMILIES
        if family.sort == "histogram"
        for part in ("bucket", "sum", "count")
    ),
    "ALERTS",  # Prometheus's own, of rules
}


def test_what_is_committed_is_what_the_code_makes() -> None:
    """grafana/dashboards holds what `make dashboards` writes, and nothing else."""
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == pages()


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_whole(name: str) -> None:
    """It is found by its name, says what it is for, asks for Prometheus, accounts and docs, and leads to the others."""
    board = BOARDS[name]
    assert board["uid"] == name
    assert board["description"]
    assert board["timezone"] == "utc"
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert {name: each["type"] for name, each in variables.items()} == {
        "datasource": "datasource",
        "account": "query",
        "docs": "textbox",
    }
    assert all(each["label"] and each["description"] for each in variables.values())
    menu = board["links"][0]
    assert (menu["type"], menu["tags"], menu["keepTime"], menu["includeVars"]) == (
        "dashboards",
        ["rolehawk"],
        True,
        True,
    )
    assert board["tags"] == ["rolehawk"]


def test_dashboards_are_told_apart() -> None:
    """No title of a dashboard, and none of a panel within one, is given twice."""
    titles = [board["title"] for board in BOARDS.values()]
    assert len(titles) == len(set(titles)) == 5
    for board in BOARDS.values():
        titles = [panel["title"] for panel in board["panels"]]
        assert len(titles) == len(set(titles))


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_their_place(name: str) -> None:
    """No panel lies over another or beyond the 24 columns."""
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    """Title, description and unit, and queries to the Prometheus that was chosen."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["targets"]


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_metrics_that_there_are(panel: dict[str, Any]) -> None:
    """Each metric is one that rolehawk has, each detector one that it knows; accounts are chosen where there are any."""
    by_account = {family.name for family in FAMILIES if "account" in family.labels}
    for target in panel["targets"]:
        names = set(re.findall(r"\brolehawk_[a-z_]+|\bALERTS\b", target["expr"]))
        assert names
        assert names <= METRICS
        for name in names:
            chosen = re.findall(rf"{name}{{([^}}]*)}}", target["expr"])
            assert all(('account=~"$account"' in each) == (name in by_account) for each in chosen)
        detectors = {name for match in re.findall(r'detector=~?"([^"]+)"', target["expr"]) for name in match.split("|")}
        assert detectors <= {each.name for each in REGISTRY}


@pytest.mark.parametrize("name", BOARDS)
def test_links_lead_somewhere(name: str) -> None:
    """A link between dashboards names one that there is; one into the docs a page that there is."""
    for url in re.findall(r'"url": "([^"]+)"', json.dumps(BOARDS[name])):
        if url.startswith("/d/"):
            assert url.removeprefix("/d/").partition("?")[0] in BOARDS
        else:
            page = re.fullmatch(r"\$\{docs\}/([a-z-]+\.md)(#\$\{__value\.raw\})?", url)
            assert page is not None
            assert (FOLDER.parents[1] / "docs" / page[1]).is_file()


def test_grafana_is_told_where_all_is() -> None:
    """The files for provisioning name a Prometheus as prometheus.yml has it, and a folder for the dashboards."""
    (source,) = yaml.safe_load((FOLDER.parent / "provisioning/datasources/rolehawk.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((FOLDER.parent / "provisioning/dashboards/rolehawk.yml").read_text())["providers"]
    scraped = yaml.safe_load((FOLDER.parents[1] / "prometheus/prometheus.yml").read_text())["global"]
    assert (source["type"], source["jsonData"]["timeInterval"]) == ("prometheus", scraped["scrape_interval"])
    page = (FOLDER.parents[1] / "docs/alerts-and-dashboards.md").read_text()
    assert provider["options"]["path"] in page
