"""A node: containerd, kubelet and kube-proxy on a machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster import images
from cluster.binaries import NodeBinaries
from cluster.control_plane import ControlPlane
from cluster.endpoints import answers
from cluster.household import Household, Process
from cluster.machine import Machine
from cluster.network import Network

CONTAINERD = "/run/containerd/containerd.sock"
"""Each machine has a /run of its own."""


class Node:
    """One that pods run on; its parts can be killed and started again, its cable cut, its power switched off.

    Its containerd begins with what is in `store`, and keeps all it has there; without one it begins with nothing.
    """

    kubelet: Process
    proxy: Process

    def __init__(
        self,
        household: Household,
        binaries: NodeBinaries,
        control_plane: ControlPlane,
        network: Network,
        number: int,
        store: Path | None = None,
    ) -> None:
        self.name, self.number, self.address = f"node{number}", number, network.node(number)
        self._binaries, self._control_plane, self._network = binaries, control_plane, network
        self.machine = Machine(household, self.name)
        network.connect(household, number, self.machine.first_process)
        self._store = store
        self.containerd = self._start_containerd()

    def join(self) -> None:
        """Become part of the cluster; `wait_until_ready` says when."""
        self.containerd.wait_until_ready()  # a kubelet without it gives up
        self.kubelet = self._start_kubelet()
        self.proxy = self._start_proxy()

    def wait_until_ready(self) -> None:
        """For pods: it says so itself, and services can be reached from it."""
        self.kubelet.wait_until_ready()
        self.proxy.wait_until_ready()

    def introduce(self, others: Sequence[Node]) -> None:
        """Tell it the way to the pods of others."""
        for other in others:
            if other is not self:
                self._network.introduce(self.number, self.machine.first_process, other.number)

    def load(self, archive: Path) -> None:
        """Images for pods, from a file."""
        self.containerd.wait_until_ready()
        imported = self._ctr("--namespace=k8s.io", "images", "import", str(archive))
        assert imported.returncode == 0, imported.stderr

    def cut_off(self) -> None:
        """Leave it running where nobody reaches it."""
        self._network.cut(self.number)

    def reconnect(self) -> None:
        self._network.mend(self.number)

    def switch_off(self) -> None:
        """The machine and all that runs on it, pods too; for good."""
        self.machine.power.kill()

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.machine.run("ctr", f"--address={CONTAINERD}", *arguments)

    def _start_containerd(self) -> Process:
        pods = self.machine.folder / "cni"
        pods.mkdir()
        (pods / "pods.conflist").write_text(json.dumps(pod_network(self._network.pods(self.number))))
        config = self.machine.folder / "containerd.toml"
        config.write_text(CONTAINERD_CONFIG.format(pause=images.PAUSE, plugins=self._binaries.cni, pods=pods))
        return self.machine.start(
            "containerd",
            "containerd",
            f"--config={config}",
            *([f"--root={self._store}"] if self._store else []),
            ready=lambda: self._ctr("version").returncode == 0,
        )

    def _start_kubelet(self) -> Process:
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
            more_starts=5,  # containerd answers before it takes in pods, and a kubelet that comes too early ends
        )

    def _start_proxy(self) -> Process:
        name = f"{self.name}-kube-proxy"
        certificate = self._control_plane.authority.issue("system:kube-proxy", file=name)
        return self.machine.start(
            "kube-proxy",
            self._binaries.kube_proxy,
            f"--kubeconfig={self._control_plane.kubeconfig_of(name, certificate)}",
            f"--hostname-override={self.name}",
            "--proxy-mode=iptables",
            "--conntrack-max-per-core=0",  # of the whole machine under us
            ready=lambda: answers(f"http://{self.address}:10256/healthz"),
        )

    def _is_ready(self) -> bool:
        found = self._control_plane.get(f"/api/v1/nodes/{self.name}")
        if found is None:
            return False
        conditions = json.loads(found)["status"].get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pod_network(addresses: str) -> Mapping[str, Any]:
    """For containerd: each pod on a bridge of its node, with an address of the node's range, known by it everywhere."""
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
# Lowering a score takes CAP_SYS_RESOURCE, which a container that runs tests may lack.
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
    "cgroupDriver": "cgroupfs",
    "failSwapOn": False,
    "resolvConf": "",  # a pod reaches the cluster, and no name server
    # The disk is this machine's, and whoever filled it was not a pod.
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "nodefs.inodesFree": "1%",
        "imagefs.available": "1%",
    },
    "imageGCHighThresholdPercent": 100,  # there is nowhere to fetch an image again from
    "imageGCLowThresholdPercent": 99,
}
