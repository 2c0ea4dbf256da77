"""Events arrive late, some very late, some twice; files lie where an organisation's trail puts them."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from models.record import epoch
from streams.sources.simulated.callers import Made, Stream
from streams.sources.simulated.delivery import (
    LATEST_S,
    RECORDS_PER_FILE,
    WINDOWS_S,
    Folder,
    deliver,
    window_s,
)
from streams.sources.simulated.organisation import MINUTE, Plan
from streams.sources.simulated.world import World

PLAN = Plan(seed=2, events=9_000, days=2)
LOG_NAME = re.compile(
    r"AWSLogs/(o-[a-z0-9]{10,32})/(\d{12})/CloudTrail/([a-z0-9-]+)/(\d{4})/(\d\d)/(\d\d)/"
    r"\2_CloudTrail_\3_\4\5\6T\d{4}Z_[0-9a-f]{16}\.json\.gz"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one trail, with digests, for all tests here."""
    made = tmp_path_factory.mktemp("trail")
    write(made, PLAN, digests=True)
    return made


def write(folder: Path, plan: Plan, *, digests: bool = False) -> Folder:
    """Write a trail into a folder."""
    world = World(plan)
    sink = Folder(folder, world.organisation, digests=digests)
    for arrival in deliver(world.events(), world.organisation.rng("delivery")):
        sink.take(arrival)
    sink.close()
    return sink


def logs(folder: Path) -> list[Path]:
    """List the log files in the order of their names."""
    return sorted(path for path in folder.rglob("*.json.gz") if "Digest" not in path.name)


def some_events(count: int, every_s: int = 1) -> Iterator[Made]:
    """Make events that say nothing but when they were."""
    for number in range(count):
        yield Made(number * every_s, Stream("111122223333", "eu-west-1"), str(number), str(number), None)


def test_delivery_takes_five_minutes_on_average_and_45_at_worst() -> None:
    """Nothing comes before its time; a few in a thousand come more than a quarter of an hour later."""
    late = [arrival.at - int(arrival.text) for arrival in deliver(some_events(40_000), Random(1))]
    assert min(late) >= 0
    assert max(late) <= LATEST_S
    assert 4 * MINUTE < sum(late) / len(late) < 6 * MINUTE
    assert 0.002 < sum(each > 15 * MINUTE for each in late) / len(late) < 0.006


def test_few_events_arrive_twice() -> None:
    """About one in two hundred, and none three times."""
    counts = Counter(arrival.text for arrival in deliver(some_events(40_000), Random(1)))
    assert len(counts) == 40_000
    assert 0.004 < sum(count == 2 for count in counts.values()) / 40_000 < 0.006
    assert max(counts.values()) == 2


def test_records_arrive_in_order_of_arrival_not_of_events() -> None:
    """Arrivals never go back in time, events do."""
    arrivals = list(deliver(some_events(5_000), Random(3)))
    assert [each.at for each in arrivals] == sorted(each.at for each in arrivals)
    assert [int(each.text) for each in arrivals] != sorted(int(each.text) for each in arrivals)


def test_only_what_is_on_its_way_is_held() -> None:
    """The first record is handed on before an hour of events was asked for."""
    asked = 0

    def watched() -> Iterator[Made]:
        nonlocal asked
        for each in some_events(100_000):
            asked += 1
            yield each

    next(deliver(watched(), Random(1)))
    assert asked <= 3_600


def test_files_lie_as_an_organisations_trail_has_them(folder: Path) -> None:
    """Organisation, account, region, day and the file's own name agree with each other."""
    paths = logs(folder)
    assert paths
    for path in paths:
        assert LOG_NAME.fullmatch(path.relative_to(folder).as_posix())


def test_a_file_holds_one_accounts_and_regions_records(folder: Path) -> None:
    """Every record lies in the series of its account and region, and no file is too large."""
    for path in logs(folder):
        records = json.loads(gzip.decompress(path.read_bytes()))["Records"]
        account, region, *_ = path.relative_to(folder).parts[2:3] + path.relative_to(folder).parts[4:5]
        assert 0 < len(records) <= RECORDS_PER_FILE
        assert {each["recipientAccountId"] for each in records} == {account}
        assert {each["awsRegion"] for each in records} == {region}


def test_a_file_is_named_by_its_delivery(folder: Path) -> None:
    """A file's time is no earlier than its events, and no later than its window and the worst delay allow."""
    window = window_s(PLAN, 2)
    for path in logs(folder):
        stamp = path.name.split("_")[3]
        delivered_at = epoch(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:00Z") + MINUTE
        times = [epoch(each["eventTime"]) for each in json.loads(gzip.decompress(path.read_bytes()))["Records"]]
        assert max(times) <= delivered_at
        assert delivered_at - min(times) <= window + LATEST_S + 2 * MINUTE


def test_digests_lie_beside_the_logs(folder: Path) -> None:
    """Each series has digests that name its files; they are no logs and hold no records."""
    digests = [path for path in folder.rglob("*.json.gz") if "CloudTrail-Digest" in path.name]
    named = {
        each["s3Object"] for path in digests for each in json.loads(gzip.decompress(path.read_bytes()))["logFiles"]
    }
    assert named == {path.relative_to(folder).as_posix() for path in logs(folder)}


def test_the_same_plan_writes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Names and compressed contents of all files agree."""
    write(tmp_path, PLAN, digests=True)
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.gz")} for root in (folder, tmp_path)
    ]
    assert contents[0] == contents[1]


def test_what_was_written_is_counted(tmp_path: Path) -> None:
    """Files, records and bytes are those that lie there."""
    sink = write(tmp_path, Plan(seed=4, events=2_000, days=1))
    paths = logs(tmp_path)
    assert sink.files == len(paths)
    assert sink.stored_bytes == sum(path.stat().st_size for path in paths)
    assert sink.records == sum(len(json.loads(gzip.decompress(path.read_bytes()))["Records"]) for path in paths)


def test_records_are_as_large_as_real_ones(tmp_path: Path) -> None:
    """They average 1,200 to 1,700 bytes."""
    sink = write(tmp_path, Plan(seed=4, events=6_000, days=2))
    assert 1_200 < sink.raw_bytes / sink.records < 1_700


@pytest.mark.parametrize(("events", "days", "expected"), [(10_000_000, 1, 0), (100_000, 14, 3), (1_000, 14, 5)])
def test_files_are_closed_the_sooner_the_busier_it_is(events: int, days: int, expected: int) -> None:
    """Five minutes as in life; up to two days where there is next to nothing to write."""
    assert window_s(Plan(events=events, days=days), 2) == WINDOWS_S[expected]
