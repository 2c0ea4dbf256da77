"""Whom a deed is filed with: the owner of a key, whoever made it, and the user that AWS quarantines."""

from __future__ import annotations

from typing import Any

import pytest

from models.behaviour.keys import Key
from models.entity import EntityType
from models.facts import Facts
from tests.records import ACCOUNT, Json, record, role, root, run, service, user

KEY = "AKIAEXAMPLE000000009"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def iam(name: str, identity: Json, minutes: float = 0, /, response: Json | None = None, **request: Any) -> Json:
    """Make a call to IAM."""
    return record(
        name, identity, minutes, eventSource="iam.amazonaws.com", requestParameters=request or None, responseElements=response
    )  # fmt: skip


def made(identity: Json, minutes: float = 0, *, answer: str | None = None, **request: Any) -> Json:
    """Make a CreateAccessKey; AWS's answer names the user, for root's own keys it does not."""
    key = {"accessKeyId": KEY, "status": "Active", "createDate": "May 1, 2024 9:00:00 AM"}
    return iam(
        "CreateAccessKey", identity, minutes, response={"accessKey": key if answer is None else {**key, "userName": answer}},
        **request,
    )  # fmt: skip


def keys_of(records: list[Json]) -> dict[str, dict[str, Key]]:
    """List all keys that are known after records, by owner."""
    profiles = run(records).behaviour.profiles
    return {arn.rpartition(":")[2]: profile.keys for arn, profile in profiles.items() if KEY in profile.keys}


@pytest.mark.parametrize(
    ("records", "owner", "kind"),
    [
        ([made(role("admin", "anna"), answer="robot", userName="robot")], "user/robot", "user"),
        ([made(role("admin", "anna"), answer="robot")], "user/robot", "user"),
        ([made(user("robot"), answer="robot")], "user/robot", "user"),
        ([made(user("robot"))], "user/robot", "user"),
        ([made(root())], "root", "root"),
        ([made(root(), answer="root")], "root", "root"),
        ([made(root(), answer="robot", userName="robot")], "user/robot", "user"),
    ],
)
def test_a_new_key_is_its_owners(records: list[Json], owner: str, kind: EntityType) -> None:
    """Of the user named, by asking or by the answer; who names nobody asks for a key of their own, as root does."""
    engine = run(records)
    profile = engine.behaviour.profiles[f"arn:aws:iam::{ACCOUNT}:{owner}"]
    assert profile.type == kind
    key = profile.keys[KEY]
    assert key.created_at is not None
    assert key.created_from == "198.51.100.0/24"
    assert all(KEY not in each.keys for each in engine.behaviour.profiles.values() if each is not profile)


def test_switched_and_deleted() -> None:
    """Each by whoever may, for the owner; what failed changes nothing."""
    admin = role("admin", "anna")
    steps = [
        made(admin, 0, userName="robot"),
        iam("UpdateAccessKey", admin, 1, userName="robot", accessKeyId=KEY, status="Inactive"),
    ]
    (keys,) = keys_of(steps).values()
    assert (keys[KEY].is_active, keys[KEY].deleted_at) == (False, None)
    steps.append(iam("UpdateAccessKey", admin, 2, userName="robot", accessKeyId=KEY, status="Active"))
    steps.append({**iam("DeleteAccessKey", admin, 3, userName="robot", accessKeyId=KEY), "errorCode": "AccessDenied"})
    (keys,) = keys_of(steps).values()
    assert (keys[KEY].is_active, keys[KEY].deleted_at) == (True, None)
    steps.append(iam("DeleteAccessKey", user("robot", KEY), 4, accessKeyId=KEY))
    (keys,) = keys_of(steps).values()
    assert keys[KEY].deleted_at is not None


def test_what_is_known_of_use() -> None:
    """A user's own key: from where, with what client, which calls; not what a service does for it, no role's session."""
    steps = [
        record("GetObject", user("robot", KEY), 0),
        record("PutObject", user("robot", KEY), 5, sourceIPAddress="203.0.113.9", userAgent="aws-cli/2.15 os/linux"),
        record("RunInstances", {**user("robot", KEY), "invokedBy": "autoscaling.amazonaws.com"}, 9,
               eventSource="ec2.amazonaws.com", sourceIPAddress="autoscaling.amazonaws.com"),
        record("GetObject", user("robot", "ASIAEXAMPLE000000009"), 10, sourceIPAddress="192.0.2.1"),
        record("GetObject", role("web", "i-0123456789abcdef0", key="ASIAEXAMPLE000000008"), 11),
    ]  # fmt: skip
    profiles = run(steps).behaviour.profiles
    (keys,) = (profile.keys for profile in profiles.values() if profile.keys)
    (key,) = keys.values()
    assert sorted(key.networks) == ["198.51.100.0/24", "203.0.113.0/24"]
    assert sorted(key.clients) == ["cli/aws-cli/linux", "sdk/boto3/linux"]
    assert [api.rpartition(":")[2] for api in sorted(key.apis)] == ["RunInstances", "GetObject", "PutObject"]
    assert key.last_used_at == key.first_used_at + 9 * 60


def test_quarantine() -> None:
    """AWS attaches its policy to the user of a leaked key, in any version; detaching ends it."""
    policy = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    robot = f"arn:aws:iam::{ACCOUNT}:user/robot"
    steps = [iam("AttachUserPolicy", service("AWS Internal"), 0, userName="robot", policyArn=policy)]
    assert run(steps).behaviour.profiles[robot].configuration & Facts.QUARANTINED
    steps.append(iam("DetachUserPolicy", role("admin", "anna"), 5, userName="robot", policyArn=policy))
    assert not run(steps).behaviour.profiles[robot].configuration & Facts.QUARANTINED
    other = iam(
        "AttachUserPolicy",
        role("admin", "anna"),
        0,
        userName="robot",
        policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess",
    )
    assert robot not in run([other]).behaviour.profiles


def test_a_user_made_again_has_none_of_the_former_keys() -> None:
    """Another unique id under the same name is another user, whose keys are other keys."""
    other = {**user("robot", "AKIAEXAMPLE000000007"), "principalId": "AIDAEXAMPLE000000OTHER"}
    steps = [record("GetObject", user("robot", KEY), 0), record("GetObject", other, 60)]
    (profile,) = run(steps).behaviour.profiles.values()
    assert list(profile.keys) == ["AKIAEXAMPLE000000007"]
