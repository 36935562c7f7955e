"""An operator of several namespaces, of which one is gone or gives it no rights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import SMALL
from devcluster.access import ClusterAccess
from devcluster.operator_process import OperatorProcess, running_operator
from devcluster.resources import create_worker_account, temporary_namespace
from devcluster.searches import SearchHandle, create_search
from fake_worker import fake_worker

from metasearch.cluster.api import Api

RANDOM = {**SMALL, "search": {"strategy": "Random"}, "budget": {"maxTrials": 2}}
DEFINITIONS = ("clusterrole", "--verb=get", "--resource=customresourcedefinitions.apiextensions.k8s.io")


@pytest.fixture
def other(client: Api) -> Iterator[str]:
    """Yield a second namespace."""
    with temporary_namespace(client) as name:
        yield name


@pytest.fixture
def operator(cluster_with_crds: ClusterAccess, namespace: str, other: str, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Run an operator that is to serve both, with an account that has rights in the first alone."""
    access, account = cluster_with_crds, f"--serviceaccount={namespace}:operator"
    access.run("create", "serviceaccount", "operator", f"--namespace={namespace}")
    access.run("create", *DEFINITIONS, f"definitions-{namespace}")
    binding = ("clusterrolebinding", f"definitions-{namespace}")
    access.run("create", *binding, f"--clusterrole=definitions-{namespace}", account)
    grant(access, namespace, account)
    token = access.run("create", "token", "operator", f"--namespace={namespace}").strip()
    try:
        with running_operator(access.with_token(token), tmp_path, [namespace, other]) as operator:
            yield operator
    finally:
        access.run("delete", "clusterrole,clusterrolebinding", f"definitions-{namespace}")


def grant(access: ClusterAccess, namespace: str, account: str) -> None:
    access.run("create", "rolebinding", "all", "--clusterrole=cluster-admin", account, f"--namespace={namespace}")


def searched(client: Api, namespace: str) -> str:
    """Run a search to its end, and return how it ended."""
    create_worker_account(client, namespace)
    search = SearchHandle(client, create_search(client, namespace, "test", **RANDOM))
    with fake_worker(search):
        return search.wait_until_over()


def test_a_namespace_without_rights_does_not_end_the_service_for_others(
    operator: OperatorProcess, cluster_with_crds: ClusterAccess, client: Api, namespace: str, other: str
) -> None:
    assert searched(client, namespace) == "Succeeded"
    operator.require_running()
    assert f"metatrials in {other}" in operator.log.read_text()
    grant(cluster_with_crds, other, f"--serviceaccount={namespace}:operator")
    assert searched(client, other) == "Succeeded"
