"""Where the programs of a cluster are, and what to do where they are not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""Of the checkout."""

BUILT = ROOT / ".cache/kubernetes/bin"
"""Where `scripts/setup.sh cluster` puts what it builds."""

CNI = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Where Debian, and where others, put network plugins; they are on nobody's PATH."""

TOOLS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", "nsenter", "unshare", "setpriv")
"""What a node calls by name."""

REMEDY = (
    "run scripts/setup.sh cluster (on Debian, as root, with Go), set KUBEBUILDER_ASSETS to a folder that holds it, "
    "or use a cluster you have: make test CLUSTER=<kubeconfig>"
)

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class Missing(Exception):
    """A program is not there; the message is a sentence that says which, and what to do."""


@dataclass(frozen=True)
class Binaries:
    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path


def folders() -> Iterator[Path]:
    """Where programs may be, the best place first."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        yield Path(assets)
    yield BUILT
    yield from map(Path, os.environ["PATH"].split(os.pathsep))


def find(*programs: str) -> Path:
    """The first folder that holds all of these, for programs of different releases may not get along."""
    for folder in folders():
        if all(shutil.which(program, path=folder) for program in programs):
            return folder
    raise Missing(f"{' or '.join(programs)} is missing: {REMEDY}")


@dataclass(frozen=True)
class NodeBinaries:
    kubelet: Path
    kube_proxy: Path
    cni: Path
    busybox: Path


def find_all() -> Binaries:
    """All that a control plane needs."""
    if sys.platform != "linux":
        raise Missing("a cluster is started on Linux only: use a cluster you have, make test CLUSTER=<kubeconfig>")
    find("openssl")
    kubernetes = find(*KUBERNETES)
    return Binaries(find("etcd") / "etcd", *(kubernetes / program for program in KUBERNETES))


def find_node() -> NodeBinaries:
    """All that a node needs besides."""
    if os.geteuid() != 0:
        raise Missing(
            "nodes are started by root only: be root, or use a cluster you have, make test CLUSTER=<kubeconfig>"
        )
    for tool in TOOLS:
        find(tool)
    apart = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", "true"]
    if subprocess.run(apart, capture_output=True, check=False).returncode != 0:
        raise Missing(
            "a container's root may not start nodes: give it more (--privileged), or make test CLUSTER=<kubeconfig>"
        )
    cni = next((folder for folder in CNI if (folder / "bridge").exists()), None)
    if cni is None:
        raise Missing(f"{CNI[0]}/bridge is missing: {REMEDY}")
    kubernetes = find("kubelet", "kube-proxy")
    return NodeBinaries(kubernetes / "kubelet", kubernetes / "kube-proxy", cni, find("busybox") / "busybox")
