"""Helpers of the tests with an installed operator and real worker pods."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devcluster.operator_installation import OperatorInstallation
from devcluster.searches import SearchHandle
from local_search import metasearch

Json = dict[str, Any]
GPU = "example.com/gpu"
"""The resource that the fixture `gpus` gives to nodes."""

Apply = Callable[..., SearchHandle]
"""Applies a search to a cluster; keywords are fields of spec, objects merged with those of the tiny search."""


def remote(installation: OperatorInstallation, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command about a search on the cluster."""
    return metasearch(*arguments, "--namespace", installation.namespace, KUBECONFIG=str(installation.access.kubeconfig))


def scores_on(installation: OperatorInstallation, search: SearchHandle) -> dict[str, tuple[str, float | None]]:
    listed = remote(installation, "trials", search.name, "-o", "json")
    assert listed.returncode == 0, listed.stderr
    return {trial["name"]: (trial["state"], trial["score"]) for trial in json.loads(listed.stdout)}


def claim(installation: OperatorInstallation, name: str, folder: Path) -> None:
    """Create a volume in a folder, and the claim for it."""
    volume = f"{installation.namespace}-{name}"
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    installation.access.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": str(folder)}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": installation.namespace},
            "spec": {**common, "volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
