"""Real clusters for all tests that ask for one, one of each kind for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from cluster import golden, images
from cluster.access import Access
from cluster.binaries import Binaries, Missing, NodeBinaries, find_all, find_node
from cluster.builds import find_builders
from cluster.control_plane import ControlPlane, open_control_plane
from cluster.existing import open_existing
from cluster.resources import definitions_on, namespace_on
from cluster.whole import open_cluster

from metasearch.cluster.api import Api

T = TypeVar("T")


def found(find: Callable[[], T]) -> T:
    """What is there; skips the tests that need it, with a sentence, where it is not."""
    try:
        return find()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """What a control plane of our own is made of."""
    return found(find_all)


@pytest.fixture(scope="session")
def node_binaries() -> NodeBinaries:
    """What nodes of our own are made of."""
    return found(find_node)


@pytest.fixture(scope="session")
def existing(request: pytest.FixtureRequest) -> Iterator[Access | None]:
    """The cluster of --cluster, in a namespace of this session's own."""
    kubeconfig = request.config.getoption("--cluster")
    if kubeconfig is None:
        yield None
        return
    with open_existing(Path(kubeconfig)) as access:
        yield access


@pytest.fixture(scope="session")
def control_plane(existing: Access | None, request: pytest.FixtureRequest) -> Iterator[Access]:
    """A cluster where pods can be made; whether they also run is left open. Seconds to start."""
    if existing is not None:
        yield existing
        return
    with open_control_plane(request.getfixturevalue("binaries")) as ours:
        yield ours.access


@pytest.fixture(scope="session")
def mortal(binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane whose parts a test may kill, if it starts them again."""
    with open_control_plane(binaries) as ours:
        yield ours


@pytest.fixture(scope="session")
def cluster(existing: Access | None, request: pytest.FixtureRequest) -> Iterator[Access]:
    """A cluster with two nodes or more, where pods run."""
    if existing is not None:
        yield existing
        return
    binaries, node_binaries = request.getfixturevalue("binaries"), request.getfixturevalue("node_binaries")
    with open_cluster(binaries, node_binaries, built=brings_own_images(request)) as ours:
        yield ours.access


def brings_own_images(request: pytest.FixtureRequest) -> bool:
    """Builds them, if a test of this session is going to need them on the nodes."""
    if not any("built" in item.fixturenames for item in request.session.items if isinstance(item, pytest.Function)):
        return False
    try:
        request.getfixturevalue("built")
    except pytest.skip.Exception:
        return False
    return True


@pytest.fixture(scope="session")
def built(existing: Access | None) -> Mapping[str, golden.Loaded]:
    """The project's images, really built; `cluster` has them on its nodes if a test of the session asks for this."""
    if existing is not None:
        pytest.skip("images are built here for nodes that are started here, not for those of a cluster that was there")
    found(find_builders)
    return golden.prepare()


@pytest.fixture(scope="session")
def defined(control_plane: Access) -> Iterator[Access]:
    """A cluster that knows our resources. What was there before stays."""
    with definitions_on(control_plane):
        yield control_plane


@pytest.fixture(scope="session")
def client(defined: Access) -> Api:
    """An administrator's way in, as our own code has it."""
    return Api.of_kubeconfig(str(defined.kubeconfig))


@pytest.fixture
def room(client: Api) -> Iterator[str]:
    """A namespace of a test's own, for names that another test has too."""
    with namespace_on(client) as name:
        yield name


@pytest.fixture(scope="session")
def image(existing: Access | None) -> str:
    """One with a shell; a cluster that is there already has to fetch it."""
    return images.BUSYBOX if existing is None else "busybox:1.36"
