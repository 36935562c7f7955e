"""The metrics that the operator exposes: those of its searches, and those of its own process."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from metasearch.cluster.reflector import SearchKey
from metasearch.kubernetes.search_status import Condition
from metasearch.metrics import of_operator, of_search
from metasearch.metrics.exposition import SampleCollector, counter, gauge, histogram
from metasearch.metrics.model import Sample
from metasearch.version import __version__
from metasearch_operator.cache import Cache


class OperatorMetrics:
    """The metrics of one operator's process. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """
        Args:
            clock: monotonic, in seconds.
        """
        self.registry = CollectorRegistry()
        self._clock = clock
        self._searches = SampleCollector(of_search.METRICS)
        self.registry.register(self._searches)
        gauge(of_operator.BUILD_INFO, self.registry).labels(__version__).set(1)
        self._reconcile_seconds = histogram(of_operator.RECONCILE_SECONDS, self.registry)
        self._reconcile_errors = counter(of_operator.RECONCILE_ERRORS, self.registry)
        self._ranking_seconds = histogram(of_operator.RANKING_SECONDS, self.registry)
        self._request_seconds = histogram(of_operator.API_REQUEST_SECONDS, self.registry)
        self._watch_restarts = counter(of_operator.WATCH_RESTARTS, self.registry)

    # --- searches ---

    def show(self, search: SearchKey, conditions: Sequence[Condition], samples: Sequence[Sample] | None) -> None:
        """
        Expose the conditions and the samples of a search in place of its earlier ones.

        Args:
            samples: None where it was not evaluated; the earlier ones stay.
        """
        described = [(each.type, each.status, each.reason) for each in conditions]
        self._searches.replace((*search, "conditions"), of_search.condition_samples(*search, described))
        if samples is not None:
            self._searches.replace(search, samples)

    def shows(self, search: SearchKey) -> bool:
        """Tell whether there are samples of a search, apart from its conditions."""
        return self._searches.has(search)

    def remove(self, search: SearchKey) -> None:
        """Forget a search that is gone."""
        self._searches.remove(search)
        self._searches.remove((*search, "conditions"))

    # --- the process ---

    @contextmanager
    def reconcile(self) -> Iterator[None]:
        """Observe the time of a reconcile, and its error where it ends in one."""
        began = self._clock()
        try:
            yield
        except Exception as error:
            # By name, but for the one that is no fault: other names say what to look for in the log.
            self._reconcile_errors.labels(type(error).__name__).inc()
            raise
        finally:
            self._reconcile_seconds.observe(self._clock() - began)

    @contextmanager
    def ranking(self) -> Iterator[None]:
        """Observe the time of ranking candidates."""
        began = self._clock()
        try:
            yield
        finally:
            self._ranking_seconds.observe(self._clock() - began)

    def request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """Take note of an answer of the API server; see `cluster.api.Observe`."""
        # From the first request on, for the rate of a series begins with its second sample: an outage is seen one
        # scrape earlier where the requests without an answer have been counted, as none, before it.
        self._request_seconds.labels(verb, resource, "")
        self._request_seconds.labels(verb, resource, code).observe(seconds)

    def follow_cache(self, cache: Cache) -> None:
        """Expose the age of a cache's copies, as it is at each scrape."""
        ages = gauge(of_operator.CACHE_AGE_SECONDS, self.registry)
        for plural in cache.plurals:
            ages.labels(plural).set_function(functools.partial(cache.age_seconds, plural))

    def watch_broke(self, resource: str, reason: str) -> None:
        """Take note of a watch that broke."""
        self._watch_restarts.labels(resource, reason).inc()
