"""The rows of one partition on this machine: a table of Faust's, kept in RocksDB, filled from its changelog.

Faust brings a table up to its changelog before any message is given out, on a fresh machine as after a rebalance. Writing
is ours: the rows of a flush and the offset up to which the table then holds go in together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, cast

from rocksdict import Rdict, WriteBatch

from streams.outbox import StateRow


class _Store(Protocol):
    """What is used of Faust's RocksDB store."""

    offset_key: bytes

    def _db_for_partition(self, partition: int) -> Rdict:
        """Give the database of a partition."""


class TableStore:
    """One partition of a table."""

    def __init__(self, table: Any, partition: int) -> None:  # noqa: ANN401 - Faust's own type says less than is used
        self.changelog = cast("str", table.changelog_topic_name)
        self._store = cast("_Store", table.data)
        self._db = self._store._db_for_partition(partition)  # noqa: SLF001 - Faust reads all partitions or one key

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all rows."""
        for key, value in self._db.items():
            if key != self._store.offset_key:
                yield cast("bytes", key), cast("bytes", value)

    def write(self, rows: Iterable[StateRow], offset: int) -> None:
        """Store rows, and the offset of the changelog up to which the table holds."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self._store.offset_key, str(offset).encode())
        self._db.write(batch)
