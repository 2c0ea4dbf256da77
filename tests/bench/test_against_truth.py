"""The table of found, missed and false is counted as it says."""

from __future__ import annotations

from typing import Any

import pytest

from bench.against_truth import DAYS, ERAS, Row, Score, report, run
from models.detectors.behaviour.behaviour_anomaly import BehaviourAnomaly
from models.finding import Finding
from tests.records import ACCOUNT, findings, record, root, sign_in, user

ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
ERIN_ARN = f"arn:aws:iam::{ACCOUNT}:user/erin"


@pytest.fixture(scope="module")
def found() -> list[Finding]:
    """Find root at work, and a user's sign-in without MFA."""
    return findings([record("ListUsers", root("ASIAEXAMPLE000000001")), sign_in(user("erin", key=None), 5)])


def row(kind: str, detector: str, arn: str, **more: Any) -> Row:
    """Make one line of truth."""
    return {"kind": kind, "detector": detector, "entity_arn": arn, "event_ids": ["1"], "story": "tale", **more}


def scored(found: list[Finding], *truth: Row) -> Score:
    """Hold what was found against some truth."""
    score = Score(["root-use", "unfederated-console-login"])
    score.events = 2
    score.add("here", list(truth), found, [])
    return score


def test_what_is_owed_and_found_counts(found: list[Finding]) -> None:
    """Detector and entity must agree, and the severity is held against the truth's where that names one."""
    score = scored(
        found,
        row("finding", "root-use", ROOT_ARN, severity="high"),
        row("finding", "unfederated-console-login", ERIN_ARN, severity="low"),
        row("finding", "not-yet-built", ERIN_ARN),
    )
    assert score.owed == {"root-use": 1, "unfederated-console-login": 1}
    assert score.found == score.owed
    assert score.as_severe == {"root-use": 1, "unfederated-console-login": 0}
    assert not score.false_alarms


def test_another_subject_or_entity_is_a_miss(found: list[Finding]) -> None:
    """A finding of another session is not the one that is owed; one of an entity that owes none is a false alarm."""
    score = scored(found, row("finding", "root-use", ROOT_ARN, subject="console@1999-01-01T00:00:00Z"))
    assert (score.owed["root-use"], score.found["root-use"]) == (1, 0)
    assert score.false_alarms == {("unfederated-console-login", "medium"): 1}
    assert any(each.startswith("missed: here") for each in score.named)


def test_what_is_tolerated_counts_neither_way(found: list[Finding]) -> None:
    """It is neither owed nor false."""
    score = scored(found, *(row("tolerated", each.detector, each.entity.arn) for each in found))
    assert not score.owed
    assert not score.false_alarms


def test_a_roused_near_miss_is_a_false_alarm_too(found: list[Finding]) -> None:
    """Whatever a detector makes of a near miss counts in both columns."""
    score = scored(
        found, row("near_miss", "root-use", ROOT_ARN), row("tolerated", "unfederated-console-login", ERIN_ARN)
    )
    assert (score.near_misses["root-use"], score.roused["root-use"]) == (1, 1)
    assert score.false_alarms == {("root-use", "high"): 1}
    assert "| `root-use` | 0 | 0 | 0 of 0 | 1 | 1 | 1 |" in "\n".join(report(score, [7]))


def test_built_detectors_find_all_that_is_owed() -> None:
    """On an unseen seed, in both eras, nothing of the detectors built so far is missed, and nothing is made up.

    `behaviour-anomaly` has a budget that it spends on ordinary life too, and keeps to: here a week is left once it has
    watched for one.
    """
    score = run([77], 4_000)
    assert score.owed == score.found
    budgeted = sum(score.false_alarms.pop((BehaviourAnomaly.name, each), 0) for each in ("low", "medium"))
    assert budgeted <= BehaviourAnomaly().alerts_per_week * len(ERAS) * (DAYS / 7 - 1)
    assert not score.false_alarms
    assert not any(score.roused.values())
