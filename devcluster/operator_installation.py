"""The operator as users install it: by Helm, from built images, in a namespace that allows restricted pods only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from devcluster.access import ClusterAccess
from devcluster.helm import Helm

RELEASE = "metasearch"
RESTRICTED_POD_SECURITY = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
LOCAL_IMAGES: Mapping[str, Any] = {"image": {"registry": "localhost", "tag": "dev", "pullPolicy": "Never"}}
"""The values that select the images that were built here; nodes have them from the start, and no registry has."""

ANY_IMAGE: Mapping[str, Any] = {"searches": {"allowed": {"images": ["*"]}}}
"""The values that let a search name any image, also one that does not work."""

SMALL_WORKERS: Mapping[str, Any] = {"worker": {"resources": {"requests": {"cpu": "100m"}}}}
"""The values with which several worker pods have room on the nodes of one machine."""

DEFAULT_VALUES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class OperatorInstallation:
    """An operator that watches its own namespace."""

    access: ClusterAccess
    """Access to the operator's namespace."""
    helm: Helm

    @property
    def namespace(self) -> str:
        return self.access.namespace

    def operator_pod(self) -> str:
        found = self.access.get(
            "pods", f"--namespace={self.namespace}", "--selector=app.kubernetes.io/component=operator"
        )
        return str(found["items"][0]["metadata"]["name"])

    def log(self) -> str:
        """Return the operator's log."""
        return self.access.run("logs", f"--namespace={self.namespace}", self.operator_pod())

    def install(self, values: Mapping[str, Any] = DEFAULT_VALUES) -> None:
        """Install the chart, and return once the operator is ready."""
        self._helm("install", values)

    def upgrade(self, values: Mapping[str, Any] = DEFAULT_VALUES) -> None:
        """Give the release other values, and return once an operator that has them is ready."""
        self._helm("upgrade", values)

    def uninstall(self) -> None:
        self.helm.run("uninstall", RELEASE, f"--namespace={self.namespace}", "--wait", access=self.access)

    def _helm(self, command: str, values: Mapping[str, Any]) -> None:
        self.helm.run(
            *(command, RELEASE, self.helm.chart, f"--namespace={self.namespace}", "--wait", "--timeout=240s"),
            values={**LOCAL_IMAGES, **ANY_IMAGE, **values},
            access=self.access,
        )


@contextmanager
def operator_installed(access: ClusterAccess, helm: Helm, values: Mapping[str, Any]) -> Iterator[OperatorInstallation]:
    """Install the operator in a new namespace that enforces the restricted pod security standard, and remove both."""
    name = f"team-{uuid.uuid4().hex[:8]}"
    access.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED_POD_SECURITY}}
    )
    installation = OperatorInstallation(access.within(name), helm)
    installation.install(values)
    try:
        yield installation
    finally:
        installation.uninstall()
        access.run("delete", "namespace", name)
