"""Variables are put into expressions as Grafana does, and no name's characters choose another search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from devcluster.prometheus import QueryError
from monitoring.dashboards import all_searches, one_search
from monitoring.dashboards.model import SearchState
from monitoring.dashboards.recording import Series, ask
from monitoring.dashboards.substitution import ALL, View, substitute
from scraped_searches import INVALID, LOCAL, LOOK_ALIKE, NAMESPACE, SEARCH, Scraped

ONE, SEVERAL = one_search.DASHBOARD, all_searches.DASHBOARD


def view(scrape: float = 30, step: float = 15, **chosen: Sequence[str]) -> View:
    return View(chosen, scrape, step, 3_600)


@pytest.mark.parametrize(
    ("search", "written"),
    [
        (["mini"], "mini"),
        # Both escapes of Grafana's Prometheus data source: two backslashes in the text are one in the expression.
        (["mini.net"], r"mini\\.net"),
        (["a", "b.c"], r"(a|b\\.c)"),
        (["a+b"], r"a\\+b"),
        (ALL, ".+"),
    ],
)
def test_several_values_are_a_regular_expression(search: Sequence[str], written: str) -> None:
    found = substitute('x{search=~"$search", y="${search}"}', SEVERAL, view(namespace=ALL, search=search))
    assert found == f'x{{search=~"{written}", y="{written}"}}'


@pytest.mark.parametrize(("search", "written"), [("mini.net", "mini.net"), ('a"b\\c', r"a\"b\\c")])
def test_a_single_value_is_text(search: str, written: str) -> None:
    found = substitute('x{search="$search"}', ONE, view(namespace=["a"], search=[search]))
    assert found == f'x{{search="{written}"}}'


@pytest.mark.parametrize(
    ("scrape", "step", "window"), [(30, 15, "120000ms"), (30, 300, "330000ms"), (0.25, 0.25, "1000ms")]
)
def test_a_rate_has_four_scrapes_or_a_step_and_one(scrape: float, step: float, window: str) -> None:
    expression = 'label_replace(rate(x[$__rate_interval]), "a", "$1", "b", "(.+)")'
    found = substitute(expression, ONE, view(scrape, step, namespace=["a"], search=["b"]))
    assert found == expression.replace("$__rate_interval", window)  # and $1 stays


def labels_of(answers: Mapping[object, Sequence[Series]]) -> set[tuple[str, str]]:
    """Return namespaces and names of the searches that series belong to."""
    return {
        (each.labels.get("namespace", ""), each.labels["search"])
        for series in answers.values()
        for each in series
        if "search" in each.labels
    }


def found_searches(given: Scraped, search: Sequence[str], namespace: Sequence[str] = ALL) -> set[tuple[str, str]]:
    """Return the searches that the dashboard of all shows for a choice."""
    seen = given.view(namespace=namespace, search=search)
    return set().union(
        *(labels_of(ask(given.server, SEVERAL, panel, seen, given.ended_at)) for panel in SEVERAL.panels)
    )


def test_a_name_with_a_dot_chooses_no_other_search(scraped: Mapping[SearchState, Scraped]) -> None:
    given = scraped[SearchState.RUNNING]
    assert {INVALID, LOOK_ALIKE} <= found_searches(given, ALL)
    assert found_searches(given, [INVALID[1]]) == {INVALID}
    assert found_searches(given, [SEARCH], ["team-b"]) == {("team-b", SEARCH)}
    assert found_searches(given, [SEARCH]) == {("team-b", SEARCH), (NAMESPACE, SEARCH)}
    # As it stands, the name would choose both.
    raw = [each["metric"]["search"] for each in given.server.instant('{search=~"omni.glot",condition="Ready"}')]
    assert sorted(raw) == sorted([INVALID[1], LOOK_ALIKE[1]])
    with pytest.raises(QueryError):  # the form that Grafana's ${search:regex} has
        given.server.instant(r'{search=~"omni\.glot"}')


def test_the_dashboard_of_one_search_tells_it_from_that_of_another_namespace(
    scraped: Mapping[SearchState, Scraped],
) -> None:
    given = scraped[SearchState.RUNNING]
    shown: list[list[float]] = []
    for namespace in (NAMESPACE, "team-b"):
        seen = given.view(namespace=[namespace], search=[SEARCH])
        (panel,) = [each for each in ONE.panels if each.title == "Time spent"]
        answers = ask(given.server, ONE, panel, seen, given.ended_at)
        shown.append([series[0].points[-1][1] for series in answers.values()])
        assert all(len(series) == 1 for series in answers.values())
    assert all(one != other for one, other in zip(*shown, strict=True))


def test_a_search_on_one_machine_is_shown_by_its_empty_namespace(scraped: Mapping[SearchState, Scraped]) -> None:
    given = scraped[SearchState.RUNNING]
    name, namespace = LOCAL
    assert (namespace, name) in found_searches(given, ALL)
    (panel,) = [each for each in ONE.panels if each.title == "Best score"]
    seen = given.view(namespace=[namespace], search=[name])
    ((series,),) = ask(given.server, ONE, panel, seen, given.ended_at).values()
    assert 0 < series.points[-1][1] < 1


@pytest.mark.parametrize("namespace", [NAMESPACE, "team-b"])
def test_gpus_are_joined_by_pod_however_their_labels_are_named(
    scraped: Mapping[SearchState, Scraped], namespace: str
) -> None:
    given = scraped[SearchState.RUNNING]
    (panel,) = [each for each in ONE.panels if each.title == "GPUs held and used"]
    answers = ask(given.server, ONE, panel, given.view(namespace=[namespace], search=[SEARCH]), given.ended_at)
    held, used = ([value for _, value in series.points] for (series,) in answers.values())
    # Two workers with a GPU each, active for at most 0.7 of the time; the exporter says 0.99 of somebody else's.
    assert 0 < max(used) <= 1.4
    assert max(held) > 0


def test_figures_are_those_on_record(scraped: Mapping[SearchState, Scraped]) -> None:
    """Trials and GPU time of a search with crashes, from the dashboard and from its trials."""
    given = scraped[SearchState.FINISHED]
    (finished,) = given.searches
    seen = given.view(namespace=[NAMESPACE], search=[SEARCH])
    panels = {panel.title: panel for panel in ONE.panels}

    def answer(title: str) -> list[Series]:
        answers = ask(given.server, ONE, panels[title], seen, given.ended_at)
        return [each for series in answers.values() for each in series]

    trials = finished.moments[-1].trials
    attempts = [attempt for trial in trials for attempt in trial.attempts]
    assert any(attempt.outcome == "Lost" for attempt in attempts)
    shown = {series.name: series.points[-1][1] for series in answer("Attempts")}
    outcomes = {outcome: count for outcome, count in shown.items() if count}
    assert outcomes == {
        outcome: sum(attempt.outcome == outcome for attempt in attempts)
        for outcome in {str(attempt.outcome) for attempt in attempts}
    }
    gpu_seconds = sum(attempt.gpus * ((attempt.ended_at or 0) - attempt.started_at) for attempt in attempts)
    spent = {series.name: series.points[-1][1] for series in answer("Time spent")}
    assert spent["GPU time"] == pytest.approx(gpu_seconds)
    best = max(trial.score or 0.0 for trial in trials if trial.spec.stage == "Search")
    assert [series.points[-1][1] for series in answer("Best score")] == [pytest.approx(best)]
    unsuccessful = sum(series.points[-1][1] for series in answer("Trials without success"))
    assert unsuccessful == sum(trial.state in ("Failed", "Stopped") for trial in trials)
