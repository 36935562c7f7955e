"""MetaSearch resources on a cluster: create one, watch it and change it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import yaml

from metasearch.cluster.api import Api, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.trial_conversion import trial_of
from metasearch.search.trials import Trial
from metasearch.stores.kubernetes import KubernetesStore

Json = dict[str, Any]

SECONDS = 120
"""Generous, for machines that do other work besides."""


def create_search(api: Api, namespace: str, name: str, **spec: Any) -> Json:
    """Create a search on Omniglot; keywords are fields of spec."""
    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.SEARCH.kind,
        "metadata": {"name": name},
        "spec": {"dataset": {"name": "omniglot"}, **spec},
    }
    return api.create(names.SEARCH.path(namespace), body)


class SearchHandle:
    """A search on a cluster, with what tests read of it and do to it."""

    def __init__(self, api: Api, resource: Json) -> None:
        self.api, self.namespace, self.name = api, resource["metadata"]["namespace"], resource["metadata"]["name"]
        self.path = names.SEARCH.path(self.namespace, self.name)

    @property
    def resource(self) -> Json:
        return self.api.get(self.path)

    @property
    def status(self) -> Json:
        status: Json = self.resource.get("status", {})
        return status

    def condition(self, type: str) -> tuple[str, str, str]:
        """Return status, reason and message of a condition."""
        for condition in self.status.get("conditions", []):
            if condition["type"] == type:
                return condition["status"], condition["reason"], condition["message"]
        return "Unknown", "", ""

    def trials(self) -> list[Trial]:
        return [trial_of(resource) for resource in self._labelled(names.TRIAL)]

    def jobs(self) -> list[Json]:
        return self._labelled(names.JOB)

    def pods(self) -> list[Json]:
        return self._labelled(names.POD)

    def leases(self) -> list[Json]:
        return self._labelled(names.LEASE)

    def _labelled(self, kind: names.Kind | names.Resource) -> list[Json]:
        """Return all objects of a kind that carry the search's label."""
        found, _ = self.api.list_all(kind.path(self.namespace), labelSelector=f"{names.LABEL_SEARCH}={self.name}")
        return found

    def events(self) -> list[str]:
        """Return the reasons of all events."""
        found, _ = self.api.list_all(names.EVENT.path(self.namespace), fieldSelector=f"involvedObject.name={self.name}")
        return [event["reason"] for event in found]

    def edit(self, **spec: Any) -> None:
        """Replace whole fields of spec."""
        operations = [{"op": "add", "path": f"/spec/{field}", "value": value} for field, value in spec.items()]
        self.api.patch(self.path, operations)

    def delete(self, **options: Any) -> None:
        self.api.delete(self.path, **options)

    def remove(self, **options: Any) -> None:
        """Delete the search, and wait until it is gone."""
        self.delete(**options)
        deadline = time.monotonic() + SECONDS
        while self._is_there():
            assert time.monotonic() < deadline, f"{self.name} is still there"
            time.sleep(0.1)

    def _is_there(self) -> bool:
        try:
            return bool(self.resource)
        except NotFound:
            return False

    def store(self, pod_uid: str = "no-pod") -> KubernetesStore:
        return KubernetesStore(self.api, self.resource, max_attempts=2, pod_uid=pod_uid)

    def wait_for(self, what: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Poll until an answer is true, and return it."""
        deadline = time.monotonic() + seconds
        while not (answer := what()):
            assert time.monotonic() < deadline, f"in vain; the status is {yaml.safe_dump(self.status)}"
            time.sleep(0.1)
        return answer

    @property
    def is_over(self) -> bool:
        return any(self.condition(kind)[0] == "True" for kind in ("Succeeded", "Failed"))

    def wait_until_over(self, seconds: float = SECONDS) -> str:
        """Wait for the end of the search, and return Succeeded or Failed."""

        def end() -> str | None:
            return next((kind for kind in ("Succeeded", "Failed") if self.condition(kind)[0] == "True"), None)

        return str(self.wait_for(end, seconds))
