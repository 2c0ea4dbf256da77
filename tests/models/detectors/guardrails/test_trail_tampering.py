"""trail-tampering: whatever stops or sees less; growth and repair are silent, and what is restored closes it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import Json, findings, record, refusal, user

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
    call("UpdateTrail", CT, name=TRAIL, kmsKeyId="alias/logs"),
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
        (call("UpdateTrail", CT, name=TRAIL, isOrganizationTrail=False), "medium", "trail"),
        (selectors(includeManagementEvents=False), "medium", "trail"),
        (selectors(readWriteType="ReadOnly"), "medium", "trail"),
        (selectors(excludeManagementEventSources=["kms.amazonaws.com"]), "medium", "trail"),
        (advanced({"field": "eventCategory", "equals": ["Data"]}), "medium", "trail"),
        (advanced(MANAGEMENT, {"field": "readOnly", "equals": ["true"]}), "medium", "trail"),
        (call("StopConfigurationRecorder", CONFIG, configurationRecorderName="default"), "high", "recorder"),
        (call("DeleteDeliveryChannel", CONFIG, deliveryChannelName="default"), "high", "recorder"),
        (call("DeleteDetector", GD, detectorId="d1"), "high", "detector"),
        (call("UpdateDetector", GD, detectorId="d1", enable=False), "high", "detector"),
        (call("DisassociateFromAdministratorAccount", GD, detectorId="d1"), "medium", "detector"),
        (call("DeleteMembers", GD, detectorId="d1", accountIds=["999988887777"]), "medium", "detector"),
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
    (gone,) = findings([made, call("DeleteBucket", S3, bucketName="audit-7")], only=NAME)
    (named,) = findings([call("DeleteBucket", S3, bucketName="aws-cloudtrail-logs-1")], only=NAME)
    assert (gone.severity, named.severity) == ("high", "medium")
    (found,) = findings([made, call("UpdateTrail", CT, name="main", s3BucketName="elsewhere")], only=NAME)
    assert "elsewhere" in found.seen["effect"]


def test_a_trail_that_delivers_elsewhere_does_so_until_it_is_sent_back() -> None:
    """To name the new bucket once more makes it no better."""
    made = call("CreateTrail", CT, -5, name="main", s3BucketName="audit-7")
    away, again, back = (
        call("UpdateTrail", CT, minutes, name="main", s3BucketName=bucket)
        for minutes, bucket in ((0, "elsewhere"), (5, "elsewhere"), (9, "audit-7"))
    )
    assert findings([made, away, again], only=NAME)[0].close_reason is None
    assert findings([made, away, again, back], only=NAME)[0].close_reason == "resolved"


@pytest.mark.parametrize(
    ("stop", "start"),
    [
        (call("StopLogging", CT, name=TRAIL), call("StartLogging", CT, 5, name="main")),
        (call("DeleteTrail", CT, name="main"), call("CreateTrail", CT, 5, name="main", s3BucketName="x")),
        (selectors(includeManagementEvents=False), {**selectors(), "eventTime": "2024-05-01T09:05:00Z"}),
        (call("StopConfigurationRecorder", CONFIG, configurationRecorderName="d"), call("StartConfigurationRecorder", CONFIG, 5, configurationRecorderName="d")),
        (call("UpdateDetector", GD, detectorId="d1", enable=False), call("UpdateDetector", GD, 5, detectorId="d1", enable=True)),
        (call("StopMonitoringMembers", GD, detectorId="d1"), call("StartMonitoringMembers", GD, 5, detectorId="d1")),
        (call("DisassociateFromMasterAccount", GD, detectorId="d1"), call("AcceptInvitation", GD, 5, detectorId="d1")),
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


def test_a_denied_try_is_about_the_trail_that_the_refusal_names() -> None:
    """CloudTrail keeps no parameters of what it denies; the success afterwards is the same finding."""
    denied = {**call("StopLogging", CT), **refusal("cloudtrail:StopLogging", TRAIL)}
    (found,) = findings([denied, call("StopLogging", CT, 5, name="main")], only=NAME)
    assert (found.severity, found.evidence_count) == ("high", 2)


@pytest.mark.parametrize(
    "other",
    [
        call("UpdateTrail", CT, 5, name=TRAIL, kmsKeyId="alias/logs"),
        call("UpdateTrail", CT, 5, name=TRAIL, isMultiRegionTrail=True),
        {**selectors(), "eventTime": "2024-05-01T09:05:00Z"},
        call("StartLogging", CT, 5, name="other"),
    ],
)
def test_only_what_was_switched_off_restores_it(other: Json) -> None:
    """A trail that was stopped stays so whatever else is set of it, or of another."""
    stop = call("StopLogging", CT, name=TRAIL)
    (found,) = findings([stop, other], only=NAME)
    assert found.close_reason is None
    (found,) = findings([stop, other, call("StartLogging", CT, 9, name="main")], only=NAME)
    assert found.close_reason == "resolved"


def test_a_trail_that_sees_less_in_two_ways_needs_both_back() -> None:
    """One is not enough, in whatever order; made anew it has them all."""
    stop, narrow = call("StopLogging", CT, name=TRAIL), call("UpdateTrail", CT, 1, name=TRAIL, isMultiRegionTrail=False)
    start, widen = (
        call("StartLogging", CT, 5, name=TRAIL),
        call("UpdateTrail", CT, 6, name=TRAIL, isMultiRegionTrail=True),
    )
    for some in ([start], [widen]):
        assert findings([stop, narrow, *some], only=NAME)[0].close_reason is None
    for all_ in ([start, widen], [call("CreateTrail", CT, 9, name="main", s3BucketName="x")]):
        assert findings([stop, narrow, *all_], only=NAME)[0].close_reason == "resolved"


@pytest.mark.parametrize(
    ("gone", "anew"),
    [
        (call("DeleteDetector", GD, detectorId="d1"), record("CreateDetector", user("erin"), 5, eventSource=GD, requestParameters={"enable": True}, responseElements={"detectorId": "d2"})),
        (call("DeleteDeliveryChannel", CONFIG, deliveryChannelName="c"), call("StartConfigurationRecorder", CONFIG, 5, configurationRecorderName="r")),
    ],
)  # fmt: skip
def test_what_a_region_has_one_of_is_made_again_under_another_id(gone: Json, anew: Json) -> None:
    """Then the old one's finding closes; one of another region does not."""
    (found,) = findings([gone, anew], only=NAME)
    assert found.close_reason == "resolved"
    (found,) = findings([gone, {**anew, "awsRegion": "us-east-1"}], only=NAME)
    assert found.close_reason is None


WRITES: Json = {
    "Effect": "Allow",
    "Principal": {"Service": "cloudtrail.amazonaws.com"},
    "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::aws-cloudtrail-logs-1/AWSLogs/*",
}
DENIES: Json = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*"}
INSECURE: Json = {**DENIES, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


def bucket_policy(*statements: Json) -> Json:
    """Make a PutBucketPolicy on a trail's bucket."""
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    return call("PutBucketPolicy", S3, bucketName="aws-cloudtrail-logs-1", bucketPolicy=policy)


def lifecycle(**rule: Any) -> Json:
    """Make a PutBucketLifecycle on a trail's bucket."""
    return call("PutBucketLifecycle", S3, bucketName="aws-cloudtrail-logs-1", LifecycleConfiguration={"Rule": rule})


@pytest.mark.parametrize(
    ("change", "is_less"),
    [
        (bucket_policy(WRITES), False),
        (bucket_policy(WRITES, INSECURE), False),
        (bucket_policy(WRITES, {**WRITES, "Principal": {"AWS": "arn:aws:iam::111122223333:role/audit"}}), False),
        (bucket_policy(WRITES, {**WRITES, "Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}), False),
        (bucket_policy(WRITES, DENIES), True),
        (bucket_policy(WRITES, {**DENIES, "Condition": {"StringEquals": {"aws:PrincipalServiceName": "cloudtrail.amazonaws.com"}}}), True),
        (bucket_policy(WRITES, {**WRITES, "Principal": {"AWS": "999988887777"}}), True),
        (bucket_policy({**WRITES, "Principal": {"Service": "config.amazonaws.com"}}), True),
        (bucket_policy({**WRITES, "Action": "s3:GetBucketAcl"}), True),
        (lifecycle(Status="Enabled", Expiration={"Days": 1}), True),
        (lifecycle(Status="Enabled", Expiration={"Date": "2024-06-01T00:00:00Z"}), True),
        (lifecycle(Status="Disabled", Expiration={"Days": 1}), False),
        (lifecycle(Status="Enabled", Expiration={"Days": 365}), False),
        (lifecycle(Status="Enabled", Transition={"Days": 30, "StorageClass": "GLACIER"}), False),
    ],
)  # fmt: skip
def test_what_a_trails_bucket_is_left_with(change: Json, is_less: bool) -> None:
    """A trail's set-up is silent: what counts is whether CloudTrail still writes, its files stay, and nobody else is let in."""
    assert bool(findings([change], only=NAME)) is is_less


def test_a_policy_that_takes_files_again_closes_it() -> None:
    """And a lifecycle that is taken off does, but neither closes the other."""
    bad, good = bucket_policy(DENIES), {**bucket_policy(WRITES), "eventTime": "2024-05-01T09:05:00Z"}
    assert findings([bad, good], only=NAME)[0].close_reason == "resolved"
    off = call("DeleteBucketLifecycle", S3, 5, bucketName="aws-cloudtrail-logs-1")
    assert findings([bad, off], only=NAME)[0].close_reason is None
    assert findings([lifecycle(Expiration={"Days": 1}), off], only=NAME)[0].close_reason == "resolved"
