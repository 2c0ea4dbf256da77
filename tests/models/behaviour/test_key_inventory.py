"""Keys that were there before the trail: from ListAccessKeys' answers and the credential report, joined."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from models.behaviour.key_inventory import UnplacedError, account_in, is_key_list, is_report, read_keys, report_in
from models.behaviour.keys import KeyRow
from models.record import epoch
from tests.records import ACCOUNT, Json, record, run, user

HEADER = (
    "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,"
    "mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,"
    "access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date,"
    "access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,cert_1_last_rotated,cert_2_active,"
    "cert_2_last_rotated"
)
ROOT_ROW = (
    f"<root_account>,arn:aws:iam::{ACCOUNT}:root,2015-01-01T00:00:00+00:00,not_supported,no_information,not_supported,"
    "not_supported,true,true,2016-01-01T00:00:00+00:00,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
)
ROBOT_ROW = (
    f"robot,arn:aws:iam::{ACCOUNT}:user/apps/robot,2020-01-01T00:00:00+00:00,false,N/A,N/A,N/A,false,true,"
    "2020-01-02T03:04:05+00:00,2024-04-30T10:00:00+00:00,eu-west-1,s3,false,2021-01-01T00:00:00+00:00,N/A,N/A,N/A,"
    "false,N/A,false,N/A"
)
REPORT = f"{HEADER}\n{ROOT_ROW}\n{ROBOT_ROW}\n"
ROBOT = f"arn:aws:iam::{ACCOUNT}:user/robot"
OLD_KEY = "AKIAIOSFODNN7EXAMPLE"
LISTED: Json = {
    "AccessKeyMetadata": [
        {"UserName": "robot", "AccessKeyId": OLD_KEY, "Status": "Active", "CreateDate": "2020-01-02T03:04:05+00:00"}
    ]
}


def test_told_by_content() -> None:
    """A report as it is downloaded, with a byte order mark, or as GetCredentialReport answers it."""
    assert is_report(REPORT)
    assert is_report("\ufeff" + REPORT)
    assert not is_report("user,name\n")
    assert report_in({"Content": b64encode(REPORT.encode()).decode(), "ReportFormat": "text/csv"}) == REPORT
    others: list[Any] = [{"Content": "hello"}, {"Content": "!"}, {"Content": 7}, {}, [], "x"]
    for other in (*others, {"Content": b64encode(b"\xff").decode()}):
        assert report_in(other) is None
    assert is_key_list(LISTED)
    assert not is_key_list({"AccessKeyMetadata": 7})
    assert not is_key_list([])


def test_the_report() -> None:
    """Each key that exists, root's too, without ids; users without their path."""
    assert read_keys([], [REPORT]) == [
        KeyRow(f"arn:aws:iam::{ACCOUNT}:root", "access-key-1", True, epoch("2016-01-01T00:00:00Z")),
        KeyRow(ROBOT, "access-key-1", True, epoch("2020-01-02T03:04:05Z"), epoch("2024-04-30T10:00:00Z")),
        KeyRow(ROBOT, "access-key-2", False, epoch("2021-01-01T00:00:00Z")),
    ]


def test_both_together() -> None:
    """A key that both tell of is one: the id from the one, the last use from the other."""
    rows = read_keys([LISTED], [REPORT])
    assert KeyRow(ROBOT, OLD_KEY, True, epoch("2020-01-02T03:04:05Z"), epoch("2024-04-30T10:00:00Z")) in rows
    assert [row.key_id for row in rows] == ["access-key-1", OLD_KEY, "access-key-2"]


def test_whose_account() -> None:
    """That of the only user of the name, else the one in the key's id; where neither tells, it says so."""
    assert read_keys([LISTED], [], [ROBOT])[0].owner == ROBOT
    with pytest.raises(UnplacedError, match=OLD_KEY):
        read_keys([LISTED], [])
    with pytest.raises(UnplacedError, match=OLD_KEY):
        read_keys([LISTED], [], [ROBOT, "arn:aws:iam::444455556666:user/robot"])
    assert account_in("AKIASP2TPHJSQH3FJRUX") == "171436882533"
    assert account_in(OLD_KEY) is None
    new = {"AccessKeyMetadata": [{**LISTED["AccessKeyMetadata"][0], "AccessKeyId": "AKIASP2TPHJSQH3FJRUX"}]}
    assert read_keys([new], [])[0].owner == "arn:aws:iam::171436882533:user/robot"
    both = [ROBOT, "arn:aws:iam::171436882533:user/robot"]
    assert read_keys([new], [], both)[0].owner == both[1]


def test_odd_rows_are_passed_over() -> None:
    """Nothing in a file makes it fail."""
    odd: list[Json] = [
        {
            "AccessKeyMetadata": [
                7,
                {},
                {"UserName": "robot"},
                {"AccessKeyId": OLD_KEY},
                {"UserName": 7, "AccessKeyId": []},
            ]
        },
        {"AccessKeyMetadata": None},
    ]
    assert read_keys(odd, [HEADER, HEADER + "\nrobot", HEADER + "\n" + "x," * 50, ""]) == []


def test_it_holds_as_of_an_instant() -> None:
    """A key that was made later is left out, and so is a use that came later."""
    robot = record("GetObject", user("robot", OLD_KEY), 0)
    engine = run([robot])
    rows = [
        KeyRow(ROBOT, OLD_KEY, True, epoch("2020-01-02T03:04:05Z"), epoch("2030-01-01T00:00:00Z")),
        KeyRow(ROBOT, "AKIAEXAMPLE000000002", True, epoch("2025-01-02T03:04:05Z")),
    ]
    engine.seed_keys(rows, epoch("2024-05-02T00:00:00Z"))
    (profile,) = engine.behaviour.profiles.values()
    assert list(profile.keys) == [OLD_KEY]
    assert profile.keys[OLD_KEY].last_used_at == epoch(robot["eventTime"])
    assert profile.keys[OLD_KEY].age_days(epoch("2024-05-02T00:00:00Z")) == (1581, True)
    engine.seed_keys(
        [KeyRow(f"arn:aws:iam::{ACCOUNT}:root", "access-key-1", True, None)], epoch("2024-05-02T00:00:00Z")
    )
    assert engine.behaviour.profiles[f"arn:aws:iam::{ACCOUNT}:root"].type == "root"
