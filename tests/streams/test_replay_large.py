"""A trail larger than what is sorted in memory, as it lies in life and as disorderly as can be: the same bytes."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

import msgspec
import pytest

from bench import trail
from models.settings import Settings
from models.trail import Rejected
from streams.order import MAX_HELD
from streams.replay import Result, replay

EVENTS = 2 * MAX_HELD + 20_000


def run(folder: Path) -> Result:
    """Replay a folder in which nothing may be rejected."""

    def fail(rejected: Rejected) -> None:
        raise AssertionError(rejected)

    return replay([str(folder)], Settings(), on_rejected=fail)


@pytest.mark.long
def test_a_large_trail_gives_the_same_bytes_however_disorderly(tmp_path: Path) -> None:
    """Merged as delivered, or each record twice and all shuffled over files, spilled and merged: nothing differs."""
    trail.write(tmp_path / "delivered", EVENTS, 500, 20, seed=7)
    delivered = run(tmp_path / "delivered")
    assert delivered.summary.events == EVENTS
    assert delivered.findings
    lines = [
        bytes(raw)
        for path in sorted((tmp_path / "delivered").rglob("*.json.gz"))
        for raw in msgspec.json.decode(gzip.decompress(path.read_bytes()), type=dict[str, list[msgspec.Raw]])["Records"]
    ]
    lines += lines
    Random(7).shuffle(lines)
    (tmp_path / "shuffled").mkdir()
    for n, at in enumerate(range(0, len(lines), 7_000)):
        content = b"\n".join(lines[at : at + 7_000])
        (tmp_path / "shuffled" / f"{n:03d}.gz").write_bytes(gzip.compress(content, compresslevel=1))
    shuffled = run(tmp_path / "shuffled")
    assert shuffled.summary.duplicates == EVENTS + 2 * delivered.summary.duplicates
    assert msgspec.json.encode(shuffled.findings) == msgspec.json.encode(delivered.findings)
    assert msgspec.json.encode(shuffled.principals) == msgspec.json.encode(delivered.principals)
