"""
Kueue as its own manifests install it, except that it runs as a process of this machine.

The CRDs with their conversion, webhooks, roles, configuration and the certificates that Kueue makes for itself are
those of the release. Metrics and the visibility API are left out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from devcluster.access import ClusterAccess
from devcluster.binaries import ROOT, MissingProgram
from devcluster.control_plane import LOOPBACK, ControlPlane
from devcluster.helm import YAML_LOADER
from devcluster.http_probes import responds
from devcluster.processes import ManagedProcess, ManagedProcesses, managed_processes

BUILD_FOLDER = ROOT / ".cache/kueue"
"""`scripts/setup.sh cluster` puts Kueue here."""

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The dumper in C, because the CRDs are long."""

NAMESPACE = "kueue-system"
SERVICE_ACCOUNT = f"system:serviceaccount:{NAMESPACE}:kueue-controller-manager"
WEBHOOK_SERVICE = "kueue-webhook-service"
CERTIFICATE_SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/kueue-webhook-server-cert"
CONFIG_FILE = "controller_manager_config.yaml"
KINDS_NOT_INSTALLED = ("APIService", "ConfigMap", "Deployment", "Service")

Json = dict[str, Any]


@dataclass(frozen=True)
class Kueue:
    """The Kueue program, and the manifests of the same release."""

    program: Path
    manifests: Path


def find_kueue() -> Kueue:
    """
    Find Kueue.

    Raises:
        MissingProgram: Kueue was not built.
    """
    if not (BUILD_FOLDER / ".version").exists():
        raise MissingProgram("kueue is missing: run scripts/setup.sh cluster (with Go)")
    return Kueue(BUILD_FOLDER / "bin/kueue", BUILD_FOLDER / "config/default")


@contextmanager
def open_kueue(kueue: Kueue, control_plane: ControlPlane) -> Iterator[ManagedProcess]:
    """
    Run Kueue on a control plane that ends with it.

    A control plane cannot outlive its Kueue usefully: the webhooks stay registered and let no Job pass.
    """
    with managed_processes() as processes:
        port = processes.reserve_port()
        rendered = control_plane.access.run("kustomize", str(kueue.manifests))
        objects = [each for each in yaml.load_all(rendered, YAML_LOADER) if each]
        install_manifests(control_plane.access, objects, port)
        # The garbage collector learns of new kinds when it starts, or up to 30 s later.
        control_plane.controller_manager.kill()
        control_plane.controller_manager.restart()
        health = f"{LOOPBACK}:{processes.reserve_port()}"
        certificates = processes.folder / "certificates"
        certificate = control_plane.authority.issue(SERVICE_ACCOUNT, file="kueue")
        process = processes.start(
            "kueue",
            kueue.program,
            f"--kubeconfig={control_plane.kubeconfig_of('kueue', certificate)}",
            f"--config={write_config(processes, objects, port, health, certificates)}",
            "--zap-log-level=2",
            ready=lambda: mount_certificate(control_plane, certificates) and responds(f"http://{health}/readyz"),
        )
        process.wait_until_ready()
        yield process


def install_manifests(access: ClusterAccess, objects: list[Json], port: int) -> None:
    """Apply the manifests, with webhooks that the API server finds at a port of this machine."""
    for each in objects:
        for webhook in [*each.get("webhooks", []), each.get("spec", {}).get("conversion", {}).get("webhook")]:
            if webhook:
                webhook["clientConfig"]["service"]["port"] = port
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEBHOOK_SERVICE, "namespace": NAMESPACE},
        # Webhooks are called by service; an external name leads the API server to this machine's loopback.
        "spec": {"type": "ExternalName", "externalName": LOOPBACK},
    }
    wanted = [*(each for each in objects if each["kind"] not in KINDS_NOT_INSTALLED), service]
    access.run("apply", "--server-side", "--filename=-", stdin=yaml.dump_all(wanted, Dumper=DUMPER))


def write_config(processes: ManagedProcesses, objects: list[Json], port: int, health: str, certificates: Path) -> Path:
    """Write the release's configuration, changed in where Kueue listens and which kinds it manages."""
    (theirs,) = (each["data"][CONFIG_FILE] for each in objects if CONFIG_FILE in each.get("data", {}))
    ours = {
        "health": {"healthProbeBindAddress": health},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": LOOPBACK, "port": port, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "integrations": {"frameworks": ["batch/job"]},  # the only kind that the operator creates
        "featureGates": {"VisibilityOnDemand": False},  # its port is fixed, so two clusters would collide
    }
    path = processes.folder / CONFIG_FILE
    path.write_text(yaml.safe_dump(yaml.safe_load(theirs) | ours), encoding="utf-8")
    return path


def mount_certificate(control_plane: ControlPlane, folder: Path) -> bool:
    """
    Copy the certificate that Kueue made from its Secret to a folder, as a kubelet would; return whether it is there.
    """
    if folder.exists():
        return True
    secret: Json = json.loads(control_plane.get(CERTIFICATE_SECRET) or "{}")
    if "data" not in secret:
        return False
    written = folder.with_suffix(".new")
    written.mkdir()
    for name, value in secret["data"].items():
        (written / name).write_bytes(base64.b64decode(value))
    written.rename(folder)
    return True
