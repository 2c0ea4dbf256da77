"""The dashboards over history: sixty simulated days, replayed into a file of metrics and loaded into Prometheus."""

# ruff: noqa: S603 - rolehawk and promtool are what the test runs
from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.prometheus import running
from tests.test_dashboard_queries import QUERIES, filled

DAY_S: Final = 86_400
DAYS: Final = 60
STEP_S: Final = 3_600  # as Grafana steps over sixty days
LONGER: Final = {  # what takes longer than sixty days to become true
    "rolehawk-keys: Older than 90 days A",
    "rolehawk-keys: Keys older than 180 days, by account A",
    "rolehawk-principals: Unused for 90 days A",
}


@pytest.mark.long
def test_history_is_drawn(tmp_path: Path) -> None:
    """Of what is known of a trail, no panel is empty over its sixty days, and none fails."""
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("needs promtool, of Debian's prometheus")
    start = datetime.fromtimestamp(time.time() - (DAYS + 2) * DAY_S, UTC).date().isoformat()
    trail, metrics, blocks = tmp_path / "trail", tmp_path / "metrics.txt", tmp_path / "data"
    rolehawk = [sys.executable, "-m", "streams.cli"]
    for command in (
        [*rolehawk, "simulate", "-q", "-o", trail, "--events", "20000", "--days", str(DAYS), "--start", start],
        [*rolehawk, "replay", "-q", trail, "--settings", trail / "rolehawk.toml", "--metrics-file", metrics, "-o", tmp_path / "findings"],
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h", metrics, blocks],
    ):  # fmt: skip
        subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=300)
    until = _last(metrics)
    with running(tmp_path, 9) as prometheus:
        answers = {}
        for name, target in QUERIES.items():
            if name.startswith("rolehawk-pipeline"):
                continue  # of the process itself, which history has none of
            query = filled(target["expr"], rate_interval=f"{STEP_S + 15}s")
            answers[name] = (
                prometheus.at(query, until)
                if target.get("instant")
                else prometheus.over(query, until - DAYS * DAY_S, until, STEP_S)
            )
    assert {name: answer.error for name, answer in answers.items() if answer.error} == {}
    assert {name for name, answer in answers.items() if not answer.series} <= LONGER


def _last(metrics: Path) -> float:
    """Read the last instant of a file of metrics: every series has a sample there."""
    with metrics.open("rb") as file:
        file.seek(-4_096, 2)
        line, end = file.read().splitlines()[-2:]
    assert end == b"# EOF"
    return float(line.rsplit(b" ", 1)[1])
