"""The dashboards and the catalogue of metrics agree, and their JSON is what Grafana imports."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping

import pytest
from dashboard_rules import UNITS, matchers, panels, selectors
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units
from monitoring.dashboards import all_searches, one_search
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.grafana import models, to_json
from monitoring.dashboards.model import (
    GRID_COLUMNS,
    Dashboard,
    DisplayUnit,
    Panel,
    PanelKind,
    Row,
    SearchState,
    places,
)
from monitoring.dashboards.recording import LABEL
from monitoring.dashboards.search_workers import GPU_ACTIVITY

from metasearch.metrics.catalogue import METRICS
from metasearch.metrics.model import Kind

NOT_SHOWN: Mapping[str, str] = {}
"""The metrics that no panel shows, and the reason."""

PARTS = ("_bucket", "_sum", "_count")
BY_NAME = {metric.name: metric for metric in METRICS}
PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]


def shown(expression: str) -> set[str]:
    """Return the metrics of an expression by the names in the catalogue."""
    names = {str(selector.name) for selector, _ in selectors(expression)}
    histograms = {f"{metric.name}{part}": metric.name for metric in METRICS if metric.buckets for part in PARTS}
    return {histograms.get(name, name) for name in names}


def test_every_metric_is_in_a_panel_or_excepted_and_every_panel_shows_metrics_that_there_are() -> None:
    every = set().union(*(shown(query.expression) for _, panel in PANELS for query in panel.all_queries))
    assert every - {GPU_ACTIVITY} == set(BY_NAME) - set(NOT_SHOWN)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_query_filters_by_labels_that_its_metric_has(dashboard: Dashboard, panel: Panel) -> None:
    of_targets = {"job", "instance", "namespace", "search"}
    for query in panel.all_queries:
        for selector, _ in selectors(query.expression):
            (name,) = shown(str(selector.name))
            if name != GPU_ACTIVITY:
                labels = {re.split("[=!]", each)[0] for each in matchers(selector)}
                assert labels <= {*BY_NAME[name].labels, *of_targets}
        # A legend names labels that an aggregation keeps.
        for label in LABEL.findall(query.legend):
            assert re.search(rf"by \([^)]*\b{label}\b", query.expression), f"{label} in {query.legend}"
    if panel.kind is PanelKind.TABLE:
        kept = [
            set(re.findall(r"\w+", re.findall(r"by \(([^)]*)\)", each.expression)[0])) for each in panel.all_queries
        ]
        for column in panel.columns:
            if column.label and column.query is None:
                assert all(column.label in labels for labels in kept), column.title
            elif column.label:
                assert column.label in kept[list(panel.all_queries).index(column.query)], column.title
    assert dashboard.variables


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_panel_states_its_emptiness_and_says_what_it_shows(dashboard: Dashboard, panel: Panel) -> None:
    del dashboard
    assert panel.no_value
    assert panel.description.endswith(".")
    assert panel.all_queries
    assert len({query.expression for query in panel.all_queries}) == len(panel.all_queries)
    # A query that is empty in every state would be tried in none.
    assert all(query.empty_in < set(SearchState) for query in panel.all_queries)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_have_numbers_of_their_own_and_lie_beside_each_other(dashboard: Dashboard) -> None:
    written = json.loads(to_json(dashboard))
    numbers = [panel["id"] for panel in written["panels"]]
    assert len(set(numbers)) == len(numbers)
    fields = [
        {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        for at in (panel["gridPos"] for panel in written["panels"])
    ]
    assert all(0 <= x < GRID_COLUMNS for each in fields for x, _ in each)
    assert not [each for each in itertools.combinations(fields, 2) if each[0] & each[1]]
    titles = [part.title for part, _ in places(dashboard) if isinstance(part, Row)]
    assert titles == [panel["title"] for panel in written["panels"] if panel["type"] == "row"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_grafanas_own_model_reads_the_json_and_loses_nothing(dashboard: Dashboard) -> None:
    text = to_json(dashboard)
    read = models.Dashboard.from_json(json.loads(text))
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == json.loads(text)
    written = json.loads(text)
    assert written["uid"] == dashboard.uid
    assert {panel["type"] for panel in panels(written)} == {panel.kind.value for panel in dashboard.panels}


def test_the_units_are_grafanas() -> None:
    of_sdk = {value for name, value in vars(units).items() if name[0].isupper() and isinstance(value, str)}
    assert of_sdk <= UNITS | {""}, sorted(of_sdk - UNITS)
    assert {each.value for each in DisplayUnit if not each.value.startswith("suffix:")} <= UNITS


def test_every_kind_of_panel_is_used() -> None:
    assert {panel.kind for _, panel in PANELS} == set(PanelKind)


def test_a_search_leads_to_its_own_dashboard() -> None:
    names = [variable.name for variable in one_search.VARIABLES]
    assert names == ["namespace", "search"]
    assert all_searches.LINK.startswith(f"/d/{one_search.UID}?")
    assert {f"var-{name}=${{__data.fields.{name}}}" for name in names} <= set(re.split("[?&]", all_searches.LINK))


def test_names_are_compared_as_text_or_by_an_expression_as_their_variable_needs() -> None:
    """Grafana escapes a choice of several for a regular expression, and a single one for text."""
    for dashboard, panel in PANELS:
        signs = {each.name: "=~" if each.is_multiple else "=" for each in dashboard.variables}
        for query in panel.all_queries:
            for name, sign in re.findall(r'(\w+)(=~|!~|!=|=)"\$\w+"', query.expression):
                assert sign == signs[name], f"{panel.title}: {name}"


def test_counters_are_known_by_their_names() -> None:
    assert {metric.name for metric in METRICS if metric.kind is Kind.COUNTER} == {
        name for name in BY_NAME if name.endswith("_total")
    }
