"""Tables for people: what matters most first, at 80 columns stacked, at 200 one line each.

Every string goes through `visible` and into a Text: nothing of the data is ever read as markup or obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table
from rich.text import Text

from models.detector import Rule
from models.engine import Principal
from models.explanation import Explanation
from models.facts import SIDES
from models.finding import Finding
from streams.formats.drawing import (
    SHORT_ID,
    badge,
    counted,
    involved,
    minute,
    rendered,
    short_id,
    short_name,
    stack,
    standing,
)
from streams.formats.explanation import tell
from streams.formats.jsonl import Entry, entry
from streams.terminal import Screen, shorten, visible

if TYPE_CHECKING:
    from streams.policies import Answer, Changed

MEDIUM: Final = 110  # columns from which who and whom stand beside the title
WIDE: Final = 190  # columns from which a finding or a principal is one line
GAP: Final = 2  # columns between columns
SESSIONS: Final = ">sessions\nh/m/u"  # human, machine, unknown

CHANGE_STYLES: Final = {"widened": "bold red", "narrowed": "green", "same": "dim", "unknown": "yellow"}
MAX_LISTED: Final = 6  # actions or resources of one row
KIND_STYLES: Final = {"human": "green", "machine": "blue", "mixed": "bold yellow", "unknown": "dim"}


def findings(found: list[Finding], screen: Screen) -> Iterator[str]:
    """Write findings, in the order given."""
    if not found:
        return iter(["No findings.\n"])
    if screen.width >= WIDE:
        return rendered(_wide_findings(found, screen.width), screen)
    if screen.width >= MEDIUM:
        return rendered(_medium_findings(found, screen.width), screen)
    return rendered(_narrow_findings(found, screen.width), screen)


def principals(known: list[Principal], screen: Screen) -> Iterator[str]:
    """Write principals, in the order given; sessions are counted as human, machine, unknown."""
    if not known:
        return iter(["No principals.\n"])
    is_wide = screen.width >= WIDE
    if is_wide:
        table = _table(
            "kind", "class", ">tier", "entity", "account", SESSIONS, ">events", "last seen (UTC)", "strongest evidence"
        )
        room = screen.width - 7 - 8 - 4 - 12 - 11 - 9 - 16 - 8 * GAP
        entity_width = min(room // 2, max(len(short_name(each.arn, each.account_id)) for each in known))
    else:
        table = _table("kind", "entity", SESSIONS, ">events", "last seen")
        entity_width = screen.width - 7 - 11 - 9 - 10 - 4 * GAP
        table.columns[1].width = entity_width
    for each in known:
        kind = Text(each.kind, KIND_STYLES[each.kind])
        entity = Text(shorten(short_name(each.arn, each.account_id), entity_width))
        sessions = Text(f"{each.sessions.human}/{each.sessions.machine}/{each.sessions.unknown}")
        events, evidence = Text(f"{each.events:,}"), Text(_strongest(each), "dim")
        if is_wide:
            tier = Text("-" if each.tier is None else str(each.tier))
            account, seen = Text(visible(each.account_id or "-")), Text(minute(each.last_seen))
            table.add_row(kind, Text(each.class_), tier, entity, account, sessions, events, seen, evidence)
        else:
            what = each.class_ if each.tier is None else f"{each.class_}, tier {each.tier}"
            where = f" in {visible(each.account_id)}" if each.account_id and each.type != "account" else ""
            stacked = stack(entity, Text(f"{what}{where}", "dim"), evidence)
            _add_apart(table, kind, stacked, sessions, events, Text(each.last_seen[:10]))
    return rendered(table, screen)


def explanations(told: list[Explanation], screen: Screen) -> Iterator[str]:
    """Write stories, for people too, but each a page."""
    return tell(told, screen)


def detectors(rules: list[Rule[Any]], screen: Screen) -> Iterator[str]:
    """Write the catalogue, as the settings have it in force."""
    table = _table("severity", "detector")
    for each in map(entry, rules):
        name = Text(each.name, "bold" if each.enabled else "dim")
        if not each.enabled:
            name.append("  off in the settings")
        elif each.stage == "shadow":
            name.append("  shadow", "magenta")
        settings = ", ".join(f"{key} = {value}" for key, value in each.settings.items())
        lines = [name, Text(f"Fires when: {each.summary}"), Text(_facts(each), "dim")]
        if settings:
            lines.append(Text(f"settings: {settings}", "dim"))
        _add_apart(table, badge(each.severity), stack(*lines))
    return rendered(table, screen)


def weaknesses(found: list[Answer], screen: Screen) -> Iterator[str]:
    """Write what is wrong with policies, in the order given."""
    if not found:
        return iter(["Nothing found.\n"])
    table = _table("severity", "what is wrong")
    room = screen.width - 8 - GAP
    for each in found:
        head = Text(each.rule, "bold")
        head.append(f"  {shorten(visible(each.file), room // 2)} {visible(each.pointer)}", "dim")
        lines = [
            head,
            Text(visible(each.why)),
            Text(f"actions: {_some(each.actions)}", "dim"),
            Text(f"on: {_some(each.resources)}", "dim"),
            Text(visible(each.fix), "dim"),
        ]
        _add_apart(table, badge(each.severity), stack(*lines))
    return rendered(table, screen)


def differences(found: list[Changed], screen: Screen) -> Iterator[str]:
    """Write what changes of policies newly allow."""
    if not found:
        return iter(["No difference.\n"])
    table = _table("change", "what is allowed")
    for each in found:
        lines = [Text(visible(each.entity), "bold")] if each.entity else []
        if each.why:
            lines.append(Text(visible(each.why)))
        for sign, grants, style in (("+", each.added, "red"), ("-", each.removed, "green")):
            for grant in grants:
                where = f"{sign} {visible(grant.pointer)} {_some(grant.actions)} on {_some(grant.resources)}"
                who = f" for {_some(grant.principals)}" if grant.principals else ""
                when = f" if {_some(grant.conditions)}" if grant.conditions else ""
                lines.append(Text(f"{where}{who}{when}", style))
        _add_apart(table, Text(each.change, CHANGE_STYLES[each.change]), stack(*(lines or [Text("as before")])))
    return rendered(table, screen)


def _some(texts: tuple[str, ...]) -> str:
    """List the first few of many."""
    more = f" and {len(texts) - MAX_LISTED:,} more" if len(texts) > MAX_LISTED else ""
    return ", ".join(visible(each) for each in texts[:MAX_LISTED]) + more


def _facts(each: Entry) -> str:
    life = "condition, closes when it is no more" if each.quiet_hours is None else (
        f"incident, closes after {each.quiet_hours:g} quiet hours"
    )  # fmt: skip
    stage = f"; stage {each.chain_stage}" if each.chain_stage else ""
    return f"{life}; {each.desk} desk; ATT&CK {', '.join(each.attack)}{stage}"


def _narrow_findings(found: list[Finding], width: int) -> Table:
    room = width - 8 - 16 - 2 * GAP
    table = _table("severity", "opened (UTC)", "finding")
    for each in found:
        about = stack(
            Text(visible(each.title)),
            Text(_entity(each, room), "dim"),
            *(Text(shorten(who, room), "dim") for who in involved(each)),
            Text(f"{visible(each.detector)}, {standing(each)}", "dim"),
            Text(f"{counted(each.evidence_count, 'event')}, id {short_id(each)}", "dim"),
        )
        _add_apart(table, badge(each.severity), Text(minute(each.opened_at)), about)
    return table


def _medium_findings(found: list[Finding], width: int) -> Table:
    room = width - 8 - 16 - SHORT_ID - 4 * GAP
    whom_width = room * 2 // 5
    table = _table("severity", "opened (UTC)", "finding", "entity, by whom", "id")
    table.columns[2].width = room - whom_width
    for each in found:
        title = stack(
            Text(visible(each.title)),
            Text(f"{visible(each.detector)}, {standing(each)}, {counted(each.evidence_count, 'event')}", "dim"),
        )
        name = short_name(each.entity.arn, each.account_id)
        where = [f"in {visible(each.account_id)}"] if each.account_id and each.account_id not in name else []
        whom = stack(
            Text(shorten(name, whom_width)),
            *(Text(shorten(line, whom_width), "dim") for line in (*where, *involved(each))),
        )
        _add_apart(table, badge(each.severity), Text(minute(each.opened_at)), title, whom, Text(short_id(each), "dim"))
    return table


def _wide_findings(found: list[Finding], width: int) -> Table:
    """Lay out one line each; the title folds rather than lose a word, the names are cut in the middle."""
    names = [(short_name(each.entity.arn, each.account_id), _whom(each)) for each in found]
    detector_width = max(len("detector"), *(len(visible(each.detector)) for each in found))
    status_width = max(len("status"), *(len(standing(each)) for each in found))
    room = width - 8 - 16 - 12 - detector_width - status_width - len("events") - SHORT_ID - 9 * GAP
    entity_width = min(room // 4, max(len("entity"), *(len(entity) for entity, _ in names)))
    who_width = min(room * 3 // 10, max(len("by"), *(len(who) for _, who in names)))
    table = _table(
        "severity", "opened (UTC)", "finding", "entity", "account", "by", "detector", "status", ">events", "id"
    )
    table.columns[2].width = room - entity_width - who_width
    for each, (entity, who) in zip(found, names, strict=True):
        table.add_row(
            badge(each.severity),
            Text(minute(each.opened_at)),
            Text(visible(each.title)),
            Text(shorten(entity, entity_width)),
            Text(visible(each.account_id or "-")),
            Text(shorten(who, who_width)),
            Text(visible(each.detector), "dim"),
            Text(standing(each), "dim"),
            Text(f"{each.evidence_count:,}"),
            Text(short_id(each), "dim"),
        )
    return table


def _table(*headings: str) -> Table:
    """Make an empty table; a heading that begins with ``>`` stands over numbers."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold underline")
    for heading in headings:
        is_number = heading.startswith(">")
        text = Text(heading.removeprefix(">"))
        table.add_column(text, justify="right" if is_number else "left", overflow="fold")
    return table


def _add_apart(table: Table, *cells: Text) -> None:
    """Add a row of several lines, with a blank line before it unless it is the first."""
    if table.row_count:
        table.add_row()
    table.add_row(*cells)


def _whom(finding: Finding) -> str:
    """Say in one line who did it."""
    return ", ".join(involved(finding)).removeprefix("by ") or ("itself" if finding.actor.arn else "-")


def _entity(finding: Finding, width: int) -> str:
    """Name whom it is about and in which account, ``role/web in 111122223333``; the name is cut, never the account."""
    name, account = short_name(finding.entity.arn, finding.account_id), finding.account_id
    if account is None or account in name:
        return shorten(name, width)
    where = f" in {visible(account)}"
    return shorten(f"{shorten(name, width - len(where))}{where}", width)


def _strongest(principal: Principal) -> str:
    """Say what speaks loudest for the class given, and in how many sessions it showed."""
    if not principal.evidence:
        return "no evidence"
    speaking = (each for each in principal.evidence if SIDES.get(each.fact) == principal.class_)
    first = next(speaking, principal.evidence[0])
    return f"{visible(first.fact)} ({counted(first.count, 'session')})"
