"""Security contexts that satisfy Kubernetes' restricted pod security standard, with a read-only root file system."""

from __future__ import annotations

from typing import Any

USER = 65532
"""User and group of the images; files on volumes belong to them."""

CONTAINER: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The securityContext of a container."""


def pod_security(user: int | None = USER) -> dict[str, Any]:
    """
    Return the securityContext of a pod.

    Args:
        user: number of its user and group, and of the group of its volumes. None where the cluster gives each namespace
            numbers of its own and refuses others, as OpenShift's restricted-v2 does.
    """
    ids = {} if user is None else {"runAsUser": user, "runAsGroup": user, "fsGroup": user}
    return {
        "runAsNonRoot": True,
        **ids,
        # Otherwise the kubelet changes the group of every file at each start, which takes minutes on a large data set.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
