"""The control plane that the other tests of this folder stand on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from devcluster.access import ClusterAccess
from devcluster.binaries import ControlPlaneBinaries
from devcluster.control_plane import open_control_plane
from devcluster.existing_cluster import open_existing_cluster
from local_search import wait_until


@pytest.fixture
def namespace(control_plane: ClusterAccess) -> Iterator[str]:
    """Yield a new namespace for each test."""
    name = f"test-{os.urandom(4).hex()}"
    control_plane.run("create", "namespace", name)
    yield name
    control_plane.run("delete", "namespace", name, "--wait=false")


def job(namespace: str, **pod: Any) -> dict[str, Any]:
    container = {"name": "work", "image": "localhost/none:dev", "imagePullPolicy": "Never"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container], **pod}}},
    }


def pods(cluster: ClusterAccess, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("pods", f"--namespace={namespace}")["items"]
    return found


def test_it_is_ready(control_plane: ClusterAccess) -> None:
    assert control_plane.run("get", "--raw=/readyz") == "ok"
    assert control_plane.url.startswith("https://")


def test_what_is_written_can_be_read(control_plane: ClusterAccess, namespace: str) -> None:
    written = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}
    control_plane.apply({**written, "data": {"key": "value"}})
    assert control_plane.get("configmap", "a", f"--namespace={namespace}")["data"] == {"key": "value"}


def test_kubectl_tells_what_went_wrong(control_plane: ClusterAccess, namespace: str) -> None:
    ended = control_plane.kubectl("get", "configmap", "nothing", f"--namespace={namespace}")
    assert ended.returncode == 1
    assert "not found" in ended.stderr


def test_a_token_may_do_what_its_roles_allow_and_no_more(control_plane: ClusterAccess, namespace: str) -> None:
    there = f"--namespace={namespace}"
    control_plane.run("create", "serviceaccount", "someone", there)
    someone = control_plane.with_token(control_plane.run("create", "token", "someone", there))
    refused = someone.kubectl("get", "configmaps", there)
    assert refused.returncode == 1
    assert f"system:serviceaccount:{namespace}:someone" in refused.stderr
    assert "Forbidden" in refused.stderr

    control_plane.run(
        "create", "rolebinding", "view", "--clusterrole=view", f"--serviceaccount={namespace}:someone", there
    )
    wait_until(lambda: someone.kubectl("get", "configmaps", there).returncode == 0)
    assert "is forbidden" in someone.kubectl("create", "configmap", "a", there).stderr


def test_a_token_that_nobody_issued_is_refused(control_plane: ClusterAccess) -> None:
    assert "Unauthorized" in control_plane.with_token("made-up").kubectl("get", "namespaces").stderr


def test_a_job_gets_its_pod(control_plane: ClusterAccess, namespace: str) -> None:
    control_plane.apply(job(namespace))
    (pod,) = wait_until(lambda: pods(control_plane, namespace))
    owner = control_plane.get("job", "work", f"--namespace={namespace}")["metadata"]["uid"]
    assert [reference["uid"] for reference in pod["metadata"]["ownerReferences"]] == [owner]
    assert pod["status"]["phase"] == "Pending"


def test_a_pod_that_fits_no_node_is_unschedulable(control_plane: ClusterAccess, namespace: str) -> None:
    control_plane.apply(job(namespace, nodeSelector={"metasearch.dev/none": "such"}))

    def scheduled() -> list[dict[str, Any]]:
        conditions = [each for pod in pods(control_plane, namespace) for each in pod["status"].get("conditions", [])]
        return [condition for condition in conditions if condition["type"] == "PodScheduled"]

    (condition,) = wait_until(scheduled)
    assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")


def test_a_cluster_that_is_there_already_is_used_in_a_namespace_of_ones_own(control_plane: ClusterAccess) -> None:
    with open_existing_cluster(control_plane.kubeconfig) as access:
        assert access.url == control_plane.url
        access.run("create", "configmap", "a")
        control_plane.run("get", "configmap", "a", f"--namespace={access.namespace}")
        assert access.namespace != control_plane.namespace
    assert control_plane.kubectl("get", "namespace", access.namespace).returncode == 1
    assert not access.kubeconfig.parent.exists()
    assert control_plane.run("get", "--raw=/readyz") == "ok"


def test_a_part_can_die_and_come_back(binaries: ControlPlaneBinaries) -> None:
    with open_control_plane(binaries) as own:
        own.access.run("create", "configmap", "a")
        own.api_server.kill()
        assert own.access.kubectl("get", "configmap", "a").returncode == 1
        own.etcd.kill()
        own.etcd.restart()
        own.api_server.restart()
        own.access.run("get", "configmap", "a")
