"""How a panel looks, for each kind that the dashboards have: one hand for colours, legends and units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
COLOURS: Final = {  # by the label that a series is called after
    "severity": {"critical": "dark-red", "high": "orange", "medium": "yellow", "low": "blue", "info": "gray"},
    "kind": {"human": "green", "machine": "blue", "mixed": "purple", "unknown": "gray"},
    "credential": {"temporary": "green", "long_lived": "orange", "root": "dark-red", "service": "blue"},
    "age": {"0-30d": "green", "30-90d": "yellow", "90-180d": "orange", "180d+": "dark-red"},
    "outcome": {"accepted": "green", "duplicate": "blue", "rejected": "dark-red", "ignored": "gray"},
}
GOOD_BELOW: Final = (("green", None), ("orange", 1.0))


class Query(NamedTuple):
    """A query, and what its series are called."""

    expr: str
    legend: str = "__auto"


Step = tuple[str, float | None]  # a colour, from which value on


def number(
    title: str, description: str, query: Query, *, unit: str = "short", steps: tuple[Step, ...] = (), width: int = 6,
    is_change: bool = False,
) -> stat.Panel:  # fmt: skip
    """Show a number as it stands at the end of the time chosen; of a change the colour alone says whether it is good."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(_target(query, "A"))
        .unit(unit)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(looks.BigValueColorMode.VALUE if is_change else looks.BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(looks.BigValueGraphMode.AREA)
        .height(5)
        .span(width)
    )
    if steps:
        thresholds = [model.Threshold(value=value, color=colour) for colour, value in steps]
        panel = panel.thresholds(
            dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(thresholds)
        ).color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
    for name, colour in _colours([query]):
        panel = panel.override_by_name(name, [colour])
    return panel


def over_time(
    title: str, description: str, *queries: Query, unit: str = "short", is_stacked: bool = False, is_bars: bool = False,
    width: int = 12,
) -> timeseries.Panel:  # fmt: skip
    """Show how something went; the legend has the last value and the highest."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .draw_style(looks.GraphDrawStyle.BARS if is_bars else looks.GraphDrawStyle.LINE)
        .fill_opacity(70 if is_bars else 25 if is_stacked else 8)
        .line_width(1)
        .show_points(looks.VisibilityMode.NEVER)
        .span_nulls(True)
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.TABLE)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .height(9)
        .span(width)
    )
    if is_stacked:
        panel = panel.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    for place, query in enumerate(queries):
        panel = panel.with_target(_target(query, chr(ord("A") + place)))
    for name, colour in _colours(queries):
        panel = panel.override_by_name(name, [colour])
    return panel


def bars(title: str, description: str, query: Query, *, unit: str = "short", width: int = 12) -> bargauge.Panel:
    """Show how many of each there are at the end of the time chosen."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(_target(query, "A"))
        .unit(unit)
        .min(0)
        .orientation(looks.VizOrientation.HORIZONTAL)
        .display_mode(looks.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .height(9)
        .span(width)
    )
    for name, colour in _colours([query]):
        panel = panel.override_by_name(name, [colour])
    return panel


def rows(
    title: str, description: str, query: Query, *, value: str, unit: str = "short", links: dict[str, tuple[str, str]],
    width: int = 24,
) -> table.Panel:  # fmt: skip
    """List what there is at the end of the time chosen; a column may lead somewhere, by a title and an address."""
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(_target(query, "A", is_table=True))
        .unit(unit)
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True}, "renameByName": {"Value": value}}
            )
        )
        .sort_by([common.TableSortByFieldState().display_name(value).desc(True)])
        .filterable(True)
        .height(10)
        .span(width)
    )
    for column, (name, url) in links.items():
        link = model.DynamicConfigValue(id_val="links", value=[{"title": name, "url": url, "targetBlank": True}])
        panel = panel.override_by_name(column, [link])
    return panel


def _target(query: Query, ref_id: str, *, is_table: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(ref_id).expr(query.expr).legend_format(query.legend)
    return target.instant().format(prometheus_model.PromQueryFormat.TABLE) if is_table else target.range()


def _colours(queries: Iterable[Query]) -> Iterator[tuple[str, model.DynamicConfigValue]]:
    """Give what is always shown in the same colour, by the name of its series."""
    for label in sorted({query.legend.strip("{}") for query in queries} & COLOURS.keys()):
        for name, colour in COLOURS[label].items():
            yield name, model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})
