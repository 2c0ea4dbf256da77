"""What all tests share: one real broker for a whole run, and no test left out unseen."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from hypothesis import settings

from streams.broker import Broker, BrokerError
from tests.streams.topics import Topics

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own example

# How long one example takes is the machine's business; in CI hypothesis says so itself.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

_BROKER = pytest.StashKey[Broker]()  # in the process that started it
_FOLDER = pytest.StashKey[TemporaryDirectory[str]]()  # of the run: its processes share it


class SharedBroker(NamedTuple):
    """The broker that all tests of a run share; a test that stops or kills one has `own_broker`."""

    bootstrap: str


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder of the run, in the process that started it."""
    if not hasattr(config, "workerinput"):
        config.stash[_FOLDER] = TemporaryDirectory(prefix="rolehawk-tests-")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each process of pytest-xdist which folder the run has."""
    node.workerinput["folder"] = node.config.stash[_FOLDER].name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the broker that the run had, in the process that started the run."""
    if (folder := config.stash.get(_FOLDER, None)) is None:
        return
    with suppress(FileNotFoundError):
        process_id = int(Path(folder.name, "process-id").read_text())
        os.kill(process_id, signal.SIGTERM)
        give_up_at = time.monotonic() + 60
        while _is_there(process_id) and time.monotonic() < give_up_at:
            time.sleep(0.05)
    folder.cleanup()


def _is_there(process_id: int) -> bool:
    with suppress(ChildProcessError):  # started by another process of the run, which has ended
        return os.waitpid(process_id, os.WNOHANG) == (0, 0)
    with suppress(ProcessLookupError):
        os.kill(process_id, 0)
        return True
    return False


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail in CI: there everything can be had, and what was not run was not tested."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not take: {report.longreprtext}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let a file of tests that is skipped whole fail in CI as well."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not take: {report.longreprtext}"
    return report


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> SharedBroker:
    """Give a real Kafka, started by whichever process of the run needs it first. Names of topics are the test's own."""
    shared = getattr(pytestconfig, "workerinput", None)
    folder = Path(shared["folder"] if shared else pytestconfig.stash[_FOLDER].name)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = folder / "bootstrap"
        if not address.exists():
            kafka = pytestconfig.stash[_BROKER] = _started(folder / "broker")
            (folder / "process-id").write_text(str(kafka.process_id))
            address.write_text(kafka.bootstrap)
        return SharedBroker(address.read_text())


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """Give a broker of the test's own, to be stopped, killed and started again."""
    kafka = _started(tmp_path / "broker")
    yield kafka
    kafka.close()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """Give the address of an AWS of our own, over real HTTP."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow, and few need it

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request says nothing of a failure
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point all AWS clients of this process, and of those that it starts, to an AWS of our own that is empty."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    urlopen(Request(f"{aws_server}/moto-api/reset", method="POST")).close()  # noqa: S310 - it is ours
    return aws_server


@pytest.fixture
def unique() -> str:
    """Give a word that no other test has, for the names of topics and groups."""
    return uuid4().hex[:12]


@pytest.fixture
def topics(broker: SharedBroker, unique: str) -> Topics:
    """Give names of topics that are the test's own, on the broker that all tests share."""
    return Topics(broker.bootstrap, unique)


def _started(folder: Path) -> Broker:
    """Start a broker, or skip the test where Kafka cannot be had."""
    try:
        return Broker(folder).start()
    except BrokerError as error:
        pytest.skip(str(error))
