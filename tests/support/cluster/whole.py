"""A control plane with nodes, where pods run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import golden, images
from cluster.access import Access
from cluster.binaries import Binaries, NodeBinaries
from cluster.control_plane import ControlPlane
from cluster.household import open_household
from cluster.network import take_network
from cluster.node import Node


@dataclass(frozen=True)
class Cluster:
    """All its parts, and the way in for an administrator."""

    control_plane: ControlPlane
    nodes: Sequence[Node]

    @property
    def access(self) -> Access:
        return self.control_plane.access

    def load(self, archive: Path) -> None:
        """Images for pods, onto every node."""
        for node in self.nodes:
            node.load(archive)


@contextmanager
def open_cluster(
    binaries: Binaries, node_binaries: NodeBinaries, nodes: int = 2, built: bool = False
) -> Iterator[Cluster]:
    """A cluster of one's own, with `images.BUSYBOX` on its nodes, and on request the images of `golden.prepare`."""
    with open_household() as household:
        network = take_network(household)
        control_plane = ControlPlane(household, binaries, network.host)
        control_plane.start()
        numbers = range(1, nodes + 1)
        stores = {number: golden.give(household, f"node{number}") for number in numbers if built}
        cluster = Cluster(
            control_plane,
            [Node(household, node_binaries, control_plane, network, number, stores.get(number)) for number in numbers],
        )
        for node in cluster.nodes:
            node.introduce(cluster.nodes)
            node.join()
        cluster.load(images.write_busybox(household.folder / "busybox.tar", node_binaries.busybox))
        for node in cluster.nodes:
            node.wait_until_ready()
        yield cluster
