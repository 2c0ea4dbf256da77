"""The whole pipeline, from events to pages: `make demo`, and what it finds held against a replay of the same events."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.__main__ import DAYS, SEED

ROOT = Path(__file__).parents[1]
EVENTS = 6_000
ENOUGH = 8  # pages; the organisation has more in store
DEADLINE_S = 300


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo, as fast as it goes; its broker is its own."""
    command = [sys.executable, "-m", "demo", "--events", str(EVENTS), "--rate", "3000"]
    with (
        (tmp_path / "stderr").open("wb") as stderr,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True) as process,
    ):
        alarm = signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(DEADLINE_S)
        yield process
        signal.alarm(0)
        signal.signal(signal.SIGALRM, alarm)


def of_replay(folder: Path) -> set[str]:
    """List the ids of all that a replay finds in the same events."""
    first_day = (datetime.now(UTC) - timedelta(days=DAYS)).date().isoformat()
    rolehawk = [sys.executable, "-m", "streams.cli"]
    plan = ["--events", str(EVENTS), "--days", str(DAYS), "--seed", str(SEED), "--start", first_day]
    subprocess.run([*rolehawk, "simulate", "-q", "-o", str(folder / "trail"), *plan], cwd=ROOT, check=True)
    replay = [*rolehawk, "replay", "-q", "--history", "--format", "jsonl", str(folder / "trail/AWSLogs")]
    found = subprocess.run(
        replay, cwd=folder, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return {json.loads(line)["finding_id"][:12] for line in found.stdout.splitlines()}


@pytest.mark.usefixtures("broker")  # which says whether Kafka can be had
def test_what_happens_is_paged(demo: subprocess.Popen[str], tmp_path: Path) -> None:
    """Pages come while events do, each of something that a replay finds too; Ctrl-C leaves no process and no file."""
    assert demo.stdout is not None
    lines: list[str] = []
    triggers: list[str] = []
    for line in demo.stdout:
        lines.append(line)
        if found := re.match(r"  trigger +([0-9a-f]{12})  (critical|error|warning) +\S", line):
            triggers.append(found[1])
        if len(set(triggers)) == ENOUGH:
            break
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait() == 0, (tmp_path / "stderr").read_text()
    assert rest.endswith("stopped     nothing is left running\n")
    (folder,) = re.findall(r"^logs +(\S+)$", "".join(lines), re.MULTILINE)
    assert not Path(folder).exists()
    assert [each for each in _processes() if folder in each] == []
    assert set(triggers) <= of_replay(tmp_path)


def _processes() -> Iterator[str]:
    """Give the command line and the folder of every process."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_text() + str((process / "cwd").readlink())
        except OSError:  # ended, or not ours
            continue
