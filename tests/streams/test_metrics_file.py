"""The metrics file: real promtool makes blocks of it, and a real Prometheus answers about the trail's own time."""

# ruff: noqa: S603 - promtool is what the tests are about
from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import streams.metrics_file
from models.record import epoch
from models.settings import Settings, parse_settings
from streams.cli import run
from streams.metrics_file import STEP_S
from streams.replay import Result, replay
from tests.prometheus import Prometheus, running
from tests.records import ACCOUNT, instance_call, record, sign_in, user

SAMPLE = Path(__file__).parents[2] / "examples/sample-trail"
SETTINGS = parse_settings((SAMPLE / "rolehawk.toml").read_text())
DAY = 24 * 60


class Sampled(NamedTuple):
    """The sample trail replayed with its metrics, and the text of them."""

    result: Result
    text: str


@pytest.fixture(scope="module")
def sampled() -> Sampled:
    """Replay the sample trail."""
    result = replay([str(SAMPLE / "AWSLogs")], SETTINGS, with_samples=True)
    assert result.samples is not None
    return Sampled(result, "".join(result.samples.lines()))


@pytest.fixture(scope="module")
def prometheus(sampled: Sampled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Load the sample trail's metrics into a Prometheus as the page says."""
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("needs promtool, of Debian's prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "metrics.txt").write_text(sampled.text)
    command = [
        promtool,
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=744h",
        "metrics.txt",
        "data",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with running(folder, 9) as started:
        yield started


def test_it_changes_nothing_of_what_is_found(sampled: Sampled) -> None:
    """Findings, principals and every change are those of a replay without it."""
    plain = replay([str(SAMPLE / "AWSLogs")], SETTINGS, with_history=True)
    both = replay([str(SAMPLE / "AWSLogs")], SETTINGS, with_history=True, with_samples=True)
    for one in (sampled.result, both):
        assert msgspec.json.encode(one.findings) == msgspec.json.encode(plain.findings)
        assert msgspec.json.encode(one.principals) == msgspec.json.encode(plain.principals)
    assert msgspec.json.encode(both.history) == msgspec.json.encode(plain.history)


def test_every_series_has_a_sample_at_every_step(sampled: Sampled) -> None:
    """From its first to the trail's end none is missing, or Prometheus would draw a hole."""
    ends = set()
    for family in text_string_to_metric_families(sampled.text):  # type: ignore[no-untyped-call]
        series: dict[tuple[str, ...], list[float]] = {}
        for sample in family.samples:
            series.setdefault((sample.name, *sample.labels.values()), []).append(float(sample.timestamp))
        for times in series.values():
            assert all(later - earlier == STEP_S for earlier, later in pairwise(times))
            ends.add(times[-1])
    assert len(ends) == 1


def test_prometheus_answers_about_the_trails_own_time(sampled: Sampled, prometheus: Prometheus) -> None:
    """At the trail's end there is what replay found; in between, what there was then."""
    summary = sampled.result.summary
    assert summary.first_at is not None
    assert summary.last_at is not None
    end_at = (summary.last_at // STEP_S + 1) * STEP_S

    def value(query: str, at: int) -> float:
        answer = prometheus.at(query, at)
        assert answer.error is None
        return float(answer.series[0]["value"][1]) if answer.series else 0

    live = [each for each in sampled.result.findings if each.stage == "live"]
    assert value("sum(rolehawk_findings_open)", end_at) == sum(each.close_reason is None for each in live)
    assert value('rolehawk_events_total{outcome="accepted"}', end_at) == summary.events
    assert value('rolehawk_events_total{outcome="duplicate"}', end_at) == summary.duplicates
    assert value("sum(rolehawk_principals)", end_at) == len(sampled.result.principals)
    first = min(epoch(each.opened_at) for each in live)
    assert value("sum(rolehawk_findings_total)", first // STEP_S * STEP_S) == 0
    assert value("sum(rolehawk_findings_total)", (first // STEP_S + 1) * STEP_S) >= 1
    drawn = prometheus.over("sum by (kind) (rolehawk_principals)", summary.first_at, end_at, 3_600)
    assert all(len(each["values"]) > 24 for each in drawn.series if each["metric"]["kind"] == "human")
    grown = prometheus.over("sum(increase(rolehawk_calls_total[1d]))", summary.first_at, end_at, 86_400)
    assert any(float(each) > 0 for _, each in grown.series[0]["values"])


def test_a_finding_closes_at_its_time_though_nothing_comes(tmp_path: Path) -> None:
    """In a silence of days the steps go on, and what is quiet for long enough is closed in them."""
    erin = {"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}
    records = [*(sign_in(erin, n, outcome="Failure") for n in range(5)), record("ListUsers", user("dora"), 5 * DAY)]
    (tmp_path / "1.json").write_bytes(msgspec.json.encode({"Records": records}))
    result = replay([str(tmp_path)], Settings(), with_samples=True)
    assert result.samples is not None
    text = "".join(result.samples.lines())
    opened = re.findall(r'rolehawk_findings_open\{detector="console-login-failures".*\} (\S+) (\d+)', text)
    values = {int(at): float(value) for value, at in opened}
    begin_at = min(values)
    assert [values[begin_at + hours * 3_600] for hours in (0, 23, 25, 96)] == [1, 1, 0, 0]


def test_a_silence_of_years_is_no_file_of_years(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a silence that is too long for a trail's only the ends are told, of others every step; what is counted goes on."""
    monkeypatch.setattr(streams.metrics_file, "MAX_SILENT_STEPS", DAY * 60 // STEP_S)
    records = [record("ListUsers", user("dora"), minute) for minute in (0, DAY // 2, 40 * DAY, 40 * DAY + 1)]
    (tmp_path / "1.json").write_bytes(msgspec.json.encode({"Records": records}))
    result = replay([str(tmp_path)], Settings(), with_samples=True)
    assert result.samples is not None
    text = "".join(result.samples.lines())
    counted = re.findall(r'rolehawk_events_total\{outcome="accepted"\} (\S+) (\d+)', text)
    values = [(float(value), int(at)) for value, at in counted]
    gaps = [later - earlier for (_, earlier), (_, later) in pairwise(values)]
    assert Counter(gaps) == {STEP_S: DAY // 2 * 60 // STEP_S + 1, 40 * DAY * 60 - DAY // 2 * 60 - STEP_S: 1}
    assert [value for value, _ in values[-2:]] == [2, 4]


def test_the_command_writes_it_whole_or_not_at_all(tmp_path: Path) -> None:
    """--metrics-file beside the findings; where nothing can be read the old file stays; it is no file that is read."""
    (tmp_path / "trail.json").write_bytes(msgspec.json.encode({"Records": [instance_call(n) for n in range(20)]}))
    target = tmp_path / "metrics.txt"
    arguments = ["replay", str(tmp_path / "trail.json"), "-q", "-o", str(tmp_path / "out"), "--metrics-file"]
    assert run([*arguments, str(target)]) == 0
    text = target.read_text()
    assert text.endswith("# EOF\n")
    assert 'rolehawk_principals{kind="machine",account="111122223333"} 1.0' in text
    assert run(["replay", str(tmp_path / "nowhere"), "-q", "--metrics-file", str(target)]) == 2
    assert target.read_text() == text
    assert run([*arguments, str(tmp_path / "out")]) == 2
    assert run([*arguments, str(tmp_path / "trail.json")]) == 2
