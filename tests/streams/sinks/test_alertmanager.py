"""Alertmanager, the real one: what is open stays open there, and ends there."""

# ruff: noqa: S603 - the process is Alertmanager
from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3

from models.finding import Finding
from models.record import iso
from models.settings import parse_settings
from streams.alert import Courier, Desk
from streams.ledger import Ledger
from streams.sinks import make_sinks
from tests.findings import finding

DEADLINE_S = 60
PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


class Manager:
    """A running Alertmanager, and one ledger that tells it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.settings = parse_settings(
            f'[[routes]]\nsink = "am"\n[sinks.am]\ntype = "alertmanager"\nurl = "{url}"\nexpires_minutes = 3\n'
            '[alert]\nrunbook_url = "https://wiki.example.com/{detector}"'
        )
        self.clock = time.time()
        self.ledger = Ledger(None, {"am": 60})
        (sink,) = make_sinks(self.settings).values()
        self.outcomes: list[str] = []
        self.courier = Courier("am", sink, self.ledger, 0, self._count, pytest.fail)
        self._pool = urllib3.PoolManager()

    def tell(self, *changes: Finding) -> None:
        """Take in changes and tell them."""
        Desk(self.settings, self.ledger, self._count, lambda: self.clock).take(changes)
        for _ in range(10):
            self.courier.step(self.clock)

    def alerts(self) -> list[dict[str, Any]]:
        """List the alerts that are active there."""
        answer = self._pool.request("GET", f"{self.url}/api/v2/alerts?active=true")
        found = msgspec.json.decode(answer.data, type=list[dict[str, Any]])
        now = iso(int(time.time()))
        return [each for each in found if each["endsAt"][:19] > now[:19]]

    def wait_for(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait until the active alerts are as they should be."""
        give_up_at = time.monotonic() + DEADLINE_S
        while not condition(found := self.alerts()):
            assert time.monotonic() < give_up_at, found
            time.sleep(0.1)
        return found

    def close(self) -> None:
        """Let all connections go."""
        self.courier.close()
        self.ledger.close()
        self._pool.clear()

    def _count(self, _sink: str, outcome: str, number: int) -> None:
        self.outcomes += [outcome] * number


@pytest.fixture(scope="module")
def alertmanager_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Alertmanager on this machine."""
    if PROGRAM is None:
        pytest.skip("Alertmanager is not installed: apt install prometheus-alertmanager")
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "config.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        PROGRAM, f"--config.file={folder}/config.yml", f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_until_ready(url, process, folder / "log")
            yield url
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


@pytest.fixture
def manager(alertmanager_url: str) -> Iterator[Manager]:
    """Give the running Alertmanager, and a new ledger."""
    made = Manager(alertmanager_url)
    yield made
    made.close()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    with urllib3.PoolManager(retries=False) as pool:
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            try:
                if pool.request("GET", f"{url}/-/ready").status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)


def _of(key: str) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    return lambda alerts: [each for each in alerts if each["labels"].get("finding_id") == key]


def test_a_finding_is_an_alert_until_it_is_over(manager: Manager) -> None:
    """Labels, notes and start come from the finding; a rise of severity replaces the alert; the end ends it."""
    opened = finding("am-1", updated_at=iso(int(time.time())))
    mine = _of(opened.finding_id)
    manager.tell(opened)
    (alert,) = mine(manager.wait_for(lambda alerts: len(mine(alerts)) == 1))
    assert alert["labels"] == {
        "alertname": "RolehawkFinding",
        "detector": "machine-role-console",
        "severity": "high",
        "account_id": "111122223333",
        "finding_id": opened.finding_id,
    }
    assert alert["annotations"]["summary"] == opened.title
    assert alert["annotations"]["runbook_url"] == "https://wiki.example.com/machine-role-console"
    assert alert["startsAt"][:19] == opened.opened_at[:19]

    manager.tell(finding("am-1", 2, severity="critical", updated_at=opened.updated_at))
    (alert,) = mine(
        manager.wait_for(lambda alerts: [each["labels"]["severity"] for each in mine(alerts)] == ["critical"])
    )
    manager.tell(finding("am-1", 3, severity="critical", close_reason="quiet"))
    manager.wait_for(lambda alerts: not mine(alerts))
    assert manager.outcomes == ["delivered"] * 3


def test_what_is_open_is_said_again_before_it_expires(manager: Manager) -> None:
    """Each time its end is put off; once it is over nothing is said any more."""
    opened = finding("am-2", updated_at=iso(int(time.time())))
    mine = _of(opened.finding_id)
    manager.tell(opened)
    (first,) = mine(manager.wait_for(lambda alerts: len(mine(alerts)) == 1))
    manager.clock += 59
    manager.tell()
    assert manager.outcomes == ["delivered"]
    manager.clock += 2
    manager.tell()
    assert manager.outcomes == ["delivered", "repeated"]
    manager.wait_for(lambda alerts: mine(alerts)[0]["endsAt"] > first["endsAt"])
    manager.tell(finding("am-2", 2, close_reason="resolved"))
    manager.clock += 1_000
    manager.tell()
    assert manager.outcomes == ["delivered", "repeated", "delivered"]


def test_a_digest_is_an_alert_of_its_own(manager: Manager) -> None:
    """What was held back is one alert of severity info that ends by itself."""
    manager.tell(finding("am-3", updated_at="2024-05-01T09:31:00Z", opened_at="2024-05-01T09:31:00Z"))
    found = manager.wait_for(lambda alerts: any(each["labels"]["alertname"] == "RolehawkDigest" for each in alerts))
    (alert,) = (each for each in found if each["labels"]["alertname"] == "RolehawkDigest")
    assert alert["labels"]["severity"] == "info"
    assert alert["annotations"]["summary"].startswith("1 finding not paged (1 high)")
