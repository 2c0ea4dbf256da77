"""Arrivals: which files under a watch's paths are new, complete, grown or gone.

A file is due when it has been left alone for a moment and ends as a whole file does; one that has grown is due again.
Objects of a bucket are complete, and never change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from streams.sources.files import Source, Unopened, find, is_whole
from streams.store import Known

SETTLED_S: Final = 2  # so long a file must have been left alone, or be the same twice
GIVEN_UP_S: Final = 900  # after so long, a file that breaks off is read as far as it goes
_UNFINISHED: Final = (".part", ".partial", ".tmp", ".filepart", ".crdownload", "~")  # ends of names still being written


class Stamp(NamedTuple):
    """What tells whether a file has changed."""

    size: int
    modified_ns: int  # 0 for an object of a bucket


class Arrivals:
    """The files under paths. State: which were read, how those that were not yet were last, what leads nowhere."""

    def __init__(self, paths: list[str], known: dict[str, Known]) -> None:
        self.known = known
        self.missing: list[Unopened] = []  # as of the last look
        self._paths = paths
        self._listed: set[str] = set()
        self._waiting: dict[str, Stamp] = {}
        self._changed: dict[str, Known | None] = {}

    def due(self, *, is_last: bool) -> Iterator[tuple[Source, Stamp]]:
        """Look once, and give the files that are to be read now; ``is_last`` says that nobody looks again."""
        sources, self.missing = find(self._paths)
        self._listed = {source.name for source in sources}
        for source in sources:
            if (stamp := self._due(source, is_last=is_last)) is not None:
                yield source, stamp

    def take(self, name: str, known: Known) -> None:
        """Note that a file was read."""
        self.known[name] = self._changed[name] = known

    def forget(self, applied_until: int) -> None:
        """Forget files that are there no more, once all of their events are applied; none while a path leads nowhere."""
        if self.missing:
            return
        for name in [name for name in self.known if name not in self._listed]:
            if self.known[name].newest_at <= applied_until:
                del self.known[name]
                self._changed[name] = None
        for name in [name for name in self._waiting if name not in self._listed]:
            del self._waiting[name]

    def changes(self) -> dict[str, Known | None]:
        """Give what was read, and what was forgotten (None), since this was last asked."""
        changed, self._changed = self._changed, {}
        return changed

    def _due(self, source: Source, *, is_last: bool) -> Stamp | None:
        """Stamp a file that is to be read now; None for one that was, or is not complete."""
        name = source.name
        if "://" in name:
            return None if name in self.known else Stamp(source.size, 0)
        if (base := os.path.basename(name)).startswith(".") or base.endswith(_UNFINISHED):  # noqa: PTH119 - cheap
            return None
        try:
            status = os.stat(name)  # noqa: PTH116 - as in `find`
        except OSError:  # gone since it was listed
            return None
        stamp = Stamp(status.st_size, status.st_mtime_ns)
        known = self.known.get(name)
        if known is not None and (known.size, known.modified_ns) == stamp:
            return None
        age_s = time.time() - status.st_mtime
        is_settled = age_s > SETTLED_S or self._waiting.get(name) == stamp
        self._waiting[name] = stamp
        if age_s <= GIVEN_UP_S and not ((is_settled or is_last) and is_whole(source)):
            return None
        del self._waiting[name]
        return stamp
