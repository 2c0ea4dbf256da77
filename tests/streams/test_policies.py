"""check-policy and diff-policy, run as people run them: what is told by content, what is refused by name."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from models.grants.tables import managed_document
from models.settings import Organisation, Settings
from streams.formats import writer
from streams.policies import Reading, check, compare, outside_of
from streams.terminal import Screen

ROOT = Path(__file__).parents[2]
ACCOUNT, OTHER = "111122223333", "444455556666"
Json = dict[str, Any]


def document(action: Any, resource: Any = "*", effect: str = "Allow") -> Json:
    """Make a policy of one statement."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]}


ADMIN, READER = document("*"), document("s3:GetObject", "arn:aws:s3:::b/*")
TRUST = {"Statement": {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"}}


def inventory(role_policy: Any = ADMIN) -> Json:
    """Make what GetAccountAuthorizationDetails answers, in the forms of the AWS CLI and of the API."""
    customer = f"arn:aws:iam::{ACCOUNT}:policy/deploy"
    versions = [
        {"VersionId": "v2", "IsDefaultVersion": True, "Document": document("iam:CreateAccessKey")},
        {"VersionId": "v1", "IsDefaultVersion": False, "Document": ADMIN},
    ]
    spare = {
        "Arn": f"arn:aws:iam::{ACCOUNT}:policy/spare",
        "DefaultVersionId": "v1",
        "PolicyVersionList": [{"VersionId": "v1", "Document": ADMIN}],
    }
    attached = [{"PolicyName": "deploy", "PolicyArn": customer}]
    return {
        "UserDetailList": [
            {"Arn": f"arn:aws:iam::{ACCOUNT}:user/ann", "UserName": "ann", "GroupList": ["ops"], "AttachedManagedPolicies": []},
            {"Arn": f"arn:aws:iam::{ACCOUNT}:user/bob", "UserName": "bob", "GroupList": ["ops"],
             "PermissionsBoundary": {"PermissionsBoundaryArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}},
        ],
        "GroupDetailList": [{"Arn": f"arn:aws:iam::{ACCOUNT}:group/ops", "GroupName": "ops", "AttachedManagedPolicies": attached}],
        "RoleDetailList": [
            {"Arn": f"arn:aws:iam::{ACCOUNT}:role/app", "RoleName": "app", "AssumeRolePolicyDocument": quote(json.dumps(TRUST)),
             "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": role_policy}],
             "AttachedManagedPolicies": [{"PolicyName": "x", "PolicyArn": "arn:aws:iam::aws:policy/AmazonS3FullAccess"}]},
        ],
        "Policies": [{"Arn": customer, "DefaultVersionId": "v2", "PolicyVersionList": versions}, spare],
    }  # fmt: skip


def write(folder: Path, **files: Any) -> list[str]:
    """Write files of JSON, or of text as it is; give their paths."""
    paths = []
    for name, content in files.items():
        path = folder / f"{name}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        paths.append(str(path))
    return paths


def rolehawk(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run rolehawk to its end."""
    command = [sys.executable, "-m", "streams.cli", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "LANG": "C.UTF-8"}
    return subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, timeout=60, check=False)


def answers(folder: Path, **files: Any) -> list[tuple[str, str, str]]:
    """Check files: pointer, rule and severity of each answer."""
    reading = Reading()
    found = [(each.pointer, each.rule, each.severity) for each in check(write(folder, **files), Settings(), reading)]
    assert reading.complaints == []
    return found


def test_a_document(tmp_path: Path) -> None:
    """A plain document is judged, with its statement's pointer."""
    assert answers(tmp_path, one=ADMIN) == [("/Statement/0", "W1", "critical")]
    assert answers(tmp_path, one=quote(json.dumps(ADMIN))) == [("/Statement/0", "W1", "critical")]
    assert answers(tmp_path, one=READER) == []


def test_all_that_one_entity_holds(tmp_path: Path) -> None:
    """Denies and boundary are taken off, pieces of a way up join across documents."""
    holds = {"policies": [document("iam:PassRole"), document("ec2:RunInstances")]}
    assert ("/policies/1/Statement/0", "privesc:iam:PassRole+ec2:RunInstances", "high") in answers(tmp_path, one=holds)
    assert answers(tmp_path, one={"policies": [ADMIN], "boundary": READER}) == []
    assert answers(tmp_path, one={"policies": [document("s3:*"), document("s3:*", effect="Deny")]}) == [
        ("/policies/0/Statement/0", "W2", "low")
    ]
    assert answers(tmp_path, one={"policies": []}) == []


def test_an_inventory(tmp_path: Path) -> None:
    """Users with their groups and boundaries, roles with trusts and AWS's own policies, and what nobody holds."""
    found = answers(tmp_path, account=inventory())
    assert ("/RoleDetailList/0/RolePolicyList/0/PolicyDocument/Statement/0", "W1", "critical") in found
    assert ("/RoleDetailList/0/AttachedManagedPolicies/0/Statement/0", "W2", "high") in found
    assert ("/RoleDetailList/0/AssumeRolePolicyDocument/Statement", "W9", "high") in found
    customer = "/Policies/0/PolicyVersionList/0/Document/Statement/0"
    assert [(rule, severity) for pointer, rule, severity in found if pointer == customer] == [
        ("W6", "high"), ("privesc:iam:CreateAccessKey", "high"), ("W6", "low"),
    ]  # fmt: skip
    assert ("/Policies/1/PolicyVersionList/0/Document/Statement/0", "W1", "low") in found
    assert not any("PolicyVersionList/1" in pointer for pointer, _, _ in found)


def test_an_inventory_knows_its_own_account(tmp_path: Path) -> None:
    """A role that trusts its own account trusts nobody outside; roles linked to AWS services are not judged."""
    own = {"Statement": {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}}
    role = {"Arn": f"arn:aws:iam::{ACCOUNT}:role/app", "AssumeRolePolicyDocument": own}
    linked = {
        **inventory()["RoleDetailList"][0],
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX",
    }
    assert answers(tmp_path, account={"RoleDetailList": [role, linked]}) == []
    assert answers(tmp_path, plain=own) == [("/Statement", "W9", "high")]


def test_a_policy_that_nobody_holds_is_latent(tmp_path: Path) -> None:
    """A managed policy attached to nobody is judged as if somebody held it, and is low."""
    spare = {"Arn": f"arn:aws:iam::{ACCOUNT}:policy/spare", "DefaultVersionId": "v1",
             "PolicyVersionList": [{"VersionId": "v1", "IsDefaultVersion": True, "Document": ADMIN}]}  # fmt: skip
    found = answers(tmp_path, account={"Policies": [spare]})
    assert found == [("/Policies/0/PolicyVersionList/0/Document/Statement/0", "W1", "low")]


def test_settings_name_the_organisation(tmp_path: Path) -> None:
    """Own accounts are silent, trusted third parties medium."""
    (path,) = write(tmp_path, trust=TRUST)
    own = Settings(organisation=Organisation(management_account=OTHER))
    assert list(check([path], own, Reading())) == []
    trusted = Settings(organisation=Organisation(trusted_accounts={OTHER: "vendor"}))
    assert [each.severity for each in check([path], trusted, Reading())] == ["medium"]
    assert outside_of(own).own == {OTHER}


def test_unreadable_files_stop_nothing(tmp_path: Path) -> None:
    """Each is complained of by file and pointer; the others are judged."""
    write(tmp_path, good=ADMIN, bad="{", odd={"Statement": [{"Effect": "Allow"}]}, part={"policies": [ADMIN, 5]},
          unbounded={"policies": [ADMIN], "boundary": 5}, listed={"policies": 5}, account={"UserDetailList": 5})  # fmt: skip
    names = [f"{name}.json" for name in ("bad", "odd", "good", "part", "unbounded", "listed", "account", "absent")]
    done = rolehawk("check-policy", *names, cwd=tmp_path)
    assert done.returncode == 0
    assert [(row["file"], row["rule"]) for row in map(json.loads, done.stdout.splitlines())] == [
        ("good.json", "W1"), ("part.json", "W1"),
    ]  # fmt: skip
    complaints = done.stderr.decode()
    for each in ("bad.json: document: cut off", "odd.json: /Statement/0/Action: missing", "part.json: /policies/1:",
                 "unbounded.json: /boundary:", "listed.json: /policies: not a list", "account.json: /UserDetailList: not a list",
                 "absent.json: No such file"):  # fmt: skip
        assert each in complaints
    assert rolehawk("check-policy", "--strict", *names, cwd=tmp_path).returncode == 3
    nothing = rolehawk("check-policy", "bad.json", "absent.json", cwd=tmp_path)
    assert nothing.returncode == 2
    assert b"2 files: no policy could be read" in nothing.stderr


def test_check_policy_options(tmp_path: Path) -> None:
    """Format, output, severity, quiet and exit status do what they say."""
    write(tmp_path, admin=ADMIN, mixed=document(["s3:*", "s3:GetObject"]))
    failed = rolehawk("check-policy", "--fail-on", "critical", "admin.json", cwd=tmp_path)
    assert failed.returncode == 1
    assert list(json.loads(failed.stdout)) == [
        "file",
        "pointer",
        "rule",
        "severity",
        "actions",
        "resources",
        "why",
        "fix",
    ]
    passed = rolehawk(
        "check-policy", "mixed.json", "--fail-on=critical", "--min-severity=high", "-q", "-o", "out.jsonl", cwd=tmp_path
    )
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, b"", b"")
    assert [json.loads(row)["rule"] for row in (tmp_path / "out.jsonl").read_text().splitlines()] == ["W2"]
    table = rolehawk("check-policy", "--format", "table", "admin.json", cwd=tmp_path).stdout.decode()
    assert "CRITICAL  W1  admin.json /Statement/0" in table
    assert (
        b"read        1 file, 1 policy document"
        in rolehawk("check-policy", "-", cwd=tmp_path, stdin=json.dumps(READER).encode()).stderr
    )


def test_hundreds_of_files_in_one_call(tmp_path: Path) -> None:
    """Four hundred documents are judged in one call, in the order given."""
    names = write(tmp_path, **{f"p{n:03}": ADMIN if n % 2 else READER for n in range(400)})
    found = [each.file for each in check(names, Settings(), Reading())]
    assert found == names[1::2]


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [(READER, ADMIN, "widened"), (ADMIN, READER, "narrowed"), (ADMIN, document(["*:*"]), "same"),
     ({"policies": [ADMIN], "boundary": READER}, {"policies": [ADMIN]}, "widened")],
)  # fmt: skip
def test_diff_policy(tmp_path: Path, old: Json, new: Json, change: str) -> None:
    """One answer says what the change is, and what it adds and takes."""
    write(tmp_path, old=old, new=new)
    done = rolehawk("diff-policy", "old.json", "new.json", "--fail-on", "widened", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert (answer["change"], done.returncode) == (change, 1 if change == "widened" else 0)
    assert list(answer) == ["change", "added", "removed"]
    assert bool(answer["added"]) == (change == "widened")


def test_diff_of_inventories_is_entity_by_entity(tmp_path: Path) -> None:
    """Of two inventories each entity that changed is one answer."""
    old, new = write(tmp_path, old=inventory(READER), new=inventory())
    (answer,) = compare(old, new, Reading())
    assert (answer.entity, answer.change) == (f"arn:aws:iam::{ACCOUNT}:role/app", "widened")
    assert compare(old, old, Reading()) == []


def test_diff_of_what_cannot_be_read(tmp_path: Path) -> None:
    """Half a comparison would mislead: both files are read whole or nothing is compared."""
    write(tmp_path, old=READER, new="{")
    done = rolehawk("diff-policy", "old.json", "new.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"new.json: document: cut off" in done.stderr


def test_tables_hold_hostile_names(tmp_path: Path) -> None:
    """What a document calls things is never obeyed by a terminal."""
    hostile = document("s3:\x1b[31m*", "arn:\u202e*")
    reading = Reading()
    found = list(check(write(tmp_path, one=hostile, two=document(["s3:*", "\x1b*"])), Settings(), reading))
    text = "".join(writer("weaknesses", "table")(found, Screen()))
    assert "\x1b" not in text
    old, new = write(tmp_path, old=READER, new=hostile)
    changes = "".join(writer("differences", "table")(compare(old, new, Reading()), Screen()))
    assert "\x1b" not in changes
    assert "\u202e" not in changes
    assert "widened" in changes


def test_empty_tables() -> None:
    """Nothing found is said so."""
    assert list(writer("weaknesses", "table")([], Screen())) == ["Nothing found.\n"]
    assert list(writer("differences", "table")([], Screen())) == ["No difference.\n"]


def test_admin_of_aws_is_critical(tmp_path: Path) -> None:
    """AdministratorAccess, as AWS writes it."""
    assert answers(tmp_path, admin=managed_document("arn:aws:iam::aws:policy/AdministratorAccess"))[0][1:] == (
        "W1",
        "critical",
    )
