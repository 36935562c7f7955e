"""A search on a cluster is watched, by whoever may read it, and while its API server is away."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import SMALL, make_trial_spec
from devcluster.access import ClusterAccess
from devcluster.control_plane import ControlPlane
from devcluster.resources import crds_installed, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from finished_search import READY, kubeconfig_environment, run_on_cluster, set_status
from local_search import start, wait_until

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch.search.trials import Progress


@pytest.fixture
def own_namespace(restartable_control_plane: ControlPlane) -> Iterator[tuple[Api, str]]:
    """Yield a client and a namespace of a control plane that the test may stop, with the CRDs."""
    with crds_installed(restartable_control_plane.access):
        api = Api.of_kubeconfig(str(restartable_control_plane.access.kubeconfig))
        with temporary_namespace(api) as name:
            yield api, name


def begun(api: Api, namespace: str) -> SearchHandle:
    """Create a search with a trial that runs since 100 s, and was half done 20 s ago."""
    resource = create_search(api, namespace, "test", **{**SMALL, "worker": {"slots": 2}})
    set_status(api, resource, {"startTime": Time.at(time.time() - 200), "conditions": [READY]})
    handle = SearchHandle(api, resource)
    store = handle.store("a-uid")
    store.propose([make_trial_spec("test-1-a", meta_iterations=1_000)])
    claimed = store.claim("pod-a.1-1", time.time() - 100, 0.0)
    assert claimed is not None
    store.report(claimed, Progress(500, started_from=100, reported_at=time.time() - 20))
    return handle


def worker_pod(api: Api, namespace: str, name: str, phase: str) -> None:
    labels = {names.LABEL_SEARCH: "test", names.LABEL_COMPONENT: names.COMPONENT_WORKER}
    path = names.POD.path(namespace)
    # Bound to a node that is not there, so that nobody changes its phase.
    spec = {"nodeName": "nowhere", "containers": [{"name": "worker", "image": "none"}]}
    api.create(path, {"metadata": {"name": name, "labels": labels}, "spec": spec})
    api.patch(f"{path}/{name}/status", [{"op": "add", "path": "/status/phase", "value": phase}])


def test_slots_of_running_pods_are_idle_where_no_trial_runs(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str
) -> None:
    begun(client, namespace)
    worker_pod(client, namespace, "pod-b", "Running")
    worker_pod(client, namespace, "pod-c", "Pending")
    ended = run_on_cluster(cluster_with_crds, "top", "test", "-n", namespace)
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert [row[:3] for row in rows[1:5]] == [
        ["pod-a", "0", "idle"],
        ["pod-a", "1", "test-1-a"],
        ["pod-b", "0", "idle"],
        ["pod-b", "1", "idle"],
    ]
    # 400 meta-iterations in 80 s; the 500 that are left take 100 s, of which 20 and some are over.
    assert rows[2][5:8] == ["500/1000", "50%", "5"]
    assert 30 < int(rows[2][8]) <= 80
    assert "slots: 1 busy, 3 idle, of 2 workers; 5 meta-iterations per second" in ended.stdout


def test_a_watch_survives_an_api_server_that_is_away(
    restartable_control_plane: ControlPlane,
    own_namespace: tuple[Api, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api, namespace = own_namespace
    search = begun(api, namespace)
    for name, value in kubeconfig_environment(restartable_control_plane.access).items():
        monkeypatch.setenv(name, value)
    printed = tmp_path / "printed.txt"
    watching = start(printed, "status", "test", "-n", namespace, "--watch", "--interval", "0.2")
    wait_until(lambda: printed.read_text().count("test: Searching") >= 2)
    restartable_control_plane.api_server.kill()
    wait_until(lambda: "trying again every 0.2 s" in printed.read_text())
    time.sleep(1)  # many looks, all of them in vain
    before = printed.read_text()
    assert before.count("the API server cannot be reached") == 1
    assert before.splitlines()[-1].startswith("the API server cannot be reached (")
    assert watching.poll() is None
    restartable_control_plane.api_server.restart()
    wait_until(lambda: printed.read_text().count("test: Searching") > before.count("test: Searching"))
    search.delete()
    assert watching.wait(60) == 2  # as a search that is not there
    assert "has no search 'test'" in printed.read_text().splitlines()[-1]


def test_ctrl_c_ends_a_watch_of_an_api_server_that_is_away(
    restartable_control_plane: ControlPlane,
    own_namespace: tuple[Api, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api, namespace = own_namespace
    begun(api, namespace)
    for name, value in kubeconfig_environment(restartable_control_plane.access).items():
        monkeypatch.setenv(name, value)
    printed = tmp_path / "printed.txt"
    watching = start(printed, "top", "test", "-n", namespace, "--watch", "--interval", "0.2")
    wait_until(lambda: "slots: 1 busy" in printed.read_text())
    restartable_control_plane.api_server.kill()
    try:
        wait_until(lambda: "trying again every" in printed.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(60) == 130
    finally:
        restartable_control_plane.api_server.restart()
    assert "Traceback" not in printed.read_text()


def test_without_the_right_to_list_pods_those_with_a_trial_are_shown(
    cluster_with_crds: ClusterAccess, client: Api, namespace: str
) -> None:
    begun(client, namespace)
    worker_pod(client, namespace, "pod-b", "Running")
    client.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "reader"}})
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [names.GROUP], "resources": ["metasearches", "metatrials"], "verbs": ["get", "list"]}
    client.create(f"{rights}/roles", {"metadata": {"name": "reader"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
    }
    client.create(f"{rights}/rolebindings", binding)
    token = cluster_with_crds.run("create", "token", "reader", f"--namespace={namespace}").strip()
    ended = run_on_cluster(cluster_with_crds.with_token(token), "top", "test", "-n", namespace)
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()[1:3]] == ["pod-a", "pod-a"]
    assert "slots: 1 busy, 1 idle; 5 meta-iterations per second" in ended.stdout
