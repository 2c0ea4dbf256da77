"""Trails into a real Kafka from a bucket, a queue and LookupEvents, over real HTTP: nothing lost, nothing left behind."""

# ruff: noqa: S603 - every process here is rolehawk itself
from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Self
from urllib.parse import quote_plus
from urllib.request import urlopen

import boto3
import pytest

from models.record import epoch
from streams.broker import Broker
from streams.checkpoint import Checkpoint, CheckpointError
from streams.ingest import Request, ingest
from streams.kafka import Cluster
from streams.pipe import Summary
from streams.sources.sqs import NoticeError, objects_in
from tests.conftest import SECRET
from tests.records import ACCOUNT, OTHER_ACCOUNT, Json, instance_call
from tests.records import time as minute
from tests.streams.test_ingest import command, environment, run
from tests.streams.topics import DEADLINE_S, Topics, log_file

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType


def key(account: str, number: int) -> str:
    """Name the log file that was delivered so many minutes after the start."""
    at = datetime.fromtimestamp(epoch(minute(number)), UTC)
    return (
        f"AWSLogs/{account}/CloudTrail/eu-west-1/{at:%Y/%m/%d}/"
        f"{account}_CloudTrail_eu-west-1_{at:%Y%m%dT%H%MZ}_{number:016}.json.gz"
    )


class Trail:
    """A bucket with a trail of two accounts, and what is in it."""

    def __init__(self, s3: S3Client) -> None:
        self.s3 = s3
        self.records: list[Json] = []
        s3.create_bucket(Bucket="trail", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    def put(self, number: int, account: str = ACCOUNT, count: int = 5) -> str:
        """Store a log file with events of the minutes before it; gives its key."""
        records = [
            instance_call(number - n, recipientAccountId=account, requestParameters={"n": number}) for n in range(count)
        ]
        self.s3.put_object(Bucket="trail", Key=key(account, number), Body=log_file(*records))
        self.records += records
        return key(account, number)

    @property
    def ids(self) -> list[str]:
        """List the events that are in it."""
        return sorted(each["eventID"] for each in self.records)


@pytest.fixture
def trail(aws: str) -> Trail:
    """Give an empty trail."""
    return Trail(boto3.client("s3", endpoint_url=aws))


class Queue:
    """A queue that is told of new log files."""

    def __init__(self, sqs: SQSClient) -> None:
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName="new-log-files", Attributes={"VisibilityTimeout": "8"})["QueueUrl"]

    def tell(self, body: object) -> None:
        """Put a message into it."""
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body if isinstance(body, str) else json.dumps(body))

    @property
    def left(self) -> int:
        """Count the messages that are in it, those that somebody has among them."""
        return self._count("ApproximateNumberOfMessages") + self.hidden

    @property
    def hidden(self) -> int:
        """Count the messages that somebody has."""
        return self._count("ApproximateNumberOfMessagesNotVisible")

    def _count(self, name: QueueAttributeNameType) -> int:
        return int(self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])["Attributes"][name])


@pytest.fixture
def queue(aws: str) -> Queue:
    """Give an empty queue."""
    return Queue(boto3.client("sqs", endpoint_url=aws))


def s3_event(*keys: str, name: str = "ObjectCreated:Put") -> Json:
    """Write what S3 says of objects."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3", "eventName": name, "awsRegion": "eu-west-1",
                "s3": {"bucket": {"name": "trail"}, "object": {"key": quote_plus(each, safe="/"), "size": 100}},
            }
            for each in keys
        ]
    }  # fmt: skip


def by_sns(message: object) -> Json:
    """Wrap a message as SNS does."""
    return {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Message": json.dumps(message),
    }


FORMS: dict[str, Callable[[str], Json]] = {
    "S3 event": s3_event,
    "S3 event by SNS": lambda key: by_sns(s3_event(key)),
    "CloudTrail by SNS": lambda key: by_sns({"s3Bucket": "trail", "s3ObjectKey": [key]}),
    "CloudTrail by SNS, raw": lambda key: {"s3Bucket": "trail", "s3ObjectKey": [key]},
    "EventBridge": lambda key: {
        "detail-type": "Object Created", "source": "aws.s3",
        "detail": {"bucket": {"name": "trail"}, "object": {"key": key, "size": 100}},
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_notification_names_its_object(form: str) -> None:
    """The same object by every way in which AWS tells of it."""
    (found,) = objects_in(json.dumps(FORMS[form]("a folder/b+c=1.json.gz")))
    assert found.url == "s3://trail/a folder/b+c=1.json.gz"


@pytest.mark.parametrize(
    "body",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "trail"},
        {"Type": "Notification", "Message": "CloudTrail validation message."},
        s3_event("a.json.gz", name="ObjectRemoved:Delete"),
        s3_event(f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/eu-west-1/a.json.gz"),
        {"detail-type": "Object Deleted", "detail": {"bucket": {"name": "b"}, "object": {"key": "k"}}},
        {"Records": []},
    ],
)
def test_some_messages_name_nothing(body: Json) -> None:
    """Test messages, removals and digests are no log files, and nothing is wrong with them."""
    assert not objects_in(json.dumps(body))


@pytest.mark.parametrize(
    "body",
    ["", "no JSON", "[]", "{}", '{"Records": [{}]}', '{"Records": 1}', '{"s3Bucket": "b", "s3ObjectKey": [1]}', "[" * 9_000,
     json.dumps(by_sns(by_sns(by_sns(by_sns(s3_event("a"))))))],
)  # fmt: skip
def test_other_messages_are_refused(body: str) -> None:
    """What names no object in any known way is refused, however odd."""
    with pytest.raises(NoticeError):
        objects_in(body)


def test_a_bucket_is_read_once(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """All objects arrive; the next run reads what is new; another topic starts from the beginning."""
    for number in range(0, 60, 10):
        trail.put(number)
        trail.put(number + 5, OTHER_ACCOUNT)
    trail.s3.put_object(Bucket="trail", Key="AWSLogs/README.txt", Body=b"not a log file")
    first = run(topics, "s3://trail/AWSLogs", state=tmp_path)
    assert sorted(topics.written().ids) == trail.ids
    assert (first.sent, first.files, first.others) == (60, 12, 1)
    assert topics.written().ticks == [(partition, epoch(minute(55))) for partition in range(3)]
    trail.put(90)
    second = run(topics, "s3://trail/AWSLogs", state=tmp_path)
    assert (second.sent, second.files) == (5, 1)
    assert sorted(topics.written().ids) == trail.ids
    third = run(topics, "s3://trail/AWSLogs", state=tmp_path)
    assert (third.sent, third.last_at) == (0, epoch(minute(90)))
    other = Topics(topics.bootstrap, f"{topics.unique}-other")
    assert run(other, "s3://trail/AWSLogs", state=tmp_path).sent == 65


def test_an_account_of_many_regions_is_put_in_order(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """Listed region by region, an account's events arrive in time order all the same."""
    records = [instance_call(n) for n in range(120)]
    for region in ("eu-west-1", "us-east-1"):
        for number in range(0, 120, 20):
            name = key(ACCOUNT, number + 20).replace("eu-west-1", region)
            own = [each for n, each in enumerate(records[number : number + 20]) if n % 2 == (region == "us-east-1")]
            trail.s3.put_object(Bucket="trail", Key=name, Body=log_file(*own))
    run(topics, "s3://trail/", state=tmp_path)
    assert topics.written().ids == [each["eventID"] for each in records]


def test_a_bad_object_is_told_and_stops_nothing(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """Damaged gzip, a bad record, an empty object: named in the rejected, the rest arrives."""
    trail.put(0)
    trail.s3.put_object(Bucket="trail", Key=key(ACCOUNT, 10), Body=log_file(instance_call(10))[:-30])
    trail.s3.put_object(Bucket="trail", Key=key(ACCOUNT, 20), Body=log_file({"eventName": "GetObject"}))
    trail.s3.put_object(Bucket="trail", Key=key(ACCOUNT, 30), Body=b"")
    trail.put(40)
    summary = run(topics, "s3://trail/AWSLogs", state=tmp_path)
    written = topics.written()
    assert set(trail.ids) <= set(written.ids)
    assert summary.rejected == len(written.rejected)
    assert {each["file"] for each in written.rejected} == {f"s3://trail/{key(ACCOUNT, number)}" for number in (10, 20)}
    assert run(topics, "s3://trail/AWSLogs", state=tmp_path).files == 0


def test_a_source_is_read_by_one_at_a_time(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """While one ingest has the checkpoint of a source, another is told so."""
    trail.put(0)
    name = f"s3://trail/ trail-{topics.unique} {topics.bootstrap}"
    with Checkpoint(tmp_path, name), pytest.raises(CheckpointError, match="another ingest is reading this source"):
        run(topics, "s3://trail/", state=tmp_path)
    assert run(topics, "s3://trail/", state=tmp_path).sent == 5


def test_events_before_the_date_are_left_out(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """With a date to read since, objects are done with all the same."""
    trail.put(4)
    assert run(topics, "s3://trail/", state=tmp_path, read_since=epoch(minute(3))).sent == 2
    assert run(topics, "s3://trail/", state=tmp_path).files == 0


def test_a_bucket_that_is_not_there(aws: str, topics: Topics, tmp_path: Path) -> None:
    """The command says so in one line, says where progress is kept, and shows no credential."""
    done = subprocess.run(
        command(topics, tmp_path, f"s3://nowhere/{aws[-4:]}", "--state", tmp_path / "state"),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"rolehawk: s3://nowhere/{aws[-4:]}: no such bucket"
    assert SECRET not in done.stderr


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    give_up_at = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


class Running:
    """An ingest of a queue that runs until it is told to stop."""

    def __init__(self, topics: Topics, queue: Queue) -> None:
        self.stopping = Event()
        self.summary = Summary()
        self.counted: dict[str, int] = {}
        settings = topics.settings
        self.request = Request(
            sources=(f"sqs://{queue.url}",),
            settings=settings,
            cluster=Cluster.of(settings),
            stopping=self.stopping,
            on_count=self.count,
        )
        self.thread = Thread(target=self.run)

    def count(self, outcome: str, records: int) -> None:
        """Count what became of records."""
        self.counted[outcome] = self.counted.get(outcome, 0) + records

    def run(self) -> None:
        """Ingest."""
        self.summary = ingest(self.request)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop in good order."""
        self.stopping.set()
        self.thread.join()


def test_a_queue_is_followed(trail: Trail, queue: Queue, topics: Topics) -> None:
    """Log files that a queue tells of, in every form, arrive; the messages are gone when they have."""
    queue.tell({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "trail"})
    for number, form in enumerate(FORMS):
        queue.tell(FORMS[form](trail.put(number * 10)))
    with Running(topics, queue) as running:
        until(lambda: queue.left == 0)
        queue.tell(s3_event(trail.put(100), trail.put(105)))
        until(lambda: queue.left == 0)
    assert sorted(topics.written().ids) == trail.ids
    assert not topics.written().ticks
    assert running.counted == {"sent": 35}
    assert running.summary.deleted == 7


def test_poison_in_a_queue_stops_nothing(trail: Trail, queue: Queue, topics: Topics) -> None:
    """What is no notification, and an object that is gone, are rejected by name and not read over and over."""
    queue.tell("no JSON")
    queue.tell(s3_event(key(ACCOUNT, 50)))
    queue.tell(s3_event(trail.put(10)))
    with Running(topics, queue):
        until(lambda: queue.left == 0)
    written = topics.written()
    assert sorted(written.ids) == trail.ids
    assert sorted(each["reason"].partition(";")[0] for each in written.rejected) == [
        "could not be read: no such object",
        "no JSON",
    ]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_metrics_and_stops_in_good_order(
    trail: Trail, queue: Queue, topics: Topics, tmp_path: Path, stop: signal.Signals
) -> None:
    """`rolehawk ingest --sqs` counts what it sends; told to stop it ends well, with nothing left in the queue."""
    line = command(topics, tmp_path, "--sqs", queue.url, "--listen", "127.0.0.1:0")
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    address = process.stderr.readline().split()[1]
    queue.tell(s3_event(trail.put(10)))

    def served() -> str:
        with urlopen(address) as answer:  # noqa: S310 - it is ours
            return str(answer.read().decode())

    until(lambda: 'rolehawk_ingest_events_total{outcome="sent"} 5.0' in served())
    process.send_signal(stop)
    _, said = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    assert "deleted     1 message of the queue" in said
    assert queue.left == 0


@pytest.mark.long
def test_killed_between_s3_and_kafka_a_queue_loses_nothing(
    trail: Trail, queue: Queue, own_broker: Broker, unique: str, tmp_path: Path
) -> None:
    """Killed when it had read log files that Kafka had not taken, it leaves the messages in the queue; the next run has all."""
    topics = Topics(own_broker.bootstrap, unique)
    line = [*command(topics, tmp_path, "--sqs", queue.url)]
    queue.tell(s3_event(trail.put(0)))
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    until(lambda: queue.left == 0)
    own_broker.kill()
    for number in range(10, 200, 10):
        queue.tell(s3_event(trail.put(number)))
    until(lambda: queue.hidden > 0)  # it has them, and nowhere to put what they tell of
    time.sleep(1)
    process.kill()
    process.communicate()
    assert queue.left == 19
    own_broker.start()
    with Running(topics, queue):
        until(lambda: queue.left == 0)
    assert set(topics.written().ids) == set(trail.ids)


@pytest.mark.long
def test_killed_at_any_moment_a_bucket_is_read_to_its_end(trail: Trail, topics: Topics, tmp_path: Path) -> None:
    """Killed again and again in the middle of a backfill, it sends what Kafka had not acknowledged, and little twice."""
    for number in range(1_000):
        trail.put(number, count=10)
    line = command(topics, tmp_path, "s3://trail/AWSLogs", "--state", tmp_path / "state")
    for kill in range(1, 6):
        process = subprocess.Popen(line, env=environment(), stderr=subprocess.DEVNULL)
        until(lambda: process.poll() is not None or topics.ends() > kill * 8)  # noqa: B023 - asked at once
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
        process.wait()
    assert set(topics.written().ids) < set(trail.ids)
    done = subprocess.run(line, env=environment(), stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = topics.written().ids
    assert set(written) == set(trail.ids)
    assert len(written) < 2 * len(trail.ids)
