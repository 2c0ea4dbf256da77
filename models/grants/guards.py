"""What watches an account (trails, recorders, detectors, flow logs), and calls that make it watch less, or again.

Sources: AWS CloudTrail, Config, GuardDuty, EC2 and Route 53 Resolver API references; ATT&CK T1562.008.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from msgspec import Struct

from models.entity import partition_of
from models.event import Event, api_key
from models.finding import EntityRef
from models.grants.account import MAX_TRAIL_BUCKETS, AccountState
from models.record import text_of

Effect = Literal["stops", "less", "restores"]


class Guarded(Struct, frozen=True):
    """What a call does to a guard."""

    entity: EntityRef
    effect: Effect
    words: str


def guarded(event: Event, account: AccountState) -> Guarded | None:
    """Read what a call does to what watches the account; None where it does nothing, or makes it watch more."""
    read = _READERS.get(event.api.key)
    return None if read is None else read(event, event.request(), account)


def learn_guards(event: Event, account: AccountState) -> None:
    """Remember which buckets trails deliver to."""
    if event.api.key not in _TRAIL_MAKERS:
        return
    bucket = text_of(event.request().get("s3BucketName"))
    if bucket and bucket not in account.trail_buckets:
        account.trail_buckets.append(bucket)
        del account.trail_buckets[:-MAX_TRAIL_BUCKETS]


_Reader = Callable[[Event, dict[str, Any], AccountState], Guarded | None]


def _arn(event: Event, service: str, kind: str, name: str) -> str:
    if name.startswith("arn:"):
        return name
    region, account = event.call.aws_region or "", event.account_id or ""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{kind}/{name}"


def _plain(service: str, kind: str, entity_type: str, fields: tuple[str, ...], effect: Effect, words: str) -> _Reader:
    """Read a call whose name alone says what it does; the first field found names the guard."""

    def read(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:  # noqa: ARG001
        name = next((found for field in fields if (found := text_of(request.get(field)))), None) or _ids(request)
        if name is None:
            made = event.response()
            name = next((found for field in fields if (found := text_of(made.get(field)))), None) or "default"
        return Guarded(EntityRef(_arn(event, service, kind, name), entity_type), effect, words)

    return read


def _ids(request: dict[str, Any]) -> str | None:
    """Find the first id that EC2 wraps in lists of lists, as CloudTrail writes them."""
    for value in request.values():
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict) and (found := text_of(item.get("content")) or _ids(item)):
                return found
    return None


def _trail_updated(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:
    name = text_of(request.get("name"))
    if name is None:
        return None
    less = [
        words
        for field, words in (
            ("isMultiRegionTrail", "other regions"),
            ("includeGlobalServiceEvents", "global services"),
            ("enableLogFileValidation", "digests that prove its files"),
        )
        if request.get(field) in (False, "false")
    ]
    bucket = text_of(request.get("s3BucketName"))
    if bucket is not None and account.trail_buckets and bucket not in account.trail_buckets:
        less.append(f"its bucket: it now delivers to {bucket}")
    entity = EntityRef(_arn(event, "cloudtrail", "trail", name), "trail")
    return (
        Guarded(entity, "less", f"leaves out {', '.join(less)}") if less else Guarded(entity, "restores", "logs again")
    )


def _selectors_put(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:  # noqa: ARG001
    name = text_of(request.get("trailName"))
    if name is None:
        return None
    entity = EntityRef(_arn(event, "cloudtrail", "trail", name), "trail")
    less = _left_out(request)
    return Guarded(entity, "less", f"leaves out {less}") if less else Guarded(entity, "restores", "logs again")


def _left_out(request: dict[str, Any]) -> str | None:
    """Say which management events a trail's selectors leave out."""
    basic, advanced = request.get("eventSelectors"), request.get("advancedEventSelectors")
    if isinstance(advanced, list) and advanced:
        management = [each for each in advanced if isinstance(each, dict) and _is_management(each)]
        if not management:
            return "all management events"
        return None if any(len(_fields(each)) == 1 for each in management) else "some management events"
    selectors = [each for each in basic if isinstance(each, dict)] if isinstance(basic, list) else []
    shown = [each for each in selectors if each.get("includeManagementEvents") not in (False, "false")]
    if not shown:
        return "all management events"
    kinds = {str(each.get("readWriteType", "All")) for each in shown}
    if "All" not in kinds and kinds != {"ReadOnly", "WriteOnly"}:
        return "writes" if kinds == {"ReadOnly"} else "reads"
    excluded = [source for each in shown for source in each.get("excludeManagementEventSources") or []]
    return f"events of {', '.join(map(str, excluded[:5]))}" if excluded else None


def _fields(selector: dict[str, Any]) -> list[dict[str, Any]]:
    fields = selector.get("fieldSelectors")
    return [each for each in fields if isinstance(each, dict)] if isinstance(fields, list) else []


def _is_management(selector: dict[str, Any]) -> bool:
    return any(
        each.get("field") == "eventCategory" and "Management" in (each.get("equals") or [])
        for each in _fields(selector)
    )


def _detector_updated(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:  # noqa: ARG001
    enable, name = request.get("enable"), text_of(request.get("detectorId"))
    if name is None or enable is None:
        return None
    entity = EntityRef(_arn(event, "guardduty", "detector", name), "detector")
    return Guarded(entity, "stops", "is off") if enable in (False, "false") else Guarded(entity, "restores", "is on")


def _bucket(words: str) -> _Reader:
    """Read a change to a bucket, if a trail delivers to it: by what was seen, else by its name."""

    def read(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:
        name = text_of(request.get("bucketName"))
        if name is None or (name not in account.trail_buckets and "cloudtrail" not in name.lower()):
            return None
        arn = f"arn:{partition_of(event.call.aws_region)}:s3:::{name}"
        return Guarded(EntityRef(arn, "bucket"), "less", words)

    return read


_TRAIL, _CONFIG, _GUARDDUTY = "cloudtrail.amazonaws.com", "config.amazonaws.com", "guardduty.amazonaws.com"
_DNS, _S3 = "route53resolver.amazonaws.com", "s3.amazonaws.com"
_RECORDER: Final = ("configurationRecorderName", "deliveryChannelName", "name")

_Named = tuple[tuple[str, Effect, str], ...]  # call, what it does, in words
_TRAIL_CALLS: Final[_Named] = (
    ("StopLogging", "stops", "logs no more"),
    ("DeleteTrail", "stops", "is gone"),
    ("StartLogging", "restores", "logs again"),
    ("CreateTrail", "restores", "is made"),
)
_STORE_CALLS: Final[_Named] = (
    ("DeleteEventDataStore", "stops", "is gone"),
    ("StopEventDataStoreIngestion", "stops", "takes in no more"),
    ("StartEventDataStoreIngestion", "restores", "takes in again"),
    ("RestoreEventDataStore", "restores", "is back"),
)
_CONFIG_CALLS: Final[_Named] = (
    ("StopConfigurationRecorder", "stops", "records no more"),
    ("DeleteConfigurationRecorder", "stops", "is gone"),
    ("DeleteDeliveryChannel", "stops", "delivers no more"),
    ("StartConfigurationRecorder", "restores", "records again"),
)
_QUERY_LOG_CALLS: Final[_Named] = (
    ("DeleteResolverQueryLogConfig", "stops", "is gone"),
    ("DisassociateResolverQueryLogConfig", "stops", "no longer sees a network's queries"),
    ("AssociateResolverQueryLogConfig", "restores", "sees a network's queries again"),
)

_READERS: Final[dict[str, _Reader]] = {
    **{
        api_key(_TRAIL, name): _plain("cloudtrail", "trail", "trail", ("name",), effect, words)
        for name, effect, words in _TRAIL_CALLS
    },
    **{
        api_key(_TRAIL, name): _plain("cloudtrail", "eventdatastore", "trail", ("eventDataStore",), effect, words)
        for name, effect, words in _STORE_CALLS
    },
    api_key(_TRAIL, "UpdateTrail"): _trail_updated,
    api_key(_TRAIL, "PutEventSelectors"): _selectors_put,
    **{
        api_key(_CONFIG, name): _plain("config", "config-recorder", "recorder", _RECORDER, effect, words)
        for name, effect, words in _CONFIG_CALLS
    },
    api_key(_GUARDDUTY, "DeleteDetector"): _plain(
        "guardduty", "detector", "detector", ("detectorId",), "stops", "is gone"
    ),
    api_key(_GUARDDUTY, "CreateDetector"): _plain(
        "guardduty", "detector", "detector", ("detectorId",), "restores", "is made"
    ),
    api_key(_GUARDDUTY, "UpdateDetector"): _detector_updated,
    api_key("ec2.amazonaws.com", "DeleteFlowLogs"): _plain("ec2", "vpc-flow-log", "flow-log", (), "stops", "is gone"),
    **{
        api_key(_DNS, name): _plain(
            "route53resolver", "resolver-query-log-config", "flow-log", ("resolverQueryLogConfigId",), effect, words
        )
        for name, effect, words in _QUERY_LOG_CALLS
    },
    **{
        api_key(_S3, name): _bucket(words)
        for name, words in (
            ("PutBucketLifecycle", "may lose its files early"),
            ("PutBucketLifecycleConfiguration", "may lose its files early"),
            ("PutBucketPolicy", "has another policy"),
            ("DeleteBucketPolicy", "has no policy"),
            ("DeleteBucket", "is gone"),
        )
    },
}
_TRAIL_MAKERS: Final = frozenset({api_key(_TRAIL, "CreateTrail"), api_key(_TRAIL, "UpdateTrail")})
GUARD_CALLS: Final = frozenset(_READERS)
