"""What benchmarks measure of a cluster: one node, the operator installed from built images, and a search on it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster import golden
from cluster.binaries import find_all, find_node
from cluster.helm import find_helm
from cluster.installation import NOTHING_MORE, Installation, installed
from cluster.operator import Searched
from cluster.resources import make_search
from cluster.whole import open_cluster
from metasearch.cluster.api import Api


@contextmanager
def open_installation() -> Iterator[Installation]:
    """On a cluster of its own; the images are brought up to date first."""
    golden.prepare()
    with (
        open_cluster(find_all(), find_node(), nodes=1, built=True) as cluster,
        tempfile.TemporaryDirectory() as folder,
        installed(cluster.access, find_helm(Path(folder)), NOTHING_MORE) as installation,
    ):
        yield installation


@contextmanager
def searching(installation: Installation, name: str, **spec: Any) -> Iterator[Searched]:
    """A search on Omniglot; it is gone before the operator is."""
    api = Api.of_kubeconfig(str(installation.access.kubeconfig))
    search = Searched(api, make_search(api, installation.namespace, name, **spec))
    try:
        yield search
    finally:
        search.remove()
