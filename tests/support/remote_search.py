"""A search that was played to its end, on a cluster and, the same, in a folder of this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import SMALL, STARTED, make_resource, make_search, pretend_result
from cluster.access import Access
from cluster.resources import make_search as make_resource_on
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
class RemoteSearch:
    """A MetaSearch and the way to it."""

    access: Access
    resource: Json

    @property
    def name(self) -> str:
        return str(self.resource["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.resource["metadata"]["namespace"])

    def metasearch(self, command: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command about it, as a user gives it."""
        return on_cluster(self.access, command, self.name, "-n", self.namespace, *arguments, **environment)


def on_cluster(access: Access, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with a cluster's kubeconfig."""
    return metasearch(*arguments, **{**environment_of(access), **environment})


def environment_of(access: Access) -> dict[str, str]:
    """What a command needs to know of a cluster, beside what it has from this process."""
    proxies = {key: value for key, value in access.environment.items() if key == "NO_PROXY"}
    return {"KUBECONFIG": str(access.kubeconfig), **proxies}


def play(store: TrialStore, **spec: Any) -> None:
    """Run a small search to its end, with results made up."""
    search = make_search(**spec)
    while not (decided := plan(search, store.trials(), STARTED)).phase.is_over:
        store.propose(decided.propose)
        while claimed := store.claim("a-worker", STARTED + 1, gpus=0.0):
            store.complete(claimed, pretend_result(claimed.spec), STARTED + 2)


def play_on(access: Access, api: Api, namespace: str, name: str = "test", **spec: Any) -> RemoteSearch:
    """The same search on a cluster, as an operator and its workers leave it."""
    resource = make_resource_on(api, namespace, name, **{**SMALL, **spec})
    play(KubernetesStore(api, resource, pod_uid="a-pod"), **spec)
    set_status(api, resource, {"startTime": Time.at(STARTED), "completionTime": Time.at(ENDED), "conditions": [READY]})
    return RemoteSearch(access, resource)


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


def play_in(folder: Path, **spec: Any) -> Path:
    """The same search in a folder, as `metasearch run` leaves it."""
    store = SqliteStore(folder / "trials.db")
    store.begin_search("test", make_resource(**{**SMALL, **spec}).spec.model_dump_json(by_alias=True), STARTED)
    store.begin_session(STARTED)
    play(store, **spec)
    store.touch_session(ENDED)
    store.close()
    return folder


def write_weights(folder: Path, trials: Sequence[str]) -> dict[str, bytes]:
    """Files that are as good as weights; every byte that there is, and no text."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {f"{trial}.safetensors": os.urandom(300_000) + bytes(range(256)) + trial.encode() for trial in trials}
    for name, content in written.items():
        (folder / name).write_bytes(content)
    return written
