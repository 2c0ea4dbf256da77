"""Files are found wherever they lie and read whatever holds them; damage is named and costs what it hit."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from models.record import epoch
from models.trail import Batch
from streams.sources.files import FileReader, Source, begins_at, find, inflated
from tests.records import instance_call, time

RECORDS = [instance_call(n, requestParameters={"key": Random(n).randbytes(300).hex()}) for n in range(40)]
LOG = msgspec.json.encode({"Records": RECORDS})
LINES = b"".join(msgspec.json.encode(each) + b"\n" for each in RECORDS)
ROOT = Path(__file__).parents[3]


def source(path: Path, *, is_named: bool = True) -> Source:
    """Make the source that `find` would."""
    return Source(str(path), is_named, path.stat().st_size)


def read(path: Path, content: bytes, *, piece: int = 2_000) -> tuple[list[str], list[Batch]]:
    """Write a file and read it; gives the event ids and the batches."""
    path.write_bytes(content)
    batches = list(FileReader(piece=piece).read(source(path)))
    return [event.event_id for batch in batches for event in batch.events], batches


def reasons(batches: list[Batch]) -> list[str]:
    """List why something was rejected."""
    return [each.reason for batch in batches for each in batch.rejected]


ALL = [each["eventID"] for each in RECORDS]
HALF = len(LINES[: LINES.index(b"\n", len(LINES) // 2) + 1])
WRAPPINGS = {
    "plain": LOG,
    "gzip": gzip.compress(LOG),
    "gzip of lines": gzip.compress(LINES),
    "several members": gzip.compress(LINES[:HALF]) + gzip.compress(LINES[HALF:]),
    "members cut inside a record": gzip.compress(LOG[:5000]) + gzip.compress(LOG[5000:]),
    "an empty member between": gzip.compress(LINES[:HALF]) + gzip.compress(b"") + gzip.compress(LINES[HALF:]),
    "padded with zeros": gzip.compress(LOG) + b"\0" * 512,
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_gives_the_same_events(tmp_path: Path, wrapping: str) -> None:
    """Told by content: the name says nothing."""
    found, batches = read(tmp_path / "trail.txt", WRAPPINGS[wrapping])
    assert found == ALL
    assert reasons(batches) == []


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_gzip_that_ends_early_yields_what_came_before(tmp_path: Path, share: float) -> None:
    """All whole records before the cut are read, and it is said that there was a cut."""
    whole = gzip.compress(LOG, compresslevel=1)
    found, batches = read(tmp_path / "cut.json.gz", whole[: int(len(whole) * share)])
    assert found == ALL[: len(found)]
    assert len(found) >= len(ALL) * share * 0.5
    assert reasons(batches)[-1].startswith("gzip ends early")
    assert f"{sum(batch.count for batch in batches[:-1])} records before it" in reasons(batches)[-1]
    assert batches[-1].rejected[0].record == 0


def test_a_damaged_gzip_is_named(tmp_path: Path) -> None:
    """Noise in the middle is an error of that file, after what came before."""
    many = gzip.compress(
        b"".join(
            msgspec.json.encode(instance_call(n, requestParameters={"k": os.urandom(90).hex()})) + b"\n"
            for n in range(2_000)
        )
    )
    noise = many[: len(many) // 2] + os.urandom(100) + many[len(many) // 2 + 100 :]
    found, batches = read(tmp_path / "x", noise, piece=20_000)
    assert 500 < len(found) < 2_000
    assert "gzip is damaged" in reasons(batches)[-1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04rest", "a zip archive, not CloudTrail: unpack it first"),
        (b"(\xb5/\xfdrest", "zstandard, not CloudTrail: unpack it first"),
        (b"hello", "no JSON, so no CloudTrail"),
        (gzip.compress(b"hello"), "no JSON, so no CloudTrail"),
        (b"\x1f\x8b\x08", "gzip ends early; 0 records before it were read"),
        (b"\x1f\x8bnonsense", "gzip is damaged: "),
    ],
)
def test_what_is_no_trail_is_rejected_where_it_was_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """A file that was asked for and holds no trail is an error that says what it is."""
    found, batches = read(tmp_path / "x", content)
    assert found == []
    assert reasons(batches)[-1].startswith(reason)


def test_what_lies_beside_a_trail_is_left_out(tmp_path: Path) -> None:
    """A README found on the way is no fault: it is counted as another file, and no record of it is rejected."""
    (tmp_path / "README.md").write_text("# Notes")
    (tmp_path / "trail.json").write_bytes(LOG)
    sources, missing = find([str(tmp_path)])
    reader = FileReader()
    batches = [batch for each in sources for batch in reader.read(each)]
    assert sum(len(batch.events) for batch in batches) == len(ALL)
    assert (reasons(batches), missing, reader.files) == ([], [], 1)
    assert reader.others == [str(tmp_path / "README.md")]


def test_an_empty_file_is_no_fault(tmp_path: Path) -> None:
    """Nothing in it, nothing wrong with it."""
    assert read(tmp_path / "empty", b"") == ([], [])
    assert read(tmp_path / "empty.gz", gzip.compress(b"")) == ([], [])


def test_folders_are_walked_globs_expanded_and_each_file_read_once(tmp_path: Path) -> None:
    """However often a file is named, by folder, glob, name or link, it is read once; order within a path is by name."""
    for name in ("b/2.json", "a/1.json", "c.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(LOG)
    (tmp_path / "link.json").symlink_to(tmp_path / "c.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    sources, missing = find([str(tmp_path / "*" / "*.json"), str(tmp_path), str(tmp_path / "c.json")])
    assert missing == []
    assert [Path(each.name).resolve().name for each in sources] == ["1.json", "2.json", "c.json"]


def test_what_leads_nowhere_is_named(tmp_path: Path) -> None:
    """A path that is not there is told apart from one that cannot be read."""
    sources, missing = find([str(tmp_path / "nothing"), str(tmp_path / "*.none")])
    assert sources == []
    assert [each.name for each in missing] == [str(tmp_path / "nothing"), str(tmp_path / "*.none")]
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    sources, missing = find([str(tmp_path / "dangling")])
    assert (sources, [each.reason for each in missing]) == ([], ["No such file or directory"])


def test_a_name_with_glob_characters_is_a_name_first(tmp_path: Path) -> None:
    """A file called `[x].json` is found under that name."""
    (tmp_path / "[x].json").write_bytes(LOG)
    sources, _ = find([str(tmp_path / "[x].json")])
    assert [Path(each.name).name for each in sources] == ["[x].json"]


def test_stdin_is_read_to_its_end() -> None:
    """A trail of any wrapping can come through a pipe."""
    code = (
        "from streams.sources.files import FileReader, find\n"
        "sources, _ = find(['-'])\n"
        "print(sum(len(batch.events) for batch in FileReader().read(sources[0])))"
    )
    for content in WRAPPINGS.values():
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code], input=content, capture_output=True, cwd=ROOT, timeout=60, check=True
        )
        assert done.stdout == b"40\n"


def test_bytes_read_are_told(tmp_path: Path) -> None:
    """What is told of progress adds up to the size on disk."""
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(LOG))
    told: list[int] = []
    list(FileReader(told.append).read(source(path)))
    assert sum(told) == path.stat().st_size


def test_a_bomb_is_read_in_pieces(tmp_path: Path) -> None:
    """A small gzip of 100 MB of nothing is rejected without ever being held whole."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b'{"Records":[' + b" " * 100_000_000, compresslevel=1))
    largest = max(len(chunk) for chunk in inflated(source(path)))
    assert largest <= 1024 * 1024
    batches = list(FileReader().read(source(path)))
    assert sum(len(batch.events) for batch in batches) == 0
    assert reasons(batches)


def test_begins_at_is_told_from_the_start_of_a_file(tmp_path: Path) -> None:
    """The earliest time near the start is found through gzip; where there is none, None."""
    path = tmp_path / "x"
    for content in (LOG, gzip.compress(LINES)):
        path.write_bytes(content)
        assert begins_at(source(path)) == epoch(time(0))
    for content in (b"", b"{}", b"\x1f\x8bnonsense", b'{"eventTime": "2024-99-99T00:00:00Z"}'):
        path.write_bytes(content)
        assert begins_at(source(path)) is None
