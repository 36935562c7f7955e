"""
Searches in the queues of a real Kueue with its webhooks and rights; the operator is a process, and workers are fake.

These tests always start a control plane of their own, since Kueue's CRDs and webhooks concern the whole cluster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from builders import SMALL
from cluster_fixtures import find_or_skip
from devcluster.access import ClusterAccess
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import open_control_plane
from devcluster.kueue import Kueue, find_kueue, open_kueue
from devcluster.operator_process import running_operator
from devcluster.processes import ManagedProcess
from devcluster.resources import crds_installed, create_worker_account, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from fake_worker import fake_worker

from metasearch.cluster.api import Api, Json
from metasearch.kubernetes import names
from metasearch.search.trials import State, Trial

API_VERSION = "kueue.x-k8s.io/v1beta2"
URGENT = {"apiVersion": API_VERSION, "kind": "WorkloadPriorityClass", "metadata": {"name": "urgent"}, "value": 1000}
FLAVOR = {"apiVersion": API_VERSION, "kind": "ResourceFlavor", "metadata": {"name": "default"}}
POD = {"requests": {"cpu": "1", "memory": "1Gi"}}


class Team:
    """A namespace with a queue that has cores for two pods."""

    def __init__(self, access: ClusterAccess, api: Api, namespace: str) -> None:
        self.access, self.api, self.namespace = access, api, namespace
        quotas = [{"name": "cpu", "nominalQuota": 2}, {"name": "memory", "nominalQuota": "64Gi"}]
        resources = [{"coveredResources": ["cpu", "memory"], "flavors": [{"name": "default", "resources": quotas}]}]
        queue = {"namespaceSelector": {}, "resourceGroups": resources}
        queue["preemption"] = {"withinClusterQueue": "LowerPriority"}
        create_worker_account(api, namespace)
        access.apply(
            {"apiVersion": API_VERSION, "kind": "ClusterQueue", "metadata": {"name": namespace}, "spec": queue}
        )
        self.open_queue("team")

    def open_queue(self, name: str) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        spec = {"clusterQueue": self.namespace}
        self.access.apply({"apiVersion": API_VERSION, "kind": "LocalQueue", "metadata": metadata, "spec": spec})

    def begin(self, name: str, queue: str | None = "team", priority: str | None = None, **spec: Any) -> SearchHandle:
        """Create a search of six trials for two pods."""
        asked = {**SMALL, "search": {"strategy": "Random"}, "budget": {"maxTrials": 6}, "parallelism": 2, **spec}
        return SearchHandle(
            self.api, create_search(self.api, self.namespace, name, worker=worker(queue, priority), **asked)
        )

    def pods(self) -> set[str]:
        """Return the names of the pods."""
        return {pod["metadata"]["name"] for pod in self.api.list_all(names.POD.path(self.namespace))[0]}

    def run_urgently(self) -> None:
        """Create a Job of somebody else for one pod, before which searches must give way."""
        labels = {names.LABEL_QUEUE: "team", "kueue.x-k8s.io/priority-class": "urgent"}
        container = {"name": "work", "image": "none", "resources": POD}
        pod = {"restartPolicy": "Never", "containers": [container]}
        metadata = {"name": "urgent", "namespace": self.namespace, "labels": labels}
        self.access.apply(
            URGENT,
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}},
        )

    def end_the_urgent(self) -> None:
        self.access.run("delete", "job", "urgent", f"--namespace={self.namespace}")


def worker(queue: str | None, priority: str | None = None) -> Json:
    asked = {"queueName": queue, "queuePriority": priority}
    return {"template": {"resources": POD}} | {field: value for field, value in asked.items() if value}


def job(search: SearchHandle) -> Json:
    """Wait until the search has one Job, and return it."""
    jobs: list[Json] = search.wait_for(lambda: found if len(found := search.jobs()) == 1 else None)
    return jobs[0]


def wait_until_it_runs(search: SearchHandle) -> Json:
    return search.wait_for(lambda: one if not (one := job(search))["spec"]["suspend"] else None)


def wait_until_queued(search: SearchHandle, *words: str) -> str:
    """Wait until the search's status says that it is queued, and why; return the sentence."""

    def message_if_queued() -> str | None:
        _, reason, message = search.condition("Ready")
        return message if reason == "Queued" and all(word in message for word in words) else None

    return search.wait_for(message_if_queued)


def one_after_another(team: Team) -> tuple[SearchHandle, SearchHandle]:
    """Create a search that gets all of the queue's quota, and one that waits for it."""
    first = team.begin("first")
    wait_until_it_runs(first)
    second = team.begin("second")
    wait_until_queued(second, "waits in the queue team: ", "insufficient unused quota for cpu")
    return first, second


def trial(search: SearchHandle, name: str) -> Trial:
    (known,) = [each for each in search.trials() if each.name == name]
    return known


@pytest.fixture(scope="module")
def built_kueue(existing_cluster: ClusterAccess | None) -> Kueue:
    if existing_cluster is not None:
        pytest.skip("Kueue is tried on a control plane that is started here, not on a cluster that was there")
    return find_or_skip(find_kueue)


@pytest.fixture(scope="module")
def own_control_plane(
    built_kueue: Kueue, binaries: ControlPlaneBinaries
) -> Iterator[tuple[ClusterAccess, ManagedProcess]]:
    """Yield a control plane with Kueue, which a test may kill."""
    with open_control_plane(binaries) as ours, crds_installed(ours.access), open_kueue(built_kueue, ours) as process:
        ours.access.apply(FLAVOR)
        yield ours.access, process


@pytest.fixture(scope="module")
def kueue(own_control_plane: tuple[ClusterAccess, ManagedProcess]) -> ManagedProcess:
    return own_control_plane[1]


@pytest.fixture(scope="module")
def api(
    own_control_plane: tuple[ClusterAccess, ManagedProcess], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """Yield an administrator's client while the operator runs."""
    access, _ = own_control_plane
    with running_operator(access, tmp_path_factory.mktemp("operator"), []):
        yield Api.of_kubeconfig(str(access.kubeconfig))


@pytest.fixture
def team(own_control_plane: tuple[ClusterAccess, ManagedProcess], api: Api) -> Iterator[Team]:
    with temporary_namespace(api) as namespace:
        yield Team(own_control_plane[0], api, namespace)


def test_searches_take_turns(team: Team) -> None:
    first, second = one_after_another(team)
    assert second.condition("Progressing")[:2] == ("False", "Queued")
    assert not [event for event in second.events() if event == "PodsRefused"]
    with fake_worker(first):
        assert first.wait_until_over() == "Succeeded"
    wait_until_it_runs(second)
    with fake_worker(second):
        assert second.wait_until_over() == "Succeeded"


def test_operator_and_kueue_leave_each_others_fields_alone(team: Team) -> None:
    running, waiting = one_after_another(team)
    running.wait_for(lambda: job(running)["status"].get("active") == 2)
    before = [job(search) for search in (running, waiting)]
    for trials in (7, 8, 9):  # a reconcile each
        for search in (running, waiting):
            search.edit(budget={"maxTrials": trials})
        for search in (running, waiting):
            generation = search.resource["metadata"]["generation"]
            search.wait_for(lambda seen=search, wanted=generation: seen.status["observedGeneration"] == wanted)
    assert [job(search) for search in (running, waiting)] == before


def test_a_search_that_was_preempted_goes_on(team: Team) -> None:
    search = team.begin("test")
    wait_until_it_runs(search)
    pods = names.POD.path(team.namespace)
    pod, *_ = search.wait_for(lambda: team.api.list_all(pods)[0])
    search.wait_for(search.trials)
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    lost = search.wait_for(lambda: search.store(uid).claim(f"{name}.0-1", time.time(), 0.0))
    team.run_urgently()
    wait_until_queued(search)
    search.wait_for(lambda: trial(search, lost.name).state is State.PENDING)
    assert [attempt.outcome for attempt in trial(search, lost.name).attempts] == ["Lost"]
    team.end_the_urgent()
    wait_until_it_runs(search)
    with fake_worker(search):
        assert search.wait_until_over() == "Succeeded"
    assert search.status["trials"]["failed"] == 0


def test_an_urgent_search_takes_the_place_of_another(team: Team) -> None:
    team.access.apply(URGENT)
    first = team.begin("first")
    wait_until_it_runs(first)
    urgent = team.begin("urgent", priority="urgent")
    wait_until_it_runs(urgent)
    wait_until_queued(first)
    with fake_worker(urgent):
        assert urgent.wait_until_over() == "Succeeded"
    wait_until_it_runs(first)


def test_a_search_that_is_suspended_or_deleted_leaves_its_quota_to_others(team: Team) -> None:
    first, second = one_after_another(team)
    first.edit(suspend=True)
    wait_until_it_runs(second)
    first.edit(suspend=False)
    wait_until_queued(first)
    second.remove()
    wait_until_it_runs(first)


def test_another_size_is_queued_for_anew(team: Team) -> None:
    running, waiting = one_after_another(team)
    waiting.edit(parallelism=3)
    wait_until_queued(waiting, "request (3) > maximum capacity (2)")
    before = running.wait_for(lambda: pods if len(pods := team.pods()) == 2 else None)
    running.edit(parallelism=1)
    running.wait_for(lambda: len(team.pods()) == 1 and not before & team.pods())
    waiting.edit(parallelism=1)
    wait_until_it_runs(waiting)


def test_another_queue_is_another_job(team: Team) -> None:
    search = team.begin("test", "nowhere")
    wait_until_queued(search, "LocalQueue nowhere doesn't exist")
    search.edit(worker=worker("team"))
    wait_until_it_runs(search)
    search.edit(worker=worker(None))
    search.wait_for(lambda: names.LABEL_QUEUE not in job(search)["metadata"]["labels"])


def test_a_job_that_kueue_has_put_in_a_queue_keeps_its_size(team: Team) -> None:
    """Kueue puts every Job that names no queue into a namespace's queue `default`."""
    team.open_queue("default")
    search = team.begin("test", None, budget={"maxTrials": 1})
    assert job(search)["metadata"]["labels"][names.LABEL_QUEUE] == "default"
    search.wait_for(lambda: job(search)["spec"]["parallelism"] == 2)
    wait_until_it_runs(search)


def test_a_search_says_so_where_kueue_is_away(team: Team, kueue: ManagedProcess) -> None:
    running = team.begin("running")
    wait_until_it_runs(running)
    kueue.kill()
    try:
        new = team.begin("new", None)  # Kueue is asked about every Job, in a queue or not
        new.wait_for(lambda: new.condition("Ready")[1] == "PodsRefused")
        assert 'failed calling webhook "mjob.kb.io"' in new.condition("Ready")[2]
        with fake_worker(running):
            assert running.wait_until_over() == "Succeeded"
    finally:
        kueue.restart()
    with fake_worker(new):
        assert new.wait_until_over() == "Succeeded"
