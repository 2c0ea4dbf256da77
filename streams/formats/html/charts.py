"""Charts as inline SVG, each with its numbers in a table beside it: what is drawn is said in words too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from models.finding import Finding, Severity
from models.record import epoch, iso
from streams.formats.drawing import counted, minute
from streams.formats.html.markup import Markup, element, heading, join, table

SEVERITIES: Final = tuple(each.label for each in reversed(Severity))
DAY_S: Final = 86_400
YEAR_S: Final = 365 * DAY_S
MAX_BARS: Final = 45
_HOUR, _DAY, _MONTH = slice(5, 16), slice(5, 10), slice(7)  # what of an instant tells a bar from all others
STEPS: Final = {  # what a bar may stand for; beyond these as many years as it takes
    3_600: ("hour", _HOUR),
    6 * 3_600: ("6 hours", _HOUR),
    DAY_S: ("day", _DAY),
    7 * DAY_S: ("week", _DAY),
    30 * DAY_S: ("30 days", _MONTH),
    90 * DAY_S: ("90 days", _MONTH),
    YEAR_S: ("year", _MONTH),
}

WIDTH: Final = 400  # of the drawing, in units of its own
LEFT: Final = 28  # room for the numbers of the axis
HEIGHT: Final = 120  # of the highest bar
ROW: Final = 32  # of a bar with its label


def over_time(findings: Sequence[Finding], since: int, until: int) -> Markup:
    """Draw how many findings opened when, by severity, the most severe at the bottom."""
    years = -(-(until - since) // (MAX_BARS * YEAR_S))
    step_s = next((step for step in STEPS if (until - since) / step <= MAX_BARS), years * YEAR_S)
    per, part = STEPS.get(step_s, (f"{years} years", _MONTH))
    begin = since - since % step_s
    counts: dict[int, Counter[str]] = {start: Counter() for start in range(begin, until + 1, step_s)}
    for each in findings:
        at = min(max(epoch(each.opened_at), begin), until)
        counts[at - (at - begin) % step_s][each.severity] += 1
    highest = max((bars.total() for bars in counts.values()), default=0)
    top = _round_up(highest)
    room = (WIDTH - LEFT) / len(counts)
    drawn = [_axis(top)]
    for place, (start, bars) in enumerate(counts.items()):
        y = HEIGHT + 8.0
        for severity in SEVERITIES:
            if bars[severity]:
                height = bars[severity] / top * HEIGHT
                y -= height
                drawn.append(
                    element("rect", x=_at(LEFT + place * room + room * 0.1), y=_at(y), width=_at(room * 0.8),
                            height=_at(max(height - 1, 1)), class_=f"fill-{severity}")
                )  # fmt: skip
        if place % max(1, -(-len(counts) // 5)) == 0:
            drawn.append(element("text", minute(iso(start))[part], x=_at(LEFT + place * room), y=HEIGHT + 26))
    name = f"Findings opened per {per}"
    shown = [severity for severity in SEVERITIES if any(bars[severity] for bars in counts.values())]
    rows = [
        element("tr", element("th", minute(iso(start)), scope="row"), *(element("td", bars[each]) for each in shown))
        for start, bars in counts.items()
        if bars.total()
    ]
    numbers = table(f"{name}, by severity", [heading("from (UTC)"), *map(heading, shown)], [element("tbody", *rows)])
    legend = element("ul", *(element("li", each, class_=f"key key-{each}") for each in shown), class_="legend")
    said = f"{counted(len(findings), 'finding')}, at most {highest} to a bar."
    return _figure(
        name, said, HEIGHT + 32, drawn, join(legend, element("details", element("summary", "Numbers"), numbers))
    )


def by_count(name: str, counts: Sequence[tuple[str, int]], *, is_coloured: bool = False) -> Markup:
    """Draw a bar for each of a few names, with its number."""
    longest = max((number for _, number in counts), default=0) or 1
    drawn = []
    for place, (label, number) in enumerate(counts):
        y = place * ROW
        drawn += [
            element("text", label, x=0, y=y + 13),
            element("text", f"{number:,}", x=WIDTH, y=y + 13, text_anchor="end"),
            element("rect", x=0, y=y + 18, width=WIDTH, height=5, class_="rail"),
            element("rect", x=0, y=y + 18, width=_at(number / longest * WIDTH), height=5,
                    class_=f"fill-{label}" if is_coloured else "fill"),
        ]  # fmt: skip
    said = ", ".join(f"{label} {number:,}" for label, number in counts) or "none"
    return _figure(name, said, max(len(counts), 1) * ROW, drawn)


def _figure(name: str, said: str, height: int, drawn: list[Markup], beside: Markup | None = None) -> Markup:
    picture = element(
        "svg", *drawn, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=f"{name}: {said}"
    )  # fmt: skip
    return element("figure", element("figcaption", name), picture, beside)


def _axis(top: int) -> Markup:
    lines = []
    for part in (0, 1, 2):
        y = HEIGHT + 8 - HEIGHT * part / 2
        lines.append(element("line", x1=LEFT, x2=WIDTH, y1=_at(y), y2=_at(y), class_="grid-line"))
        lines.append(element("text", f"{top * part // 2:,}", x=LEFT - 5, y=_at(y + 4), text_anchor="end"))
    return join(*lines)


def _round_up(number: int) -> int:
    """Find the next even number that reads well at the top of an axis."""
    size: int = 10 ** (len(str(number)) - 1)
    return next(
        (size * step for step in (1, 2, 4, 6, 8) if size * step >= max(number, 2) and size * step % 2 == 0), size * 10
    )


def _at(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")
