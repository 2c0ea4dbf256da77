"""Whether a change to a trail's bucket leaves the trail its files: its lifecycle, its policy.

Sources: Amazon S3 API reference, "PutBucketLifecycleConfiguration"; AWS CloudTrail user guide, "Amazon S3 bucket policy
for CloudTrail".
"""

from __future__ import annotations

from typing import Any, Final

from models.grants.document import PolicyError, Statement, named, parse, principal
from models.grants.limits import narrows_callers

MIN_KEPT_DAYS: Final = 90  # a season: what is found out late is found out by then

_WRITER: Final = principal("Service", "cloudtrail.amazonaws.com")
_WRITE: Final = "s3:putobject"
_TRANSPORT: Final = frozenset({"aws:securetransport", "s3:tlsversion"})  # CloudTrail's own calls hold to these


def keeps_files(request: dict[str, Any], account_id: str) -> bool:  # noqa: ARG001 - as `takes_files`
    """Say whether a lifecycle keeps files for MIN_KEPT_DAYS at least."""
    found = request.get("LifecycleConfiguration")
    rules = found.get("Rule") if isinstance(found, dict) else None
    return all(
        isinstance(rule, dict) and (rule.get("Status") == "Disabled" or _expires_late(rule.get("Expiration")))
        for rule in (rules if isinstance(rules, list) else [rules])
    )


def takes_files(request: dict[str, Any], account_id: str) -> bool:
    """Say whether a bucket's policy lets CloudTrail write, and beside AWS's services nobody but the account's own in."""
    try:
        statements = parse(request.get("bucketPolicy")).statements
    except PolicyError:
        return False
    allows = [each for each in statements if each.is_allow]
    return (
        any(_lets_trail_write(each) for each in allows)
        and all(_is_at_home(each, account_id) for each in allows)
        and all(each.is_allow or not _shuts_trail_out(each) for each in statements)
    )


def _expires_late(expiration: object) -> bool:
    if expiration is None:
        return True
    days = str(expiration.get("Days") if isinstance(expiration, dict) else None)
    return days.isdecimal() and int(days[:9]) >= MIN_KEPT_DAYS


def _is_about_writing(statement: Statement) -> bool:
    return any(each.matches(_WRITE) for each in statement.actions.patterns) != statement.actions.is_not


def _lets_trail_write(statement: Statement) -> bool:
    principals = statement.principals
    return (
        principals is not None
        and not principals.is_not
        and _WRITER in principals.patterns
        and _is_about_writing(statement)
    )


def _shuts_trail_out(deny: Statement) -> bool:
    """See a Deny of writing that CloudTrail may fall under; one of insecure transport it does not."""
    principals = deny.principals
    if (
        principals is None
        or not _is_about_writing(deny)
        or (deny.tests and {each.key for each in deny.tests} <= _TRANSPORT)
    ):
        return False
    return principals.is_not or any(each.is_everything or each == _WRITER for each in principals.patterns)


def _is_at_home(allow: Statement, account_id: str) -> bool:
    principals = allow.principals
    if principals is None or principals.is_not:
        return False
    return narrows_callers(allow) or all(
        kind == "Service" or account_id in name for kind, name in map(named, principals.patterns)
    )
