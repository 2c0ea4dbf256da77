"""A finding's story for people: what it is, who stands behind it, what happened around it, what to do.

Sections stand one under another at every width; a wider screen shows more of each event.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from models.explanation import HOUR_S, Explanation, Related, Step
from models.finding import Evidence, Finding
from models.incidents.lineage import Hop
from models.record import iso
from streams.formats.drawing import (
    badge,
    client_name,
    counted,
    minute,
    rendered,
    second,
    short_name,
    spelled,
    stack,
    standing,
)
from streams.terminal import Screen, shorten, visible

WIDE: Final = 120  # columns from which an event shows its client
PROSE: Final = 100  # columns beyond which a line of prose is tiring to read
INDENT: Final = 2
GUIDE: Final = 4  # columns by which each level of a tree is indented
LABEL: Final = 10  # columns of what stands before a value, the gap included
GAP: Final = 2
CLOCK: Final = 8
ADDRESS: Final = 39  # columns of the longest IPv6 address
REGION: Final = 14
CLASS_STYLES: Final = {"human": "green", "workload": "blue", "service": "blue", "agent": "magenta"}


def tell(told: list[Explanation], screen: Screen) -> Iterator[str]:
    """Write stories, one after another."""
    for each in told:
        yield from rendered(Group(*_story(each, screen.width)), screen)


def _story(told: Explanation, width: int) -> Iterator[RenderableType]:
    finding, width = told.finding, width - INDENT
    yield from _head(finding)
    yield from _section("Who", _who(finding, width))
    yield from _section("Lineage", _lineage(told.lineage, finding, width))
    if told.chain is not None:
        yield from _section("Part of a chain", _related([told.chain], width))
    if told.parts:
        yield from _section(f"A chain of {len(told.parts)}", _related(told.parts, width))
    yield from _section("Timeline (UTC)", _timeline(told, width))
    yield from _section("Seen", _values(finding.seen, width))
    yield from _section("Expected", _values(finding.expected, width))
    yield from _section("Evidence", _evidence(finding, width))
    yield from _section("What to do", _prose(told.what_to_do))
    yield from _section("Known gaps", _prose(told.known_gaps))
    yield from _section("ATT&CK", _attack(told))


def _head(finding: Finding) -> Iterator[RenderableType]:
    yield Text.assemble(badge(finding.severity), "  ", (visible(finding.title), "bold"))
    yield Text(f"{visible(finding.detector)}, {standing(finding)}, revision {finding.revision}", "dim")
    yield Text(f"from {second(finding.opened_at)} to {second(finding.updated_at)} UTC", "dim")
    yield Text(f"id {visible(finding.finding_id)}", "dim")
    yield Text("")
    yield _prose(finding.summary)


def _prose(text: str) -> RenderableType:
    return Constrain(Text(visible(text)), PROSE)


def _section(heading: str, body: RenderableType) -> Iterator[RenderableType]:
    yield Text("")
    yield Text(heading, "bold underline")
    yield Padding(body, (0, 0, 0, INDENT))


def _who(finding: Finding, width: int) -> RenderableType:
    entity, actor, account = finding.entity, finding.actor, finding.account_id
    tier = f", by evidence of tier {entity.class_tier}" if entity.class_tier is not None else ""
    rows = [
        ("entity", short_name(entity.arn, account), f"{entity.class_}{tier}" if entity.class_ else _short(entity.type))
    ]
    if account is not None and account != entity.arn:
        rows.append(("account", visible(account), ""))
    if finding.subject is not None:
        rows.append(("subject", visible(finding.subject), ""))
    if actor.arn is None:
        rows.append(("actor", "not known", ""))
    else:
        rows.append(("actor", short_name(actor.arn, account), actor.class_ or ""))
        rows.append(("origin", short_name(actor.origin, account) if actor.origin else "not known", ""))
    rows += [("affects", short_name(arn, account), "") for arn in finding.affected]
    if (more := finding.affected_count - len(finding.affected)) > 0 and finding.affected:
        rows.append(("", f"and {more:,} more", ""))
    since = minute(finding.baseline.coverage_since)
    rows.append(("baseline", finding.baseline.maturity, f"the trail begins at {since}"))
    return _pairs(
        [
            (label, Text.assemble(shorten(value, width - LABEL - GAP - len(note)), (f"  {note}", "dim")))
            for label, value, note in rows
        ]
    )


def _lineage(lineage: list[Hop], finding: Finding, width: int) -> RenderableType:
    """Draw who became whom, the person or machine at the root; each hop with how, when and by which event."""
    if not lineage:
        return Text("Nobody is known to have acted: a sign-in that fails can bear any name.")
    root = branch = Tree(_hop(lineage[0], finding, width), guide_style="dim")
    for depth, hop in enumerate(lineage[1:], 1):
        branch = branch.add(_hop(hop, finding, width - depth * GUIDE))
    if finding.actor.origin is not None:
        return root
    return Group(root, Text("Who stands behind that, no event of the trail says.", "dim"))


def _hop(hop: Hop, finding: Finding, width: int) -> Text:
    class_ = "" if hop.class_ == "unknown" else f"  {_short(hop.class_)}"
    name = shorten(short_name(hop.arn, finding.account_id), width - len(class_))
    label = Text.assemble((name, "bold"), (class_, CLASS_STYLES.get(hop.class_, "dim")))
    facts = (hop.how, "" if hop.at is None else second(iso(hop.at)), hop.event_id and f"event {hop.event_id}")
    lines = _filled([visible(fact) for fact in facts if fact], width)
    return stack(label, *(Text(shorten(line, width), "dim") for line in lines))


def _filled(words: list[str], width: int) -> list[str]:
    """Set words two blanks apart in lines, as many in each as fit."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + GAP + len(word) <= width:
            lines[-1] += f"{' ' * GAP}{word}"
        else:
            lines.append(word)
    return lines


def _timeline(told: Explanation, width: int) -> RenderableType:
    """Draw what happened day by day; evidence has a mark."""
    timeline, is_wide = told.timeline, width + INDENT >= WIDE
    drawn: list[RenderableType] = []
    for (day, actor), steps in groupby(timeline.events, lambda step: (step.event_time[:10], step.actor)):
        grid = Table.grid(padding=(0, GAP, 0, 0))
        for _ in range(6 if is_wide else 4):
            grid.add_column(no_wrap=True)
        rows = [_step(step, is_wide=is_wide, width=width) for step in steps]
        if is_wide:
            taken = sum(max(cells[n].cell_len for cells in rows) + GAP for n in range(5))
            for cells in rows:
                cells[-1].plain = shorten(cells[-1].plain, max(width - taken, 1))
        for cells in rows:
            grid.add_row(*cells)
        by = "" if actor is None else f"  {shorten(short_name(actor, told.finding.account_id), width - 12)}"
        drawn += [Text.assemble((visible(day), "bold"), by), grid]
    left_out = timeline.event_count - len(timeline.events)
    hours = HOUR_S // 3_600
    notes = [f"* kept as evidence. From {hours} h before the first evidence to {hours} h after the last."]
    if left_out > 0:
        notes.append(f"{counted(left_out, 'further event')} farther from the evidence left out.")
    return Group(*drawn, Text(" ".join(notes), "dim"))


def _step(step: Step, *, is_wide: bool, width: int) -> list[Text]:
    """Show one event; what is left of a wide line is its region and client."""
    room = width - 1 - CLOCK - 3 * GAP  # what mark and clock leave
    call_width = 56 if is_wide else room * 3 // 5
    address_width = ADDRESS if is_wide else room - call_width
    style = "" if step.is_evidence else "dim"
    failed = "" if step.error_code is None else shorten(f"  {visible(step.error_code)}", call_width // 2)
    call = Text.assemble((shorten(_call(step), call_width - len(failed)), style), (failed, "red"))
    cells = [
        Text("*" if step.is_evidence else " ", "bold yellow"),
        Text(visible(step.event_time[11:19]), style),
        call,
        Text(shorten(visible(step.source_ip or "-"), address_width), style),
    ]
    if is_wide:
        client = Text(visible(step.user_agent or ""), "dim")
        cells += [Text(shorten(visible(step.region or ""), REGION), "dim"), client]
    return cells


def _evidence(finding: Finding, width: int) -> RenderableType:
    """List the events that are kept, by id, and the clients that they came from."""
    grid = Table.grid(padding=(0, GAP, 0, 0))
    call_width = width - 19 - 36 - 2 * GAP
    for each in finding.evidence:
        grid.add_row(
            Text(second(each.event_time)),
            Text(shorten(visible(each.event_name), max(call_width, 12))),
            Text(shorten(visible(each.event_id), 36), "dim"),
        )
    kept = len(finding.evidence)
    of_all = f"{counted(finding.evidence_count, 'event')} in all" + (
        f", here the first and the last {kept - 1}" if finding.evidence_count > kept > 1 else ""
    )
    clients = [Text(shorten(f"from {each}", width), "dim") for each in _clients(finding.evidence)]
    return Group(grid, *clients, Text(f"{of_all}.", "dim"))


def _clients(evidence: list[Evidence]) -> list[str]:
    """Name each client once."""
    return list(dict.fromkeys(client_name(each.user_agent) for each in evidence if each.user_agent))


def _values(values: dict[str, Any], width: int) -> RenderableType:
    """Show the values that decided, each under its name."""
    if not values:
        return Text("nothing in particular", "dim")
    label_width = min(max(len(visible(key)) for key in values), width // 2) + GAP
    pairs = [
        (shorten(visible(key.replace("_", " ")), label_width), Text(spelled(value))) for key, value in values.items()
    ]
    return Constrain(_pairs(pairs), PROSE)


def _related(findings: list[Related], width: int) -> RenderableType:
    room = width - 8 - 16 - 12 - 3 * GAP
    grid = Table.grid(padding=(0, GAP, 0, 0))
    for each in findings:
        grid.add_row(
            badge(each.severity),
            Text(minute(each.opened_at)),
            Text(shorten(visible(each.title), room)),
            Text(visible(each.finding_id[:12]), "dim"),
        )
    return grid


def _attack(told: Explanation) -> RenderableType:
    return stack(
        *(
            Text(visible(f"{each.id} {each.name}" + (f" ({each.tactic.name})" if each.tactic else "")))
            for each in told.attack
        )
    )


def _pairs(rows: list[tuple[str, Text]]) -> RenderableType:
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(min_width=LABEL - GAP, no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), value)
    return grid


def _call(step: Step) -> str:
    """Name a call with its service, ``s3:ListBuckets``."""
    return visible(f"{step.event_source.removesuffix('.amazonaws.com')}:{step.event_name}")


def _short(word: str) -> str:
    """Keep what is a word or two within bounds, should it be more."""
    return shorten(visible(word), 24)
