"""State in one SQLite file of a folder that one process has at a time; what is committed is safe on disk."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path


class StateError(Exception):
    """A state that cannot be used; says why."""


@contextmanager
def opened(folder: Path, file: str, schema: str, version: int) -> Iterator[sqlite3.Connection]:
    """Have a folder, which is made where it is not there, and its file, for as long as the body runs.

    Raises StateError where it cannot be used, or another process uses it. The lock goes when the process does, however
    it ends.
    """
    with ExitStack() as files:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = files.enter_context((folder / "lock").open("a+"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (folder / file).touch(0o600)
            base = sqlite3.connect(folder / file, check_same_thread=False, isolation_level=None)
            files.enter_context(closing(base))
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = FULL")
            prepare(base, schema, version)
        except BlockingIOError:
            raise StateError(f"{folder}: another process is using this state") from None
        except (OSError, sqlite3.Error) as error:
            raise StateError(f"{folder}: {getattr(error, 'strerror', None) or error}") from None
        yield base


def prepare(base: sqlite3.Connection, schema: str, version: int) -> None:
    """Give a new file its tables; raises sqlite3.DatabaseError where it has those of another version."""
    (found,) = base.execute("PRAGMA user_version").fetchone()
    if found == 0:
        base.executescript(f"BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;")
    elif found != version:
        raise sqlite3.DatabaseError(f"the state has layout {found}, this rolehawk reads {version}")
