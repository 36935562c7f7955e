"""
Whose trials are to be freed: a worker that is gone does not give back what it had claimed.

The copies may be behind, so a pod that is missing there is asked for before it is taken to be gone, and so is a lease
that was not renewed. A trial that is freed too early is run twice, which costs time; its record stays one.
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
from metasearch_operator.copies import RecordedTrial, WorkerLease, WorkerPod


@dataclass(frozen=True)
class Absence:
    """A trial whose worker is gone."""

    trial: Trial
    was_out_of_memory: bool
    """Its container was killed for lack of memory, and had no other trial."""


def absences(
    running: Sequence[RecordedTrial],
    pods: Iterable[WorkerPod],
    leases: Mapping[str, WorkerLease],
    api: Api,
    namespace: str,
) -> Iterator[Absence]:
    """
    Args:
        running: trials that are claimed.
        leases: by the pod's name.
    """
    by_uid = {pod.uid: pod for pod in pods}
    for recorded in running:
        if recorded.trial is None or recorded.trial.holder is None:
            continue
        pod = by_uid.get(recorded.pod_uid or "")
        name = pod_of(recorded.trial.holder)
        is_silent = _is_silent(api, namespace, name, leases.get(name))
        if pod is None and (is_silent or not _exists(api, namespace, name, recorded.pod_uid)):
            yield Absence(recorded.trial, was_out_of_memory=False)
        elif pod is not None and (pod.is_over or is_silent):
            alone = sum(other.pod_uid == pod.uid for other in running) == 1
            killed = pod.ended is not None and pod.ended.reason == "OOMKilled"
            yield Absence(recorded.trial, was_out_of_memory=killed and alone)


def free(absence: Absence, store: KubernetesStore, now: float) -> None:
    """Give the trial back to be run again; what killed its worker counts as an attempt."""
    trial = absence.trial
    with contextlib.suppress(StaleClaim):  # it was freed, or deleted, and the copy is behind
        if absence.was_out_of_memory:
            message = f"the container {CONTAINER} was killed for lack of memory"
            result = TrialResult(state=State.FAILED, reason=Reason.OUT_OF_MEMORY, message=message)
            store.complete(trial, result, now)
        elif trial.holder is not None:
            store.release_trial(trial.name, trial.holder, now, LOST)


def pod_of(worker: str) -> str:
    """The name of a worker's pod: `<pod>.<slot>-<start>` without the last part."""
    return worker.rpartition(".")[0]


def _is_silent(api: Api, namespace: str, name: str, lease: WorkerLease | None) -> bool:
    """Whether the worker has not renewed its lease for too long, and it is not the copy that is behind."""
    if lease is None or lease.age <= LEASE_SECONDS:
        return False
    try:
        there = api.get(names.LEASE.path(namespace, name))
    except NotFound:
        return True
    return bool(there["metadata"]["resourceVersion"] == lease.version)


def _exists(api: Api, namespace: str, name: str, uid: str | None) -> bool:
    """Whether the pod is there after all, and can still be at work."""
    try:
        pod = api.get(names.POD.path(namespace, name))
    except NotFound:
        return False
    is_over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return bool(pod["metadata"]["uid"] == uid) and not is_over
