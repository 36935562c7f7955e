"""
The Job of a search's workers: how many pods it should have, and the requests that make it so.

Every request is safe to repeat, for the cache may not show yet what was done a moment ago.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from metasearch.api import MetaSearchSpec
from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.worker_job import most_pods, slots_per_pod
from metasearch.search.trials import Trial
from metasearch.worker_names import slot_of
from metasearch_operator.cache import WorkerJob

IDLE_SECONDS = 60.0
"""Time that an idle slot is kept: one round follows another, and a pod takes seconds to start."""

RECREATE_SECONDS = 60.0
"""Time after which a failed Job is deleted and made again, for its cause may have been mended by then."""

Json = dict[str, Any]


# --- size ---------------------------------------------------------------------------------------------------------


def desired_pods(spec: MetaSearchSpec, trials: Sequence[Trial], now: float, *, in_queue: bool) -> int:
    """
    Return the number of pods that should run: enough slots for all open trials and for slots that were busy just now.

    Args:
        trials: all of the search's, with those that are about to be created.
        now: Unix time in seconds.
        in_queue: whether Kueue has to admit the Job. Kueue admits a Job of one size, and evicts all its pods when the
            size changes; so such a Job always has its full size.
    """
    if in_queue:
        return most_pods(spec)
    open_trials = sum(not trial.state.is_over for trial in trials)
    slots = max(open_trials, _recently_busy_slots(trials, now))
    return min(math.ceil(slots / slots_per_pod(spec)), most_pods(spec))


def _recently_busy_slots(trials: Sequence[Trial], now: float) -> int:
    """Count the slots that run a trial, or did within the last IDLE_SECONDS."""
    return len(
        {
            slot_of(attempt.worker)
            for trial in trials
            for attempt in trial.attempts
            if attempt.ended_at is None or now - attempt.ended_at < IDLE_SECONDS
        }
    )


# --- requests -----------------------------------------------------------------------------------------------------


def ensure_job(api: Api, wanted: Json, jobs: Sequence[WorkerJob], now: float) -> None:
    """
    Make `wanted` the search's only Job: create it, resize it, replace a failed one, delete those of other templates.

    Args:
        wanted: its manifest.
        jobs: the search's Jobs in the cache.
        now: Unix time in seconds.

    Raises:
        Refused: the API server does not accept the Job.
        StoreUnavailable: the API server, or a webhook that it asks, cannot be reached now.
    """
    name, pods = wanted["metadata"]["name"], wanted["spec"]["parallelism"]
    for job in jobs:
        is_expired = job.failed_at is not None and now - job.failed_at > RECREATE_SECONDS
        if job.name != name or is_expired:
            _delete(api, wanted["metadata"]["namespace"], job)
    # One that was deleted just now is among them: it keeps its name for a while, and a later reconcile makes it anew.
    same_name = [job for job in jobs if job.name == name]
    if not same_name and pods:
        _create(api, wanted)
    # A failed Job starts no more pods, whatever its size; it is left for people to look at until it expires.
    elif same_name and same_name[0].failed_at is None and same_name[0].parallelism != pods:
        _resize(api, wanted["metadata"]["namespace"], same_name[0], pods)


def delete_jobs(api: Api, namespace: str, jobs: Sequence[WorkerJob]) -> None:
    """Delete all Jobs of a search, and with them its pods."""
    for job in jobs:
        _delete(api, namespace, job)


def _create(api: Api, wanted: Json) -> None:
    try:
        api.create(names.JOB.path(wanted["metadata"]["namespace"]), wanted)
    except Conflict:  # an earlier reconcile created it, and the cache is behind
        return


def _resize(api: Api, namespace: str, job: WorkerJob, pods: int) -> None:
    try:
        api.patch(
            names.JOB.path(namespace, job.name),
            [
                # The uid, not the version: a Job's status changes all the time, and only its identity matters here.
                {"op": "test", "path": "/metadata/uid", "value": job.uid},
                {"op": "replace", "path": "/spec/parallelism", "value": pods},
            ],
        )
    except (Conflict, NotFound):  # deleted or replaced since; the next reconcile sees which
        return


def _delete(api: Api, namespace: str, job: WorkerJob) -> None:
    if job.is_terminating:
        return
    try:
        # By uid as well: in the cache's delay the name may have passed on to a newer Job.
        api.delete(names.JOB.path(namespace, job.name), preconditions={"uid": job.uid})
    except Conflict:  # another Job of this name has taken its place
        return
