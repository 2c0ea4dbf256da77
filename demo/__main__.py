"""The whole pipeline on this machine, with nothing installed by hand: `make demo`.

A broker, a simulated organisation whose events go live into it, the worker that judges them, `rolehawk alert`, and a
stand-in for PagerDuty that it pages; Prometheus too, where it is installed. Ctrl-C stops all of it, and leaves nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from demo.pagerduty import PagerDuty
from streams.broker import Broker, BrokerError
from streams.terminal import visible_line

DAYS: Final = 3  # of event time, which pass as fast as the events come
SEED: Final = 1
STOP_S: Final = 30  # for a process to end by itself
LAST_LINES: Final = 5  # of the log of a process that ended unasked
ROUTING_KEY: Final = "0123456789abcdef0123456789abcdef"  # the stand-in takes any
SETTINGS: Final = """\
[stream]
shards = 2

[[routes]]
sink = "pagerduty"
severity = "medium"

[alert]
max_age_hours = {max_age_hours}  # event time runs ahead of the clock here
digest_minutes = 1

[sinks.pagerduty]
type = "pagerduty"
url = "{pagerduty}"
routing_key_env = "PAGERDUTY_ROUTING_KEY"
"""
PROMETHEUS: Final = """\
global: {{scrape_interval: 5s}}
scrape_configs:
  - job_name: rolehawk
    static_configs: [{{targets: ["{worker}", "{alert}"]}}]
"""


ROOT: Final = Path(__file__).parents[1]
ROLEHAWK: Final = (sys.executable, "-m", "streams.cli")
IS_READY: Final = b"metrics  "  # what worker and alert say when they are ready


class EndedError(Exception):
    """A process of the pipeline ended unasked; says which, and the last that it said."""


class Pipeline:
    """The processes of the pipeline, each with a log in one folder; all that run are stopped in turn, the last first."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder = folder
        self._running = running
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *command: str) -> None:
        """Start a process out of reach of the terminal's Ctrl-C: it is stopped in its turn."""
        with self._log(name).open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PAGERDUTY_ROUTING_KEY": ROUTING_KEY},
            )  # fmt: skip
        self._processes[name] = process
        self._running.callback(_stop, process)

    def wait_until_ready(self, name: str) -> None:
        """Wait until a process says that it is."""
        while IS_READY not in self._log(name).read_bytes():
            self.check()
            time.sleep(0.1)

    def is_done(self, name: str) -> bool:
        """Say whether a process has ended well."""
        return self._processes[name].poll() == 0

    def check(self, *, may_end: str = "") -> None:
        """Raise EndedError where one has ended, but for one that may when its work is done."""
        for name, process in self._processes.items():
            status = process.poll()
            if status is not None and (name, status) != (may_end, 0):
                lines = self._log(name).read_text(errors="replace").splitlines()[-LAST_LINES:]
                raise EndedError("\n".join((f"{name} ended with status {status}:", *map(visible_line, lines))))

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def main() -> int:
    """Run it until Ctrl-C, or until so many incidents have been opened; gives the exit status."""
    given = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)
    events: Queue[dict[str, Any]] = Queue()
    try:
        with ExitStack() as running:
            pipeline = _start(running, given, events)
            _show(pipeline, given.incidents, events)
    except KeyboardInterrupt:
        pass
    except (BrokerError, EndedError) as error:
        print(error, file=sys.stderr)
        return 1
    _say("stopped", "nothing is left running")
    return 0


def _start(running: ExitStack, given: argparse.Namespace, events: Queue[dict[str, Any]]) -> Pipeline:
    """Start one after another what the next one needs, and say where to look."""
    folder = Path(running.enter_context(TemporaryDirectory(prefix="rolehawk-demo-")))
    _say("logs", str(folder))
    broker = running.enter_context(Broker(on_progress=lambda words: _say("broker", words)))
    _say("broker", broker.bootstrap)
    server = running.enter_context(PagerDuty(on_event=events.put))
    _say("pagerduty", f"{server.url}, a stand-in: what it gets is shown below")
    settings = SETTINGS.format(pagerduty=server.url, max_age_hours=24 * (DAYS + 2))
    (folder / "rolehawk.toml").write_text(settings)
    pipeline = Pipeline(folder, running)
    ports = {name: _free_port() for name in ("worker", "alert", "prometheus")}
    for name in ("worker", "alert"):
        listen = f"127.0.0.1:{ports[name]}"
        pipeline.start(
            name, *ROLEHAWK, name, "--kafka", broker.bootstrap, "--state", f"{name}-state", "--listen", listen
        )
        pipeline.wait_until_ready(name)
        _say(name, f"http://{listen}/metrics")
    if (prometheus := shutil.which("prometheus")) is None:
        _say("prometheus", "not installed: apt install prometheus")
    else:
        targets = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        (folder / "prometheus.yml").write_text(PROMETHEUS.format(**targets))
        pipeline.start(
            "prometheus", prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
            f"--web.listen-address={targets['prometheus']}",
        )  # fmt: skip
        _say("prometheus", f"http://{targets['prometheus']}/graph?g0.expr=rolehawk_findings_open&g0.tab=0")
    first_day = (datetime.now(UTC) - timedelta(days=DAYS)).date().isoformat()
    pipeline.start(
        "simulate", *ROLEHAWK, "simulate", "--live", str(given.rate), "--kafka", broker.bootstrap,
        "--events", str(given.events), "--days", str(DAYS), "--start", first_day, "--seed", str(SEED),
    )  # fmt: skip
    _say("events", f"{given.events:,} of an organisation that never was, {given.rate:,} a second. Ctrl-C stops all")
    return pipeline


def _show(pipeline: Pipeline, enough: int | None, events: Queue[dict[str, Any]]) -> None:
    """Show what PagerDuty gets, as it comes."""
    opened: set[str] = set()
    has_ended = False
    while enough is None or len(opened) < enough:
        pipeline.check(may_end="simulate")
        if not has_ended and pipeline.is_done("simulate"):
            has_ended = True
            _say("events", "all are sent; what is found goes on coming. Ctrl-C stops all")
        try:
            event = events.get(timeout=0.5)
        except Empty:
            continue
        if event.get("event_action") == "trigger":
            opened.add(event["dedup_key"])
        _say(*_told(event))


def _told(event: dict[str, Any]) -> tuple[str, str]:
    """Put an event into a line: what it does, and to what."""
    if event.get("event_action") == "resolve":
        return "  resolve", visible_line(event["dedup_key"][:12])
    payload = event["payload"]
    if "event_action" not in event:
        return "  digest", visible_line(payload["summary"])
    return "  trigger", f"{event['dedup_key'][:12]}  {payload['severity']:<9} {visible_line(payload['summary'])}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make demo", description="The whole pipeline on this machine.")
    parser.add_argument("--events", type=int, default=60_000, help="how many events, over three days of event time")
    parser.add_argument("--rate", type=int, default=500, help="how many a second")
    parser.add_argument("--incidents", type=int, help="stop after so many incidents; if not given, at Ctrl-C")
    return parser.parse_args()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _say(what: str, words: str) -> None:
    print(f"{what:<12}{words}", flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
