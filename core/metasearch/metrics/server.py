"""
Answer scrapes, in threads of its own: a scraper that hangs keeps no other, and nothing else, waiting.

What is answered is kept for a second, so that many scrapes at once cost hardly more than one.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from metasearch.errors import InvalidSpec

KEPT_SECONDS = 1.0


class _KeptFamilies(Collector):
    """The families of a registry, collected at most once in KEPT_SECONDS."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._registry, self._clock = registry, clock
        self._lock = threading.Lock()
        self._kept: list[Family] = []
        self._at = float("-inf")

    def collect(self) -> Iterable[Family]:
        with self._lock:
            if self._clock() - self._at >= KEPT_SECONDS:
                self._kept, self._at = list(self._registry.collect()), self._clock()
            return self._kept


@dataclass(frozen=True)
class MetricsServer:
    """A server that answers scrapes until it is closed."""

    port: int
    close: Callable[[], None]


def all_addresses() -> str:
    """Return the address that stands for all of this machine's, of both versions of IP where there are both."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 (scraped from other machines)


def serve(
    registry: CollectorRegistry, host: str, port: int, clock: Callable[[], float] = time.monotonic
) -> MetricsServer:
    """
    Start to answer GET /metrics with a registry's metrics.

    Args:
        host: the address to listen at.
        port: 0 takes any free one.
        clock: monotonic, in seconds.

    Raises:
        InvalidSpec: the port is in use, or may not be taken.
    """
    kept = CollectorRegistry(auto_describe=False)
    kept.register(_KeptFamilies(registry, clock))
    try:
        server, thread = start_http_server(port, host, kept)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InvalidSpec(f"metrics cannot be served on port {port} ({reason}); choose another port") from error

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return MetricsServer(server.server_port, close)
