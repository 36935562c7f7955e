"""Brings a search's Job to what it should be: made, resized, replaced or removed, one step a pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.kubernetes import names
from metasearch_operator.copies import WorkerJob

RETRY_SECONDS = 60.0
"""How long a Job that was given up is left alone; then another is tried, for what was wrong may have been mended."""

Json = dict[str, Any]


def employ(api: Api, wanted: Json, jobs: Sequence[WorkerJob], now: float) -> None:
    """
    Have `wanted` be the search's only Job.

    Args:
        wanted: its manifest.
        jobs: those that the search has; a copy may be behind, so whatever is done here must bear being done twice.
        now: Unix time in seconds.
    """
    name, pods = wanted["metadata"]["name"], wanted["spec"]["parallelism"]
    for job in jobs:
        is_spent = job.failed_at is not None and now - job.failed_at > RETRY_SECONDS
        if job.name != name or is_spent:
            _remove(api, wanted["metadata"]["namespace"], job)
    mine = [job for job in jobs if job.name == name]
    if not mine and pods:
        _make(api, wanted)
    elif mine and mine[0].failed_at is None and mine[0].parallelism != pods:
        _resize(api, wanted["metadata"]["namespace"], mine[0], pods)


def dismiss(api: Api, namespace: str, jobs: Sequence[WorkerJob]) -> None:
    """Let all workers go."""
    for job in jobs:
        _remove(api, namespace, job)


def _make(api: Api, wanted: Json) -> None:
    try:
        api.create(names.JOB.path(wanted["metadata"]["namespace"]), wanted)
    except Conflict:  # it is there, and the copy is behind
        return


def _resize(api: Api, namespace: str, job: WorkerJob, pods: int) -> None:
    try:
        api.patch(
            names.JOB.path(namespace, job.name),
            [
                {"op": "test", "path": "/metadata/uid", "value": job.uid},
                {"op": "replace", "path": "/spec/parallelism", "value": pods},
            ],
        )
    except (Conflict, NotFound):
        return


def _remove(api: Api, namespace: str, job: WorkerJob) -> None:
    if job.is_leaving:
        return
    try:
        api.delete(names.JOB.path(namespace, job.name), preconditions={"uid": job.uid})
    except Conflict:  # another of the same name has taken its place
        return
