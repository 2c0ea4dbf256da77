"""Which entity stands behind a userIdentity, for every type that CloudTrail writes, and for what it leaves out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.entity import Actor, bare_arn, identify, role_of_session
from models.facts import Facts
from models.record import UserIdentity
from tests.records import ACCOUNT, Json, role, root, service, user


def actor(identity: Json, address: str | None = None) -> Actor:
    """Identify a userIdentity as CloudTrail writes it."""
    found = identify(msgspec.convert(identity, UserIdentity), address)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("identity", "arn", "kind", "session"),
    [
        (role("web", "i-0123456789abcdef0"), f"arn:aws:iam::{ACCOUNT}:role/web", "role", "i-0123456789abcdef0"),
        (role("web", "s", path="/team/a/"), f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s"),
        (
            {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/s"},
            f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s",
        ),
        (
            {"type": "AssumedRole", "principalId": "AROAEXAMPLE:s", "sessionContext": {"sessionIssuer": {"arn": f"arn:aws-cn:iam::{ACCOUNT}:role/web"}}},
            f"arn:aws-cn:iam::{ACCOUNT}:role/web", "role", "s",
        ),
        ({"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/s"}, f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s"),
        ({"type": "Unknown", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/s"}, f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s"),
        ({"type": "unknown", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/s"}, f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s"),
        ({"type": "Machine", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, f"arn:aws:iam::{ACCOUNT}:root", "root", "no-key"),
        (
            {"type": "AssumedRole", "accountId": ACCOUNT, "principalId": "AROAEXAMPLE:s", "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "web"}}},
            f"arn:aws:iam::{ACCOUNT}:role/web", "role", "s",
        ),
        (
            {"type": "AssumedRole", "arn": f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/web/s", "sessionContext": {"sessionIssuer": {"type": "Role", "accountId": ACCOUNT, "userName": "web"}}},
            f"arn:aws-cn:iam::{ACCOUNT}:role/web", "role", "s",
        ),
        (user("erin"), f"arn:aws:iam::{ACCOUNT}:user/erin", "user", "AKIAEXAMPLE000000001"),
        ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/ops/erin"}, f"arn:aws:iam::{ACCOUNT}:user/erin", "user", "no-key"),
        ({"type": "IAMUser", "accountId": ACCOUNT, "userName": "erin"}, f"arn:aws:iam::{ACCOUNT}:user/erin", "user", "no-key"),
        ({"arn": f"arn:aws:iam::{ACCOUNT}:user/erin"}, f"arn:aws:iam::{ACCOUNT}:user/erin", "user", "no-key"),
        (root("AKIAEXAMPLE000000002"), f"arn:aws:iam::{ACCOUNT}:root", "root", "AKIAEXAMPLE000000002"),
        ({"type": "Root", "accountId": ACCOUNT}, f"arn:aws:iam::{ACCOUNT}:root", "root", "no-key"),
        (service("ec2.amazonaws.com"), "ec2.amazonaws.com", "service", "service"),
        ({"invokedBy": "config.amazonaws.com"}, "config.amazonaws.com", "service", "service"),
        ({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AROAEXAMPLE:x"}, "444455556666", "account", "no-key"),
        (
            {"type": "FederatedUser", "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/erin", "accessKeyId": "ASIAEXAMPLE"},
            f"arn:aws:sts::{ACCOUNT}:federated-user/erin", "federated-user", "ASIAEXAMPLE",
        ),
        (
            {"type": "SAMLUser", "principalId": "qualifier=:erin", "userName": "erin@example.com", "identityProvider": "qualifier="},
            "qualifier=/erin@example.com", "saml-subject", "no-key",
        ),
        (
            {"type": "WebIdentityUser", "userName": "repo:org/app:ref:refs/heads/main", "identityProvider": "token.actions.githubusercontent.com"},
            "token.actions.githubusercontent.com/repo:org/app:ref:refs/heads/main", "web-identity-subject", "no-key",
        ),
        (
            {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1", "identityStoreArn": "arn:aws:identitystore::1:identitystore/d-1"}},
            "arn:aws:identitystore::1:identitystore/d-1/u-1", "identity-center-user", "no-key",
        ),
        ({"type": "Unknown", "principalId": "0a1b-u-1", "accountId": ACCOUNT, "userName": "erin@example.com"}, "0a1b-u-1", "identity-center-user", "no-key"),
    ],
)  # fmt: skip
def test_every_type(identity: Json, arn: str, kind: str, session: str) -> None:
    """Entity, type and session name for each type of identity, with and without the fields that are often missing."""
    found = actor(identity)
    assert (found.arn, found.type, found.session_name) == (arn, kind, session)


@pytest.mark.parametrize(
    "identity",
    [{}, {"type": "IAMUser"}, {"type": "IAMUser", "accountId": ACCOUNT, "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"},
     {"type": "Directory"}, {"type": "Machine"}, {"type": "Unknown", "principalId": "x", "accountId": ACCOUNT},
     {"type": "AssumedRole", "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}}},
     {"type": "AssumedRole", "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": {"type": "IAMUser", "userName": "erin"}}},
     {"type": "SAMLUser"}, {"type": "FederatedUser"}, {"type": "AWSAccount"}, {"type": "AWSService"}],
)  # fmt: skip
def test_nobody(identity: Json) -> None:
    """An identity that names nobody is nobody, and no error."""
    assert identify(msgspec.convert(identity, UserIdentity), "203.0.113.9") is None


def test_a_service_may_be_known_by_its_address_alone() -> None:
    """Where the identity says nothing, a service's name in sourceIPAddress does."""
    assert actor({"type": "AWSService"}, "logs.amazonaws.com").arn == "logs.amazonaws.com"
    assert actor({}, "logs.amazonaws.com").type == "service"


SSO_PATH = "/aws-reserved/sso.amazonaws.com/eu-west-1/"


@pytest.mark.parametrize(
    ("identity", "facts"),
    [
        (role("web", "i-0123456789abcdef0", ec2RoleDelivery="2.0"), Facts.EC2_ROLE_DELIVERY | Facts.INSTANCE_SESSION_NAME),
        (role("AWSReservedSSO_A_0123456789abcdef", "erin@example.com", path=SSO_PATH), Facts.SSO_ROLE | Facts.EMAIL_SESSION_NAME),
        (role("AWSReservedSSO_A_0123456789abcdef", "erin"), Facts.SSO_ROLE),
        (role("AWSReservedSSO_notquite", "erin"), 0),
        (role("AWSServiceRoleForConfig", "s", path="/aws-service-role/config.amazonaws.com/"), Facts.SERVICE_LINKED_ROLE),
        (role("ci", "GitHubActions", webIdFederationData={"federatedProvider": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}),
         Facts.WEB_IDENTITY_WORKLOAD | Facts.CI_SESSION_NAME),
        (role("app", "x", webIdFederationData={"federatedProvider": "cognito-identity.amazonaws.com"}), Facts.WEB_IDENTITY_PERSON),
        (role("app", "x", webIdFederationData={"federatedProvider": "https://shop.okta.com"}), Facts.WEB_IDENTITY_PERSON),
        (role("pod", "x", webIdFederationData={"federatedProvider": "arn:aws:iam::1:oidc-provider/rosa-oidc.s3.eu-west-1.amazonaws.com/x"}), 0),
        (role("app", "x", webIdFederationData={}), 0),
        (role("task", "0123456789abcdef0123456789abcdef"), Facts.ECS_TASK_SESSION_NAME),
        (role("any", "botocore-session-1714554000"), Facts.SDK_SESSION_NAME),
        (role("any", "s", sourceIdentity="erin@example.com"), Facts.SOURCE_IDENTITY),
        (role("any", "s", attributes={"mfaAuthenticated": "true"}), Facts.MFA_USED),
        ({**role("any", "s"), "inScopeOf": {"issuerType": "AWS::Lambda::Function"}}, Facts.IN_SCOPE_OF_WORKLOAD),
        ({**role("any", "s"), "onBehalfOf": {"userId": "u-1"}}, Facts.IDENTITY_CENTER),
    ],
)  # fmt: skip
def test_what_an_identity_asserts(identity: Json, facts: int) -> None:
    """Each marker of the evidence ladder in userIdentity gives its fact, and nothing besides a direct call."""
    assert actor(identity).facts == facts | Facts.DIRECT_CALL


@pytest.mark.parametrize(
    ("invoked_by", "facts"),
    [
        ("signin.amazonaws.com", Facts.INVOKED_BY_SIGNIN | Facts.DIRECT_CALL),
        ("cloudformation.amazonaws.com", Facts.INVOKED_BY_SERVICE),
        ("AWS Internal", Facts.INVOKED_BY_SERVICE),
        ("aws-mcp.amazonaws.com", Facts.INVOKED_BY_AGENT),
        ("203.0.113.9", Facts.DIRECT_CALL),
    ],
)
def test_who_made_the_call(invoked_by: str, facts: int) -> None:
    """The field invokedBy tells the console, a service and an AI agent from the owner's own call."""
    assert actor({**role("any", "s"), "invokedBy": invoked_by}).facts == facts


def test_unique_ids_that_are_redacted_tell_nothing() -> None:
    """A masked principal id is no unique id."""
    assert actor({**user("erin"), "principalId": "AIDA****************"}).unique_id is None
    assert actor(user("erin")).unique_id is not None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_as_arn(arn: str, name: str) -> None:
    """No ARN, however odd, raises; taking the path off twice changes nothing more."""
    assert bare_arn(bare_arn(arn)[0]) == (bare_arn(arn)[0], None)
    role_of_session(arn)
    for kind in ("AssumedRole", "IAMUser", "Root", None, name):
        identify(UserIdentity(type=kind, arn=arn, user_name=name, principal_id=name), name)


def test_credentials() -> None:
    """The kind of credential follows from the key's prefix and the identity."""
    wanted: list[tuple[dict[str, Any], str | None]] = [
        (user("erin"), "long_lived"), (user("erin", key="ASIAEXAMPLE000000001"), "temporary"), (root("AKIAEXAMPLE000000001"), "root"),
        (role("web", "s"), "temporary"), (service("ec2.amazonaws.com"), "service"), (user("erin", key=None), None),
    ]  # fmt: skip
    assert [actor(identity).credential for identity, _ in wanted] == [credential for _, credential in wanted]
