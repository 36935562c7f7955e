"""A small search run to its end with invented results, on a cluster and in a folder of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import SMALL, STARTED, make_resource, make_search, pretend_result
from devcluster.access import ClusterAccess
from devcluster.searches import create_search
from local_search import metasearch

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch.search.planner import plan
from metasearch.stores.base import TrialStore
from metasearch.stores.kubernetes import KubernetesStore
from metasearch.stores.sqlite import SqliteStore

Json = dict[str, Any]

ENDED = STARTED + 90


@dataclass(frozen=True)
class FinishedSearch:
    """A finished MetaSearch on a cluster, and access to that cluster."""

    access: ClusterAccess
    resource: Json

    @property
    def name(self) -> str:
        return str(self.resource["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.resource["metadata"]["namespace"])

    def metasearch(self, command: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command about the search, as a user would."""
        return run_on_cluster(self.access, command, self.name, "-n", self.namespace, *arguments, **environment)


def run_on_cluster(
    access: ClusterAccess, *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with a cluster's kubeconfig."""
    return metasearch(*arguments, **{**kubeconfig_environment(access), **environment})


def kubeconfig_environment(access: ClusterAccess) -> dict[str, str]:
    """Return the environment variables with which a command finds a cluster."""
    proxies = {key: value for key, value in access.environment.items() if key == "NO_PROXY"}
    return {"KUBECONFIG": str(access.kubeconfig), **proxies}


def finish(store: TrialStore, **spec: Any) -> None:
    """Run a small search to its end in a store, with invented results."""
    search = make_search(**spec)
    while not (decided := plan(search, store.trials(), STARTED)).phase.is_over:
        store.propose(decided.propose)
        while claimed := store.claim("a-worker.0-1", STARTED + 1, gpus=0.0):
            store.complete(claimed, pretend_result(claimed.spec), STARTED + 2)


def finish_on_cluster(
    access: ClusterAccess, api: Api, namespace: str, name: str = "test", **spec: Any
) -> FinishedSearch:
    """Run the search on a cluster, and leave there what an operator and its workers would leave."""
    resource = create_search(api, namespace, name, **{**SMALL, **spec})
    finish(KubernetesStore(api, resource, pod_uid="a-pod"), **spec)
    set_status(api, resource, {"startTime": Time.at(STARTED), "completionTime": Time.at(ENDED), "conditions": [READY]})
    return FinishedSearch(access, resource)


READY: Json = {
    "type": "Ready",
    "status": "True",
    "reason": "Searching",
    "message": "",
    "lastTransitionTime": Time.at(STARTED),
}


def set_status(api: Api, resource: Json, status: Mapping[str, Any]) -> None:
    metadata = resource["metadata"]
    path = names.SEARCH.path(metadata["namespace"], metadata["name"])
    api.patch(f"{path}/status", [{"op": "add", "path": "/status", "value": dict(status)}])


def finish_in_folder(folder: Path, name: str = "test", **spec: Any) -> Path:
    """Run the search in a folder, and leave there what `metasearch run` would leave."""
    folder.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(folder / "trials.db", now=lambda: STARTED)
    store.begin_search(name, make_resource(**{**SMALL, **spec}).spec.model_dump_json(by_alias=True), STARTED)
    store.begin_session(STARTED)
    finish(store, **spec)
    store.touch_session(ENDED)
    store.close()
    return folder


def write_weights(folder: Path, trials: Sequence[str]) -> dict[str, bytes]:
    """Write files that stand in for weights: they hold every byte there is, so none of them is text."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {f"{trial}.safetensors": os.urandom(300_000) + bytes(range(256)) + trial.encode() for trial in trials}
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return written
