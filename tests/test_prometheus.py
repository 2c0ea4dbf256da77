"""The Prometheus rules: checked and unit-tested by the real promtool, and in step with the metrics and the pages."""

# ruff: noqa: S603 - promtool is what the tests are about
from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[1] / "prometheus"
DOCS = FOLDER.parent / "docs"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]


@pytest.fixture(scope="module")
def promtool() -> str:
    """Find promtool."""
    if (path := shutil.which("promtool")) is None:
        pytest.skip("needs promtool, of Debian's prometheus")
    return path


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
    ids=" ".join,
)
def test_promtool_is_content(promtool: str, arguments: tuple[str, ...]) -> None:
    """The configuration and the rules are valid, and every unit test of the rules passes."""
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_every_alert_is_tested(alert: str) -> None:
    """Each alert has a test in which it speaks, and one in which it is silent."""
    tests = yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", []) if case["alertname"] == alert]
    assert any(case.get("exp_alerts") for case in cases)
    assert any(not case.get("exp_alerts") for case in cases)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """Each alert has a severity, says what is wrong, and leads to a section that there is and to a dashboard."""
    assert alert["labels"]["severity"] in ("page", "ticket")
    notes = alert["annotations"]
    assert set(notes) == {"summary", "description", "runbook", "dashboard"}
    page, _, section = notes["runbook"].removeprefix("docs/").partition("#")
    headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(), re.MULTILINE)
    assert section == "{{ $labels.detector }}" or section in [heading.lower() for heading in headings]
    board = re.match(r"/d/([a-z-]+)", notes["dashboard"])
    assert board is not None
    assert (FOLDER.parent / f"grafana/dashboards/{board[1]}.json").is_file()


def test_what_is_recorded_is_documented() -> None:
    """Each recorded name stands in the page."""
    page = (DOCS / "alerts-and-dashboards.md").read_text()
    assert all(f"`{rule['record']}`" in page for rule in RULES if "record" in rule)
