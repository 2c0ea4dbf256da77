"""Trails in S3: a bucket's objects listed and read as they stream.

Credentials, region and endpoint are boto3's own business (environment, profile, role). Digest and Insights files are
left out by their names.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self

from streams.sources.aws import AwsError, client, told

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

SCHEME: Final = "s3://"
MAX_TRIES: Final = 4  # to read on where a connection broke off
FETCHED_AT_ONCE: Final = 8  # objects; S3 takes its time over each, but not over many
MAX_FETCHED: Final = 8 * 1024 * 1024  # bytes of an object that is fetched whole, ahead of its turn
_LATE_S: Final = 2_700  # how long after an event its file is delivered at worst: 45 minutes
# AccountId_CloudTrail_Region_YYYYMMDDTHHmmZ_Unique.json.gz, by when it was delivered.
# Source: AWS CloudTrail user guide, "CloudTrail log file names".
_DELIVERED = re.compile(r"_CloudTrail_[a-z0-9-]+_(\d{8}T\d{4})Z_[^/]*$")
_LEFT_OUT = re.compile(r"/CloudTrail-(?:Digest|Insight)/")


class Object(NamedTuple):
    """An object of a bucket."""

    bucket: str
    key: str
    size: int  # bytes; 0 where nobody said
    delivered_at: int | None  # seconds since 1970, UTC: by its name, else when it was last modified

    @property
    def url(self) -> str:
        """Name it as people do."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    @property
    def begins_at(self) -> int | None:
        """Say from when on its events are, at the earliest; CloudTrail delivers up to 45 minutes late."""
        return None if self.delivered_at is None else self.delivered_at - _LATE_S


class Readable(Protocol):
    """What can be read as a file can."""

    def read(self, count: int, /) -> bytes:
        """Read so many bytes or fewer, none at the end."""


def split(url: str) -> tuple[str, str]:
    """Split ``s3://bucket/prefix`` into bucket and prefix; raises AwsError where there is no bucket."""
    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    if not bucket:
        raise AwsError("no bucket is named; write s3://bucket/prefix")
    return bucket, prefix


def delivered_at(key: str) -> int | None:
    """Say when a log file was delivered, by CloudTrail's way of naming it; None where the name has none."""
    if (match := _DELIVERED.search(key)) is None:
        return None
    with suppress(ValueError):
        return int(datetime.strptime(match[1], "%Y%m%dT%H%M").replace(tzinfo=UTC).timestamp())
    return None


def is_left_out(key: str) -> bool:
    """Say whether a key is no log file: a folder's marker, a digest, Insights events."""
    return key.endswith("/") or _LEFT_OUT.search(f"/{key}") is not None


def listed(url: str, page: int = 1_000) -> Iterator[Object]:
    """List the log files under a prefix, so many objects a page, in the order of their keys; raises AwsError."""
    bucket, prefix = split(url)
    with told():
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": page})
        )
        for each_page in pages:
            for each in each_page.get("Contents", []):
                if not is_left_out(key := each["Key"]):
                    at = delivered_at(key) or int(each["LastModified"].timestamp())
                    yield Object(bucket, key, each["Size"], at)


class Body:
    """An object's bytes as a file to read from; where the connection breaks off it goes on from there."""

    def __init__(self, url: str) -> None:
        self._bucket, self._key = split(url)
        self._at = 0
        self._tag = ""
        self._answer: GetObjectOutputTypeDef | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the connection."""
        if self._answer is not None:
            self._answer["Body"].close()

    def read(self, count: int) -> bytes:
        """Read so many bytes or fewer, none at the end; raises AwsError."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415 - an extra

        tries = 0
        while True:
            with told():
                try:
                    chunk = self._opened()["Body"].read(count)
                except (HTTPClientError, IncompleteReadError):
                    tries += 1
                    if tries == MAX_TRIES:
                        raise
                    self.__exit__()
                    self._answer = None
                    continue
            self._at += len(chunk)
            return chunk

    def _opened(self) -> GetObjectOutputTypeDef:
        if self._answer is None:
            if self._at:
                self._answer = client("s3").get_object(
                    Bucket=self._bucket, Key=self._key, Range=f"bytes={self._at}-", IfMatch=self._tag
                )
            else:
                self._answer = client("s3").get_object(Bucket=self._bucket, Key=self._key)
                self._tag = self._answer["ETag"]
        return self._answer


def fetched(objects: Iterable[Object]) -> Iterator[tuple[Object, Readable]]:
    """Open objects in the order given, several at once ahead of their turn; what is wrong with one its `read` raises."""
    with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
        ahead: deque[tuple[Object, Future[Readable]]] = deque()
        for each in objects:
            ahead.append((each, pool.submit(_fetched, each)))
            if len(ahead) > FETCHED_AT_ONCE:
                first, opened = ahead.popleft()
                yield first, opened.result()
        for first, opened in ahead:
            yield first, opened.result()


def _fetched(each: Object) -> Readable:
    if each.size > MAX_FETCHED:
        return Body(each.url)
    try:
        with Body(each.url) as body:
            return BytesIO(b"".join(iter(lambda: body.read(MAX_FETCHED), b"")))
    except AwsError as error:
        return _Failed(error)


class _Failed:
    """An object that could not be fetched."""

    def __init__(self, error: AwsError) -> None:
        self._error = error

    def read(self, _count: int, /) -> bytes:
        """Raise what was wrong."""
        raise self._error
