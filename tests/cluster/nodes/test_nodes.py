"""Pods on a cluster with nodes run as they would elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from devcluster.access import ClusterAccess
from local_search import wait_until

RESTRICTED_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "restricted"}
RESOURCES = {"cpu": "50m", "memory": "32Mi"}


@pytest.fixture
def namespace(cluster: ClusterAccess) -> Iterator[str]:
    """Yield a new namespace for each test that enforces the restricted pod security standard."""
    name = f"test-{os.urandom(4).hex()}"
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED_POD_SECURITY}}
    )
    # The controller manager makes these a moment later; pods need them.
    wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default", f"--namespace={name}").returncode == 0)
    yield name
    cluster.run("delete", "namespace", name, "--wait=false")


def container(image: str, script: str) -> dict[str, Any]:
    return {
        "name": "work",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "resources": {"requests": RESOURCES, "limits": RESOURCES},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def job(namespace: str, image: str, script: str, pods: int = 1) -> dict[str, Any]:
    """Return a Job whose pods are spread over the nodes."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "work"}},
    }
    spec = {"restartPolicy": "Never", "containers": [container(image, script)], "topologySpreadConstraints": [spread]}
    template = {"metadata": {"labels": {"app": "work"}}, "spec": spec}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {"completions": pods, "parallelism": pods, "backoffLimit": 0, "template": template},
    }


def pod(name: str, namespace: str, image: str, script: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"restartPolicy": "Never", "nodeName": node, "containers": [container(image, script)]},
    }


def wait_for(cluster: ClusterAccess, namespace: str, condition: str) -> None:
    cluster.run("wait", "job/work", f"--namespace={namespace}", f"--for=condition={condition}", "--timeout=240s")


def pods(cluster: ClusterAccess, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = cluster.get("pods", f"--namespace={namespace}")["items"]
    return found


ASK = """
credentials=/var/run/secrets/kubernetes.io/serviceaccount
wget -q -O - --header "Authorization: Bearer $(cat $credentials/token)" --no-check-certificate \\
  "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/apis/authentication.k8s.io/v1/selfsubjectreviews" \\
  --post-data '{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}' \\
  --header "Content-Type: application/json"
"""


def test_the_pods_of_a_job_run_on_every_node_and_reach_the_api_server(
    cluster: ClusterAccess, namespace: str, image: str
) -> None:
    nodes = {node["metadata"]["name"] for node in cluster.get("nodes")["items"]}
    assert len(nodes) >= 2
    cluster.apply(job(namespace, image, ASK, pods=len(nodes)))
    wait_for(cluster, namespace, "complete")
    ran = pods(cluster, namespace)
    assert {pod["spec"]["nodeName"] for pod in ran} == nodes
    for pod in ran:
        said = cluster.run("logs", pod["metadata"]["name"], f"--namespace={namespace}")
        assert f"system:serviceaccount:{namespace}:default" in said


def test_a_pod_reaches_one_of_another_node_through_a_service(
    cluster: ClusterAccess, namespace: str, image: str
) -> None:
    there = f"--namespace={namespace}"
    one, other = (node["metadata"]["name"] for node in cluster.get("nodes")["items"][:2])
    cluster.run("create", "service", "clusterip", "server", "--tcp=8080", there)
    cluster.apply(pod("server", namespace, image, "nc -ll -p 8080 -e echo here I am", one))
    cluster.run("wait", "pod/server", there, "--for=condition=Ready", "--timeout=240s")
    ask = "until nc -w 5 $SERVER_SERVICE_HOST 8080; do sleep 0.1; done"
    cluster.apply(pod("client", namespace, image, ask, other))
    cluster.run("wait", "pod/client", there, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=240s")
    assert cluster.run("logs", "client", there) == "here I am\n"


def test_a_pod_over_its_memory_limit_is_killed(cluster: ClusterAccess, namespace: str, image: str) -> None:
    cluster.apply(job(namespace, image, "tail /dev/zero"))
    wait_for(cluster, namespace, "failed")
    (pod,) = pods(cluster, namespace)
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


def test_a_pod_that_asks_for_too_much_freedom_is_refused(cluster: ClusterAccess, namespace: str, image: str) -> None:
    bold = pod("bold", namespace, image, "true", "node1")
    bold["spec"]["containers"][0]["securityContext"] = {}
    refused = cluster.kubectl("apply", "--filename=-", stdin=json.dumps(bold))
    assert refused.returncode == 1
    assert 'violates PodSecurity "restricted' in refused.stderr
