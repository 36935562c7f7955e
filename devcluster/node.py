"""A node: containerd, kubelet and kube-proxy on a `Machine`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devcluster import busybox_images
from devcluster.binaries import NodeBinaries
from devcluster.control_plane import ControlPlane
from devcluster.http_probes import responds
from devcluster.machine import Machine
from devcluster.network import Network
from devcluster.processes import ManagedProcess, ManagedProcesses

CONTAINERD = "/run/containerd/containerd.sock"
"""The path is the same on every node, since each machine has a /run of its own."""


class Node:
    """
    A node that runs pods; tests may kill and restart its parts, disconnect it and power it off.

    Its containerd starts with the content of `store`, or empty if there is none, and keeps its data there.
    """

    kubelet: ManagedProcess
    proxy: ManagedProcess

    def __init__(
        self,
        processes: ManagedProcesses,
        binaries: NodeBinaries,
        control_plane: ControlPlane,
        network: Network,
        number: int,
        store: Path | None = None,
    ) -> None:
        self.name, self.number, self.address = f"node{number}", number, network.node_address(number)
        self._binaries, self._control_plane, self._network = binaries, control_plane, network
        self.machine = Machine(processes, self.name)
        network.connect(processes, number, self.machine.init_pid)
        self._store = store
        self.containerd = self._start_containerd()

    def join(self) -> None:
        """Start kubelet and kube-proxy; `wait_until_ready` waits for them."""
        self.containerd.wait_until_ready()  # a kubelet that finds no runtime exits
        self.kubelet = self._start_kubelet()
        self.proxy = self._start_proxy()

    def wait_until_ready(self) -> None:
        """Wait until the node reports itself ready and services can be reached from it."""
        self.kubelet.wait_until_ready()
        self.proxy.wait_until_ready()

    def add_routes_to(self, others: Sequence[Node]) -> None:
        """Tell the node the routes to the pods of others."""
        for other in others:
            if other is not self:
                self._network.add_pod_route(self.number, self.machine.init_pid, other.number)

    def load(self, archive: Path) -> None:
        """Import images from an archive."""
        self.containerd.wait_until_ready()
        imported = self._ctr("--namespace=k8s.io", "images", "import", str(archive))
        assert imported.returncode == 0, imported.stderr

    def disconnect(self) -> None:
        """Take the network away and leave everything on the node running."""
        self._network.disconnect(self.number)

    def reconnect(self) -> None:
        self._network.reconnect(self.number)

    def power_off(self) -> None:
        """Kill everything on the node, pods too, for good."""
        self.machine.init_process.kill()

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.machine.run("ctr", f"--address={CONTAINERD}", *arguments)

    def _start_containerd(self) -> ManagedProcess:
        pods = self.machine.folder / "cni"
        pods.mkdir()
        (pods / "pods.conflist").write_text(json.dumps(pod_network(self._network.pod_range(self.number))))
        config = self.machine.folder / "containerd.toml"
        config.write_text(CONTAINERD_CONFIG.format(pause=busybox_images.PAUSE, plugins=self._binaries.cni, pods=pods))
        return self.machine.start(
            "containerd",
            "containerd",
            f"--config={config}",
            *([f"--root={self._store}"] if self._store else []),
            ready=lambda: self._ctr("version").returncode == 0,
        )

    def _start_kubelet(self) -> ManagedProcess:
        authority = self._control_plane.authority
        certificate = authority.issue(f"system:node:{self.name}", group="system:nodes", addresses=[self.address])
        config = self.machine.folder / "kubelet.json"
        own = {
            "cgroupRoot": f"/{self.machine.cgroup}",
            "authentication": {"x509": {"clientCAFile": str(authority.certificate)}},
            "tlsCertFile": str(certificate.certificate),
            "tlsPrivateKeyFile": str(certificate.key),
        }
        config.write_text(json.dumps(KUBELET_CONFIG | own))
        return self.machine.start(
            "kubelet",
            self._binaries.kubelet,
            f"--config={config}",
            f"--kubeconfig={self._control_plane.kubeconfig_of(self.name, certificate)}",
            f"--hostname-override={self.name}",
            f"--node-ip={self.address}",
            ready=self._is_ready,
            start_retries=5,  # containerd answers before its pod service does, and a kubelet that is early exits
        )

    def _start_proxy(self) -> ManagedProcess:
        name = f"{self.name}-kube-proxy"
        certificate = self._control_plane.authority.issue("system:kube-proxy", file=name)
        return self.machine.start(
            "kube-proxy",
            self._binaries.kube_proxy,
            f"--kubeconfig={self._control_plane.kubeconfig_of(name, certificate)}",
            f"--hostname-override={self.name}",
            "--proxy-mode=iptables",  # the rules are in the node's network namespace, out of the host's way
            "--conntrack-max-per-core=0",  # leaves the limit alone, since it is the whole host's
            ready=lambda: responds(f"http://{self.address}:10256/healthz"),
        )

    def _is_ready(self) -> bool:
        found = self._control_plane.get(f"/api/v1/nodes/{self.name}")
        if found is None:
            return False
        conditions = json.loads(found)["status"].get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pod_network(addresses: str) -> Mapping[str, Any]:
    """
    Return containerd's network configuration: pods are on a bridge of their node, with addresses of its range.

    Every pod is reached under its own address from everywhere, as Kubernetes demands, so there is no masquerading.
    """
    bridge = {
        "type": "bridge",
        "bridge": "pods",
        "isGateway": True,
        "ipMasq": False,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": addresses}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]}


CONTAINERD_CONFIG = """\
version = 2

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Lowering an OOM score takes CAP_SYS_RESOURCE, which a container that runs tests may lack.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{pods}"
"""

KUBELET_CONFIG: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "containerRuntimeEndpoint": f"unix://{CONTAINERD}",
    "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    "cgroupDriver": "cgroupfs",  # no systemd runs on a node
    "failSwapOn": False,  # the host may have swap
    "resolvConf": "",  # pods reach the cluster only, and the cluster has no name server
    # The disk is the host's, and a pod cannot be to blame for how full it is: evict at the last moment only.
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "nodefs.inodesFree": "1%",
        "imagefs.available": "1%",
    },
    "imageGCHighThresholdPercent": 100,  # an image that is removed cannot be pulled again
    "imageGCLowThresholdPercent": 99,
}
