"""Lineage: whoever acts leads back to the same person or machine, in whatever order the records come."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.engine import Engine
from models.finding import Who
from models.incidents.lineage import MAX_EDGES, MAX_HOPS, Edge, Lineage
from models.settings import Settings
from tests.records import (
    ACCOUNT,
    OTHER_ACCOUNT,
    Json,
    assumed_by_service,
    events_of,
    findings,
    instance_call,
    raise_fault,
    record,
    role,
    root,
    rules,
    run,
    service,
    sign_in,
    user,
)

STS = "sts.amazonaws.com"
CONSOLE = {"sessionCredentialFromConsole": "true"}


def session_arn(name: str, session: str, account: str = ACCOUNT) -> str:
    """Write a role session's ARN."""
    return f"arn:aws:sts::{account}:assumed-role/{name}/{session}"


def assumed(
    by: Json, name: str, session: str, key: str | None, minutes: float, account: str = ACCOUNT, **fields: object
) -> Json:
    """Make the AssumeRole by which somebody takes on a role."""
    return record(
        "AssumeRole", by, minutes,
        **{
            "eventSource": STS,
            "requestParameters": {"roleArn": f"arn:aws:iam::{account}:role/{name}", "roleSessionName": session},
            "responseElements": {
                **({"credentials": {"accessKeyId": key, "expiration": "May 1, 2024, 11:00:00 AM"}} if key else {}),
                "assumedRoleUser": {"arn": session_arn(name, session, account)},
            },
            **fields,
        },
    )  # fmt: skip


def visit(name: str, session: str, minutes: float, key: str | None = None, account: str = ACCOUNT) -> list[Json]:
    """Make a machine's role that somebody then uses from the console."""
    machine = record("GetObject", role(name, "i-0123456789abcdef0", account=account, ec2RoleDelivery="2.0"), minutes - 60,
                     recipientAccountId=account)  # fmt: skip
    seen = record(
        "ListBuckets", role(name, session, account=account, key=key), minutes, recipientAccountId=account, **CONSOLE
    )
    return [machine, seen]


def origins(records: list[Json]) -> list[str | None]:
    """List the origins of what machine-role-console finds."""
    return [each.actor.origin for each in findings(records, only="machine-role-console")]


def test_one_hop() -> None:
    """Who assumed the role stands behind the session, by key or, where the key has changed since, by name."""
    by_key = assumed(user("anna"), "web", "x", "ASIAEXAMPLE000000001", 90)
    assert origins([*visit("web", "x", 100, "ASIAEXAMPLE000000001"), by_key]) == [user("anna")["arn"]]
    assert origins([*visit("web", "x", 100, "ASIAEXAMPLE000000002"), by_key]) == [user("anna")["arn"]]


def test_no_edge_no_origin() -> None:
    """Where nothing tells who issued a session, its origin is open; a session issued later or long before is no answer."""
    trail = visit("web", "x", 100)
    assert origins(trail) == [None]
    assert origins([*trail, assumed(user("anna"), "web", "x", None, 101)]) == [None]
    assert origins([*trail, assumed(user("anna"), "web", "y", None, 90)]) == [None]
    early = assumed(user("anna"), "web", "x", None, 100 - 13 * 60)
    assert origins([*trail, early]) == [None]


def test_the_key_tells_two_sessions_of_one_name_apart() -> None:
    """Two people gave their sessions the same name: the key says whose it is."""
    trail = [
        *visit("web", "deploy", 100, "ASIAEXAMPLE0000000AA"),
        assumed(user("anna"), "web", "deploy", "ASIAEXAMPLE0000000AA", 90),
        assumed(user("paul"), "web", "deploy", "ASIAEXAMPLE0000000PP", 95),
    ]
    assert origins(trail) == [user("anna")["arn"]]


@pytest.mark.parametrize(
    ("issued_by", "origin"),
    [
        (user("anna"), user("anna")["arn"]),
        ({"type": "SAMLUser", "principalId": "ABC=:anna@example.com", "userName": "anna@example.com", "identityProvider": "ABC="}, "ABC=/anna@example.com"),
        (role("AWSReservedSSO_Dev_0123456789abcdef", "anna@example.com", path="/aws-reserved/sso.amazonaws.com/"), session_arn("AWSReservedSSO_Dev_0123456789abcdef", "anna@example.com")),
        (role("runner", "i-0123456789abcdef1", ec2RoleDelivery="2.0"), session_arn("runner", "i-0123456789abcdef1")),
        (role("unknown", "y"), None),
        (role("unknown", "y", sourceIdentity="anna@example.com"), "anna@example.com"),
        ({"type": "AWSAccount", "principalId": "AROAEXAMPLE000000001:z", "accountId": "999988887777"}, "999988887777"),
    ],
)  # fmt: skip
def test_roots(issued_by: Json, origin: str | None) -> None:
    """A lineage ends with a person, a provider's subject, a machine's session, or another account; else it is open."""
    name = "AssumeRoleWithSAML" if issued_by["type"] == "SAMLUser" else "AssumeRole"
    edge = {**assumed(issued_by, "web", "x", None, 90), "eventName": name}
    assert origins([*visit("web", "x", 100), edge]) == [origin]


def test_a_machine_issued_by_a_service_is_a_root() -> None:
    """The AssumeRole of a service makes no edge, but says that the session begins with itself."""
    trail = [
        assumed_by_service("runner", "job", 80),
        assumed(role("runner", "job"), "web", "x", None, 90),
        *visit("web", "x", 100),
    ]
    assert origins(trail) == [session_arn("runner", "job")]
    on_behalf = assumed({**user("anna"), "invokedBy": "cloudformation.amazonaws.com"}, "web", "x", None, 90)
    assert origins([*visit("web", "x", 100), on_behalf]) == [user("anna")["arn"]]
    assert run([assumed(service("ec2.amazonaws.com"), "web", "x", None, 1)]).incidents.lineage.edges == {}


@pytest.mark.parametrize("target", [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"])
def test_assume_root(target: str) -> None:
    """A member's root in a central task leads back to who began it in the management account; root by itself does not."""
    begun = record(
        "AssumeRoot", role("AWSReservedSSO_Ops_0123456789abcdef", "anna@example.com", account=OTHER_ACCOUNT), 0,
        eventSource=STS, recipientAccountId=OTHER_ACCOUNT, requestParameters={"targetPrincipal": target},
        responseElements={"credentials": {"accessKeyId": "ASIAEXAMPLE0000000RR"}},
    )  # fmt: skip
    task, own = (record("DeleteBucketPolicy", root(key), 5) for key in ("ASIAEXAMPLE0000000RR", "ASIAEXAMPLE0000000SS"))
    (found,), (other,) = (findings([begun, each], only="root-use") for each in (task, own))
    assert found.actor.origin == session_arn("AWSReservedSSO_Ops_0123456789abcdef", "anna@example.com", OTHER_ACCOUNT)
    assert other.actor.origin == f"arn:aws:iam::{ACCOUNT}:root"


def test_switch_role() -> None:
    """SwitchRole names who came, and what stands behind them is followed further."""
    switch = record(
        "SwitchRole", role("web", "anna"), 95, eventSource="signin.amazonaws.com", eventType="AwsConsoleSignIn",
        responseElements={"SwitchRole": "Success"}, additionalEventData={"SwitchFrom": user("anna")["arn"]},
    )  # fmt: skip
    assert origins([*visit("web", "anna", 100), switch]) == [user("anna")["arn"]]
    through = {**switch, "additionalEventData": {"SwitchFrom": session_arn("hub", "h")}}
    assert origins([*visit("web", "anna", 100), through, assumed(user("paul"), "hub", "h", None, 50)]) == [
        user("paul")["arn"]
    ]


def test_tokens_and_keys() -> None:
    """GetSessionToken leads to the key it came from; a key made for somebody else leads to its maker, for a week."""
    made = record("CreateAccessKey", user("mallory"), 0, eventSource="iam.amazonaws.com",
                  responseElements={"accessKey": {"accessKeyId": "AKIAEXAMPLE0000MADE1", "userName": "erin"}})  # fmt: skip
    token = record("GetSessionToken", user("erin", key="AKIAEXAMPLE0000MADE1"), 10, eventSource=STS,
                   responseElements={"credentials": {"accessKeyId": "ASIAEXAMPLE0000TOKN1"}})  # fmt: skip
    edge = assumed({**user("erin", key="ASIAEXAMPLE0000TOKN1")}, "web", "x", None, 90)
    assert origins([made, token, edge, *visit("web", "x", 100)]) == [user("mallory")["arn"]]
    assert origins([token, edge, *visit("web", "x", 100)]) == [user("erin")["arn"]]
    own = {**made, "userIdentity": user("erin")}
    assert origins([own, token, edge, *visit("web", "x", 100)]) == [user("erin")["arn"]]
    late = 9 * 24 * 60
    direct = assumed(user("erin", key="AKIAEXAMPLE0000MADE1"), "web", "x", None, late)
    assert origins([made, direct, *visit("web", "x", late + 1)]) == [user("erin")["arn"]]


def test_federation_token() -> None:
    """A federated user leads back to the user who made it."""
    federated = {
        "type": "FederatedUser",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        "accountId": ACCOUNT,
        "principalId": f"{ACCOUNT}:bob",
    }
    token = record("GetFederationToken", user("mallory"), 10, eventSource=STS, requestParameters={"name": "bob"},
                   responseElements={"credentials": {"accessKeyId": "ASIAEXAMPLE0000FEDE1"}})  # fmt: skip
    edge = assumed({**federated, "accessKeyId": "ASIAEXAMPLE0000FEDE1"}, "web", "x", None, 90)
    assert origins([token, edge, *visit("web", "x", 100)]) == [user("mallory")["arn"]]


HUB, SPOKE = "ASIAEXAMPLE0000000H1", "ASIAEXAMPLE0000000S1"
CHAIN: list[Json] = [
    assumed(user("anna", key="AKIAEXAMPLE0000ANNA1"), "jump", "anna-1", "ASIAEXAMPLE0000000J1", 10),
    assumed(role("jump", "anna-1", key="ASIAEXAMPLE0000000J1"), "hub", "step-2", HUB, 20),
    # across accounts: the caller's record, and the one of the account called, under one sharedEventID
    assumed(role("hub", "step-2", key=HUB), "web", "step-3", SPOKE, 30, OTHER_ACCOUNT, sharedEventID="s-1"),
    assumed(
        {"type": "AWSAccount", "principalId": "AROAEXAMPLE000000HUB:step-2", "accountId": ACCOUNT}, "web", "step-3", SPOKE, 30,
        OTHER_ACCOUNT, sharedEventID="s-1", recipientAccountId=OTHER_ACCOUNT,
    ),
    *visit("web", "step-3", 60 + 60, SPOKE, OTHER_ACCOUNT),
]  # fmt: skip


@given(st.permutations(range(len(CHAIN))), st.lists(st.integers(0, len(CHAIN) - 1), max_size=6))
@settings(max_examples=120, deadline=None)
def test_three_hops_over_two_accounts_end_in_the_same_person(order: list[int], copies: list[int]) -> None:
    """In any order, with any copies, the finding in the other account names the user who began."""
    engine = Engine(rules(Settings(), "machine-role-console"), on_fault=raise_fault)
    for n in [*order, *copies]:
        engine.feed(events_of([CHAIN[n]]))
    (found,) = engine.findings()
    assert found.entity.arn == f"arn:aws:iam::{OTHER_ACCOUNT}:role/web"
    assert found.actor.origin == user("anna")["arn"]
    hops = engine.lineage_of(found.finding_id)
    assert [hop.arn.rsplit("/", 1)[-1] for hop in hops] == ["anna", "anna-1", "step-2", "step-3"]
    assert [hop.how for hop in hops] == ["", "AssumeRole", "AssumeRole", "AssumeRole"]


def test_an_edge_that_comes_late_is_a_change() -> None:
    """The origin is announced when it becomes known, as a revision of the finding."""
    told: list[tuple[int, str | None]] = []
    engine = Engine(
        rules(Settings(), "machine-role-console"),
        on_change=lambda each: told.append((each.revision, each.actor.origin)),
    )
    engine.feed(events_of(visit("web", "x", 100)))
    engine.feed(events_of([assumed(user("anna"), "web", "x", None, 90)]))
    assert told == [(1, None), (2, user("anna")["arn"])]


def test_lineages_are_bounded_and_have_no_cycles() -> None:
    """A role that assumes itself for ever ends after the bound; edges are forgotten when there are too many."""
    lineage = Lineage()
    me = session_arn("web", "me")
    for n in range(40):
        issuer = Who(me, "e", "role", f"k{n}", n)
        lineage.learn(Edge(me, f"k{n + 1}", n, n + 3600, issuer, "AssumeRole", f"e{n:03d}"))
    assert len(lineage.path(Who(me, "e", "role", "k40", 50))) == MAX_HOPS
    loop = Lineage()
    loop.learn(Edge("a", "ka", 1, 100, Who("b", "b", "role", "kb", 1), "AssumeRole", "1"))
    loop.learn(Edge("b", "kb", 1, 100, Who("a", "a", "role", "ka", 1), "AssumeRole", "2"))
    assert len(loop.path(Who("a", "a", "role", "ka", 2))) == 2
    assert loop.origin(Who("a", "a", "role", "ka", 2)) is None
    for n in range(MAX_EDGES + 10):
        lineage.learn(
            Edge(f"s{n}", None, n, n + 1, Who("r", "r", "user", None, n, is_root=True), "AssumeRole", f"f{n}")
        )
    assert len(lineage.edges) == MAX_EDGES


def test_a_stored_lineage_goes_on() -> None:
    """Edges survive the round trip through bytes."""
    engine = Engine(rules(Settings(), "machine-role-console"))
    engine.feed(events_of(CHAIN[:4]))
    again = Engine(rules(Settings(), "machine-role-console"))
    again.restore(list(engine.changes()))
    again.feed(events_of(CHAIN[4:]))
    assert [each.actor.origin for each in again.findings()] == [user("anna")["arn"]]
    assert again.incidents.lineage.edges


def test_other_people_at_the_same_time_change_nothing() -> None:
    """A crowd of other sessions leaves the lineage as it is."""
    random = Random(1)
    crowd = [
        assumed(user(f"user{n}"), f"role{n % 7}", f"s{n}", f"ASIAEXAMPLE{n:09d}", random.uniform(0, 120))
        for n in range(200)
    ]
    crowd += [sign_in(user("erin", key=None), 3), instance_call(5)]
    assert user("anna")["arn"] in [
        each.actor.origin for each in findings([*CHAIN, *crowd], only="machine-role-console")
    ]
