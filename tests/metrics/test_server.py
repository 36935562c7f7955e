"""Scrapes are answered in Prometheus' text format, whatever other scrapers do."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from metasearch.errors import InvalidSpec
from metasearch.metrics.exposition import SampleCollector
from metasearch.metrics.model import Histogram, Kind, Metric, Sample, Unit
from metasearch.metrics.server import KEPT_SECONDS, MetricsServer, serve

SIZE = Metric("metasearch_size_bytes", Kind.GAUGE, "Size.", ("search",), Unit.BYTES)
DONE = Metric("metasearch_done_total", Kind.COUNTER, "Done.", ("search",))
TIME = Metric("metasearch_time_seconds", Kind.HISTOGRAM, "Time.", ("search",), Unit.SECONDS, (1.0, 2.5))


class CountedCollector(Collector):
    """Counts how often it is asked."""

    asked = 0

    def collect(self) -> Iterator[GaugeMetricFamily]:
        self.asked += 1
        yield GaugeMetricFamily("asked", "Asked.", value=self.asked)


def scraped(server: MetricsServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def collector() -> SampleCollector:
    return SampleCollector([SIZE, DONE, TIME])


@pytest.fixture
def registry(collector: SampleCollector) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(collector)
    return made


@pytest.fixture
def now() -> list[float]:
    """Return a clock's time, which a test may change."""
    return [0.0]


@pytest.fixture
def server(registry: CollectorRegistry, now: list[float]) -> Iterator[MetricsServer]:
    made = serve(registry, "127.0.0.1", 0, clock=lambda: now[0])
    yield made
    made.close()


def test_samples_are_exposed_until_their_source_is_gone(
    server: MetricsServer, collector: SampleCollector, now: list[float]
) -> None:
    a, b = (("search", 'a"\\\n'),), (("search", "b"),)
    collector.replace("a", [Sample(SIZE, ('a"\\\n',), 3.0), Sample(TIME, ('a"\\\n',), Histogram((1, 2, 3), 9.5))])
    collector.replace("b", [Sample(DONE, ("b",), 4), Sample(SIZE, ("b",), 1)])
    collector.replace("b", [Sample(DONE, ("b",), 5)])
    found = scraped(server)
    assert found == {
        ("metasearch_size_bytes", a): 3,
        ("metasearch_done_total", b): 5,
        ("metasearch_time_seconds_bucket", (("le", "1.0"), *a)): 1,
        ("metasearch_time_seconds_bucket", (("le", "2.5"), *a)): 2,
        ("metasearch_time_seconds_bucket", (("le", "+Inf"), *a)): 3,
        ("metasearch_time_seconds_count", a): 3,
        ("metasearch_time_seconds_sum", a): 9.5,
    }
    collector.remove("a")
    now[0] += KEPT_SECONDS
    assert scraped(server) == {("metasearch_done_total", b): 5}
    assert (collector.has("a"), collector.has("b")) == (False, True)


def test_many_scrapes_at_once_are_collected_for_once(
    server: MetricsServer, registry: CollectorRegistry, now: list[float]
) -> None:
    counted = CountedCollector()
    registry.register(counted)
    before = counted.asked  # registering asks, too
    assert {scraped(server)["asked", ()] for _ in range(5)} == {before + 1}
    now[0] += KEPT_SECONDS
    assert scraped(server)["asked", ()] == before + 2


def test_a_scraper_that_hangs_keeps_no_other_waiting(server: MetricsServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as hanging:
        hanging.sendall(b"GET /metrics HTTP/1.1\r\n")  # and no more
        assert scraped(server) == {}


def test_a_port_in_use_is_one_sentence(server: MetricsServer, registry: CollectorRegistry) -> None:
    with pytest.raises(
        InvalidSpec, match=rf"^metrics cannot be served on port {server.port} \(Address already in use\)"
    ):
        serve(registry, "127.0.0.1", server.port)
