"""A Prometheus server of this machine, and `promtool`."""

from __future__ import annotations

import http
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml

from devcluster.binaries import ROOT, MissingProgram
from devcluster.http_probes import get
from devcluster.processes import ManagedProcess, ManagedProcesses, managed_processes

Json = dict[str, Any]

UNPACKED = ROOT / ".cache/prometheus/bin"
"""`scripts/setup.sh prometheus` puts the programs here."""

SECONDS = 120
"""Generous, for machines that do other work besides."""


def find_program(name: str) -> Path:
    """
    Return the path of `prometheus`, `promtool`, `prometheus-alertmanager` or `amtool`.

    Raises:
        MissingProgram: it is not here.
    """
    found = shutil.which(name, path=UNPACKED) or shutil.which(name)
    if found is None:
        raise MissingProgram(f"{name} is missing: run scripts/setup.sh prometheus (on Debian), or install it")
    return Path(found)


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool, and return its exit code and output."""
    return subprocess.run([find_program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)


class QueryError(Exception):
    """Prometheus refused a query; the message is its own."""


class PrometheusServer:
    """A running Prometheus, asked by its HTTP API."""

    def __init__(self, url: str, process: ManagedProcess, config: Path) -> None:
        self.url, self.process, self._config = url, process, config
        self._http = urllib3.PoolManager(timeout=SECONDS, retries=False)  # straight to it, whatever the proxy is

    def instant(self, query: str, at: float | None = None) -> list[Json]:
        """
        Return the result of a query at one moment, a list of `{metric: labels, value: [time, text]}`.

        Args:
            at: a Unix time in seconds; None is now.

        Raises:
            QueryError: the query is wrong.
        """
        when = {} if at is None else {"time": str(at)}
        found: list[Json] = self._get("query", query=query, **when)["result"]
        return found

    def value(self, query: str) -> float | None:
        """Return the value of a query that has one series, or None where there is none."""
        found = self.instant(query)
        assert len(found) <= 1, f"{query} has {len(found)} series"
        return float(found[0]["value"][1]) if found else None

    def over(self, query: str, start: float, end: float, step_seconds: float) -> list[Json]:
        """Return the result of a query over a time, a list of `{metric: labels, values: [[time, text], …]}`."""
        found: list[Json] = self._get(
            "query_range", query=query, start=str(start), end=str(end), step=str(step_seconds)
        )["result"]
        return found

    def alerts(self) -> list[Json]:
        """Return the alerts that are pending or firing."""
        found: list[Json] = self._get("alerts")["alerts"]
        return found

    def targets(self) -> list[Json]:
        """Return what is scraped."""
        found: list[Json] = self._get("targets", state="active")["activeTargets"]
        return found

    def wait_for(self, what: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Poll until an answer is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (answer := what()):
            assert time.monotonic() < deadline, f"in vain; the targets are {self.targets()}"
            time.sleep(0.2)
        return answer

    def configure(self, config: Json) -> None:
        """Replace the configuration of a running server."""
        self._config.write_text(yaml.safe_dump(config))
        answer = self._http.request("POST", f"{self.url}/-/reload")
        assert answer.status == http.HTTPStatus.OK, answer.data.decode()

    def _get(self, path: str, **parameters: str) -> Any:
        answer = self._http.request("GET", f"{self.url}/api/v1/{path}", fields=parameters)
        if answer.status != http.HTTPStatus.OK:
            raise QueryError(answer.json()["error"])
        return answer.json()["data"]


def start_prometheus(processes: ManagedProcesses, config: Json, name: str = "prometheus") -> PrometheusServer:
    """
    Start a Prometheus with an empty database that ends with the other processes.

    Args:
        config: what `prometheus.yml` holds.
    """
    file = processes.folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{processes.reserve_port()}"
    process = processes.start(
        name,
        find_program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={processes.folder / name}",
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
        "--query.lookback-delta=5m",
        ready=lambda: get(f"http://{address}/-/ready") is not None,
    )
    process.wait_until_ready()
    return PrometheusServer(f"http://{address}", process, file)


@contextmanager
def running_prometheus(config: Json) -> Iterator[PrometheusServer]:
    """Run a Prometheus with an empty database; it ends with the context."""
    with managed_processes() as processes:
        yield start_prometheus(processes, config)


def scraping(*targets: str, interval_seconds: int = 1, **labels: str) -> Json:
    """Return the configuration that scrapes HTTP addresses, HOST:PORT each, and keeps the labels that they expose."""
    return {
        "global": {"scrape_interval": f"{interval_seconds}s", "evaluation_interval": f"{interval_seconds}s"},
        "scrape_configs": [
            {
                "job_name": "metasearch",
                "honor_labels": True,
                "static_configs": [{"targets": list(targets), "labels": labels}],
            }
        ],
    }
