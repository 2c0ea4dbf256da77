"""One finding's story on a page: who, from whom, what was seen, what to do, what happened around it, on which evidence."""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from models.explanation import HOUR_S, Explanation, Related, Step
from models.finding import Finding, Severity
from models.incidents.lineage import Hop
from models.record import iso
from streams.formats.drawing import client_name, counted, minute, second, short_name, spelled, standing
from streams.formats.html.markup import Content, Markup, element, heading, join, table
from streams.terminal import visible

ATTACK: Final = "https://attack.mitre.org/techniques/"


def story(
    told: Explanation, changes: Sequence[Finding] = (), on_page: Container[str] = (), *, level: int = 3
) -> Markup:
    """Write a finding's story, under a heading of that level.

    ``changes`` are its revisions, where they are asked for; ``on_page`` are the ids of the findings that have a place
    on the page, to which a story may lead.
    """
    finding, under = told.finding, level + 1
    sections = [
        _section(under, "Who", _who(finding)),
        element(
            "div",
            _section(under, "Lineage", _lineage(told.lineage, finding)),
            _section(under, "What to do", element("p", told.what_to_do), _attack(told), class_="todo"),
        ),
        _section(under, "Seen", _values(finding.seen)),
        _section(under, "Expected", _values(finding.expected)),
    ]
    if told.parts:
        sections.append(_section(under, f"A chain of {len(told.parts)}", _related(told.parts, on_page), class_="wide"))
    if told.timeline.events:
        sections.append(_section(under, "Timeline", _timeline(told), class_="wide"))
    sections.append(_section(under, "Evidence", _evidence(finding), class_="wide"))
    if len(changes) > 1:
        sections.append(_section(under, "Changes", _changes(changes), class_="wide"))
    gaps = element("details", element("summary", "What this detector cannot see"), element("p", told.known_gaps))
    return element(
        "article",
        element("header", element(f"h{level}", badge(finding.severity), " ", finding.title), _standing(told, on_page)),
        element("p", finding.summary, class_="lead"),
        element("div", *sections, class_="sections"),
        gaps,
        id=anchor(finding.finding_id),
        class_=f"story edge-{_known(finding.severity)}",
    )


def badge(severity: str) -> Markup:
    """Show a severity in its colour, spelled out all the same."""
    return element("span", severity, class_=f"badge {_known(severity)}")


def anchor(finding_id: str) -> str:
    """Name the place of a story on the page."""
    return f"finding-{quote(visible(finding_id), safe='')}"


def instant(written: str, shown: str | None = None) -> Markup:
    """Show an instant of UTC."""
    return element("time", shown or second(written), datetime=written)


def code(content: Content) -> Markup:
    """Show a string of the data as it is, whatever direction its letters run."""
    return element("code", element("bdi", content))


def _known(severity: str) -> str:
    return Severity.parse(severity).label


def _section(level: int, label: str, *body: Markup, class_: str | None = None) -> Markup:
    return element("section", element(f"h{level}", label), *body, class_=class_)


def _standing(told: Explanation, on_page: Container[str]) -> Markup:
    finding = told.finding
    facts = [
        element("li", code(finding.detector)),
        element("li", standing(finding)),
        element("li", instant(finding.opened_at), " to ", instant(finding.updated_at), " UTC"),
        element("li", counted(finding.evidence_count, "event")),
    ]
    if told.chain is not None:
        facts.append(element("li", "part of ", _link(told.chain, on_page)))
    facts.append(element("li", "id ", code(finding.finding_id)))
    return element("ul", *facts, class_="facts")


def _who(finding: Finding) -> Markup:
    entity, actor, account = finding.entity, finding.actor, finding.account_id
    tier = f", by evidence of tier {entity.class_tier}" if entity.class_tier is not None else ""
    rows = [("entity", code(entity.arn), f"{entity.class_}{tier}" if entity.class_ else entity.type)]
    if account is not None:
        rows.append(("account", code(account), ""))
    if finding.subject is not None:
        rows.append(("subject", code(finding.subject), ""))
    rows.append(("actor", code(actor.arn) if actor.arn else join("not known"), actor.class_ or ""))
    if actor.arn is not None:
        rows.append(("origin", code(actor.origin) if actor.origin else join("not known"), ""))
    rows += [("affects", code(arn), "") for arn in finding.affected]
    if finding.affected and (more := finding.affected_count - len(finding.affected)) > 0:
        rows.append(("", join(f"and {more:,} more"), ""))
    since = minute(finding.baseline.coverage_since)
    rows.append(("baseline", join(finding.baseline.maturity), f"the trail begins at {since}"))
    return element(
        "dl",
        *(
            join(element("dt", label), element("dd", value, note and element("span", f" {note}", class_="note")))
            for label, value, note in rows
        ),
    )


def _lineage(lineage: list[Hop], finding: Finding) -> Markup:
    """List who became whom, the person or machine at the root first."""
    if not lineage:
        return element("p", "Nobody is known to have acted: a sign-in that fails can bear any name.")
    hops = [
        element(
            "li",
            element("strong", code(short_name(hop.arn, finding.account_id))),
            "" if hop.class_ == "unknown" else element("span", f" {hop.class_}", class_="note"),
            element("br") if hop.how else "",
            element("span", hop.how, ", ", instant(iso(hop.at)) if hop.at is not None else "", class_="note")
            if hop.how
            else "",
            element("br") if hop.event_id else "",
            element("span", "event ", code(hop.event_id), class_="note") if hop.event_id else "",
        )
        for hop in lineage
    ]
    chain = element("ol", *hops, class_="lineage")
    if finding.actor.origin is not None:
        return chain
    return join(chain, element("p", "Who stands behind that, no event of the trail says.", class_="note"))


def _attack(told: Explanation) -> Markup:
    techniques = [
        element(
            "li",
            element(
                "a", each.id, href=f"{ATTACK}{quote(visible(each.id).replace('.', '/'))}/", rel="noopener noreferrer"
            ),
            f" {each.name}" + (f" ({each.tactic.name})" if each.tactic else ""),
        )
        for each in told.attack
    ]
    return element("ul", *techniques, class_="facts")


def _values(values: dict[str, Any]) -> Markup:
    """Write the values that decided, each under its name."""
    if not values:
        return element("p", "Nothing in particular.", class_="note")
    return element(
        "dl",
        *(
            join(element("dt", element("bdi", name.replace("_", " "))), element("dd", element("bdi", spelled(value))))
            for name, value in values.items()
        ),
    )


def _related(findings: list[Related], on_page: Container[str]) -> Markup:
    rows = [
        element("tr", element("td", badge(each.severity)), element("td", instant(each.opened_at, minute(each.opened_at))),
                element("td", code(each.detector), class_="spare"), element("td", _link(each, on_page)))
        for each in findings
    ]  # fmt: skip
    headings = [heading("severity"), heading("opened (UTC)"), heading("detector", "spare"), heading("finding")]
    return table("The findings of this chain", headings, [_body(rows)])


def _link(related: Related, on_page: Container[str]) -> Markup:
    title = element("bdi", related.title)
    return element("a", title, href=f"#{anchor(related.finding_id)}") if related.finding_id in on_page else title


def _timeline(told: Explanation) -> Markup:
    """Write what happened, under a heading for each day, actor and client; evidence is marked, and said to be."""
    timeline, account = told.timeline, told.finding.account_id
    bodies = []
    for (day, actor, client), steps in groupby(timeline.events, _scene):
        by = "" if actor is None else join(" ", code(short_name(actor, account)))
        through = element("bdi", client, class_="note client") if client else ""
        head = element("tr", element("th", instant(day, day), by, through, scope="rowgroup", colspan=4))
        bodies.append(element("tbody", head, *map(_step, steps)))
    hours = HOUR_S // 3_600
    caption = (
        f"{counted(len(timeline.events), 'event')} from {hours} h before the first evidence to {hours} h after the last"
    )
    if (left_out := timeline.event_count - len(timeline.events)) > 0:
        caption += f"; {counted(left_out, 'further event')} farther from the evidence left out"
    headings = [*map(heading, ("time (UTC)", "call", "from")), heading("region", "spare")]
    steps_table = table(caption, headings, bodies, class_="timeline")
    return element("details", element("summary", caption), steps_table, open=True)


def _scene(step: Step) -> tuple[str, str | None, str]:
    return step.event_time[:10], step.actor, client_name(step.user_agent or "")


def _step(step: Step) -> Markup:
    call = f"{step.event_source.removesuffix('.amazonaws.com')}:{step.event_name}"
    return element(
        "tr",
        element("td", instant(step.event_time, step.event_time[11:19])),
        element(
            "td",
            code(call),
            step.error_code and element("span", f" {step.error_code}", class_="failed"),
            element("span", " evidence", class_="mark") if step.is_evidence else "",
        ),
        _address(step.source_ip),
        element("td", step.region, class_="spare region"),
        class_="is-evidence" if step.is_evidence else None,
    )


def _address(address: str | None) -> Markup:
    return element("td", code(address) if address else "", class_="address")


def _evidence(finding: Finding) -> Markup:
    rows = [
        element("tr", element("td", instant(each.event_time)), element("td", code(each.event_name)),
                element("td", code(each.event_id)), _address(each.source_ip),
                element("td", each.region, class_="spare region"),
                element("td", element("bdi", each.user_agent), class_="spare note"))
        for each in finding.evidence
    ]  # fmt: skip
    if not rows:
        return element("p", "No event is kept.")
    kept = len(finding.evidence)
    caption = f"{counted(finding.evidence_count, 'event')} in all"
    if finding.evidence_count > kept:
        caption += f", here the first and the last {kept - 1}" if kept > 1 else ", here the first"
    headings = [
        *map(heading, ("time (UTC)", "call", "event id", "from")),
        heading("region", "spare"),
        heading("client", "spare"),
    ]
    return table(caption, headings, [_body(rows)])


def _changes(changes: Sequence[Finding]) -> Markup:
    rows = [
        element("tr", element("td", each.revision), element("td", standing(each)), element("td", badge(each.severity)),
                element("td", each.evidence_count), element("td", instant(each.updated_at)))
        for each in changes
    ]  # fmt: skip
    labels = ("revision", "status", "severity", "events", "last evidence (UTC)")
    return table("How it came to stand as it does", [*map(heading, labels)], [_body(rows)])


def _body(rows: list[Markup]) -> Markup:
    return element("tbody", *rows)
