"""What couriers do over time: waits, order, limits, and sinks that do not disturb each other. With real HTTP."""

from __future__ import annotations

import socket
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import streams.ledger
from demo.pagerduty import Mood, PagerDuty
from models.finding import Finding
from models.record import iso
from models.settings import parse_settings
from streams.alert import MAX_WAIT_S, Courier, Couriers, Desk, foreseen
from streams.database import StateError
from streams.ledger import Ledger
from streams.sinks import make_sinks
from tests.findings import KEY, NOW, finding
from tests.findings import settings as settings_of

DEADLINE_S = 30


class Bench:
    """One sink, `oncall`, a ledger, and a clock that the test turns."""

    def __init__(self, server: PagerDuty, extra: str = "", folder: Path | None = None) -> None:
        self.settings = settings_of(server.url, extra)
        self.now = float(NOW)
        self.outcomes: Counter[str] = Counter()
        self.said: list[str] = []
        self.ledger = Ledger(folder)
        (sink,) = make_sinks(self.settings).values()
        self.courier = Courier(
            "oncall", sink, self.ledger, self.settings.alert.digest_minutes * 60, self._count, self.said.append
        )
        self.desk = Desk(self.settings, self.ledger, self._count, lambda: self.now)

    def take(self, *changes: Finding) -> None:
        """Take in changes."""
        self.desk.take(changes)

    def run(self, seconds: float = 0) -> None:
        """Let the courier work for so long, by the clock of the test."""
        end = self.now + seconds
        while True:
            at = self.courier.step(self.now)
            if at is None or at > end:
                break
            self.now = max(self.now, at)
        self.now = end

    def close(self) -> None:
        """Close what is open."""
        self.courier.close()
        self.ledger.close()

    def _count(self, _sink: str, outcome: str, number: int) -> None:
        self.outcomes[outcome] += number


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PagerDuty]:
    """Give a PagerDuty, and the key for it."""
    monkeypatch.setenv("ROUTING_KEY", KEY)
    with PagerDuty() as made:
        yield made


@pytest.fixture
def bench(server: PagerDuty) -> Iterator[Bench]:
    """Give a bench that tells that PagerDuty."""
    made = Bench(server)
    yield made
    made.close()


def test_patience_is_kept_and_waits_grow(bench: Bench, server: PagerDuty) -> None:
    """After 429 nothing is sent before Retry-After; after further failures waits double, spread, and are bounded."""
    server.moods.append(Mood(429, {"Retry-After": "120"}))
    bench.take(finding())
    bench.run(119)
    assert len(server.requests) == 1
    server.moods += [Mood(503)] * 20
    waits = []
    for _ in range(15):
        before = len(server.requests)
        bench.now = bench.courier._resume_at  # noqa: SLF001 - the moment that was promised
        began = bench.now
        bench.courier.step(bench.now)
        assert len(server.requests) == before + 1
        waits.append(bench.courier._resume_at - began)  # noqa: SLF001
    spent_s = 5  # at most, on a request
    assert all(2**n <= wait <= 2 * 2**n + spent_s for n, wait in enumerate(waits[:7]))
    assert all(MAX_WAIT_S / 2 <= wait <= MAX_WAIT_S + spent_s for wait in waits[10:])
    assert len(set(waits)) == len(waits)
    assert bench.said == ["oncall: 127.0.0.1: 429 Too Many Requests: {}; it is tried again until it succeeds"]
    server.moods.clear()
    bench.run(2 * MAX_WAIT_S)
    assert bench.said[1:] == ["oncall: answers again"]
    assert bench.outcomes == {"failed": 16, "delivered": 1}
    assert len(server.incidents) == 1


@pytest.mark.parametrize(
    "mood", [Mood(500), Mood(is_cut=True), Mood(delay_s=1.3), Mood(302, {"Location": "/"}), Mood(401)]
)
def test_what_failed_is_told_in_the_end(bench: Bench, server: PagerDuty, mood: Mood) -> None:
    """After an error, a cut connection, silence, a redirect, a wrong key: it waits, and there is one incident."""
    server.moods.append(mood)
    bench.take(finding())
    bench.run(60)
    assert bench.outcomes == {"failed": 1, "delivered": 1}
    assert len(server.incidents) == 1
    assert len({str(event) for event in server.events()}) == 1, "the same again, to the byte"


def test_one_message_that_always_fails_holds_up_no_other(bench: Bench, server: PagerDuty) -> None:
    """What failed least is tried first, then the most severe."""
    bench.take(finding("a", severity="critical"))
    server.moods.append(Mood(500))
    bench.run()
    bench.take(finding("b", severity="low"), finding("c", severity="medium"))
    bench.run(60)
    keys = [event["dedup_key"] for event in server.events()]
    assert keys == [finding(name).finding_id for name in ("a", "c", "b", "a")]


def test_too_many_of_one_entity_go_into_a_digest(server: PagerDuty) -> None:
    """The sixth within an hour is held back, but for one more severe than all; after an hour there is room again."""
    bench = Bench(server, "[alert]\nmax_per_entity_per_hour = 2\ndigest_minutes = 30")
    one: dict[str, Any] = {"entity": {"arn": "arn:one", "type": "role", "class": None, "class_tier": None}}

    def fresh(name: str, severity: str = "high") -> Finding:
        return finding(name, severity=severity, updated_at=iso(int(bench.now)), **one)

    bench.take(fresh("a"), fresh("b"), fresh("c"), fresh("d", "critical"), fresh("e", "medium"), finding("other"))
    bench.run(1_799)
    paged = {event["dedup_key"] for event in server.events("trigger")}
    assert paged == {finding(name).finding_id for name in ("a", "b", "d", "other")}
    assert server.changes == []
    bench.run(2)
    (digest,) = (each["payload"]["custom_details"] for each in server.changes)
    assert [each["finding_id"] for each in digest["findings"]] == [finding(name).finding_id for name in ("c", "e")]
    bench.run(1_800)
    bench.take(fresh("f"), finding("c", 2, updated_at=iso(int(bench.now)), **one))
    bench.run()
    assert {event["dedup_key"] for event in server.events("trigger")} - paged == {
        finding(name).finding_id for name in ("f", "c")
    }
    bench.close()


def test_a_backfill_wakes_nobody(server: PagerDuty) -> None:
    """Findings of last year are one digest, however many; what happens to one of them now is a page."""
    bench = Bench(server)
    old: dict[str, Any] = {"opened_at": iso(NOW - 400 * 86_400), "updated_at": iso(NOW - 399 * 86_400)}
    bench.take(*(finding(str(n), severity="critical", **old) for n in range(300)))
    bench.run(3_601)
    assert server.incidents == []
    (digest,) = (each["payload"]["custom_details"] for each in server.changes)
    assert (digest["count"], len(digest["findings"])) == (300, 50)
    assert bench.outcomes == {"held": 300, "delivered": 1}
    bench.take(*(finding(str(n), 2, severity="critical", close_reason="quiet", **old) for n in range(1, 300)))
    bench.take(finding("0", 2, severity="critical", updated_at=iso(NOW + 3_600)))
    bench.run(3_601)
    assert [each.key for each in server.incidents] == [finding("0").finding_id]
    assert len(server.changes) == 1
    bench.close()


def test_what_was_over_before_it_could_be_told_is_told_in_a_digest(bench: Bench, server: PagerDuty) -> None:
    """A sink that was down for the whole life of a finding hears of it all the same, as over."""
    server.moods += [Mood(429)] * 4  # no more than these are tried in so short a time, however waits are spread
    bench.take(finding())
    bench.run(4)
    bench.take(finding(revision=2, close_reason="quiet"))
    bench.run(4_000)
    assert server.incidents == []
    (digest,) = (each["payload"]["custom_details"] for each in server.changes)
    assert [each["status"] for each in digest["findings"]] == ["closed"]


@pytest.mark.parametrize(
    "change",
    [{"stage": "shadow"}, {"part_of": "c" * 32}, {"close_reason": "accepted"}, {"close_reason": "superseded"}],
)
def test_some_never_page(bench: Bench, server: PagerDuty, change: dict[str, Any]) -> None:
    """Shadow, parts of a chain, accepted, superseded: not told; and one that becomes so is taken back."""
    bench.take(finding("a", severity="critical", **change))
    bench.run(4_000)
    assert server.requests == []
    assert bench.outcomes == {}
    bench.take(finding("b", updated_at=iso(int(bench.now))))
    bench.run()
    bench.take(finding("b", 2, **change))
    bench.run(4_000)
    assert [event["event_action"] for event in server.events()] == ["trigger", "resolve"]


def test_sinks_fail_independently(server: PagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is silent and one that refuses do not delay the third."""
    monkeypatch.setenv("OTHER", "x" * 32)
    with PagerDuty() as silent, PagerDuty() as refusing:
        silent.moods += [Mood(delay_s=3)] * 100
        refusing.moods += [Mood(503)] * 1_000
        sinks = "\n".join(
            f'[[routes]]\nsink = "{name}"\n[sinks.{name}]\ntype = "pagerduty"\nurl = "{each.url}"\nrouting_key_env = "OTHER"'
            for name, each in (("silent", silent), ("refusing", refusing), ("well", server))
        )
        settings, ledger, outcomes = parse_settings(sinks), Ledger(None), Counter[tuple[str, str]]()

        def count(sink: str, outcome: str, number: int) -> None:
            outcomes[sink, outcome] += number

        made = make_sinks(settings)
        couriers = Couriers((Courier(n, s, ledger, 0, count, lambda _: None) for n, s in made.items()), ledger)
        couriers.start()
        fresh = iso(int(time.time()))
        Desk(settings, ledger, count).take(finding(str(n), updated_at=fresh) for n in range(50))
        give_up_at = time.monotonic() + DEADLINE_S
        while outcomes["well", "delivered"] < 50 and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert outcomes["well", "delivered"] == len(server.incidents) == 50
        assert ledger.waiting(time.time()).keys() == {"silent", "refusing"}
        couriers.stop()
        assert couriers.faults == []
        ledger.close()


def test_what_waits_is_bounded(bench: Bench, server: PagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the least severe go into the digest, counted; nothing is lost without a word."""
    monkeypatch.setattr(streams.ledger, "MAX_WAITING", 10)
    monkeypatch.setattr(streams.ledger, "MAX_HELD", 8)
    server.moods += [Mood(503)] * 3
    for n in range(25):
        bench.take(finding(str(n), severity="critical" if n % 5 == 0 else "low"))
    assert bench.outcomes == {"held": 15}
    bench.run(3_700)
    told = {event["dedup_key"] for event in server.events()}
    assert {finding(str(n)).finding_id for n in range(0, 25, 5)} <= told
    assert len(told) == 10
    digests = [each["payload"]["custom_details"] for each in server.changes]
    assert [digest["count"] for digest in digests] == [8, 7]
    listed = {each["finding_id"] for digest in digests for each in digest["findings"]}
    assert len(told | listed) == 25


def test_what_is_only_said_again_is_no_backlog(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many findings are open at a sink that must be told again and again, a new one is a page."""
    monkeypatch.setattr(streams.ledger, "MAX_WAITING", 10)
    ledger = Ledger(None, {"oncall": 300})
    desk = Desk(bench.settings, ledger, lambda *_: None, lambda: bench.now)
    for n in range(11):
        desk.take([finding(str(n))])
        due = ledger.begin("oncall", bench.now)
        assert due is not None
        ledger.end("oncall", due, "taken", "", bench.now)
    desk.take([finding("new")])
    due = ledger.begin("oncall", bench.now)
    assert due is not None
    assert due.key == finding("new").finding_id
    ledger.close()


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_is_set_back_holds_up_nothing(server: PagerDuty, tmp_path: Path, is_restarted: bool) -> None:
    """What was to be tried again, what was held and the count of an hour go by the new time, after a restart as well."""
    limit = "[alert]\nmax_per_entity_per_hour = 1"
    bench = Bench(server, limit, tmp_path)
    one: dict[str, Any] = {"entity": {"arn": "arn:one", "type": "role", "class": None, "class_tier": None}}
    bench.take(finding("told", **one), finding("held", **one))
    bench.run()
    server.moods += [Mood(503)]
    bench.take(finding("failed"))
    bench.run()
    set_back_to = bench.now - 30 * 86_400
    if is_restarted:
        bench.close()
        bench = Bench(server, limit, tmp_path)
    bench.now = set_back_to
    bench.run()
    assert {each.key for each in server.incidents} == {finding(name).finding_id for name in ("told", "failed")}
    bench.run(3_601)
    (digest,) = (each["payload"]["custom_details"] for each in server.changes)
    assert [each["finding_id"] for each in digest["findings"]] == [finding("held").finding_id]
    bench.take(finding("an hour later", **one))
    bench.run()
    assert server.incidents[-1].key == finding("an hour later").finding_id
    bench.close()


def test_what_is_remembered_is_bounded(bench: Bench, server: PagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is over and told is forgotten, the oldest first; what is open is not."""
    monkeypatch.setattr(streams.ledger, "MAX_KNOWN", 10)
    bench.take(finding("open"))
    for n in range(30):
        bench.now += 1
        bench.take(finding(str(n)))
        bench.run()
        bench.take(finding(str(n), 2, close_reason="quiet"))
        bench.run()
    bench.take(finding("last"))
    assert bench.ledger._base.execute("SELECT count(*) FROM matters").fetchone() == (10,)  # noqa: SLF001
    assert bench.ledger._base.execute("SELECT count(*) FROM deliveries").fetchone() == (10,)  # noqa: SLF001
    bench.take(finding("open", 2, close_reason="quiet"))
    bench.run()
    assert server.events("resolve")[-1]["dedup_key"] == finding("open").finding_id


def test_what_a_crash_left_in_doubt_is_asked_where_that_is_possible(
    server: PagerDuty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token for the REST API a trigger that came through is not sent again, and one that did not is."""
    monkeypatch.setenv("API_TOKEN", "secret-token")
    extra = f'api_token_env = "API_TOKEN"\napi_url = "{server.url}"'
    bench = Bench(server, extra, tmp_path)
    server.moods += [Mood(is_cut=True)]
    bench.take(finding("a"))
    bench.run()
    server.incidents[0].is_open = False  # somebody has dealt with it meanwhile: the same again would wake them again
    bench.run(60)
    assert len(server.events("trigger")) == len(server.incidents) == 1
    asked = next(each for each in server.requests if each.method == "GET")
    assert asked.headers["Authorization"] == "Token token=secret-token"
    assert f"incident_key={finding('a').finding_id}" in asked.path
    server.moods += [Mood(500)]
    bench.take(finding("b"))
    bench.run(60)
    assert [each.key for each in server.incidents] == [finding("a").finding_id, finding("b").finding_id]
    bench.close()


def test_a_state_has_one_user_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """A second process is refused; the folder and the file are the owner's alone; another version's is refused."""
    folder = tmp_path / "state"
    ledger = Ledger(folder)
    with pytest.raises(StateError, match="another process is using this state"):
        Ledger(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "alerts.sqlite").stat().st_mode) == 0o600
    ledger._base.execute("PRAGMA user_version = 99")  # noqa: SLF001 - as a later version would
    ledger.close()
    with pytest.raises(StateError, match="layout 99"):
        Ledger(folder)
    (folder / "alerts.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StateError, match="not a database"):
        Ledger(folder)


def test_a_copy_of_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run on a folder whose file cannot be opened, or is no database, says so."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as no_file:
        no_file.bind("alerts.sqlite")
        with pytest.raises(StateError, match="unable to open database file"):
            Ledger.copy_of(tmp_path)
    Path("alerts.sqlite").unlink()
    Path("alerts.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StateError, match="not a database"):
        Ledger.copy_of(tmp_path)


def test_a_full_disk_is_said(server: PagerDuty, tmp_path: Path) -> None:
    """What cannot be written down is not taken in: the error says so, and the state is what it was."""
    bench = Bench(server, folder=tmp_path)
    bench.take(finding("a"))
    (pages,) = bench.ledger._base.execute("PRAGMA page_count").fetchone()  # noqa: SLF001
    bench.ledger._base.execute(f"PRAGMA max_page_count = {pages}")  # noqa: SLF001 - as a full disk
    with pytest.raises(StateError, match="the state cannot be written: database or disk is full"):
        bench.take(*(finding(str(n)) for n in range(1_000)))
    bench.ledger._base.execute("PRAGMA max_page_count = 1000000")  # noqa: SLF001
    bench.run()
    assert [each.key for each in server.incidents] == [finding("a").finding_id]
    bench.close()


def test_a_state_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    """Whatever is asked of it while it is open: one kind of error, and what SQLite says of it."""
    ledger = Ledger(tmp_path)
    ledger._base.execute("DROP TABLE deliveries")  # noqa: SLF001 - as by another's hand
    for ask in (lambda: ledger.next_at("pager", 0.0), lambda: ledger.waiting(0.0), ledger.dead_letters):
        with pytest.raises(StateError, match="the state cannot be read: no such table"):
            ask()
    ledger.close()


def test_what_would_be_told_can_be_foreseen(server: PagerDuty, tmp_path: Path) -> None:
    """A dry run knows what was told before, hides secrets, sends nothing and changes nothing."""
    bench = Bench(server, folder=tmp_path)
    bench.take(finding("a"))
    bench.run()
    bench.take(finding("a", 2, close_reason="quiet"), finding("b"))
    copy = Ledger.copy_of(tmp_path)
    sinks = make_sinks(bench.settings)
    seen = foreseen(copy, sinks, bench.now)
    copy.close()
    sinks["oncall"].close()
    assert [(each["action"], each["body"]["routing_key"]) for each in seen] == [("resolve", "***"), ("trigger", "***")]
    assert len(server.requests) == 1
    bench.run()
    assert len(server.requests) == 3
    bench.close()
