"""Every query of every dashboard, on a real Prometheus in four states: data or the stated emptiness, never an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.model import Dashboard, Panel, SearchState
from monitoring.dashboards.recording import ask
from monitoring.dashboards.substitution import ALL
from scraped_searches import NAMESPACE, SEARCH, Scraped

CHOSEN: Mapping[str, Sequence[str]] = {
    "namespace": [NAMESPACE],
    "search": [SEARCH],
    "job": ALL,
    "instance": ALL,
}

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]


def chosen(dashboard: Dashboard) -> Mapping[str, Sequence[str]]:
    """Return all searches where several may be chosen, else the one."""
    return {each.name: ALL if each.is_multiple else CHOSEN[each.name] for each in dashboard.variables}


@pytest.mark.parametrize("state", SearchState, ids=lambda state: state.name)
@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "title", None))
def test_a_query_gives_data_or_the_stated_emptiness(
    scraped: Mapping[SearchState, Scraped], dashboard: Dashboard, panel: Panel, state: SearchState
) -> None:
    given = scraped[state]
    answers = ask(given.server, dashboard, panel, given.view(**chosen(dashboard)), given.ended_at)
    empty = {query.expression for query in panel.all_queries if not answers[query]}
    assert empty == {query.expression for query in panel.all_queries if state in query.empty_in}
