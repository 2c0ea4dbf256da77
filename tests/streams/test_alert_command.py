"""rolehawk alert in a process of its own: over pipes and files, killed at any moment, and on a real Kafka."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
import urllib3

from demo.pagerduty import Mood, PagerDuty
from models.finding import Finding
from models.record import iso
from models.settings import Settings
from streams.kafka import Cluster
from tests.conftest import SharedBroker
from tests.findings import KEY, finding
from tests.streams.test_cli import DEADLINE_S, command, environment

SETTINGS = """
[[routes]]
sink = "oncall"
severity = "medium"
[sinks.oncall]
type = "pagerduty"
url = "{url}"
routing_key_env = "ROUTING_KEY"
timeout_s = 30
"""


@pytest.fixture
def server() -> Iterator[PagerDuty]:
    """Give a PagerDuty."""
    with PagerDuty() as made:
        yield made


@pytest.fixture
def here(tmp_path: Path, server: PagerDuty) -> Path:
    """Give a folder with settings that lead to that PagerDuty."""
    (tmp_path / "rolehawk.toml").write_text(SETTINGS.format(url=server.url))
    return tmp_path


def fresh(name: str = "a", revision: int = 1, **changes: Any) -> Finding:
    """Make a finding of just now."""
    return finding(name, revision, **{"updated_at": iso(int(time.time())), **changes})


def written(*changes: Finding) -> bytes:
    """Write findings as JSON lines."""
    return b"".join(msgspec.json.encode(each) + b"\n" for each in changes)


def alert(*arguments: str, here: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = subprocess.run(
        command("alert", *arguments), cwd=here, env=environment(ROUTING_KEY=KEY), input=stdin, capture_output=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def started(*arguments: str, here: Path, stdin: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start the command."""
    with (here / "stderr").open("ab") as stderr:
        return subprocess.Popen(
            command("alert", *arguments), cwd=here, env=environment(ROUTING_KEY=KEY), stdin=stdin,
            stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip


def wait_for(condition: Callable[[], object], here: Path) -> None:
    """Wait until something is so."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up_at, (here / "stderr").read_text()
        time.sleep(0.01)


def test_findings_of_a_file_are_told_once(here: Path, server: PagerDuty) -> None:
    """Told, summed up, and not told again; the end is told later, from stdin; what no route names is counted."""
    (here / "found.jsonl").write_bytes(written(fresh("a"), fresh("b", severity="low"), fresh("c")))
    first = alert("found.jsonl", "--state", "state", here=here)
    assert (first.returncode, first.stdout) == (0, "")
    assert first.stderr.splitlines() == ["read        3 findings, 1 for no route", "oncall      2 delivered"]
    again = alert("found.jsonl", "--state", "state", here=here)
    assert again.stderr.splitlines()[1] == "oncall      nothing to tell"
    over = alert("-", "--state", "state", "-q", here=here, stdin=written(fresh("a", 2, close_reason="quiet")))
    assert (over.returncode, over.stderr) == (0, "")
    assert [event["event_action"] for event in server.events()] == ["trigger", "trigger", "resolve"]
    assert [each.is_open for each in server.incidents].count(True) == 1


def test_a_dry_run_shows_and_does_nothing(here: Path, server: PagerDuty) -> None:
    """What would be sent is printed as JSON lines without the key; there is no state afterwards."""
    shown = alert("-", "--dry-run", here=here, stdin=written(fresh()))
    (line,) = map(json.loads, shown.stdout.splitlines())
    assert (line["sink"], line["action"], line["path"]) == ("oncall", "trigger", "/v2/enqueue")
    assert line["body"]["dedup_key"] == fresh().finding_id
    assert KEY not in shown.stdout + shown.stderr
    assert server.requests == []
    assert {each.name for each in here.iterdir()} == {"rolehawk.toml"}


def test_bad_lines_cost_themselves_alone(here: Path, server: PagerDuty) -> None:
    """Each is named by place and field, the rest is told; --strict says so in the status."""
    stdin = (
        b"{\n" + written(fresh()) + b'{"finding_id": "\x1b[2J"}\n\n' + b"x" * 5_000_000 + b"\n" + written(fresh("b"))
    )
    done = alert("-", "--state", "state", "--strict", here=here, stdin=stdin)
    assert done.returncode == 3
    complaints = [line for line in done.stderr.splitlines() if line.startswith("rolehawk:")]
    assert complaints == [
        "rolehawk: stdin, 1: record: no JSON",
        "rolehawk: stdin, 3: record: Object missing required field `revision`",
        "rolehawk: stdin, 5: longer than 4,194,304 bytes",
    ]
    assert len(server.incidents) == 2


def test_what_was_refused_can_be_seen_and_tried_again(here: Path, server: PagerDuty) -> None:
    """A refusal is status 4; the dead letter has the reason; it is tried again on demand alone."""
    server.moods.append(Mood(400))
    assert alert("-", "--state", "state", here=here, stdin=written(fresh())).returncode == 4
    assert alert("-", "--state", "state", here=here).returncode == 4
    assert len(server.requests) == 1
    (letter,) = map(json.loads, alert("--dead-letters", "--state", "state", here=here).stdout.splitlines())
    assert (letter["sink"], letter["wanted"]) == ("oncall", "trigger")
    assert letter["reason"].startswith("127.0.0.1: 400 Bad Request")
    assert letter["body"]["finding_id"] == fresh().finding_id
    assert alert("-", "--state", "state", "--retry-dead-letters", here=here).returncode == 0
    assert len(server.incidents) == 1


def test_what_could_not_be_told_waits_for_the_next_run(here: Path, server: PagerDuty) -> None:
    """With no time to wait the status is 4, and the next run tells it."""
    server.moods.append(Mood(503))
    waits = alert("-", "--state", "state", "--wait-minutes", "0.005", here=here, stdin=written(fresh()))
    assert waits.returncode == 4
    assert "1 waiting" in waits.stderr
    assert alert("-", "--state", "state", here=here).returncode == 0
    assert len(server.incidents) == 1


def test_a_sink_that_is_no_more_is_not_waited_for(here: Path, server: PagerDuty) -> None:
    """What waited for a sink that the settings no longer have is counted in the summary, and neither awaited nor failed."""
    server.moods.append(Mood(503))
    assert alert("-", "--state", "state", "--wait-minutes", "0", here=here, stdin=written(fresh())).returncode == 4
    settings = (here / "rolehawk.toml").read_text()
    (here / "rolehawk.toml").write_text(settings.replace("oncall", "other"))
    done = alert("-", "--state", "state", "--wait-minutes", "60", here=here, stdin=written(fresh("b")))
    assert (done.returncode, len(server.incidents)) == (0, 1)
    assert "oncall      1 waiting (no longer in the settings)" in done.stderr.splitlines()


@pytest.mark.parametrize(
    ("toml", "arguments", "complaint"),
    [
        ("", ["-", "--state", "s"], "the settings have no [[routes]]"),
        (SETTINGS, ["-"], "--state DIR is needed"),
        (SETTINGS, ["--dead-letters"], "--state DIR is needed"),
        (SETTINGS, ["--dry-run"], "--state DIR is needed, or --dry-run with PATH: it reads no topic"),
        (SETTINGS.replace('severity = "medium"', 'detector = "root-us"'), ["-", "--state", "s"], "the nearest is 'root-use'"),
        (SETTINGS.replace("ROUTING_KEY", "NO_KEY"), ["-", "--state", "s"], "no environment variable 'NO_KEY'"),
        (SETTINGS + 'ca_file = "no.pem"', ["-", "--state", "s"], "sinks.oncall.ca_file: no.pem: No such file"),
        (SETTINGS + 'ca_file = "rolehawk.toml"', ["-", "--state", "s"], "sinks.oncall.ca_file: rolehawk.toml: "),
        (SETTINGS, ["nowhere.jsonl", "--state", "s"], "nowhere.jsonl: No such file"),
        (SETTINGS, ["-", "--state", "rolehawk.toml"], "rolehawk.toml"),
        (SETTINGS, ["-", "--state", "s", "--listen", "9"], "'9' is no HOST:PORT"),
        (SETTINGS, ["--state", "s"], "no Kafka is named"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, toml: str, arguments: list[str], complaint: str) -> None:
    """Settings, secrets, files and options that do not do: one line, status 2."""
    (tmp_path / "rolehawk.toml").write_text(toml.format(url="https://127.0.0.1:1"))
    done = alert(*arguments, here=tmp_path)
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("rolehawk: ")]
    assert done.returncode == 2
    assert complaint in line


def test_metrics_are_served(here: Path, server: PagerDuty) -> None:
    """Deliveries and what waits are counted by sink and outcome."""
    server.moods += [Mood(400), Mood(503)]
    process = started("-", "--state", "state", "--listen", "127.0.0.1:0", here=here, stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(written(fresh("a"), fresh("b"), fresh("c")))
    process.stdin.flush()
    wait_for(lambda: len(server.incidents) == 2, here)
    (url,) = re.findall(r"http://\S+", (here / "stderr").read_text())
    with urllib3.PoolManager() as pool:
        text = pool.request("GET", url).data.decode()
    for outcome, number in (("failed", 1), ("refused", 1)):
        assert f'rolehawk_alert_deliveries_total{{outcome="{outcome}",sink="oncall"}} {number}.0' in text
    assert 'rolehawk_alert_waiting{sink="oncall"}' in text
    process.stdin.close()
    assert process.wait(DEADLINE_S) == 4


def test_killed_between_delivery_and_commit(here: Path, server: PagerDuty) -> None:
    """PagerDuty has the trigger, we are killed before the answer: afterwards there is one incident, and it is resolved."""
    server.moods.append(Mood(delay_s=5))
    (here / "found.jsonl").write_bytes(written(fresh()))
    process = started("found.jsonl", "--state", "state", here=here)
    wait_for(lambda: server.incidents, here)
    process.kill()
    process.wait()
    assert alert("found.jsonl", "--state", "state", here=here).returncode == 0
    assert alert("found.jsonl", "--state", "state", here=here).returncode == 0
    first, *again = server.events("trigger")
    assert again == [first], "what is in doubt is told again, the same to the byte, so that PagerDuty joins it"
    assert [each.is_open for each in server.incidents] == [True]
    alert("-", "--state", "state", here=here, stdin=written(fresh("a", 2, close_reason="resolved")))
    alert("found.jsonl", "--state", "state", here=here)
    assert [each.is_open for each in server.incidents] == [False]


def test_killed_between_delivery_and_commit_with_a_token(here: Path, server: PagerDuty) -> None:
    """Where PagerDuty can be asked, no second trigger is sent at all."""
    more = f'api_url = "{server.url}"\napi_token_env = "ROUTING_KEY"\n'
    (here / "rolehawk.toml").write_text(SETTINGS.format(url=server.url) + more)
    server.moods.append(Mood(delay_s=5))
    (here / "found.jsonl").write_bytes(written(fresh()))
    process = started("found.jsonl", "--state", "state", here=here)
    wait_for(lambda: server.incidents, here)
    process.kill()
    process.wait()
    for _ in range(2):
        assert alert("found.jsonl", "--state", "state", here=here).returncode == 0
    assert len(server.events("trigger")) == 1


def test_killed_again_and_again(here: Path, server: PagerDuty) -> None:
    """Killed at twenty moments of a run over many findings: each has one incident, and those that are over are resolved."""
    changes = [
        change
        for n in range(40)
        for change in (fresh(str(n)), *([fresh(str(n), 2, close_reason="quiet")] if n % 2 else []))
    ]
    (here / "found.jsonl").write_bytes(written(*(each for each in changes if each.revision == 1)))
    for round_number in range(12):
        server.moods.extend([Mood(delay_s=0.03)] * 10)
        heard = len(server.requests) + round_number % 4
        process = started("found.jsonl", "--state", "state", here=here)
        give_up_at = time.monotonic() + DEADLINE_S
        while len(server.requests) <= heard and process.poll() is None and time.monotonic() < give_up_at:
            time.sleep(0.005)
        process.kill()
        process.wait()
    server.moods.clear()
    assert alert("found.jsonl", "--state", "state", here=here).returncode == 0
    (here / "found.jsonl").write_bytes(written(*changes))
    assert alert("found.jsonl", "--state", "state", here=here).returncode == 0
    assert len(server.incidents) == 40
    over = {fresh(str(n)).finding_id for n in range(1, 40, 2)}
    assert {each.key for each in server.incidents if not each.is_open} == over
    for key in over:
        actions = [event["event_action"] for event in server.events() if event["dedup_key"] == key]
        assert actions[-1] == "resolve"
        assert "trigger" not in actions[actions.index("resolve") :]


def test_the_topic_is_followed_over_a_kill(here: Path, server: PagerDuty, broker: SharedBroker, unique: str) -> None:
    """Findings come from Kafka; killed before its offsets are committed, it tells nothing twice and misses nothing.

    What a stream was seeded with is no page.
    """
    topic = f"findings-{unique}"
    (here / "rolehawk.toml").write_text(SETTINGS.format(url=server.url) + f'[stream.topics]\nfindings = "{topic}"\n')
    cluster = Cluster.of(Settings(), broker.bootstrap)
    cluster.make_topics({topic: 2})
    with cluster.producer() as producer:

        def send(*changes: Finding) -> None:
            for each in changes:
                producer.send(topic, key=each.finding_id.encode(), value=msgspec.json.encode(each))
            producer.flush()

        arguments = ("--state", "state", "--kafka", broker.bootstrap)
        process = started(*arguments, here=here)
        send(*(fresh(str(n)) for n in range(20)))
        producer.send(topic, value=b"{")
        past = fresh("known before", severity="critical")
        producer.send(topic, value=msgspec.json.encode(past), headers=[("rolehawk-history", b"1")])
        producer.flush()
        wait_for(lambda: len(server.incidents) == 20, here)
        process.kill()
        process.wait()
        send(*(fresh(str(n), 2, close_reason="quiet") for n in range(10)), fresh("last"))
        process = started(*arguments, here=here)
        wait_for(lambda: len(server.incidents) == 21 and len(server.open_incidents()) == 11, here)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert len({json.dumps(event) for event in server.events("trigger")}) == len(server.incidents) == 21
    assert len(server.events("resolve")) == 10
    assert re.search(rf"{topic}/[01], [0-9]+: record: no JSON", (here / "stderr").read_text())
    with cluster.consumer(group_id="rolehawk-alert", enable_auto_commit=False) as consumer:
        from kafka import TopicPartition  # noqa: PLC0415 - an extra

        committed = [consumer.committed(TopicPartition(topic, partition)) for partition in (0, 1)]
    assert sum(each or 0 for each in committed) == 33


def test_a_topic_that_is_not_there_yet_is_waited_for(
    here: Path, server: PagerDuty, broker: SharedBroker, unique: str
) -> None:
    """Started before the worker, it says once what it waits for, and hears the first finding."""
    topic = f"later-{unique}"
    (here / "rolehawk.toml").write_text(SETTINGS.format(url=server.url) + f'[stream.topics]\nfindings = "{topic}"\n')
    cluster = Cluster.of(Settings(), broker.bootstrap)
    process = started("--state", "state", "--kafka", broker.bootstrap, here=here)
    said = f"rolehawk: topic {topic} is not there yet, and is waited for: rolehawk worker makes it"
    wait_for(lambda: said in (here / "stderr").read_text(), here)
    cluster.make_topics({topic: 1})
    with cluster.producer() as producer:
        producer.send(topic, value=msgspec.json.encode(fresh()))
        producer.flush()
    wait_for(lambda: server.incidents, here)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0
    assert [line for line in (here / "stderr").read_text().splitlines() if "topic" in line] == [said]


# A program whose sinks are at fault, as only a fault of ours can be.
BREAKS = """
import streams.sinks.pagerduty
def body(self, message):
    raise LookupError("what became of it")
streams.sinks.pagerduty.PagerDuty.body = body
from streams.cli import main
main()
"""


def test_a_courier_that_breaks_ends_the_wait_for_more(here: Path) -> None:
    """A process that can no longer tell anybody says so and ends, though its pipe is open and nothing comes."""
    with subprocess.Popen(
        [sys.executable, "-c", BREAKS, "alert", "-", "--state", "state"], cwd=here, env=environment(ROUTING_KEY=KEY),
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(written(fresh()))
        process.stdin.flush()
        assert process.wait(DEADLINE_S) == 2
        assert process.stderr is not None
        assert process.stderr.read().startswith(b"rolehawk: internal error: LookupError: what became of it")


def test_interrupted_while_it_listens(here: Path, server: PagerDuty) -> None:
    """Ctrl-C and SIGTERM end the wait for a pipe in which nothing comes, at once."""
    for number, asked in enumerate((signal.SIGINT, signal.SIGTERM)):
        process = started("-", "--state", "state", here=here, stdin=subprocess.PIPE)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(written(fresh(str(number))))
            process.stdin.flush()
            wait_for(lambda number=number: len(server.incidents) > number, here)  # type: ignore[misc]
            process.send_signal(asked)
            assert process.wait(DEADLINE_S) == 130


def test_interrupted_while_it_waits(here: Path, server: PagerDuty) -> None:
    """Ctrl-C ends a wait for a sink that is down; what waits is kept."""
    server.moods += [Mood(503)] * 100
    (here / "found.jsonl").write_bytes(written(fresh()))
    process = started("found.jsonl", "--state", "state", here=here)
    wait_for(lambda: server.requests, here)
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    server.moods.clear()
    assert alert("-", "--state", "state", here=here).returncode == 0
    assert len(server.incidents) == 1
    assert os.listdir(here / "state")  # noqa: PTH208 - its names are all that is asked
