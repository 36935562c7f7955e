"""A real Prometheus evaluates the alerts over a real exposition: it finds nothing wrong with searches that are well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from builders import STARTED, make_search, pretend_result
from devcluster.binaries import ROOT
from devcluster.prometheus import Json, PrometheusServer, running_prometheus, scraping
from planned_search import run_planned

from metasearch.metrics.of_search import Observation, samples
from metasearch.metrics.server import MetricsServer, serve
from metasearch.outcome.results import summarize
from metasearch.search import trials as life
from metasearch.search.planner import Phase, Plan
from metasearch.search.trials import Progress, Trial
from metasearch_operator.conditions import Situation, compute_conditions
from metasearch_operator.diagnosis import Problem
from metasearch_operator.metrics import OperatorMetrics
from metasearch_operator.reasons import ReadyReason

pytestmark = pytest.mark.usefixtures("prometheus_programs")

NOW = STARTED + 60
BUDGET = {"wallTime": "1h", "gpuHours": "1"}


class Watched(NamedTuple):
    """A search that is exposed; one without a namespace runs in a folder."""

    namespace: str
    name: str
    phase: Phase = Phase.SEARCHING
    suspended: bool = False


SEARCHES = (
    Watched("team-a", "plain"),
    Watched("team-a", "with.dots.and-dashes.2"),
    Watched("team-b", "plain"),
    Watched("", "in-a-folder"),
    Watched("team-a", "trains-the-best", Phase.FINAL),
    Watched("team-a", "has-succeeded", Phase.SUCCEEDED),
    Watched("team-a", "has-failed", Phase.FAILED),
    Watched("team-a", "is-suspended", suspended=True),
)


@pytest.fixture(scope="module")
def ended() -> tuple[list[Trial], Plan]:
    """Return the trials of a whole search with invented results."""
    return run_planned(make_search(budget=BUDGET), pretend_result)


def trials_of(each: Watched, ended: Sequence[Trial], iterations: int) -> list[Trial]:
    """Return the trials of a search: all but two are over, and these have come so far; none where it has failed."""
    if each.phase is Phase.FAILED:
        return []
    if each.phase is Phase.SUCCEEDED:
        return list(ended)
    done, rest = ended[:12], ended[12:14]
    if each.suspended:
        return [*done, *(Trial(spec=trial.spec) for trial in rest)]
    claimed = [life.claim(Trial(spec=trial.spec), "worker", NOW, gpus=0.0) for trial in rest]
    return [*done, *(replace(trial, progress=Progress(meta_iteration=iterations)) for trial in claimed)]


def show(
    metrics: OperatorMetrics, each: Watched, trials: Sequence[Trial], plan: Plan, problem: Problem | None = None
) -> None:
    """Expose a search as the operator does; of one in a folder there are neither pods nor conditions."""
    search = replace(make_search(budget=BUDGET, suspend=each.suspended), name=each.name)
    plan = plan if plan.phase is each.phase else Plan(each.phase)
    is_over = plan.phase.is_over
    workers = 0 if each.suspended or is_over or problem else 2
    running = sum(trial.state is life.State.RUNNING for trial in trials)
    conditions = compute_conditions(Situation(search.spec, plan, workers, running, problem, ()), (), 1, NOW)
    seen = Observation(
        each.namespace,
        summarize(search, trials, plan, NOW),
        trials,
        completed_at=NOW if is_over else None,
        status_bytes=10_000 if each.namespace else None,
        workers={"Running": workers} if each.namespace and workers else {},
    )
    metrics.show((each.namespace, each.name), conditions if each.namespace else (), samples(seen))


@pytest.fixture
def metrics() -> OperatorMetrics:
    """Return the metrics of an operator that is well."""
    metrics = OperatorMetrics()
    metrics.request("GET", "metatrials", "200", 0.01)
    with metrics.reconcile():
        return metrics


@pytest.fixture
def served(metrics: OperatorMetrics) -> Iterator[MetricsServer]:
    server = serve(metrics.registry, "127.0.0.1", 0)
    with closing(server):
        yield server


@pytest.fixture
def prometheus(served: MetricsServer, tmp_path: Path) -> Iterator[PrometheusServer]:
    """Yield a Prometheus with the alerts as they are shipped, except that time passes faster."""
    content = yaml.safe_load((ROOT / "monitoring" / "prometheus-rules.yaml").read_text(encoding="utf-8"))
    for group in content["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule["for"] = "5s"
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(content), encoding="utf-8")
    config = scraping(f"127.0.0.1:{served.port}")
    with running_prometheus({**config, "rule_files": [str(rules)]}) as prometheus:
        yield prometheus


def firing(prometheus: PrometheusServer) -> list[Json]:
    return [alert["labels"] for alert in prometheus.alerts() if alert["state"] == "firing"]


def test_only_what_is_wrong_is_told(
    metrics: OperatorMetrics, prometheus: PrometheusServer, ended: tuple[list[Trial], Plan]
) -> None:
    iterations = 0

    def go_on(problem: Problem | None = None) -> None:
        """Train the trials under way a little further; a problem is that of the second search."""
        nonlocal iterations
        iterations += 1
        for each in SEARCHES:
            show(
                metrics,
                each,
                trials_of(each, ended[0], iterations),
                ended[1],
                problem if each == SEARCHES[1] else None,
            )

    def is_well() -> bool:
        go_on()
        return prometheus.value("metasearch_build_info") == 1 and not prometheus.alerts()

    prometheus.wait_for(is_well)  # before the first scrapes an operator is missing, and nothing has moved
    seen = "count_over_time(metasearch_build_info[1h])"
    begun = prometheus.value(seen) or 0

    def has_been_well() -> bool:
        go_on()
        assert not firing(prometheus)
        return (prometheus.value(seen) or 0) >= begun + 15

    prometheus.wait_for(has_been_well)
    known = {(each["metric"].get("namespace", ""), each["metric"]["search"]) for each in shown(prometheus)}
    assert known == {(each.namespace, each.name) for each in SEARCHES}

    def is_told() -> list[Json]:
        go_on(Problem(ReadyReason.INVALID_SPEC, "spec.dataset.name is ozone; it must be omniglot"))
        return firing(prometheus)

    assert prometheus.wait_for(is_told) == [
        {
            "alertname": "MetaSearchSearchInvalid",
            "namespace": "team-a",
            "search": "with.dots.and-dashes.2",
            "reason": "InvalidSpec",
            "severity": "warning",
        }
    ]

    prometheus.wait_for(is_well)


def shown(prometheus: PrometheusServer) -> list[Json]:
    return prometheus.instant("metasearch_search_phase == 1")
