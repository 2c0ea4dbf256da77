"""Findings written by hand, for whatever tells somebody of them."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from models.finding import Finding
from models.record import iso
from models.settings import Settings, parse_settings
from tests.records import ACCOUNT

NOW = 1_795_000_000  # seconds since 1970: the clock's time of tests that bring their own
ENTITY = f"arn:aws:iam::{ACCOUNT}:role/web"
KEY = "0123456789abcdef0123456789abcdef"  # a routing key


def finding(name: str = "a", revision: int = 1, **changes: Any) -> Finding:
    """Make an open finding of high severity that was seen just now; changes are by the names of a finding's fields."""
    made: dict[str, Any] = {
        "finding_id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "revision": revision,
        "detector": "machine-role-console",
        "stage": "live",
        "severity": "high",
        "status": "closed" if changes.get("close_reason") else "open" if revision == 1 else "updated",
        "close_reason": None,
        "opened_at": iso(NOW - 60),
        "updated_at": iso(NOW - 30),
        "account_id": ACCOUNT,
        "part_of": None,
        "entity": {"arn": f"{ENTITY}-{name}", "type": "role", "class": "workload", "class_tier": 1},
        "subject": "erin@2024-05-01T09:31:00Z",
        "actor": {"arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/web/erin", "class": "human", "origin": None},
        "title": "Machine role web used from the console",
        "summary": "The role is a machine's; somebody opened the console with it.",
        "seen": {"markers": ["console flag"]},
        "expected": {"markers": []},
        "evidence": [
            {
                "event_id": "e1", "event_time": iso(NOW - 60), "event_source": "s3.amazonaws.com",
                "event_name": "ListBuckets", "source_ip": "198.51.100.7", "user_agent": "Mozilla/5.0",
                "region": "eu-west-1",
            }
        ],
        "evidence_count": 1,
        "affected_count": 1,
        "affected": [],
        "baseline": {"maturity": "mature", "coverage_since": iso(NOW - 86_400)},
        "attack": ["T1078.004"],
        "runbook": "docs/detectors.md#machine-role-console",
        **changes,
    }  # fmt: skip
    return msgspec.convert(made, Finding)


def settings(url: str, extra: str = "", *, severity: str = "info") -> Settings:
    """Make settings by which one PagerDuty service, `oncall`, is told of everything from a severity up."""
    return parse_settings(
        f"""
        [[routes]]
        sink = "oncall"
        severity = "{severity}"
        [sinks.oncall]
        type = "pagerduty"
        url = "{url}"
        routing_key_env = "ROUTING_KEY"
        timeout_s = 1
        {extra}
        """
    )
