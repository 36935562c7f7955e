"""The network between nodes: a bridge on this machine, and a veth pair from it to each node."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from devcluster.processes import ManagedProcesses

NETWORKS = 10
"""The number of clusters that can run at once, each with address ranges of its own."""

# Removing a namespace removes its end of a pair, and the other end with it, but some time later: gone is fine here.
REMOVE_LINK = 'ip link delete "$0" 2>/dev/null; ! ip link show "$0" 2>/dev/null'
REMOVE_BRIDGE = """
for bridge in $(ip -o link show type bridge | grep -F "$0" | cut -d: -f2); do ip link delete "$bridge"; done
"""


@dataclass(frozen=True)
class Network:
    """The addresses and links of one cluster; nodes are numbered from 1."""

    number: int

    @property
    def bridge(self) -> str:
        return f"metasearch{self.number}"

    @property
    def host_address(self) -> str:
        """This machine's address in the network, at which the API server listens."""
        return f"10.200.{self.number}.1"

    def node_address(self, number: int) -> str:
        return f"10.200.{self.number}.{number + 1}"

    def pod_range(self, node: int) -> str:
        """Return the address range of a node's pods."""
        return f"10.{210 + self.number}.{node}.0/24"

    def veth(self, node: int) -> str:
        return f"{self.bridge}-{node}"

    def connect(self, processes: ManagedProcesses, node: int, process: int) -> None:
        """Connect a process's network namespace to the bridge, and route the node's pod range to it."""
        processes.add_cleanup("sh", "-c", REMOVE_LINK, self.veth(node))
        # The far end is created in the node's namespace, so there is no moment at which the host has an eth0 too many.
        ip(f"link add {self.veth(node)} type veth peer name eth0 netns {process}")
        ip(f"link set {self.veth(node)} master {self.bridge} up")
        ip_inside(process, f"address add {self.node_address(node)}/24 dev eth0")
        ip_inside(process, "link set eth0 up")
        ip_inside(process, f"route add default via {self.host_address}")
        # Nothing masquerades, so pods reach the API server under their own addresses, and its answers need a way back.
        ip(f"route add {self.pod_range(node)} via {self.node_address(node)}")

    def add_pod_route(self, node: int, process: int, other: int) -> None:
        """Tell a node the route to another node's pods."""
        ip_inside(
            process, f"route add {self.pod_range(other)} via {self.node_address(other)} src {self.node_address(node)}"
        )

    def disconnect(self, node: int) -> None:
        """Take a node's link down, as a network partition: the node and its pods reach nobody."""
        ip(f"link set {self.veth(node)} down")

    def reconnect(self, node: int) -> None:
        ip(f"link set {self.veth(node)} up")


def reserve_network(processes: ManagedProcesses) -> Network:
    """
    Reserve the first free network while the processes last.

    Creating a bridge is atomic in the kernel, so the process whose `ip link add` succeeds owns the network.
    """
    # The cleanup must be registered before the bridge exists, when its name is not known yet. A random hardware address
    # (02 marks it as locally administered) finds it whatever its name.
    hardware = ":".join(["02", *(f"{byte:02x}" for byte in os.urandom(5))])
    processes.add_cleanup("sh", "-c", REMOVE_BRIDGE, hardware)
    for network in map(Network, range(NETWORKS)):
        if create_bridge(network.bridge, hardware):
            ip(f"address add {network.host_address}/24 dev {network.bridge}")
            ip(f"link set {network.bridge} up")
            return network
    raise OSError(
        f"the bridges of {NETWORKS} clusters are there already; `ip link` lists them as metasearch0 and so on"
    )


def create_bridge(bridge: str, hardware: str) -> bool:
    words = ["ip", "link", "add", bridge, "address", hardware, "type", "bridge"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)  # noqa: S607


def ip_inside(process: int, arguments: str) -> None:
    """Run `ip` in the network namespace of a process."""
    subprocess.run(["nsenter", f"--net=/proc/{process}/ns/net", "ip", *arguments.split()], check=True)  # noqa: S607
