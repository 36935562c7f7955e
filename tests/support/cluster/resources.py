"""Our own resources on a cluster of tests, and namespaces for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cluster.access import Access
from cluster.binaries import ROOT
from metasearch.cluster.api import Api
from metasearch.kubernetes import names

Json = dict[str, Any]

NAMESPACE = names.Kind("/api/v1", "namespaces")


@contextmanager
def definitions_on(access: Access) -> Iterator[None]:
    """Have the API server know MetaSearch and MetaTrial for a while, or for good where it does already."""
    resources = (names.SEARCH, names.TRIAL)
    files = [f"--filename={ROOT / 'crds' / f'{resource.plural}.yaml'}" for resource in resources]
    ours = [
        resource.definition
        for resource in resources
        if access.kubectl("get", "crd", resource.definition).returncode != 0
    ]
    access.run("apply", "--server-side", *files)
    access.run("wait", "--for=condition=Established", "--timeout=60s", *files)
    yield
    if ours:
        access.run("delete", "crd", *ours)


@contextmanager
def namespace_on(api: Api, labels: Mapping[str, str] | None = None) -> Iterator[str]:
    """A namespace of a test's own, by its name. Nobody waits until it is gone."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACE.path(None), {"metadata": {"name": name, "labels": dict(labels or {})}})
    try:
        yield name
    finally:
        api.delete(NAMESPACE.path(None, name))


def make_search(api: Api, namespace: str, name: str, **spec: Any) -> Json:
    """A search on Omniglot; keywords are fields of spec."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.SEARCH.kind,
        "metadata": {"name": name},
        "spec": {"dataset": {"name": "omniglot"}, **spec},
    }
    return api.create(names.SEARCH.path(namespace), body)
