"""What a change makes newly wrong, and what it only says again."""

from __future__ import annotations

from typing import Any

import pytest

from models.grants.allowed import Holding
from models.grants.document import parse
from models.grants.newly import new_escalations, new_weaknesses
from tests.models.grants.test_wildcards import allow, deny, document, trust


def holding(*documents: Any, boundary: Any = None) -> Holding:
    """Read documents as what one entity holds."""
    return Holding(tuple(map(parse, documents)), parse(boundary) if boundary else None)


ADMIN = document(allow("*"))
MFA = document(allow("*", Bool={"aws:MultiFactorAuthPresent": "true"}))


@pytest.mark.parametrize(
    ("before", "after", "rules"),
    [
        (holding(), holding(ADMIN), ["W1"]),
        (holding(ADMIN), holding(document(allow(["*:*", "s3:*"]))), []),
        (holding(ADMIN), holding(document(allow("s3:*"))), []),
        (holding(MFA), holding(ADMIN), ["W1"]),
        (holding(ADMIN), holding(MFA), []),
        (holding(ADMIN, document(deny("iam:*"))), holding(ADMIN), ["W1"]),
        (holding(ADMIN, boundary=document(allow("s3:*"))), holding(ADMIN), ["W1"]),
        (holding(document(allow("s3:*"))), holding(document(allow(["s3:*", "sqs:SendMessage"]))), ["W6"]),
        (holding(document(allow("s3:*"), allow("sqs:*"))), holding(document(allow("sqs:*")), document(allow("s3:*"))), []),
        (holding(trust({"Service": "ec2.amazonaws.com"})), holding(trust("*")), ["W8"]),
        (holding(trust("*")), holding(trust({"AWS": ["*"]})), []),
    ],
)  # fmt: skip
def test_new_weaknesses(before: Holding, after: Holding, rules: list[str]) -> None:
    """Only what was not allowed before is new, wherever it stood."""
    assert [each.rule for each in new_weaknesses(before, after)] == rules


def test_new_escalations() -> None:
    """A way is new when its last permission comes."""
    one, both = document(allow("iam:PassRole")), document(allow(["iam:PassRole", "ec2:RunInstances"]))
    assert [each.rule for each in new_escalations(holding(one), holding(both))] == [
        "privesc:iam:PassRole+ec2:RunInstances"
    ]
    assert new_escalations(holding(both), holding(both)) == []
