"""Watch: what replay finds, as it comes; and whatever is killed when, nothing is lost and nothing told twice."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import time as clock
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event as Flag
from typing import Any
from urllib.request import urlopen

import boto3
import msgspec
import pytest

from models.finding import Finding
from models.record import epoch
from models.rows import Row
from models.settings import Settings, parse_settings
from models.trail import Rejected
from streams import arrivals
from streams import watch as watching
from streams.database import StateError
from streams.metrics import Metrics
from streams.output import GrowingFile, Unusable
from streams.replay import replay
from streams.store import Known, Place, Store
from streams.watch import Tally, Watch
from tests.records import ACCOUNT, START, Json, record, sign_in, user

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples/sample-trail"
SETTINGS = parse_settings((SAMPLE / "rolehawk.toml").read_text())
DAY = 24 * 60


def written(path: Path, records: list[Json]) -> Path:
    """Write records as one log file that was finished a while ago."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(gzip.compress(msgspec.json.encode({"Records": records})))
    os.utime(part, (clock.time() - 60,) * 2)
    part.rename(path)
    return path


def history_of(paths: list[Path], settings: Settings = SETTINGS) -> list[bytes]:
    """Give what `replay --history` prints, in no order."""
    history = replay([str(path) for path in paths], settings, with_history=True).history
    return sorted(msgspec.json.encode(each) for each in history)


def told(output: Path) -> list[bytes]:
    """Give the lines of an output, in no order; none of them is cut."""
    data = output.read_bytes()
    assert not data or data.endswith(b"\n")
    return sorted(msgspec.json.encode(msgspec.json.decode(each, type=Finding)) for each in data.splitlines())


class DiedError(Exception):
    """The process is gone."""


class DyingStore(Store):
    """A store whose process may die in the middle of a commit, or right after it."""

    fails: Callable[[str], None]

    def commit(self, place: Place, rows: Iterable[Row], files: dict[str, Known | None], applied: list[str]) -> None:
        """Commit, as far as it comes."""

        def some() -> Iterator[Row]:
            for row in rows:
                self.fails("in the commit")
                yield row

        super().commit(place, some(), files, applied)
        self.fails("after the commit")


class DyingFile(GrowingFile):
    """An output whose process may die before, in or after writing."""

    fails: Callable[[str], None]

    def write(self, lines: Iterable[str]) -> int:
        """Write, as far as it comes."""
        lines = list(lines)
        self.fails("before the output")
        try:
            self.fails("in the output")
        except DiedError:
            super().write([lines[0][: len(lines[0]) // 2]])
            raise
        length = super().write(lines)
        self.fails("after the output")
        return length


@contextmanager
def opened(
    folder: Path, state: Path, *, settings: Settings = SETTINGS, allowance_s: int = 900, fails: Callable[[str], None] | None = None,
    rejected: list[Rejected] | None = None, metrics: Metrics | None = None,
) -> Iterator[Watch]:  # fmt: skip
    """Open a watch as the command does."""
    output = state.with_suffix(".jsonl")
    store, fails = DyingStore(state), fails or (lambda _point: None)
    store.fails = fails
    with store:
        place = store.place()
        file = DyingFile(output, None if place is None else place.written)
        file.fails = fails
        try:
            watch = Watch(
                [str(folder)], settings, store, file, output=str(output), allowance_s=allowance_s,
                metrics=metrics or Metrics(), is_shown=lambda _finding: True,
                on_rejected=(rejected if rejected is not None else []).append,
            )  # fmt: skip
            yield watch
            watch.close()
        finally:
            file.close()


def run_once(folder: Path, state: Path, **options: Any) -> Watch:
    """Read what is there, and stop."""
    with opened(folder, state, **options) as watch:
        watch.run(Flag(), 1, once=True)
    return watch


def look(watch: Watch) -> Tally:
    """Let a watch look at its folder, as it does again and again; gives what it has done so far."""
    watch._look(Flag(), is_last=False)  # noqa: SLF001 - one round of `run`
    return watch.tally()


def test_it_finds_what_replay_finds(tmp_path: Path) -> None:
    """Every change of replay --history, each once, over the whole sample trail."""
    run_once(SAMPLE / "AWSLogs", tmp_path / "state")
    assert told(tmp_path / "state.jsonl") == history_of([SAMPLE / "AWSLogs"])
    again = run_once(SAMPLE / "AWSLogs", tmp_path / "state")
    assert again.tally()[:2] == (0, 0)
    assert told(tmp_path / "state.jsonl") == history_of([SAMPLE / "AWSLogs"])


def delivered(folder: Path, seed: int) -> list[Path]:
    """Write the sample anew as it would be delivered: 60 small files, each event up to ten minutes late, some twice."""
    folder.mkdir()
    random = Random(seed)
    records = [
        each
        for path in (SAMPLE / "AWSLogs").rglob("*.json.gz")
        for each in msgspec.json.decode(gzip.decompress(path.read_bytes()))["Records"]
    ]
    records += random.sample(records, 30)
    timed = sorted(((epoch(each["eventTime"]) + random.uniform(0, 600), n, each) for n, each in enumerate(records)))
    share = len(timed) // 60 + 1
    parts = [[each for *_, each in timed[at : at + share]] for at in range(0, len(timed), share)]
    return [written(folder / f"{n:03}.json.gz", random.sample(part, len(part))) for n, part in enumerate(parts)]


@pytest.mark.parametrize("seed", range(12))
def test_killed_anywhere_it_loses_nothing_and_repeats_nothing(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying before, in and after output and commit, many times over, while files come: the end is the same."""
    monkeypatch.setattr(watching, "EVENTS_AT_ONCE", 150)
    random = Random(seed)
    folder = tmp_path / "trail"
    folder.mkdir()
    coming = delivered(tmp_path / "delivered", seed)
    deaths = 0

    def fails(point: str) -> None:
        if random.random() < (0.004 if point == "in the commit" else 0.12):
            raise DiedError

    while coming:
        for path in coming[: (count := random.randint(1, 4))]:
            shutil.copy2(path, folder)
        coming = coming[count:]
        for _ in range(random.randint(1, 3)):
            try:
                with opened(folder, tmp_path / "state", fails=fails) as watch:
                    look(watch)
            except DiedError:
                deaths += 1
    run_once(folder, tmp_path / "state")
    assert deaths
    lines = told(tmp_path / "state.jsonl")
    assert len(lines) == len(set(lines))
    assert lines == history_of([SAMPLE / "AWSLogs"])


def command(folder: Path, state: Path, *options: str) -> list[str]:
    """Write the command line of a watch."""
    return [
        sys.executable, "-m", "streams.cli", "watch", str(folder), "--state", str(state), "-o", f"{state}.jsonl",
        "--settings", str(SAMPLE / "rolehawk.toml"), "--metrics-port", "0", "--poll-seconds", "0.05", *options,
    ]  # fmt: skip


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until something is so."""
    until = clock.monotonic() + seconds
    while not condition():
        assert clock.monotonic() < until, "it never became so"
        clock.sleep(0.05)


def killed_many_times(tmp_path: Path, kills: int) -> None:
    """Kill a real process at random moments while files come; then hold its output against replay's."""
    folder, state, random = tmp_path / "trail", tmp_path / "state", Random(kills)
    folder.mkdir()
    files = delivered(tmp_path / "delivered", kills)
    for number in range(kills):
        share = files[number * len(files) // kills : (number + 1) * len(files) // kills]
        with subprocess.Popen(command(folder, state), cwd=ROOT, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            if random.random() < 0.8:
                process.stderr.readline()  # it has begun
            for path in share:
                shutil.copy2(path, folder)
                clock.sleep(random.uniform(0, 0.1))
            clock.sleep(random.uniform(0, 0.5))
            process.kill()
    subprocess.run(command(folder, state, "--once"), cwd=ROOT, check=True, timeout=300)
    lines = told(tmp_path / "state.jsonl")
    assert lines == history_of([SAMPLE / "AWSLogs"])


def test_a_real_process_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL a few times over: the output is replay's."""
    killed_many_times(tmp_path, 5)


@pytest.mark.long
def test_a_real_process_that_is_killed_very_often(tmp_path: Path) -> None:
    """SIGKILL thirty times over: the output is replay's."""
    killed_many_times(tmp_path, 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_commits_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it with status 0, all committed; meanwhile it serves metrics, and nobody else may have its state."""
    folder, state = tmp_path / "trail", tmp_path / "state"
    folder.mkdir()
    failures = [
        sign_in({"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}, n, outcome="Failure") for n in range(5)
    ]
    written(folder / "1.json.gz", failures)
    written(folder / "2.json.gz", [record("ListUsers", user("dora"), 60)])
    with subprocess.Popen(command(folder, state), cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split("metrics on ")[1].strip()
        wait_for(lambda: (tmp_path / "state.jsonl").stat().st_size)
        with urlopen(url, timeout=60) as response:  # noqa: S310 - our own
            text = response.read().decode()
        assert (
            f'rolehawk_findings_open{{account="{ACCOUNT}",detector="console-login-failures",severity="medium"}} 1.0'
            in text
        )
        second = subprocess.run(command(folder, state, "--once"), cwd=ROOT, capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert "another process is using this state" in second.stderr
        process.send_signal(number)
        assert process.wait(60) == 0
        assert "5 events" in process.stderr.read()
    again = run_once(folder, state, settings=SETTINGS)
    assert again.tally().events == 1  # the one that was waiting for later ones


def test_events_wait_for_late_ones(tmp_path: Path) -> None:
    """What comes within the allowance is put in order; what comes after it is applied all the same, and counted."""
    folder = tmp_path / "trail"
    folder.mkdir()
    metrics = Metrics()
    with opened(folder, tmp_path / "state", metrics=metrics) as watch:
        written(folder / "1.json.gz", [record("ListUsers", user("erin"), 0), record("ListUsers", user("erin"), 20)])
        look(watch)
        assert watch.tally().events == 1
        written(folder / "2.json.gz", [record("ListRoles", user("erin"), 10)])
        look(watch)
        assert watch.tally()[1:3] == (1, 0)
        written(folder / "3.json.gz", [record("ListGroups", user("erin"), 60)])
        look(watch)
        assert watch.tally()[1:3] == (3, 0)
        written(folder / "4.json.gz", [record("GetUser", user("erin"), 30), record("ListUsers", user("erin"), 20)])
        look(watch)
        assert watch.tally()[1:4] == (4, 1, 1)  # one late, one known already
    late = [
        sample.value
        for family in metrics.collect()
        for sample in family.samples
        if sample.name == "rolehawk_late_events_total"
    ]
    assert late == [1]


def test_an_event_dated_ahead_of_the_clock_waits(tmp_path: Path) -> None:
    """One record of the next century makes no other late, and is not lost: where nobody looks again it counts."""
    folder = tmp_path / "trail"
    folder.mkdir()
    now = (clock.time() - epoch(START)) / 60
    ahead = record("ListUsers", user("erin"), now + 100 * 365 * 24 * 60)
    written(folder / "1.json.gz", [record("ListUsers", user("erin"), now - 30), ahead])
    with opened(folder, tmp_path / "state") as watch:
        assert look(watch).events == 1
        written(folder / "2.json.gz", [record("ListRoles", user("erin"), now - 5)])
        assert look(watch).events == 1
    assert run_once(folder, tmp_path / "state").tally()[1:3] == (2, 0)


def test_in_silence_nothing_waits_for_ever(tmp_path: Path) -> None:
    """Where no file comes for as long as the allowance, what waits is applied."""
    folder = tmp_path / "trail"
    folder.mkdir()
    written(folder / "1.json.gz", [record("ListUsers", user("erin")), record("ListRoles", user("erin"), 0.1)])
    with opened(folder, tmp_path / "state", allowance_s=1) as watch:
        look(watch)
        wait_for(lambda: look(watch).events == 2)


def test_a_late_copy_is_a_copy_after_a_restart_too(tmp_path: Path) -> None:
    """A file delivered twice, the second time after its events were applied and the process was started again."""
    folder = tmp_path / "trail"
    folder.mkdir()
    events = [record("ListUsers", user("erin"), n) for n in range(30)]
    written(folder / "1.json.gz", events)
    run_once(folder, tmp_path / "state")
    written(folder / "2.json.gz", events)
    again = run_once(folder, tmp_path / "state")
    assert (again.tally().events, again.tally().duplicates) == (0, 30)


def test_a_file_is_read_when_it_is_complete(tmp_path: Path) -> None:
    """Half a file waits, a hidden one too; complete or renamed it is read, once; nothing is rejected."""
    folder = tmp_path / "trail"
    folder.mkdir()
    rejected: list[Rejected] = []
    whole = gzip.compress(msgspec.json.encode({"Records": [record("ListUsers", user("erin"), n) for n in range(50)]}))
    path, hidden = folder / "1.json.gz", folder / ".2.json.gz.Xy12"
    path.write_bytes(whole[: len(whole) // 2])
    hidden.write_bytes(gzip.compress(msgspec.json.encode({"Records": [record("ListUsers", user("dora"), 90)]})))
    with opened(folder, tmp_path / "state", rejected=rejected) as watch:
        for _ in range(4):
            look(watch)
        assert watch.tally().files == 0
        path.write_bytes(whole)
        wait_for(lambda: look(watch).files == 1)
        hidden.rename(folder / "2.json.gz")
        wait_for(lambda: look(watch).files == 2)
        assert watch.tally().events == 50
    assert rejected == []


def test_what_stays_broken_is_read_as_far_as_it_goes_and_named_once(tmp_path: Path) -> None:
    """A file that was cut long ago is read to its break; that it is broken is said once, not again after a restart."""
    folder = tmp_path / "trail"
    folder.mkdir()
    rejected: list[Rejected] = []
    records = [record("ListUsers", user(f"erin{n}"), n) for n in range(2_000)]
    whole = gzip.compress(b"\n".join(msgspec.json.encode(each) for each in records))
    (folder / "1.json.gz").write_bytes(whole[: len(whole) * 3 // 4])
    os.utime(folder / "1.json.gz", (clock.time() - 3_600,) * 2)
    for _ in range(2):
        with opened(folder, tmp_path / "state", rejected=rejected) as watch:
            look(watch)
            look(watch)
    assert len([each for each in rejected if "gzip" in each.reason]) == 1


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    """Of JSON lines that are added to a file only the new ones are read."""
    folder = tmp_path / "trail"
    folder.mkdir()
    path = folder / "trail.jsonl"
    with opened(folder, tmp_path / "state") as watch:
        for part in range(3):
            with path.open("ab") as file:
                for n in range(10):
                    file.write(msgspec.json.encode(record("ListUsers", user("erin"), part * 30 + n)) + b"\n")
            os.utime(path, (clock.time() - 60 + part,) * 2)
            look(watch)
        watch.run(Flag(), 1, once=True)
        assert watch.tally()[:4] == (3, 30, 0, 0)


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    """What is remembered of files is bounded by what lies in the folders."""
    folder = tmp_path / "trail"
    folder.mkdir()
    for n in range(5):
        written(folder / f"{n}.json.gz", [record("ListUsers", user("erin"), n)])
    run_once(folder, tmp_path / "state")
    for path in list(folder.iterdir())[:4]:
        path.unlink()
    run_once(folder, tmp_path / "state")
    with Store(tmp_path / "state") as store:
        assert len(store.files()) == 1


def test_the_output_must_be_its_own(tmp_path: Path) -> None:
    """A file that holds something else is not cut; one that somebody shortened is gone on with."""
    output = tmp_path / "out.jsonl"
    output.write_text("mine\n")
    with pytest.raises(Unusable, match="did not write it"):
        GrowingFile(output, None)
    assert output.read_text() == "mine\n"
    file = GrowingFile(output, 4)
    file.close()
    assert output.read_text() == "mine"
    file = GrowingFile(output, 10)
    assert (file.lost, file.write(["more\n"])) == (6, 9)
    file.close()


def test_state_of_another_layout_is_refused(tmp_path: Path) -> None:
    """A store that another version made, or that is no store, is refused by name."""
    with Store(tmp_path / "state") as store:
        store._db.execute("PRAGMA user_version = 99")  # noqa: SLF001 - as another version would
    with pytest.raises(StateError, match="layout 99"), Store(tmp_path / "state"):
        pass
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "state.db").write_bytes(b"no database at all, for sure" * 100)
    with pytest.raises(StateError, match="not a database"), Store(tmp_path / "other"):
        pass


def test_state_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    """Rows of another version: one line that says where, which, and where to read on."""
    folder, state = tmp_path / "trail", tmp_path / "state"
    folder.mkdir()
    written(folder / "1.json.gz", [record("ListUsers", user("erin"))])
    run_once(folder, state)
    with Store(state) as store:
        store._db.execute("UPDATE state SET value = x'63c0'")  # noqa: SLF001 - as another version would
    done = subprocess.run(command(folder, state, "--once"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "has version 99" in done.stderr
    assert "docs/watch.md" in done.stderr


def test_a_stdout_that_closed_loses_nothing(tmp_path: Path) -> None:
    """Whoever closes the pipe ends the watch without a traceback; what was not written is written next time."""
    plain = [
        each
        for each in command(SAMPLE / "AWSLogs", tmp_path / "state", "--once")
        if not each.endswith(".jsonl") and each != "-o"
    ]
    with subprocess.Popen(plain, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(120) == 0
    done = subprocess.run(plain, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = sorted(msgspec.json.encode(msgspec.json.decode(each, type=Finding)) for each in done.stdout.splitlines())
    assert lines == history_of([SAMPLE / "AWSLogs"])


def test_a_file_that_cannot_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is named once, and the file does not count as read."""
    monkeypatch.setattr(arrivals, "GIVEN_UP_S", -1)
    rejected: list[Rejected] = []
    with opened(Path("/proc/self/mem"), tmp_path / "state", rejected=rejected) as watch:
        for _ in range(3):
            look(watch)
        assert watch.tally().files == 0
    assert ["could not be read" in each.reason for each in rejected] == [True]


def test_a_bucket_is_watched_as_a_folder_is(tmp_path: Path, aws: str) -> None:
    """Objects are read as they come, each once, and what waits is read again after a restart."""
    client = boto3.client("s3", endpoint_url=aws)
    client.create_bucket(Bucket="watched", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(number: int, *records: Json) -> None:
        body = gzip.compress(msgspec.json.encode({"Records": records}))
        client.put_object(Bucket="watched", Key=f"AWSLogs/{number}.json.gz", Body=body)

    put(1, record("ListUsers", user("erin"), 0), record("ListUsers", user("erin"), 30))
    bucket: Any = "s3://watched/AWSLogs"
    for events in (1, 2):
        with opened(bucket, tmp_path / "state") as watch:
            assert look(watch).events == 1
            assert look(watch).events == 1
        put(events + 1, record("ListUsers", user("erin"), 30 + 40 * events))
    again = run_once(bucket, tmp_path / "state")
    assert again.tally()[:4] == (1, 2, 0, 0)


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    """It is named once and waited for; with --once the status says so."""
    done = subprocess.run(
        command(tmp_path / "nowhere", tmp_path / "state", "--once"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("nowhere: no such file") == 1
    rejected: list[Rejected] = []
    with opened(tmp_path / "later", tmp_path / "other", rejected=rejected) as watch:
        assert look(watch).files == look(watch).files == 0
        (tmp_path / "later").mkdir()
        written(tmp_path / "later" / "1.json.gz", [record("ListUsers", user("erin"))])
        assert look(watch).files == 1
    assert len(rejected) == 1
