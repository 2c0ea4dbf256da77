"""OCSF: every object passes a published model of schema 1.5.0, and holds nothing that the schema does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import ocsf_emitter
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from ocsf_emitter._models import Cloud, DetectionFinding  # the class as a whole is not exported
from pydantic import BaseModel

from models.attack import TECHNIQUES, tactic
from models.detectors import REGISTRY
from models.finding import ActorView, EntityView, Finding
from models.settings import Settings
from streams.formats.ocsf import SCHEMA, detection_finding, findings
from streams.replay import replay
from streams.terminal import Screen, visible
from tests.records import Json
from tests.streams.test_formats import EVIDENCE, EVIL, FINDING

SAMPLE = Path(__file__).parents[2] / "examples/sample-trail/AWSLogs"
PROFILED: Final = {"cloud"}  # attributes of the profiles applied: the base class does not have them
hostile = st.text(st.characters(exclude_categories=()))


def unknown_to(model: BaseModel, where: str = "") -> Iterator[str]:
    """List every attribute, at any depth, that the schema does not know; unmapped and data may hold anything."""
    for name in model.model_extra or {}:
        yield f"{where}{name}"
    for name in model.model_fields_set - {"unmapped", "data"}:
        value = getattr(model, name, None)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                yield from unknown_to(each, f"{where}{name}.")


def validated(finding: Finding) -> Json:
    """Write a finding, and validate what was written."""
    (written,) = findings([finding], Screen())
    assert visible(written.removesuffix("\n")) == written.removesuffix("\n")
    row: Json = json.loads(written)
    model = DetectionFinding.model_validate(row)
    ocsf_emitter.validate(model)
    assert set(unknown_to(model)) == PROFILED
    assert not list(unknown_to(Cloud.model_validate(row["cloud"])))
    assert all(value is not None for value in row.values())
    assert row["metadata"]["version"] == SCHEMA
    return row


def test_the_sample_trail_is_valid() -> None:
    """Every finding of the sample trail is a valid Detection Finding, told apart by its uid."""
    found = replay([str(SAMPLE)], Settings()).findings
    rows = [validated(each) for each in found]
    assert [row["finding_info"]["uid"] for row in rows] == [each.finding_id for each in found]
    assert len(rows) > 1


def test_what_stands_where() -> None:
    """A finding's values are where a reader of the schema looks for them, times in milliseconds."""
    row = validated(replace(FINDING, part_of="f" * 32))
    assert (row["class_uid"], row["category_uid"], row["activity_id"], row["type_uid"]) == (2004, 2, 3, 200403)
    assert (row["severity_id"], row["status_id"], row["status_detail"]) == (4, 5, "quiet")
    assert (row["time"], row["start_time"], row["count"]) == (1714559460000, 1714555860000, 13)
    assert row["finding_info"]["attacks"] == [
        {
            "technique": {"uid": "T1078", "name": "Valid Accounts"},
            "sub_technique": {"uid": "T1078.004", "name": "Cloud Accounts"},
            "tactic": {"uid": "TA0001", "name": "Initial Access"},
        }
    ]
    assert row["finding_info"]["analytic"]["uid"] == "machine-role-console"
    assert row["resources"] == [{"uid": FINDING.entity.arn, "name": "orders-api", "type": "role"}]
    (evidence,) = row["evidences"]
    assert evidence["src_endpoint"] == {"ip": "198.51.100.7"}
    assert evidence["actor"]["user"]["account"]["uid"] == "111122223333"
    assert row["cloud"]["account"]["uid"] == "111122223333"
    assert (row["cloud"]["region"], row["cloud"]["cloud_partition"]) == ("eu-west-1", "aws")
    assert row["metadata"]["correlation_uid"] == "f" * 32
    assert row["unmapped"]["actor"]["origin"] == "okta/nina@example.com"
    assert {(each["name"], each["value"]) for each in row["observables"]} == {
        ("resources[0].uid", FINDING.entity.arn),
        ("evidences[0].actor.user.uid", FINDING.actor.arn),
        ("evidences[0].src_endpoint.ip", "198.51.100.7"),
    }


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"status": "open", "close_reason": None, "revision": 1}, (1, 1)),
        ({"status": "updated", "close_reason": None}, (2, 1)),
        ({"close_reason": "accepted"}, (3, 3)),
        ({"close_reason": "resolved"}, (3, 4)),
        ({"close_reason": "superseded"}, (3, 5)),
    ],
)
def test_state_is_activity_and_status(changes: Json, ids: tuple[int, int]) -> None:
    """Opening creates, a change updates, an end closes; the reason of the end decides the status."""
    row = validated(replace(FINDING, **changes))
    assert (row["activity_id"], row["status_id"]) == ids


def test_shadow_is_no_alert() -> None:
    """What is in shadow is nobody's alert."""
    assert validated(FINDING)["is_alert"] is True
    assert validated(replace(FINDING, stage="shadow"))["is_alert"] is False


def test_what_is_unknown_is_left_out() -> None:
    """No account, no actor, no address, no evidence: the object is valid all the same."""
    nobody = replace(FINDING, account_id=None, actor=ActorView(None, None, None), detector="gone", attack=("T9999",))
    bare = replace(EVIDENCE, source_ip=None, user_agent=None, region=None)
    row = validated(replace(nobody, evidence=[bare]))
    assert "actor" not in row["evidences"][0]
    assert "account" not in row["cloud"]
    assert row["finding_info"]["attacks"] == [{"technique": {"uid": "T9999", "name": "T9999"}}]
    assert validated(replace(nobody, evidence=[]))["evidences"] == []


def test_a_service_is_no_address() -> None:
    """Where a service's name stands for an address, it is named as a service; root and classes have their types."""
    row = validated(
        replace(
            FINDING,
            evidence=[replace(EVIDENCE, source_ip="ec2.amazonaws.com")],
            actor=ActorView("arn:aws:iam::111122223333:root", "human", None),
        )
    )
    assert row["evidences"][0]["src_endpoint"] == {"svc_name": "ec2.amazonaws.com"}
    assert row["evidences"][0]["actor"]["user"]["type_id"] == 2
    agent = validated(replace(FINDING, actor=ActorView("x", "agent", None)))
    assert agent["evidences"][0]["actor"]["user"]["type"] == "agent"


@given(hostile, hostile)
def test_hostile_strings_are_valid(text: str, other: str) -> None:
    """Whatever the strings of events, the object is valid and safe to print."""
    text, other = (each.encode("utf-8", "replace").decode() for each in (text, other))
    row = validated(
        replace(
            EVIL,
            detector=text,
            title=text,
            summary=other,
            entity=EntityView(other, text, None, None),
            actor=ActorView(text, None, other),
            evidence=[replace(EVIDENCE, event_id=text, source_ip=other, user_agent=text, event_name=other)],
            affected=[text, other],
            seen={text: other},
        )
    )
    assert row["finding_info"]["desc"] == other
    assert row["evidences"][0]["http_request" if text else "api"] is not None


def test_every_technique_cited_is_known() -> None:
    """The techniques of all detectors have names here, and a tactic."""
    cited = {each for detector in REGISTRY for each in detector.attack}
    assert all(each in TECHNIQUES and each.partition(".")[0] in TECHNIQUES for each in cited)
    assert all(tactic(each) is not None for each in TECHNIQUES)
    assert all(detector.chain_stage is None or tactic("", detector.chain_stage) for detector in REGISTRY)


def test_the_version_is_that_installed() -> None:
    """Product and analytic carry the version, where there is one."""
    row: dict[str, Any] = detection_finding(FINDING, "1.2.3")
    assert row["metadata"]["product"]["version"] == row["finding_info"]["analytic"]["version"] == "1.2.3"
    assert "version" not in detection_finding(FINDING, None)["metadata"]["product"]
