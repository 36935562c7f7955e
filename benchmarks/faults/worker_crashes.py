"""A worker's pod, with its supervisor and its slot, killed with SIGKILL before or after one of its writes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from builders import merged
from devcluster.access import ClusterAccess
from devcluster.api_proxy import ApiProxy, api_proxy
from devcluster.operator_process import running_operator
from devcluster.resources import create_worker_account, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from devcluster.simulated_workers import POLL_SECONDS, running_pods, write_ended
from local_search import SPEC, metasearch, trials_in, write_resource
from pretended_search import Scores
from worker_pod_process import WorkerPodProcess

from faults.crash_points import KillAtWrite, Moment
from faults.reference import Observed, outcome_of
from metasearch.cluster.api import Api

Json = dict[str, Any]

NAME = "worker"

CHANGES: Json = {
    "search": {"strategy": "Random", "progressive": None, "surrogate": None, "confirmations": 0},
    "budget": {"maxTrials": 3},
    "final": {"top": 1, "seeds": 1, "baselines": []},
    "parallelism": 1,
}
"""A search of three trials and a final one, which a real worker trains on real Omniglot in seconds."""

KILLED = 137
"""The exit code of a container that was killed with SIGKILL."""


def trained_scores() -> Scores:
    """Return the scores of the trials of the same search as a run on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out"
        ended = metasearch("run", write_resource(Path(folder), NAME, **CHANGES), "--output", output, "--workers", "1")
        assert ended.returncode == 0, ended.stderr
        return {trial.name: trial.score for trial in trials_in(output)}


class WorkerPods:
    """The pods of a search whose workers are processes of this machine, behind a proxy."""

    def __init__(self, access: ClusterAccess, proxy: ApiProxy, search: SearchHandle, folder: Path) -> None:
        self._access, self._proxy, self._search, self._folder = access, proxy, search, folder
        self._now: WorkerPodProcess | None = None

    def kill(self) -> None:
        """Kill every process of the pod that runs."""
        assert self._now is not None
        self._now.kill()

    def run(self, pod: Json, must_end: Callable[[], bool]) -> None:
        """Run a pod as a kubelet does: start it, end it once it is deleted, and write how it ended."""
        folder = self._folder / pod["metadata"]["name"]
        folder.mkdir()
        worker = WorkerPodProcess(self._access, self._search.resource, folder, pod)
        self._now = worker.start(KUBECONFIG=str(self._proxy.access.kubeconfig))
        process = worker.process
        assert process is not None
        while process.poll() is None:
            if must_end():
                worker.terminate()
                return
            time.sleep(POLL_SECONDS)
        code = process.returncode
        write_ended(self._search.api, pod, KILLED if code < 0 else code)


def observe_worker(access: ClusterAccess, number: int, moment: Moment) -> Observed:
    """Run a search whose worker is killed at a write; its Job makes another."""
    api = Api.of_kubeconfig(str(access.kubeconfig))
    with ExitStack() as open_until_the_end:
        enter = open_until_the_end.enter_context
        namespace = enter(temporary_namespace(api))
        folder = Path(enter(tempfile.TemporaryDirectory()))
        proxy = enter(api_proxy(access))
        enter(running_operator(access, folder, [namespace]))
        create_worker_account(api, namespace)
        search = SearchHandle(api, create_search(api, namespace, NAME, **merged(SPEC, CHANGES)))
        workers = WorkerPods(access, proxy, search, folder)
        fault = KillAtWrite(number, moment, workers.kill)
        proxy.fault = fault
        pods = enter(running_pods(search, workers.run))
        search.wait_for(lambda: fault.happened.is_set() or search.is_over)
        ended_at = time.monotonic()
        return Observed(
            group=f"worker killed {moment} a write",
            title=f"write {number}",
            met=fault.write,
            outcome=outcome_of(search, pods),
            seconds_after=time.monotonic() - ended_at,
            pods_needed=1,
        )
