"""docker-compose.yml and Dockerfile, as far as they can be held without an engine: what they name is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from models.routes import Alertmanager
from models.settings import parse_settings
from streams.cli import rolehawk

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TAG = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.-]+)?")


def test_all_that_streams_is_there() -> None:
    """Kafka, what writes into it, what works on it, what tells of it, and what shows it."""
    assert SERVICES.keys() == {"kafka", "ingest", "worker", "alert", "prometheus", "alertmanager", "grafana"}


def test_images_are_pinned() -> None:
    """Every image has the tag of one version, those that ours is built from too."""
    images = [service["image"] for service in SERVICES.values()]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert all(TAG.fullmatch(image) for image in images), images


def test_ports_are_open_to_this_machine_alone() -> None:
    """Each port is published on the loopback address; who shares a network publishes none."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in ports)
    assert {service.get("network_mode") for name, service in SERVICES.items() if name != "kafka"} == {"service:kafka"}


@pytest.mark.parametrize(
    "name", [name for name, service in SERVICES.items() if service["image"].startswith("rolehawk:")]
)
def test_commands_are_rolehawks(name: str) -> None:
    """Each command line of ours is one that rolehawk takes."""
    command, *arguments = SERVICES[name]["command"]
    parsed = rolehawk.commands[command].make_context(command, list(arguments))
    assert isinstance(parsed, click.Context)
    assert SERVICES[name]["build"] == "."


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    """Each file and folder that is mounted is in the repository, read-only; each volume is declared."""
    for volume in SERVICES[name].get("volumes", ()):
        source, _, target = volume.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert target.endswith(":ro"), target
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_goes_on_running_is_watched(name: str) -> None:
    """Whatever does not end by itself has a health check, and starts again when it fails."""
    service = SERVICES[name]
    assert ("healthcheck" in service) == (name != "ingest")
    assert (service["restart"] == "on-failure") == (name != "ingest")
    assert set(service.get("depends_on", ())) <= SERVICES.keys()


def test_what_goes_on_running_is_scraped() -> None:
    """Prometheus knows of each service where it serves its metrics, and of no other."""
    (job,) = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    commands = [each.get("command", []) for each in SERVICES.values()]
    served = {each[each.index("--listen") + 1] for each in commands if "--listen" in each}
    assert served == set(job["static_configs"][0]["targets"])


def test_no_secret_is_in_it() -> None:
    """Nothing that is set is named like a secret."""
    names = [name for service in SERVICES.values() for name in service.get("environment", ())]
    assert names
    assert not [name for name in names if re.search("PASSWORD|SECRET|TOKEN|ACCESS_KEY", name)]


def test_settings_are_taken_and_lead_to_the_services() -> None:
    """The settings are valid, and name Kafka and Alertmanager where they are published."""
    settings = parse_settings((ROOT / "docker/rolehawk.toml").read_text())
    ports = {port.split(":")[1] for port in SERVICES["kafka"]["ports"]}
    assert {each.split(":")[1] for each in settings.kafka.bootstrap} <= ports
    (sink,) = settings.sinks.values()
    assert isinstance(sink, Alertmanager)
    assert sink.url == "http://127.0.0.1:9093"
    assert (
        SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{settings.kafka.bootstrap[0]}"
    )


def test_the_image_has_what_it_needs() -> None:
    """The extras that are installed exist, and all that is copied is there and not left out of the build."""
    (extras,) = re.findall(r"\.\[([a-z,]+)\]", DOCKERFILE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    wanted = (ROOT / ".dockerignore").read_text().splitlines()
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in copied.split():
            assert (ROOT / name).exists()
            assert f"!{name}" in wanted
    assert re.search(r"^USER rolehawk$", DOCKERFILE, re.MULTILINE)
