"""LookupEvents: the management events of the last 90 days, for those without a trail.

Two calls a second for each account and region, 50 events a call, the newest first; so it is asked for slice by slice.
Source: AWS CloudTrail API reference, "LookupEvents".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from streams.sources.aws import client, told

if TYPE_CHECKING:
    from types_boto3_cloudtrail.type_defs import LookupEventsRequestTypeDef

SCHEME: Final = "lookup://"
KEPT_S: Final = 90 * 86_400  # how far back events are kept
CALLS_A_SECOND: Final = 2
SLICE_S: Final = 3_600  # of event time looked up, and put in order, at once
LATE_S: Final = 3_600  # how late an event may come to be found: what was looked up so lately is looked up again
_PAGE: Final = 50


class Lookup:
    """Asks for the events of one region, at the rate that AWS allows; ``lookup://`` is the region of the environment."""

    def __init__(
        self,
        where: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._region = where.removeprefix(SCHEME).strip("/") or None
        self._clock = clock
        self._sleep = sleep
        self._next_s = clock()
        self.calls = 0

    def pages(self, from_at: int, until_at: int) -> Iterator[bytes]:
        """Give the events from one instant on and before another, newest first, a page at a time; raises AwsError."""
        token = ""
        while True:
            self._wait()
            asked: LookupEventsRequestTypeDef = {
                "StartTime": datetime.fromtimestamp(from_at, UTC),
                "EndTime": datetime.fromtimestamp(until_at - 1, UTC),
                "MaxResults": _PAGE,
            }
            if token:
                asked["NextToken"] = token
            with told():
                answer = client("cloudtrail", self._region).lookup_events(**asked)
            yield msgspec.json.encode(
                {"Events": [{"CloudTrailEvent": each.get("CloudTrailEvent", "")} for each in answer["Events"]]}
            )
            if not (token := answer.get("NextToken", "")):
                return

    def _wait(self) -> None:
        """Wait until the next call may be made."""
        now_s = self._clock()
        if now_s < self._next_s:
            self._sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + 1 / CALLS_A_SECOND
        self.calls += 1


def slices(from_at: int, until_at: int) -> Iterator[tuple[int, int]]:
    """Cut a span of event time into what is looked up at once."""
    for begin in range(from_at, until_at, SLICE_S):
        yield begin, min(begin + SLICE_S, until_at)
