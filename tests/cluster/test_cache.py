"""The cache holds Jobs, pods, leases and trials as a real API server and its controllers write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from builders import STARTED, make_spec, make_trial_spec
from devcluster.resources import create_worker_account
from devcluster.searches import create_search
from local_search import wait_until
from operator_builders import make_settings

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.names import LABEL_SEARCH
from metasearch.kubernetes.worker_job import worker_job
from metasearch.stores.kubernetes import KubernetesStore
from metasearch_operator.cache import Cache
from metasearch_operator.diagnosis import FIRST_POD_SECONDS, pod_creation_problem, worker_problem

Json = dict[str, Any]


class Scene:
    """A search, and the cache of what it has."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api, self.namespace, self.key = api, namespace, (namespace, "test")
        self.search = create_search(api, namespace, "test")
        self.uid = self.search["metadata"]["uid"]
        self.cache = Cache(api, [namespace], lambda _: None)
        self.cache.start()
        wait_until(lambda: self.cache.is_synced, 60)

    def create_job(self, account: bool = True, **spec: Any) -> Json:
        if account:
            create_worker_account(self.api, self.namespace)
        wanted = worker_job(self.search, make_spec(**spec), make_settings(), pods=1)
        return self.api.create(names.JOB.path(self.namespace), wanted)


@pytest.fixture
def scene(client: Api, namespace: str) -> Iterator[Scene]:
    opened = Scene(client, namespace)
    yield opened
    opened.cache.stop()


def test_a_job_and_its_pod(scene: Scene) -> None:
    made = scene.create_job(worker={"template": {"nodeSelector": {"metasearch.dev/none": "such"}}})
    (job,) = wait_until(lambda: scene.cache.jobs(scene.key), 60)
    assert (job.name, job.owner, job.parallelism) == (made["metadata"]["name"], scene.uid, 1)
    assert (job.is_suspended, job.failed_at, job.is_terminating) == (False, None, False)
    (pod,) = wait_until(lambda: [pod for pod in scene.cache.pods(scene.key) if pod.not_scheduled], 60)
    assert (pod.phase, pod.ended, pod.is_terminating) == ("Pending", None, False)
    found = worker_problem([job], [pod], last_claimed_at=0.0)
    assert found is not None
    assert found.reason == "Unschedulable"
    assert f"no node takes the pod {pod.name}" in found.message


def test_a_container_that_does_not_start_and_one_that_ended(scene: Scene) -> None:
    scene.create_job(worker={"template": {"nodeSelector": {"metasearch.dev/none": "such"}}})
    (pod,) = wait_until(lambda: scene.cache.pods(scene.key), 60)
    path = f"{names.POD.path(scene.namespace, pod.name)}/status"

    def report(phase: str, state: Json) -> None:
        """Write the pod's status as its kubelet would."""
        container = {"name": "trainer", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        operations = [
            {"op": "replace", "path": "/status/phase", "value": phase},
            {"op": "add", "path": "/status/containerStatuses", "value": [container]},
        ]
        scene.api.patch(path, operations)

    report("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    (pod,) = wait_until(lambda: [pod for pod in scene.cache.pods(scene.key) if pod.waiting], 60)
    assert pod.waiting == ("ImagePullBackOff", "no such image")
    ended = {"exitCode": 3, "reason": "Error", "message": "no images\n", "finishedAt": "2026-01-31T12:00:00Z"}
    report("Failed", {"terminated": ended})
    (pod,) = wait_until(lambda: [pod for pod in scene.cache.pods(scene.key) if pod.ended], 60)
    assert pod.ended is not None
    assert (pod.is_over, pod.ended.exit_code, pod.ended.message) == (True, 3, "no images")


def test_a_job_whose_pods_are_refused(scene: Scene) -> None:
    """Only an event says that the service account is missing, or that the namespace refuses pods."""
    scene.create_job(account=False)

    def problem() -> Any:
        jobs, pods = scene.cache.jobs(scene.key), scene.cache.pods(scene.key)
        later = jobs[0].created_at + FIRST_POD_SECONDS if jobs else STARTED
        return pod_creation_problem(scene.api, scene.namespace, jobs, pods, later)

    found = wait_until(problem, 60)
    assert found.reason == "PodsRefused"
    assert 'serviceaccount "metasearch-worker" not found' in found.message


def test_a_suspended_job_waits(scene: Scene) -> None:
    scene.create_job(worker={"queueName": "team-a"})
    (job,) = wait_until(lambda: scene.cache.jobs(scene.key), 60)
    assert job.is_suspended


def test_a_trial_and_whose_it_is(scene: Scene) -> None:
    KubernetesStore(scene.api, scene.search).propose([make_trial_spec("test-1-a")])
    store = KubernetesStore(scene.api, scene.search, pod_uid="p-uid")
    (trial,) = wait_until(lambda: scene.cache.trials(scene.key), 60)
    assert (trial.name, trial.owner, trial.pod_uid) == ("test-1-a", scene.uid, None)
    claimed = store.claim("p.0-0", STARTED, 0.0)
    (trial,) = wait_until(lambda: [each for each in scene.cache.trials(scene.key) if each.pod_uid], 60)
    assert (trial.pod_uid, trial.trial) == ("p-uid", claimed)


def test_a_lease_grows_old_until_it_is_renewed(scene: Scene) -> None:
    body = {"metadata": {"name": "p", "labels": {LABEL_SEARCH: "test"}}, "spec": {"holderIdentity": "p-uid"}}
    scene.api.create(names.LEASE.path(scene.namespace), body)
    first = wait_until(lambda: scene.cache.leases(scene.key), 60)["p"]
    wait_until(lambda: scene.cache.leases(scene.key)["p"].age > first.age + 0.5, 60)
    scene.api.patch(
        names.LEASE.path(scene.namespace, "p"),
        [{"op": "add", "path": "/spec/renewTime", "value": "2026-01-31T12:00:00.000000Z"}],
    )
    renewed = wait_until(lambda: _other(scene.cache.leases(scene.key)["p"], first.version), 60)
    assert renewed.age < 60


def _other(lease: Any, version: str) -> Any:
    return lease if lease.version != version else None
