"""trail-tampering: whatever stops or sees less; growth and repair are silent, and what is restored closes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import Json, findings, record, user

NAME = "trail-tampering"
TRAIL = "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"
CT, CONFIG, GD, DNS, S3 = (
    f"{name}.amazonaws.com" for name in ("cloudtrail", "config", "guardduty", "route53resolver", "s3")
)


def call(api: str, source: str, minutes: float = 0, **request: Any) -> Json:
    """Make a call on a guard."""
    return record(api, user("mallory"), minutes, eventSource=source, requestParameters=request)


def selectors(**fields: Any) -> Json:
    """Make a PutEventSelectors of one basic selector."""
    return call(
        "PutEventSelectors",
        CT,
        0,
        trailName=TRAIL,
        eventSelectors=[{"includeManagementEvents": True, "readWriteType": "All", **fields}],
    )


def advanced(*fields: Json) -> Json:
    """Make a PutEventSelectors of one advanced selector."""
    return call("PutEventSelectors", CT, 0, trailName=TRAIL, advancedEventSelectors=[{"fieldSelectors": list(fields)}])


MANAGEMENT = {"field": "eventCategory", "equals": ["Management"]}
POSITIVE = [call("StopLogging", CT, name=TRAIL)]
NEAR_MISS = [
    call("UpdateTrail", CT, name=TRAIL, isMultiRegionTrail=True, enableLogFileValidation=True),
    selectors(),
    selectors(dataResources=[{"type": "AWS::S3::Object", "values": ["arn:aws:s3"]}]),
    advanced(MANAGEMENT),
    call("CreateTrail", CT, name="second", s3BucketName="logs-1"),
    call("PutBucketPolicy", S3, bucketName="reports", bucketPolicy={}),
    call("UpdateDetector", GD, detectorId="d1", enable=True),
    call("StopLogging", "transfer.amazonaws.com", name=TRAIL),
]


@pytest.mark.parametrize(
    ("bad", "severity", "kind"),
    [
        (call("StopLogging", CT, name=TRAIL), "high", "trail"),
        (call("DeleteTrail", CT, name="main"), "high", "trail"),
        (call("UpdateTrail", CT, name=TRAIL, isMultiRegionTrail=False), "medium", "trail"),
        (call("UpdateTrail", CT, name=TRAIL, includeGlobalServiceEvents="false"), "medium", "trail"),
        (selectors(includeManagementEvents=False), "medium", "trail"),
        (selectors(readWriteType="ReadOnly"), "medium", "trail"),
        (selectors(excludeManagementEventSources=["kms.amazonaws.com"]), "medium", "trail"),
        (advanced({"field": "eventCategory", "equals": ["Data"]}), "medium", "trail"),
        (advanced(MANAGEMENT, {"field": "readOnly", "equals": ["true"]}), "medium", "trail"),
        (call("StopConfigurationRecorder", CONFIG, configurationRecorderName="default"), "high", "recorder"),
        (call("DeleteDeliveryChannel", CONFIG, deliveryChannelName="default"), "high", "recorder"),
        (call("DeleteDetector", GD, detectorId="d1"), "high", "detector"),
        (call("UpdateDetector", GD, detectorId="d1", enable=False), "high", "detector"),
        (
            call("DeleteFlowLogs", "ec2.amazonaws.com", DeleteFlowLogsRequest={"FlowLogId": {"tag": 1, "content": "fl-1"}}),
            "high", "flow-log",
        ),
        (call("DeleteResolverQueryLogConfig", DNS, resolverQueryLogConfigId="rqlc-1"), "high", "flow-log"),
        (call("PutBucketLifecycle", S3, bucketName="aws-cloudtrail-logs-1"), "medium", "bucket"),
    ],
)  # fmt: skip
def test_each_way_to_see_less(bad: Json, severity: str, kind: str) -> None:
    """What stops is high, what goes on and logs less is medium; the finding is about what was touched."""
    (found,) = findings([bad], only=NAME)
    assert (found.severity, found.entity.type, found.subject) == (severity, kind, None)


def test_a_trails_bucket_is_known_by_the_trail() -> None:
    """Whatever it is called, a bucket that a trail delivers to is one."""
    made = call("CreateTrail", CT, -5, name="main", s3BucketName="audit-7")
    assert len(findings([made, call("DeleteBucketPolicy", S3, bucketName="audit-7")], only=NAME)) == 1
    assert findings([call("DeleteBucketPolicy", S3, bucketName="audit-7")], only=NAME) == []
    (found,) = findings([made, call("UpdateTrail", CT, name="main", s3BucketName="elsewhere")], only=NAME)
    assert "elsewhere" in found.seen["effect"]


@pytest.mark.parametrize(
    ("stop", "start"),
    [
        (call("StopLogging", CT, name=TRAIL), call("StartLogging", CT, 5, name="main")),
        (call("DeleteTrail", CT, name="main"), call("CreateTrail", CT, 5, name="main", s3BucketName="x")),
        (selectors(includeManagementEvents=False), {**selectors(), "eventTime": "2024-05-01T09:05:00Z"}),
        (call("StopConfigurationRecorder", CONFIG, configurationRecorderName="d"), call("StartConfigurationRecorder", CONFIG, 5, configurationRecorderName="d")),
        (call("UpdateDetector", GD, detectorId="d1", enable=False), call("UpdateDetector", GD, 5, detectorId="d1", enable=True)),
    ],
)  # fmt: skip
def test_what_is_restored_closes_it(stop: Json, start: Json) -> None:
    """Started, made again or told to log all: resolved, whether it was named by ARN or by name."""
    (found,) = findings([stop, start], only=NAME)
    assert (found.status, found.close_reason) == ("closed", "resolved")
    (found,) = findings([stop], only=NAME, until=7 * 24 * 60)
    assert found.status == "open"


def test_a_denied_try_is_low() -> None:
    """And closes by itself."""
    denied = {**call("DeleteTrail", CT, name="main"), "errorCode": "AccessDenied"}
    (found,) = findings([denied], only=NAME)
    assert found.severity == "low"
    (found,) = findings([denied], only=NAME, until=2 * 24 * 60)
    assert found.close_reason == "quiet"
