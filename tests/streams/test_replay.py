"""Replay finds the same whatever order, form and number of copies the trail comes in, and loses nothing in silence."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from models.detectors.use.root_use import RootUse
from models.finding import Finding
from models.settings import Settings
from models.trail import Rejected
from streams import order
from streams import replay as replaying
from streams.replay import Result, Span, replay
from tests.records import ACCOUNT, Json, instance_call, record, role, root, sign_in, user

STORY: list[Json] = [
    *(instance_call(n * 40, requestParameters={"n": n}) for n in range(100)),
    *(record("ListBuckets", role("web", "visitor"), 60 + n, sessionCredentialFromConsole="true") for n in range(30)),
    record("DescribeInstances", role("web", "other"), 800, userAgent="console.ec2.amazonaws.com"),
    sign_in(user("erin", key=None), 24 * 60),
    *(
        sign_in({"type": "IAMUser", "accountId": ACCOUNT, "userName": "clara"}, 900 + n, outcome="Failure")
        for n in range(7)
    ),
]


def written(folder: Path, records: list[Json], per_file: int, *, is_lines: bool = False) -> Path:
    """Write records into gzip files, in the order given."""
    folder.mkdir()
    for n, at in enumerate(range(0, len(records), per_file)):
        part = records[at : at + per_file]
        content = (
            b"".join(msgspec.json.encode(each) + b"\n" for each in part)
            if is_lines
            else msgspec.json.encode({"Records": part})
        )
        (folder / f"{n:04d}.json.gz").write_bytes(gzip.compress(content, compresslevel=1))
    return folder


def found(path: Path, **options: Any) -> Result:
    """Replay one path with the defaults."""
    return replay([str(path)], Settings(), **options)


def as_bytes(result: Result) -> tuple[bytes, bytes]:
    """Write what must be the same, as it would be printed."""
    return msgspec.json.encode(result.findings), msgspec.json.encode(result.principals)


@pytest.fixture
def in_merge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take even small trails for large ones, so that files are merged and the sort spills."""
    monkeypatch.setattr(replaying, "SMALL", 0)
    monkeypatch.setattr(order, "MAX_HELD", 20)


def test_the_story_is_found(tmp_path: Path) -> None:
    """What the other tests compare is worth comparing."""
    result = found(written(tmp_path / "trail", STORY, 10))
    assert [each.detector for each in result.findings] == [
        "machine-role-console", "machine-role-console", "console-login-failures", "unfederated-console-login",
    ]  # fmt: skip
    assert result.summary.events == len(STORY)
    assert result.summary.files == 14


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("per_file", [3, 40, 1_000])
@pytest.mark.usefixtures("in_merge")
def test_twice_and_shuffled_gives_the_same_bytes(tmp_path: Path, seed: int, per_file: int) -> None:
    """Each event delivered twice, all shuffled over files of any size and form: the same findings and principals."""
    expected = found(written(tmp_path / "ordered", sorted(STORY, key=lambda each: str(each["eventTime"])), 10))
    shuffled = [*STORY, *STORY]
    Random(seed).shuffle(shuffled)
    result = found(written(tmp_path / "shuffled", shuffled, per_file, is_lines=seed % 2 == 1))
    assert as_bytes(result) == as_bytes(expected)
    assert result.summary.duplicates == len(STORY)
    assert result.summary.events == expected.summary.events


@pytest.mark.usefixtures("in_merge")
def test_copies_that_differ_give_the_same_bytes(tmp_path: Path) -> None:
    """Of two versions of a record the same one counts, whichever file comes first."""
    versions = [[{**each, "sourceIPAddress": f"203.0.113.{n}"} for each in STORY] for n in (1, 2)]
    one = found(written(tmp_path / "one", versions[0] + versions[1], 20))
    other = found(written(tmp_path / "other", versions[1] + versions[0], 20))
    assert as_bytes(one) == as_bytes(other)


def test_merge_and_sort_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary trail goes through the merge without a second reading, and ends as the sort ends."""
    trail = written(tmp_path / "trail", sorted(STORY, key=lambda each: str(each["eventTime"])), 10)
    by_sort = found(trail)
    monkeypatch.setattr(replaying, "SMALL", 0)
    monkeypatch.setattr(replaying, "SpillSort", None)  # whoever sorts now, fails
    assert as_bytes(found(trail)) == as_bytes(by_sort)


@pytest.mark.usefixtures("in_merge")
def test_rejects_are_told_once_and_counted_once(tmp_path: Path) -> None:
    """Also where a trail turns out to be so disorderly that it is read a second time."""
    trail = written(
        tmp_path / "trail", [*STORY, {"eventName": "NoTime"}, *reversed(STORY), {"eventName": "NoTime"}], 15
    )
    told: list[Rejected] = []
    result = found(trail, on_rejected=told.append)
    assert len(told) == result.summary.rejected == 2
    assert {(each.field, each.reason) for each in told} == {("eventTime", "missing")}
    assert len({(each.file, each.record) for each in told}) == 2


def test_what_is_missing_is_rejected(tmp_path: Path) -> None:
    """A path that leads nowhere beside one that is read: named, counted, and the other is read."""
    trail = written(tmp_path / "trail", STORY, 100)
    result = replay([str(trail), str(tmp_path / "nothing")], Settings())
    assert result.summary.events == len(STORY)
    (sample,) = result.summary.samples
    assert (sample.file, sample.record) == (str(tmp_path / "nothing"), 0)


def test_read_since_leaves_out_what_came_before(tmp_path: Path) -> None:
    """Events before it are neither counted nor known."""
    trail = written(tmp_path / "trail", STORY, 100)
    whole = found(trail)
    assert whole.summary.last_at is not None
    result = found(trail, span=Span(since=whole.summary.last_at))
    assert result.summary.events == 1
    assert result.findings == []


def test_a_detector_that_raises_is_counted_and_its_event_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is named and kept, the other detectors find what they find."""

    def fail(*_: object) -> list[Finding]:
        raise LookupError("no such thing")

    monkeypatch.setattr(RootUse, "observe", fail)
    told: list[Rejected] = []
    trail = written(tmp_path / "trail", [*STORY, record("ListBuckets", root(), 5)], 100)
    result = found(trail, on_rejected=told.append)
    assert result.summary.detector_errors == {"root-use": 1}
    assert [each.reason for each in told] == ["detector root-use raised LookupError: no such thing"]
    assert b"ListBuckets" in told[0].content
    assert len(result.findings) == 4
