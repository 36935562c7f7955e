"""The wire between nodes: a bridge on this machine, and a cable from it to each node."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from cluster.household import Household

NETWORKS = 10
"""So many clusters may be there at once."""

REMOVE_LINK = 'ip link delete "$0" 2>/dev/null; ! ip link show "$0" 2>/dev/null'
REMOVE_BRIDGE = """
for bridge in $(ip -o link show type bridge | grep -F "$0" | cut -d: -f2); do ip link delete "$bridge"; done
"""


@dataclass(frozen=True)
class Network:
    """One of ten, so that clusters do not get into each other's way. Nodes are numbered from 1."""

    number: int

    @property
    def bridge(self) -> str:
        return f"metasearch{self.number}"

    @property
    def host(self) -> str:
        """This machine's address, at which the API server listens."""
        return f"10.200.{self.number}.1"

    def node(self, number: int) -> str:
        return f"10.200.{self.number}.{number + 1}"

    def pods(self, node: int) -> str:
        """The range that a node's pods get their addresses from."""
        return f"10.{210 + self.number}.{node}.0/24"

    def cable(self, node: int) -> str:
        return f"{self.bridge}-{node}"

    def connect(self, household: Household, node: int, process: int) -> None:
        """Lay a cable into the network namespace of a process, and lead the way to its pods."""
        household.undo_at_the_end("sh", "-c", REMOVE_LINK, self.cable(node))
        ip(f"link add {self.cable(node)} type veth peer name eth0 netns {process}")
        ip(f"link set {self.cable(node)} master {self.bridge} up")
        inside(process, f"address add {self.node(node)}/24 dev eth0")
        inside(process, "link set eth0 up")
        inside(process, f"route add default via {self.host}")
        ip(f"route add {self.pods(node)} via {self.node(node)}")

    def introduce(self, node: int, process: int, other: int) -> None:
        """Tell a node the way to another's pods."""
        inside(process, f"route add {self.pods(other)} via {self.node(other)} src {self.node(node)}")

    def cut(self, node: int) -> None:
        """A network partition: the node and its pods reach nobody."""
        ip(f"link set {self.cable(node)} down")

    def mend(self, node: int) -> None:
        ip(f"link set {self.cable(node)} up")


def take_network(household: Household) -> Network:
    """The first that is free, for as long as the household lasts; whoever makes the bridge has it."""
    # Known by this, our bridge can be removed though a crash comes before anybody is told its name.
    hardware = ":".join(["02", *(f"{byte:02x}" for byte in os.urandom(5))])
    household.undo_at_the_end("sh", "-c", REMOVE_BRIDGE, hardware)
    for network in map(Network, range(NETWORKS)):
        if made(network.bridge, hardware):
            ip(f"address add {network.host}/24 dev {network.bridge}")
            ip(f"link set {network.bridge} up")
            return network
    raise OSError(
        f"the bridges of {NETWORKS} clusters are there already; `ip link` lists them as metasearch0 and so on"
    )


def made(bridge: str, hardware: str) -> bool:
    words = ["ip", "link", "add", bridge, "address", hardware, "type", "bridge"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)  # noqa: S607


def inside(process: int, arguments: str) -> None:
    """`ip` in the network namespace of a process."""
    subprocess.run(["nsenter", f"--net=/proc/{process}/ns/net", "ip", *arguments.split()], check=True)  # noqa: S607
