"""A worker pod while its API server is away, or will not have what it sends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_result, make_trial_spec
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import ControlPlane, open_control_plane
from devcluster.resources import install_crds
from devcluster.searches import create_search
from local_search import SPEC, wait_until
from virtual_clock import VirtualClock
from worker_pod_process import WorkerPodProcess

from metasearch.cluster.api import Api
from metasearch.kubernetes.worker_job import GRACE_SECONDS
from metasearch.search.trials import INTERRUPTED, Reason, State, TrialSpec
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_trainer.retrying_queue import RetryingQueue
from metasearch_trainer.spool import Spool

META_ITERATIONS = 400
"""Seconds of training, on any machine."""


def trial(index: int, meta_iterations: int) -> TrialSpec:
    spec = make_trial_spec(f"tiny-1-{index:010}", candidate="conv3x3(-1)+max_pool3x3(-2)", priority=index)
    return replace(spec, meta_iterations=meta_iterations)


@pytest.fixture
def own(binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    """Yield a control plane that a test may kill."""
    with open_control_plane(binaries) as control_plane:
        install_crds(control_plane.access)  # they go with it
        yield control_plane


@pytest.fixture
def pod(own: ControlPlane, tmp_path: Path) -> Iterator[WorkerPodProcess]:
    api = Api.of_kubeconfig(str(own.access.kubeconfig))
    made = WorkerPodProcess(own.access, create_search(api, "default", "tiny", **SPEC), tmp_path)
    yield made
    made.kill()


def test_a_result_arrives_once_the_api_server_is_back(own: ControlPlane, pod: WorkerPodProcess, tmp_path: Path) -> None:
    pod.store.propose([trial(0, META_ITERATIONS), trial(1, META_ITERATIONS)])
    pod.start().wait_until_running(1)
    own.api_server.kill()
    spooled = Spool(tmp_path / "scratch" / "spool" / "slot-0.json")
    unsent = wait_until(lambda: spooled.path.exists() and spooled.read())
    # The process that holds the result is killed too; its successor finds it.
    (slot,) = pod.slot_processes().values()
    slot.kill()
    wait_until(lambda: pod.slot_processes() and f"{pod.name}.0-1" not in pod.slot_processes())
    own.api_server.restart()
    found = pod.wait_until_over()
    first, second = found.values()
    assert first.result == unsent.result
    assert [attempt.worker for attempt in first.attempts] == [f"{pod.name}.0-1"]
    assert [attempt.worker for attempt in second.attempts] == [f"{pod.name}.0-2"]
    assert {each.state for each in found.values()} == {State.SUCCEEDED}
    # The result is on record before the file goes, so another process may see the one without the other.
    wait_until(lambda: not spooled.path.exists())


def test_a_pod_that_is_told_to_leave_during_an_outage_is_gone_in_time(own: ControlPlane, pod: WorkerPodProcess) -> None:
    pod.store.propose([trial(0, 1_000_000)])
    pod.start().wait_until_running(1)
    own.api_server.kill()
    code, seconds = pod.terminate()
    assert code == 75
    assert seconds < GRACE_SECONDS
    own.api_server.restart()
    assert pod.trials()["tiny-1-0000000000"].state is State.RUNNING  # for the operator to free: no Lease is renewed


def test_a_result_that_is_no_number_is_a_failure_that_is_tried_again(
    client: Api, namespace: str, tmp_path: Path
) -> None:
    store = KubernetesStore(client, create_search(client, namespace, "tiny"), max_attempts=2, pod_uid="a-pod")
    store.propose([trial(0, 4)])
    queue = RetryingQueue(store, Spool(tmp_path / "slot-0.json"), VirtualClock().retry())
    for state in (State.PENDING, State.FAILED):
        claimed = queue.claim("w", time.time(), 0.0)
        assert claimed is not None
        assert queue.complete(claimed, make_result(float("nan")), time.time()).state is state
    (found,) = store.trials()
    assert [attempt.outcome for attempt in found.attempts] == [Reason.ERROR, Reason.ERROR]
    assert found.result is not None
    assert (found.result.message or "").startswith("the result was refused (score ")


def test_a_result_that_the_api_server_refuses_is_too(client: Api, namespace: str, tmp_path: Path) -> None:
    store = KubernetesStore(client, create_search(client, namespace, "tiny"), max_attempts=1, pod_uid="a-pod")
    store.propose([trial(0, 4)])
    queue = RetryingQueue(store, Spool(tmp_path / "slot-0.json"), VirtualClock().retry())
    claimed = queue.claim("w", time.time(), 0.0)
    assert claimed is not None
    # What the models let pass and the API server does not.
    refused = make_result(parameter_count=2**70)
    assert queue.complete(claimed, refused, time.time()).state is State.FAILED
    (found,) = store.trials()
    assert found.result is not None
    assert "parameterCount" in (found.result.message or "")


def test_what_a_worker_holds_is_known_and_can_be_freed(client: Api, namespace: str) -> None:
    store = KubernetesStore(client, create_search(client, namespace, "tiny"), pod_uid="a-pod")
    store.propose([trial(0, 4), trial(1, 4)])
    claimed = store.claim("one", 1.0, 0.0)
    assert claimed is not None
    assert list(store.held_by("one")) == [claimed]
    assert list(store.held_by("other")) == []
    store.release_trial(claimed.name, "one", 2.0, INTERRUPTED)
    assert list(store.held_by("one")) == []
