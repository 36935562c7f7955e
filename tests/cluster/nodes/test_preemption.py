"""
Searches whose trainings pause and go on, with a killed operator and a preempted worker in the middle.

They come to what the same search comes to undisturbed on this machine, and no training begins anew: what one node has
trained, the other goes on with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import merged
from devcluster.operator_installation import OperatorInstallation
from devcluster.searches import SearchHandle
from installed_searches import Apply, Json, claim, scores_on
from local_search import metasearch, scores_of, write_resource

from metasearch.kubernetes import restricted
from metasearch.quantities import Quantity
from metasearch.search.trials import INTERRUPTED, State, Trial
from metasearch_operator.lost_workers import pod_of

Preempt = Callable[[Json], None]

MINUTES = 600
"""Seconds for what takes half a minute on a machine that does nothing else."""

WORKER_CPU = Quantity("500m")
"""Cores that a worker pod requests."""

PAUSED: Json = {
    "search": {"progressive": None, "surrogate": None, "confirmations": 0},
    "training": {"metaIterations": 1600},
    "budget": {"maxTrials": 7},
    "final": {"seeds": 1, "baselines": []},
    "worker": {"template": {"resources": {"requests": {"cpu": str(WORKER_CPU), "memory": "1Gi"}}}},
}
"""Changes to the tiny search by which a trial takes seconds, long enough to be interrupted."""

HALVING = merged(PAUSED, {"search": {"strategy": "Halving", "halving": {"factor": 2, "rungs": 3}}, "parallelism": 1})
"""4 trials of 400 meta-iterations, 2 of them go on to 800, and 1 to 1600."""

PRIORITY = merged(
    PAUSED,
    {"search": {"strategy": "Priority", "priority": {"quantum": "0.25", "children": 2, "roundTrials": 2}}},
)
"""Four rounds: in the second at least one of the first two goes on from 400 meta-iterations to 800."""


@pytest.fixture
def preempt(installation: OperatorInstallation, image: str) -> Iterator[Preempt]:
    """Yield a function that has the scheduler put an urgent pod, which stays to the end of the test, in one's place."""
    access, name = installation.access, f"{installation.namespace}-urgent"
    access.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": 1000,
        }
    )

    def preempt(pod: Json) -> None:
        node = access.get("node", pod["spec"]["nodeName"])
        # All but too little for a worker: the operator, which requests a tenth of a core, may stay.
        cpu = Quantity(node["status"]["allocatable"]["cpu"]).amount - 0.8 * WORKER_CPU.amount
        access.apply(urgent_pod(name, image, node["metadata"]["name"], f"{1000 * cpu:.0f}m"))

    yield preempt
    access.run("delete", "pod", name, "--ignore-not-found")
    access.run("delete", "priorityclass", name)


def urgent_pod(name: str, image: str, node: str, cpu: str) -> Json:
    resources = {"requests": {"cpu": cpu}}
    container = {"name": "wait", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "3600"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "priorityClassName": name,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "terminationGracePeriodSeconds": 0,
            "securityContext": restricted.pod_security(),
            "containers": [{**container, "resources": resources, "securityContext": restricted.CONTAINER}],
        },
    }


class Watched:
    """A search whose pods' nodes are written down, for they are gone before it is over."""

    def __init__(self, search: SearchHandle) -> None:
        self.search = search
        self._nodes: dict[str | None, str] = {}

    def wait_for(self, what: Callable[[], Any]) -> Any:
        def look() -> Any:
            self._nodes |= {
                pod["metadata"]["name"]: pod["spec"]["nodeName"]
                for pod in self.search.pods()
                if "nodeName" in pod["spec"]
            }
            return what()

        return self.search.wait_for(look, MINUTES)

    def resuming(self) -> Trial | None:
        """Return a trial that goes on from the checkpoint of another, and has done so for a second."""
        running = [trial for trial in self.search.trials() if trial.holder and trial.spec.resumes]
        return next((trial for trial in running if time.time() - trial.attempts[-1].started_at > 1.0), None)

    def pod(self, name: str | None) -> Json:
        (found,) = [pod for pod in self.search.pods() if pod["metadata"]["name"] == name]
        return found

    def nodes(self, trial: Trial) -> list[str]:
        """Return the node of every attempt."""
        return [self._nodes[pod_of(attempt.worker)] for attempt in trial.attempts]


def seconds_taken_over(trial: Trial) -> float:
    """Return the least that can be said of the seconds of training that the last attempt went on from."""
    last = trial.attempts[-1]
    assert trial.result is not None
    assert trial.result.wall_seconds is not None
    assert last.ended_at is not None
    return trial.result.wall_seconds - (last.ended_at - last.started_at)


def undisturbed(folder: Path, changes: Mapping[str, Any]) -> Path:
    """Run a search on this machine, and return its folder."""
    run = metasearch("run", write_resource(folder, **changes), "--output", folder / "run", "--workers", "2")
    assert run.returncode == 0, run.stderr
    return folder / "run"


def kill_operator(installation: OperatorInstallation) -> None:
    here = f"--namespace={installation.namespace}"
    installation.access.run("delete", "pod", here, installation.operator_pod(), "--grace-period=0", "--force")


def was_preempted(installation: OperatorInstallation, pod: Json) -> bool:
    found = installation.access.get("events", f"--field-selector=involvedObject.uid={pod['metadata']['uid']}")
    return any(event["reason"] == "Preempted" for event in found["items"])


def require_same_end(
    installation: OperatorInstallation, search: SearchHandle, volume: Path, local: Path
) -> dict[str, Trial]:
    """Check that all is as in the undisturbed run, down to the weights; return the trials by name."""
    assert scores_on(installation, search) == scores_of(local)
    name = Path(search.status["delivered"]["weights"]).name
    (weights,) = volume.rglob(f"weights/{name}")
    assert weights.read_bytes() == (local / "weights" / name).read_bytes()
    return {trial.name: trial for trial in search.trials()}


def require_gone_on(watched: Watched, trials: Mapping[str, Trial]) -> None:
    """Check that every resumed training went on, and the interrupted ones on another node from where they were."""
    for trial in trials.values():
        assert not trial.spec.resumes or seconds_taken_over(trial) > 0.0, trial
    interrupted = [trial for trial in trials.values() if len(trial.attempts) > 1]
    assert interrupted
    for trial in interrupted:
        assert [attempt.outcome for attempt in trial.attempts] == [INTERRUPTED, State.SUCCEEDED]
        one, other = watched.nodes(trial)
        assert one != other
        # From its own checkpoint, which has more in it than that of the trial that it resumed.
        before = trials[trial.spec.resumes or ""].result
        assert before is not None
        assert before.wall_seconds is not None
        assert seconds_taken_over(trial) > before.wall_seconds


def test_a_halving_search(
    volumes: Path, apply: Apply, preempt: Preempt, installation: OperatorInstallation, tmp_path: Path
) -> None:
    """With one worker, all beginnings are on one node, and what resumes them is on the other."""
    local = undisturbed(tmp_path, HALVING)
    claim(installation, "models", volumes / "models")
    search = apply(**HALVING, storage={"claim": "models"})
    watched = Watched(search)
    # In the last trial of the first round: it is for the next operator to find out which of them go on.
    watched.wait_for(lambda: search.trials() and all(trial.attempts for trial in search.trials()))
    kill_operator(installation)
    resuming = watched.wait_for(watched.resuming)
    pod = watched.pod(pod_of(resuming.holder))
    preempt(pod)
    watched.wait_for(lambda: search.is_over)
    assert search.condition("Succeeded")[0] == "True"

    assert was_preempted(installation, pod)
    trials = require_same_end(installation, search, volumes / "models", local)
    require_gone_on(watched, trials)
    crossed = [
        trial
        for trial in trials.values()
        if trial.spec.resumes and watched.nodes(trial)[0] != watched.nodes(trials[trial.spec.resumes])[-1]
    ]
    assert crossed


def test_a_priority_search(
    volumes: Path, apply: Apply, preempt: Preempt, installation: OperatorInstallation, tmp_path: Path
) -> None:
    """One of two workers is preempted, and no operator is there to see it."""
    local = undisturbed(tmp_path, PRIORITY)
    claim(installation, "models", volumes / "models")
    search = apply(**PRIORITY, storage={"claim": "models"})
    watched = Watched(search)
    resuming = watched.wait_for(watched.resuming)
    pod = watched.pod(pod_of(resuming.holder))
    kill_operator(installation)
    preempt(pod)
    watched.wait_for(lambda: search.is_over)
    assert search.condition("Succeeded")[0] == "True"

    assert was_preempted(installation, pod)
    require_gone_on(watched, require_same_end(installation, search, volumes / "models", local))
