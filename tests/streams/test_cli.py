"""The command line, run as people run it: in a process of its own, with real pipes, terminals and signals."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import tomllib
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

from models.engine import Engine
from models.finding import Finding
from models.trail import Rejected
from streams.options import Moment, Options, When
from streams.output import WholeFile
from streams.replay import Result, Summary
from streams.summary import faults, rejected_row, status_of, summary_of
from tests.records import ACCOUNT, Json, instance_call, record, role, run, sign_in, user

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60
TRAIL: list[Json] = [
    *(instance_call(n) for n in range(5)),
    record("ListBuckets", role("web", "visitor"), 60, sessionCredentialFromConsole="true"),
    sign_in(user("erin", key=None), 24 * 60),
]  # a machine's role in the console: high; a day later a user's sign-in without MFA: medium


def command(*arguments: str | Path) -> list[str]:
    """Give the command line of a rolehawk of this tree."""
    return [sys.executable, "-m", "streams.cli", *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """Give an environment in which nothing decides but what the test says."""
    kept = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **changes}


def rolehawk(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run rolehawk with pipes, to its end."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        input=stdin,
        capture_output=True,
        timeout=DEADLINE_S,
        check=False,
    )


def on_terminal(*arguments: str | Path, cwd: Path, columns: int = 80, **changes: str) -> tuple[int, str]:
    """Run rolehawk on a terminal of its own; gives its status and all that the terminal got."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        command(*arguments), cwd=cwd, env=environment(**changes), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # as Linux ends a terminal
            pass
        os.close(ours)
        return process.wait(DEADLINE_S), shown.decode()


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """Write the test trail."""
    path = tmp_path / "trail.json"
    path.write_bytes(msgspec.json.encode({"Records": TRAIL}))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Write a trail of JSON lines with a line that is none."""
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in TRAIL) + b'{"eventTime": \xff\x1b[31m\n')
    return path


def rows(done: subprocess.CompletedProcess[bytes]) -> list[Json]:
    """Read what was printed as JSON lines."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """List the detectors of the findings that were printed."""
    return [row["detector"] for row in rows(done)]


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """Take the one line of an error."""
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("rolehawk: ")
    return line


# Results


def test_replay_prints_findings_as_json_lines_into_a_pipe(trail: Path, tmp_path: Path) -> None:
    """In a pipe findings are objects in the agreed shape, sorted, the same bytes each time; the summary is on stderr."""
    done = rolehawk("replay", trail, cwd=tmp_path)
    assert done.returncode == 0
    assert names(done) == ["machine-role-console", "unfederated-console-login"]
    assert list(rows(done)[0]) == [field.encode_name for field in msgspec.structs.fields(Finding)]
    assert done.stdout == rolehawk("replay", trail, cwd=tmp_path).stdout
    summary = done.stderr.decode()
    assert "1 file, 7 events from 2024-05-01T09:00:00Z to 2024-05-02T09:00:00Z" in summary
    assert "findings    2: 1 high, 1 medium" in summary
    assert "\x1b" not in summary


def test_replay_draws_a_table_on_a_terminal(trail: Path, tmp_path: Path) -> None:
    """On a terminal there is a table as wide as it, with colour, and before it a progress bar that goes away."""
    status, shown = on_terminal("replay", trail, cwd=tmp_path)
    assert status == 0
    assert "\x1b[1;31mHIGH" in shown
    assert "reading" in shown
    assert shown.index("reading") < shown.index("severity") < shown.index("findings")
    status, shown = on_terminal("replay", trail, "--no-progress", cwd=tmp_path, columns=200, NO_COLOR="1")
    assert status == 0
    assert "\x1b" not in shown
    (line,) = (line for line in shown.splitlines() if line.startswith("HIGH"))
    assert "machine-role-console" in line
    assert ACCOUNT in line


def test_principals_prints_one_row_each(trail: Path, tmp_path: Path) -> None:
    """Whoever acted has a row, by ARN; --kind, --account and --entity choose among them."""
    done = rolehawk("principals", trail, cwd=tmp_path)
    assert done.returncode == 0
    assert [(row["arn"].rsplit(":", 1)[1], row["kind"]) for row in rows(done)] == [
        ("role/web", "mixed"),
        ("user/erin", "human"),
    ]
    assert "principals  2: 1 human, 1 workload" in done.stderr.decode()
    assert len(rows(rolehawk("principals", trail, "--kind", "mixed", cwd=tmp_path))) == 1
    assert len(rows(rolehawk("principals", trail, "--entity", "*user/*", cwd=tmp_path))) == 1
    assert len(rows(rolehawk("principals", trail, "--until", "2024-05-01", cwd=tmp_path))) == 1
    assert len(rows(rolehawk("principals", trail, "--account", "999999999999", cwd=tmp_path))) == 0
    table = rolehawk("principals", trail, "--format", "table", cwd=tmp_path).stdout.decode()
    assert "mixed" in table
    assert "role/web" in table


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "2024-05-02"], ["unfederated-console-login"]),
        (["--since", "2024-05-01T10:00:00Z"], ["machine-role-console", "unfederated-console-login"]),
        (["--until", "2024-05-01"], ["machine-role-console"]),
        (["--until", "2024-05-01T09:59:59Z"], []),
        (["--since", "1h"], ["unfederated-console-login"]),
        (["--until", "1h"], ["machine-role-console"]),
        (["--since", "1d", "--min-severity", "high"], ["machine-role-console"]),
        (["--detector", "unfederated-console-login"], ["unfederated-console-login"]),
        (["--entity", "*:role/we?"], ["machine-role-console"]),
        (["--entity", "*assumed-role/web/visitor"], ["machine-role-console"]),
        (["--entity", "web"], []),
        (["--account", ACCOUNT], ["machine-role-console", "unfederated-console-login"]),
        (["--account", "999999999999"], []),
    ],
)
def test_filters_choose_what_is_shown(trail: Path, tmp_path: Path, options: list[str], expected: list[str]) -> None:
    """Each filter leaves what it should, while the whole trail is read."""
    done = rolehawk("replay", trail, *options, cwd=tmp_path)
    assert names(done) == expected
    assert "7 events" in done.stderr.decode()
    assert (f"{2 - len(expected)} more not shown" in done.stderr.decode()) == (len(expected) < 2)


def test_read_since_limits_what_is_read(trail: Path, tmp_path: Path) -> None:
    """Events from before are not known at all."""
    done = rolehawk("replay", trail, "--read-since", "2024-05-02", cwd=tmp_path)
    assert names(done) == ["unfederated-console-login"]
    assert "1 event " in done.stderr.decode()


def test_settings_are_read_where_they_lie(trail: Path, tmp_path: Path) -> None:
    """rolehawk.toml in the current folder counts, and is named; --settings goes before it."""
    (tmp_path / "rolehawk.toml").write_text("[detectors.machine-role-console]\nenabled = false")
    (tmp_path / "other.toml").write_text("[detectors.machine-role-console]\nseverity = 'critical'")
    done = rolehawk("replay", trail, cwd=tmp_path)
    assert names(done) == ["unfederated-console-login"]
    assert "settings    rolehawk.toml" in done.stderr.decode()
    assert rows(rolehawk("replay", trail, "--settings", "other.toml", cwd=tmp_path))[0]["severity"] == "critical"


def test_history_shows_every_change(trail: Path, tmp_path: Path) -> None:
    """Opened and closed are two lines of one finding; suppressed ones are shown here alone, and idle ones named."""
    done = rolehawk("replay", trail, "--history", cwd=tmp_path)
    told = [(row["detector"], row["revision"], row["status"]) for row in rows(done)]
    assert told == [
        ("machine-role-console", 1, "open"),
        ("unfederated-console-login", 1, "open"),
    ]
    (tmp_path / "rolehawk.toml").write_text(
        "[[suppressions]]\ndetector = 'machine-role-console'\nreason = 'known'\n"
        "[[suppressions]]\ndetector = 'root-use'\nreason = 'drill'\nuntil = 2020-01-01\n"
        "[[suppressions]]\ndetector = 'root-use'\nreason = 'other'"
    )
    assert names(rolehawk("replay", trail, cwd=tmp_path)) == ["unfederated-console-login"]
    done = rolehawk("replay", trail, "--history", "--fail-on", "high", cwd=tmp_path)
    assert done.returncode == 0
    assert [row["close_reason"] for row in rows(done) if row["detector"] == "machine-role-console"] == ["accepted"]
    assert "suppression 2 (root-use: drill) expired on 2020-01-01" in done.stderr.decode()
    assert "suppression 3 (root-use: other) never matched" in done.stderr.decode()


def test_an_inventory_tells_what_was_before(trail: Path, tmp_path: Path) -> None:
    """A role that only a service may assume is a machine's from the first day; what is no inventory is one line."""
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    arn = f"arn:aws:iam::{ACCOUNT}:role/job"
    inventory = {"RoleDetailList": [{"Arn": arn, "RoleName": "job", "AssumeRolePolicyDocument": trust}]}
    (tmp_path / "account.json").write_text(json.dumps(inventory))
    visit = record("ListBuckets", role("job", "visitor"), 60, sessionCredentialFromConsole="true")
    (tmp_path / "visit.json").write_text(json.dumps(visit))
    assert names(rolehawk("replay", "visit.json", cwd=tmp_path)) == []
    assert names(rolehawk("replay", "visit.json", "--inventory", "account.json", cwd=tmp_path)) == [
        "machine-role-console"
    ]
    for path, words in ((trail.name, "no answer of GetAccountAuthorizationDetails"), ("none.json", "No such file")):
        done = rolehawk("replay", "visit.json", "--inventory", path, cwd=tmp_path)
        assert done.returncode == 2
        assert words in complaint(done)


def test_an_inventory_of_keys(trail: Path, tmp_path: Path) -> None:
    """The credential report and ListAccessKeys are told by content; a key whose account nothing tells is one line."""
    key = {
        "UserName": "robot",
        "AccessKeyId": "AKIAIOSFODNN7EXAMPLE",
        "Status": "Active",
        "CreateDate": "2020-01-01T00:00:00Z",
    }
    (tmp_path / "keys.json").write_text(json.dumps({"AccessKeyMetadata": [key]}))
    (tmp_path / "report.csv").write_text(
        f"user,arn,user_creation_time,\nrobot,arn:aws:iam::{ACCOUNT}:user/robot,2020,\n"
    )
    done = rolehawk("replay", trail, "--inventory", "keys.json", cwd=tmp_path)
    assert done.returncode == 2
    assert "AKIAIOSFODNN7EXAMPLE of user robot: nothing tells its account" in complaint(done)
    done = rolehawk("replay", trail, "--inventory", "keys.json", "--inventory", "report.csv", cwd=tmp_path)
    assert done.returncode == 0


def test_files_that_say_what_an_address_is(trail: Path, tmp_path: Path) -> None:
    """They are looked for beside the settings; one that cannot be read is one line that names settings, key and file."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/ip-ranges.json").write_text(
        '{"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "x", "service": "EC2"}]}'
    )
    for key, words in (
        ("aws_ranges", None),
        ("maxmind_asn", "no MaxMind database"),
        ("maxmind_city", "no MaxMind database"),
    ):
        (tmp_path / "etc/rolehawk.toml").write_text(f'[networks]\n{key} = "ip-ranges.json"\n')
        done = rolehawk("replay", trail, "-q", "--settings", "etc/rolehawk.toml", cwd=tmp_path)
        assert done.returncode == (0 if words is None else 2)
        if words is not None:
            assert words in complaint(done)
            assert f"etc/rolehawk.toml: networks.{key}: etc/ip-ranges.json: " in complaint(done)


def test_quiet_says_nothing(trail: Path, tmp_path: Path) -> None:
    """With --quiet stderr stays empty, also on a terminal."""
    assert rolehawk("replay", trail, "--quiet", cwd=tmp_path).stderr == b""
    _, shown = on_terminal("replay", trail, "--quiet", cwd=tmp_path)
    assert "reading" not in shown
    assert "principals" not in shown


@pytest.mark.parametrize(("name", "form"), [("replay", "csv"), ("principals", "csv"), ("replay", "ocsf")])
def test_formats_for_others(trail: Path, tmp_path: Path, name: str, form: str) -> None:
    """CSV and OCSF go to a pipe and into a file as the same bytes, one for each finding or principal."""
    done = rolehawk(name, trail, "--format", form, cwd=tmp_path)
    assert done.returncode == 0
    rolehawk(name, trail, "--format", form, "-o", "out", cwd=tmp_path)
    assert (tmp_path / "out").read_bytes() == done.stdout
    assert done.stdout.count(b"\n") == 2 + (form == "csv")
    if form == "ocsf":
        assert [row["class_uid"] for row in rows(done)] == [2004, 2004]


def test_stdin_is_a_path(trail: Path, tmp_path: Path) -> None:
    """A trail can come through a pipe."""
    assert len(names(rolehawk("replay", "-", cwd=tmp_path, stdin=trail.read_bytes()))) == 2


# One finding's story


def test_explain_tells_a_story(trail: Path, tmp_path: Path) -> None:
    """A finding is found by its id or the first six characters of it, in capitals too, and told in one object."""
    finding = rows(rolehawk("replay", trail, cwd=tmp_path))[0]
    for prefix in (finding["finding_id"], finding["finding_id"][:6].upper()):
        done = rolehawk("explain", prefix, trail, cwd=tmp_path)
        assert done.returncode == 0
        (told,) = rows(done)
        assert told["finding"] == finding
        assert [hop["arn"] for hop in told["lineage"]] == [finding["actor"]["arn"]]
        assert [step["event_name"] for step in told["timeline"]["events"]] == ["ListBuckets"]
    assert "7 events" in done.stderr.decode()
    assert rolehawk("explain", prefix, trail, "-o", "story", cwd=tmp_path).returncode == 0
    assert (tmp_path / "story").read_bytes() == done.stdout


def test_explain_names_the_person_behind(tmp_path: Path) -> None:
    """Who switched into a machine's role stands at the root, though the edge that leads there has long been let go."""
    sample = ROOT / "examples/sample-trail/AWSLogs"
    (told,) = rows(rolehawk("explain", "d1e10e", sample, cwd=tmp_path))
    person, machine = told["lineage"]
    assert person["arn"].endswith(":user/paulkeller")
    assert person["class"] == "human"
    assert machine["how"] in ("AssumeRole", "SwitchRole")
    assert machine["class"] == "workload"
    steps = {step["event_id"]: step for step in told["timeline"]["events"]}
    assert machine["event_id"] in steps
    assert person["arn"] == told["finding"]["actor"]["origin"]


def test_explain_is_a_page_on_a_terminal(trail: Path, tmp_path: Path) -> None:
    """On a terminal the story is a page as wide as it, from the title to what to do; the summary comes after it."""
    prefix = rows(rolehawk("replay", trail, cwd=tmp_path))[0]["finding_id"][:12]
    for columns in (80, 200):
        status, shown = on_terminal(
            "explain", prefix, trail, "--no-progress", cwd=tmp_path, columns=columns, NO_COLOR="1"
        )
        assert status == 0
        lines = [line.rstrip() for line in shown.splitlines()]
        assert lines[0] == "HIGH  Machine role web used from the console"
        assert lines.index("Who") < lines.index("Lineage") < lines.index("Timeline (UTC)") < lines.index("What to do")
        assert lines.index("ATT&CK") < next(n for n, line in enumerate(lines) if line.startswith("read   "))
        assert all(len(line) <= columns for line in lines)
        assert "\x1b" not in shown
    _, coloured = on_terminal("explain", prefix, trail, cwd=tmp_path)
    assert "\x1b[1;31mHIGH" in coloured


def test_the_report_is_one_page(trail: Path, tmp_path: Path) -> None:
    """`--format html` has both findings with what happened around them; the same trail makes the same bytes."""
    for name in ("one.html", "two.html"):
        assert rolehawk("replay", trail, "--format", "html", "-o", name, cwd=tmp_path).returncode == 0
    page = (tmp_path / "one.html").read_text()
    assert page == (tmp_path / "two.html").read_text()
    assert page.startswith("<!doctype html>")
    assert page.count("<article") == page.count("<details open>") == 2
    assert "1 file, 7 events" in page


def test_the_report_chooses_as_the_table_does(trail: Path, tmp_path: Path) -> None:
    """Filters choose findings and principals; --fail-on judges what is shown; stdin is not read twice."""
    erin = rolehawk("replay", trail, "--format", "html", "--entity", "*user/erin", "--fail-on", "medium", cwd=tmp_path)
    assert erin.returncode == 1
    page = erin.stdout.decode()
    assert page.count("<article") == 1
    assert "1 principal" in page
    piped = rolehawk("replay", "-", "--format", "html", cwd=tmp_path, stdin=trail.read_bytes()).stdout.decode()
    assert piped.count("<article") == 2
    assert "<details open>" not in piped


def test_a_story_is_a_page_too(trail: Path, tmp_path: Path) -> None:
    """`explain --format html` writes the one story."""
    (finding, _) = rows(rolehawk("replay", trail, cwd=tmp_path))
    page = rolehawk("explain", finding["finding_id"], trail, "--format", "html", cwd=tmp_path).stdout.decode()
    assert page.count("<article") == 1
    assert "<details open>" in page


def test_explain_names_candidates(trail: Path, tmp_path: Path) -> None:
    """Where no finding has that id, those that there are get named; nothing goes to stdout, no file is made."""
    done = rolehawk("explain", "000000", trail, "-q", "-o", "story", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.search(
        "no finding 000000 among the 2 of the trail: [0-9a-f]{12} Machine role web used .*; [0-9a-f]{12} IAM user erin",
        complaint(done),
    )
    assert [path.name for path in tmp_path.iterdir()] == ["trail.json"]


# Files


def test_output_file_is_written_whole(trail: Path, tmp_path: Path) -> None:
    """-o holds the same bytes as stdout, JSON lines unless told otherwise, and leaves nothing else behind."""
    done = rolehawk("replay", trail, "-o", "found.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "found.jsonl").read_bytes() == rolehawk("replay", trail, "-o", "-", cwd=tmp_path).stdout
    rolehawk("replay", trail, "-o", "found.txt", "--format", "table", cwd=tmp_path)
    assert (tmp_path / "found.txt").read_text().startswith("severity")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.jsonl", "found.txt", "trail.json"]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    """Where nothing can be read, the file from last time stays as it was."""
    (tmp_path / "found.jsonl").write_text("old")
    done = rolehawk("replay", "nothing", "-o", "found.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert (tmp_path / "found.jsonl").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["found.jsonl"]


def test_whole_file_keeps_mode_and_links(tmp_path: Path) -> None:
    """A file that is replaced keeps its mode, a link to it stays a link, and an exception leaves all as it was."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)

    def fail() -> None:
        with WholeFile(link) as file:
            file.write(["half"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert real.read_text() == "old"
    with WholeFile(link) as file:
        file.write(["new"])
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(tmp_path.iterdir()) == [link, real]


def test_a_device_is_written_and_not_replaced(trail: Path, tmp_path: Path) -> None:
    """-o /dev/null stays a device."""
    assert rolehawk("replay", trail, "-o", "/dev/null", cwd=tmp_path).returncode == 0
    assert Path("/dev/null").is_char_device()


def test_rejects_are_kept_in_full(broken: Path, tmp_path: Path) -> None:
    """Each rejected record goes to --rejects with file, record, reason and its bytes; the summary names it safely."""
    done = rolehawk("replay", broken, "--rejects", "rejects.jsonl", cwd=tmp_path)
    assert done.returncode == 0
    assert len(names(done)) == 2
    (row,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert list(row) == ["file", "record", "field", "reason", "content", "encoding"]
    assert row["file"].endswith("broken.jsonl")
    assert row["encoding"] == "base64"
    assert b'{"eventTime": \xff' in b64decode(row["content"])
    summary = done.stderr.decode()
    assert "REJECTED    1 record" in summary
    assert "broken.jsonl, record" in summary
    assert "\x1b" not in summary


def test_rejects_are_kept_when_nothing_is_readable(tmp_path: Path) -> None:
    """They say why nothing was."""
    (tmp_path / "bad.jsonl").write_bytes(b"{nonsense\n")
    done = rolehawk("replay", "bad.jsonl", "--rejects", "rejects.jsonl", cwd=tmp_path)
    assert done.returncode == 2
    assert "bad.jsonl: no CloudTrail event could be read" in done.stderr.decode()
    assert json.loads((tmp_path / "rejects.jsonl").read_text().splitlines()[0])["file"].endswith("bad.jsonl")


@pytest.mark.parametrize(
    ("content", "written", "encoding"),
    [(b'{"a": "\x1b"}', '{"a": "\x1b"}', "utf-8"), (b"\xff\xfe", "//4=", "base64"), (b"", "", "utf-8")],
)
def test_content_that_is_no_text_is_base64(content: bytes, written: str, encoding: str) -> None:
    """No byte of a rejected record is lost, and a file's name may be any bytes."""
    row = rejected_row(Rejected("na\udcffme", 3, "eventTime", "no instant", content))
    assert (row["content"], row["encoding"], row["file"]) == (written, encoding, "na\\udcffme")


# Exit status


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([], 0),
        (["--fail-on", "high"], 1),
        (["--fail-on", "critical"], 0),
        (["--fail-on", "low", "--detector", "unfederated-console-login"], 1),
        (["--fail-on", "high", "--detector", "unfederated-console-login"], 0),
        (["--strict"], 3),
        (["--strict", "--fail-on", "high"], 1),
    ],
)
def test_exit_status(broken: Path, tmp_path: Path, options: list[str], status: int) -> None:
    """1 for findings shown at or above --fail-on, 3 for rejected records with --strict, 1 where both hold."""
    assert rolehawk("replay", broken, *options, cwd=tmp_path).returncode == status


def test_shadow_does_not_fail() -> None:
    """A finding in shadow counts for no exit status."""
    (finding,) = run(TRAIL, only="machine-role-console").findings()
    options = Options(paths=(), fail_on="high", strict=True)
    assert status_of(options, Summary(), [finding]) == 1
    assert status_of(options, Summary(), [msgspec.structs.replace(finding, stage="shadow")]) == 0
    assert status_of(options, Summary(rejected=1), []) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], None),
        (["replay"], "Missing argument 'PATH...'"),
        (["replya"], "No such command 'replya'"),
        (["replay", "x", "--formt", "jsonl"], "No such option: --formt"),
        (["replay", "x", "--format", "xml"], "'xml' is not one of 'table', 'jsonl'"),
        (["principals", "x", "--format", "markdown"], "'markdown' is not one of"),
        (["replay", "x", "--since", "yesterday"], "'--since': 'yesterday' is no time; write it like 2024-05-01"),
        (["replay", "x", "--since", "2024-05-02", "--until", "2024-05-01"], "--since is later than --until"),
        (["replay", "x", "--read-since", "90d"], "counts back from the last event"),
        (["replay", "x", "--account", "prod"], "--account: 'prod' is no account id of 12 digits"),
        (["replay", "x", "--detector", "root-usage"], "no detector 'root-usage'; the nearest is 'root-use'"),
        (["replay", "x", "--min-severity", "urgent"], "'urgent' is not one of 'critical'"),
        (["replay", "x", "--settings", "no.toml"], "no.toml: No such file or directory"),
        (["replay", "x", "-o", "no/folder"], "no/folder: No such file or directory"),
        (["replay", "x", "-o", "."], ".: is a folder"),
        (["replay", "x", "-o", "y", "--rejects", "./y"], "-o and --rejects name the same file"),
        (["detectors", "x"], "unexpected extra argument"),
        (["explain", "2f6c1a"], "Missing argument 'PATH...'"),
        (["explain", "2f6c1", "x"], "'2f6c1' is no finding's id: 6 to 32 characters of 0-9 and a-f"),
        (["explain", "orders-api", "x"], "'orders-api' is no finding's id"),
        (["explain", "2f6c1a", "-"], "PATH is read twice, so it cannot be stdin"),
        (["explain", "2f6c1a", "x", "--format", "csv"], "'csv' is not one of 'table', 'jsonl'"),
        (["replay", "x", "--\x1b[31m"], "--\\x1b[31m"),
    ],
)
def test_wrong_usage_is_one_line(tmp_path: Path, arguments: list[str], words: str | None) -> None:
    """Wrong usage ends with 2, nothing on stdout, and one line that names what is wrong; no command at all gets help."""
    done = rolehawk(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    if words is None:
        assert done.stderr.startswith(b"Usage: rolehawk")
    else:
        assert words in complaint(done)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[networks]\nofice = []", "s.toml: networks.ofice: unknown key; the nearest known is 'office'"),
        (b"[detectors.root-use]\nsevrity = 'low'", "s.toml: detectors.root-use.sevrity: unknown key"),
        (b"a = \xff", "s.toml: not UTF-8"),
        (b"a = [", "s.toml: "),
        (b'"\\u001b[31m" = 1', "s.toml: \\x1b[31m: unknown key"),
    ],
)
def test_bad_settings_are_one_line(trail: Path, tmp_path: Path, content: bytes, words: str) -> None:
    """Bad settings end with 2 and a line that names file and key."""
    (tmp_path / "s.toml").write_bytes(content)
    for name in ("replay", "principals"):
        done = rolehawk(name, trail, "--settings", "s.toml", cwd=tmp_path)
        assert done.returncode == 2
        assert words in complaint(done)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A path that is not there ends with 2 and is named, without letting its name touch the terminal."""
    done = rolehawk("replay", "no\x1b[31mthing", cwd=tmp_path)
    assert done.returncode == 2
    assert "no\\x1b[31mthing" in done.stderr.decode()
    assert b"\x1b" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_input_is_not_written_over(trail: Path, tmp_path: Path) -> None:
    """-o on the trail itself is refused before it is too late."""
    before = trail.read_bytes()
    done = rolehawk("replay", trail, "-o", trail, cwd=tmp_path)
    assert done.returncode == 2
    assert "trail.json is both read and written" in complaint(done)
    assert trail.read_bytes() == before


# Pipes and signals


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["replay", "trail.json"], 0),
        (["replay", "trail.json", "--fail-on", "high"], 1),
        (["detectors"], 0),
        (["replay", "--help"], 0),
        (["--version"], 0),
    ],
)
def test_stdout_closed_early_is_no_error(trail: Path, tmp_path: Path, arguments: list[str], status: int) -> None:
    """Whoever reads stdout may go away: no traceback, no noise, and the status that it would have been."""
    assert trail.exists()
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            command(*arguments),
            cwd=tmp_path,
            env=environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == status
    assert not re.search(rb"Traceback|Broken|Exception|rolehawk:", done.stderr)


def test_a_full_disk_is_one_line(trail: Path, tmp_path: Path) -> None:
    """Results that stdout does not take end with 2, and it is said."""
    with Path("/dev/full").open("wb") as stdout:
        done = subprocess.run(
            command("replay", trail), cwd=tmp_path, env=environment(), stdout=stdout, stderr=subprocess.PIPE,
            timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert complaint(done) == "rolehawk: stdout: No space left on device"


def heed_interrupts() -> None:
    """Let Ctrl-C count, also where the tests run in the background, for which shells turn it off."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C while it reads ends with 130 and one line; the old files stay and no part of a new one is left."""
    (tmp_path / "found.jsonl").write_text("old")
    with subprocess.Popen(
        command("replay", "-", "-o", "found.jsonl", "--rejects", "rejects.jsonl"), cwd=tmp_path, env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - no thread runs here
    ) as process:  # fmt: skip
        give_up = time.monotonic() + DEADLINE_S
        while not list(tmp_path.glob(".rejects.jsonl.*.part")):  # made just before reading begins
            assert process.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"rolehawk: interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["found.jsonl"]
    assert (tmp_path / "found.jsonl").read_text() == "old"


@pytest.mark.parametrize("module", ["streams.cli", "click", "streams.commands.worker"])
def test_interrupt_while_it_loads(tmp_path: Path, module: str) -> None:
    """Ctrl-C before the command has begun, as the console script runs it: 130 as well, and no traceback."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["rolehawk"]
    code = f"""
import importlib.metadata, sys
class Interrupted:
    def find_spec(self, name, *_):
        if name == {module!r}:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
importlib.metadata.EntryPoint("rolehawk", {entry!r}, "console_scripts").load()()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, timeout=DEADLINE_S, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


# The rest


@pytest.mark.parametrize(
    "arguments", [["--help"], ["replay", "--help"], ["explain", "--help"], ["replay", "x", "--format", "xml"]]
)
def test_help_loads_neither_engine_nor_rich(tmp_path: Path, arguments: list[str]) -> None:
    """Help and wrong usage come at once: nothing heavy is imported for them."""
    code = f"import sys; from streams.cli import run; run({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )
    loaded = {name.split(".")[0] for name in done.stderr.decode().split()}
    assert "click" in loaded
    assert not loaded & {"rich", "models", "msgspec", "isal", "asyncio"}


def test_version(tmp_path: Path) -> None:
    """--version says which."""
    assert rolehawk("--version", cwd=tmp_path).stdout.startswith(b"rolehawk ")


def test_detectors_lists_the_catalogue(tmp_path: Path) -> None:
    """JSON lines and table follow the settings; markdown is the page, whatever they say."""
    (tmp_path / "rolehawk.toml").write_text("[detectors.root-use]\nenabled = false")
    enabled = {row["name"]: row["enabled"] for row in rows(rolehawk("detectors", cwd=tmp_path))}
    assert Counter(enabled.values()) == {True: len(enabled) - 1, False: 1}
    assert b"off in the settings" in rolehawk("detectors", "--format", "table", cwd=tmp_path).stdout
    page = rolehawk("detectors", "--format", "markdown", cwd=tmp_path).stdout
    assert page == (ROOT / "docs/detectors.md").read_bytes()


@pytest.mark.parametrize(
    ("text", "is_end", "moment"),
    [
        ("1970-01-02", False, Moment(86_400)),
        ("1970-01-02", True, Moment(2 * 86_400 - 1)),
        ("1970-01-01T00:00:10Z", True, Moment(10)),
        ("1970-01-01T01:00:10+01:00", False, Moment(10)),
        ("1970-01-01 00:00:10", False, Moment(10)),
        ("90d", False, Moment(90 * 86_400, is_span=True)),
        ("36h", True, Moment(36 * 3_600, is_span=True)),
    ],
)
def test_when(text: str, is_end: bool, moment: Moment) -> None:
    """Dates, instants and spans are understood; a date that ends a span goes on to its last second."""
    assert When(is_end=is_end).convert(text, None, None) == moment
    assert moment.at(1_000_000_000) == (1_000_000_000 - moment.seconds if moment.is_span else moment.seconds)


@pytest.mark.parametrize("text", ["", "90", "d", "-3d", "90 d", "9999999d", "2024-13-01", "0000-00-00", "٣d", "now"])
def test_when_refuses(text: str) -> None:
    """What is no time is refused in words."""
    with pytest.raises(click.BadParameter, match="is no time"):
        When().convert(text, None, None)


def result_of(engine: Engine, **summary: Any) -> Result:
    """Make a result as a replay would give it."""
    return Result(engine.findings(), engine.principals(), Summary(**summary), engine)


def test_summary_says_all_there_is_to_say() -> None:
    """Every count has its line, with the first few rejected by name; what is zero is left out."""
    engine = run(TRAIL)
    samples = [Rejected(f"a/{n}.json", n, "eventTime", "no instant", b"") for n in range(9)]
    result = result_of(
        engine, files=1234, events=7, duplicates=2, rejected=9, repaired=1, digests=1, insights=3, others=2, first_at=0,
        last_at=86_400, elapsed_s=0.5, samples=samples, detector_errors={"root-use": 2},
    )  # fmt: skip
    assert summary_of(result, result.findings[:1]) == [
        "read        1,234 files, 7 events from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z",
        "left out    2 duplicates, 1 digest file, 3 Insights records, 2 other files",
        "repaired    1 record with an odd value, read all the same",
        "REJECTED    9 records could not be read; --rejects FILE keeps all",
        *(f"            a/{n}.json, record {n}, eventTime: no instant" for n in range(5)),
        "principals  2: 1 human, 1 workload",
        "findings    1: 1 high; 1 more not shown",
        "took        0.5 s, 14 events per second",
        "FAULT       detector root-use failed on 2 events: findings of it may be missing",
    ]
    assert summary_of(result_of(Engine([])), None) == ["read        0 files, 0 events", "principals  0"]
    assert faults(Summary()) == []
