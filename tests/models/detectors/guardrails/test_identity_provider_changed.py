"""identity-provider-changed: who may vouch for identities is made or changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import ACCOUNT, Json, findings, record, refusal, role, user

NAME = "identity-provider-changed"
IAM, ANYWHERE = "iam.amazonaws.com", "rolesanywhere.amazonaws.com"
SAML = f"arn:aws:iam::{ACCOUNT}:saml-provider/okta"


def call(api: str, source: str, response: Json | None = None, **request: Any) -> Json:
    """Make a call on a provider."""
    return record(api, user("mallory"), eventSource=source, requestParameters=request, responseElements=response)


POSITIVE = [call("CreateSAMLProvider", IAM, {"sAMLProviderArn": SAML}, name="okta")]
NEAR_MISS = [
    call("GetSAMLProvider", IAM, sAMLProviderArn=SAML),
    call("CreateProfile", "kafkaconnect.amazonaws.com", name="x"),
    {**call("CreateSAMLProvider", IAM, name="okta"), "errorCode": "EntityAlreadyExistsException"},
]


@pytest.mark.parametrize(
    ("change", "arn"),
    [
        (call("UpdateSAMLProvider", IAM, {"sAMLProviderArn": SAML}, sAMLProviderArn=SAML), SAML),
        (call("CreateOpenIDConnectProvider", IAM, {"openIDConnectProviderArn": f"arn:aws:iam::{ACCOUNT}:oidc-provider/x"}, url="https://x"), f"arn:aws:iam::{ACCOUNT}:oidc-provider/x"),
        (call("CreateTrustAnchor", ANYWHERE, {"trustAnchor": {"trustAnchorArn": "arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a"}}, name="a"), "arn:aws:rolesanywhere:eu-west-1:1:trust-anchor/a"),
        (call("UploadSigningCertificate", IAM, {"certificate": {"certificateId": "C1", "userName": "erin"}}, userName="erin"), f"arn:aws:iam::{ACCOUNT}:provider/C1"),
    ],
)  # fmt: skip
def test_each_provider(change: Json, arn: str) -> None:
    """The finding is about the provider, by the ARN that the call or its answer gives."""
    (found,) = findings([change], only=NAME)
    assert (found.severity, found.entity.arn, found.entity.type) == ("medium", arn, "identity-provider")


def test_a_denied_try_is_low() -> None:
    """It is told, as low."""
    (found,) = findings([{**POSITIVE[0], "errorCode": "AccessDenied"}], only=NAME)
    assert found.severity == "low"


def test_a_denied_try_and_the_success_are_one_finding() -> None:
    """The message of the refusal names the provider, though its parameters are not recorded."""
    denied = {**POSITIVE[0], **refusal("iam:CreateSAMLProvider", SAML), "responseElements": None}
    later = {**POSITIVE[0], "eventID": "later"}
    (found,) = findings([denied, later], only=NAME)
    assert (found.severity, found.entity.arn, found.evidence_count) == ("medium", SAML, 2)


def test_identity_centers_own_provider_is_silent() -> None:
    """It makes one in each account that a permission set is given in."""
    sso = role("AWSServiceRoleForSSO", "AWS-SSO", path="/aws-service-role/sso.amazonaws.com/")
    assert findings([{**POSITIVE[0], "userIdentity": sso}], only=NAME) == []
