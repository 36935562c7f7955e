"""The project's CRDs on a cluster, and namespaces for tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT
from metasearch.cluster.api import Api
from metasearch.kubernetes import names

Json = dict[str, Any]

NAMESPACE = names.Kind("/api/v1", "namespaces")


def install_crds(access: ClusterAccess) -> None:
    """Install the CRDs, and wait until the API server serves them."""
    files = [f"--filename={ROOT / 'crds' / f'{resource.plural}.yaml'}" for resource in (names.SEARCH, names.TRIAL)]
    access.run("apply", "--server-side", *files)
    access.run("wait", "--for=condition=Established", "--timeout=60s", *files)


@contextmanager
def crds_installed(access: ClusterAccess) -> Iterator[None]:
    """Install the CRDs, and remove afterwards those that were not there before."""
    resources = (names.SEARCH, names.TRIAL)
    ours = [
        resource.definition
        for resource in resources
        if access.kubectl("get", "crd", resource.definition).returncode != 0
    ]
    install_crds(access)
    yield
    if ours:
        access.run("delete", "crd", *ours)


@contextmanager
def temporary_namespace(api: Api, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """Create a namespace, and start its deletion afterwards without waiting for the end of it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACE.path(None), {"metadata": {"name": name, "labels": dict(labels or {})}})
    try:
        yield name
    finally:
        api.delete(NAMESPACE.path(None, name))


def create_worker_account(api: Api, namespace: str) -> None:
    """Create the service account that worker pods have by default, without any rights."""
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "metasearch-worker"}})
