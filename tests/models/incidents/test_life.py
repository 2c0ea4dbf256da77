"""The life of a finding: suppressed, in shadow, closed and opened again, and every change told when it happens."""

from __future__ import annotations

from itertools import permutations

import msgspec

from models.desks.incidents import IncidentsDesk
from models.detectors.use.root_use import RootUse
from models.engine import Engine
from models.finding import Draft, EntityRef, Exhibits, Finding, Severity
from models.record import epoch
from models.settings import parse_settings
from tests.records import ACCOUNT, Json, events_of, findings, raise_fault, record, root, rules, run, time

HOUR = 60
DAY = 24 * 60


def root_call(minutes: float, address: str = "198.51.100.7") -> Json:
    """Make a call of root's."""
    return record("ListUsers", root("AKIAEXAMPLEROOT00001"), minutes, sourceIPAddress=address)


def history(records: list[Json], toml: str = "", until: float | None = None) -> list[Finding]:
    """List every change, as it is told."""
    told: list[Finding] = []
    settings = parse_settings(toml)
    engine = Engine(rules(settings, "root-use"), settings, raise_fault, told.append)
    events = events_of(records)
    for event in events:
        engine.feed([event])
    engine.tick(events[-1].at if until is None else epoch(time(until)))
    return told


def test_every_change_is_told() -> None:
    """Opened, doubled, closed in quiet; opened again with the same id and the first opening; the class as it was then."""
    told = history([root_call(0), root_call(1), root_call(2), root_call(3)], until=2 * DAY)
    assert [(each.revision, each.status, each.evidence_count) for each in told] == [
        (1, "open", 1), (2, "updated", 2), (3, "updated", 4), (4, "closed", 4),
    ]  # fmt: skip
    assert len({each.finding_id for each in told}) == 1


def test_what_is_told_last_is_how_it_stands() -> None:
    """The last change of each finding is the finding, word for word."""
    records = [root_call(0), root_call(1), root_call(3 * DAY), root_call(3 * DAY + 1)]
    told = {each.finding_id: each for each in history(records)}
    assert msgspec.json.encode(sorted(told.values(), key=lambda each: (each.opened_at, each.finding_id))) == (
        msgspec.json.encode(findings(records, only="root-use"))
    )


def test_it_closes_at_its_time_and_not_when_somebody_looks() -> None:
    """A closing by time is told before what happens later, even to others."""
    told = history([root_call(0), root_call(2 * DAY)])
    assert [(each.status, each.opened_at) for each in told] == [
        ("open", time(0)), ("closed", time(0)), ("open", time(2 * DAY)),
    ]  # fmt: skip


def draft(minutes: float, *, closes: bool = False) -> Draft:
    """Make a draft of a condition, or what ends it."""
    engine = Engine(rules(only="root-use"), on_fault=raise_fault)
    engine.feed(events_of([root_call(minutes)]))
    (matter,) = engine.incidents.matters.values()
    entity = EntityRef(f"arn:aws:iam::{ACCOUNT}:root", "root")
    made = RootUse().closing(entity, "s", epoch(time(minutes))) if closes else matter.draft
    return msgspec.structs.replace(made, subject="s", entity=entity, quiet_s=None)


def test_closings_and_evidence_end_the_same_in_any_order() -> None:
    """A condition is closed if its last closing is not older than its last evidence, whatever came first."""
    for drafts, is_closed in (
        ([(0, False), (5, True)], True),
        ([(0, False), (5, True), (9, False)], False),
        ([(0, False), (5, True), (9, False), (12, True)], True),
        ([(5, False), (5, True)], True),
    ):
        for order in permutations(drafts):
            desk = IncidentsDesk()
            for minutes, closes in order:
                desk.fold(draft(minutes, closes=closes))
            desk.pass_time(epoch(time(60)))
            (found,) = desk.findings()
            assert (found.status == "closed") == is_closed, order
            assert found.opened_at == time(min(at for at, closes in drafts if not closes))


def weighed(minutes: float, severity: Severity, *, quiet_s: int | None = None) -> Draft:
    """Make a draft of a severity: of a condition, or of what closes by itself."""
    return msgspec.structs.replace(draft(minutes), severity=severity, title=severity.label, quiet_s=quiet_s)


def test_what_opens_again_is_as_severe_as_what_opened_it() -> None:
    """A denied try, after what was granted is taken back, is no grant: low, told as it is, and closed by itself."""
    desk = IncidentsDesk()
    granted, taken, tried = weighed(0, Severity.CRITICAL), draft(5, closes=True), weighed(9, Severity.LOW, quiet_s=3600)
    for each in (granted, taken, tried):
        desk.fold(each)
    (found,) = desk.findings()
    assert (found.severity, found.title, found.status, found.opened_at) == ("low", "low", "updated", time(0))
    desk.pass_time(epoch(time(70)))
    assert desk.findings()[0].close_reason == "quiet"


def test_what_has_been_quiet_for_long_opens_at_its_new_weight() -> None:
    """But within its quiet time the highest stands."""
    for minutes, severity in ((59, "high"), (60, "low")):
        desk = IncidentsDesk()
        desk.fold(weighed(0, Severity.HIGH, quiet_s=3600))
        desk.fold(weighed(minutes, Severity.LOW, quiet_s=3600))
        assert desk.findings()[0].severity == severity


def test_a_closing_is_no_evidence() -> None:
    """It adds no event, and opens nothing on its own."""
    desk = IncidentsDesk()
    desk.fold(draft(5, closes=True))
    assert desk.findings() == []
    desk.fold(draft(0))
    (found,) = desk.findings()
    assert (found.evidence_count, found.close_reason) == (1, "resolved")
    assert Exhibits() == RootUse().closing(EntityRef("a", "root"), None, 0).exhibits


SUPPRESSED = """
[[suppressions]]
detector = "root-use"
entity = "arn:aws:iam::111122223333:*"
network = "198.51.100.0/24"
until = 2024-05-03
reason = "the yearly review"
"""


def test_a_suppressed_finding_is_accepted_and_not_shown() -> None:
    """It stands among the changes as closed and accepted, and nowhere else."""
    engine = run([root_call(0), root_call(1)], only="root-use", toml=SUPPRESSED)
    assert engine.findings() == []
    (found,) = engine.incidents.findings(is_accepted=True)
    assert (found.status, found.close_reason) == ("closed", "accepted")
    assert engine.incidents.matched == {0}
    assert [each.close_reason for each in history([root_call(0)], SUPPRESSED)] == ["accepted"]


def test_what_the_suppression_does_not_cover_is_shown() -> None:
    """Another network, another entity, another detector, or evidence after the date opens it."""
    assert len(findings([root_call(0, "203.0.113.9")], only="root-use", toml=SUPPRESSED)) == 1
    assert len(findings([root_call(0), root_call(1, "203.0.113.9")], only="root-use", toml=SUPPRESSED)) == 1
    assert len(findings([root_call(0)], only="root-use", toml=SUPPRESSED.replace("root-use", "attack-chain"))) == 1
    assert len(findings([root_call(0)], only="root-use", toml=SUPPRESSED.replace("111122223333", "999988887777"))) == 1
    over_the_date = [root_call(2 * DAY - 11 * HOUR - 60), root_call(2 * DAY - 11 * HOUR), root_call(2 * DAY + 30)]
    assert [each.evidence_count for each in findings(over_the_date, only="root-use", toml=SUPPRESSED)] == [3]


def test_context_is_noted() -> None:
    """What the settings say of entity, actor and network stands in the finding."""
    toml = '[people]\nbreak_glass = ["*:root"]\n[networks]\noffice = ["198.51.100.0/24"]'
    (found,) = findings([root_call(0)], only="root-use", toml=toml)
    assert found.seen["context"] == ["break-glass", "known network"]
    (found,) = findings([root_call(0)], only="root-use")
    assert "context" not in found.seen
