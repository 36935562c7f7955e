"""Security contexts that satisfy Kubernetes' restricted pod security standard, with a read-only root file system."""

from __future__ import annotations

from typing import Any

USER = 65532
"""User and group of the images; files on volumes belong to them."""

POD: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    # Otherwise the kubelet changes the group of every file at each start, which takes minutes on a large data set.
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""The securityContext of a pod."""

CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The securityContext of a container."""
