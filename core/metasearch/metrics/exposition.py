"""Expose samples as the official Prometheus client does."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client import Histogram as HistogramInstrument
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from metasearch.metrics.model import Histogram, Kind, Metric, Sample


class SampleCollector(Collector):
    """The latest samples of several sources. Safe to use from several threads."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        """
        Args:
            metrics: all that there may be samples of; their help is exposed where there are none, too.
        """
        self._metrics = metrics
        self._samples: Mapping[Hashable, Sequence[Sample]] = {}
        self._lock = threading.Lock()

    def replace(self, source: Hashable, samples: Sequence[Sample]) -> None:
        """Take the samples of a source in place of its earlier ones."""
        with self._lock:
            self._samples = {**self._samples, source: samples}

    def remove(self, source: Hashable) -> None:
        """Forget the samples of a source that is gone."""
        with self._lock:
            self._samples = {known: samples for known, samples in self._samples.items() if known != source}

    def has(self, source: Hashable) -> bool:
        """Tell whether there are samples of a source."""
        return source in self._samples

    def collect(self) -> Iterable[Family]:
        """Yield the families, for the client to expose."""
        return families(self._metrics, chain.from_iterable(self._samples.values()))  # a mapping is never changed


def families(metrics: Sequence[Metric], samples: Iterable[Sample]) -> Iterator[Family]:
    """
    Yield each metric with its samples, for the client to expose.

    Args:
        metrics: their help is exposed where there are no samples, too.
    """
    every = sorted(samples, key=lambda sample: sample.metric.name)
    by_metric = {metric: list(mine) for metric, mine in groupby(every, key=lambda sample: sample.metric)}
    for metric in metrics:
        yield _family(metric, by_metric.get(metric, ()))


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram_family(metric, samples)
    family = (CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily)(
        metric.name, metric.help, labels=metric.labels
    )
    for sample in samples:
        assert not isinstance(sample.value, Histogram)
        family.add_metric(sample.labels, float(sample.value))
    return family


def _histogram_family(metric: Metric, samples: Iterable[Sample]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    # The bounds as the client writes those of its own histograms.
    bounds = [*(str(float(bound)) for bound in metric.buckets), "+Inf"]
    for sample in samples:
        assert isinstance(sample.value, Histogram)
        family.add_metric(sample.labels, list(zip(bounds, sample.value.cumulative, strict=True)), sample.value.total)
    return family


# --- instruments --------------------------------------------------------------------------------------------------


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """Return an instrument for what a process counts itself."""
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    """Return an instrument for what a process sets itself."""
    return Gauge(metric.name, metric.help, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry) -> HistogramInstrument:
    """Return an instrument for what a process observes itself."""
    return HistogramInstrument(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
