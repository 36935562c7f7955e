"""
Worker pods without nodes: a thread per pod does what its container would.

The pods are those that the Job controller makes; what a kubelet would write of them, that they run and how they ended,
is written here.
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


class PodRunner:
    """Runs the worker pods of one search, each in a thread."""

    def __init__(self, search: SearchHandle, work: Callable[[Json, Callable[[], bool]], None]) -> None:
        """
        Args:
            work: does what a pod does, until it ends by itself or is told to end: a function that it gets returns True.
        """
        self._search, self._work = search, work
        self._ended = threading.Event()
        self._pods: dict[str, threading.Thread] = {}
        self._thread = threading.Thread(target=self._follow, name=f"pods of {search.name}", daemon=True)

    @property
    def pods(self) -> int:
        """The number of pods that there have been."""
        return len(self._pods)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        for thread in (self._thread, *self._pods.values()):
            thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            with suppress(StoreUnavailable):
                for pod in self._search.pods():
                    self._run(pod)

    def _run(self, pod: Json) -> None:
        metadata = pod["metadata"]
        if metadata["uid"] in self._pods or "deletionTimestamp" in metadata:
            return
        with suppress(NotFound):
            write_running(self._search.api, pod)
            thread = threading.Thread(target=self._work, args=[pod, lambda: self._must_end(pod)], daemon=True)
            self._pods[metadata["uid"]] = thread
            thread.start()

    def _must_end(self, pod: Json) -> bool:
        """Return whether a pod is being deleted, or gone, or the test is over."""
        if self._ended.is_set():
            return True
        try:
            current = self._search.api.get(_path(pod))["metadata"]
        except NotFound:
            return True
        except StoreUnavailable:
            return False
        return bool(current["uid"] != pod["metadata"]["uid"]) or "deletionTimestamp" in current


@contextmanager
def running_pods(search: SearchHandle, work: Callable[[Json, Callable[[], bool]], None]) -> Iterator[PodRunner]:
    """Run the worker pods of a search for as long as the context lasts."""
    runner = PodRunner(search, work)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


@contextmanager
def simulated_workers(
    search: SearchHandle, measure: Callable[[Trial], TrialResult], trial_seconds: float = 0.2
) -> Iterator[PodRunner]:
    """
    Run worker pods that claim trials as workers do, and complete them with invented results.

    Args:
        measure: invents the result of a trial.
        trial_seconds: the time for which a worker has a trial.
    """

    def work(pod: Json, must_end: Callable[[], bool]) -> None:
        store, name = search.store(pod["metadata"]["uid"]), pod["metadata"]["name"]
        while not must_end():
            with suppress(StoreUnavailable, StaleClaim):
                claimed = store.claim(str(WorkerName(name, 0, 1)), time.time(), 0.0)
                time.sleep(POLL_SECONDS if claimed is None else trial_seconds)
                if claimed is not None and not must_end():
                    store.complete(claimed, measure(claimed), time.time())

    with running_pods(search, work) as runner:
        yield runner


# --- what a kubelet writes ----------------------------------------------------------------------------------------


def write_running(api: Api, pod: Json) -> None:
    """Write into a pod's status that its containers run and are ready."""
    _write(api, pod, "Running", ready=True, state={"running": {"startedAt": _now()}})


def write_ended(api: Api, pod: Json, exit_code: int) -> None:
    """Write into a pod's status that its containers have ended; it is no error if the pod is gone."""
    reason = "Completed" if exit_code == 0 else "Error"
    ended = {"exitCode": exit_code, "reason": reason, "startedAt": _now(), "finishedAt": _now()}
    with suppress(NotFound):
        _write(api, pod, "Failed" if exit_code else "Succeeded", ready=False, state={"terminated": ended})


def _write(api: Api, pod: Json, phase: str, state: Json, *, ready: bool) -> None:
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": _now()}
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": ready,
            "restartCount": 0,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]
    status = {"phase": phase, "startTime": _now(), "conditions": [condition], "containerStatuses": containers}
    api.patch(f"{_path(pod)}/status", [{"op": "add", "path": "/status", "value": status}])


def _path(pod: Json) -> str:
    return names.POD.path(pod["metadata"]["namespace"], pod["metadata"]["name"])


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
