"""The pages say what the code does: the catalogue is generated, and no command, option or setting is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
import pytest

from models.behaviour.evidence import Kind
from models.detector import Detector, Tuning
from models.detectors import REGISTRY, build, tuning_of
from models.facts import LADDER
from models.finding import Class, Severity
from models.routes import SINKS, Route
from models.settings import Account, Settings, parse_settings
from streams.cli import rolehawk
from streams.commands.detectors import catalogue
from streams.formats import writer
from streams.options import CLASSES, KINDS, SEVERITIES
from streams.replay import replay
from streams.terminal import Screen

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = (DOCS / "commands.md").read_text()
SETTINGS = (DOCS / "settings.md").read_text()


def test_catalogue_is_what_the_detectors_say() -> None:
    """docs/detectors.md is what `rolehawk detectors --format markdown` prints: `make docs` writes it."""
    assert (DOCS / "detectors.md").read_text() == "".join(writer("detectors", "markdown")(catalogue(None), Screen()))


@pytest.mark.parametrize("detector", REGISTRY, ids=lambda detector: detector.name)
def test_runbook_addresses_lead_somewhere(detector: type[Detector[Any]]) -> None:
    """The catalogue has a section for each detector, with runbook and gaps."""
    section = (DOCS / "detectors.md").read_text().split(f"\n## {detector.name}\n")[1].split("\n## ")[0]
    assert detector.runbook in section
    assert detector.known_gaps in section


@pytest.mark.parametrize(
    ("command", "option"),
    [
        pytest.param(name, param, id=f"{name} {param.opts[0]}")
        for name, command in rolehawk.commands.items()
        for param in command.params
        if isinstance(param, click.Option)
    ],
)
def test_every_option_is_documented(command: str, option: click.Option) -> None:
    """Each option of each command stands in that command's section of docs/commands.md, each spelling on the page."""
    sections = re.split(r"^## ", COMMANDS, flags=re.MULTILINE)
    (own,) = (section for section in sections if section.startswith(f"{command}\n"))
    assert f"rolehawk {command}" in own
    assert any(re.search(rf"`{spelling}\b", own) for spelling in option.opts)
    assert all(re.search(rf"`{spelling}\b", COMMANDS) for spelling in option.opts)


def test_no_option_is_made_up() -> None:
    """Whatever the page calls an option is one."""
    known = {option for command in rolehawk.commands.values() for param in command.params for option in param.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", COMMANDS)) <= known | {"--version", "--help"}


def test_every_setting_is_documented() -> None:
    """Each section and key that rolehawk.toml may have stands in docs/settings.md."""
    for section in msgspec.structs.fields(Settings):
        assert f"[{section.encode_name}" in SETTINGS
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct):
            assert all(f"`{key.encode_name}`" in SETTINGS for key in msgspec.structs.fields(section.type))
    sinks = (key for sink in SINKS.values() for key in msgspec.structs.fields(sink))
    of_lists = (
        *msgspec.structs.fields(Account),
        *msgspec.structs.fields(Tuning),
        *msgspec.structs.fields(Route),
        *sinks,
    )
    for key in of_lists:
        assert f"`{key.encode_name}`" in SETTINGS


@pytest.mark.parametrize("detector", REGISTRY, ids=lambda detector: detector.name)
def test_every_tuning_is_documented(detector: type[Detector[Any]]) -> None:
    """Each detector and each of its settings stands there, with the default in force."""
    assert f"`{detector.name}`" in SETTINGS
    for key, default in tuning_of(detector).items():
        assert f"`{key}` | {default} |" in SETTINGS


def test_the_example_is_taken() -> None:
    """The example of docs/settings.md is valid, and shows every section."""
    (example,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    settings = parse_settings(example)
    build(settings)
    assert all(getattr(settings, field.name) != field.default for field in msgspec.structs.fields(Settings))


def test_pages_lead_to_pages() -> None:
    """No link between the pages is broken."""
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([a-z]+\.md)", page.read_text()):
            assert (DOCS / target).is_file()


def test_words_of_the_command_line_are_the_models() -> None:
    """Severities, classes and kinds are spelled out in the command line, lest --help load the engine; they agree."""
    assert tuple(each.label for each in reversed(Severity)) == SEVERITIES
    assert set(CLASSES) == set(get_args(Class))
    assert set(KINDS) == set(get_args(Kind))


def test_the_ladder_is_documented() -> None:
    """docs/evidence.md lists every fact with its tier and the side that it speaks for."""
    page = (DOCS / "evidence.md").read_text()
    for rung in LADDER.values():
        assert f"| {rung.tier} | {rung.side or 'nothing'} | {rung.text} |" in page


def test_the_front_page_shows_real_findings() -> None:
    """The findings of README are those of the sample trail, by their ids and titles."""
    front, sample = (DOCS.parent / "README.md").read_text(), DOCS.parent / "examples/sample-trail"
    found = replay([str(sample / "AWSLogs")], parse_settings((sample / "rolehawk.toml").read_text())).findings
    titles = {each.finding_id[:12]: each.title for each in found}
    shown = re.findall(r"id ([0-9a-f]{12})", front)
    assert len(shown) == 2
    assert all(titles[each] in front for each in shown)


def test_the_front_page_leads_somewhere() -> None:
    """README shows the two commands, and links to every page."""
    front = (DOCS.parent / "README.md").read_text()
    assert "make run" in front
    assert "make test" in front
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= set(re.findall(r"\]\((docs/[a-z-]+\.md)\)", front))
