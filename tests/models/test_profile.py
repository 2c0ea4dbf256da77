"""Profiles: where a session ends, when an entity starts afresh, what is configured of it."""

from __future__ import annotations

from typing import Any

from models.facts import Facts
from tests.records import (
    ACCOUNT,
    Json,
    assumed_by_service,
    findings,
    instance_call,
    record,
    role,
    run,
    service,
    user,
)  # fmt: skip

HOUR = 60
WEB = f"arn:aws:iam::{ACCOUNT}:role/web"


def sessions(trail: list[Json], arn: str = WEB) -> int:
    """Count an entity's sessions."""
    return sum(run(trail).behaviour.profiles[arn].stances.values())


def test_a_session_is_cut_at_a_gap_of_twelve_hours() -> None:
    """Twelve hours of quiet keep a session together, a minute more cuts it."""
    assert sessions([record("GetObject", role("web", "erin"), minutes) for minutes in (0, 12 * HOUR)]) == 1
    assert sessions([record("GetObject", role("web", "erin"), minutes) for minutes in (0, 12 * HOUR + 1)]) == 2


def test_names_that_never_change_are_cut_after_a_day() -> None:
    """An instance's and a user key's session ends 24 hours after its first event, a person's goes on."""
    hours = [n * HOUR for n in range(0, 50, 5)]
    assert sessions([instance_call(minutes) for minutes in hours]) == 2
    assert (
        sessions(
            [record("GetObject", user("robot"), minutes) for minutes in hours], f"arn:aws:iam::{ACCOUNT}:user/robot"
        )
        == 2
    )
    assert sessions([record("GetObject", role("web", "erin"), minutes) for minutes in hours]) == 1


def test_an_issued_session_starts_with_its_own_first_event() -> None:
    """The AssumeRole and the session that it issued are one session, dated from its own first event."""
    engine = run([assumed_by_service("web", "worker"), record("GetObject", role("web", "worker"), 5)])
    profile = engine.behaviour.profiles[WEB]
    assert profile.sessions["worker"].id == "worker@2024-05-01T09:05:00Z"
    assert profile.proofs == ["worker@2024-05-01T09:05:00Z"]
    assert sum(profile.stances.values()) == 1


def test_who_was_only_assumed_is_a_principal_without_events() -> None:
    """A role that was assumed and has not acted is a row with no events."""
    principals = {each.arn: each for each in run([assumed_by_service("web", "worker")]).principals()}
    assert (principals[WEB].kind, principals[WEB].events, principals[WEB].tier) == ("machine", 0, 1)
    assert principals["lambda.amazonaws.com"].account_id is None


def test_denied_assumptions_prove_nothing() -> None:
    """An AssumeRole that was refused changes no state."""
    denied = assumed_by_service("web", "worker", errorCode="AccessDenied", responseElements=None)
    assert WEB not in run([denied]).behaviour.profiles


def issued_by(identity: Json, **fields: Any) -> tuple[str, int | None]:
    """Say what the session of a role is, after the AssumeRole of an issuer alone."""
    request = {"roleArn": WEB.replace("role/", "role/team/"), "roleSessionName": "s"}
    assume = record("AssumeRole", identity, eventSource="sts.amazonaws.com", requestParameters=request, **fields)
    profile = run([assume]).behaviour.profiles[WEB]
    assert profile.path == "/team/"
    return profile.class_, profile.tier


def test_what_issued_a_session_decides() -> None:
    """A service, SAML, an OIDC provider, an SSO role, the console and the client: each says what the session is."""
    sso = role("AWSReservedSSO_Dev_0123456789abcdef", "erin@example.com")
    saml = {"type": "SAMLUser", "userName": "erin", "identityProvider": "idp="}
    web = {
        "type": "WebIdentityUser",
        "userName": "system:serviceaccount:default:app",
        "identityProvider": "arn:aws:iam::1:oidc-provider/oidc.example",
    }
    assert issued_by(service("ec2.amazonaws.com")) == ("workload", 1)
    assert issued_by({**role("stack", "s"), "invokedBy": "cloudformation.amazonaws.com"}) == ("workload", 1)
    assert issued_by(service("rolesanywhere.amazonaws.com")) == ("workload", 1)
    assert issued_by(web) == ("workload", 1)
    assert issued_by({**web, "userName": "u", "identityProvider": "accounts.google.com"}) == ("human", 1)
    assert issued_by(saml) == ("human", 1)
    assert issued_by(sso) == ("human", 1)
    assert issued_by(user("erin", key="ASIAEXAMPLE000000001"), sessionCredentialFromConsole="true") == ("human", 1)
    assert issued_by(user("erin"), userAgent="Boto3/1.34 exec-env/AWS_ECS_FARGATE") == ("workload", 3)
    assert issued_by(user("erin")) == ("unknown", None)


def test_a_new_unique_id_is_a_new_entity() -> None:
    """A role made again under an old name starts afresh; a late event of the old one does not start it again."""
    old = instance_call()
    new = instance_call(60)
    new["userIdentity"]["sessionContext"]["sessionIssuer"]["principalId"] = "AROANEWNEWNEWNEW1234"
    profile = run([old, new, instance_call(61)]).behaviour.profiles[WEB]
    assert (profile.unique_id, profile.events) == ("AROANEWNEWNEWNEW1234", 2)


def test_a_creation_seen_late_does_not_wipe_what_is_known() -> None:
    """The creation of the entity that is known already, in the trail after its first events, changes nothing."""
    known = instance_call()["userIdentity"]["sessionContext"]["sessionIssuer"]["principalId"]
    created = record(
        "CreateRole", user("deployer"), 5, eventSource="iam.amazonaws.com",
        requestParameters={"roleName": "web"}, responseElements={"role": {"roleId": known, "arn": WEB}},
    )  # fmt: skip
    assert run([instance_call(), created]).behaviour.profiles[WEB].events == 1
    created["responseElements"]["role"]["roleId"] = "AROANEWNEWNEWNEW1234"
    assert run([instance_call(), created]).behaviour.profiles[WEB].events == 0


def trust(document: object, name: str = "UpdateAssumeRolePolicy", minutes: float = 0) -> Json:
    """Make a change of the role's trust policy."""
    field = "policyDocument" if name == "UpdateAssumeRolePolicy" else "assumeRolePolicyDocument"
    return record(
        name,
        user("deployer"),
        minutes,
        eventSource="iam.amazonaws.com",
        requestParameters={"roleName": "web", field: document},
    )


def test_trust_policies() -> None:
    """Services only, EKS pods, CI and SAML providers say what a role is for; the account's root does not."""

    def facts(principal: str) -> int:
        document = f'{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}'
        return run([trust(document)]).behaviour.profiles[WEB].configuration

    assert facts('{"Service":["ec2.amazonaws.com","lambda.amazonaws.com"]}') == Facts.TRUSTS_ONLY_SERVICES
    assert facts('{"Service":"pods.eks.amazonaws.com"}') == Facts.TRUSTS_EKS_PODS
    assert facts('{"Federated":"arn:aws:iam::1:saml-provider/okta"}') == Facts.TRUSTS_SAML
    assert facts('{"Federated":"arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}') == Facts.TRUSTS_CI
    assert facts('{"Service":"ec2.amazonaws.com","AWS":"arn:aws:iam::111122223333:root"}') == 0
    assert facts('"*"') == 0


def test_odd_trust_policies_decide_nothing() -> None:
    """A document that is cut, masked, encoded or no document at all raises nothing and decides nothing it should not."""
    encoded = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%22ec2.amazonaws.com%22%7D%7D%7D"
    for document in (
        "HIDDEN_DUE_TO_SECURITY_REASONS",
        '{"Statement":[{"Eff',
        "",
        "[]",
        "1",
        {"Statement": 7},
        ["x"],
        "[" * 5000,
    ):
        assert run([trust(document)]).behaviour.profiles[WEB].configuration == 0
    assert run([trust(encoded)]).behaviour.profiles[WEB].configuration == Facts.TRUSTS_ONLY_SERVICES


def test_the_newest_word_on_trust_stands() -> None:
    """A later trust policy replaces the earlier one, in whatever order they are seen."""
    saml = '{"Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::1:saml-provider/okta"}}}'
    machine = '{"Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}}'
    engine = run([trust(machine, "CreateRole"), trust(saml, minutes=5)])
    assert engine.behaviour.profiles[WEB].configuration == Facts.TRUSTS_SAML


def test_a_fleet_beyond_the_bound_keeps_its_class() -> None:
    """More concurrent sessions than are kept in detail cost precision of the count, never the class or a finding."""
    fleet = [instance_call(n / 10, instance=f"i-{n:017x}") for n in range(300)]
    (machine,) = [each for each in run(fleet).principals() if each.arn == WEB]
    assert (machine.kind, machine.class_, machine.sessions.machine) == ("machine", "workload", 300)
    visit = record("ListBuckets", role("web", "alice"), 60, sessionCredentialFromConsole="true")
    assert [each.detector for each in findings([*fleet, visit])] == ["machine-role-console"]
