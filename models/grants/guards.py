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
from models.grants.account import MAX_DIMMED, MAX_TRAIL_BUCKETS, AccountState
from models.grants.trail_bucket import keeps_files, takes_files
from models.record import text_of

Effect = Literal["stops", "less", "restores"]

_EVERY_WAY: Final = ""
# Of these a region has one, so that one made anew stands in for one that is gone, whatever its id.
_ONE_OF_A_KIND: Final = frozenset({"detector", "recorder"})


class Guarded(Struct, frozen=True):
    """What a call does to a guard; it may see less in several ways, and does not see all again until none is left."""

    entity: EntityRef
    effect: Effect
    words: str
    dims: tuple[str, ...] = ()  # ways in which it sees less from now on
    restores: tuple[str, ...] = ()  # ways in which it sees as much again


def guarded(event: Event, account: AccountState) -> Guarded | None:
    """Read what a call does to what watches the account; None where it does nothing, or makes it watch more."""
    read = _READERS.get(event.api.key)
    return None if read is None else read(event, event.request(), account)


def restored(found: Guarded, account: AccountState) -> list[EntityRef]:
    """List the guards that see all again by a call."""
    return [EntityRef(arn, found.entity.type) for arn, left in _after(found, account).items() if not left]


def learn_guards(event: Event, account: AccountState) -> None:
    """Remember which guards see less, and which buckets trails deliver to."""
    if (found := guarded(event, account)) is not None:
        for arn, left in _after(found, account).items():
            account.dimmed.pop(arn, None)
            if left:
                account.dimmed[arn] = left
        if len(account.dimmed) > MAX_DIMMED:
            del account.dimmed[next(iter(account.dimmed))]
    if event.api.key not in _TRAIL_MAKERS:
        return
    bucket = text_of(event.request().get("s3BucketName"))
    if bucket and bucket not in account.trail_buckets:
        account.trail_buckets.append(bucket)
        del account.trail_buckets[:-MAX_TRAIL_BUCKETS]


def _after(found: Guarded, account: AccountState) -> dict[str, list[str]]:
    """Say in which ways each guard that a call touches sees less once it is made."""
    arns = [found.entity.arn]
    if found.entity.type in _ONE_OF_A_KIND and not found.dims:
        kind = found.entity.arn.rpartition("/")[0]
        arns += [arn for arn in account.dimmed if arn != found.entity.arn and arn.rpartition("/")[0] == kind]
    is_all = _EVERY_WAY in found.restores
    return {
        arn: [
            *(way for way in account.dimmed.get(arn, ()) if not is_all and way not in (*found.restores, *found.dims)),
            *found.dims,
        ]
        for arn in arns
    }


_Reader = Callable[[Event, dict[str, Any], AccountState], Guarded | None]


def _arn(event: Event, service: str, kind: str, name: str) -> str:
    if name.startswith("arn:"):
        return name
    region, account = event.call.aws_region or "", event.account_id or ""
    return f"arn:{partition_of(region)}:{service}:{region}:{account}:{kind}/{name}"


def _plain(
    service: str, kind: str, entity_type: str, fields: tuple[str, ...], effect: Effect, words: str, way: str
) -> _Reader:
    """Read a call whose name alone says what it does; the first field found names the guard."""

    def read(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:  # noqa: ARG001
        name = (
            _field(request, fields) or _ids(request) or event.refused or _field(event.response(), fields) or "default"
        )
        return _seen(EntityRef(_arn(event, service, kind, name), entity_type), effect, words, way)

    return read


def _field(values: dict[str, Any], fields: tuple[str, ...]) -> str | None:
    return next((found for field in fields if (found := text_of(values.get(field)))), None)


def _seen(entity: EntityRef, effect: Effect, words: str, way: str) -> Guarded:
    """Say what is done to a guard in one way."""
    if effect == "restores":
        return Guarded(entity, effect, words, restores=(way,))
    return Guarded(entity, effect, words, dims=(way,))


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
    dims = [field for field in _SCOPE if request.get(field) in (False, "false")]
    restores = [field for field in _SCOPE if request.get(field) in (True, "true")]
    less = [_SCOPE[field] for field in dims]
    entity = EntityRef(_arn(event, "cloudtrail", "trail", name), "trail")
    bucket = text_of(request.get("s3BucketName"))
    if bucket is not None and account.trail_buckets:
        way = f"bucket {bucket}"  # that it delivers there is known from then on, and yet no better
        if bucket not in account.trail_buckets:
            dims.append(way)
            less.append(f"its bucket: it now delivers to {bucket}")
        else:
            known = account.dimmed.get(entity.arn, ())
            restores += [each for each in known if each.startswith("bucket ") and each != way]
    if less:
        return Guarded(entity, "less", f"leaves out {', '.join(less)}", tuple(dims), tuple(restores))
    return Guarded(entity, "restores", "logs again", restores=tuple(restores)) if restores else None


_SCOPE: Final = {
    "isMultiRegionTrail": "other regions",
    "includeGlobalServiceEvents": "global services",
    "isOrganizationTrail": "the organisation's other accounts",
    "enableLogFileValidation": "digests that prove its files",
}


def _selectors_put(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:  # noqa: ARG001
    name = text_of(request.get("trailName"))
    if name is None:
        return None
    entity = EntityRef(_arn(event, "cloudtrail", "trail", name), "trail")
    less = _left_out(request)
    effect: Effect = "less" if less else "restores"
    return _seen(entity, effect, f"leaves out {less}" if less else "logs again", "selectors")


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
    is_off = enable in (False, "false")
    return _seen(entity, "stops" if is_off else "restores", "is off" if is_off else "is on", "switch")


def _bucket(way: str, words: str = "", leaves_files: Callable[[dict[str, Any], str], bool] | None = None) -> _Reader:
    """Read a change to a bucket, if a trail delivers to it: by what was seen, else by its name.

    ``leaves_files`` says whether the change leaves the trail its files; one without words always does. A trail whose
    bucket is gone has nowhere to log to; that a name alone makes a bucket a trail's is less sure.
    """

    def read(event: Event, request: dict[str, Any], account: AccountState) -> Guarded | None:
        name = text_of(request.get("bucketName"))
        if name is None or (name not in account.trail_buckets and "cloudtrail" not in name.lower()):
            return None
        entity = EntityRef(f"arn:{partition_of(event.call.aws_region)}:s3:::{name}", "bucket")
        if not words or (leaves_files is not None and leaves_files(request, account.account_id)):
            return _seen(entity, "restores", "keeps its files", way)
        return _seen(entity, "stops" if way == "being" and name in account.trail_buckets else "less", words, way)

    return read


_TRAIL, _CONFIG, _GUARDDUTY = "cloudtrail.amazonaws.com", "config.amazonaws.com", "guardduty.amazonaws.com"
_DNS, _S3 = "route53resolver.amazonaws.com", "s3.amazonaws.com"
_RECORDER: Final = ("configurationRecorderName", "deliveryChannelName", "name")

_Named = tuple[tuple[str, Effect, str, str], ...]  # call, what it does, in words, in which way
_TRAIL_CALLS: Final[_Named] = (
    ("StopLogging", "stops", "logs no more", "logging"),
    ("DeleteTrail", "stops", "is gone", "being"),
    ("StartLogging", "restores", "logs again", "logging"),
    ("CreateTrail", "restores", "is made", _EVERY_WAY),
)
_STORE_CALLS: Final[_Named] = (
    ("DeleteEventDataStore", "stops", "is gone", "being"),
    ("StopEventDataStoreIngestion", "stops", "takes in no more", "logging"),
    ("StartEventDataStoreIngestion", "restores", "takes in again", "logging"),
    ("RestoreEventDataStore", "restores", "is back", "being"),
)
_CONFIG_CALLS: Final[_Named] = (
    ("StopConfigurationRecorder", "stops", "records no more", "logging"),
    ("DeleteConfigurationRecorder", "stops", "is gone", "being"),
    ("DeleteDeliveryChannel", "stops", "delivers no more", "delivery"),
    ("StartConfigurationRecorder", "restores", "records again", _EVERY_WAY),  # AWS starts none without a channel
)
_DETECTOR_CALLS: Final[_Named] = (
    ("DeleteDetector", "stops", "is gone", "being"),
    ("CreateDetector", "restores", "is made", _EVERY_WAY),
    # Of an organisation's detectors: the member's own goes on, but nobody else sees what it finds.
    ("DisassociateFromMasterAccount", "less", "tells its administrator no more", "administrator"),
    ("DisassociateFromAdministratorAccount", "less", "tells its administrator no more", "administrator"),
    ("AcceptInvitation", "restores", "tells its administrator again", "administrator"),
    ("AcceptAdministratorInvitation", "restores", "tells its administrator again", "administrator"),
    ("StopMonitoringMembers", "less", "sees its members no more", "members"),
    ("DisassociateMembers", "less", "sees its members no more", "members"),
    ("DeleteMembers", "less", "sees its members no more", "members"),
    ("StartMonitoringMembers", "restores", "sees its members again", "members"),
    ("CreateMembers", "restores", "sees its members again", "members"),
)
_QUERY_LOG_CALLS: Final[_Named] = (
    ("DeleteResolverQueryLogConfig", "stops", "is gone", "being"),
    ("DisassociateResolverQueryLogConfig", "stops", "no longer sees a network's queries", "association"),
    ("AssociateResolverQueryLogConfig", "restores", "sees a network's queries again", "association"),
)
_FLOW_LOG_CALLS: Final[_Named] = (("DeleteFlowLogs", "stops", "is gone", "being"),)


def _named(source: str, calls: _Named, service: str, kind: str, entity_type: str, *fields: str) -> dict[str, _Reader]:
    return {
        api_key(source, name): _plain(service, kind, entity_type, fields, effect, words, way)
        for name, effect, words, way in calls
    }


_READERS: Final[dict[str, _Reader]] = {
    **_named(_TRAIL, _TRAIL_CALLS, "cloudtrail", "trail", "trail", "name"),
    **_named(_TRAIL, _STORE_CALLS, "cloudtrail", "eventdatastore", "trail", "eventDataStore"),
    **_named(_CONFIG, _CONFIG_CALLS, "config", "config-recorder", "recorder", *_RECORDER),
    **_named(_GUARDDUTY, _DETECTOR_CALLS, "guardduty", "detector", "detector", "detectorId"),
    **_named(_DNS, _QUERY_LOG_CALLS, "route53resolver", "resolver-query-log-config", "flow-log", "resolverQueryLogConfigId"),
    **_named("ec2.amazonaws.com", _FLOW_LOG_CALLS, "ec2", "vpc-flow-log", "flow-log"),
    api_key(_TRAIL, "UpdateTrail"): _trail_updated,
    api_key(_TRAIL, "PutEventSelectors"): _selectors_put,
    api_key(_GUARDDUTY, "UpdateDetector"): _detector_updated,
    api_key(_S3, "PutBucketLifecycle"): _bucket("lifecycle", "may lose its files early", keeps_files),
    api_key(_S3, "PutBucketLifecycleConfiguration"): _bucket("lifecycle", "may lose its files early", keeps_files),
    api_key(_S3, "DeleteBucketLifecycle"): _bucket("lifecycle"),
    api_key(_S3, "PutBucketPolicy"): _bucket("policy", "has another policy", takes_files),
    api_key(_S3, "DeleteBucketPolicy"): _bucket("policy", "has no policy"),
    api_key(_S3, "DeleteBucket"): _bucket("being", "is gone"),
}  # fmt: skip
_TRAIL_MAKERS: Final = frozenset({api_key(_TRAIL, "CreateTrail"), api_key(_TRAIL, "UpdateTrail")})
GUARD_CALLS: Final = frozenset(_READERS)
