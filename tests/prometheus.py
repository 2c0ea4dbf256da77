"""A real Prometheus of a test's own: Debian's, on a port and a folder of its own."""

# ruff: noqa: S603 - Prometheus is what the tests run
from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

RULES = Path(__file__).parents[1] / "prometheus/rules.yml"
DEADLINE_S = 60


class Answer(NamedTuple):
    """What Prometheus answered to a query: its series, or what was wrong with it."""

    series: list[dict[str, Any]]
    error: str | None


class Prometheus:
    """One that runs, and can be asked."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, **parameters: Any) -> Any:
        """Ask its HTTP API; gives the whole answer, of an error too."""
        url = f"http://127.0.0.1:{self.port}{path}?{urlencode(parameters)}"
        try:
            with urlopen(url, timeout=DEADLINE_S) as answer:
                return json.load(answer)
        except URLError as error:
            if not hasattr(error, "read"):
                raise
            return json.loads(error.read())

    def over(self, query: str, start: float, end: float, step_s: float) -> Answer:
        """Evaluate a query over a span."""
        return _answer(self.ask("/api/v1/query_range", query=query, start=start, end=end, step=step_s))

    def at(self, query: str, instant: float) -> Answer:
        """Evaluate a query at an instant."""
        return _answer(self.ask("/api/v1/query", query=query, time=instant))


def _answer(answer: Any) -> Answer:
    if answer["status"] != "success":
        return Answer([], answer["error"])
    return Answer(answer["data"]["result"], None)


@contextmanager
def running(folder: Path, target: int, *, interval: str = "1s") -> Iterator[Prometheus]:
    """Run Prometheus with rolehawk's rules while the body runs; it scrapes one port, and keeps what is in the folder."""
    if (program := shutil.which("prometheus")) is None:
        pytest.skip("needs prometheus, of Debian")
    port = _free_port()
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        group["interval"] = interval  # no test waits for minutes
    (folder / "rules.yml").write_text(yaml.safe_dump(rules))
    config = folder / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": interval, "evaluation_interval": interval},
                "rule_files": ["rules.yml"],
                "scrape_configs": [{"job_name": "rolehawk", "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
            }
        )
    )
    command = [
        program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=1000d", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            started = Prometheus(port)
            wait_for(lambda: _is_ready(started, process), folder / "log")
            yield started
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def wait_for(condition: Any, log: Path | None = None) -> None:
    """Wait until something holds; fails where it does not within a generous time."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up_at, log.read_text() if log else condition
        time.sleep(0.1)


def _is_ready(started: Prometheus, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "prometheus ended"
    try:
        with urlopen(f"http://127.0.0.1:{started.port}/-/ready", timeout=DEADLINE_S):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
