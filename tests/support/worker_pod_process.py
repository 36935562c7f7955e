"""A worker pod without a kubelet: the supervisor as a process of this machine, and a Pod object that no node runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from devcluster.access import ClusterAccess
from local_search import is_alive, wait_until

from metasearch.cluster.api import Api, Refused
from metasearch.kubernetes import names
from metasearch.search.trials import State, Trial
from metasearch.stores.kubernetes import KubernetesStore

Json = dict[str, Any]


class WorkerPodProcess:
    """The supervisor of a worker pod, and the search's trials as an administrator sees them."""

    def __init__(self, access: ClusterAccess, search: Json, folder: Path, pod: Json | None = None) -> None:
        """
        Create the Pod object; `start` starts the supervisor.

        Args:
            search: the MetaSearch, as read from the cluster.
            folder: for scratch, storage and what is printed.
            pod: one that a Job has made, to be none of ours.
        """
        metadata = search["metadata"]
        self._access = access
        self.api = Api.of_kubeconfig(str(access.kubeconfig))
        self.namespace, self.search = metadata["namespace"], metadata["name"]
        self.name = f"{self.search}-workers-1234abcd-{os.urandom(3).hex()}"
        made = pod or self._make_pod()
        self.name, self.uid = made["metadata"]["name"], made["metadata"]["uid"]
        self.store = KubernetesStore(self.api, search, max_attempts=2, pod_uid=self.uid)
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        *,
        slots: int = 1,
        max_trials: int = 500,
        metrics_port: int = 0,
        hung_seconds: float = 600.0,
        wrapper: tuple[str, ...] = (),
        **environment: str,
    ) -> WorkerPodProcess:
        """
        Start the supervisor.

        Args:
            metrics_port: 0 takes any free one, for several pods run on one machine.
            hung_seconds: a slot without a sign of life for so long is killed.
            wrapper: a command that runs the command after it.
        """
        command = [*wrapper, sys.executable, "-m", "metasearch_trainer.pod", "--search", self.search]
        command += ["--slots", str(slots), "--gpus", "0", "--max-trials", str(max_trials)]
        command += ["--metrics-port", str(metrics_port), "--hung-seconds", str(hung_seconds)]
        for folder in ("scratch", "data", "storage"):
            (self._folder / folder).mkdir(parents=True, exist_ok=True)
            command += [f"--{folder}", str(self._folder / folder)]
        command += ["--termination-log", str(self._folder / "termination-log")]
        with (self._folder / "printed.txt").open("ab") as printed:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=printed, env=self._environment(environment)
            )
        return self

    def beside(self, folder: Path) -> WorkerPodProcess:
        """Return another pod of the same search; the caller ends it."""
        return WorkerPodProcess(self._access, self.store.search, folder)

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = {"KUBECONFIG": str(self._access.kubeconfig), "NO_PROXY": "127.0.0.1"}
        pod = {"POD_NAME": self.name, "POD_NAMESPACE": self.namespace, "POD_UID": self.uid}
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("KUBERNETES_")}
        return {**inherited, **self._access.mark, **ours, **pod, **more}

    # --- what it does ---

    @property
    def printed(self) -> str:
        return (self._folder / "printed.txt").read_text(errors="replace")

    @property
    def last_sentence(self) -> str:
        return (self._folder / "termination-log").read_text()

    def trials(self) -> dict[str, Trial]:
        return {trial.name: trial for trial in self.store.trials()}

    def wait_until_over(self, seconds: float = 300) -> dict[str, Trial]:
        """Wait until every trial has its result."""
        self.wait_for(lambda trials: all(trial.state.is_over for trial in trials.values()), seconds)
        return self.trials()

    def wait_until_running(self, count: int) -> dict[str, Trial]:
        """Wait until so many trials are running, and return these."""
        running = State.RUNNING
        self.wait_for(lambda trials: sum(trial.state is running for trial in trials.values()) == count)
        return {name: trial for name, trial in self.trials().items() if trial.state is running}

    def wait_for(self, condition: Any, seconds: float = 300) -> None:
        """Wait until a condition holds of the trials; fail if the supervisor ends before."""

        def holds() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"the supervisor ended with {self.process.returncode}: {self.printed}"
            return bool(condition(self.trials()))

        wait_until(holds, seconds)

    def slot_processes(self) -> dict[str, psutil.Process]:
        """Return the processes of the slots by the worker names that their claims carry."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        slots = [(child, child.name()) for child in children if is_alive(child) and child.name().startswith("slot-")]
        return {f"{self.name}.{title.removeprefix('slot-')}": child for child, title in slots}

    def lease(self) -> Json:
        return self.api.get(names.LEASE.path(self.namespace, self.name))

    def wait(self, seconds: float = 120) -> int:
        """Wait for the supervisor's end, and return its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM as Kubernetes does; return the exit code, and the seconds until the end."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        return self.wait(), time.monotonic() - began

    def kill(self) -> None:
        """Kill the supervisor and all that it has started, as the end of a container does."""
        if self.process is None:
            return
        # Not the slots alone: what starts them would start one more, which would claim a trial.
        started = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.kill()
        for process in started:
            if is_alive(process):
                process.kill()
        self.process.wait()

    # --- the Pod ---

    def _make_pod(self) -> Json:
        container = {"name": "trainer", "image": "localhost/none:dev", "imagePullPolicy": "Never"}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "labels": {names.LABEL_SEARCH: self.search}},
            "spec": {
                "containers": [container],
                "nodeSelector": {"metasearch.dev/none": "such"},
                "automountServiceAccountToken": False,
            },
        }

        def make() -> Json | None:
            try:
                return self.api.create(names.POD.path(self.namespace), pod)
            except Refused:  # the namespace is so new that it has no service account yet
                return None

        return wait_until(make, 60)


MakePod = Callable[..., WorkerPodProcess]
"""A function that makes a pod for a tiny search; keywords are fields of its spec."""
