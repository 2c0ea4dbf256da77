"""A finding's story on a terminal: whole, in order, within its width, and safe whatever the strings."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from models.explanation import Explanation, Related, Step, Technique, Timeline
from models.finding import ActorView, EntityView, Evidence
from models.incidents.lineage import Hop
from streams.terminal import Screen, visible
from tests.streams.test_formats import EVIDENCE, FINDING, HOSTILE, write

PERSON, VENDOR = "arn:aws:iam::111122223333:user/nina.keller", "arn:aws:sts::444455556666:assumed-role/deploy/nina"
HOPS = [
    Hop(PERSON, "user", "", None, None, "human"),
    Hop(VENDOR, "role", "AssumeRole", 1714555800, "aaaa-1", "workload"),
    Hop(str(FINDING.actor.arn), "role", "SwitchRole", 1714555860, "bbbb-2", "workload"),
]
STEP = Step(
    "2024-05-01T09:31:00Z", "e1", "s3.amazonaws.com", "ListBuckets", "198.51.100.7", "Mozilla", "eu-west-1", None,
    PERSON, is_evidence=True,
)  # fmt: skip
TOLD = Explanation(
    finding=FINDING,
    lineage=HOPS,
    timeline=Timeline(
        "2024-05-01T08:31:00Z",
        "2024-05-01T11:31:00Z",
        1234,
        [
            STEP,
            replace(STEP, event_name="GetObject", error_code="AccessDenied", is_evidence=False, actor=VENDOR),
            replace(STEP, event_time="2024-05-02T00:00:01Z", source_ip=None, actor=VENDOR),
        ],
    ),
    chain=Related("c" * 32, "attack-chain", "critical", "2024-05-01T09:00:00Z", "One intrusion"),
    parts=[],
    attack=[Technique("T1078.004", "Cloud Accounts", None)],
    what_to_do="Ask nina what it was for.",
    known_gaps="A proxy.",
)


def evil() -> Explanation:
    """Make a story in which every string is an attack on the terminal."""
    evidence = Evidence(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    finding = replace(
        FINDING,
        detector=HOSTILE,
        title=HOSTILE,
        summary=HOSTILE,
        subject=HOSTILE,
        account_id=HOSTILE,
        entity=EntityView(HOSTILE, HOSTILE, None, None),
        actor=ActorView(HOSTILE, None, None),
        seen={HOSTILE: HOSTILE, "list": [HOSTILE], "map": {HOSTILE: HOSTILE}, "none": None},
        expected={},
        evidence=[evidence],
        affected=[HOSTILE],
        affected_count=9,
        part_of=HOSTILE,
    )
    step = Step(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, is_evidence=True)
    hops = [Hop(HOSTILE, HOSTILE, HOSTILE, n, HOSTILE, HOSTILE) for n in range(8)]
    related = Related(HOSTILE, HOSTILE, "low", HOSTILE, HOSTILE)
    return Explanation(
        finding=finding,
        lineage=hops,
        timeline=Timeline(HOSTILE, HOSTILE, 1, [step]),
        chain=related,
        parts=[related],
        attack=[Technique(HOSTILE, HOSTILE, None)],
        what_to_do=HOSTILE,
        known_gaps=HOSTILE,
    )


def show(told: Explanation, width: int = 80, **screen: Any) -> str:
    """Write a story for a screen."""
    return write("explanations", "table", [told], Screen(width, **screen))


@pytest.mark.parametrize("width", [60, 80, 100, 119, 120, 160, 200, 250])
@pytest.mark.parametrize("told", [TOLD, evil()], ids=["plain", "evil"])
def test_a_story_fits_and_obeys_nothing(told: Explanation, width: int) -> None:
    """No line is wider than the screen, ends in blanks or holds what a terminal would obey."""
    for line in show(told, width).splitlines():
        assert cell_len(line) <= width
        assert visible(line) == line == line.rstrip()


def test_sections_stand_in_the_order_of_the_story() -> None:
    """What it is, who, from whom, what happened, on which evidence, what to do: in this order at every width."""
    headings = [
        "Who", "Lineage", "Part of a chain", "Timeline (UTC)", "Seen", "Expected", "Evidence", "What to do",
        "Known gaps", "ATT&CK",
    ]  # fmt: skip
    for width in (80, 200):
        lines = show(TOLD, width).splitlines()
        assert lines[0] == "HIGH  Machine role orders-api used from the console"
        assert [line for line in lines if line in headings] == headings


def test_lineage_is_a_tree() -> None:
    """The person is the root; each hop hangs from the one before it, with how, when and its event."""
    text = show(TOLD)
    start = text.index("Lineage")
    assert text[start : text.index("Part of")] == (
        "Lineage\n"
        "  user/nina.keller  human\n"
        "  └── deploy/nina in 444455556666  workload\n"
        "      AssumeRole  2024-05-01 09:30:00  event aaaa-1\n"
        "      └── orders-api/nina  workload\n"
        "          SwitchRole  2024-05-01 09:31:00  event bbbb-2\n"
        "\n"
    )


def test_a_missing_edge_is_said() -> None:
    """Where no event says who stands behind, or nobody acted at all, the lineage says so."""
    unknown = replace(TOLD, finding=replace(FINDING, actor=ActorView("x", None, None)), lineage=HOPS[-1:])
    assert "Who stands behind that, no event of the trail says." in show(unknown)
    nobody = replace(TOLD, finding=replace(FINDING, actor=ActorView(None, None, None)), lineage=[])
    assert "Nobody is known to have acted" in show(nobody)
    assert "no event of the trail says" not in show(TOLD)


def test_the_timeline_goes_by_day_and_actor() -> None:
    """Each change of day or actor has a heading, evidence its mark, a failure its error; what is left out is counted."""
    text = show(TOLD)
    assert "  2024-05-01  user/nina.keller\n  *  09:31:00  s3:ListBuckets  198.51.100.7\n" in text
    assert (
        "  2024-05-01  deploy/nina in 444455556666\n     09:31:00  s3:GetObject  AccessDenied  198.51.100.7\n" in text
    )
    assert "  2024-05-02  deploy/nina in 444455556666\n  *  00:00:01  s3:ListBuckets  -\n" in text
    assert "1,231 further events farther from the evidence left out." in " ".join(text.split())
    assert "Mozilla" in show(TOLD, 120).split("Timeline")[1].split("Seen")[0]


def test_values_are_spelled_for_people() -> None:
    """Yes and no, lists with commas, nothing as a dash."""
    seen = {
        "known_network": False,
        "console_markers": ["a", "b"],
        "key": None,
        "deep": [{"x": 1, "y": True}, {"x": 2}],
        "none": (),
    }
    lines = [" ".join(line.split()) for line in show(replace(TOLD, finding=replace(FINDING, seen=seen))).splitlines()]
    for line in ("known network no", "console markers a, b", "key -", "deep x 1, y yes; x 2", "none -"):
        assert line in lines


def test_clients_are_named_once() -> None:
    """The AWS CLI writes each command into its name, and is one client all the same."""
    agents = ["aws-cli/2 md/command#s3.ls", "aws-cli/2 md/command#iam.get-role"]
    evidence = [replace(EVIDENCE, user_agent=agent) for agent in agents]
    assert show(replace(TOLD, finding=replace(FINDING, evidence=evidence))).count("from aws-cli/2\n") == 1


def test_colour_only_where_it_may_be() -> None:
    """A coloured screen has escapes; a plain one has none."""
    assert "\x1b[1;31mHIGH" in show(TOLD, is_coloured=True)
    assert "\x1b" not in show(TOLD)


def test_jsonl_has_all_of_it() -> None:
    """One object with the finding as replay writes it, and everything that the page shows."""
    row = json.loads(write("explanations", "jsonl", [TOLD]))
    assert list(row) == [
        "finding", "lineage", "timeline", "chain", "parts", "attack", "what_to_do", "known_gaps",
    ]  # fmt: skip
    assert row["finding"] == json.loads(write("findings", "jsonl", [FINDING]))
    assert row["lineage"][0] == {
        "arn": PERSON, "type": "user", "how": "", "at": None, "event_id": None, "class": "human",
    }  # fmt: skip
    (line,) = write("explanations", "jsonl", [evil()]).splitlines()
    assert visible(line) == line
