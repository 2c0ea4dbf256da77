"""The report: what was read and found, each finding's story, and who is human and who machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from models.engine import Principal
from models.explanation import Explanation
from models.facts import SIDES
from models.finding import Finding, Severity
from models.record import epoch
from models.trail import Rejected
from streams.formats.drawing import counted, involved, minute, short_name, standing
from streams.formats.html.charts import SEVERITIES, by_count, over_time
from streams.formats.html.markup import Markup, element, heading, join, page, table, text
from streams.formats.html.story import anchor, badge, code, instant, story
from streams.terminal import Screen

KINDS: Final = ("mixed", "human", "unknown", "machine")
MAX_FINDINGS: Final = 2_000  # rows; the least severe, then the latest are left out
MAX_STORY_CHARS: Final = 8_000_000  # of all stories; those of the least severe are left out
MAX_PRINCIPALS: Final = 2_000  # rows; machines are left out first
MAX_DETECTORS: Final = 8  # bars
MAX_FACTS: Final = 3  # of a principal, in sight
MAX_FIRST: Final = 3  # findings to begin with


class Report(Struct, kw_only=True):
    """What a report is made of."""

    facts: list[tuple[str, str]]  # what was read, in words
    since: str
    until: str
    faults: list[str] = []
    rejected: list[Rejected] = []  # the first few
    rejected_count: int = 0
    findings: list[Finding]
    stories: list[Explanation] = []  # of the most severe
    changes: dict[str, list[Finding]] = {}  # by finding; empty unless asked for
    principals: list[Principal]
    version: str | None = None


def ordered(findings: list[Finding]) -> list[Finding]:
    """Put findings as a report has them: what counts, then the most severe first, a chain before its parts."""
    return sorted(
        findings,
        key=lambda each: (
            not _counts(each),
            -Severity.parse(each.severity),
            each.part_of is not None,
            each.opened_at,
            each.finding_id,
        ),
    )


def _counts(finding: Finding) -> bool:
    """Decide whether a finding counts: what is in shadow or suppressed is shown, and no more."""
    return finding.stage == "live" and finding.close_reason != "accepted"


def reports(made: list[Report], screen: Screen) -> Iterator[str]:  # noqa: ARG001 - a page is as wide as its window
    """Write a report."""
    for each in made:
        live = Counter(finding.severity for finding in each.findings if _counts(finding))
        tally = ", ".join(f"{live[severity]:,} {severity}" for severity in SEVERITIES if live[severity])
        yield from page(
            f"rolehawk report: {tally or 'no findings'}, {minute(each.since)} to {minute(each.until)} UTC",
            _report(each, live),
        )


def explanations(told: list[Explanation], screen: Screen) -> Iterator[str]:  # noqa: ARG001
    """Write stories, each a page."""
    for each in told:
        yield from page(f"rolehawk: {each.finding.title}", iter([element("main", story(each, level=1))]))


def _report(report: Report, live: Counter[str]) -> Iterator[Markup]:
    findings = ordered(report.findings)
    stories = _stories(report, {each.finding_id for each in findings[:MAX_FINDINGS]})
    told = {each for each, _ in stories}
    yield _top(has_stories=bool(stories))
    yield _head(report)
    yield Markup("<main>")
    yield _warnings(report)
    yield _summary(report, findings, live, told)
    yield _findings(findings, told)
    if stories:
        yield Markup('<section id="stories" aria-labelledby="stories-heading">')
        yield element("h2", "Stories", id="stories-heading")
        yield from (markup for _, markup in stories)
        yield Markup("</section>")
    yield _principals(report.principals)
    yield _reading(report)
    yield Markup("</main>")
    yield element(
        "footer",
        element(
            "p",
            f"Written by rolehawk {report.version or ''}. All times are UTC. This page loads nothing and sends nothing.",
        ),
    )


def _stories(report: Report, on_page: set[str]) -> list[tuple[str, Markup]]:
    """Tell stories until the page is full."""
    room, stories = MAX_STORY_CHARS, []
    for each in report.stories:
        markup = story(each, report.changes.get(each.finding.finding_id, ()), on_page)
        room -= len(markup)
        if room < 0:
            break
        stories.append((each.finding.finding_id, markup))
    return stories


def _top(*, has_stories: bool) -> Markup:
    links = (
        ("summary", "Summary"),
        ("findings", "Findings"),
        ("stories", "Stories"),
        ("principals", "Principals"),
        ("reading", "What was read"),
    )
    return join(
        element("a", "Skip to the findings", href="#findings", class_="skip"),
        element(
            "nav",
            element("strong", "rolehawk", class_="name"),
            element(
                "ul",
                *(
                    element("li", element("a", label, href=f"#{place}"))
                    for place, label in links
                    if has_stories or place != "stories"
                ),
            ),
            aria_label="Sections",
        ),
    )


def _head(report: Report) -> Markup:
    return element(
        "header",
        element("h1", "AWS IAM activity: investigation report"),
        element(
            "p",
            instant(report.since, minute(report.since)),
            " to ",
            instant(report.until, minute(report.until)),
            " UTC",
            class_="span",
        ),
        class_="head",
    )


def _warnings(report: Report) -> Markup:
    words = list(report.faults)
    if report.rejected_count:
        words.append(
            f"{counted(report.rejected_count, 'record')} could not be read: what they tell is not in this report."
        )
    return join(*(element("p", each, class_="warning", role="note") for each in words))


def _summary(report: Report, findings: list[Finding], live: Counter[str], told: set[str]) -> Markup:
    tiles = element(
        "ul",
        *(
            element(
                "li",
                element("strong", f"{live[each]:,}"),
                f" {each}",
                class_=f"tile {each}" + ("" if live[each] else " none"),
            )
            for each in SEVERITIES
        ),
        class_="tiles",
    )
    open_count = sum(each.status != "closed" and _counts(each) for each in findings)
    shadow = sum(each.stage == "shadow" for each in findings)
    words = f"{counted(len(findings), 'finding')}; {open_count:,} still open at the end of the trail."
    if shadow:
        words += f" {shadow:,} in shadow, counted nowhere else."
    kinds = Counter(each.kind for each in report.principals)
    detectors = Counter(each.detector for each in findings).most_common()
    shown = sorted(detectors, key=lambda item: (-item[1], item[0]))[:MAX_DETECTORS]
    charts = [
        over_time(findings, epoch(report.since), epoch(report.until)),
        by_count(
            "Principals by kind",
            [(kind, kinds[kind]) for kind in ("human", "machine", "mixed", "unknown")],
            is_coloured=True,
        ),
        by_count(
            "Findings by detector"
            if len(shown) == len(detectors)
            else f"Findings of the {len(shown)} detectors that found most",
            shown,
        ),
    ]
    return element(
        "section",
        element("h2", "Summary", id="summary-heading"),
        tiles,
        element("p", words),
        _first(findings, told),
        element("div", *charts, class_="charts"),
        id="summary",
        aria_labelledby="summary-heading",
    )


def _first(findings: list[Finding], told: set[str]) -> Markup:
    """Name what to look at first: what is most severe, a chain rather than its parts."""
    urgent = [each for each in findings if _counts(each) and each.part_of is None and each.finding_id in told]
    if not urgent:
        return Markup("")
    items = [
        element(
            "li",
            badge(each.severity),
            " ",
            element("a", element("bdi", each.title), href=f"#{anchor(each.finding_id)}"),
            element("p", each.summary),
        )
        for each in urgent[:MAX_FIRST]
    ]
    return element("div", element("h3", "Begin here"), element("ol", *items), class_="first")


def _findings(findings: list[Finding], told: set[str]) -> Markup:
    shown = findings[:MAX_FINDINGS]
    notes = []
    if len(shown) < len(findings):
        notes.append(f"{len(findings) - len(shown):,} more findings, the least severe, are not in this table.")
    if len(told) < len(shown):
        notes.append(f"The stories of {len(shown) - len(told):,} findings, the least severe, are not in this report.")
    if notes:
        notes.append(
            "--format jsonl has all, --min-severity, --since, --account and --entity choose, rolehawk explain tells any one story."
        )
    headings = [
        heading("severity", data_sort="key"), heading("opened (UTC)", data_sort="text"), heading("finding", data_sort="text"),
        heading("entity", "spare", data_sort="text"), heading("by whom", "spare", data_sort="text"), heading("account", "spare", data_sort="text"),
        heading("status", data_sort="text"), heading("events", "number spare", data_sort="key"),
    ]  # fmt: skip
    body = element("tbody", *(_row(each, is_told=each.finding_id in told) for each in shown))
    return element(
        "section",
        element("h2", "Findings", id="findings-heading"),
        table(f"{counted(len(shown), 'finding')}, the most severe first", headings, [body], data_filter="severity")
        if shown
        else element("p", "No findings."),
        *(element("p", note, class_="note") for note in notes),
        id="findings",
        aria_labelledby="findings-heading",
    )


def _row(finding: Finding, *, is_told: bool) -> Markup:
    title = element("bdi", finding.title)
    link = element("a", title, href=f"#{anchor(finding.finding_id)}") if is_told else title
    whom = [element("li", element("bdi", line)) for line in involved(finding)]
    return element(
        "tr",
        element("td", badge(finding.severity), data_key=int(Severity.parse(finding.severity))),
        element("td", instant(finding.opened_at, minute(finding.opened_at))),
        element("td", link, element("span", finding.detector, class_="note under")),
        element("td", code(short_name(finding.entity.arn, finding.account_id)), class_="spare who"),
        element(
            "td", element("ul", *whom) if whom else "itself" if finding.actor.arn else "not known", class_="spare who"
        ),
        element("td", finding.account_id, class_="spare whole"),
        element("td", standing(finding), class_="standing"),
        element("td", f"{finding.evidence_count:,}", class_="number spare", data_key=finding.evidence_count),
        data_facet=finding.severity,
        data_story=anchor(finding.finding_id) if is_told else None,
        id=None if is_told else anchor(finding.finding_id),
    )


def _principals(principals: list[Principal]) -> Markup:
    ranked = sorted(principals, key=lambda each: (KINDS.index(each.kind), each.class_ == "service", each.arn))
    shown = ranked[:MAX_PRINCIPALS]
    headings = [
        heading("kind", data_sort="text"), heading("principal", data_sort="text"), heading("human sessions", "number spare", data_sort="key"),
        heading("machine sessions", "number spare", data_sort="key"), heading("unknown sessions", "number spare", data_sort="key"),
        heading("events", "number spare", data_sort="key"), heading("last seen (UTC)", "spare", data_sort="text"), heading("evidence, and sessions that show it"),
    ]  # fmt: skip
    body = element("tbody", *map(_principal, shown))
    left_out = len(ranked) - len(shown)
    return element(
        "section",
        element("h2", "Principals", id="principals-heading"),
        element(
            "p",
            "Who acted or was assumed, what they are, and what shows it; those used by people and machines alike first.",
        ),
        table(counted(len(shown), "principal"), headings, [body], data_filter="kind")
        if shown
        else element("p", "No principals."),
        element("p", f"{left_out:,} more are not in this table: rolehawk principals lists all.", class_="note")
        if left_out
        else "",
        id="principals",
        aria_labelledby="principals-heading",
    )


def _principal(each: Principal) -> Markup:
    tier = "" if each.tier is None else f", tier {each.tier}"
    counts = (each.sessions.human, each.sessions.machine, each.sessions.unknown, each.events)
    where = each.account_id if each.account_id and each.type != "account" else ""
    return element(
        "tr",
        element(
            "td",
            element("span", each.kind, class_=f"kind {each.kind}"),
            element("span", f"{each.class_}{tier}", class_="note under whole"),
        ),
        element("td", code(short_name(each.arn, each.account_id)), element("span", where, class_="note under")),
        *(element("td", f"{number:,}", class_="number spare", data_key=number) for number in counts),
        element("td", instant(each.last_seen, minute(each.last_seen)), class_="spare"),
        element("td", _shown_by(each)),
        data_facet=each.kind,
    )


def _shown_by(principal: Principal) -> Markup:
    """List what shows it, the strongest in sight; where it is both, first something for each."""
    evidence = principal.evidence
    if principal.kind == "mixed":
        for_each = {SIDES.get(fact.fact) == "human": fact for fact in reversed(evidence) if SIDES.get(fact.fact)}
        evidence = [*for_each.values(), *(fact for fact in evidence if fact not in for_each.values())]
    facts = [element("li", f"{fact.fact} ({fact.count:,})") for fact in evidence]
    first, rest = facts[:MAX_FACTS], facts[MAX_FACTS:]
    more = element("details", element("summary", f"{len(rest)} more"), element("ul", *rest)) if rest else ""
    return join(element("ul", *first), more) if first else text("no evidence")


def _reading(report: Report) -> Markup:
    facts = element("dl", *(join(element("dt", label), element("dd", value)) for label, value in report.facts))
    rejected: list[Markup] = []
    if report.rejected:
        rows = [
            element(
                "tr",
                element("td", code(each.file)),
                element("td", each.record, class_="number"),
                element("td", code(each.field)),
                element("td", each.reason),
            )
            for each in report.rejected
        ]
        headings = [heading("file"), heading("record", "number"), heading("field"), heading("why")]
        rejected = [
            table(
                f"The first {len(rows)} of {counted(report.rejected_count, 'record')} that could not be read",
                headings,
                [element("tbody", *rows)],
            ),
            element("p", "--rejects FILE keeps them all.", class_="note"),
        ]
    return element(
        "section", element("h2", "What was read", id="reading-heading"), facts, *rejected, id="reading", aria_labelledby="reading-heading"
    )  # fmt: skip
