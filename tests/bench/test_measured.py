"""What the bench measures is what it says: each step, and each profile as it lives and as it is stored."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import trail
from bench.measured import STEPS, live_bytes, profiles, replayed, steps

EVENTS = 3_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small trail."""
    made = tmp_path_factory.mktemp("trail")
    trail.write(made, EVENTS, 50, 1, seed=1)
    return made


def test_what_is_shared_counts_once() -> None:
    """An object that is held twice is weighed once, and what the interpreter has one of for all is not weighed."""
    name = "a name of some length"
    assert live_bytes([name, name, None, True], set()) == sys.getsizeof([1, 2, 3, 4]) + sys.getsizeof(name)


def test_each_entity_is_weighed(folder: Path) -> None:
    """There is a live and an encoded size for each entity that replay finds, and the live one is the larger."""
    found = profiles(str(folder))
    assert len(found["live_bytes"]) == len(found["encoded_bytes"]) >= replayed(str(folder))["entities"]
    assert sum(found["live_bytes"]) > sum(found["encoded_bytes"]) > 0


def test_every_step_is_timed(folder: Path) -> None:
    """Each step takes some time, and the steps see all records."""
    found = steps(str(folder))
    assert found["records"] > EVENTS
    assert all(found["steps_us"][step] > 0 for step in STEPS)
