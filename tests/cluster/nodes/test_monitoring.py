"""
A real Prometheus scrapes the installed operator and its workers while a search runs, and says what is on record.

What it scrapes are the ports that the chart's PodMonitors select.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from devcluster.binaries import MissingProgram
from devcluster.operator_installation import OperatorInstallation
from devcluster.pod_discovery import pods_in
from devcluster.prometheus import PrometheusServer, running_prometheus
from devcluster.searches import SearchHandle
from installed_searches import GPU, Apply
from monitoring.dashboards.catalogue import DASHBOARDS
from monitoring.dashboards.model import Dashboard, Panel, SearchState
from monitoring.dashboards.recording import ask
from monitoring.dashboards.search_workers import GPU_ACTIVITY
from monitoring.dashboards.substitution import ALL, View

from metasearch.search.trials import Stage, Trial
from metasearch_operator.lost_workers import pod_of

SCRAPE_SECONDS = 1

FOR_WHAT_MAY_NOT_HAPPEN = {
    # Of what goes wrong, and did not.
    "MetaSearch / All searches: Not ready",
    "MetaSearch / All searches: No progress",
    "MetaSearch / Operator: Reconciles",
    "MetaSearch / Operator: Requests without success",
    "MetaSearch / Operator: Watches that broke",
    # The search is too small for them, or has not come to them.
    "MetaSearch / One search: Rounds: predicted against measured",
    "MetaSearch / One search: Surrogate against chance",
    "MetaSearch / One search: Trials that examine the surrogate",
    "MetaSearch / Operator: Time of a ranking",
}
"""Panels with a query that has no data in a healthy search of a minute."""

Json = dict[str, Any]


@pytest.fixture(scope="module")
def prometheus(
    installation: OperatorInstallation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    file = tmp_path_factory.mktemp("targets") / "targets.json"
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": f"{SCRAPE_SECONDS}s"},
        "scrape_configs": [
            {"job_name": "metasearch", "honor_labels": True, "file_sd_configs": [{"files": [str(file)]}]},
        ],
    }
    try:
        with (
            pods_in(file, installation.access.kubeconfig, installation.namespace),
            running_prometheus(config) as server,
        ):
            yield server
    except MissingProgram as missing:
        pytest.skip(str(missing))


def labels_of(search: SearchHandle) -> str:
    """Return what selects a search's series, in PromQL."""
    return f'namespace="{search.namespace}",search="{search.name}"'


def settled(search: SearchHandle, prometheus: PrometheusServer) -> None:
    """Wait until what the operator wrote last has been scraped."""
    completed = f"metasearch_search_completed_timestamp_seconds{{{labels_of(search)}}}"
    prometheus.wait_for(lambda: prometheus.value(completed))
    time.sleep(3 * SCRAPE_SECONDS)


def without_data(prometheus: PrometheusServer, search: SearchHandle, state: SearchState, end: float) -> set[str]:
    """
    Ask everything that the dashboards ask.

    Returns:
        The titles of panels with a query that has no data and is not stated to have none. GPU metrics of an exporter
        that is not here are left out.
    """
    found = set()
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            answers = ask(prometheus, dashboard, panel, view_of(dashboard, search), end)
            for query in panel.all_queries:
                if GPU_ACTIVITY not in query.expression and not answers[query] and state not in query.empty_in:
                    found.add(title(dashboard, panel))
    return found


def title(dashboard: Dashboard, panel: Panel) -> str:
    return f"{dashboard.title}: {panel.title}"


def view_of(dashboard: Dashboard, search: SearchHandle) -> View:
    chosen = {"namespace": [search.namespace], "search": [search.name]}
    return View(
        chosen={each.name: ALL if each.is_multiple else chosen[each.name] for each in dashboard.variables},
        scrape_seconds=SCRAPE_SECONDS,
        step_seconds=SCRAPE_SECONDS,
        range_seconds=300,
    )


@pytest.mark.usefixtures("gpus")
def test_the_figures_of_a_search_with_crashes_are_those_on_record(
    apply: Apply, installation: OperatorInstallation, prometheus: PrometheusServer
) -> None:
    prometheus.wait_for(lambda: [each for each in prometheus.targets() if each["health"] == "up"])
    search = apply(
        training={"metaIterations": 200},
        worker={"slots": 2, "template": {"resources": {"limits": {GPU: 1}}}},
        budget={"gpuHours": "5"},
    )
    without_data(prometheus, search, SearchState.NO_SEARCH, time.time())  # no query is an error

    # A worker with a trial and the operator are lost in the middle of the search.
    search.wait_for(lambda: sum(trial.state.is_over for trial in search.trials()) >= 3)
    assert without_data(prometheus, search, SearchState.RUNNING, time.time()) <= FOR_WHAT_MAY_NOT_HAPPEN
    here = f"--namespace={installation.namespace}"
    victim = pod_of(search.wait_for(lambda: next((each.holder for each in search.trials() if each.holder), None)))
    installation.access.run("delete", "pod", here, victim, "--grace-period=0", "--force")
    installation.access.run("delete", "pod", here, installation.operator_pod(), "--wait=false")
    search.wait_for(lambda: search.is_over, seconds=600)
    settled(search, prometheus)

    assert {attempt.outcome for trial in search.trials() for attempt in trial.attempts} != {"Succeeded"}
    assert recorded_by(prometheus, search) == figures(search.trials())
    assert without_data(prometheus, search, SearchState.FINISHED, time.time()) <= FOR_WHAT_MAY_NOT_HAPPEN


def test_a_search_that_failed_is_shown(apply: Apply, prometheus: PrometheusServer) -> None:
    """Its first trials succeed, and then none has the time that it needs."""
    search = apply(training={"metaIterations": 300}, final={"metaIterations": 5000})
    search.wait_for(lambda: sum(trial.state.is_over for trial in search.trials()) >= 3)
    budget = search.resource["spec"]["budget"]
    search.edit(budget={**budget, "trialTime": "1s", "maxFailedTrials": 1, "maxAttempts": 1})
    assert search.wait_until_over(seconds=300) == "Failed"
    settled(search, prometheus)
    assert recorded_by(prometheus, search) == figures(search.trials())
    assert without_data(prometheus, search, SearchState.FAILED, time.time()) <= FOR_WHAT_MAY_NOT_HAPPEN


def recorded_by(prometheus: PrometheusServer, search: SearchHandle) -> Json:
    """Return what Prometheus knows of a search."""
    name = labels_of(search)
    ended = prometheus.instant(f"sum by (stage, state) (metasearch_trials_ended_total{{{name}}})")
    attempts = prometheus.instant(f"sum by (outcome) (metasearch_trial_attempts_total{{{name}}})")
    return {
        # Failures are exposed from zero on.
        "ended": +Counter(
            {(each["metric"]["stage"], each["metric"]["state"]): int(each["value"][1]) for each in ended}
        ),
        "attempts": +Counter({each["metric"]["outcome"]: int(each["value"][1]) for each in attempts}),
        "best": prometheus.value(f"metasearch_search_best_score_ratio{{{name}}}"),
        "seconds": prometheus.value(f"metasearch_worker_busy_seconds_total{{{name}}}"),
        "gpu_seconds": prometheus.value(f'metasearch_budget_spent{{{name},unit="gpu_seconds"}}'),
    }


def figures(trials: list[Trial]) -> Json:
    """Compute the same from the MetaTrials."""
    attempts = [attempt for trial in trials for attempt in trial.attempts]
    seconds = [(attempt.ended_at or 0.0) - attempt.started_at for attempt in attempts]
    scores = [trial.score or 0.0 for trial in trials if trial.spec.stage is Stage.SEARCH and trial.score is not None]
    return {
        "ended": Counter((str(trial.spec.stage), str(trial.state)) for trial in trials),
        "attempts": Counter(str(attempt.outcome) for attempt in attempts),
        "best": pytest.approx(max(scores)),
        "seconds": pytest.approx(sum(seconds)),
        "gpu_seconds": pytest.approx(
            sum(each * attempt.gpus for each, attempt in zip(seconds, attempts, strict=True)), abs=1e-6
        ),
    }
