"""mixed-role: people and workloads share a role over days; closed after 30 days of one kind."""

from __future__ import annotations

from tests.models.detectors.behaviour.test_class_flip import DAY, MAC
from tests.records import Json, findings, instance_call, record, role, time

NAME = "mixed-role"


def visit(day: float, session: str = "anna@example.com") -> Json:
    """Make a person's call with the instances' role."""
    return record("ListBuckets", role("web", session), day * DAY + 30, userAgent=MAC)


MACHINE = [instance_call(n * DAY) for n in range(6)]
POSITIVE = [*MACHINE, visit(1), visit(3)]
NEAR_MISS = [*MACHINE, visit(1), visit(1.2, "paul@example.com")]


def test_both_on_two_days() -> None:
    """It opens when the second day of the second kind is seen, about the role itself."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.status) == ("low", None, "updated")
    assert found.opened_at == time(3 * DAY + 30)


def test_one_kind_for_thirty_days_closes_it() -> None:
    """At the instant the window is over, whether or not anything happens then; a new visit opens it again."""
    (found,) = findings(POSITIVE, only=NAME, until=32 * DAY)
    assert found.status != "closed"
    (found,) = findings(POSITIVE, only=NAME, until=40 * DAY)
    assert (found.status, found.close_reason) == ("closed", "resolved")
    later = [instance_call(n * DAY) for n in range(36, 40)]
    (found,) = findings([*POSITIVE, *later], only=NAME)
    assert found.close_reason == "resolved"
    (found,) = findings([*POSITIVE, *later, visit(37), visit(39)], only=NAME)
    assert (found.status, found.opened_at) == ("updated", time(3 * DAY + 30))


def test_days_far_apart_are_no_sharing() -> None:
    """Two visits a season apart are exceptions, not a habit."""
    assert findings([*(instance_call(n * DAY) for n in range(100)), visit(1), visit(90)], only=NAME) == []
