"""
The JSON of a dashboard that Grafana imports, made with Grafana's own builders.

It is the classic form of a dashboard, which newer releases of Grafana convert to the form that they have now.
"""

from __future__ import annotations

import json
import warnings
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.dashboards.model import Colour, Column, Dashboard, Panel, PanelKind, Place, Row, Text, Variable, places

with warnings.catch_warnings():
    # The classic form says on import that it is deprecated, in favour of one that older releases cannot read.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        bargauge,
        common,
        heatmap,
        prometheus,
        stat,
        statetimeline,
        table,
        timeseries,
    )
    from grafana_foundation_sdk.builders import dashboard as builders
    from grafana_foundation_sdk.models import common as common_models
    from grafana_foundation_sdk.models import dashboard as models
    from grafana_foundation_sdk.models import prometheus as prometheus_models

DATA_SOURCE = common_models.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAGS = ["metasearch"]
REFRESH = "30s"
TIMES = ("now-6h", "now")

AnyPanel = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel | statetimeline.Panel | heatmap.Panel

BUILDERS: dict[PanelKind, type[AnyPanel]] = {
    PanelKind.STAT: stat.Panel,
    PanelKind.TIME_SERIES: timeseries.Panel,
    PanelKind.TABLE: table.Panel,
    PanelKind.BAR_GAUGE: bargauge.Panel,
    PanelKind.STATE_TIMELINE: statetimeline.Panel,
    PanelKind.HEATMAP: heatmap.Panel,
}


def to_json(dashboard: Dashboard) -> str:
    """Return the JSON of a dashboard, always the same for the same one."""
    built = (
        builders.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags(TAGS)
        .readonly()
        .timezone("browser")
        .refresh(REFRESH)
        .time(*TIMES)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_link_to_others())
        .with_variable(_data_source())
    )
    for variable in dashboard.variables:
        built.with_variable(_variable(variable))
    for number, (part, place) in enumerate(places(dashboard), start=1):
        if isinstance(part, Row):
            built.with_row(builders.Row(part.title).id(number).grid_pos(_position(place)))
        else:
            built.with_panel(_panel(part, number, place))
    return json.dumps(built.build(), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def references(panel: Panel) -> dict[str, str]:
    """Return the letters by which a panel's queries are told apart, by their expressions."""
    return {query.expression: letter for query, letter in zip(panel.all_queries, ascii_uppercase, strict=False)}


# --- variables and links ------------------------------------------------------------------------------------------


def _link_to_others() -> builders.DashboardLink:
    link = builders.DashboardLink("MetaSearch").type(models.DashboardLinkType.DASHBOARDS).tags(TAGS)
    return link.as_dropdown(True).keep_time(True).include_vars(False)


def _data_source() -> builders.DatasourceVariable:
    variable = builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return variable.current(models.VariableOption(text="default", value="default"))


def _variable(variable: Variable) -> builders.QueryVariable:
    built = (
        builders.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(DATA_SOURCE)
        .query(f"label_values({variable.query}, {variable.of_label})")
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(variable.is_multiple)
        .include_all(variable.is_multiple)
    )
    if variable.all_value is not None:
        built.all_value(variable.all_value).current(models.VariableOption(text=["All"], value=["$__all"]))
    return built


# --- panels -------------------------------------------------------------------------------------------------------


def _position(place: Place) -> models.GridPos:
    return models.GridPos(h=place.height, w=place.width, x=place.x, y=place.y)


def _panel(panel: Panel, number: int, place: Place) -> Builder[models.Panel]:
    built = (
        BUILDERS[panel.kind]()
        .title(panel.title)
        .description(panel.description)
        .id(number)
        .grid_pos(_position(place))
        .datasource(DATA_SOURCE)
        .unit(panel.unit)
        .no_value(panel.no_value)
        .thresholds(_thresholds(panel))
    )
    if panel.decimals is not None:
        built.decimals(panel.decimals)
    if panel.minimum is not None:
        built.min(panel.minimum)
    if panel.maximum is not None:
        built.max(panel.maximum)
    letters = references(panel)
    for query in panel.all_queries:
        built.with_target(_target(panel, query.expression, query.legend, letters[query.expression]))
    _finish(panel, built)
    return built


def _target(panel: Panel, expression: str, legend: str, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(expression).ref_id(letter).datasource(DATA_SOURCE)
    if panel.kind.shows_present_only:
        target.instant()
    else:
        target.range()
    if panel.kind is PanelKind.TABLE:
        return target.format(prometheus_models.PromQueryFormat.TABLE)
    if panel.kind is PanelKind.HEATMAP:
        target.format(prometheus_models.PromQueryFormat.HEATMAP)
    # Without a legend Grafana shows the expression.
    return target.legend_format(legend or panel.title)


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    base = Colour.BLUE if panel.kind is PanelKind.STAT and not panel.thresholds else Colour.GREEN
    steps = [models.Threshold(value=None, color=base)]
    steps += [models.Threshold(value=value, color=colour) for value, colour in panel.thresholds]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _mapping(texts: tuple[Text, ...] | list[Text]) -> models.ValueMapping:
    return models.ValueMap({each.value: models.ValueMappingResult(text=each.text, color=each.colour) for each in texts})


def _finish(panel: Panel, built: AnyPanel) -> None:
    """Set what only one kind of panel has."""
    match built:
        case stat.Panel():
            _finish_stat(panel, built)
        case bargauge.Panel():
            built.orientation(common_models.VizOrientation.HORIZONTAL).display_mode(
                common_models.BarGaugeDisplayMode.BASIC
            ).reduce_options(_last_value())
        case timeseries.Panel():
            _finish_time_series(panel, built)
        case statetimeline.Panel():
            built.mappings([_mapping(list(panel.texts))]).merge_values(True).show_value(
                common_models.VisibilityMode.AUTO
            )
        case heatmap.Panel():
            built.calculate(False).y_axis(heatmap.YAxisConfig().unit(panel.unit))
        case table.Panel():
            _finish_table(panel, built)


def _last_value() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)


def _finish_stat(panel: Panel, built: stat.Panel) -> None:
    built.reduce_options(_last_value()).graph_mode(common_models.BigValueGraphMode.NONE)
    built.color_mode(common_models.BigValueColorMode.VALUE)
    if panel.shows_names:
        built.text_mode(common_models.BigValueTextMode.NAME)
        for text in panel.texts:
            built.override_by_name(text.value, [_fixed_colour(text.colour)])


def _finish_time_series(panel: Panel, built: timeseries.Panel) -> None:
    built.legend(
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)
    ).tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    built.fill_opacity(30 if panel.is_stacked else 5).show_points(common_models.VisibilityMode.NEVER)
    if panel.is_stacked:
        built.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if panel.thresholds:
        built.thresholds_style(common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.LINE))
    for text in panel.texts:
        built.override_by_name(text.value, [_fixed_colour(text.colour)])


def _fixed_colour(colour: Colour) -> models.DynamicConfigValue:
    return models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour})


# --- tables -------------------------------------------------------------------------------------------------------


def _finish_table(panel: Panel, built: table.Panel) -> None:
    """Join the answers by the labels that they share, and show the columns that are wanted, in their order."""
    letters = references(panel)
    fields = {column.title: _field(column, letters) for column in panel.columns}
    # A query whose label is shown, not its value, brings a value all the same.
    hidden = {f"Value #{letter}" for letter in letters.values()} - set(fields.values())
    if len(letters) == 1:
        hidden = {"Value"} - set(fields.values())
    if panel.sort_column == "Round":  # else 10 would stand before 2
        built.with_transformation(
            _transformation("convertFieldType", conversions=[{"targetField": "round", "destinationType": "number"}])
        )
    built.with_transformation(_transformation("merge"))
    built.with_transformation(
        _transformation(
            "organize",
            excludeByName=dict.fromkeys(sorted({"Time", *hidden}), True),
            indexByName={field: index for index, field in enumerate(fields.values())},
            renameByName={field: title for title, field in fields.items()},
        )
    )
    for column in panel.columns:
        if properties := list(_properties(column)):
            built.override_by_name(column.title, properties)
    if panel.sort_column:
        built.sort_by([common.TableSortByFieldState().display_name(panel.sort_column).desc(panel.is_descending)])


def _field(column: Column, letters: dict[str, str]) -> str:
    """Return the name of a column's field after the answers were joined."""
    if column.label:
        return column.label
    assert column.query
    # With one query there is nothing to tell apart, and Grafana gives its value no letter.
    return f"Value #{letters[column.query.expression]}" if len(letters) > 1 else "Value"


def _transformation(name: str, **options: Any) -> models.DataTransformerConfig:
    return models.DataTransformerConfig(id_val=name, options=options)


def _properties(column: Column) -> list[models.DynamicConfigValue]:
    """Return in which way a column differs from others."""
    found: dict[str, object] = {}
    if not column.label:
        found["unit"] = column.unit
    if column.decimals is not None:
        found["decimals"] = column.decimals
    if column.width is not None:
        found["custom.width"] = column.width
    if column.texts:
        found["mappings"] = [_mapping(list(column.texts))]
        found["custom.cellOptions"] = {"type": "color-text"}
    if column.link:
        found["links"] = [{"title": "Its dashboard", "url": column.link, "targetBlank": False}]
    return [models.DynamicConfigValue(name, value) for name, value in found.items()]
