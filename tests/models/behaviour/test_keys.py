"""The life of a key: each phase, what is known of its use, and that no order of events changes any of it."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.behaviour.keys import (
    ASSUMED,
    DAY_S,
    DORMANT_DAYS,
    GAP_S,
    MAX_APIS,
    MAX_CLIENTS,
    MAX_KEYS,
    MAX_NETWORKS,
    MAX_SEASONS,
    NEWS_S,
    Act,
    Key,
    KeyAct,
    KeyRow,
    Span,
    claim,
    key_of,
    working,
)

START = 1_700_000_000
KEY = "AKIAEXAMPLE000000001"
Use = tuple[int, str, str, str]


def act(what: Act, at: int, by: str = "arn:aws:iam::111122223333:user/anna") -> KeyAct:
    """Make what is done to the key."""
    return KeyAct(KEY, what, at, by)


def lived(*steps: KeyAct | Use) -> Key:
    """Make a key that learnt steps in the order given."""
    key = Key(KEY)
    for step in steps:
        if isinstance(step, KeyAct):
            key.learn_act(step, "203.0.113.0/24")
        else:
            key.learn_use(*step)
    return key


def use(at: int, network: str = "198.51.100.0/24", client: str = "Boto3 linux", api: str = "s3:GetObject") -> Use:
    """Make a use of the key."""
    return at, api, network, client


def test_a_life() -> None:
    """Made, used, quiet for a season, used again, disabled, enabled, deleted: one phase after another."""
    key = lived(act("created", START))
    assert key.phase(START + 200 * DAY_S) == "made"
    assert (key.created_by, key.created_from) == ("arn:aws:iam::111122223333:user/anna", "203.0.113.0/24")
    key.learn_use(*use(START + DAY_S))
    assert key.phase(START + 2 * DAY_S) == "active"
    assert key.phase(START + (DORMANT_DAYS + 2) * DAY_S) == "dormant"
    key.learn_use(*use(START + 200 * DAY_S, "192.0.2.0/24"))
    assert key.phase(START + 201 * DAY_S) == "active"
    assert [(span.first_at, span.last_at) for span in key.seasons] == [
        (START + DAY_S, START + DAY_S), (START + 200 * DAY_S, START + 200 * DAY_S),
    ]  # fmt: skip
    assert (key.first_used_at, key.first_used_from) == (START + DAY_S, "198.51.100.0/24")
    key.learn_act(act("disabled", START + 210 * DAY_S), None)
    assert (key.phase(START + 210 * DAY_S), key.off_at) == ("disabled", START + 210 * DAY_S)
    assert key.phase(START + 209 * DAY_S) != "disabled"
    key.learn_act(act("enabled", START + 211 * DAY_S), None)
    assert (key.phase(START + 211 * DAY_S), key.off_at) == ("active", None)
    key.learn_act(act("deleted", START + 212 * DAY_S), None)
    assert (key.phase(START + 212 * DAY_S), key.off_at) == ("deleted", START + 212 * DAY_S)


def test_age_is_exact_or_at_least() -> None:
    """Exact from its making or an inventory, else from the first sign of it."""
    assert lived(act("created", START)).age_days(START + 91 * DAY_S) == (91, True)
    assert lived(use(START)).age_days(START + 91 * DAY_S) == (91, False)
    assert lived(act("disabled", START - DAY_S), use(START)).age_days(START + 91 * DAY_S) == (92, False)
    key = lived(use(START))
    key.learn_row(KeyRow("arn", KEY, is_active=True, created_at=START - 400 * DAY_S), START)
    assert key.age_days(START + DAY_S) == (401, True)
    unknown = Key(KEY)
    unknown.learn_row(KeyRow("arn", KEY, is_active=True, created_at=None), START)
    assert unknown.age_days(START + 5 * DAY_S) == (5, False)


def test_what_is_news() -> None:
    """The first use, a network or client met over less than three days, a long quiet, a key that is off; nothing else."""
    key = Key(KEY)
    assert key.is_news(START, "a", "boto")
    key.learn_use(START, "s3:GetObject", "a", "boto")
    assert key.is_news(START + 3600, "a", "boto")
    key.learn_use(START + NEWS_S, "s3:GetObject", "a", "boto")
    assert not key.is_news(START + NEWS_S, "a", "boto")
    assert not key.is_news(START + NEWS_S, None, None)
    assert key.is_news(START + NEWS_S, "b", "boto")
    assert key.is_news(START + NEWS_S, "a", "cli")
    assert key.is_news(START + NEWS_S + GAP_S + 1, "a", "boto")
    key.learn_act(act("disabled", START + DAY_S), None)
    assert key.is_news(START + 2 * DAY_S, "a", "boto")


def test_an_inventory_is_the_weaker_word() -> None:
    """A key that it calls inactive and that is used is active; whoever turned it off in the trail is believed."""
    off = KeyRow("arn", KEY, is_active=False, created_at=None, last_used_at=START - DAY_S)
    key = Key(KEY)
    key.learn_row(off, START)
    assert (key.phase(START), key.off_at, key.last_used_at) == ("disabled", None, START - DAY_S)
    key.learn_use(*use(START + 5))
    assert key.phase(START + 5) == "active"
    later = Key(KEY)
    later.learn_row(KeyRow("arn", KEY, is_active=True, created_at=None, last_used_at=START + DAY_S), START)
    assert later.last_used_at is None


def test_a_key_of_the_report_is_claimed_by_its_first_use() -> None:
    """The report has no ids: an unknown key that is used is the nameless one, if there is but one it can be."""
    keys: dict[str, Key] = {}
    key_of(keys, "access-key-1").learn_row(KeyRow("arn", "access-key-1", is_active=True, created_at=START), START)
    key_of(keys, "access-key-2").learn_row(KeyRow("arn", "access-key-2", is_active=False, created_at=START), START)
    assert claim(keys, KEY).created_at == START
    assert sorted(keys) == sorted([KEY, "access-key-2"])
    assert keys[KEY].id == KEY
    two = {name: Key(name) for name in ("access-key-1", "access-key-2")}
    assert claim(two, KEY).created_at is None
    assert len(two) == 3


def test_which_keys_work() -> None:
    """Those that are neither disabled nor deleted by then."""
    keys = {"a": Key("a"), "b": Key("b"), "c": Key("c")}
    keys["b"].learn_act(act("disabled", START), None)
    keys["c"].learn_act(act("deleted", START + 10), None)
    assert [key.id for key in working(keys, START)] == ["a", "c"]
    assert [key.id for key in working(keys, START + 10)] == ["a"]


uses = st.lists(
    st.tuples(
        st.integers(0, 700).map(lambda days: START + days * DAY_S),
        st.integers(0, 60).map(lambda n: f"s3:Get{n}"),
        st.integers(0, 25).map(lambda n: f"10.0.{n}.0/24"),
        st.integers(0, 3).map(lambda n: f"client {n}"),
    ),
    max_size=40,
)
switches = st.lists(
    st.tuples(st.sampled_from(["enabled", "disabled"]), st.integers(0, 700).map(lambda days: START + days * DAY_S)),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(
    made=st.none() | st.integers(START - DAY_S, START),
    used=uses,
    switched=switches,
    deleted=st.none() | st.integers(START + 600 * DAY_S, START + 700 * DAY_S),
    seed=st.integers(0, 10_000),
)
def test_no_order_and_no_duplicate_changes_a_life(
    made: int | None, used: list[Use], switched: list[tuple[Act, int]], deleted: int | None, seed: int
) -> None:
    """Whatever happens to a key, shuffled and some of it twice, leaves the same; and the same as a plain account of it."""
    steps: list[KeyAct | Use] = [*used, *(act(what, at) for what, at in switched)]
    steps += [act("created", made)] if made is not None else []
    steps += [act("deleted", deleted)] if deleted is not None else []
    in_order = sorted(steps, key=lambda step: step.at if isinstance(step, KeyAct) else step[0])
    random = Random(seed)
    shuffled = [*steps, *random.choices(steps, k=5)] if steps else []
    random.shuffle(shuffled)
    one, other = lived(*in_order), lived(*shuffled)
    if len({network for *_, network, _ in used}) <= MAX_NETWORKS:
        assert one.networks == other.networks
    if len(one.seasons) < MAX_SEASONS:
        assert one.seasons == other.seasons
    plain = (
        "created_at",
        "deleted_at",
        "switched_at",
        "is_active",
        "first_used_at",
        "hours",
        "apis",
        "clients",
        "first_sign_at",
    )
    assert {name: getattr(one, name) for name in plain} == {name: getattr(other, name) for name in plain}
    for days in (0, 50, 350, 701):
        at = START + days * DAY_S
        assert one.phase(at) == other.phase(at)
    check_against_account(one, made, used, switched, deleted)


def check_against_account(
    key: Key, made: int | None, used: list[Use], switched: list[tuple[Act, int]], deleted: int | None
) -> None:
    """Hold a key against what can be read off the list of all that happened."""
    end = START + 701 * DAY_S
    last_switch = max(((at, what == "disabled") for what, at in switched), default=(0, False))
    last_use = max((at for at, *_ in used), default=None)
    expected = (
        "deleted" if deleted is not None
        else "disabled" if last_switch[1]
        else "made" if last_use is None
        else "dormant" if end - last_use > DORMANT_DAYS * DAY_S
        else "active"
    )  # fmt: skip
    assert key.phase(end) == expected
    assert key.last_used_at == last_use
    assert key.created_at == made
    assert key.switched_at == (last_switch[0] if switched else ASSUMED)
    assert key.has_many_apis is (len({api for _, api, *_ in used}) > MAX_APIS)


def test_everything_is_bounded() -> None:
    """Thousands of networks, clients, calls, seasons and keys leave each collection within its bound, and 8 KB."""
    key = Key(KEY)
    for number in range(5_000):
        key.learn_use(START + number * (GAP_S + 1), f"s3:Get{number}", f"2001:db8:{number:x}::/48", f"{number}" * 12)
    assert (len(key.networks), len(key.clients), len(key.seasons)) == (MAX_NETWORKS, MAX_CLIENTS, MAX_SEASONS)
    assert key.apis == {}
    assert len(msgspec.msgpack.encode(key)) < 4_000
    keys: dict[str, Key] = {}
    for number in range(100):
        key_of(keys, f"{KEY}{number}" * 1000).learn_use(*use(START + number))
    assert len(keys) == MAX_KEYS
    assert all(len(each) <= 128 for each in keys)


def test_the_longest_quiet_goes_first() -> None:
    """Of networks one that was met on one day alone, and longest ago; of keys a deleted one."""
    key = lived(use(START, "home"), use(START + 2 * DAY_S, "home"))
    for number in range(5 * MAX_NETWORKS):
        key.learn_use(*use(START + 3 * DAY_S + number, f"10.0.{number}.0/24"))
    assert len(key.networks) == MAX_NETWORKS
    assert "home" in key.networks
    assert "10.0.0.0/24" not in key.networks
    assert f"10.0.{5 * MAX_NETWORKS - 1}.0/24" in key.networks
    keys = {name: lived(use(START + number)) for number, name in enumerate("abcd")}
    for name, each in keys.items():
        each.id = name
    keys["c"].learn_act(act("deleted", START + 50), None)
    key_of(keys, "e")
    assert sorted(keys) == ["a", "b", "d", "e"]


@pytest.mark.parametrize(("days", "is_settled"), [(0, False), (1, True), (100, True), (182, False)])
def test_memory_fades(days: int, is_settled: bool) -> None:
    """A network is new for its first day, known for half a year after it was last met, and then new again."""
    assert Span(START, START + (DAY_S if days else 0)).is_known(START + days * DAY_S) is is_settled
