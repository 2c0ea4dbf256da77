"""The bench's trail is what it says: as many events, as large, as disordered, the same each time."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bench import trail
from models.entity import identify
from models.event import EventReader
from models.record import Record, decode_log_file, epoch

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 12_000
ENTITIES = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one small trail for all tests here: half a day of 100 entities."""
    made = tmp_path_factory.mktemp("trail")
    trail.write(made, EVENTS, ENTITIES, 0.5, seed=1)
    return made


@pytest.fixture(scope="module")
def files(folder: Path) -> list[bytes]:
    """Read the trail's files, decompressed, in the order of their names."""
    return [gzip.decompress(path.read_bytes()) for path in sorted(folder.rglob("*.json.gz"))]


@pytest.fixture(scope="module")
def records(files: list[bytes]) -> list[Record]:
    """Decode all records as the product does."""
    return [record for file in files for record in decode_log_file(file).records]


def test_every_event_is_there_and_few_are_there_twice(records: list[Record]) -> None:
    """Each event is delivered, about one in two hundred twice."""
    assert len({record.event_id for record in records}) == EVENTS
    assert EVENTS * 0.002 < len(records) - EVENTS < EVENTS * 0.01


def test_average_record_is_as_large_as_a_real_one(files: list[bytes], records: list[Record]) -> None:
    """Records average 1,100 to 1,400 bytes before compression."""
    assert 1_100 < sum(map(len, files)) / len(records) < 1_400


def test_as_many_entities_act_as_were_asked_for(records: list[Record]) -> None:
    """Roles and users that act are exactly as many as asked for; AWS services come on top."""
    actors = [identify(record.user_identity, None) for record in records if record.user_identity]
    assert len({actor.arn for actor in actors if actor and actor.type in ("role", "user")}) == ENTITIES


def test_every_record_is_readable_and_attributed(records: list[Record]) -> None:
    """The product places each record in time and names who acted."""
    reader = EventReader()
    assert all(reader.read(record).actor for record in records)


def test_mix_is_as_declared(files: list[bytes]) -> None:
    """AssumeRole by services makes up 15 %, denials 2 %, and most calls are workloads'."""
    raw: list[dict[str, Any]] = [record for file in files for record in json.loads(file)["Records"]]
    names = Counter(record["eventName"] for record in raw)
    assert names["AssumeRole"] / len(raw) == pytest.approx(0.15, abs=0.015)
    assert sum("errorCode" in record for record in raw) / len(raw) == pytest.approx(0.017, abs=0.006)
    assert len(names) > 60


def test_records_arrive_only_roughly_in_order(folder: Path) -> None:
    """Inside a file times run back and forth, by at most the 45 minutes of the latest delivery."""
    for path in folder.rglob("*.json.gz"):
        times = [
            epoch(record.event_time or "") for record in decode_log_file(gzip.decompress(path.read_bytes())).records
        ]
        latest = 0
        for at in times:
            assert latest - at <= 2_700
            latest = max(latest, at)
        assert times != sorted(times)


def test_files_of_accounts_and_regions_overlap(folder: Path) -> None:
    """There is a series of files for each account and region, in an organisation trail's layout."""
    series = {path.relative_to(folder).parts[2:5] for path in folder.rglob("*.json.gz")}
    assert series == {(account, "CloudTrail", region) for account in trail.ACCOUNTS for region in trail.REGIONS}


def test_same_seed_makes_the_same_trail(folder: Path, tmp_path: Path) -> None:
    """The same arguments make the same bytes in the same files; another seed makes others."""
    trail.write(tmp_path / "again", EVENTS, ENTITIES, 0.5, seed=1)
    trail.write(tmp_path / "other", EVENTS, ENTITIES, 0.5, seed=2)
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.json.gz")}
        for root in (folder, tmp_path / "again", tmp_path / "other")
    ]
    assert contents[0] == contents[1] != contents[2]


def test_too_few_entities_are_refused(tmp_path: Path) -> None:
    """Ten entities are the least that hold one of each kind."""
    with pytest.raises(ValueError, match="at least 10"):
        trail.write(tmp_path, 100, 5, 1, seed=1)
