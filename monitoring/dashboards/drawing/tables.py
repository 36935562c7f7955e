"""Tables, and the joining of answers to rows."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from monitoring.dashboards.drawing.charts import COLOURS
from monitoring.dashboards.drawing.formats import formatted
from monitoring.dashboards.model import Column, Panel
from monitoring.dashboards.recording import Answers, Series

Row = Mapping[str, str | float]
"""The cells by the titles of their columns; text for labels."""


def rows(panel: Panel, answers: Answers) -> Sequence[Row]:
    """Join the answers by the labels that all of them share, and return the rows in the panel's order."""
    kept = [set().union(*(series.labels for series in found)) for found in answers.values() if found]
    if not kept:
        return []
    shared = sorted(set[str].intersection(*kept))
    joined: dict[tuple[str, ...], dict[str, str | float]] = {}
    for query, found in answers.items():
        for series in found:
            row = joined.setdefault(tuple(series.labels.get(label, "") for label in shared), {})
            row |= {column.title: _cell(column, series) for column in panel.columns if column.query in (None, query)}
    return sorted(
        joined.values(), key=lambda row: _order(row.get(panel.sort_column or "", "")), reverse=panel.is_descending
    )


def _cell(column: Column, series: Series) -> str | float:
    return series.labels.get(column.label, "") if column.label else series.points[-1][1]


def _order(cell: str | float) -> tuple[float, str]:
    """Return what a cell is sorted by: numbers by their value, also where they are labels."""
    try:
        return float(cell), ""
    except ValueError:
        return float("inf"), str(cell)


def table(panel: Panel, answers: Answers) -> str:
    """Return the table as HTML."""
    head = "".join(f"<th{_alignment(column)}>{html.escape(column.title)}</th>" for column in panel.columns)
    body = "".join(
        f"<tr>{''.join(_written(column, row.get(column.title)) for column in panel.columns)}</tr>"
        for row in rows(panel, answers)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _alignment(column: Column) -> str:
    return "" if column.label else ' class="number"'


def _written(column: Column, cell: str | float | None) -> str:
    if cell is None:
        return "<td></td>"
    text = cell if isinstance(cell, str) else formatted(cell, column.unit, column.decimals)
    style = "".join(f' style="color:{COLOURS[each.colour]}"' for each in column.texts if each.value == text)
    inside = html.escape(text)
    if column.link:
        inside = f'<span class="link">{inside}</span>'
    return f"<td{_alignment(column)}{style}>{inside}</td>"
