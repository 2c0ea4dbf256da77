"""A table over a changelog, on a real broker: one writer at a time, and each flush whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from models.settings import parse_settings
from streams.kafka import Cluster
from streams.localstore import LocalStore, StateRow
from streams.table import LostError, Table
from streams.topics import MAX_FLUSH
from tests.conftest import SharedBroker


class Tables:
    """Tables over one changelog, each in a folder of its own, as workers on several machines have them."""

    def __init__(self, bootstrap: str, name: str, folder: Path) -> None:
        self._client = {"bootstrap_servers": bootstrap}
        self._name = name
        self._folder = folder
        large = {"max.message.bytes": str(2 * MAX_FLUSH)}
        Cluster.of(parse_settings(""), bootstrap).make_topics({name: 1}, {name: large})

    async def opened(self, machine: str) -> Table:
        """Open the table on a machine."""
        return await Table(LocalStore(self._folder / machine), self._name, 0, self._client).open()


@pytest.fixture
def tables(broker: SharedBroker, unique: str, tmp_path: Path) -> Tables:
    """Give a changelog that no other test has."""
    return Tables(broker.bootstrap, unique, tmp_path)


def row(key: str, value: str | None) -> StateRow:
    """Make a row."""
    return StateRow(key.encode(), None if value is None else value.encode())


def test_what_one_machine_writes_another_reads(tables: Tables) -> None:
    """Flush by flush, with rows that go; and who had it before reads what came since."""

    async def work() -> None:
        first = await tables.opened("first")
        await first.write([row("a", "1"), row("b", "1")])
        await first.write([row("a", "2"), row("b", None)])
        assert dict(first.read()) == {b"a": b"2"}
        await first.close()
        second = await tables.opened("second")
        assert dict(second.read()) == {b"a": b"2"}
        await second.write([row("c", "3")])
        await second.close()
        third = await tables.opened("first again")
        assert dict(third.read()) == {b"a": b"2", b"c": b"3"}
        await third.close()

    asyncio.run(work())


def test_who_opens_a_table_ends_all_who_wrote_before(tables: Tables) -> None:
    """What a process that stood still had yet to write is refused, and in nobody's copy."""

    async def work() -> None:
        asleep = await tables.opened("asleep")
        await asleep.write([row("a", "1")])
        awake = await tables.opened("awake")
        await awake.write([row("a", "2")])
        with pytest.raises(LostError, match="partition 0: not its writer any more"):
            await asleep.write([row("a", "of before"), row("b", "of before")])
        await awake.write([row("c", "3")])
        await asleep.close()
        await awake.close()
        for machine in ("fresh", "asleep again"):
            again = await tables.opened(machine)
            assert dict(again.read()) == {b"a": b"2", b"c": b"3"}
            await again.close()

    asyncio.run(work())


def test_a_flush_that_is_broken_off_is_taken_back(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that Kafka has already, of a flush that did not end, are nobody's; who opens the table next need not wait."""

    async def work() -> None:
        dying = await tables.opened("dying")
        await dying.write([row("a", "1")])
        send = dying._send  # noqa: SLF001 - the moment after which it dies

        async def send_and_die(rows: list[StateRow]) -> int:
            await send(rows)
            raise ConnectionAbortedError

        monkeypatch.setattr(dying, "_send", send_and_die)
        with pytest.raises(ConnectionAbortedError):
            await dying.write([row("a", "half"), row("b", "half")])
        async with asyncio.timeout(30):  # less than a transaction lasts that nobody ends
            after = await tables.opened("after")
        assert dict(after.read()) == {b"a": b"1"}
        await dying.close()
        await after.close()

    asyncio.run(work())


def test_a_flush_of_any_size_is_whole(tables: Tables) -> None:
    """More than a record batch may hold."""
    random = Random(1)
    rows = [StateRow(b"%d" % each, random.randbytes(64_000)) for each in range(400)]
    assert sum(len(each.value or b"") for each in rows) > MAX_FLUSH

    async def work() -> None:
        first = await tables.opened("first")
        await first.write(rows)
        await first.close()
        second = await tables.opened("second")
        assert dict(second.read()) == dict(first.read()) == dict(rows)
        await second.close()

    asyncio.run(work())
