"""The conformance suite: what every registered detector must hold to, whoever wrote it.

A detector's test file carries two trails, POSITIVE and NEAR_MISS; a detector without them fails here.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from models.behaviour.keys import MAX_KEYS
from models.behaviour.profile import MAX_FORMER_IDS, MAX_PAST_VISITS, MAX_PROOFS, MAX_SESSIONS
from models.desks.tray import Fault
from models.detector import Detector, Rule
from models.detectors import REGISTRY, tuning_of
from models.detectors.console.machine_role_console import MachineRoleConsole
from models.engine import Engine
from models.event import Event, in_order
from models.finding import MAX_EVIDENCE, MAX_TITLE, Finding
from models.grants.account import MAX_ATTEMPTS, MAX_WATCHED, AccountState
from models.reader import EventReader
from models.record import decode_record, epoch
from models.settings import parse_settings
from tests.records import Json, events_of, instance_call, raise_fault, record, role, rules, run, user

ROOT = Path(__file__).parents[2]
MAX_SPOILT = 40  # records of an example that are spoilt one by one
HORIZON_S = 3600
every_detector = pytest.mark.parametrize("detector", REGISTRY, ids=lambda detector: detector.name)
Kind = type[Detector[Any]]


def module_of(detector: Kind) -> ModuleType:
    """Load a detector's test file."""
    path = Path(inspect.getfile(detector)).relative_to(ROOT)
    return importlib.import_module(".".join(("tests", *path.parent.parts, f"test_{path.stem}")))


def trail(detector: Kind, which: str) -> list[Json]:
    """Load a detector's example trail from its test file."""
    example: list[Json] = getattr(module_of(detector), which)
    assert example, f"the tests of {detector.name} have an empty {which}"
    return example


def companions(detector: Kind) -> list[Rule[Any]]:
    """Load the detectors whose findings a detector builds on, where it does."""
    return list(getattr(module_of(detector), "COMPANIONS", ()))


def toml_of(detector: Kind) -> str:
    """Load the settings without which a detector finds nothing, where there are any."""
    return str(getattr(module_of(detector), "SETTINGS", ""))


def found_by(detector: Kind, records: list[Json]) -> list[Finding]:
    """Run a detector over records, and list its own findings."""
    found = run(records, only=detector.name, also=companions(detector), toml=toml_of(detector)).findings()
    return [each for each in found if each.detector == detector.name]


def outcome(engine: Engine) -> list[tuple[Any, ...]]:
    """Reduce findings to what must not depend on the order of events."""
    return [(each.finding_id, each.opened_at, each.severity, each.status == "closed") for each in engine.findings()]


def of(detector: Kind) -> list[Rule[Any]]:
    """Make one detector with its defaults."""
    return [*rules(only=detector.name), *companions(detector)]


def fed(detector: Kind, events: list[Event]) -> Engine:
    """Feed events to an engine with one detector, and let time pass to the last of them."""
    engine = Engine(of(detector), parse_settings(toml_of(detector)), raise_fault)
    engine.feed(events)
    engine.tick(max(event.at for event in events))
    return engine


@every_detector
def test_it_can_be_found(detector: Kind) -> None:
    """One file, one class, one test file, one row in the catalogue: each guessable from the name."""
    path = Path(inspect.getfile(detector))
    assert path.stem == detector.name.replace("-", "_")
    assert path.parent.name == detector.family
    module = inspect.getmodule(detector)
    own = [
        value for value in vars(module).values() if isinstance(value, type) and value.__module__ == detector.__module__
    ]
    assert own == [detector]
    assert (ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}").is_file()
    assert re.search(rf"^## {re.escape(detector.name)}$", (ROOT / "docs/detectors.md").read_text(), re.MULTILINE)


def test_names_are_unique_and_registered() -> None:
    """No two detectors share a name, they are in order, and no file in the folder is left out of the registry."""
    names = [detector.name for detector in REGISTRY]
    assert names == sorted(set(names))
    files = {path.stem for path in (ROOT / "models/detectors").glob("*/*.py") if path.stem != "__init__"}
    assert files == {name.replace("-", "_") for name in names}


@every_detector
def test_it_describes_itself(detector: Kind) -> None:
    """Words, ATT&CK ids, runbook and known gaps are there; settings have units in their names and bounds."""
    for words in (detector.summary, detector.known_gaps, detector.runbook, detector.__doc__ or ""):
        assert len(words.split()) >= 5
    assert detector.attack
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in detector.attack)
    assert detector.calls or detector.facts or detector.new_facts or detector.desk == "incidents" or sweeps(detector)
    for name in tuning_of(detector):
        assert re.search(r"_(minutes|hours|days|per_[a-z]+|sessions)$|^(min|max)_", name), name
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({name: -1}, detector)


@every_detector
def test_it_fires_on_its_positive_example(detector: Kind) -> None:
    """The positive example makes a finding, complete and within its bounds."""
    found = found_by(detector, trail(detector, "POSITIVE"))
    assert found
    for each in found:
        assert each.detector == detector.name
        assert re.fullmatch(r"[0-9a-f]{32}", each.finding_id)
        assert 0 < len(each.title) <= MAX_TITLE
        assert "\n" not in each.title
        assert 1 <= len(each.evidence) <= min(MAX_EVIDENCE, each.evidence_count)
        assert epoch(each.opened_at) <= epoch(each.updated_at)
        assert each.seen
        assert each.expected
        assert list(msgspec.to_builtins(each)) == [
            field.encode_name for field in msgspec.structs.fields(Finding)
        ]  # fmt: skip


@every_detector
def test_it_is_silent_on_its_near_miss(detector: Kind) -> None:
    """The near miss makes none."""
    assert found_by(detector, trail(detector, "NEAR_MISS")) == []


@every_detector
def test_it_is_pure(detector: Kind) -> None:
    """Looking changes neither event nor state, and looking twice says the same."""
    events = events_of(trail(detector, "POSITIVE"))
    with_it, without = fed(detector, events), Engine([], on_fault=raise_fault)
    without.feed(events)
    assert learned(with_it) == learned(without)
    assert events == events_of(trail(detector, "POSITIVE"))
    for rule in rules(only=detector.name):
        if detector.desk == "incidents":  # sees parts, which are frozen
            continue
        for state, seen in seen_by(rule, events):
            before = copy.deepcopy(state)
            if isinstance(seen, Event):
                assert rule.observe(seen, state) == rule.observe(seen, state)
            else:
                assert rule.sweep(state, seen) == rule.sweep(state, seen)
            assert msgspec.structs.asdict(state)["coverage_since"] == before.coverage_since
            assert getattr(state, "profile", None) == getattr(before, "profile", None)
            assert getattr(state, "account", None) == getattr(before, "account", None)


def learned(engine: Engine) -> tuple[Any, Any]:
    """List what the desks know, without what only says when detectors want to look again, or that one has looked."""
    profiles = {arn: replace(each, next_due_at=0, swept_at=0) for arn, each in engine.behaviour.profiles.items()}
    accounts = {key: each for key, each in engine.grants.accounts.items() if each != AccountState(key)}
    return profiles, accounts


def sweeps(detector: Kind) -> bool:
    """Say whether a detector looks at what time alone makes true."""
    return detector.sweep is not Detector.sweep


def seen_by(rule: Rule[Any], events: list[Event]) -> Iterator[tuple[Any, Event | int]]:
    """Collect the states that a detector is shown, with the event, or the time, at which it was."""
    shown: list[tuple[Any, Event | int]] = []

    class Watcher(type(rule.detector)):  # type: ignore[misc]
        def observe(self, event: Event, state: Any) -> list[Any]:
            shown.append((copy.deepcopy(state), event))
            return []

        def sweep(self, state: Any, now: int) -> list[Any]:
            shown.append((copy.deepcopy(state), now))
            return list(super().sweep(state, now))

    watcher = Rule(Watcher(**msgspec.structs.asdict(rule.detector)), rule.tuning)
    Engine([watcher], on_fault=raise_fault).feed(events)
    assert shown
    yield from shown


@every_detector
def test_the_same_trail_gives_the_same_bytes(detector: Kind) -> None:
    """Two runs over one trail write the same."""
    example = trail(detector, "POSITIVE")
    first, second = (msgspec.json.encode(found_by(detector, example)) for _ in range(2))
    assert first == second


@every_detector
def test_state_round_trips_at_every_event(detector: Kind) -> None:
    """Stored and taken up again after any event, the engine ends the same."""
    events = events_of([*trail(detector, "POSITIVE"), *trail(detector, "NEAR_MISS")])
    expected = fed(detector, events)
    for cut in range(len(events) + 1):
        first = Engine(of(detector), parse_settings(toml_of(detector)), raise_fault)
        first.feed(events[:cut])
        second = Engine(of(detector), parse_settings(toml_of(detector)), raise_fault)
        second.restore(list(first.changes()))
        second.feed(events[cut:])
        second.tick(events[-1].at)
        assert second.findings() == expected.findings()
        assert second.principals() == expected.principals()


@pytest.mark.parametrize("detector", [each for each in REGISTRY if each.order_free], ids=lambda detector: detector.name)
def test_order_free_if_it_says_so(detector: Kind) -> None:
    """Over permutations that displace events by no more than the horizon, what it finds ends the same."""
    events = events_of([*trail(detector, "POSITIVE"), *trail(detector, "NEAR_MISS")])
    expected = outcome(fed(detector, events))
    for seed in range(50):
        random = Random(seed)
        late = sorted(events, key=lambda event: event.at + random.uniform(0, HORIZON_S))
        assert outcome(fed(detector, late)) == expected


@every_detector
def test_it_names_the_calls_whose_parameters_it_reads(detector: Kind) -> None:
    """With the parameters of all other calls let go, as replay does, it finds the same."""
    example = [*trail(detector, "POSITIVE"), *trail(detector, "NEAR_MISS")]
    whole = fed(detector, events_of(example))
    reader = EventReader(whole.asked_for)
    lean = sorted(reader.read_all(decode_record(msgspec.json.encode(each)) for each in example), key=in_order)
    assert fed(detector, lean).findings() == whole.findings()


@every_detector
def test_any_field_can_be_missing_or_odd(detector: Kind) -> None:
    """Whichever field is taken away, null, empty or of another type, it looks without raising."""
    for example in (trail(detector, "POSITIVE"), trail(detector, "NEAR_MISS")):
        chosen: Sequence[int] = range(len(example))
        if len(example) > MAX_SPOILT:  # a routine of many days: the last call of each name stands for its like
            chosen = sorted({each["eventName"]: number for number, each in enumerate(example)}.values())
        for index, spoilt in ((n, each) for n in chosen for each in spoil(example[n])):
            found_by(detector, [*example[:index], spoilt, *example[index + 1 :]])


def spoil(original: Json) -> Iterator[Json]:
    """Give a record once for each field at any depth: without it, and with something odd in its place."""
    for path in paths(original):
        odd: tuple[Any, ...] = (
            (..., "", "x" * 300, ["x"]) if isinstance(lookup(original, path), str) else (..., None, {}, [])
        )
        for value in odd:
            spoilt = copy.deepcopy(original)
            parent = lookup(spoilt, path[:-1])
            if value is ...:
                del parent[path[-1]]
            elif path[0] in ("requestParameters", "responseElements", "additionalEventData") and len(path) > 1:
                parent[path[-1]] = value
            else:
                continue
            if path not in {("eventName",), ("eventTime",)}:
                yield spoilt


def paths(value: Json, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """List the paths of all fields."""
    for key, child in value.items():
        yield (*above, key)
        if isinstance(child, dict):
            yield from paths(child, (*above, key))


def lookup(value: Any, path: tuple[str, ...]) -> Any:
    """Follow a path."""
    for key in path:
        value = value[key]
    return value


def test_state_is_bounded() -> None:
    """Thousands of names, keys, addresses and accounts leave every collection of the state within its bound."""
    records = [
        record("ListBuckets", role("web", f"visitor{n}"), n * 20, sessionCredentialFromConsole="true")
        for n in range(400)
    ]
    records += [instance_call(n * 20 + 5, instance=f"i-{n:017x}") for n in range(400)]
    records += [record("GetObject", user("robot", key=f"AKIAEXAMPLE{n:09d}"), n * 20 + 7) for n in range(400)]
    for n in range(1500):
        identity = {"type": "IAMUser", "accountId": "111122223333", "userName": f"user{n}"}
        records.append(
            record("ConsoleLogin", identity, n / 10, eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn",
                   sourceIPAddress=f"203.0.113.{n % 250}" if n % 2 else f"2001:db8::{n:x}",
                   responseElements={"ConsoleLogin": "Failure"}, errorMessage="Failed authentication")
        )  # fmt: skip
    engine = run(records)
    for profile in engine.behaviour.profiles.values():
        assert len(profile.sessions) <= MAX_SESSIONS
        assert len(profile.proofs) <= MAX_PROOFS
        assert len(profile.past_visits) <= MAX_PAST_VISITS
        assert len(profile.former_ids) <= MAX_FORMER_IDS
        assert len(profile.keys) <= MAX_KEYS
        assert sum(profile.stances.values()) >= len(profile.sessions)
    for account in engine.grants.accounts.values():
        assert len(account.by_identity) <= MAX_WATCHED
        assert len(account.by_address) <= MAX_WATCHED
        assert all(len(each) <= MAX_ATTEMPTS for each in (*account.by_identity.values(), *account.by_address.values()))
    assert len(engine.behaviour.profiles) == 2
    largest = max(len(msgspec.msgpack.encode(profile)) for profile in engine.behaviour.profiles.values())
    assert largest < 64_000


class Raising(Detector[Any], frozen=True, kw_only=True):
    """A detector with a fault."""

    name = "raising"
    summary = known_gaps = runbook = "a detector that raises"
    family = "console"
    desk = "behaviour"
    attack = ("T1078",)
    facts = -1

    def observe(self, event: Event, state: Any) -> list[Any]:
        """Raise."""
        raise KeyError(event.api.name)


def test_a_detector_that_raises_costs_nobody_else_anything() -> None:
    """The fault is named with its event; the other detectors and the next events go on."""
    faults: list[Fault] = []
    example = trail(MachineRoleConsole, "POSITIVE")
    engine = Engine([Rule(Raising()), *rules()], on_fault=faults.append)
    engine.feed(events_of(example))
    assert [fault.detector for fault in faults] == ["raising"] * len(example)
    assert faults[0].error == "KeyError: 'GetObject'"
    assert "machine-role-console" in [each.detector for each in engine.findings()]
