"""The rows of one partition of a table on this machine, kept in RocksDB.

The rows of a flush, and the offset of the changelog up to which they then hold, go in together.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, cast

import msgspec
from msgspec import Struct
from rocksdict import Options, Rdict, WriteBatch

_PROGRESS_KEY: Final = b"\0progress"  # no row's key: those begin with a desk's name
_MEMORY: Final = 8 * 1024 * 1024  # bytes of rows that wait for their file
_MAX_FILES: Final = 128  # that are open


class StateRow(NamedTuple):
    """One row of state as a table keeps it; no value: it is gone."""

    key: bytes
    value: bytes | None


class _Progress(Struct, array_like=True, frozen=True):
    """How far a store has come."""

    offset: int  # of the last row of the changelog that it has; -1 for none
    written_at: float  # in seconds since 1970


_log = logging.getLogger(__name__)
_NOTHING: Final = _Progress(-1, 0.0)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Progress).decode


class LocalStore:
    """One partition of a table. One that cannot be opened is begun anew: what it had is in its changelog."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 - its own are no more than that
            _log.warning("%s: %s", folder, error)
            self._destroy()
            self._open()

    def _open(self) -> None:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_MEMORY)
        options.set_max_open_files(_MAX_FILES)
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._rows = Rdict(str(self._folder), options)
        stored = self._rows.get(_PROGRESS_KEY)
        try:
            self._progress = _NOTHING if stored is None else _decode(stored)
        except msgspec.MsgspecError:
            self.clear()

    @property
    def offset(self) -> int:
        """The offset of the last row of the changelog that is there; -1 for none."""
        return self._progress.offset

    @property
    def age_s(self) -> float:
        """How long ago that was, in seconds."""
        return self._clock() - self._progress.written_at

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """Give all rows."""
        for key, value in self._rows.items():
            if key != _PROGRESS_KEY:
                yield cast("bytes", key), value

    def write(self, rows: Iterable[StateRow], offset: int) -> None:
        """Store rows, and the offset of the changelog up to which they hold."""
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._progress = _Progress(offset, self._clock())
        batch.put(_PROGRESS_KEY, _encode(self._progress))
        self._rows.write(batch)

    def clear(self) -> None:
        """Let go of all rows, and of how far they had come."""
        self.close()
        self._destroy()
        self._open()

    def close(self) -> None:
        """Let go of the folder."""
        self._rows.close()

    def _destroy(self) -> None:
        shutil.rmtree(self._folder)
