"""The command `rolehawk simulate`, run as people run it: folders, pipes, and arguments that make no sense."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from streams.simulate import Lines, Request, UnusablePlanError, prepare, stories_of
from streams.sources.simulated.callers import Stream
from streams.sources.simulated.delivery import Arrival
from streams.sources.simulated.organisation import Plan
from streams.sources.simulated.stories import BY_NAME

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "simulate.md"
DEADLINE_S = 60


def simulate(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", "simulate", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


def content(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_folder_gets_trail_truth_and_settings(tmp_path: Path) -> None:
    """Nothing goes to stdout; the summary says what was written."""
    done = simulate("-o", "made/here", "--events", "1000", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")
    made = content(tmp_path / "made" / "here")
    assert {name.split("/")[0] for name in made} == {"AWSLogs", "truth.jsonl", "rolehawk.toml"}
    assert b"wrote       1," in done.stderr
    assert b"findings" in done.stderr


def test_the_same_arguments_make_the_same_bytes(tmp_path: Path) -> None:
    """In two processes, whatever the hash seed; another seed makes others."""
    for name, seed in (("one", "9"), ("two", "9"), ("three", "10")):
        assert simulate("-o", name, "--events", "1500", "--seed", seed, "--digests", cwd=tmp_path).returncode == 0
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert content(tmp_path / "one").keys() != content(tmp_path / "three").keys()


def test_without_incidents_there_is_only_ordinary_life(tmp_path: Path) -> None:
    """The truth then tells of joiners, leavers, rotation and IAM users, and of no near miss but theirs."""
    assert simulate("-o", "calm", "--events", "1000", "--incidents", "none", "-q", cwd=tmp_path).returncode == 0
    rows = [json.loads(line) for line in (tmp_path / "calm" / "truth.jsonl").read_text().splitlines()]
    stories = {each["story"] for each in rows if each["kind"] != "principal"}
    assert stories <= {"ordinary life", "joiner", "leaver", "rotation"}


def test_only_what_is_named_is_told(tmp_path: Path) -> None:
    """Names are separated by commas."""
    done = simulate("-o", "two", "--events", "1000", "--incidents", "root-use, presigned-url", "-q", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = [json.loads(line) for line in (tmp_path / "two" / "truth.jsonl").read_text().splitlines()]
    stories = {each["story"] for each in rows if each["kind"] != "principal"}
    assert stories - {"ordinary life", "joiner", "leaver", "rotation"} == {"root-use", "presigned-url"}


def test_a_live_stream_is_json_lines_with_the_truth_beside(tmp_path: Path) -> None:
    """Each line is one record; with -o the truth of them is written too, and no log files."""
    done = simulate("--live", "1000000", "--events", "1000", "-o", "truth", "-q", cwd=tmp_path)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert len(records) >= 1_000
    assert content(tmp_path / "truth").keys() == {"truth.jsonl", "rolehawk.toml"}
    ids = {each["eventID"] for each in records}
    for line in (tmp_path / "truth" / "truth.jsonl").read_text().splitlines():
        assert set(json.loads(line).get("event_ids", ())) <= ids


def test_a_live_stream_may_be_cut_off(tmp_path: Path) -> None:
    """Whoever reads only the first line has seen enough: no complaint, no traceback."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m streams.cli simulate --live 100000 --events 20000 -q | head -n 1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert json.loads(done.stdout)["eventID"]
    assert done.stderr == b""


def test_lines_keep_their_rate() -> None:
    """Of 500 records at 100 a second the last is due after five seconds; an idle clock is waited for, no longer."""
    now_s, slept_s = 0.0, 0.0

    def sleep(seconds: float) -> None:
        nonlocal now_s, slept_s
        now_s += seconds
        slept_s += seconds

    out = BytesIO()
    lines = Lines(out, 100, lambda: now_s, sleep)
    for number in range(500):
        lines.take(Arrival(number, Stream("111122223333", "eu-west-1"), f'{{"n":{number}}}'))
    lines.close()
    assert slept_s == pytest.approx(5, abs=0.1)
    assert [json.loads(line)["n"] for line in out.getvalue().splitlines()] == list(range(500))


def test_a_slow_reader_is_caught_up_with() -> None:
    """Where time has passed already, nothing is waited for."""
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += 10
        return now_s

    def sleep(seconds: float) -> None:
        raise AssertionError(f"slept for {seconds} s")

    lines = Lines(BytesIO(), 100, clock, sleep)
    for number in range(50):
        lines.take(Arrival(number, Stream("111122223333", "eu-west-1"), "{}"))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "give -o DIR, or --live RATE"),
        (("-o", "new", "--events", "999"), "999"),
        (("-o", "new", "--events", "10000001"), "10000001"),
        (("-o", "new", "--events", "many"), "many"),
        (("-o", "new", "--days", "0"), "0"),
        (("-o", "new", "--days", "401"), "401"),
        (("-o", "new", "--accounts", "2"), "2"),
        (("-o", "new", "--accounts", "61"), "61"),
        (("-o", "new", "--seed", "-1"), "-1"),
        (("-o", "new", "--era", "future"), "future"),
        (("-o", "new", "--start", "yesterday"), "yesterday"),
        (("-o", "new", "--start", "7d"), "7d"),
        (("-o", "new", "--start", "1900-01-01"), "--start must lie between"),
        (("-o", "new", "--start", "9999-12-31"), "--start must lie between"),
        (("-o", "new", "--incidents", "root-ues"), "the nearest is 'root-use'"),
        (("-o", "new", "--incidents", ""), "no incident ''"),
        (("-o", "new", "--incidents", "all,root-use"), "stands alone"),
        (("-o", "new", "--incidents", "\x1b[31m"), r"\x1b[31m"),
        (("-o", "new", "--incidents", "key-dormant-revived"), "at least 100 days"),
        (("-o", "new", "--incidents", "console-invoked-by-signin"), "old era"),
        (("--live", "0"), "0"),
        (("--live", "nan"), "nan"),
        (("--live", "inf"), "inf"),
        (("-o", "/dev/null"), "/dev/null"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_leaves_nothing(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    """Exit status 2, one line that says what is wrong, and no folder."""
    done = simulate(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    """Whatever lies there stays as it is; an empty folder is taken."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").write_text("kept")
    done = simulate("-o", "full", cwd=tmp_path)
    assert done.returncode == 2
    assert b"not empty" in done.stderr
    assert content(tmp_path / "full") == {"kept.txt": b"kept"}
    (tmp_path / "empty").mkdir()
    prepare(tmp_path / "empty")
    with pytest.raises(UnusablePlanError, match="not empty"):
        prepare(tmp_path / "full")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file in the way is named, without a traceback."""
    (tmp_path / "file").write_text("")
    done = simulate("-o", "file/inside", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert b"file" in done.stderr


def test_an_instant_means_its_day() -> None:
    """A trail begins at midnight, UTC; without a start it depends on the era."""
    assert Request(start_at=1_772_453_000).plan().start_at == 1_772_409_600
    assert Request(era="old").plan().start_at < Request(era="new").plan().start_at


def test_stories_are_named_once() -> None:
    """A name given twice is told once, in the order given."""
    assert stories_of(Plan(), ["root-use", "canary-key", "root-use"]) == ("root-use", "canary-key")


def test_every_story_is_documented_and_none_made_up() -> None:
    """docs/simulate.md lists exactly the stories that there are, with the detectors that they are for."""
    page = DOCS.read_text().split("\n## Incidents")[1].split("\n## Figures")[0]
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert rows.keys() == BY_NAME.keys()
    for name, story in BY_NAME.items():
        assert all(f"`{detector}`" in rows[name] for detector in story.detectors)
        assert story.min_days == 1 or f"{story.min_days} days" in rows[name]
