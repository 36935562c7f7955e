"""
Worker pods without nodes: a thread per pod claims trials as a worker does, and completes them with invented results.

The pods are those that the Job controller makes; what a kubelet would write of them, that they run, is written here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from devcluster.searches import SearchHandle
from metasearch.cluster.api import Api, NotFound
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch.search.trials import StaleClaim, Trial, TrialResult
from metasearch.worker_names import WorkerName

Json = dict[str, Any]

POLL_SECONDS = 0.1


class SimulatedWorkers:
    """The worker pods of one search."""

    def __init__(self, search: SearchHandle, measure: Callable[[Trial], TrialResult], trial_seconds: float) -> None:
        """
        Args:
            measure: invents the result of a trial.
            trial_seconds: the time for which a worker has a trial.
        """
        self._search, self._measure, self._trial_seconds = search, measure, trial_seconds
        self._ended = threading.Event()
        self._workers: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._follow, name=f"simulated workers of {search.name}", daemon=True)

    @property
    def pods(self) -> int:
        """The number of pods that there have been."""
        return len(self._workers)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in (self._thread, *self._workers.values()):
            thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            with suppress(StoreUnavailable):
                for pod in self._search.pods():
                    self._run(pod)

    def _run(self, pod: Json) -> None:
        metadata = pod["metadata"]
        if metadata["uid"] in self._workers or "deletionTimestamp" in metadata:
            return
        with suppress(NotFound):
            set_running(self._search.api, pod)
            worker = threading.Thread(target=self._work, args=[metadata["name"], metadata["uid"]], daemon=True)
            self._workers[metadata["uid"]] = worker
            worker.start()

    def _work(self, pod: str, uid: str) -> None:
        store = self._search.store(uid)
        while not self._ended.is_set() and self._is_there(pod, uid):
            with suppress(StoreUnavailable):
                claimed = store.claim(str(WorkerName(pod, 0, 1)), time.time(), 0.0)
                self._ended.wait(POLL_SECONDS if claimed is None else self._trial_seconds)
                if claimed is not None and self._is_there(pod, uid):
                    with suppress(StaleClaim):
                        store.complete(claimed, self._measure(claimed), time.time())

    def _is_there(self, pod: str, uid: str) -> bool:
        try:
            metadata = self._search.api.get(names.POD.path(self._search.namespace, pod))["metadata"]
        except NotFound:
            return False
        return bool(metadata["uid"] == uid) and "deletionTimestamp" not in metadata


def set_running(api: Api, pod: Json) -> None:
    """Write into a pod's status what a kubelet writes once its containers run and are ready."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }
        for container in pod["spec"]["containers"]
    ]
    status = {"phase": "Running", "startTime": now, "conditions": [ready], "containerStatuses": containers}
    path = f"{names.POD.path(pod['metadata']['namespace'], pod['metadata']['name'])}/status"
    api.patch(path, [{"op": "add", "path": "/status", "value": status}])


@contextmanager
def simulated_workers(
    search: SearchHandle, measure: Callable[[Trial], TrialResult], trial_seconds: float = 0.2
) -> Iterator[SimulatedWorkers]:
    """Run the worker pods of a search for as long as the context lasts."""
    workers = SimulatedWorkers(search, measure, trial_seconds)
    workers.start()
    try:
        yield workers
    finally:
        workers.stop()
