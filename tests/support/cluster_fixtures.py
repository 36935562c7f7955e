"""Fixtures with real clusters; each kind is started once in a session, for all tests that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from devcluster import busybox_images, image_store
from devcluster.access import ClusterAccess
from devcluster.binaries import (
    ControlPlaneBinaries,
    MissingProgram,
    NodeBinaries,
    find_control_plane_binaries,
    find_node_binaries,
)
from devcluster.cluster import open_cluster
from devcluster.control_plane import ControlPlane, open_control_plane
from devcluster.existing_cluster import open_existing_cluster
from devcluster.image_builder import require_build_tools
from devcluster.operator_process import OperatorProcess, running_operator
from devcluster.resources import crds_installed, temporary_namespace

from metasearch.cluster.api import Api

T = TypeVar("T")


def find_or_skip(find: Callable[[], T]) -> T:
    """Return what a function finds, or skip the test with the sentence that says what is missing."""
    try:
        return find()
    except MissingProgram as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def binaries() -> ControlPlaneBinaries:
    """Return the programs that a control plane consists of."""
    return find_or_skip(find_control_plane_binaries)


@pytest.fixture(scope="session")
def node_binaries() -> NodeBinaries:
    """Return the programs that nodes consist of."""
    return find_or_skip(find_node_binaries)


@pytest.fixture(scope="session")
def existing_cluster(request: pytest.FixtureRequest) -> Iterator[ClusterAccess | None]:
    """Yield access to the cluster of --cluster, in a namespace of this session's own; None without that option."""
    kubeconfig = request.config.getoption("--cluster")
    if kubeconfig is None:
        yield None
        return
    with open_existing_cluster(Path(kubeconfig)) as access:
        yield access


@pytest.fixture(scope="session")
def control_plane(existing_cluster: ClusterAccess | None, request: pytest.FixtureRequest) -> Iterator[ClusterAccess]:
    """Yield access to a cluster where pods can be created but may never run; it takes seconds to start."""
    if existing_cluster is not None:
        yield existing_cluster
        return
    with open_control_plane(request.getfixturevalue("binaries")) as ours:
        yield ours.access


@pytest.fixture(scope="session")
def restartable_control_plane(binaries: ControlPlaneBinaries) -> Iterator[ControlPlane]:
    """Yield a control plane whose processes a test may kill; the test must start them again."""
    with open_control_plane(binaries) as ours:
        yield ours


@pytest.fixture(scope="session")
def cluster(existing_cluster: ClusterAccess | None, request: pytest.FixtureRequest) -> Iterator[ClusterAccess]:
    """Yield access to a cluster with two nodes or more, where pods run."""
    if existing_cluster is not None:
        yield existing_cluster
        return
    binaries, node_binaries = request.getfixturevalue("binaries"), request.getfixturevalue("node_binaries")
    with open_cluster(binaries, node_binaries, with_project_images=build_images_if_needed(request)) as ours:
        yield ours.access


def build_images_if_needed(request: pytest.FixtureRequest) -> bool:
    """Build the images if a test of this session needs them; return whether nodes get them."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function)]
    if not any("built_images" in test.fixturenames for test in tests):
        return False
    try:
        request.getfixturevalue("built_images")
    except pytest.skip.Exception:
        return False
    return True


@pytest.fixture(scope="session")
def built_images(existing_cluster: ClusterAccess | None) -> Mapping[str, image_store.StoredImage]:
    """Build the project's images; `cluster` has them on its nodes if any test of the session asks for this."""
    if existing_cluster is not None:
        pytest.skip("images are built here for nodes that are started here, not for those of a cluster that was there")
    find_or_skip(require_build_tools)
    return image_store.prepare_images()


@pytest.fixture(scope="session")
def cluster_with_crds(control_plane: ClusterAccess) -> Iterator[ClusterAccess]:
    """Yield access to `control_plane` with the project's CRDs; CRDs that were there before stay."""
    with crds_installed(control_plane):
        yield control_plane


@pytest.fixture(scope="module")
def operator(cluster_with_crds: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """Run one operator for all namespaces."""
    with running_operator(cluster_with_crds, tmp_path_factory.mktemp("operator"), []) as operator:
        yield operator


@pytest.fixture(scope="session")
def client(cluster_with_crds: ClusterAccess) -> Api:
    """Return an administrator's client, of the kind that the product uses."""
    return Api.of_kubeconfig(str(cluster_with_crds.kubeconfig))


@pytest.fixture
def namespace(client: Api) -> Iterator[str]:
    """Yield a new namespace, so that tests can give objects the same names."""
    with temporary_namespace(client) as name:
        yield name


@pytest.fixture(scope="session")
def image(existing_cluster: ClusterAccess | None) -> str:
    """Return an image with a shell; an existing cluster has to pull one."""
    return busybox_images.BUSYBOX if existing_cluster is None else "busybox:1.36"
