"""Exports of a search's network from a claim, on a cluster where pods run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_errors import error_sentence
from devcluster.access import ClusterAccess
from devcluster.resources import crds_installed
from exports import contents, delivered, local_export, pods, printed
from finished_search import FinishedSearch, Json, finish_on_cluster, write_weights
from local_search import wait_until

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch.storage_layout import search_folder, weights_path

RESTRICTED_POD_SECURITY = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture
def claim(cluster: ClusterAccess, existing_cluster: ClusterAccess | None, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Yield a namespace that enforces the restricted standard, with a claim `models` on a folder here."""
    if existing_cluster is not None:
        pytest.skip("the volumes of a cluster that is there already are no folders of this machine")
    name = f"test-{uuid.uuid4().hex[:8]}"
    folder = tmp_path / "volume"
    folder.mkdir(mode=0o755)
    volume = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "hostPath": {"path": str(folder)},
        "claimRef": {"namespace": name, "name": "models"},
    }
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED_POD_SECURITY}},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "models", "namespace": name},
            "spec": claim,
        },
    )
    wait_until(lambda: cluster.kubectl("get", "serviceaccount", "default", f"--namespace={name}").returncode == 0)
    with crds_installed(cluster):
        yield name, folder
        cluster.run("delete", "namespace", name, "--wait=true")
    cluster.run("delete", "persistentvolume", name, "--wait=false")


ENOUGH: list[Json] = [
    {"apiGroups": [names.GROUP], "resources": ["metasearches", "metatrials"], "verbs": ["get", "list"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "delete"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
]
"""The rights that an export needs, as docs/cli.md lists them."""


def somebody(cluster: ClusterAccess, namespace: str, rights: list[Json]) -> ClusterAccess:
    """Return access for a user who has these rights and no others."""
    there = f"--namespace={namespace}"
    cluster.run("create", "serviceaccount", "somebody", there)
    cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "somebody", "namespace": namespace},
            "rules": rights,
        }
    )
    cluster.run("create", "rolebinding", "somebody", "--role=somebody", f"--serviceaccount={namespace}:somebody", there)
    user = cluster.with_token(cluster.run("create", "token", "somebody", there))
    wait_until(lambda: user.kubectl("auth", "can-i", "create", "pods", there).returncode == 0)
    return user


def test_an_export_from_a_claim(cluster: ClusterAccess, claim: tuple[str, Path], image: str, tmp_path: Path) -> None:
    namespace, volume = claim
    api = Api.of_kubeconfig(str(cluster.kubeconfig))
    played = finish_on_cluster(cluster, api, namespace, storage={"claim": "models"})
    search = FinishedSearch(somebody(cluster, namespace, ENOUGH), played.resource)
    trial = delivered(search)
    where = weights_path(search_folder(search.resource), trial)
    export = ("export", "--image", image, "--output", tmp_path / "best")

    missing = error_sentence(search.metasearch(*export), code=4)
    assert missing.startswith(f"{where} on the claim 'models' is missing; ")
    assert not (tmp_path / "best").exists()

    weights = write_weights((volume / where).parent, [trial])
    assert printed(search.metasearch(*export)) == f"{tmp_path / 'best'}\n"
    assert contents(tmp_path / "best") == local_export(tmp_path, weights)

    nowhere = search.metasearch("export", "--image", "localhost/none:dev", "--output", tmp_path / "no")
    assert "does not start (ImagePullBackOff: " in error_sentence(nowhere, code=5)
    assert pods(api, namespace) == []
