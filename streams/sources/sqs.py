"""What SQS says of new log files in S3: the notifications of a bucket or of CloudTrail, straight, by SNS or EventBridge.

Sources: Amazon S3 user guide, "Event message structure"; AWS CloudTrail user guide, "Configuring Amazon SNS
notifications"; Amazon S3 user guide, "EventBridge event message structure".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

import msgspec

from streams.sources.aws import client, told
from streams.sources.s3 import Object, delivered_at, is_left_out

SCHEME: Final = "sqs://"
WAIT_S: Final = 2  # of one long poll: as long as a stop may take
AT_ONCE: Final = 10  # messages received or deleted in one call: as many as SQS allows
MAX_WRAPPED: Final = 3  # a notification in SNS in EventBridge


class NoticeError(ValueError):
    """A message that names no log files: says why."""


class Notice(NamedTuple):
    """One message of the queue."""

    message_id: str
    receipt_handle: str
    body: str


class Queue:
    """A queue, by its URL or by its name; raises AwsError wherever it is asked for something."""

    def __init__(self, where: str) -> None:
        where = where.removeprefix(SCHEME)
        if where.startswith(("https://", "http://")):
            self.url = where
        elif "/" in where:
            self.url = f"https://{where}"
        else:
            with told():
                self.url = client("sqs").get_queue_url(QueueName=where)["QueueUrl"]

    def receive(self) -> list[Notice]:
        """Wait some seconds for messages; gives none where none came."""
        with told():
            answer = client("sqs").receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=WAIT_S
            )
        return [Notice(each["MessageId"], each["ReceiptHandle"], each["Body"]) for each in answer.get("Messages", [])]

    def delete(self, handles: list[str]) -> int:
        """Delete messages; gives how many could not be, which will come again."""
        failed = 0
        for at in range(0, len(handles), AT_ONCE):
            with told():
                answer = client("sqs").delete_message_batch(
                    QueueUrl=self.url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": handle}
                        for number, handle in enumerate(handles[at : at + AT_ONCE])
                    ],
                )
            failed += len(answer.get("Failed", []))
        return failed


def objects_in(body: str) -> list[Object]:
    """List the log files that a message names; digests, Insights, removals and test messages name none.

    Raises NoticeError where the message is something else.
    """
    return [each for each in _named(_decoded(body), 0) if not is_left_out(each.key)]


def _decoded(text: str) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise NoticeError("no JSON") from None
    if not isinstance(value, dict):
        raise NoticeError("no JSON object")
    return value


def _named(value: dict[str, Any], depth: int) -> Iterator[Object]:
    match value:
        case {"Records": list(records)}:
            yield from _in_s3_event(records)
        case {"s3Bucket": str(bucket), "s3ObjectKey": [*keys]}:  # CloudTrail's own
            yield from (_object(bucket, key, 0) for key in keys)
        case {"detail": {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **about}}, **envelope}:
            if envelope.get("detail-type") in (None, "Object Created"):
                yield _object(bucket, key, about.get("size"))
        case {"Message": str(message)} if depth < MAX_WRAPPED:
            if message != "CloudTrail validation message.":
                yield from _named(_decoded(message), depth + 1)
        case {"Event": "s3:TestEvent"}:
            return
        case _:
            raise NoticeError("no notification of S3 or CloudTrail")


def _in_s3_event(records: Iterable[Any]) -> Iterator[Object]:
    for record in records:
        match record:
            case {"s3": {"bucket": {"name": str(bucket)}, "object": {"key": str(key), **about}}}:
                if str(record.get("eventName", "ObjectCreated")).removeprefix("s3:").startswith("ObjectCreated"):
                    yield _object(bucket, unquote_plus(key), about.get("size"))
            case _:
                raise NoticeError("a record that names no object of S3")


def _object(bucket: str, key: object, size: object) -> Object:
    if not isinstance(key, str):
        raise NoticeError("a key that is no string")
    return Object(bucket, key, size if isinstance(size, int) else 0, delivered_at(key))
