"""Fixtures of the tests with an installed operator and real worker pods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chart import Helm, helm_or_skip
from devcluster.access import ClusterAccess
from devcluster.operator_installation import SMALL_WORKERS, OperatorInstallation, operator_installed
from devcluster.searches import SearchHandle
from installed_searches import GPU, Apply
from local_search import metasearch, write_resource

from metasearch.cluster.api import Api
from metasearch.kubernetes import names


@pytest.fixture(scope="session")  # a second one would find the definitions of the first, which outlive it
def installation(
    cluster: ClusterAccess,
    built_images: Mapping[str, object],  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorInstallation]:
    folder = tmp_path_factory.mktemp("installation")
    helm: Helm = helm_or_skip(folder)
    with operator_installed(cluster, helm, SMALL_WORKERS) as installation:
        yield installation


@pytest.fixture(scope="session")
def local_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the tiny search, run on this machine."""
    folder = tmp_path_factory.mktemp("local_run")
    run = metasearch("run", write_resource(folder), "--output", folder / "run")
    assert run.returncode == 0, run.stderr
    return folder / "run"


@pytest.fixture
def apply(installation: OperatorInstallation, tmp_path: Path) -> Iterator[Apply]:
    """Return a function that applies a search with kubectl; searches that are left are deleted in the end."""
    api = Api.of_kubeconfig(str(installation.access.kubeconfig))
    applied = []

    def apply(name: str = "tiny", **changes: Any) -> SearchHandle:
        file = write_resource(tmp_path, name, **changes)
        installation.access.run("apply", f"--namespace={installation.namespace}", f"--filename={file}")
        search = SearchHandle(api, api.get(names.SEARCH.path(installation.namespace, name)))
        applied.append(search)
        return search

    yield apply
    for search in applied:
        search.delete()
        search.wait_for(lambda search=search: not (search.trials() or search.jobs() or search.pods()))


@pytest.fixture
def volumes(installation: OperatorInstallation, tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that the claims `data` and `models` lead to; `data` does not exist yet."""
    shared = tmp_path / "shared"
    for name in ("data", "models"):
        (shared / name).mkdir(parents=True)
        (shared / name).chmod(0o777)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    yield shared
    for name in ("data", "models"):
        here = f"--namespace={installation.namespace}"
        installation.access.run("delete", "persistentvolumeclaim", here, name, "--ignore-not-found")
        installation.access.run("delete", "persistentvolume", f"{installation.namespace}-{name}", "--ignore-not-found")


@pytest.fixture
def gpus(cluster: ClusterAccess) -> Iterator[None]:
    """Give each node two GPUs, as a device plugin would report them."""
    nodes = [node["metadata"]["name"] for node in cluster.get("nodes")["items"]]
    place = f"/status/capacity/{GPU.replace('/', '~1')}"
    for node in nodes:
        patch = json.dumps([{"op": "add", "path": place, "value": "2"}])
        cluster.run("patch", "node", node, "--subresource=status", "--type=json", f"--patch={patch}")
    yield
    for node in nodes:
        patch = json.dumps([{"op": "remove", "path": place}])
        cluster.run("patch", "node", node, "--subresource=status", "--type=json", f"--patch={patch}")
