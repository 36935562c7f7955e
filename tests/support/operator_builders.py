"""Builders of what the operator reads from a cluster, and a fake API client that records its requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from builders import STARTED

from metasearch.cluster.api import NotFound
from metasearch.kubernetes.pod_settings import PodSettings
from metasearch.search import trials
from metasearch.search.trials import Trial
from metasearch_operator.cache import CachedTrial, EndedContainer, WorkerJob, WorkerPod

Json = dict[str, Any]

NAMESPACE, NAME, UID = "team-a", "test", "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed"


def make_settings(**changes: Any) -> PodSettings:
    """Make the settings of an installation; keywords as in its YAML."""
    return PodSettings.model_validate({"image": "registry/trainer:1", **changes})


def make_search_json(**spec: Any) -> Json:
    """Make a MetaSearch as the API server returns it; keywords are fields of spec as in YAML."""
    return {
        "apiVersion": "metasearch.dev/v1alpha1",
        "kind": "MetaSearch",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": UID, "generation": 1, "resourceVersion": "5"},
        "spec": {"dataset": {"name": "omniglot"}, **spec},
    }


def make_job(**changes: Any) -> WorkerJob:
    """Make a Job whose pods are at work."""
    job = WorkerJob(
        name="test-workers-0",
        uid="job-uid",
        owner=UID,
        created_at=STARTED,
        parallelism=2,
        is_suspended=False,
        queue=None,
        failed_at=None,
        failure="",
        is_terminating=False,
    )
    return replace(job, **changes)


def make_pod(name: str = "test-workers-0-a", **changes: Any) -> WorkerPod:
    """Make a pod that runs."""
    pod = WorkerPod(
        name=name,
        uid=f"{name}-uid",
        phase="Running",
        node="node-1",
        ends_at=None,
        not_scheduled=None,
        waiting=None,
        ended=None,
    )
    return replace(pod, **changes)


def make_ended(exit_code: int, message: str = "", reason: str = "Error", at: float = STARTED + 1) -> EndedContainer:
    return EndedContainer(exit_code, reason, message, at)


def claimed(trial: Trial, pod: WorkerPod, slot: int = 0) -> CachedTrial:
    """A trial that a slot of a pod has."""
    running = trials.claim(trial, f"{pod.name}.{slot}-0", STARTED, gpus=0.0)
    return CachedTrial(trial.name, UID, pod.uid, running)


@dataclass
class RecordingApi:
    """A fake `Api` that answers from a mapping and records every request."""

    objects: Mapping[str, Json] = field(default_factory=dict)
    """The existing objects, by path."""
    errors: Mapping[str, Exception] = field(default_factory=dict)
    """The error that a request raises, by its verb."""
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    """All requests except GET: verb, path and body."""

    def get(self, path: str) -> Json:
        if path not in self.objects:
            raise NotFound(f"{path} not found")
        return self.objects[path]

    def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
        self._ask("list", path, query)
        return list(self.objects.values()), "1"

    def create(self, path: str, body: Json) -> Json:
        self._ask("create", path, body["metadata"]["name"])
        return body

    def patch(self, path: str, operations: Sequence[Json]) -> None:
        self._ask("patch", path, operations)

    def delete(self, path: str, **options: Any) -> None:
        self._ask("delete", path, options)

    def _ask(self, verb: str, *what: Any) -> None:
        self.asked.append((verb, *what))
        if verb in self.errors:
            raise self.errors[verb]
