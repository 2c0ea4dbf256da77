"""The simulated world: as large as asked for, in time order, readable, known to the last principal, the same each time."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import islice, pairwise
from typing import Any, NamedTuple

import msgspec
import pytest

from models.entity import identify
from models.event import Event
from models.facts import Facts
from models.reader import EventReader
from models.record import decode_record
from models.settings import parse_settings
from streams.sources.simulated.callers import Made
from streams.sources.simulated.organisation import DAY, START, START_OLD, Era, Plan
from streams.sources.simulated.stories import fitting
from streams.sources.simulated.world import STEP_EVENTS, World

PLAN = Plan(seed=11, events=12_000, days=10)


class Lived(NamedTuple):
    """A world that has lived: its events, as they were made, as JSON and as the product reads them."""

    world: World
    made: list[Made]
    records: list[dict[str, Any]]
    events: list[Event]


def live(plan: Plan) -> Lived:
    """Let a world live, with all stories that fit."""
    world = World(replace(plan, stories=fitting(plan)))
    made = list(world.events())
    reader = EventReader()
    records = [msgspec.json.decode(each.text) for each in made]
    return Lived(world, made, records, [reader.read(decode_record(each.text.encode())) for each in made])


@pytest.fixture(scope="module")
def lived() -> Lived:
    """Let one world live for all tests here."""
    return live(PLAN)


def test_there_are_as_many_events_as_asked_for(lived: Lived) -> None:
    """Machines and services fill up whatever people and stories leave, to the very number."""
    assert PLAN.events <= len(lived.made) <= PLAN.events + 20


def test_a_tiny_world_is_little_longer_than_its_stories() -> None:
    """With a thousand events asked for, all stories are still told whole."""
    assert 1_000 <= len(live(Plan(events=1_000)).made) < 1_700
    assert len(list(World(Plan(events=1_000)).events())) == pytest.approx(1_000, abs=30)


def test_events_come_in_time_order_within_the_span(lived: Lived) -> None:
    """No event is earlier than the one before it, before the first day or after the last."""
    times = [each.at for each in lived.made]
    assert times == sorted(times)
    assert PLAN.start_at <= times[0]
    assert times[-1] < PLAN.end_at


def test_event_ids_are_unique_and_well_formed(lived: Lived) -> None:
    """Every event has an id of its own in the form of a UUID."""
    ids = [each["eventID"] for each in lived.records]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)


def test_every_record_is_readable_and_attributed(lived: Lived) -> None:
    """The product places each record in time and names who acted, but for sign-ins with a hidden name."""
    nameless = [record for record, event in zip(lived.records, lived.events, strict=True) if event.actor is None]
    assert {each["userIdentity"].get("userName") for each in nameless} <= {"HIDDEN_DUE_TO_SECURITY_REASONS"}
    assert [each.event_id for each in lived.made] == [each.event_id for each in lived.events]


def test_everybody_who_acts_is_in_the_truth(lived: Lived) -> None:
    """The truth knows each principal that the product finds acting, by the same name, and nobody else."""
    acting = {event.actor.arn for event in lived.events if event.actor}
    assert acting == {who.arn for who in lived.world.organisation.ledger.principals}


def test_types_of_the_truth_are_the_products(lived: Lived) -> None:
    """A principal has the type that the product gives it."""
    types = {event.actor.arn: event.actor.type for event in lived.events if event.actor}
    assert all(types[who.arn] == who.type for who in lived.world.organisation.ledger.principals)


def test_every_event_of_the_truth_is_in_the_trail(lived: Lived) -> None:
    """Findings, near misses and what is tolerated name events that exist, and open no later than the first of them."""
    at = {each.event_id: each.at for each in lived.made}
    for expected in lived.world.organisation.ledger.expected:
        assert expected.event_ids
        assert set(expected.event_ids) <= at.keys()
        assert PLAN.start_at <= expected.opened_at < PLAN.end_at


def test_no_event_of_a_near_miss_is_one_of_a_finding_of_the_same(lived: Lived) -> None:
    """What must stay quiet is not, for the same detector and entity, what must be found."""
    ledger = lived.world.organisation.ledger
    owed = {
        (each.detector, each.entity_arn, event_id)
        for each in ledger.expected
        if each.kind == "finding"
        for event_id in each.event_ids
    }
    for each in ledger.expected:
        if each.kind == "near_miss":
            assert not owed & {(each.detector, each.entity_arn, event_id) for event_id in each.event_ids}


def test_truth_is_json_lines_with_the_documented_keys(lived: Lived) -> None:
    """Principals come first, by ARN; each kind of line has its keys."""
    rows = [msgspec.json.decode(line) for line in lived.world.organisation.ledger.lines()]
    principals = [each for each in rows if each["kind"] == "principal"]
    assert rows[: len(principals)] == sorted(principals, key=lambda each: each["arn"])
    assert all(
        list(each) == ["kind", "arn", "type", "account_id", "class", "principal_kind", "platform"]
        for each in principals
    )
    always = {"kind", "detector", "entity_arn", "opened_at", "events", "event_ids", "story"}
    assert all(always <= each.keys() for each in rows[len(principals) :])
    assert {each["kind"] for each in rows} == {"principal", "finding", "tolerated", "near_miss"}


def test_the_same_plan_makes_the_same_world(lived: Lived) -> None:
    """The same seed gives the same events and the same truth; another seed other names, accounts and addresses."""
    again = live(PLAN)
    assert again.made == lived.made
    assert list(again.world.organisation.ledger.lines()) == list(lived.world.organisation.ledger.lines())
    other = live(replace(PLAN, seed=12))
    assert {each.stream.account for each in other.made} != {each.stream.account for each in lived.made}
    shared = {who.arn for who in other.world.organisation.ledger.principals if who.account} & {
        who.arn for who in lived.world.organisation.ledger.principals if who.account
    }
    assert not shared


def test_all_kinds_of_callers_are_there(lived: Lived) -> None:
    """Each type of identity that the simulator speaks of acts, and each platform's machines do."""
    types = Counter(each["userIdentity"]["type"] for each in lived.records)
    assert types.keys() >= {
        "AssumedRole",
        "AWSService",
        "IAMUser",
        "WebIdentityUser",
        "SAMLUser",
        "IdentityCenterUser",
        "AWSAccount",
        "FederatedUser",
        "Root",
    }
    platforms = {who.platform for who in lived.world.organisation.ledger.principals}
    machines = {"ec2", "ecs", "lambda", "eks-oidc", "eks-pod-identity", "codebuild", "glue", "vendor", "script"}
    assert platforms >= machines | {"github", "terraform", "identity-center", "saml", "iam-user", "service-linked"}


def test_services_call_on_behalf_of_others(lived: Lived) -> None:
    """Calls on a session's behalf and on root's are there, and name the service for address and client."""
    behalf = [
        each
        for each in lived.records
        if each["userIdentity"]["type"] in ("AssumedRole", "Root") and "invokedBy" in each["userIdentity"]
    ]
    assert {each["userIdentity"]["type"] for each in behalf} == {"AssumedRole", "Root"}
    assert all(each["sourceIPAddress"] == each["userIdentity"]["invokedBy"] for each in behalf)


def test_a_role_assumed_across_accounts_is_two_events_with_one_id(lived: Lived) -> None:
    """Both accounts see it: one the caller, the other an account."""
    shared: dict[str, list[dict[str, Any]]] = {}
    vendor = lived.world.organisation.vendor_account
    for each in lived.records:
        caller = each["userIdentity"]
        if each["eventName"] == "AssumeRole" and caller["type"] != "AWSService" and caller["accountId"] != vendor:
            shared.setdefault(each.get("sharedEventID", each["eventID"]), []).append(each)
    pairs = [each for each in shared.values() if len(each) > 1]
    assert len(pairs) > 5
    for pair in pairs:
        assert [each["userIdentity"]["type"] == "AWSAccount" for each in pair] == [False, True]
        assert len({each["recipientAccountId"] for each in pair}) == 2
        assert len({each["responseElements"]["credentials"]["accessKeyId"] for each in pair}) == 1


def test_a_few_calls_are_refused(lived: Lived) -> None:
    """One to six calls in a hundred are denied, in the various spellings of a denial."""
    refused = [each["errorCode"] for each in lived.records if "errorCode" in each]
    assert 0.01 < len(refused) / len(lived.records) < 0.06
    assert {"AccessDenied", "Client.UnauthorizedOperation"} & set(refused)


def test_nothing_could_be_somebodys(lived: Lived) -> None:
    """Keys end in EXAMPLE, tokens begin with it, addresses are kept for documentation or private, e-mail is example's."""
    text = "\n".join(each.text for each in lived.made)
    assert all(key.endswith("EXAMPLE") for key in re.findall(r'"accessKeyId":"([^"]+)"', text))
    assert all(token.startswith("EXAMPLE") for token in re.findall(r'"sessionToken":"([^"]+)"', text))
    assert all(domain.startswith("example.") for domain in re.findall(r"@([a-z.]+)[\"/]", text))
    addresses = {each["sourceIPAddress"] for each in lived.records}
    kept = ("192.0.2.", "198.51.100.", "203.0.113.", "10.", "2001:db8:")
    assert all(each.startswith(kept) or each.endswith(".amazonaws.com") or each == "AWS Internal" for each in addresses)


def test_people_keep_hours_and_weekends(lived: Lived) -> None:
    """People's sign-ins fall on workdays but for what is injected; machines work all week."""
    signed_in = [
        event.at
        for event, record in zip(lived.events, lived.records, strict=True)
        if record["eventName"] == "ConsoleLogin" and record["userIdentity"]["type"] == "AssumedRole"
    ]
    weekend = [at for at in signed_in if (at // DAY + 3) % 7 >= 5]
    assert len(signed_in) > 10
    assert len(weekend) < len(signed_in) * 0.25
    machines = Counter((event.at // DAY + 3) % 7 for event in lived.events if event.facts & Facts.EC2_ROLE_DELIVERY)
    assert len(machines) == 7


def test_settings_of_the_organisation_are_taken(lived: Lived) -> None:
    """The rolehawk.toml beside the trail is valid and names the accounts and the canary."""
    settings = parse_settings(lived.world.organisation.settings())
    assert set(settings.organisation.accounts) == {account.id for account in lived.world.organisation.accounts}
    assert settings.canaries.keys == tuple(lived.world.organisation.canaries) != ()


@pytest.mark.parametrize(("era", "flags", "signin"), [("new", True, False), ("old", False, True), ("both", True, True)])
def test_an_era_shows_in_the_records(era: Era, flags: bool, signin: bool) -> None:
    """New records carry the console flag, old ones have the console call; with both, old ones come first."""
    start_at = START if era == "new" else START_OLD
    lived = live(Plan(seed=3, events=6_000, days=8, era=era, start_at=start_at))
    flagged = [at for at, each in enumerate(lived.records) if "sessionCredentialFromConsole" in each]
    called = [
        at for at, each in enumerate(lived.records) if each["userIdentity"].get("invokedBy") == "signin.amazonaws.com"
    ]
    assert bool(flagged) is flags
    assert bool(called) is signin
    if era == "both":
        assert max(called) < min(flagged)
    text = "".join(each.text for each in lived.made)
    assert ("ec2RoleDelivery" in text) is flags
    assert ("inScopeOf" in text) is flags
    assert ("tlsDetails" in text) is flags


@pytest.mark.parametrize(
    "plan", [Plan(events=1_000, days=1), Plan(events=2_000, days=60), Plan(events=9_000, accounts=60, days=2)]
)
def test_odd_plans_are_lived_through(plan: Plan) -> None:
    """One day, many days of next to nothing, and more accounts than anybody has machines."""
    lived = live(plan)
    assert len(lived.made) >= plan.events * 0.95
    acting = {event.actor.arn for event in lived.events if event.actor}
    assert acting == {who.arn for who in lived.world.organisation.ledger.principals}
    known = {each.event_id for each in lived.made}
    assert all(set(each.event_ids) <= known for each in lived.world.organisation.ledger.expected)


def test_a_large_world_is_made_step_by_step() -> None:
    """The first events of ten million come without the others being made: a step holds 20,000 at most."""
    world = World(Plan(events=10_000_000, days=10))
    first = list(islice(world.events(), 1_000))
    assert len(first) == 1_000
    quotas = [quota for _, _, quota in world._steps()]  # noqa: SLF001 - the bound is of the steps
    assert max(later - sooner for sooner, later in pairwise(quotas)) < STEP_EVENTS * 1.5
    assert quotas[-1] == 10_000_000


def test_identities_are_as_the_product_expects(lived: Lived) -> None:
    """Each identity can be named from userIdentity alone."""
    for event in lived.events:
        if event.identity and event.actor:
            assert identify(event.identity, event.record.source_ip_address) is not None
