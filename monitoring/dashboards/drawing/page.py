"""The page that shows a dashboard, with its panels where Grafana has them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from monitoring.dashboards.drawing import charts
from monitoring.dashboards.drawing.charts import COLOURS, Frame, colour_of
from monitoring.dashboards.drawing.formats import formatted
from monitoring.dashboards.drawing.tables import table
from monitoring.dashboards.model import Colour, Dashboard, Panel, PanelKind, Place, Row, places
from monitoring.dashboards.recording import Answers, Series
from monitoring.dashboards.substitution import View

COLUMN, LINE, GAP = 60, 36, 8
"""Pixels of a column and a line of the grid, and between two panels."""

TITLE_HEIGHT, LEGEND_LINE, PADDING = 26, 18, 8
LETTER = 6.6
"""Pixels of a letter in a legend, on average."""

STYLE = """
body { margin: 0; background: #f4f5f5; font: 12px "DejaVu Sans", Arial, sans-serif; color: #24292e; }
main { position: relative; }
h1 { position: absolute; margin: 0; left: 8px; top: 8px; font-size: 17px; }
h1 span { font-weight: normal; color: #6a7077; font-size: 13px; margin-left: 12px; }
h2 { position: absolute; margin: 0; font-size: 14px; line-height: 36px; }
section { position: absolute; box-sizing: border-box; background: #fff; border: 1px solid #dfe2e5; border-radius: 3px;
  padding: 0 8px; overflow: hidden; }
h3 { margin: 0; font-size: 12px; line-height: 26px; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
svg { display: block; } svg text { font-size: 10.5px; fill: #4b5157; } svg text.on { fill: #fff; font-weight: bold; }
.grid { stroke: #e6e8ea; }
.legend { line-height: 18px; white-space: nowrap; overflow: hidden; font-size: 11px; }
.legend i { display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0; } .legend span { margin-right: 12px; }
.middle { display: flex; height: calc(100% - 30px); align-items: center; justify-content: space-evenly; }
.middle div { text-align: center; } .none { color: #8a9099; }
.name { color: #4b5157; font-size: 11px; }
.bar { display: grid; align-items: center; grid-template-columns: 42% 1fr 60px; gap: 8px; }
.bar b { height: 14px; border-radius: 2px; } .bar span { overflow: hidden; text-overflow: ellipsis; }
.bar i { background: #eceef0; display: block; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 5px 6px; white-space: nowrap; }
th { color: #2f6fd0; font-weight: bold; } tr + tr { border-top: 1px solid #e6e8ea; } .number { text-align: right; }
.link { color: #2f6fd0; text-decoration: underline; }
"""


def page(dashboard: Dashboard, answers: Mapping[int, Answers], view: View, end: float, chosen: str) -> tuple[str, int]:
    """
    Return the page as HTML, and its height in pixels.

    Args:
        answers: the answers to each panel's queries, by the panel's number in the dashboard, from 0.
        end: Unix time in seconds of the right edge.
        chosen: words for the choice of variables.
    """
    parts, bottom, number = [], 0, 0
    for part, place in places(dashboard):
        x, y = place.x * COLUMN + GAP, place.y * LINE + LINE + GAP
        bottom = max(bottom, y + place.height * LINE)
        if isinstance(part, Row):
            parts.append(f'<h2 style="left:{x}px;top:{y}px">{html.escape(part.title)}</h2>')
            continue
        parts.append(_section(part, place, _drawn(part, answers[number], place, view, end)))
        number += 1
    title = f"<h1>{html.escape(dashboard.title)}<span>{html.escape(chosen)}</span></h1>"
    text = f'<!DOCTYPE html><meta charset="utf-8"><style>{STYLE}</style><main>{title}{"".join(parts)}</main>'
    return text, bottom + GAP


def page_width() -> int:
    """Return the width of every page, in pixels."""
    return 24 * COLUMN + GAP


def _section(panel: Panel, place: Place, inside: str) -> str:
    x, y = place.x * COLUMN + GAP, place.y * LINE + LINE + GAP
    size = f"width:{place.width * COLUMN - GAP}px;height:{place.height * LINE - GAP}px"
    return f'<section style="left:{x}px;top:{y}px;{size}"><h3>{html.escape(panel.title)}</h3>{inside}</section>'


def _drawn(panel: Panel, answers: Answers, place: Place, view: View, end: float) -> str:
    series = [each for query in panel.all_queries for each in answers[query]]
    if not series:
        return f'<div class="middle none"><div>{html.escape(panel.no_value)}</div></div>'
    width = place.width * COLUMN - GAP - 2 * PADDING - 2
    height = place.height * LINE - GAP - TITLE_HEIGHT - PADDING
    step = view.step_seconds
    match panel.kind:
        case PanelKind.STAT:
            return _stat(panel, series, width)
        case PanelKind.BAR_GAUGE:
            return _bars(panel, series)
        case PanelKind.TABLE:
            return table(panel, answers)
        case PanelKind.TIME_SERIES:
            legend, lines = _legend(panel, series, width)
            frame = Frame.of(width, height - lines * LEGEND_LINE, view, end)
            return charts.time_series(panel, series, frame, step) + legend
        case PanelKind.STATE_TIMELINE:
            return charts.state_timeline(panel, series, Frame.of(width, height, view, end), step)
        case PanelKind.HEATMAP:
            return charts.heatmap(panel, series, Frame.of(width, height, view, end), step)


def _legend(panel: Panel, series: Sequence[Series], width: int) -> tuple[str, int]:
    """Return the legend and its number of lines."""
    lines: list[list[str]] = [[]]
    used = 0.0
    for index, each in enumerate(series):
        needed = 29 + LETTER * len(each.name)
        if lines[-1] and used + needed > width:
            lines.append([])
            used = 0.0
        used += needed
        mark = f'<i style="background:{colour_of(panel, each.name, index)}"></i>'
        lines[-1].append(f"<span>{mark}{html.escape(each.name)}</span>")
    return "".join(f'<div class="legend">{"".join(line)}</div>' for line in lines), len(lines)


def _threshold_colour(panel: Panel, value: float, base: Colour) -> str:
    found = base
    for bound, colour in panel.thresholds:
        if value >= bound:
            found = colour
    return COLOURS[found]


def _stat(panel: Panel, series: Sequence[Series], width: int) -> str:
    """Return the latest values in large letters, each under its name where there are several."""
    parts = []
    for index, each in enumerate(series):
        value = each.points[-1][1]
        text = each.name if panel.shows_names else formatted(value, panel.unit, panel.decimals)
        base = Colour.GREEN if panel.thresholds else Colour.BLUE
        colour = colour_of(panel, each.name, index) if panel.texts else _threshold_colour(panel, value, base)
        size = min(34.0, 1.5 * (width / len(series) - 8) / max(1, len(text)))
        name = f'<div class="name">{html.escape(each.name)}</div>' if len(series) > 1 and not panel.shows_names else ""
        parts.append(f'<div>{name}<b style="font-size:{size:.0f}px;color:{colour}">{html.escape(text)}</b></div>')
    return f'<div class="middle">{"".join(parts)}</div>'


def _bars(panel: Panel, series: Sequence[Series]) -> str:
    """Return a bar for each series' latest value."""
    longest = panel.maximum or max(each.points[-1][1] for each in series) or 1.0
    parts = []
    for each in series:
        value = each.points[-1][1]
        share = min(1.0, value / longest)
        colour = _threshold_colour(panel, value, Colour.GREEN)
        parts.append(
            f'<div class="bar"><span>{html.escape(each.name)}</span>'
            f'<i><b style="display:block;width:{100 * share:.0f}%;background:{colour}"></b></i>'
            f"<span>{html.escape(formatted(value, panel.unit, panel.decimals))}</span></div>"
        )
    return f'<div style="display:grid;height:calc(100% - 34px);align-content:space-evenly">{"".join(parts)}</div>'
