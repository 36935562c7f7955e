"""Expressions in PromQL, written with the metrics of the catalogue, so that no name or label can drift from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from metasearch.metrics.model import Kind, Metric

RATE_WINDOW = "$__rate_interval"
"""Grafana's variable for a window that has at least four scrapes."""


@dataclass(frozen=True)
class Scope:
    """The series that a dashboard is about: matchers with its variables."""

    matchers: tuple[str, ...]

    def select(self, metric: Metric, *conditions: str, part: str = "") -> str:
        """
        Return the selector of a metric's series.

        Args:
            conditions: further matchers, such as `state="Running"`; their labels are the metric's.
            part: `_bucket`, `_sum` or `_count` of a histogram.
        """
        assert (metric.kind is Kind.HISTOGRAM) == bool(part), f"{metric.name}: a histogram is read by its parts"
        for condition in conditions:
            label = re.split("[=!]", condition)[0]
            assert label in metric.labels, f"{metric.name} has the labels {metric.labels}, not {label}"
        return f"{metric.name}{part}{{{', '.join((*self.matchers, *conditions))}}}"

    def total(self, metric: Metric, *conditions: str, by: tuple[str, ...] = ()) -> str:
        """Return the sum of a metric's series, for each value of some labels."""
        return f"sum{grouped(metric, by)} ({self.select(metric, *conditions)})"

    def largest(self, metric: Metric, *conditions: str, by: tuple[str, ...] = ()) -> str:
        """
        Return the maximum of a metric's series, for each value of some labels.

        It is for a metric that one process exposes: after a restart of that process the earlier series may linger, with
        another pod's name.
        """
        return f"max{grouped(metric, by)} ({self.select(metric, *conditions)})"

    def rate(self, metric: Metric, *conditions: str, by: tuple[str, ...] = (), part: str = "") -> str:
        """Return the increase of a counter per second, or of a histogram's `_count` or `_sum`."""
        return f"sum{grouped(metric, by)} (rate({self.select(metric, *conditions, part=part)}[{RATE_WINDOW}]))"

    def recent_quantile(self, share: float, metric: Metric, by: tuple[str, ...] = ()) -> str:
        """Return a quantile of what a histogram has observed lately."""
        buckets = f"rate({self.select(metric, part='_bucket')}[{RATE_WINDOW}])"
        return f"histogram_quantile({share}, sum{grouped(metric, ('le', *by))} ({buckets}))"

    def quantile_so_far(self, share: float, metric: Metric, by: tuple[str, ...] = ()) -> str:
        """Return a quantile of everything that a histogram has observed; for those that are computed from records."""
        return f"histogram_quantile({share}, max{grouped(metric, ('le', *by))} ({self.select(metric, part='_bucket')}))"


@dataclass(frozen=True)
class AnyOf:
    """The series of several metrics."""

    metrics: tuple[Metric, ...]

    def select(self, *conditions: str) -> str:
        """Return the selector of their series."""
        names = "|".join(metric.name for metric in self.metrics)
        matchers = (f'__name__=~"{names}"', *conditions)
        return f"{{{', '.join(matchers)}}}"


def grouped(metric: Metric, labels: tuple[str, ...]) -> str:
    """Return the clause of an aggregation that keeps some of a metric's labels."""
    assert set(labels) <= {*metric.labels, "le", "namespace", "pod"}, f"{metric.name} has the labels {metric.labels}"
    return f" by ({', '.join(labels)})" if labels else ""
