"""What `rolehawk watch` remembers: one SQLite file that changes by whole transactions, for one process at a time.

In it: the engine's state row by row, which files were read, which events were applied last, how far event time has come
and how long the output is. After a kill at any moment all of them stand as of one commit.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from models.rows import Row
from streams.database import StateError, opened

SCHEMA_VERSION: Final = 1
MAX_APPLIED: Final = 200_000  # events that are known to have been applied; more, while they are younger than an hour
HORIZON_S: Final = 3_600

_SCHEMA: Final = """
CREATE TABLE state (desk TEXT, key TEXT, value BLOB, PRIMARY KEY (desk, key)) WITHOUT ROWID;
CREATE TABLE files (name BLOB PRIMARY KEY, size INT, modified_ns INT, events INT, newest_at INT) WITHOUT ROWID;
CREATE TABLE applied (number INTEGER PRIMARY KEY, newest_at INT, events INT, ids BLOB);
CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), value BLOB);
"""


class Place(Struct):
    """How far a watch has come."""

    fed_until: int  # all events up to that second were applied, as far as they had been read
    newest_at: int  # time of the newest event that was applied, or waits
    output: str = ""  # the file that changes are written to; empty for stdout
    written: int = 0  # its bytes that count


class Known(Struct, frozen=True):
    """A file that was read."""

    size: int
    modified_ns: int
    events: int
    newest_at: int  # of its events


class Store:
    """One folder with all that a watch remembers. Raises StateError where it cannot be had, or another process has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = ExitStack()

    def __enter__(self) -> Self:
        """Take it, or say why not."""
        self._db = self._files.enter_context(opened(self._folder, "state.db", _SCHEMA, SCHEMA_VERSION))
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go for others."""
        self._files.close()

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def place(self) -> Place | None:
        """Say how far the watch had come; None where it never began."""
        found = self._db.execute("SELECT value FROM place").fetchone()
        return None if found is None else msgspec.msgpack.decode(found[0], type=Place)

    def rows(self) -> Iterator[Row]:
        """Give the engine's state."""
        return map(Row._make, self._db.execute("SELECT desk, key, value FROM state"))

    def files(self) -> dict[str, Known]:
        """List the files that were read."""
        found = self._db.execute("SELECT name, size, modified_ns, events, newest_at FROM files")
        return {os.fsdecode(name): Known(*rest) for name, *rest in found}

    def applied(self) -> Iterator[tuple[int, list[str]]]:
        """Give the ids of the events that were applied last, the oldest first, with the time up to which they go."""
        for newest_at, ids in self._db.execute("SELECT newest_at, ids FROM applied ORDER BY number"):
            yield newest_at, msgspec.msgpack.decode(ids, type=list[str])

    def commit(
        self,
        place: Place,
        rows: Iterable[Row],
        files: dict[str, Known | None],
        applied: list[str],
    ) -> None:
        """Write all that changed since the last commit, or nothing; a file that is None is forgotten."""
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._write(place, rows, files, applied)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{self._folder / 'state.db'}: {error}") from None

    def _write(self, place: Place, rows: Iterable[Row], files: dict[str, Known | None], applied: list[str]) -> None:
        db = self._db
        for desk, key, value in rows:
            if value is None:
                db.execute("DELETE FROM state WHERE desk = ? AND key = ?", (desk, key))
            else:
                db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (desk, key, value))
        for name, known in files.items():
            if known is None:
                db.execute("DELETE FROM files WHERE name = ?", (os.fsencode(name),))
            else:
                row = (os.fsencode(name), *msgspec.structs.astuple(known))
                db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", row)
        if applied:
            db.execute(
                "INSERT INTO applied (newest_at, events, ids) VALUES (?, ?, ?)",
                (place.fed_until, len(applied), msgspec.msgpack.encode(applied)),
            )
            # What is left is MAX_APPLIED events at least, and all of the last hour.
            db.execute(
                "DELETE FROM applied WHERE newest_at < ? AND number IN (SELECT number FROM "
                "(SELECT number, SUM(events) OVER (ORDER BY number DESC) - events AS younger FROM applied) "
                "WHERE younger >= ?)",
                (place.fed_until - HORIZON_S, MAX_APPLIED),
            )
        db.execute("INSERT OR REPLACE INTO place VALUES (1, ?)", (msgspec.msgpack.encode(place),))
