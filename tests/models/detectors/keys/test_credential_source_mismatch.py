"""credential-source-mismatch: on the instance itself, with credentials that somebody copied."""

from __future__ import annotations

import pytest

from tests.records import Json, findings, instance_call, record, role

NAME = "credential-source-mismatch"
HOUR = 60


def client(code: str) -> str:
    """Write a client that has its credentials from so coded a source."""
    return f"aws-cli/2.27.1 md/awscrt#0.25.4 ua/2.1 os/linux#6.8.0 lang/python#3.12.9 m/E,{code} md/command#s3.ls"


AT_HOME = [instance_call(n * HOUR, userAgent=client("0")) for n in range(4)]
POSITIVE = [*AT_HOME, instance_call(4 * HOUR, "ListBuckets", userAgent=client("g"))]
NEAR_MISS = [
    *AT_HOME,
    instance_call(4 * HOUR, "ListBuckets", userAgent=client("Z")),
    record("ListBuckets", role("web", "erin@example.com"), 5, userAgent=client("g")),
    record("GetObject", {**role("web", "i-0123456789abcdef0"), "invokedBy": "athena.amazonaws.com"}, 6, userAgent=client("g")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "source"), [("g", "environment"), ("n", "profile"), ("i,n", "profile")])
def test_copied_credentials(code: str, source: str) -> None:
    """From the environment or a profile: low, with the source named, one finding for each session."""
    copied = [instance_call(4 * HOUR + n, "ListBuckets", userAgent=client(code)) for n in range(3)]
    (found,) = findings([*AT_HOME, *copied, copied[0]], only=NAME)
    assert (found.severity, found.evidence_count, found.seen["source"]) == ("low", 4, source)
    assert found.subject == "i-0123456789abcdef0@2024-05-01T09:00:00Z"


@pytest.mark.parametrize("code", ["0", "z", "k", "0,p", "v", "i"])
def test_other_sources(code: str) -> None:
    """The metadata service, a container's endpoint, a helper process: silent."""
    assert findings([*AT_HOME, instance_call(4 * HOUR, "ListBuckets", userAgent=client(code))], only=NAME) == []


def test_outside_says_more() -> None:
    """Carried off, they are instance-credentials-outside's: one matter, one finding."""
    stolen: Json = instance_call(4 * HOUR, "ListBuckets", userAgent=client("g"), sourceIPAddress="192.0.2.44")
    assert [each.detector for each in findings([*AT_HOME, stolen])] == ["instance-credentials-outside"]


def test_through_an_endpoint() -> None:
    """Behind a VPC endpoint it is the same."""
    call = instance_call(0, userAgent=client("g"), sourceIPAddress="10.0.3.7", vpcEndpointId="vpce-0a1b2c3d")
    assert len(findings([call], only=NAME)) == 1


def test_as_the_first_thing_seen() -> None:
    """An instance that is seen like this from the first event on is found at once."""
    assert len(findings([instance_call(0, userAgent=client("g"))], only=NAME)) == 1
