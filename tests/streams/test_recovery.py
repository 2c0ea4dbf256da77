"""A table beside its changelog, on a real broker: the same rows, whatever was written, and whatever the table had before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]  # it ships no types
from kafka import KafkaProducer

from models.settings import parse_settings
from streams.kafka import Cluster
from streams.localstore import _PROGRESS_KEY, LocalStore, StateRow
from streams.recovery import MAX_AGE_S, catch_up
from streams.topics import MAX_FLUSH
from tests.conftest import SharedBroker


class Changelog:
    """A topic of the test's own, and what its rows come to."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.client = {"bootstrap_servers": bootstrap}
        self.name = name
        self.rows: dict[bytes, bytes | None] = {}  # what they come to
        self.written = 0  # rows
        Cluster.of(parse_settings(""), bootstrap).make_topics(
            {name: 1}, {name: {"max.message.bytes": str(2 * MAX_FLUSH)}}
        )

    def flush(self, *flushes: list[StateRow]) -> None:
        """Write flushes, as the worker does."""
        asyncio.run(self._flush(flushes))

    async def _flush(self, flushes: tuple[list[StateRow], ...]) -> None:
        sizes = {"max_batch_size": MAX_FLUSH, "max_request_size": MAX_FLUSH}
        async with AIOKafkaProducer(**self.client, **sizes) as producer:
            for rows in flushes:
                batch = producer.create_batch()
                for key, value in rows:
                    assert batch.append(key=key, value=value, timestamp=None) is not None
                    self.rows[key] = value
                self.written += len(rows)
                await (await producer.send_batch(batch, self.name, partition=0))
        self.rows = {key: value for key, value in self.rows.items() if value is not None}

    async def catch_up(self, store: LocalStore) -> None:
        """Bring a table up to the changelog."""
        await catch_up(store, self.name, 0, self.client)

    def store(self, folder: Path, clock: Callable[[], float] = time.time) -> LocalStore:
        """Open a table in a folder and bring it up to the changelog."""
        store = LocalStore(folder, clock)
        asyncio.run(self.catch_up(store))
        return store


@pytest.fixture
def changelog(broker: SharedBroker, unique: str) -> Changelog:
    """Give a changelog that no other test has."""
    return Changelog(broker.bootstrap, unique)


def random_flushes(random: Random, count: int) -> list[list[StateRow]]:
    """Make flushes of rows that come, change and go."""
    return [
        [
            StateRow(b"desk %d" % random.randrange(40), random.choice([None, random.randbytes(random.randrange(200))]))
            for _ in range(random.randrange(1, 30))
        ]
        for _ in range(count)
    ]


def test_a_table_holds_what_its_changelog_comes_to(changelog: Changelog, tmp_path: Path) -> None:
    """Rows that come, change and go: from the beginning, from where the table had come to, and with nothing new."""
    random = Random(3)
    kept = changelog.store(tmp_path / "kept")
    assert dict(kept.read()) == {}
    assert kept.offset == -1
    for _ in range(3):
        changelog.flush(*random_flushes(random, 20))
        for store in (kept, changelog.store(tmp_path / f"fresh {changelog.written}")):
            asyncio.run(changelog.catch_up(store))
            assert dict(store.read()) == changelog.rows
            assert store.offset == changelog.written - 1
    own = [StateRow(b"desk own", b"of a flush of this worker's")]
    changelog.flush(own)
    kept.write(own, changelog.written - 1)
    asyncio.run(changelog.catch_up(kept))
    assert dict(kept.read()) == changelog.rows


def test_a_table_that_a_process_left_is_gone_on_with(changelog: Changelog, tmp_path: Path) -> None:
    """Only what came since is read: a row that the folder alone has stays."""
    changelog.flush([StateRow(b"desk a", b"1"), StateRow(b"desk b", b"1")])
    store = changelog.store(tmp_path)
    store.write([StateRow(b"desk here", b"")], store.offset)
    store.close()
    changelog.flush([StateRow(b"desk b", b"2"), StateRow(b"desk a", None)])
    assert dict(changelog.store(tmp_path).read()) == {b"desk b": b"2", b"desk here": b""}


def test_a_flush_of_many_megabytes_comes_whole(changelog: Changelog, tmp_path: Path) -> None:
    """One record batch, larger than what a consumer asks for at once."""
    random = Random(1)
    changelog.flush(
        [StateRow(b"desk %d" % each, random.randbytes(64_000)) for each in range(200)], [StateRow(b"z", b"")]
    )
    assert dict(changelog.store(tmp_path).read()) == changelog.rows


def test_numbers_without_a_row_are_passed_over(changelog: Changelog, tmp_path: Path) -> None:
    """The marker of a transaction, as the last thing in a changelog, is not waited for."""
    producer = KafkaProducer(
        bootstrap_servers=changelog.client["bootstrap_servers"], acks="all", transactional_id=changelog.name
    )
    producer.init_transactions()
    for value in (b"1", b"2"):
        producer.begin_transaction()
        producer.send(changelog.name, value, b"desk a").get(60)
        producer.commit_transaction()
    producer.close()
    store = changelog.store(tmp_path)
    assert dict(store.read()) == {b"desk a": b"2"}
    asyncio.run(changelog.catch_up(store))
    assert dict(store.read()) == {b"desk a": b"2"}


@pytest.mark.parametrize("age_s", [MAX_AGE_S + 60, -60], ids=["too old", "of a time to come"])
def test_a_table_that_missed_too_much_is_made_anew(changelog: Changelog, tmp_path: Path, age_s: float) -> None:
    """Its changelog may no longer say which rows are gone."""
    changelog.flush([StateRow(b"desk a", b"1")])
    store = changelog.store(tmp_path, lambda: time.time() - age_s)
    store.write([StateRow(b"desk long gone", b"1")], store.offset)
    store.close()
    assert dict(changelog.store(tmp_path).read()) == {b"desk a": b"1"}


def test_a_table_of_another_changelog_is_made_anew(changelog: Changelog, tmp_path: Path) -> None:
    """One that is ahead of its changelog has rows of a topic that is there no more."""
    store = LocalStore(tmp_path)
    store.write([StateRow(b"desk of before", b"1")], 900)
    store.close()
    changelog.flush([StateRow(b"desk a", b"1")])
    assert dict(changelog.store(tmp_path).read()) == {b"desk a": b"1"}


def test_a_damaged_table_is_made_anew(changelog: Changelog, tmp_path: Path) -> None:
    """What RocksDB cannot open, or says it knows not how far, Kafka still has."""
    changelog.flush([StateRow(b"desk a", b"1")])
    changelog.store(tmp_path / "table").close()
    (tmp_path / "table" / "CURRENT").write_bytes(b"\0no manifest\n")
    store = changelog.store(tmp_path / "table")
    assert dict(store.read()) == {b"desk a": b"1"}
    store.write([StateRow(b"desk b", b"1")], 0)
    store._rows.put(_PROGRESS_KEY, b"not as it should be")  # noqa: SLF001 - as another version may have left it
    store.close()
    assert dict(changelog.store(tmp_path / "table").read()) == {b"desk a": b"1"}
