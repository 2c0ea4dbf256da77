"""CloudTrail's own shapes, for trails that are made up: who calls, what a record looks like, and how it is filled in.

A record is made once as a ``%``-template (`template`) and filled in as often as wanted, which is what makes millions
cheap. What varies stands in angle brackets while the record is built: ``<account>``.
Sources: AWS CloudTrail user guide, "CloudTrail record contents", "CloudTrail userIdentity element", "AWS Management
Console sign-in events". Account ids, key ids and addresses are those that AWS and RFC 5737 keep for documentation.
"""

from __future__ import annotations

import json
import re
from base64 import b32encode
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

Json = dict[str, Any]

ORGANISATION: Final = "o-exampleorgid"
GLOBAL_REGION: Final = "us-east-1"  # where calls of services without a region are recorded
GLOBAL_SOURCES: Final = frozenset({"iam", "signin", "organizations", "route53", "account", "health"})

GITHUB: Final = "token.actions.githubusercontent.com"

# User agents, as the clients of early 2026 write them. m/ holds the SDK's feature ids, its source of credentials among them.
TERRAFORM: Final = (
    "APN/1.0 HashiCorp/1.0 Terraform/1.11.1 (+https://www.terraform.io) terraform-provider-aws/5.90.0 "
    "aws-sdk-go-v2/1.36.3 ua/2.1 os/linux lang/go#1.23.5 md/GOOS#linux md/GOARCH#amd64 m/E,k"
)
CLI: Final = (
    "aws-cli/2.24.22 md/awscrt#0.23.8 ua/2.1 os/macos#24.3.0 md/arch#arm64 lang/python#3.12.9 md/pyimpl#CPython "
    "m/b,s,E,Z cfg/retry-mode#standard md/installer#source md/prompt#off md/command#{command}"
)
CLOUDSHELL: Final = (
    "aws-cli/2.24.22 md/awscrt#0.23.8 ua/2.1 os/linux#6.1.129-138.220.amzn2023.x86_64 md/arch#x86_64 "
    "lang/python#3.12.9 md/pyimpl#CPython exec-env/CloudShell m/b,z,E,Z cfg/retry-mode#standard md/command#{command}"
)
CHROME: Final = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/134.0.0.0 Safari/537.36"
)


class Call(NamedTuple):
    """One API call: what is asked of which service, and what it answers."""

    source: str  # eventSource without .amazonaws.com
    name: str
    request: Json | None = None
    response: Json | None = None
    reads: bool = True
    additional: Json | None = None
    resources: tuple[Json, ...] = ()
    event_type: str = "AwsApiCall"
    is_data: bool = False
    error_message: str | None = None  # beside no errorCode, as failed sign-ins have it
    error_code: str | None = None
    via: str | None = None  # the AWS service that makes the call on the caller's behalf, by its whole host name

    @property
    def is_global(self) -> bool:
        """Whether it is recorded in us-east-1, wherever it is made from."""
        return self.source in GLOBAL_SOURCES

    @property
    def command(self) -> str:
        """The call as the AWS CLI writes it into its user agent."""
        dashed = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", self.name).lower()
        return f"{self.source}.{dashed}"

    def client(self, user_agent: str) -> str:
        """Fill the command into a user agent of the AWS CLI; another comes back as it is."""
        return user_agent.replace("{command}", self.command)


@lru_cache(maxsize=16_384)
def unique_id(prefix: str, name: str) -> str:
    """Make an entity's unique id (AROA, AIDA): 21 characters, EXAMPLE among them, the same for the same name."""
    return f"{prefix}EXAMPLE{b32encode(sha256(name.encode()).digest())[:10].decode()}"


_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS: Final = tuple(one + other for one in _BASE32 for other in _BASE32)


def access_key(prefix: str, bits: int) -> str:
    """Make an access key id (AKIA, ASIA) of 48 bits: 20 characters that end in EXAMPLE, as in AWS's documentation."""
    drawn = f"{_PAIRS[bits >> 38]}{_PAIRS[bits >> 28 & 1023]}{_PAIRS[bits >> 18 & 1023]}{_PAIRS[bits >> 8 & 1023]}"
    return f"{prefix}{drawn}{_BASE32[bits >> 3 & 31]}EXAMPLE"


def uuid_of(bits: int) -> str:
    """Write 128 bits as eventID and requestID are written."""
    digits = f"{bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def expiry(at: int) -> str:
    """Write when credentials run out as AssumeRole's answer does, which is no ISO 8601: ``Mar 2, 2026, 9:05:00 AM``."""
    day, second = divmod(at, 86_400)
    hour, rest = divmod(second, 3_600)
    half = "AM" if hour < 12 else "PM"
    return f"{_date(day)}, {hour % 12 or 12}:{rest // 60:02d}:{rest % 60:02d} {half}"


@lru_cache(maxsize=1_024)
def _date(day: int) -> str:
    when = datetime.fromtimestamp(day * 86_400, UTC)
    return f"{when:%b} {when.day}, {when.year}"


def role_arn(account: str, role: str, path: str = "/") -> str:
    """Name a role."""
    return f"arn:aws:iam::{account}:role{path}{role}"


def session_arn(account: str, role: str, session: str) -> str:
    """Name a role's session."""
    return f"arn:aws:sts::{account}:assumed-role/{role}/{session}"


def role_session(
    account: str,
    role: str,
    session: str,
    key: str | None,
    created: str,
    *,
    path: str = "/",
    mfa: bool = False,
    context: Json | None = None,
    **more: object,
) -> Json:
    """Make the identity of a role's session; `context` joins sessionContext, `more` the identity itself."""
    role_id = unique_id("AROA", f"{account}/{role}")
    issuer = {
        "type": "Role",
        "principalId": role_id,
        "arn": role_arn(account, role, path),
        "accountId": account,
        "userName": role,
    }
    return {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{session}",
        "arn": session_arn(account, role, session),
        "accountId": account,
        **({"accessKeyId": key} if key else {}),
        "sessionContext": {"sessionIssuer": issuer, "attributes": _attributes(created, mfa), **(context or {})},
        **more,
    }


def user(account: str, name: str, key: str | None = None, created: str | None = None, *, mfa: bool = False) -> Json:
    """Make the identity of an IAM user: with a key of his own, or (with `created`) a console session's."""
    return {
        "type": "IAMUser",
        "principalId": unique_id("AIDA", f"{account}/{name}"),
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        **({"accessKeyId": key} if key else {}),
        "userName": name,
        **({"sessionContext": {"attributes": _attributes(created, mfa)}} if created else {}),
    }


def user_refused(account: str, name: str | None) -> Json:
    """Make the identity of a failed sign-in: no ARN, and where the account has no such user, neither id nor name."""
    known = {"principalId": unique_id("AIDA", f"{account}/{name}")} if name else {}
    return {
        "type": "IAMUser",
        **known,
        "accountId": account,
        "accessKeyId": "",
        "userName": name or "HIDDEN_DUE_TO_SECURITY_REASONS",
    }


def root(account: str, key: str = "", created: str | None = None, *, mfa: bool = False, **more: object) -> Json:
    """Make the identity of an account's root."""
    return {
        "type": "Root",
        "principalId": account,
        "arn": f"arn:aws:iam::{account}:root",
        "accountId": account,
        "accessKeyId": key,
        **({"sessionContext": {"attributes": _attributes(created, mfa)}} if created else {}),
        **more,
    }


def service(name: str) -> Json:
    """Make the identity of an AWS service; `name` is its whole host name."""
    return {"type": "AWSService", "invokedBy": name}


def account(account_id: str, name: str) -> Json:
    """Make the identity of somebody of another account, as the account that he comes to sees him."""
    return {"type": "AWSAccount", "principalId": unique_id("AIDA", name), "accountId": account_id}


def web_identity_of(provider: str, subject: str) -> Json:
    """Make the identity that a workload assumes a role with, by a token of its OIDC provider."""
    return {
        "type": "WebIdentityUser",
        "principalId": f"{provider}:sts.amazonaws.com:{subject}",
        "userName": subject,
        "identityProvider": provider,
    }


def saml_user(provider_id: str, name: str) -> Json:
    """Make the identity that a person assumes a role with through SAML."""
    return {
        "type": "SAMLUser",
        "principalId": f"{provider_id}:{name}",
        "userName": name,
        "identityProvider": provider_id,
    }


def assume_role(*, external_id: str | None = None, **more: Any) -> Call:  # noqa: ANN401 - any field of Call
    """Make AssumeRole with its whole answer. Slots: role (its name), role_id, session, key, token, expires."""
    answer = {
        "credentials": {"accessKeyId": "<key>", "sessionToken": "<token>", "expiration": "<expires>"},
        "assumedRoleUser": {
            "assumedRoleId": "<role_id>:<session>",
            "arn": "arn:aws:sts::<role_account>:assumed-role/<role>/<session>",
        },
    }
    role = "arn:aws:iam::<role_account>:role<role_path><role>"
    request: Json = {"roleArn": role, "roleSessionName": "<session>"}
    if external_id:
        request["externalId"] = external_id
    assumed: Json = {"accountId": "<role_account>", "type": "AWS::IAM::Role", "ARN": role}
    fields: Json = {"source": "sts", "name": "AssumeRole", "request": request, "response": answer, **more}
    return Call(resources=(assumed,), **fields)


def assume_role_with_token(**more: Any) -> Call:  # noqa: ANN401 - any field of Call
    """Make AssumeRoleWithWebIdentity. Slots: those of `assume_role`, subject and provider."""
    made = assume_role()
    answer = (made.response or {}) | {
        "subjectFromWebIdentityToken": "<subject>",
        "provider": "<provider>",
        "audience": "sts.amazonaws.com",
    }
    return made._replace(name="AssumeRoleWithWebIdentity", response=answer, **more)


def assume_role_with_saml() -> Call:
    """Make AssumeRoleWithSAML. Slots: those of `assume_role`, provider (an ARN), assertion (its id), issuer (a URL)."""
    made = assume_role()
    answer = {
        "subjectType": "persistent",
        "issuer": "<issuer>",
        **(made.response or {}),
        "subject": "<session>",
        "audience": "https://signin.aws.amazon.com/saml",
    }
    request = {
        "sAMLAssertionID": "_<assertion>",
        **(made.request or {}),
        "durationSeconds": 28800,
        "principalArn": "<provider>",
    }
    provider = {"accountId": "<role_account>", "type": "AWS::IAM::SAMLProvider", "ARN": "<provider>"}
    return made._replace(
        name="AssumeRoleWithSAML", request=request, response=answer, resources=(*made.resources, provider)
    )


def console_login(*, mfa: bool = False, failure: str | None = None, name: str = "ConsoleLogin") -> Call:
    """Make a sign-in event: the outcome stands in the response, the reason of a failure in errorMessage alone."""
    return Call(
        "signin",
        name,
        response={name: "Failure" if failure else "Success"},
        reads=False,
        additional={
            "LoginTo": "https://console.aws.amazon.com/console/home?hashArgs=%23&isauthcode=true&state=hashArgsFromTB",
            "MobileVersion": "No",
            "MFAUsed": "Yes" if mfa else "No",
        },
        event_type="AwsConsoleSignIn",
        error_message=failure,
    )


def template(
    call: Call,
    *,
    denied: bool = False,
    direct: bool = True,
    console: bool = False,
    endpoint: bool = False,
    shared: bool = False,
    old: bool = False,
) -> str:
    """Make a record's ``%``-template.

    `direct`: by the caller's own client, thus with TLS details (the console's servers leave them out); `console`: with
    credentials of a console session; `endpoint`: through a VPC endpoint; `shared`: recorded in two accounts; `old`: as
    records were before 2022, without TLS details and flags.
    Slots of every record: identity (JSON), time, region, address, agent, event_id, request_id, account, actor (an ARN);
    shared_id for a shared one, and those of the call.
    """
    sign_in = call.event_type == "AwsConsoleSignIn"
    direct = direct and call.via is None and not old
    region = GLOBAL_REGION if call.is_global else "<region>"
    record: Json = {
        "eventVersion": _OLD_VERSION if old else _VERSIONS.get(call.source, "1.11"),
        "userIdentity": "<identity>",
        "eventTime": "<time>",
        "eventSource": f"{call.source}.amazonaws.com",
        "eventName": call.name,
        "awsRegion": region,
        "sourceIPAddress": call.via or "<address>",
        "userAgent": call.via or "<agent>",
        **(_denial(call) if denied else {}),
        **({"errorCode": call.error_code} if call.error_code else {}),
        **({"errorMessage": call.error_message} if call.error_message else {}),
        "requestParameters": None if denied and call.source not in _KEEPS_WHAT_WAS_DENIED else call.request,
        "responseElements": None if denied else call.response,
        **({"additionalEventData": call.additional} if call.additional is not None else {}),
        **({} if sign_in else {"requestID": "<request_id>"}),
        "eventID": "<event_id>",
        "readOnly": call.reads,
        **({"resources": list(call.resources)} if call.resources else {}),
        "eventType": call.event_type,
        "managementEvent": not call.is_data,
        "recipientAccountId": "<account>",
        **({"sharedEventID": "<shared_id>"} if shared else {}),
        **({"vpcEndpointId": "vpce-0example0<account>"} if endpoint and call.via is None else {}),
        "eventCategory": "Data" if call.is_data else "Management",
        **({"tlsDetails": _tls(call, region)} if _has_tls(call, direct, console) else {}),
        **({"sessionCredentialFromConsole": "true"} if console and not old else {}),
    }
    text = json.dumps(record, separators=(",", ":")).replace("%", "%%").replace('"<identity>"', "%(identity)s")
    return re.sub(r"<(\w+)>", r"%(\1)s", text)


_OLD_VERSION: Final = "1.08"
_VERSIONS: Final = {"signin": "1.08", "sts": "1.08", "ec2": "1.10", "config": "1.09", "autoscaling": "1.08"}
_DENIALS: Final = {
    "ec2": "Client.UnauthorizedOperation",
    "athena": "AccessDeniedException",
    "glue": "AccessDeniedException",
    "states": "AccessDeniedException",
}


# Services whose records of refused calls hold the parameters all the same, in the recorded trails that were looked at.
_KEEPS_WHAT_WAS_DENIED: Final = frozenset({"ec2", "guardduty"})
# Services whose records hold no TLS details in the recorded trails that were looked at.
_WITHOUT_TLS: Final = frozenset({"cloudformation", "dynamodb", "eks", "guardduty", "health", "sqs"})


def _has_tls(call: Call, direct: bool, console: bool) -> bool:
    if call.source in _WITHOUT_TLS or not direct:
        return False
    return call.source == "signin" or not console


def _attributes(created: str, mfa: bool) -> Json:
    return {"creationDate": created, "mfaAuthenticated": "true" if mfa else "false"}


def _denial(call: Call) -> Json:
    action = f"{call.source}:{call.name}"
    why = f"because no identity-based policy allows the {action} action"
    return {
        "errorCode": _DENIALS.get(call.source, "AccessDenied"),
        "errorMessage": f"User: <actor> is not authorized to perform: {action} {why}",
    }


def _tls(call: Call, region: str) -> Json:
    host = f"{call.source}.amazonaws.com" if call.is_global else f"{call.source}.{region}.amazonaws.com"
    if call.source == "signin":
        host = f"{GLOBAL_REGION}.signin.aws.amazon.com"
    return {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": host}


def log_path(account: str, region: str, delivered_at: int, unique: str, organisation: str = ORGANISATION) -> str:
    """Name a log file as an organisation's trail does; `delivered_at` in seconds since 1970, `unique` 16 characters."""
    when = datetime.fromtimestamp(delivered_at, UTC)
    folder = f"AWSLogs/{organisation}/{account}/CloudTrail/{region}/{when:%Y/%m/%d}"
    return f"{folder}/{account}_CloudTrail_{region}_{when:%Y%m%dT%H%MZ}_{unique}.json.gz"
