"""The operator as its users install it: by Helm, from built images, where pods must be restricted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.access import Access
from cluster.helm import Helm

RELEASE = "metasearch"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
IMAGES: Mapping[str, Any] = {"image": {"registry": "localhost", "tag": "dev", "pullPolicy": "Never"}}
"""Those that were built here, which nodes have from the start."""

NOTHING_MORE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Installation:
    """An operator for one namespace, which it shares with its searches."""

    access: Access
    """To that namespace."""
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
        """What the operator has logged."""
        return self.access.run("logs", f"--namespace={self.namespace}", self.operator_pod())


@contextmanager
def installed(access: Access, helm: Helm, values: Mapping[str, Any]) -> Iterator[Installation]:
    """Install it in a namespace of its own that enforces the restricted pod security standard."""
    name = f"team-{uuid.uuid4().hex[:8]}"
    access.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    install(access, helm, name, values)
    try:
        yield Installation(access.within(name), helm)
    finally:
        helm.run("uninstall", RELEASE, f"--namespace={name}", access=access)
        access.run("delete", "namespace", name)


def install(access: Access, helm: Helm, namespace: str, values: Mapping[str, Any] = NOTHING_MORE) -> None:
    """Returns once the operator is ready."""
    helm.run(
        *("install", RELEASE, helm.chart, f"--namespace={namespace}", "--wait", "--timeout=240s"),
        values={**IMAGES, **values},
        access=access,
    )
