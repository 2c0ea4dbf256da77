"""OCSF: findings as Detection Finding objects (class 2004) of schema 1.5.0, one a line, for SIEMs and data lakes.

What has no place in the schema stands in ``unmapped``. Confidence and risk are left out: rolehawk reckons neither, and
severity made into a score would be a number without a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Final

from models.attack import Named, tactic, technique
from models.detector import Detector
from models.detectors import REGISTRY
from models.finding import Evidence, Finding
from models.record import epoch
from streams.formats.jsonl import line
from streams.terminal import Screen
from streams.version import installed

SCHEMA: Final = "1.5.0"
CATEGORY_UID: Final = 2
CLASS_UID: Final = 2004
AWS_ACCOUNT: Final = {"type_id": 10, "type": "AWS Account"}

SEVERITIES: Final = {
    "info": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
ACTIVITIES: Final = {"open": (1, "Create"), "updated": (2, "Update"), "closed": (3, "Close")}
# An incident that went quiet was looked at by nobody, so it is not "resolved".
STATUSES: Final = {
    None: (1, "New"),
    "accepted": (3, "Suppressed"),
    "resolved": (4, "Resolved"),
    "quiet": (5, "Archived"),
    "superseded": (5, "Archived"),
}
USER_TYPES: Final = {"human": (1, "User"), "service": (3, "System"), "unknown": (0, "Unknown"), None: (0, "Unknown")}
IP_ADDRESS, RESOURCE_UID, USER_UID = (2, "IP Address"), (10, "Resource UID"), (31, "User")  # kinds of observables

_DETECTORS: Final[dict[str, type[Detector[Any]]]] = {each.name: each for each in REGISTRY}


def findings(found: list[Finding], screen: Screen) -> Iterator[str]:  # noqa: ARG001 - a line is as wide as it is
    """Write findings."""
    version = installed()
    return (line(detection_finding(each, version)) for each in found)


def detection_finding(finding: Finding, version: str | None) -> dict[str, Any]:
    """Put a finding into the shape of the schema; what is not known is left out."""
    activity_id, activity = ACTIVITIES[finding.status]
    severity_id, severity = SEVERITIES[finding.severity]
    status_id, status = STATUSES[finding.close_reason]
    detector = _DETECTORS.get(finding.detector)
    evidences = [_evidence(each, finding) for each in finding.evidence]
    return _known(
        category_uid=CATEGORY_UID,
        category_name="Findings",
        class_uid=CLASS_UID,
        class_name="Detection Finding",
        activity_id=activity_id,
        activity_name=activity,
        type_uid=CLASS_UID * 100 + activity_id,
        type_name=f"Detection Finding: {activity}",
        severity_id=severity_id,
        severity=severity,
        status_id=status_id,
        status=status,
        status_detail=finding.close_reason,
        is_alert=finding.stage == "live",
        time=_milliseconds(finding.updated_at),
        start_time=_milliseconds(finding.opened_at),
        end_time=_milliseconds(finding.updated_at),
        count=finding.evidence_count,
        message=finding.title,
        metadata=_known(
            version=SCHEMA,
            product=_known(name="rolehawk", vendor_name="rolehawk", version=version),
            profiles=["cloud"],
            uid=f"{finding.finding_id}:{finding.revision}",
            correlation_uid=finding.part_of,
            event_code=finding.detector,
            sequence=finding.revision,
        ),
        finding_info=_known(
            uid=finding.finding_id,
            title=finding.title,
            desc=finding.summary,
            created_time=_milliseconds(finding.opened_at),
            modified_time=_milliseconds(finding.updated_at),
            first_seen_time=_milliseconds(finding.opened_at),
            last_seen_time=_milliseconds(finding.updated_at),
            data_sources=["AWS CloudTrail"],
            analytic=_known(
                uid=finding.detector,
                name=finding.detector,
                type_id=1,
                type="Rule",
                category=detector.family if detector else None,
                desc=detector.summary if detector else None,
                version=version,
            ),
            attacks=[_attack(each, detector.chain_stage if detector else None) for each in finding.attack],
        ),
        resources=_resources(finding),
        evidences=evidences,
        observables=list(_observables(finding, evidences)),
        remediation={"desc": detector.runbook if detector else finding.runbook, "references": [finding.runbook]},
        cloud=_cloud(finding),
        unmapped={
            "stage": finding.stage,
            "entity": {"class": finding.entity.class_, "class_tier": finding.entity.class_tier},
            "subject": finding.subject,
            "actor": finding.actor,
            "seen": finding.seen,
            "expected": finding.expected,
            "affected_count": finding.affected_count,
            "baseline": finding.baseline,
        },
    )


def _evidence(evidence: Evidence, finding: Finding) -> dict[str, Any]:
    address = evidence.source_ip
    return _known(
        uid=evidence.event_id,
        api={"operation": evidence.event_name, "service": {"name": evidence.event_source}},
        src_endpoint=({"ip": address} if _is_ip(address) else {"svc_name": address}) if address else None,
        http_request={"user_agent": evidence.user_agent} if evidence.user_agent else None,
        actor=_actor(finding),
        data=_known(event_time=evidence.event_time, region=evidence.region),
    )


def _actor(finding: Finding) -> dict[str, Any] | None:
    arn = finding.actor.arn
    if arn is None:
        return None
    type_id, type_ = USER_TYPES.get(finding.actor.class_, (99, str(finding.actor.class_)))
    if arn.endswith(":root"):
        type_id, type_ = 2, "Admin"
    account = _account(arn.split(":")[4] if arn.count(":") >= 5 else None)
    return {"user": _known(uid=arn, name=_name(arn), type_id=type_id, type=type_, account=account)}


def _resources(finding: Finding) -> list[dict[str, Any]]:
    entity = finding.entity
    first = {"uid": entity.arn, "name": _name(entity.arn), "type": entity.type}
    return [first, *({"uid": arn, "name": _name(arn)} for arn in finding.affected if arn != entity.arn)]


def _observables(finding: Finding, evidences: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """List what a search would look for: whom it is about, who did it, from where; each value once."""
    yield _observable("resources[0].uid", finding.entity.arn, *RESOURCE_UID)
    if finding.actor.arn is not None and evidences:
        yield _observable("evidences[0].actor.user.uid", finding.actor.arn, *USER_UID)
    addresses: set[str] = set()
    for index, evidence in enumerate(evidences):
        address = evidence.get("src_endpoint", {}).get("ip")
        if address is not None and address not in addresses:
            addresses.add(address)
            yield _observable(f"evidences[{index}].src_endpoint.ip", address, *IP_ADDRESS)


def _observable(name: str, value: str, type_id: int, type_: str) -> dict[str, Any]:
    return {"name": name, "value": value, "type_id": type_id, "type": type_}


def _cloud(finding: Finding) -> dict[str, Any]:
    arn = finding.entity.arn.split(":")
    return _known(
        provider="AWS",
        account=_account(finding.account_id),
        region=finding.evidence[0].region if finding.evidence else None,
        cloud_partition=arn[1] if len(arn) >= 6 else None,
    )


def _account(account_id: str | None) -> dict[str, Any] | None:
    return {"uid": account_id, **AWS_ACCOUNT} if account_id else None


def _attack(id_: str, chain_stage: str | None) -> dict[str, Any]:
    parent = id_.partition(".")[0]
    return _known(
        technique=_named(technique(parent)),
        sub_technique=_named(technique(id_)) if id_ != parent else None,
        tactic=_named(tactic(id_, chain_stage)),
    )


def _named(named: Named | None) -> dict[str, str] | None:
    return None if named is None else {"uid": named.id, "name": named.name}


def _name(arn: str) -> str:
    return arn.rsplit(":", 1)[-1].rsplit("/", 1)[-1]


def _is_ip(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def _milliseconds(instant: str) -> int:
    return epoch(instant) * 1000


def _known(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Leave out what is null: the schema has no nulls."""
    return {name: value for name, value in fields.items() if value is not None}
