"""The cluster that benchmarks measure: one node, the operator installed from built images, and a search on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devcluster import image_store
from devcluster.binaries import find_control_plane_binaries, find_node_binaries
from devcluster.cluster import open_cluster
from devcluster.helm import find_helm
from devcluster.operator_installation import DEFAULT_VALUES, OperatorInstallation, operator_installed
from devcluster.searches import SearchHandle, create_search
from metasearch.cluster.api import Api


@contextmanager
def open_benchmark_cluster() -> Iterator[OperatorInstallation]:
    """Bring the images up to date and install the operator on a cluster of its own."""
    image_store.prepare_images()
    with (
        open_cluster(find_control_plane_binaries(), find_node_binaries(), nodes=1, with_project_images=True) as cluster,
        tempfile.TemporaryDirectory() as folder,
        operator_installed(cluster.access, find_helm(Path(folder)), DEFAULT_VALUES) as installation,
    ):
        yield installation


@contextmanager
def running_search(installation: OperatorInstallation, name: str, **spec: Any) -> Iterator[SearchHandle]:
    """Create a search on Omniglot, and remove it before the operator is removed."""
    api = Api.of_kubeconfig(str(installation.access.kubeconfig))
    search = SearchHandle(api, create_search(api, installation.namespace, name, **spec))
    try:
        yield search
    finally:
        search.remove()
