"""Every query of every dashboard, on a real Prometheus in four states: data or the stated emptiness, never an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from dashboard_rules import selectors
from devcluster.prometheus import QueryError
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.model import Dashboard, Panel, PanelKind, Query, SearchState
from monitoring.dashboards.recording import ask
from monitoring.dashboards.search_workers import GPU_ACTIVITY
from monitoring.dashboards.substitution import ALL
from scraped_searches import NAMESPACE, SEARCH, Scraped

from metasearch.metrics import of_operator, of_search
from metasearch.metrics.catalogue import METRICS
from metasearch.metrics.model import Metric
from metasearch.search.planner import Phase
from metasearch.search.trials import Stage, State

CHOSEN: Mapping[str, Sequence[str]] = {"namespace": [NAMESPACE], "search": [SEARCH]}

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]

VALUES: Mapping[tuple[Metric, str], set[str]] = {
    (of_search.PHASE, "phase"): {*Phase},
    (of_search.WORKERS, "phase"): {"Pending", "Running"},
    (of_search.TRIALS, "state"): {*State},
    (of_search.TRIALS, "stage"): {*Stage},
    (of_search.ENDED, "state"): {*State},
    (of_search.SLOTS, "state"): {"busy", "idle"},
    (of_search.CONDITION, "condition"): {"Ready"},
    (of_search.CONDITION, "status"): {"True", "False", "Unknown"},
    (of_search.CORRELATION, "kind"): {"spearman", "kendall", "ceiling"},
    (of_search.BUDGET_SPENT, "unit"): {"trials", "failed_trials", "seconds", "gpu_seconds"},
    (of_search.BUDGET_LIMIT, "unit"): {"trials", "failed_trials", "seconds", "gpu_seconds"},
    (of_operator.API_REQUEST_SECONDS, "code"): {"2.."},
}
"""The values of labels that queries may compare with."""


def unlike_stated(given: Scraped, dashboard: Dashboard, panel: Panel, state: SearchState) -> set[str]:
    """Return the queries of a panel that give data where they are to give none, or none where they are to give some."""
    # All searches where several may be chosen, else the one.
    chosen = {each.name: ALL if each.is_multiple else CHOSEN[each.name] for each in dashboard.variables}
    answers = ask(given.server, dashboard, panel, given.view(**chosen), given.ended_at)
    return {query.expression for query in panel.all_queries if bool(answers[query]) == (state in query.empty_in)}


@pytest.mark.parametrize("state", SearchState, ids=lambda state: state.name)
@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_query_gives_data_or_the_stated_emptiness(
    scraped: Mapping[SearchState, Scraped], dashboard: Dashboard, panel: Panel, state: SearchState
) -> None:
    assert not unlike_stated(scraped[state], dashboard, panel, state)


def unknown_words(expression: str) -> set[str]:
    """Return the metrics of an expression that are not in the catalogue, and the values that no label of them has."""
    by_name = {f"{metric.name}{part}": metric for metric in METRICS for part in ("", "_bucket", "_count")}
    found: set[str] = set()
    for selector, _ in selectors(expression):
        if selector.name == GPU_ACTIVITY:
            continue
        metric = by_name.get(str(selector.name))
        if metric is None:
            found.add(str(selector.name))
            continue
        for each in selector.matchers.matchers:
            if not each.value.startswith("$"):
                found |= set(each.value.split("|")) - VALUES[metric, each.name]
    return found


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_query_compares_with_values_that_there_are(dashboard: Dashboard, panel: Panel) -> None:
    del dashboard
    assert not set().union(*(unknown_words(query.expression) for query in panel.all_queries))


# --- the tests themselves -----------------------------------------------------------------------------------------


def mutants(query: Query) -> Iterator[Query]:
    """Yield a query with a wrong name of a metric, or a wrong value of a label, one at a time."""
    for pattern in (r"\b(?:metasearch|DCGM)\w+", r'(?<==")[^"$]+', r'(?<=~")[^"$]+'):
        for found in re.finditer(pattern, query.expression):
            yield replace(query, expression=f"{query.expression[: found.end()]}x{query.expression[found.end() :]}")


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_wrong_name_or_value_is_noticed(
    scraped: Mapping[SearchState, Scraped], dashboard: Dashboard, panel: Panel
) -> None:
    kind = PanelKind.STAT if panel.kind is PanelKind.TABLE else panel.kind  # both ask for the present
    for mutant in (each for query in panel.all_queries for each in mutants(query)):
        alone = replace(panel, kind=kind, columns=(), queries=(mutant,))
        assert unknown_words(mutant.expression) or any(
            unlike_stated(given, dashboard, alone, state) for state, given in scraped.items()
        ), mutant.expression


def test_an_error_of_a_query_is_one_of_the_test(scraped: Mapping[SearchState, Scraped]) -> None:
    """Prometheus parses `group_left (x)` as a list of labels, as a parser of its language does."""
    dashboard, panel = PANELS[0]
    wrong = replace(panel, queries=(Query("a / on () group_left (b > 1)"),))
    with pytest.raises(QueryError, match="parse error"):
        unlike_stated(scraped[SearchState.RUNNING], dashboard, wrong, SearchState.RUNNING)
