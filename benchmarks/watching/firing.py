"""The alerts of a running Prometheus, from the first moment that each fires."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from devcluster.prometheus import PrometheusServer

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class FiredAlert:
    """An alert that began to fire."""

    alert: str
    search: str
    """The search that it is about; empty for one about the operator."""
    severity: str
    at: float
    """Unix time in seconds."""


class Firing:
    """A list of the alerts that have begun to fire, kept in a thread while the context lasts."""

    def __init__(self, prometheus: PrometheusServer) -> None:
        self._prometheus = prometheus
        self._found: list[FiredAlert] = []
        self._lit: set[tuple[str, str]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def since(self, begun: float, search: str) -> list[FiredAlert]:
        """Return the alerts about a search, or with an empty name about the operator, that began at a time or later."""
        return [each for each in list(self._found) if each.at >= begun and each.search == search]

    def _watch(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            lit = {}
            for alert in self._prometheus.alerts():
                labels = alert["labels"]
                if alert["state"] == "firing":
                    lit[labels["alertname"], labels.get("search", "")] = labels["severity"]
            for (name, search), severity in lit.items():
                if (name, search) not in self._lit:
                    self._found.append(FiredAlert(name, search, severity, time.time()))
            self._lit = set(lit)
