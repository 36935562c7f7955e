"""What Kubernetes' restricted pod security standard asks of a pod, and a little more."""

from __future__ import annotations

from typing import Any

USER = 65532
"""As in the images; whatever is written on a volume belongs to this user and group."""

POD: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""A pod's securityContext."""

CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""A container's."""
