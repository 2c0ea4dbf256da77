"""Tables for people: what matters most first, at 80 columns stacked, at 200 one line each.

Every string goes through `visible` and into a Text: nothing of the data is ever read as markup or obeyed.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.detector import Rule
from models.engine import Principal
from models.facts import LADDER
from models.finding import Finding, Severity
from streams.formats.jsonl import Entry, entry
from streams.terminal import Screen, shorten, visible

MEDIUM: Final = 110  # columns from which who and whom stand beside the title
WIDE: Final = 190  # columns from which a finding or a principal is one line
SHORT_ID: Final = 12  # characters of a finding's id where there is no room for all 32
GAP: Final = 2  # columns between columns
SESSIONS: Final = ">sessions\nh/m/u"  # human, machine, unknown

# Sixteen colours, so that the terminal's own theme decides; always beside the spelled word.
SEVERITY_STYLES: Final = {
    "critical": "bold white on red",
    "high": "bold red",
    "medium": "yellow",
    "low": "cyan",
    "info": "dim",
}
KIND_STYLES: Final = {"human": "green", "machine": "blue", "mixed": "bold yellow", "unknown": "dim"}


def findings(found: list[Finding], screen: Screen) -> Iterator[str]:
    """Write findings, in the order given."""
    if not found:
        return iter(["No findings.\n"])
    if screen.width >= WIDE:
        return _rendered(_wide_findings(found, screen.width), screen)
    if screen.width >= MEDIUM:
        return _rendered(_medium_findings(found, screen.width), screen)
    return _rendered(_narrow_findings(found, screen.width), screen)


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
        entity_width = min(room // 2, max(len(_name(each.arn, each.account_id)) for each in known))
    else:
        table = _table("kind", "entity", SESSIONS, ">events", "last seen")
        entity_width = screen.width - 7 - 11 - 9 - 10 - 4 * GAP
        table.columns[1].width = entity_width
    for each in known:
        kind = Text(each.kind, KIND_STYLES[each.kind])
        entity = Text(shorten(_name(each.arn, each.account_id), entity_width))
        sessions = Text(f"{each.sessions.human}/{each.sessions.machine}/{each.sessions.unknown}")
        events, evidence = Text(f"{each.events:,}"), Text(_strongest(each), "dim")
        if is_wide:
            tier = Text("-" if each.tier is None else str(each.tier))
            account, seen = Text(visible(each.account_id or "-")), Text(_minute(each.last_seen))
            table.add_row(kind, Text(each.class_), tier, entity, account, sessions, events, seen, evidence)
        else:
            what = each.class_ if each.tier is None else f"{each.class_}, tier {each.tier}"
            where = f" in {visible(each.account_id)}" if each.account_id and each.type != "account" else ""
            stacked = _stack(entity, Text(f"{what}{where}", "dim"), evidence)
            _add_apart(table, kind, stacked, sessions, events, Text(each.last_seen[:10]))
    return _rendered(table, screen)


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
        _add_apart(table, _severity(each.severity), _stack(*lines))
    return _rendered(table, screen)


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
        about = _stack(
            Text(visible(each.title)),
            Text(_entity(each, room), "dim"),
            *(Text(shorten(who, room), "dim") for who in _who(each)),
            Text(f"{visible(each.detector)}, {_status(each)}", "dim"),
            Text(f"{_count(each.evidence_count, 'event')}, id {_id(each)}", "dim"),
        )
        _add_apart(table, _severity(each.severity), Text(_minute(each.opened_at)), about)
    return table


def _medium_findings(found: list[Finding], width: int) -> Table:
    room = width - 8 - 16 - SHORT_ID - 4 * GAP
    whom_width = room * 2 // 5
    table = _table("severity", "opened (UTC)", "finding", "entity, by whom", "id")
    table.columns[2].width = room - whom_width
    for each in found:
        title = _stack(
            Text(visible(each.title)),
            Text(f"{visible(each.detector)}, {_status(each)}, {_count(each.evidence_count, 'event')}", "dim"),
        )
        name = _name(each.entity.arn, each.account_id)
        where = [f"in {visible(each.account_id)}"] if each.account_id and each.account_id not in name else []
        whom = _stack(
            Text(shorten(name, whom_width)),
            *(Text(shorten(line, whom_width), "dim") for line in (*where, *_who(each))),
        )
        _add_apart(table, _severity(each.severity), Text(_minute(each.opened_at)), title, whom, Text(_id(each), "dim"))
    return table


def _wide_findings(found: list[Finding], width: int) -> Table:
    """Lay out one line each; the title folds rather than lose a word, the names are cut in the middle."""
    names = [(_name(each.entity.arn, each.account_id), _whom(each)) for each in found]
    detector_width = max(len("detector"), *(len(visible(each.detector)) for each in found))
    status_width = max(len("status"), *(len(_status(each)) for each in found))
    room = width - 8 - 16 - 12 - detector_width - status_width - len("events") - SHORT_ID - 9 * GAP
    entity_width = min(room // 4, max(len("entity"), *(len(entity) for entity, _ in names)))
    who_width = min(room * 3 // 10, max(len("by"), *(len(who) for _, who in names)))
    table = _table(
        "severity", "opened (UTC)", "finding", "entity", "account", "by", "detector", "status", ">events", "id"
    )
    table.columns[2].width = room - entity_width - who_width
    for each, (entity, who) in zip(found, names, strict=True):
        table.add_row(
            _severity(each.severity),
            Text(_minute(each.opened_at)),
            Text(visible(each.title)),
            Text(shorten(entity, entity_width)),
            Text(visible(each.account_id or "-")),
            Text(shorten(who, who_width)),
            Text(visible(each.detector), "dim"),
            Text(_status(each), "dim"),
            Text(f"{each.evidence_count:,}"),
            Text(_id(each), "dim"),
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


def _rendered(table: Table, screen: Screen) -> Iterator[str]:
    """Draw a table, without the blanks that rich leaves at the end of lines."""
    canvas = StringIO()
    console = Console(
        file=canvas,
        width=screen.width,
        force_terminal=screen.is_coloured,
        color_system="standard" if screen.is_coloured else None,
        force_jupyter=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    console.print(table)
    return (f"{line.rstrip(' ')}\n" for line in canvas.getvalue().split("\n")[:-1])


def _stack(*lines: Text) -> Text:
    return Text("\n", end="").join(lines)


def _severity(label: str) -> Text:
    return Text(label.upper(), SEVERITY_STYLES[Severity.parse(label).label])


def _status(finding: Finding) -> str:
    """Say in one word or two how a finding stands; a shadow one counts nowhere, so that is said first."""
    status = f"closed ({finding.close_reason})" if finding.close_reason else finding.status
    return f"shadow, {status}" if finding.stage == "shadow" else status


def _who(finding: Finding) -> list[str]:
    """Name who did it and, where that is somebody else, the origin; nothing where it is the entity itself."""
    actor, origin = finding.actor.arn, finding.actor.origin
    named = {origin: "origin", actor: "by"}  # where the two are the same, it is by whom
    return [
        f"{named[arn]} {_name(arn, finding.account_id)}"
        for arn in dict.fromkeys((actor, origin))
        if arn is not None and arn != finding.entity.arn
    ]


def _whom(finding: Finding) -> str:
    """Say in one line who did it."""
    return ", ".join(_who(finding)).removeprefix("by ") or ("itself" if finding.actor.arn else "-")


def _entity(finding: Finding, width: int) -> str:
    """Name whom it is about and in which account, ``role/web in 111122223333``; the name is cut, never the account."""
    name, account = _name(finding.entity.arn, finding.account_id), finding.account_id
    if account is None or account in name:
        return shorten(name, width)
    where = f" in {visible(account)}"
    return shorten(f"{shorten(name, width - len(where))}{where}", width)


def _name(arn: str, account_id: str | None) -> str:
    """Shorten an ARN to its name, with its account where that is not the one at hand."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        return visible(f"account {arn}" if arn == account_id else arn)
    _, partition, service, region, account, name = parts
    if service in ("iam", "sts"):
        name = name.removeprefix("assumed-role/")
    else:
        name = ":".join(part for part in (service, region, name) if part)
    foreign = f" in {account}" if account and account != account_id else ""
    return visible(f"{name}{foreign}" if partition == "aws" else f"{name}{foreign} ({partition})")


def _minute(instant: str) -> str:
    return visible(instant[:16].replace("T", " "))


def _id(finding: Finding) -> str:
    return visible(finding.finding_id[:SHORT_ID])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _strongest(principal: Principal) -> str:
    """Say what speaks loudest for the class given, and in how many sessions it showed."""
    if not principal.evidence:
        return "no evidence"
    speaking = (each for each in principal.evidence if _SIDES.get(each.fact) == principal.class_)
    first = next(speaking, principal.evidence[0])
    return f"{visible(first.fact)} ({_count(first.count, 'session')})"


_SIDES: Final = {rung.text: rung.side for rung in LADDER.values()}
