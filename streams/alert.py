"""Findings in, pages out: what is decided of each is written down, and a courier for each sink tells it.

Couriers run side by side, so that a sink that fails holds up no other. What cannot be told waits in the ledger.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from hashlib import sha256
from math import inf
from threading import Event, Thread
from typing import Any, Final

import msgspec

from models.finding import Finding, Severity
from models.paging import Digest, routed, wanted
from models.settings import Settings
from streams.ledger import Due, Ledger
from streams.sinks.sink import Message, Sink

FIRST_WAIT_S: Final = 1.0  # after a first failure; doubled with each further one, and spread by half of it
MAX_WAIT_S: Final = 300.0
LOOK_S: Final = 60.0  # at least so often a courier looks whether the clock has made something due
CLOCK_SKEW_S: Final = 60  # a receiver's clock may be so much behind

# Called for everything that happens to a delivery: sink, outcome, how many. Outcomes: delivered, repeated, failed,
# refused, held (it waits for a digest).
Count = Callable[[str, str, int], None]
Complain = Callable[[str], None]


class Desk:
    """Where findings come in: decides what each sink should hear, and writes that down."""

    def __init__(
        self, settings: Settings, ledger: Ledger, count: Count, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._count = count
        self._clock = clock
        self.unrouted = 0  # findings that no route names a sink for

    def take(self, findings: Iterable[Finding], *, is_history: bool = False) -> None:
        """Take in changes of findings, in the order in which they came; all is on disk when it returns.

        Those of history, from before the stream began, are no pages, however young.
        """
        now = self._clock()
        decide = partial(wanted, alert=self._settings.alert, now=inf if is_history else now)
        held: Counter[str] = Counter()
        with self._ledger.writing():
            for finding in findings:
                sinks = routed(finding, self._settings)
                self.unrouted += not sinks
                news = self._ledger.take(finding, sinks, decide, now)
                held.update(sink for sink, what in news.items() if what == "held")
            held.update(self._ledger.keep_bounds(now))
        for sink, number in held.items():
            self._count(sink, "held", number)


class Courier:
    """Tells one sink what is due, one thing after another, and waits longer and longer while that fails."""

    def __init__(
        self, name: str, sink: Sink, ledger: Ledger, digest_s: float, count: Count, complain: Complain
    ) -> None:
        self.name = name
        self._sink = sink
        self._ledger = ledger
        self._digest_s = digest_s
        self._count = count
        self._complain = complain
        self._failures = 0
        self._resume_at = 0.0
        self._looked_at = inf  # by the clock, which may be set back: also while nobody looked

    def step(self, now: float, *, is_last: bool = False) -> float | None:
        """Tell one thing if one is due; says when there may be more to do, None if nothing is in sight.

        With ``is_last`` what is held back is told at once.
        """
        if now < self._looked_at:
            self._ledger.set_back(self.name, now)
            self._resume_at = min(self._resume_at, now)
        self._looked_at = now
        if now < self._resume_at:
            return self._resume_at
        patience_s = 0.0 if is_last else self._digest_s
        self._ledger.gather(self.name, now, patience_s)
        due = self._ledger.begin(self.name, now)
        if due is None:
            return self._ledger.next_at(self.name, patience_s)
        message = message_of(due, self.name, int(now))
        if due.is_in_doubt and self._sink.was_taken(message, int(due.begun_at) - CLOCK_SKEW_S):
            self._ledger.end(self.name, due, "taken", "", now)
            return now
        begun_s = time.monotonic()
        answer = self._sink.send(message)
        answered_at = now + time.monotonic() - begun_s  # patience counts from the answer
        self._ledger.end(self.name, due, answer.outcome, answer.reason, now)
        if answer.outcome in ("taken", "refused"):
            self._succeed(due, answer.outcome, answer.reason)
            return now
        self._count(self.name, "failed", 1)
        wait_s = min(MAX_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self._failures, 20))
        wait_s = max(wait_s * random.uniform(0.5, 1.0), answer.retry_after_s)  # noqa: S311 - spreads, hides nothing
        if self._failures == 0:
            self._complain(f"{self.name}: {answer.reason}; it is tried again until it succeeds")
        self._failures += 1
        self._resume_at = answered_at + wait_s
        return self._resume_at

    def close(self) -> None:
        """Let the sink's connection go."""
        self._sink.close()

    def _succeed(self, due: Due, outcome: str, reason: str) -> None:
        if self._failures:
            self._complain(f"{self.name}: answers again")
        self._failures = 0
        if outcome == "refused":
            self._count(self.name, "refused", 1)
            self._complain(f"{self.name}: {due.key} refused, kept in the dead letters: {reason}")
        else:
            self._count(self.name, "repeated" if due.is_repeat else "delivered", 1)


class Couriers:
    """All couriers at work, each in a thread of its own."""

    def __init__(
        self,
        couriers: Iterable[Courier],
        ledger: Ledger,
        clock: Callable[[], float] = time.time,
        on_fault: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the threads; ``on_fault`` is called in that of a courier that broke, and delivers no more."""
        self._couriers = list(couriers)
        self._ledger = ledger
        self._clock = clock
        self._on_fault = on_fault
        self._is_stopping = Event()
        self._is_last = Event()
        self._threads = [Thread(target=self._work, args=(each,), name=each.name) for each in self._couriers]
        self.faults: list[Exception] = []  # what broke a courier: never the network

    def start(self) -> None:
        """Set out."""
        for thread in self._threads:
            thread.start()

    def finish(self, patience_s: float, is_stopped: Callable[[], bool] = lambda: False) -> None:
        """Let all be told that waits, digests too, but give up after so long, or when asked to; then stop."""
        self._is_last.set()
        self._wake()
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and not self.faults and not is_stopped():
            if self._ledger.waiting(self._clock()).keys().isdisjoint(each.name for each in self._couriers):
                break
            time.sleep(0.05)
        self.stop()

    def stop(self) -> None:
        """Stop when what is on its way has been answered."""
        self._is_stopping.set()
        self._wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        for courier in self._couriers:
            courier.close()

    def _wake(self) -> None:
        with self._ledger.changed:
            self._ledger.news += 1
            self._ledger.changed.notify_all()

    def _work(self, courier: Courier) -> None:
        ledger = self._ledger
        try:
            while not self._is_stopping.is_set():
                seen = ledger.news
                at = courier.step(self._clock(), is_last=self._is_last.is_set())
                wait_s = LOOK_S if at is None else min(at - self._clock(), LOOK_S)
                with ledger.changed:
                    ledger.changed.wait_for(lambda seen=seen: ledger.news != seen, max(wait_s, 0))  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 - reported by whoever started it
            self.faults.append(error)
            self._on_fault()


def message_of(due: Due, sink: str, now: int) -> Message:
    """Put what is due into words; its id is the same however often it is tried."""
    is_digest = due.told == "digest"
    identity = "\0".join((sink, due.key, due.told, str(due.severity), repr(due.begun_at)))
    return Message(
        told=due.told,
        delivery_id=sha256(identity.encode()).hexdigest()[:32],
        severity=Severity(due.severity).label,
        now=now,
        finding=None if is_digest else msgspec.json.decode(due.body, type=Finding),
        digest=msgspec.json.decode(due.body, type=Digest) if is_digest else None,
        before=tuple(Severity(each).label for each in due.before),
    )


def foreseen(ledger: Ledger, sinks: Mapping[str, Sink], now: float) -> list[dict[str, Any]]:
    """List what would be told now, of a copy of the ledger, which is changed by it: secrets are hidden."""
    lines = []
    for name, sink in sinks.items():
        while ledger.gather(name, now, 0) is not None:
            pass
        while (due := ledger.begin(name, now)) is not None:
            message = message_of(due, name, int(now))
            lines.append({"sink": name, "action": due.told, "path": sink.path(message), "body": sink.preview(message)})
            ledger.end(name, due, "taken", "", now)
    return lines
