"""Expose the metrics of a local search to Prometheus while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from prometheus_client import CollectorRegistry

from metasearch.metrics import of_search
from metasearch.metrics.exposition import SampleCollector
from metasearch.metrics.of_search import Observation, samples
from metasearch.metrics.server import serve
from metasearch.outcome.results import summarize
from metasearch.reconcile import Step
from metasearch.search.planner import Search
from metasearch_cli.local.driver import Display

HOST = "127.0.0.1"
"""Only this machine: a run asks nobody who they are."""


class MetricsDisplay:
    """Shows a search elsewhere, and in metrics."""

    def __init__(self, display: Display, collector: SampleCollector) -> None:
        self._display, self._collector = display, collector

    def show(self, search: Search, step: Step, now: float) -> None:
        self._display.show(search, step, now)
        result = summarize(search, step.trials, step.plan, now)
        seen = Observation(
            namespace="",
            result=result,
            trials=step.trials,
            completed_at=now if step.plan.phase.is_over else None,
        )
        self._collector.replace(search.name, samples(seen))


@contextmanager
def exposed_on(port: int, display: Display) -> Iterator[Display]:
    """
    Answer scrapes at http://127.0.0.1:PORT/metrics until the context is left.

    Args:
        port: 0 takes any free one.
        display: gets every step, too.

    Raises:
        InvalidSpec: the port is in use, or may not be taken.
    """
    registry, collector = CollectorRegistry(), SampleCollector(of_search.METRICS)
    registry.register(collector)
    with closing(serve(registry, HOST, port)):
        yield MetricsDisplay(display, collector)
