"""State as rows: only what changed is written, and at any cut of a trail the rest goes on as if there had been none."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.behaviour.profile import DAY_S
from models.desks import behaviour, grants, incidents
from models.detectors import build
from models.engine import Engine
from models.event import Event, in_order
from models.finding import Finding
from models.grants import account, graph
from models.incidents import lineage
from models.rows import STATE_VERSION, Row, StateVersionError, Tracked
from models.settings import Settings, parse_settings
from streams.order import Once
from streams.sources.files import FileReader, find
from tests.records import (
    ACCOUNT,
    Json,
    events_of,
    instance_call,
    raise_fault,
    record,
    role,
    rules,
    run,
    sign_in,
    user,
)

SAMPLE = Path(__file__).parents[2] / "examples/sample-trail"
DAY = 24 * 60  # in the minutes of the test trails

Store = dict[tuple[str, str], bytes]


def kept(rows: Iterable[Row], store: Store) -> int:
    """Write rows as a store does; says how many."""
    count = 0
    for desk, key, value in rows:
        count += 1
        if value is None:
            store.pop((desk, key), None)
        else:
            store[desk, key] = value
    return count


def given_back(store: Store, random: Random) -> list[Row]:
    """List the rows of a store, in no order."""
    rows = [Row(desk, key, value) for (desk, key), value in store.items()]
    random.shuffle(rows)
    return rows


@cache
def sample() -> list[Event]:
    """Read the sample trail, in order, each event once."""
    reader = FileReader()
    found = [
        event
        for source in find([str(SAMPLE / "AWSLogs")])[0]
        for batch in reader.read(source)
        for event in batch.events
    ]
    once = Once()
    return [*once.of(sorted(found, key=in_order)), *once.rest()]


def told(events: list[Event], cuts: Iterable[int] = (), seed: int = 0, ticks: Iterable[int] = ()) -> tuple[bytes, ...]:
    """Run events, stored and taken up anew at each cut; gives the history, the findings and the principals as bytes."""
    toml = parse_settings((SAMPLE / "rolehawk.toml").read_text())
    history: list[Finding] = []
    random, store = Random(seed), Store()
    engine = Engine(build(toml), toml, raise_fault, history.append)
    at = 0
    for cut in sorted({*cuts, *ticks}):
        engine.feed(events[at:cut])
        at = cut
        if cut in ticks and cut:
            engine.tick(events[cut - 1].at)
        if cut in cuts:
            kept(engine.changes(), store)
            engine = Engine(build(toml), toml, raise_fault, history.append)
            engine.restore(given_back(store, random))
    engine.feed(events[at:])
    engine.tick(events[-1].at)
    return tuple(msgspec.json.encode(each) for each in (history, engine.findings(), engine.principals()))


@cache
def whole() -> tuple[bytes, ...]:
    """Run the sample trail without a cut."""
    return told(sample())


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 2_000), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_a_cut_changes_nothing(cuts: list[int], seed: int) -> None:
    """Wherever a trail is cut, and however often: the same changes, findings and principals, byte for byte."""
    assert told(sample(), cuts, seed) == whole()


@pytest.mark.parametrize("seed", range(5))
def test_a_cut_changes_nothing_of_what_is_evicted(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """With bounds so small that every one is hit, the same goes first with cuts as without."""
    for module, name, bound in (
        (lineage, "MAX_EDGES", 12), (graph, "MAX_ROWS", 20), (grants, "MAX_ACCOUNTS", 2), (account, "MAX_WATCHED", 2),
        (account, "MAX_ATTEMPTS", 3), (incidents, "MAX_EARLY", 2), (behaviour, "MAX_FORMER_IDS", 1),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, bound)
    cuts = Random(seed).sample(range(len(sample())), 30)
    assert told(sample(), cuts, seed) == told(sample())


@pytest.mark.parametrize("seed", range(5))
def test_ticks_change_nothing(seed: int) -> None:
    """However often time is told to pass, the findings end the same."""
    ticks = Random(seed).sample(range(1, len(sample())), 200)
    assert told(sample(), ticks=ticks)[1:] == whole()[1:]


def test_only_what_changed_is_written() -> None:
    """One event writes the profile that it concerns, and the clock; a second commit writes nothing."""
    engine = run(
        [instance_call(n, instance=f"i-{n:017x}") for n in range(50)] + [record("ListUsers", user("erin"), 60)]
    )
    store = Store()
    assert kept(engine.changes(), store) == len(store)
    assert list(engine.changes()) == []
    engine.feed(events_of([record("ListUsers", user("erin"), 90)]))
    changed = {(row.desk, row.key) for row in engine.changes()}
    assert changed == {
        ("behaviour", f'["profile","arn:aws:iam::{ACCOUNT}:user/erin"]'), ("engine", '["now"]'),
    }  # fmt: skip


def test_a_large_account_is_many_small_rows() -> None:
    """A policy put into an account of thousands writes a handful of rows of some hundred bytes."""

    def put(name: str, minutes: float) -> Json:
        document = '{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/k"}]}'
        request = {"roleName": name, "policyName": "p", "policyDocument": document}
        return record(
            "PutRolePolicy", user("erin"), minutes, eventSource="iam.amazonaws.com", requestParameters=request
        )

    engine = run(put(f"role{n}", n / 100) for n in range(3_000))
    assert len(list(engine.changes())) > 3_000
    engine.feed(events_of([put("role7", 60)]))
    rows = [row for row in engine.changes() if row.desk == "grants"]
    assert {msgspec.json.decode(row.key)[0] for row in rows} <= {"account", "grant", "written"}
    assert sum(len(row.value or b"") for row in rows) < 1_000


def test_a_row_that_is_gone_is_said_to_be() -> None:
    """An account evicted takes all its rows with it; opened again it has only what is new."""
    store, random = Store(), Random(1)
    engine = Engine(rules(), on_fault=raise_fault)
    failures = [
        sign_in({"type": "IAMUser", "accountId": f"{n:012d}", "userName": "erin"}, n, outcome="Failure",
                recipientAccountId=f"{n:012d}")
        for n in (1, 2, 3, 1)
    ]  # fmt: skip
    limit, grants.MAX_ACCOUNTS = grants.MAX_ACCOUNTS, 2  # type: ignore[misc]
    try:
        for each in failures:
            engine.feed(events_of([each]))
            kept(engine.changes(), store)
            again = Engine(rules())
            again.restore(given_back(store, random))
            assert again.grants.accounts == engine.grants.accounts
            assert list(again.grants.accounts) == list(engine.grants.accounts)
    finally:
        grants.MAX_ACCOUNTS = limit  # type: ignore[misc]


def test_state_of_another_version_is_refused() -> None:
    """State that this version did not write is refused by name, not misread."""
    rows = list(run([instance_call()]).changes())
    first = rows[0]
    for value, words in (
        (bytes([99]) + (first.value or b"")[1:], "has version 99, this rolehawk reads version"),
        (bytes([STATE_VERSION]) + b"\xc1", "cannot be read"),
        (b"", "has version none"),
    ):
        with pytest.raises(StateVersionError, match=words) as caught:
            Engine(rules()).restore([first._replace(value=value), *rows[1:]])
        assert "profile" in str(caught.value)
    with pytest.raises(StateVersionError, match="no row of state"):
        Engine(rules()).restore([Row("behaviour", "profile", b"")])


def test_tracked_says_what_changed_in_the_order_in_which_it_did() -> None:
    """Set, set again, touched, taken out: each key once, the last change of it counts."""
    known: Tracked[int] = Tracked()
    known["a"], known["b"], known["c"] = 1, 2, 3
    known["a"] = 4
    assert list(known.changed) == ["b", "c", "a"]
    known.changed.clear()
    known.touch("b")
    assert known.pop("c") == 3
    assert known.pop("d", None) is None
    del known["a"]
    assert list(known.changed) == ["b", "c", "a"]


def visit(minutes: float) -> list[Json]:
    """Make a machine role's console session."""
    return [
        *(instance_call(minutes + n, instance=f"i-{n:017x}") for n in range(3)),
        record("ListBuckets", role("web", "visitor"), minutes + 5, sessionCredentialFromConsole="true"),
    ]


def forgetful(records: list[Json], only: str | None = None) -> Engine:
    """Run records as a process does that forgets once a day."""
    engine = Engine(rules(only=only), on_fault=raise_fault)
    day = 0
    for event in events_of(records):
        engine.feed([event])
        if event.at // DAY_S > day:
            engine.tick(event.at)
            engine.forget()
            day = event.at // DAY_S
    return engine


def test_a_closed_finding_is_kept_so_that_it_can_open_again() -> None:
    """Within 90 days after it closed a finding opens again, and counts on; later it is a new one."""

    def failures(minutes: float) -> list[Json]:
        erin = {"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}
        return [sign_in(erin, minutes + n, outcome="Failure") for n in range(5)]

    name = "console-login-failures"
    daily = [record("ListUsers", user("dora"), n * DAY) for n in range(1, 94)]
    (again,) = forgetful([*failures(0), *daily[:90], *failures(90 * DAY)], name).findings()
    assert (again.revision, again.opened_at[:10]) == (3, "2024-05-01")
    (anew,) = forgetful([*failures(0), *daily, *failures(93 * DAY)], name).findings()
    assert (anew.revision, anew.opened_at[:10]) == (1, "2024-08-02")
    gone = forgetful([*failures(0), *daily], name).incidents
    assert not any((gone.matters, gone._waiting, gone._groups, gone._due_at))  # noqa: SLF001 - all that points to them


def test_entities_long_gone_are_forgotten_with_their_class() -> None:
    """A role not seen for 400 days goes, and so does what it was; one that is used stays, whatever its age."""
    daily = [record("ListBuckets", role("other", "i-0fedcba9876543210"), n * DAY) for n in range(402)]
    engine = forgetful([*visit(0), *daily])
    assert [arn.rsplit("/", 1)[-1] for arn in engine.behaviour.profiles] == ["other"]
    assert [arn.rsplit("/", 1)[-1] for arn in engine.incidents.classes] == ["other"]
    kept_on = forgetful([*visit(0), *daily[:399]])
    assert len(kept_on.behaviour.profiles) == 2


def test_beyond_the_bound_the_longest_unseen_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entities, and closed findings, beyond their bounds go by age."""
    monkeypatch.setattr(behaviour, "MAX_PROFILES", 3)
    monkeypatch.setattr(incidents, "MAX_MATTERS", 2)
    engine = Engine(rules(Settings(), "unfederated-console-login"), on_fault=raise_fault)
    engine.feed(events_of(sign_in(user(f"user{n}", key=None), n * 2 * DAY) for n in range(6)))
    engine.tick(engine.now)
    engine.forget()
    assert [arn.rsplit("/", 1)[-1] for arn in engine.behaviour.profiles] == ["user3", "user4", "user5"]
    assert [each.entity.arn.rsplit("/", 1)[-1] for each in engine.findings()] == ["user4", "user5"]


def test_a_chain_and_its_parts_go_together() -> None:
    """While one part of a chain is open, chain and parts all stay, however long the others have been closed."""
    engine = Engine(rules(), on_fault=raise_fault)
    engine.feed(sample())
    engine.tick(sample()[-1].at)
    desk = engine.incidents
    chain_id = next(each.part_of for each in desk.matters.values() if each.part_of)
    assert chain_id is not None
    family = {chain_id, *(key for key, each in desk.matters.items() if each.part_of == chain_id)}
    assert len(family) > 3
    part = desk.matters[min(family - {chain_id})]
    for key in family:
        desk.matters[key].close_reason = "resolved"
    part.close_reason = None
    desk.forget(sample()[-1].at + 300 * DAY_S)
    assert family <= desk.matters.keys()
    part.close_reason = "resolved"
    desk.forget(sample()[-1].at + 300 * DAY_S)
    assert not family & desk.matters.keys()


def test_a_flood_does_not_wait_for_the_day_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine says when it holds more than its bounds, so that it is made to forget at once."""
    monkeypatch.setattr(behaviour, "MAX_PROFILES", 10)
    engine = Engine(rules(), on_fault=raise_fault)
    was_overfull = []
    for begin, end in ((0, 11), (11, 13)):
        engine.feed(events_of(record("ListUsers", user(f"user{n}"), n) for n in range(begin, end)))
        was_overfull.append(engine.is_overfull)
    engine.forget()
    assert [*was_overfull, engine.is_overfull] == [False, True, False]
    assert len(engine.behaviour.profiles) == 10


def test_forgetting_is_cheap_and_changes_nothing_that_is_young() -> None:
    """A process that forgets every day ends with the same findings as one that never does."""
    toml = parse_settings((SAMPLE / "rolehawk.toml").read_text())
    engines: list[Any] = [Engine(build(toml), toml, raise_fault) for _ in range(2)]
    for engine in engines:
        for n in range(0, len(sample()), 100):
            engine.feed(sample()[n : n + 100])
            if engine is engines[0]:
                engine.forget()
        engine.tick(sample()[-1].at)
    assert engines[0].findings() == engines[1].findings()
