"""The operator exposes what its searches and its process do."""

from __future__ import annotations

import pytest
from operator_builders import RecordingApi
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.search_status import Condition
from metasearch.kubernetes.times import Time
from metasearch.metrics import of_operator, of_search
from metasearch.metrics.model import Sample
from metasearch.metrics.of_search import ROUND
from metasearch_operator.cache import Cache
from metasearch_operator.metrics import OperatorMetrics

EXPOSED = (*of_search.METRICS, *of_operator.METRICS)
"""Those of workers are exposed by their own pods."""

KEY = ("team-a", "test")


def values(registry: CollectorRegistry, name: str) -> dict[tuple[str, ...], float]:
    """Return the samples of a name, by their labels in the order of the metric."""
    (labels,) = {metric.labels for metric in EXPOSED if name.startswith(metric.name)}
    families = text_string_to_metric_families(generate_latest(registry).decode())
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(sample.labels[label] for label in labels): sample.value for sample in found}


def ready(status: str, reason: str) -> Condition:
    return Condition(type="Ready", status=status, reason=reason, message="m", last_transition_time=Time.at(0))


def test_it_registers_the_metrics_of_the_catalogue_and_no_others() -> None:
    metrics = OperatorMetrics()
    metrics.follow_cache(Cache(RecordingApi(), [], lambda _: None))  # type: ignore[arg-type]
    families = {family.name: family for family in metrics.registry.collect()}
    assert families.keys() == {metric.name.removesuffix("_total") for metric in EXPOSED}
    for metric in EXPOSED:
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)


def test_a_search_keeps_its_figures_while_it_cannot_be_evaluated_and_loses_all_when_it_is_gone() -> None:
    metrics = OperatorMetrics()
    metrics.show(KEY, [ready("True", "Searching")], [Sample(ROUND, KEY, 2)])
    metrics.show(KEY, [ready("False", "OperatorError")], None)
    assert values(metrics.registry, "metasearch_search_round") == {KEY: 2}
    assert values(metrics.registry, "metasearch_search_condition") == {(*KEY, "Ready", "False", "OperatorError"): 1}
    assert metrics.shows(KEY)
    metrics.remove(KEY)
    assert not metrics.shows(KEY)
    assert not values(metrics.registry, "metasearch_search_condition")


def test_reconciles_are_timed_and_their_errors_counted() -> None:
    times = iter((0.0, 0.2, 1.0, 3.0))
    metrics = OperatorMetrics(clock=lambda: next(times))
    with metrics.reconcile():
        pass
    with pytest.raises(StoreUnavailable), metrics.reconcile():
        raise StoreUnavailable("away")
    assert values(metrics.registry, "metasearch_reconcile_seconds_sum")[()] == pytest.approx(2.2)
    assert values(metrics.registry, "metasearch_reconcile_seconds_count") == {(): 2}
    assert values(metrics.registry, "metasearch_reconcile_errors_total") == {("StoreUnavailable",): 1}


def test_requests_without_an_answer_are_counted_before_there_are_any() -> None:
    metrics = OperatorMetrics()
    metrics.request("GET", "pods", "200", 0.1)
    counts = values(metrics.registry, "metasearch_api_request_seconds_count")
    assert counts == {("GET", "pods", "200"): 1, ("GET", "pods", ""): 0}


def test_requests_and_broken_watches_are_counted() -> None:
    metrics = OperatorMetrics()
    metrics.request("GET", "pods", "200", 0.1)
    metrics.request("GET", "pods", "", 5.0)
    metrics.watch_broke("pods", "StoreUnavailable")
    counts = values(metrics.registry, "metasearch_api_request_seconds_count")
    assert counts == {("GET", "pods", "200"): 1, ("GET", "pods", ""): 1}
    assert values(metrics.registry, "metasearch_watch_restarts_total") == {("pods", "StoreUnavailable"): 1}


def test_the_age_of_the_cache_grows_until_it_hears_of_a_kind() -> None:
    now = [100.0]
    metrics = OperatorMetrics()
    metrics.follow_cache(Cache(RecordingApi(), ["a", "b"], lambda _: None, clock=lambda: now[0]))  # type: ignore[arg-type]
    now[0] += 7
    ages = values(metrics.registry, "metasearch_cache_age_seconds")
    assert ages == {("metatrials",): 7, ("jobs",): 7, ("pods",): 7, ("leases",): 7}
