"""What libraries log, each thing seldom: clients that cannot reach a broker say so a hundred times a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

REPEAT_S: Final = 60.0
MAX_KNOWN: Final = 1_000  # different messages; then all may be said again
LIBRARIES: Final = ("aiokafka", "faust", "mode")


class Seldom(logging.Filter):
    """Lets a library's message through once a minute, whatever it names; our own always."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a message is to be said."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        now, key = self._clock(), (record.name, str(record.msg))
        if now - self._said_at.get(key, -REPEAT_S) < REPEAT_S:
            return False
        if len(self._said_at) >= MAX_KNOWN:
            self._said_at.clear()
        self._said_at[key] = now
        return True
