"""How far ingest has come with one source, in a SQLite file: which objects Kafka has, until when events were looked up.

An object is ticked off only after Kafka acknowledged all of it; killed at any moment, what is not ticked off is read
again. The file is locked while it is open: two at the same source would send everything twice.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from streams.sources.s3 import Object

COMMIT_EVERY_S: Final = 1.0
PAGE: Final = 1_000  # objects read of the list at once
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS object (
  bucket TEXT NOT NULL, key TEXT PRIMARY KEY, size INTEGER NOT NULL, delivered_at INTEGER NOT NULL, newest_at INTEGER,
  is_done INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_to_read ON object (is_done, delivered_at, key);
CREATE TABLE IF NOT EXISTS looked_up (until_at INTEGER NOT NULL);
"""


class CheckpointError(RuntimeError):
    """The file cannot be used: says which, and why."""


def default_folder() -> Path:
    """Say where the file is kept if nobody says otherwise."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "rolehawk"


class Checkpoint:
    """How far one source has come on its way into one topic of one cluster; ``source`` names all three."""

    def __init__(self, folder: Path, source: str) -> None:
        self.file = folder / f"ingest-{sha256(source.encode()).hexdigest()[:12]}.sqlite"
        self._committed_s = time.monotonic()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.file, timeout=1)
        except (OSError, sqlite3.Error) as error:
            raise CheckpointError(f"{self.file}: {error}") from None
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("BEGIN EXCLUSIVE")
            self._database.commit()
            self._database.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._database.close()
            is_locked = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
            why = "another ingest is reading this source" if is_locked else str(error)
            raise CheckpointError(f"{self.file}: {why}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep what was ticked off."""
        with closing(self._database):
            self._database.commit()

    def list(self, objects: Iterable[Object]) -> None:
        """Take in the objects that there are; those that are known stay as they are."""
        self._database.executemany(
            "INSERT OR IGNORE INTO object (bucket, key, size, delivered_at) VALUES (?, ?, ?, ?)",
            ((each.bucket, each.key, each.size, each.delivered_at or 0) for each in objects),
        )
        self.commit()

    def to_read(self) -> tuple[int, int]:
        """Count the objects that Kafka does not have yet, and their bytes."""
        query = "SELECT count(*), coalesce(sum(size), 0) FROM object WHERE NOT is_done"
        count, size = self._database.execute(query).fetchone()
        return count, size

    def objects(self) -> Iterator[Object]:
        """Give the objects that Kafka does not have yet, in the order in which they were delivered."""
        last = (-1, "")
        query = (
            "SELECT bucket, key, size, delivered_at FROM object WHERE is_done = 0 AND (delivered_at, key) > (?, ?) "
            "ORDER BY delivered_at, key LIMIT ?"
        )
        while page := self._database.execute(query, (*last, PAGE)).fetchall():
            for bucket, key, size, delivered_at in page:
                last = (delivered_at, key)
                yield Object(bucket, key, size, delivered_at)

    def tick_off(self, key: str, newest_at: int | None) -> None:
        """Note that Kafka has all of an object, and when its last event was."""
        self._database.execute("UPDATE object SET is_done = 1, newest_at = ? WHERE key = ?", (newest_at, key))
        if time.monotonic() - self._committed_s > COMMIT_EVERY_S:
            self.commit()

    def newest_at(self) -> int | None:
        """Say when the last event was of all that Kafka has of this source."""
        newest_at: int | None = self._database.execute("SELECT max(newest_at) FROM object").fetchone()[0]
        return newest_at

    def looked_up_until(self) -> int | None:
        """Say until when events were looked up and Kafka has them; None before the first time."""
        until_at: int | None = self._database.execute("SELECT max(until_at) FROM looked_up").fetchone()[0]
        return until_at

    def look_up_on_from(self, until_at: int) -> None:
        """Note until when events were looked up."""
        self._database.execute("DELETE FROM looked_up")
        self._database.execute("INSERT INTO looked_up VALUES (?)", (until_at,))
        self.commit()

    def commit(self) -> None:
        """Keep what was noted."""
        self._database.commit()
        self._committed_s = time.monotonic()
