"""Scrapes are answered in Prometheus' text format, whatever other scrapers do."""

from __future__ import annotations

import gzip
import http.client
import os
import shutil
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from devcluster.certificates import Certificate, CertificateAuthority
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from metasearch.errors import InvalidSpec
from metasearch.metrics.exposition import SampleCollector
from metasearch.metrics.model import Histogram, Kind, Metric, Sample, Unit
from metasearch.metrics.server import KEPT_SECONDS, MOST_CLIENTS, MetricsServer, Tls, serve

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


def test_of_many_scrapers_that_hang_the_first_give_way(server: MetricsServer) -> None:
    with ExitStack() as stack:
        hanging = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            for _ in range(MOST_CLIENTS + 20)
        ]
        assert scraped(server) == {}
        assert [each.recv(1) for each in hanging[:20]] == [b""] * 20
        hanging[-1].setblocking(False)
        with pytest.raises(BlockingIOError):  # still open
            hanging[-1].recv(1)


def test_an_answer_may_be_compressed_and_in_the_newer_format(server: MetricsServer, collector: SampleCollector) -> None:
    collector.replace("b", [Sample(DONE, ("b",), 4)])
    asked = {"Accept": "application/openmetrics-text; version=1.0.0", "Accept-Encoding": "gzip"}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.request("GET", "/metrics", headers=asked)
        answer = connection.getresponse()
        assert answer.getheader("Content-Encoding") == "gzip"
        text = gzip.decompress(answer.read()).decode()
    assert 'metasearch_done_total{search="b"} 4.0' in text
    assert text.endswith("# EOF\n")


def test_a_port_in_use_is_one_sentence(server: MetricsServer, registry: CollectorRegistry) -> None:
    with pytest.raises(
        InvalidSpec, match=rf"^metrics cannot be served on port {server.port} \(Address already in use\)"
    ):
        serve(registry, "127.0.0.1", server.port)


# --- TLS ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing, which makes the certificates")
    return CertificateAuthority(tmp_path / "certificates")


def files_of(certificate: Certificate, authority: CertificateAuthority | None = None) -> Tls:
    return Tls(certificate.certificate, certificate.key, authority.certificate if authority else None)


@contextmanager
def answered(
    server: MetricsServer, authority: CertificateAuthority, client: Certificate | None = None
) -> Iterator[ssl.SSLSocket]:
    """Yield a connection once it has answered."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert secure.recv(100).startswith(b"HTTP/1.0 200 OK")
        yield secure


def test_metrics_are_served_over_tls(registry: CollectorRegistry, authority: CertificateAuthority) -> None:
    tls = files_of(authority.issue("server", addresses=["127.0.0.1"]))
    with closing(serve(registry, "127.0.0.1", 0, tls)) as server, answered(server, authority):
        pass


def test_only_clients_of_the_authority_are_answered(
    registry: CollectorRegistry, authority: CertificateAuthority
) -> None:
    tls = files_of(authority.issue("server", addresses=["127.0.0.1"]), authority)
    with closing(serve(registry, "127.0.0.1", 0, tls)) as server:
        with answered(server, authority, authority.issue("prometheus")):
            pass
        with pytest.raises(OSError, match=r"certificate required|reset|EOF"), answered(server, authority):
            pass


def test_a_certificate_that_was_renewed_is_used(registry: CollectorRegistry, authority: CertificateAuthority) -> None:
    certificate = authority.issue("server", addresses=["127.0.0.1"], file="served")
    with closing(serve(registry, "127.0.0.1", 0, files_of(certificate))) as server:
        with answered(server, authority) as connection:
            before = connection.getpeercert(binary_form=True)
        authority.issue("server", addresses=["127.0.0.1"], file="served")
        os.utime(certificate.certificate, (1, 1))  # as if it were of another time, however fast this test is
        with answered(server, authority) as connection:
            assert connection.getpeercert(binary_form=True) != before


def test_a_client_that_shakes_no_hands_keeps_nobody_waiting(
    registry: CollectorRegistry, authority: CertificateAuthority
) -> None:
    tls = files_of(authority.issue("server", addresses=["127.0.0.1"]))
    with (
        closing(serve(registry, "127.0.0.1", 0, tls)) as server,
        socket.create_connection(("127.0.0.1", server.port)),
        answered(server, authority),
    ):
        pass


def test_clients_that_shake_no_hands_give_way(registry: CollectorRegistry, authority: CertificateAuthority) -> None:
    tls = files_of(authority.issue("server", addresses=["127.0.0.1"]))
    with ExitStack() as stack:
        server = stack.enter_context(closing(serve(registry, "127.0.0.1", 0, tls)))
        hanging = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            for _ in range(MOST_CLIENTS + 1)
        ]
        stack.enter_context(answered(server, authority))
        assert hanging[0].recv(1) == b""


def test_files_that_are_no_certificates_are_refused_with_a_sentence(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    (tmp_path / "tls.crt").write_text("no certificate")
    with pytest.raises(InvalidSpec, match=r"metrics cannot be served over TLS with .*tls\.crt, .*tls\.key .*PEM"):
        serve(registry, "127.0.0.1", 0, Tls(tmp_path / "tls.crt", tmp_path / "tls.key"))
