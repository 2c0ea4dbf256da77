"""key-used-after-disable: after the grace, by event time; not before, not once it is enabled again."""

from __future__ import annotations

from tests.records import DAY, Json, findings, key_call, record, role, time, user

NAME = "key-used-after-disable"
KEY = "AKIAEXAMPLE000000005"
OTHER = "AKIAEXAMPLE000000006"
ADMIN = role("admin", "anna@example.com")


def use(minutes: float, key: str = KEY, name: str = "robot") -> Json:
    """Try the key, which AWS refuses."""
    return record("ListBuckets", user(name, key), minutes, errorCode="InvalidClientTokenId")


POSITIVE: list[Json] = [use(0), key_call("Inactive", ADMIN, 10, "robot", KEY), use(20), use(26), use(300)]
NEAR_MISS: list[Json] = [
    use(0, OTHER, "paul"),
    key_call("Inactive", ADMIN, 10, "paul", OTHER),
    use(25, OTHER, "paul"),
    key_call("Active", ADMIN, 30, "paul", OTHER),
    use(50, OTHER, "paul"),
]


def test_after_the_grace() -> None:
    """Fifteen minutes are a job's to notice; what comes later is evidence."""
    (found,) = findings(POSITIVE, only=NAME)
    assert (found.severity, found.subject, found.opened_at, found.evidence_count) == ("low", KEY, time(26), 2)
    assert found.seen["disabled_at"] == time(10)
    (found,) = findings(POSITIVE, only=NAME, toml=f"[detectors.{NAME}]\ngrace_minutes = 60\n")
    assert found.opened_at == time(300)


def test_after_its_deletion() -> None:
    """A key that is gone counts as well, from when it first stopped working."""
    deleted = [use(0), key_call("DeleteAccessKey", ADMIN, 10, "robot", KEY), use(30)]
    (found,) = findings(deleted, only=NAME)
    assert found.seen["deleted_at"] == time(10)
    both = [*POSITIVE[:2], key_call("DeleteAccessKey", ADMIN, DAY, "robot", KEY), use(2 * DAY)]
    (found,) = findings(both, only=NAME)
    assert (found.seen["disabled_at"], found.seen["minutes_after"]) == (time(10), 2 * DAY - 10)


def test_a_switch_that_failed_is_none() -> None:
    """A key whose disabling was refused goes on working."""
    refused = key_call("Inactive", ADMIN, 10, "robot", KEY, errorCode="AccessDenied")
    assert findings([use(0), refused, use(100)], only=NAME) == []
