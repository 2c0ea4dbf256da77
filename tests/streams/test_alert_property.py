"""Whatever comes in whatever order, and whatever fails: a sink ends up having heard what is so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import msgspec
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from models.finding import Finding, Severity
from models.paging import is_told
from models.record import iso
from streams.alert import Courier, Desk
from streams.ledger import Ledger
from streams.sinks.http import Answer
from streams.sinks.sink import Message, Sink
from tests.findings import NOW, finding
from tests.findings import settings as settings_of

Fate = Literal["taken", "refused", "failed", "lost on the way back", "lost on the way", "killed after", "killed before"]
OLD = iso(NOW - 90 * 86_400)
NEW = iso(NOW + 90 * 86_400)


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Heard:
    """What the receiver makes of what it hears of one finding."""

    severity: int | None = None  # of the open incident
    ids: set[str] = field(default_factory=set)


class Receiver(Sink):
    """A receiver that does what it is told to with each message, and holds its sender to its word."""

    def __init__(self) -> None:
        self.fate: Fate = "taken"
        self.heard: dict[str, Heard] = {}
        self.listed: set[str] = set()
        self.latest: dict[str, Finding] = {}

    def path(self, message: Message) -> str:
        """Give none."""
        raise NotImplementedError

    def body(self, message: Message) -> Any:
        """Give none."""
        raise NotImplementedError

    def send(self, message: Message) -> Answer:
        """Take a message, or not; know it taken, or not."""
        note(f"{message.told} {message.severity}: {self.fate}")
        if self.fate in ("taken", "lost on the way back", "killed after"):
            self._take(message)
        if self.fate.startswith("killed"):
            raise Killed
        if self.fate.startswith("lost"):
            return Answer("doubtful", "cut")
        return Answer(self.fate)  # type: ignore[arg-type]

    def _take(self, message: Message) -> None:
        if message.digest is not None:
            self.listed |= {each["finding_id"] for each in message.digest.findings}
            return
        assert message.finding is not None
        key = message.finding.finding_id
        heard, latest = self.heard.setdefault(key, Heard()), self.latest[key]
        severity = int(Severity.parse(message.severity))
        if message.told == "trigger":
            assert is_told(latest)
            assert latest.status != "closed", "no trigger once it is over"
            is_repeat = heard.severity is not None and heard.severity >= severity
            assert not is_repeat or message.delivery_id in heard.ids, "no trigger twice, but for one in doubt"
            heard.severity = severity
        else:
            assert heard.ids or message.before, "nothing is taken back that was never told"
            heard.severity = None
        heard.ids.add(message.delivery_id)


def _changes() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "severity": st.sampled_from(["low", "high", "critical"]),
            "stage": st.sampled_from(["live", "live", "live", "shadow"]),
            "part_of": st.sampled_from([None, None, None, "c" * 32]),
            "close_reason": st.sampled_from([None, None, None, "quiet", "resolved", "superseded", "accepted"]),
            "updated_at": st.sampled_from([NEW, NEW, OLD]),
        }
    )


@st.composite
def _histories(draw: st.DrawFn) -> tuple[list[Finding], list[Any]]:
    """Draw up to three findings' changes, and a course of events: changes that come, deliveries and what they meet."""
    names = draw(st.integers(1, 3))
    changes = [
        finding(f"{name}", revision, **each)
        for name in range(names)
        for revision, each in enumerate(draw(st.lists(_changes(), min_size=1, max_size=5)), 1)
    ]
    fates = st.sampled_from(Fate.__args__)  # type: ignore[attr-defined]
    course = draw(st.lists(st.one_of(st.sampled_from(changes), fates), max_size=40))
    return changes, course


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(_histories())
def test_sinks_end_up_knowing_what_is_so(drawn: tuple[list[Finding], list[Any]]) -> None:
    """Nothing is triggered twice or after its end, and the last thing heard agrees with the last state."""
    changes, course = drawn
    with TemporaryDirectory() as folder:
        receiver = Receiver()
        run = _Run(Path(folder), receiver)
        try:
            for event in course:
                run.take([event]) if isinstance(event, Finding) else run.step(event)
            run.take(reversed(changes))  # what is lost comes again, if late
            run.settle()
        finally:
            run.ledger.close()
        last = {each.finding_id: each for each in changes}  # the highest revision of each
        for key, state in last.items():
            standing = receiver.heard.get(key, Heard()).severity
            if state.status == "closed" or not is_told(state):
                assert standing is None
            elif state.updated_at == NEW:
                assert standing is not None
                assert standing >= Severity.parse(state.severity)
            else:
                assert standing is not None or key in receiver.listed


class _Run:
    """One ledger over many lives of the process."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self._folder = folder
        self._receiver = receiver
        self._now = float(NOW)
        self._start()

    def take(self, findings: Iterable[Finding]) -> None:
        """Let changes come in, one by one."""
        for each in findings:
            known = self._receiver.latest.get(each.finding_id)
            if known is None or each.revision > known.revision:
                self._receiver.latest[each.finding_id] = each
            self._desk.take([each])

    def step(self, fate: Fate) -> None:
        """Let one delivery meet its fate; after a kill the next life begins."""
        self._now += 1_000  # past every wait
        self._receiver.fate = fate
        try:
            self._courier.step(self._now, is_last=True)
        except Killed:
            self.ledger.close()
            self._start()

    def settle(self) -> None:
        """Let all be delivered, what was refused too."""
        self.ledger.retry_dead_letters(self._now)
        for _ in range(50):
            self.step("taken")
        assert self.ledger.waiting(self._now) == {}

    def _start(self) -> None:
        self.ledger = Ledger(self._folder)
        given = settings_of("http://127.0.0.1:1", "[alert]\nmax_per_entity_per_hour = 1000")
        self._desk = Desk(given, self.ledger, lambda *_: None, lambda: self._now)
        self._courier = Courier("oncall", self._receiver, self.ledger, 0, lambda *_: None, lambda _: None)


def test_the_changes_round_trip() -> None:
    """What the tests make is what comes over the wire."""
    made = finding()
    assert msgspec.json.decode(msgspec.json.encode(made), type=Finding) == made
