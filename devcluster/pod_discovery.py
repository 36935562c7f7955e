"""
A file of what a Prometheus is to scrape, kept up to date with the pods of a namespace.

It stands in for the discovery of Kubernetes, which Debian's Prometheus is built without.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metasearch.cluster.api import Api
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names

POLL_SECONDS = 0.5

Json = dict[str, Any]


@contextmanager
def pods_in(file: Path, kubeconfig: Path, namespace: str) -> Iterator[None]:
    """Keep a list of the ports to scrape in a file, as the Prometheus operator's discovery would find them."""
    ended = threading.Event()
    api = Api.of_kubeconfig(str(kubeconfig))

    def keep() -> None:
        while not ended.wait(POLL_SECONDS):
            try:
                pods, _ = api.list_all(names.POD.path(namespace))
            except StoreUnavailable:
                continue  # what is known stays, as Prometheus would have it
            new = file.with_suffix(".new")
            new.write_text(json.dumps(list(targets(pods))))
            new.replace(file)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def targets(pods: Sequence[Json]) -> Iterator[Json]:
    """Yield a target for each port named metrics of a pod that runs, with the labels of the monitors."""
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for port in container.get("ports", []):
                if port.get("name") == names.METRICS_PORT_NAME and pod["status"].get("phase") == "Running":
                    yield {
                        "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
                        "labels": {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]},
                    }
