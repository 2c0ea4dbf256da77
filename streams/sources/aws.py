"""AWS's clients, and their errors in one line. Credentials, region and endpoint are boto3's own business."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, overload

if TYPE_CHECKING:
    from types_boto3_cloudtrail import CloudTrailClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

_REASONS: Final = {
    "NoSuchBucket": "no such bucket",
    "NoSuchKey": "no such object",
    "404": "no such bucket or object",
    "AccessDenied": "access denied",
    "AccessDeniedException": "access denied",
    "403": "access denied",
    "AWS.SimpleQueueService.NonExistentQueue": "no such queue",
    "QueueDoesNotExist": "no such queue",
}
_GONE: Final = frozenset({"NoSuchKey", "NoSuchBucket", "404"})


class AwsError(OSError):
    """What AWS did not do, in one line; ``is_gone`` where the object or its bucket is not there."""

    def __init__(self, reason: str, *, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.is_gone = is_gone


@overload
def client(service: Literal["s3"], region: str | None = None) -> S3Client: ...
@overload
def client(service: Literal["sqs"], region: str | None = None) -> SQSClient: ...
@overload
def client(service: Literal["cloudtrail"], region: str | None = None) -> CloudTrailClient: ...
def client(
    service: Literal["s3", "sqs", "cloudtrail"], region: str | None = None
) -> S3Client | SQSClient | CloudTrailClient:
    """Give a client that tries again by itself; raises AwsError."""
    with told():
        return _made(service, region, os.environ.get("AWS_ENDPOINT_URL"))


@lru_cache(maxsize=32)
def _made(
    service: Literal["s3", "sqs", "cloudtrail"], region: str | None, _endpoint: str | None
) -> S3Client | SQSClient | CloudTrailClient:
    """Make a client, once for each region and endpoint; boto3 itself reads the endpoint from the environment."""
    import boto3  # noqa: PLC0415 - an extra, which `told` asks for
    from botocore.config import Config  # noqa: PLC0415

    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60)
    return boto3.client(service, region_name=region, config=config)


@contextmanager
def told() -> Iterator[None]:
    """Put what went wrong into an AwsError."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
    except ImportError:
        raise AwsError("needs the extra `aws`: pip install 'rolehawk[aws]'") from None
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise AwsError(_REASONS.get(code) or str(error), is_gone=code in _GONE) from None
    except BotoCoreError as error:
        raise AwsError(str(error)) from None
