"""
Find trials whose worker is gone, and release them.

The cache may be behind. So a pod that it lacks and a lease that it calls old are read from the API server before the
worker is taken to be lost. A trial that is released too early is run twice, which costs time and nothing else: by the
rules of `search.trials`, only one of the two results is recorded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from metasearch.cluster.api import Api, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import CONTAINER, LEASE_SECONDS
from metasearch.search.trials import LOST, Reason, StaleClaim, State, Trial, TrialResult
from metasearch.stores.kubernetes import KubernetesStore
from metasearch.worker_names import WorkerName
from metasearch_operator.cache import PHASES_OVER, CachedTrial, WorkerLease, WorkerPod


@dataclass(frozen=True)
class OrphanedTrial:
    """A running trial whose worker is gone."""

    trial: Trial
    was_out_of_memory: bool
    """True if the kernel killed the worker's container for lack of memory while it ran this trial alone."""


def find_orphaned(
    running: Sequence[CachedTrial],
    pods: Iterable[WorkerPod],
    leases: Mapping[str, WorkerLease],
    api: Api,
    namespace: str,
) -> Iterator[OrphanedTrial]:
    """
    Yield the trials of workers whose pod is gone, whose container has ended, or that have stopped renewing their lease.

    Args:
        running: the search's trials in state Running.
        leases: by the pod's name.
    """
    by_uid = {pod.uid: pod for pod in pods}
    for recorded in running:
        if recorded.trial is None or recorded.trial.holder is None:
            continue
        pod = by_uid.get(recorded.pod_uid or "")
        name = pod_of(recorded.trial.holder)
        silent = name is not None and is_silent(api, namespace, name, leases.get(name))
        is_there = pod is not None or (name is not None and _exists(api, namespace, name, recorded.pod_uid))
        if not is_there or (pod is None and silent):
            yield OrphanedTrial(recorded.trial, was_out_of_memory=False)
        elif pod is not None and (pod.is_over or pod.ended is not None or silent):
            # With several trials in the container nobody can tell which of them took the memory.
            alone = sum(other.pod_uid == pod.uid for other in running) == 1
            killed = pod.ended is not None and pod.ended.reason == "OOMKilled"
            yield OrphanedTrial(recorded.trial, was_out_of_memory=killed and alone)


def release(orphan: OrphanedTrial, store: KubernetesStore, now: float) -> None:
    """
    Make a trial pending again.

    Lack of memory counts as one of its attempts (`budget.maxAttempts`), for it would most likely happen again; any
    other loss of a worker does not, for the trial had no part in it.
    """
    trial = orphan.trial
    with contextlib.suppress(StaleClaim):  # released or deleted before, and the cache is behind
        if orphan.was_out_of_memory:
            message = f"the container {CONTAINER} was killed for lack of memory"
            result = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message=message)
            store.complete(trial, result, now)
        elif trial.holder is not None:
            store.release_trial(trial.name, trial.holder, now, LOST)


def pod_of(worker: str) -> str | None:
    """Return the name of a worker's pod; None where the worker's name is none of ours, so that it has no pod."""
    try:
        return WorkerName.parse(worker).pod
    except ValueError:
        return None


def is_silent(api: Api, namespace: str, name: str, lease: WorkerLease | None) -> bool:
    """Return whether a worker's lease has expired, on the API server as well as in the cache."""
    # A worker that has not made its lease yet has only just started.
    if lease is None or lease.age <= LEASE_SECONDS:
        return False
    try:
        current = api.get(names.LEASE.path(namespace, name))
    except NotFound:
        return True
    # Another version means that it was renewed and the cache has missed it.
    return bool(current["metadata"]["resourceVersion"] == lease.version)


def _exists(api: Api, namespace: str, name: str, uid: str | None) -> bool:
    """Return whether the API server has a pod of this name and uid that has not ended."""
    try:
        pod = api.get(names.POD.path(namespace, name))
    except NotFound:
        return False
    is_over = pod.get("status", {}).get("phase") in PHASES_OVER
    return bool(pod["metadata"]["uid"] == uid) and not is_over
