"""The bench's trail is what it says: as many events, as large, as disordered, the same each time."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from bench import trail
from models.entity import identify
from models.grants.doors import DOOR_CALLS
from models.reader import EventReader
from models.record import Record, decode_identity, decode_log_file, epoch

EVENTS = 12_000
ENTITIES = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one small trail for all tests here: a day of 100 entities."""
    made = tmp_path_factory.mktemp("trail")
    trail.write(made, EVENTS, ENTITIES, 1, seed=1)
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
    """Records average 1,200 to 1,600 bytes before compression."""
    assert 1_200 < sum(map(len, files)) / len(records) < 1_600


def test_as_many_entities_act_as_were_asked_for(records: list[Record]) -> None:
    """Of machines' roles nearly all act; people, scripts and services come on top."""
    identities = [decode_identity(record.user_identity) for record in records if bytes(record.user_identity)]
    actors = [identify(identity, None) for identity in identities if identity]
    found = len({actor.arn for actor in actors if actor and actor.type in ("role", "user")})
    assert ENTITIES * 0.9 < found < ENTITIES * 2


def test_every_record_is_readable_and_attributed(records: list[Record]) -> None:
    """The product places each record in time and names who acted."""
    reader = EventReader()
    assert all(reader.read(record).actor for record in records)


def test_mix_is_a_busy_organisations(files: list[bytes]) -> None:
    """AssumeRole makes up a tenth or somewhat more, denials 2 %, and there are many different calls."""
    raw: list[dict[str, Any]] = [record for file in files for record in json.loads(file)["Records"]]
    names = Counter(record["eventName"] for record in raw)
    assert 0.05 < names["AssumeRole"] / len(raw) < 0.20
    assert sum("errorCode" in record for record in raw) / len(raw) == pytest.approx(0.02, abs=0.01)
    assert len(names) > 60


def test_records_arrive_only_roughly_in_order(folder: Path) -> None:
    """Times run back and forth, by at most the 45 minutes of the latest delivery."""
    backwards = 0
    for path in folder.rglob("*.json.gz"):
        log = decode_log_file(gzip.decompress(path.read_bytes()))
        times = [epoch(record.event_time or "") for record in log.records]
        late = [latest - at for at, latest in zip(times, accumulate(times, max), strict=True)]
        assert max(late) <= 2_700
        backwards += any(late)
    assert backwards > 10


def test_same_seed_makes_the_same_trail(folder: Path, tmp_path: Path) -> None:
    """The same arguments make the same bytes in the same files; another seed makes others."""
    trail.write(tmp_path / "again", EVENTS, ENTITIES, 1, seed=1)
    trail.write(tmp_path / "other", EVENTS, ENTITIES, 1, seed=2)
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.json.gz")}
        for root in (folder, tmp_path / "again", tmp_path / "other")
    ]
    assert contents[0] == contents[1] != contents[2]


def test_changes_of_grants_are_multiplied(folder: Path, tmp_path: Path) -> None:
    """Each change is made so many times, under an id of its own and of a role of its own; all else stays as it is."""
    trail.write(tmp_path, EVENTS, ENTITIES, 1, seed=1, grants=3)
    once, thrice = (
        {
            record["eventID"]: record
            for path in root.rglob("*.json.gz")
            for record in json.loads(gzip.decompress(path.read_bytes()))["Records"]
        }
        for root in (folder, tmp_path)
    )
    roles = [
        [record["requestParameters"]["roleName"] for record in records.values() if record["eventName"] == "CreateRole"]
        for records in (once, thrice)
    ]
    changes = sum(f"{record['eventSource']}:{record['eventName']}" in DOOR_CALLS for record in once.values())
    assert changes
    assert once.items() <= thrice.items()
    assert len(thrice) == len(once) + 2 * changes
    assert set(roles[1]) == {name + suffix for name in roles[0] for suffix in ("", "-2", "-3")}


def test_too_few_entities_are_refused(tmp_path: Path) -> None:
    """Twelve entities are the least that hold one of each kind."""
    with pytest.raises(ValueError, match="at least 12"):
        trail.write(tmp_path, 100, 5, 1, seed=1)
