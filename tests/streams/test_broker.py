"""The broker, as people run it and as tests do: a real Kafka that keeps what it was given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from streams.broker import Broker, BrokerError
from tests.conftest import SharedBroker

ROOT = Path(__file__).parents[2]
DEADLINE_S = 180


def write(bootstrap: str, topic: str, *values: bytes) -> None:
    """Write messages, each acknowledged."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for value in values:
        producer.send(topic, value).get(timeout=DEADLINE_S)
    producer.close()


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read so many messages from a topic's beginning."""
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    values: list[bytes] = []
    while len(values) < count:
        values += [message.value for batch in consumer.poll(1000).values() for message in batch]
    consumer.close()
    return values


def make_topic(bootstrap: str, topic: str) -> None:
    """Make a topic of one partition."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()


def test_shared_broker_takes_and_gives(broker: SharedBroker, unique: str) -> None:
    """The broker that all tests share is a real Kafka: what was written is read."""
    make_topic(broker.bootstrap, unique)
    write(broker.bootstrap, unique, b"one", b"two")
    assert read(broker.bootstrap, unique, 2) == [b"one", b"two"]


def test_data_outlive_stop_and_kill(own_broker: Broker) -> None:
    """Stopped or killed and started again, it has the same address and the same messages."""
    bootstrap = own_broker.bootstrap
    make_topic(bootstrap, "kept")
    write(bootstrap, "kept", b"before the stop")
    own_broker.restart()
    write(bootstrap, "kept", b"before the kill")
    own_broker.kill()
    assert own_broker.process_id is None
    own_broker.start()
    assert own_broker.bootstrap == bootstrap
    assert read(bootstrap, "kept", 2) == [b"before the stop", b"before the kill"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_command_prints_the_address_and_stops_cleanly(
    broker: SharedBroker, tmp_path: Path, stop: signal.Signals
) -> None:
    """`rolehawk broker` serves until it is told to stop; then neither process nor folder is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.cli", "broker"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert process.stdout is not None
    bootstrap = process.stdout.readline().strip()
    make_topic(bootstrap, "tried")
    (folder,) = tmp_path.glob("rolehawk-broker-*")
    assert bootstrap != broker.bootstrap
    process.send_signal(stop)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "stopping" in said
    assert not folder.exists()


def test_taken_port_is_named(own_broker: Broker, tmp_path: Path) -> None:
    """A port that another broker listens on: the error says what Kafka said."""
    with (
        pytest.raises(BrokerError, match=r"did not start.*Address already in use"),
        Broker(tmp_path / "b", port=own_broker.port),
    ):
        pass


def test_unreachable_maven_central_is_named(tmp_path: Path) -> None:
    """Where Kafka cannot be fetched the error says so, and nothing half fetched is left."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "broker"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "https_proxy": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "no_proxy": "", "NO_PROXY": "",
        },
        text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert "could not be fetched from Maven Central" in done.stderr.splitlines()[-1]
    assert [path.name for path in (tmp_path / "cache/rolehawk").iterdir()] == ["broker.lock"]
