"""The answers of a Prometheus to the queries of a panel."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from monitoring.dashboards.model import Dashboard, Panel, Query
from monitoring.dashboards.substitution import View, substitute

LABEL = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Prometheus(Protocol):
    """A Prometheus server; an error of its own is raised where a query is wrong."""

    def instant(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of a query at one moment, as the HTTP API has it."""

    def over(self, query: str, start: float, end: float, step_seconds: float) -> list[dict[str, Any]]:
        """Return the result of a query over a time, as the HTTP API has it."""


@dataclass(frozen=True)
class Series:
    """A series of an answer. What is not a number is left out, as Grafana shows nothing there."""

    name: str
    """By the query's legend."""
    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]
    """Unix time in seconds and value; one point where the present was asked for."""


Answers = Mapping[Query, Sequence[Series]]


def ask(server: Prometheus, dashboard: Dashboard, panel: Panel, view: View, end: float) -> Answers:
    """
    Ask a Prometheus everything that a panel asks.

    Args:
        end: Unix time in seconds of the right edge.
    """
    return {query: _answer(server, dashboard, panel, query, view, end) for query in panel.all_queries}


def _answer(
    server: Prometheus, dashboard: Dashboard, panel: Panel, query: Query, view: View, end: float
) -> Sequence[Series]:
    expression = substitute(query.expression, dashboard, view)
    if panel.kind.shows_present_only:
        found = [(each["metric"], [each["value"]]) for each in server.instant(expression, end)]
    else:
        answer = server.over(expression, end - view.range_seconds, end, view.step_seconds)
        found = [(each["metric"], each["values"]) for each in answer]
    series = [
        Series(
            _name(query.legend or panel.title, labels),
            labels,
            [(float(at), float(text)) for at, text in values if not math.isnan(float(text))],
        )
        for labels, values in found
    ]
    return [each for each in series if each.points]


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return LABEL.sub(lambda found: labels.get(found[1], ""), legend)
