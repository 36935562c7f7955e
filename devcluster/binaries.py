"""Find the programs that a cluster consists of, and say what to do if one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The root of the checkout."""

BUILD_FOLDER = ROOT / ".cache/kubernetes/bin"
"""`scripts/setup.sh cluster` puts here what it builds."""

CNI = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
"""Debian's folder for network plugins, and everybody else's; neither is on a PATH."""

TOOLS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", "nsenter", "unshare", "setpriv")
"""The programs that a node calls by name."""

REMEDY = (
    "run scripts/setup.sh cluster (on Debian, as root, with Go), set KUBEBUILDER_ASSETS to a folder that holds it, "
    "or use a cluster you have: make test CLUSTER=<kubeconfig>"
)

KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


class MissingProgram(Exception):
    """A program is missing; the message is a sentence that says which, and what to do."""


@dataclass(frozen=True)
class ControlPlaneBinaries:
    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path
    kube_scheduler: Path
    kubectl: Path


def search_folders() -> Iterator[Path]:
    """Yield the folders that may hold programs, the preferred one first."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        yield Path(assets)
    yield BUILD_FOLDER
    yield from map(Path, os.environ["PATH"].split(os.pathsep))


def find_folder_with(*programs: str) -> Path:
    """
    Return the first folder that holds all of these programs.

    Programs of one release must come from one folder: a kubectl or scheduler of another release may not work with the
    API server.
    """
    for folder in search_folders():
        if all(shutil.which(program, path=folder) for program in programs):
            return folder
    raise MissingProgram(f"{' or '.join(programs)} is missing: {REMEDY}")


@dataclass(frozen=True)
class NodeBinaries:
    kubelet: Path
    kube_proxy: Path
    cni: Path
    busybox: Path


def find_control_plane_binaries() -> ControlPlaneBinaries:
    """Find all programs of a control plane."""
    if sys.platform != "linux":
        raise MissingProgram(
            "a cluster is started on Linux only: use a cluster you have, make test CLUSTER=<kubeconfig>"
        )
    find_folder_with("openssl")
    kubernetes = find_folder_with(*KUBERNETES)
    return ControlPlaneBinaries(find_folder_with("etcd") / "etcd", *(kubernetes / program for program in KUBERNETES))


def find_node_binaries() -> NodeBinaries:
    """Find all further programs of a node; nodes need root, since they make namespaces, cgroups and routes."""
    if os.geteuid() != 0:
        raise MissingProgram(
            "nodes are started by root only: be root, or use a cluster you have, make test CLUSTER=<kubeconfig>"
        )
    for tool in TOOLS:
        find_folder_with(tool)
    unshared = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", "true"]
    if subprocess.run(unshared, capture_output=True, check=False).returncode != 0:
        raise MissingProgram(
            "a container's root may not start nodes: give it more (--privileged), or make test CLUSTER=<kubeconfig>"
        )
    cni = next((folder for folder in CNI if (folder / "bridge").exists()), None)
    if cni is None:
        raise MissingProgram(f"{CNI[0]}/bridge is missing: {REMEDY}")
    kubernetes = find_folder_with("kubelet", "kube-proxy")
    return NodeBinaries(kubernetes / "kubelet", kubernetes / "kube-proxy", cni, find_folder_with("busybox") / "busybox")
