"""CloudTrail records written by hand: what the tests are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from models.desks.tray import Fault
from models.detector import Rule
from models.detectors import build
from models.engine import Engine
from models.event import Event, EventReader, in_order
from models.finding import Finding
from models.record import decode_record, epoch, iso
from models.settings import Settings, parse_settings

Json = dict[str, Any]

ACCOUNT = "111122223333"
OTHER_ACCOUNT = "444455556666"
START = "2024-05-01T09:00:00Z"
DAY = 24 * 60  # minutes
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36"
BOTO = "Boto3/1.34.100 md/Botocore#1.34.100 ua/2.0 os/linux#6.1.0 md/arch#x86_64 lang/python#3.11.8"


def time(minutes: float) -> str:
    """Give the instant so many minutes after the start of all test trails."""
    return iso(epoch(START) + int(minutes * 60))


def record(name: str, identity: Json | None, minutes: float = 0, **fields: Any) -> Json:
    """Make one management event; fields are given by their CloudTrail names, a None takes one away."""
    made: Json = {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": time(minutes),
        "eventSource": "s3.amazonaws.com",
        "eventName": name,
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": BOTO,
        "requestParameters": None,
        "responseElements": None,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
        "recipientAccountId": ACCOUNT,
        **fields,
    }
    made = {key: value for key, value in made.items() if value is not None}
    made.setdefault("eventID", hashlib.sha256(msgspec.json.encode(made)).hexdigest()[:32])
    return made


def role(
    name: str, session: str, *, path: str = "/", account: str = ACCOUNT, key: str | None = None, **context: Any
) -> Json:
    """Make the identity of a role's session; context goes into sessionContext."""
    unique_id = "AROA" + hashlib.sha256(f"{account}{name}".encode()).hexdigest()[:16].upper()
    identity: Json = {
        "type": "AssumedRole",
        "principalId": f"{unique_id}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
        "accountId": account,
        "accessKeyId": key or "ASIAEXAMPLE" + hashlib.sha256(session.encode()).hexdigest()[:9].upper(),
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": unique_id,
                "arn": f"arn:aws:iam::{account}:role{path}{name}",
                "accountId": account,
                "userName": name,
            },
            "attributes": {"creationDate": START, "mfaAuthenticated": "false"},
            **context,
        },
    }
    return identity


def refusal(action: str, on: str, why: str = "because no identity-based policy allows it") -> Json:
    """Give the fields of a refused call as most services record it: without parameters, the target in the message."""
    message = f"User: somebody is not authorized to perform: {action} on resource: {on} {why}"
    return {"errorCode": "AccessDenied", "errorMessage": message, "requestParameters": None}


def user(name: str, key: str | None = "AKIAEXAMPLE000000001", account: str = ACCOUNT) -> Json:
    """Make the identity of an IAM user."""
    unique_id = "AIDA" + hashlib.sha256(f"{account}{name}".encode()).hexdigest()[:16].upper()
    identity = {
        "type": "IAMUser",
        "principalId": unique_id,
        "arn": f"arn:aws:iam::{account}:user/{name}",
        "accountId": account,
        "userName": name,
    }
    return identity if key is None else {**identity, "accessKeyId": key}


def key_call(name: str, by: Json, minutes: float, owner: str | None, key: str, **fields: Any) -> Json:
    """Make a change of an access key: CreateAccessKey, DeleteAccessKey, or "Active" and "Inactive" for a switch."""
    request: Json = {} if owner is None else {"userName": owner}
    response = None
    if name == "CreateAccessKey":
        response = {
            "accessKey": {"accessKeyId": key, "status": "Active", "createDate": "May 1, 2024 9:00:00 AM", **request}
        }
    else:
        request["accessKeyId"] = key
    if name in ("Active", "Inactive"):
        request["status"], name = name, "UpdateAccessKey"
    return record(
        name, by, minutes,
        **{"eventSource": "iam.amazonaws.com", "requestParameters": request or None, "responseElements": response, **fields},
    )  # fmt: skip


def root(key: str | None = None) -> Json:
    """Make the identity of the root user."""
    identity = {
        "type": "Root", "principalId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT,
    }  # fmt: skip
    return identity if key is None else {**identity, "accessKeyId": key}


def service(name: str) -> Json:
    """Make the identity of an AWS service."""
    return {"type": "AWSService", "invokedBy": name}


def instance_call(
    minutes: float = 0, name: str = "GetObject", instance: str = "i-0123456789abcdef0", **fields: Any
) -> Json:
    """Make an ordinary call of the role ``web`` on an EC2 instance, with AWS's word for it."""
    return record(name, role("web", instance, ec2RoleDelivery="2.0"), minutes, **fields)


def sign_in(
    identity: Json | None, minutes: float = 0, *, outcome: str = "Success", mfa: str = "No", **fields: Any
) -> Json:
    """Make a ConsoleLogin."""
    failed = {"errorMessage": "Failed authentication"} if outcome == "Failure" else {}
    return record(
        "ConsoleLogin",
        identity,
        minutes,
        **{
            "eventSource": "signin.amazonaws.com",
            "eventType": "AwsConsoleSignIn",
            "userAgent": CHROME,
            "responseElements": {"ConsoleLogin": outcome},
            "additionalEventData": {"MFAUsed": mfa, "MobileVersion": "No"},
            **failed,
            **fields,
        },
    )


def assumed_by_service(
    name: str, session: str, minutes: float = 0, by: str = "lambda.amazonaws.com", **fields: Any
) -> Json:
    """Make the AssumeRole by which an AWS service takes on a role."""
    return record(
        "AssumeRole",
        service(by),
        minutes,
        **{
            "eventSource": "sts.amazonaws.com",
            "sourceIPAddress": by,
            "userAgent": by,
            "requestParameters": {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "roleSessionName": session},
            "responseElements": {
                "credentials": {"accessKeyId": "ASIAEXAMPLE0000000AA", "expiration": "May 1, 2024, 10:00:00 AM"},
                "assumedRoleUser": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}"},
            },
            **fields,
        },
    )


def events_of(records: Iterable[Json]) -> list[Event]:
    """Decode records as the product does, and put them in order."""
    reader = EventReader()
    return sorted((reader.read(decode_record(msgspec.json.encode(each))) for each in records), key=in_order)


def raise_fault(fault: Fault) -> None:
    """Let no detector's error pass unseen in a test."""
    raise AssertionError(f"{fault.detector}: {fault.error}")


def run(
    records: Iterable[Json],
    *,
    only: str | None = None,
    also: Iterable[Rule[Any]] = (),
    toml: str = "",
    until: float | None = None,
) -> Engine:
    """Run records through an engine, to the last event's time or to so many minutes after the start."""
    settings = parse_settings(toml) if toml else Settings()
    engine = Engine([*rules(settings, only), *also], settings, raise_fault)
    events = events_of(records)
    engine.feed(events)
    engine.tick(epoch(time(until)) if until is not None else events[-1].at)
    return engine


def rules(settings: Settings | None = None, only: str | None = None) -> list[Rule[Any]]:
    """Make the detectors, or only the one named."""
    return [rule for rule in build(settings or Settings()) if only in (None, rule.detector.name)]


def findings(records: Iterable[Json], **options: Any) -> list[Finding]:
    """Run records and list the findings."""
    return run(records, **options).findings()
