"""
Kueue as its own manifests install it, but for being a process of this machine.

Everything else is theirs: definitions with their conversion, webhooks, roles, configuration, certificates that Kueue
makes for itself. Only what people look at it with is left out.
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

from cluster.access import Access
from cluster.binaries import ROOT, Missing
from cluster.control_plane import LOOPBACK, ControlPlane
from cluster.endpoints import answers
from cluster.helm import LOADER
from cluster.household import Household, Process, open_household

BUILT = ROOT / ".cache/kueue"
"""Where `scripts/setup.sh cluster` puts it."""

DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The definitions are long."""

NAMESPACE = "kueue-system"
USER = f"system:serviceaccount:{NAMESPACE}:kueue-controller-manager"
WEBHOOKS = "kueue-webhook-service"
CERTIFICATE = f"/api/v1/namespaces/{NAMESPACE}/secrets/kueue-webhook-server-cert"
CONFIG = "controller_manager_config.yaml"
LEFT_OUT = ("APIService", "ConfigMap", "Deployment", "Service")

Json = dict[str, Any]


@dataclass(frozen=True)
class Kueue:
    """The program, and the manifests of the same release."""

    program: Path
    manifests: Path


def find_kueue() -> Kueue:
    """
    Raises:
        Missing: it was not built.
    """
    if not (BUILT / ".version").exists():
        raise Missing("kueue is missing: run scripts/setup.sh cluster (with Go)")
    return Kueue(BUILT / "bin/kueue", BUILT / "config/default")


@contextmanager
def open_kueue(kueue: Kueue, control_plane: ControlPlane) -> Iterator[Process]:
    """Kueue on a cluster, for the rest of that cluster's life: without it, its webhooks let no Job pass."""
    with open_household() as household:
        port = household.free_port()
        rendered = control_plane.access.run("kustomize", str(kueue.manifests))
        objects = [each for each in yaml.load_all(rendered, LOADER) if each]
        install(control_plane.access, objects, port)
        control_plane.controller_manager.kill()  # its garbage collector finds new kinds as it starts, or 30 s later
        control_plane.controller_manager.start_again()
        health = f"{LOOPBACK}:{household.free_port()}"
        certificates = household.folder / "certificates"
        certificate = control_plane.authority.issue(USER, file="kueue")
        process = household.start(
            "kueue",
            kueue.program,
            f"--kubeconfig={control_plane.kubeconfig_of('kueue', certificate)}",
            f"--config={write_config(household, objects, port, health, certificates)}",
            "--zap-log-level=2",
            ready=lambda: mount(control_plane, certificates) and answers(f"http://{health}/readyz"),
        )
        process.wait_until_ready()
        yield process


def install(access: Access, objects: list[Json], port: int) -> None:
    """Have the API server know it, and reach its webhooks on this machine's port."""
    for each in objects:
        for webhook in [*each.get("webhooks", []), each.get("spec", {}).get("conversion", {}).get("webhook")]:
            if webhook:
                webhook["clientConfig"]["service"]["port"] = port
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": WEBHOOKS, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": LOOPBACK},
    }
    wanted = [*(each for each in objects if each["kind"] not in LEFT_OUT), service]
    access.run("apply", "--server-side", "--filename=-", stdin=yaml.dump_all(wanted, Dumper=DUMPER))


def write_config(household: Household, objects: list[Json], port: int, health: str, certificates: Path) -> Path:
    """Theirs, but for where it listens and what it looks after."""
    (theirs,) = (each["data"][CONFIG] for each in objects if CONFIG in each.get("data", {}))
    ours = {
        "health": {"healthProbeBindAddress": health},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": LOOPBACK, "port": port, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "integrations": {"frameworks": ["batch/job"]},
        "featureGates": {"VisibilityOnDemand": False},  # it would listen on a port that cannot be chosen
    }
    path = household.folder / CONFIG
    path.write_text(yaml.safe_dump(yaml.safe_load(theirs) | ours), encoding="utf-8")
    return path


def mount(control_plane: ControlPlane, folder: Path) -> bool:
    """As a kubelet does: have the certificate that Kueue has made in its folder, whole. Whether it is there yet."""
    if folder.exists():
        return True
    secret: Json = json.loads(control_plane.get(CERTIFICATE) or "{}")
    if "data" not in secret:
        return False
    written = folder.with_suffix(".new")
    written.mkdir()
    for name, value in secret["data"].items():
        (written / name).write_bytes(base64.b64decode(value))
    written.rename(folder)
    return True
