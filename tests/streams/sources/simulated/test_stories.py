"""Each story shows what it is about: its findings are owed, its markers are in the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from models.facts import CONSOLE_MARKERS, WORKLOAD_PROOF, Facts
from models.reader import EventReader
from models.record import decode_record
from streams.sources.simulated.organisation import START, START_OLD, Plan
from streams.sources.simulated.stories import BY_NAME, INCIDENTS, NEAR_MISSES, fitting
from streams.sources.simulated.stories.story import Story
from streams.sources.simulated.truth import Expected
from streams.sources.simulated.world import World

Records = list[dict[str, Any]]


def tell(name: str, seed: int = 5, **changes: Any) -> tuple[list[Expected], dict[str, dict[str, Any]], World]:
    """Tell one story in a small world; gives what it owes, the trail's records by event id, and the world."""
    story = BY_NAME[name]
    days = max(story.min_days, 12)
    plan = Plan(
        seed=seed, events=1_500, days=days, era=story.era or "new", start_at=START_OLD if story.era == "old" else START
    )
    world = World(replace(plan, stories=(name,), **changes))
    records = {each.event_id: msgspec.json.decode(each.text) for each in world.events()}
    return [each for each in world.organisation.ledger.expected if each.story == name], records, world


def owed(name: str, detector: str, **options: Any) -> Records:
    """List the records of what a story owes to a detector."""
    expected, records, _ = tell(name, **options)
    (first, *_) = [each for each in expected if each.detector == detector and each.kind != "tolerated"]
    return [records[event_id] for event_id in first.event_ids]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("story", INCIDENTS, ids=lambda story: story.name)
def test_an_incident_owes_its_findings(story: Story, seed: int) -> None:
    """Each detector that an incident is for is owed a finding, about something named, by events of the trail."""
    expected, records, _ = tell(story.name, seed)
    findings = [each for each in expected if each.kind == "finding"]
    assert {each.detector for each in findings} >= set(story.detectors)
    for each in findings:
        assert each.entity_arn
        assert set(each.event_ids) <= records.keys()


@pytest.mark.parametrize("story", NEAR_MISSES, ids=lambda story: story.name)
def test_a_near_miss_names_whom_it_must_not_rouse(story: Story) -> None:
    """Each detector that a near miss could fool is named, with events of the trail."""
    expected, records, _ = tell(story.name)
    quiet = [each for each in expected if each.kind == "near_miss"]
    assert {each.detector for each in quiet} == set(story.detectors)
    assert all(set(each.event_ids) <= records.keys() for each in quiet)


def test_names_are_unique() -> None:
    """No two stories share a name."""
    assert len(BY_NAME) == len(INCIDENTS) + len(NEAR_MISSES)


def test_all_means_what_there_is_time_for() -> None:
    """Stories that need more days, or the other era, are left out of all."""
    short = fitting(Plan(days=1))
    assert "key-dormant-revived" not in short
    assert "console-invoked-by-signin" not in short
    assert "console-invoked-by-signin" in fitting(Plan(days=1, era="both"))
    assert set(fitting(Plan(days=200, era="both"))) == set(BY_NAME)


_SHOWN: dict[str, Facts] = {
    "console-flag": Facts.CONSOLE_FLAG,
    "console-invoked-by-signin": Facts.INVOKED_BY_SIGNIN,
    "console-user-agent": Facts.CONSOLE_CLIENT,
    "console-login-as-role": Facts.SIGN_IN,
    "console-switch-role": Facts.SWITCHED_ROLE,
    "console-cloudshell": Facts.CLOUDSHELL,
}


@pytest.mark.parametrize(("name", "marker"), _SHOWN.items())
def test_console_stories_show_their_marker_on_a_machines_role(name: str, marker: Facts) -> None:
    """The product sees the marker in the session, and proof of a workload outside of it."""
    expected, records, _ = tell(name)
    (finding,) = [each for each in expected if each.detector == "machine-role-console" and each.kind == "finding"]
    reader = EventReader()
    inside = outside = 0
    for event_id, each in records.items():
        event = reader.read(decode_record(msgspec.json.encode(each)))
        if event.actor and event.actor.arn == finding.entity_arn:
            if event_id in finding.event_ids:
                inside |= event.facts
            else:
                assert not event.facts & CONSOLE_MARKERS
                outside |= event.facts
    assert inside & marker
    platform_is_said = outside & WORKLOAD_PROOF or any(
        each["userIdentity"].get("type") == "AWSService" and finding.entity_arn in str(each.get("resources"))
        for each in records.values()
    )
    assert platform_is_said


def test_only_one_marker_shows_in_the_story_of_it() -> None:
    """The story of the flag has nothing but the flag; that of the client nothing but the client."""
    for name in ("console-flag", "console-user-agent"):
        for each in owed(name, "machine-role-console"):
            assert ("sessionCredentialFromConsole" in each) is (name == "console-flag")


_MARKS: dict[str, tuple[str, Callable[[Records], bool]]] = {
    "root-use": ("root-use", lambda found: found[0]["additionalEventData"]["MFAUsed"] == "No"),
    "root-key": ("root-key", lambda found: found[0]["eventName"] == "CreateAccessKey"),
    "unfederated-login": ("unfederated-console-login", lambda found: found[0]["responseElements"] == {"ConsoleLogin": "Success"}),
    "password-spray": ("console-login-failures", lambda found: len(found) > 10 and len({each["sourceIPAddress"] for each in found}) == 1),
    "password-guessed": ("console-login-failures", lambda found: [each["responseElements"]["ConsoleLogin"] for each in found].index("Success") > 4),
    "trail-stopped": ("trail-tampering", lambda found: found[0]["eventName"] in ("StopLogging", "DeleteTrail")),
    "trail-logs-less": ("trail-tampering", lambda found: found[0]["eventName"] == "PutEventSelectors"),
    "admin-granted": ("admin-granted", lambda found: found[0]["requestParameters"]["policyArn"].endswith("AdministratorAccess")),
    "key-used-after-disable": ("key-used-after-disable", lambda found: all("errorCode" in each for each in found)),
    "federation-token": ("session-from-long-lived-key", lambda found: found[0]["eventName"] == "GetFederationToken"),
    "key-quarantined": ("key-quarantined", lambda found: "AWSCompromisedKeyQuarantine" in found[0]["requestParameters"]["policyArn"]),
    "key-made-then-used": ("key-made-then-used", lambda found: all(each["userIdentity"]["type"] == "IAMUser" for each in found)),
    "recon-burst": ("recon-burst", lambda found: sum("errorCode" in each for each in found) > 12),
    "presigned-url": ("machine-role-console", lambda found: all(each["additionalEventData"]["AuthenticationMethod"] == "QueryString" for each in found)),
    "on-roots-behalf": ("root-use", lambda found: all("invokedBy" in each["userIdentity"] for each in found)),
    "forgotten-password": ("console-login-failures", lambda found: len(found) == 2),
    "session-token-with-mfa": ("session-from-long-lived-key", lambda found: "serialNumber" in found[0]["requestParameters"]),
}  # fmt: skip


@pytest.mark.parametrize("name", _MARKS)
def test_a_story_shows_what_it_is_about(name: str) -> None:
    """The records that a finding or near miss names bear its mark."""
    detector, has_mark = _MARKS[name]
    assert has_mark(owed(name, detector))


def test_the_chain_goes_over_three_roles_in_two_accounts() -> None:
    """Each hop's key is the one that the AssumeRole before it issued, back to the leaked key."""
    found = owed("attack-chain", "attack-chain")
    hops = [
        each for each in found if each["eventName"] == "AssumeRole" and each["userIdentity"]["type"] != "AWSAccount"
    ]
    assert len(hops) == 3
    assert hops[0]["userIdentity"]["accessKeyId"].startswith("AKIA")
    for sooner, later in pairwise(hops):
        assert later["userIdentity"]["accessKeyId"] == sooner["responseElements"]["credentials"]["accessKeyId"]
    assert len({each["recipientAccountId"] for each in found}) == 2
    assert {"StopLogging", "AttachUserPolicy", "CreateAccessKey", "PutBucketPolicy"} <= {
        each["eventName"] for each in found
    }


def test_a_thief_of_an_instances_credentials_keeps_its_session_name() -> None:
    """The stolen session is the instance's own, from another address."""
    expected, records, _ = tell("instance-credentials-outside")
    (finding,) = [each for each in expected if each.detector == "instance-credentials-outside"]
    stolen = [records[event_id] for event_id in finding.event_ids]
    arns = {each["userIdentity"]["arn"] for each in stolen}
    own = {each["sourceIPAddress"] for each in records.values() if each["userIdentity"].get("arn") in arns} - {
        each["sourceIPAddress"] for each in stolen
    }
    assert len(arns) == 1
    assert own


@pytest.mark.parametrize("rule", range(1, 11))
def test_broad_grants_come_by_several_doors(rule: int) -> None:
    """Over a few seeds a rule's grant is written by more than one call, and its document can be read."""
    names = set()
    for seed in range(4):
        (*_, last) = owed(f"wildcard-w{rule}", "wildcard-grant", seed=seed)
        names.add(last["eventName"])
        request = last["requestParameters"]
        if "policyDocument" in request:
            assert msgspec.json.decode(request["policyDocument"])["Statement"]
    assert len(names) > 1 or rule in (8, 9, 10)


def test_a_dormant_key_was_quiet_for_ninety_days() -> None:
    """Between its last use and the new one lie more than 90 days."""
    expected, records, _ = tell("key-dormant-revived")
    (finding,) = [each for each in expected if each.detector == "key-dormant-revived"]
    used = sorted(
        each["eventTime"] for each in records.values() if each["userIdentity"].get("accessKeyId") == finding.subject
    )
    before = max(each for each in used if each < records[finding.event_ids[0]]["eventTime"])
    assert before < "2026-03-07"
    assert records[finding.event_ids[0]]["eventTime"] > "2026-06-01"
