"""A control plane with nodes that run pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster import busybox_images, image_store
from devcluster.access import ClusterAccess
from devcluster.binaries import ControlPlaneBinaries, NodeBinaries
from devcluster.control_plane import ControlPlane
from devcluster.network import reserve_network
from devcluster.node import Node
from devcluster.processes import managed_processes


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its parts, and an administrator's access."""

    control_plane: ControlPlane
    nodes: Sequence[Node]

    @property
    def access(self) -> ClusterAccess:
        return self.control_plane.access

    def load(self, archive: Path) -> None:
        """Import images from an archive on every node."""
        for node in self.nodes:
            node.load(archive)


@contextmanager
def open_cluster(
    binaries: ControlPlaneBinaries, node_binaries: NodeBinaries, nodes: int = 2, with_project_images: bool = False
) -> Iterator[Cluster]:
    """
    Start a cluster of its own.

    Args:
        nodes: how many nodes; all of them have `busybox_images.BUSYBOX`.
        with_project_images: whether nodes also have the images that `image_store.prepare_images` has built before.
    """
    with managed_processes() as processes:
        network = reserve_network(processes)
        control_plane = ControlPlane(processes, binaries, network.host_address)
        control_plane.start()
        numbers = range(1, nodes + 1)
        stores = {}
        if with_project_images:
            stores = {number: image_store.copy_for_node(processes, f"node{number}") for number in numbers}
        cluster = Cluster(
            control_plane,
            [Node(processes, node_binaries, control_plane, network, number, stores.get(number)) for number in numbers],
        )
        for node in cluster.nodes:
            node.add_routes_to(cluster.nodes)
            node.join()
        cluster.load(busybox_images.write_busybox_archive(processes.folder / "busybox.tar", node_binaries.busybox))
        for node in cluster.nodes:
            node.wait_until_ready()
        yield cluster
