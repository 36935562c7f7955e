"""
Find out why a search's workers do not work, in words for the person whose search it is.

Most causes are visible in the Jobs and pods of the cache. Two are not: Kueue says in a Workload why a Job waits in its
queue, and the Job controller says only in an event why it could not create a pod (a quota, a policy). These are read
from the API server, and only when a Job waits or lacks its pods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metasearch.cluster.api import Api, Forbidden, NotFound
from metasearch.errors import InvalidData, InvalidSpec, StoreUnavailable
from metasearch.exit_codes import EXIT_RESTART
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch_operator.cache import EndedContainer, WorkerJob, WorkerPod
from metasearch_operator.reasons import ReadyReason

Json = dict[str, Any]

FIRST_POD_SECONDS = 2.0
"""Time for the Job controller to create a Job's first pod; only after it is a missing pod a problem."""

RECENT_SECONDS = 900.0
"""Age of the last refusal of a pod after which the others are taken to be about to come. Kubernetes tries again less
and less often, but more often than that."""

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
STARTING_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})
"""The kubelet's reasons for a container that waits: an image that it cannot get, and a normal start."""

EXIT_REASONS = {
    InvalidSpec.exit_code: ReadyReason.INVALID_SPEC,
    InvalidData.exit_code: ReadyReason.INVALID_DATA,
    StoreUnavailable.exit_code: ReadyReason.STORE_UNAVAILABLE,
}
"""Exit codes by which a worker says itself what is wrong."""

NO_QUEUE = "is suspended, and in no queue; if Kueue has done that, name one in worker.queueName"
NO_KUEUE = "there is no Kueue in this cluster, so that it waits for ever; install it, or take worker.queueName away"


@dataclass(frozen=True)
class Problem:
    """A cause that a person, or the cluster, has to remove."""

    reason: ReadyReason
    message: str


def diagnose(
    api: Api,
    namespace: str,
    jobs: Sequence[WorkerJob],
    pods: Sequence[WorkerPod],
    last_claimed_at: float,
    now: float,
) -> Problem | None:
    """
    Return the most severe problem of a search's workers, or None.

    Args:
        last_claimed_at: when a worker last claimed a trial, as a Unix time in seconds.
        now: Unix time in seconds.
    """
    # What the cache shows comes first, since the other two may have to ask the API server.
    return (
        worker_problem(jobs, pods, last_claimed_at)
        or lost_node_problem(pods, now)
        or queue_problem(api, namespace, jobs)
        or pod_creation_problem(api, namespace, jobs, pods, now)
    )


# --- in Jobs and pods ---------------------------------------------------------------------------------------------


def worker_problem(jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod], last_claimed_at: float) -> Problem | None:
    """
    Return the most severe problem that Jobs and pods show, or None.

    Args:
        last_claimed_at: a Unix time in seconds; failures before a worker claimed a trial have been mended.
    """
    # Failures come before pods that only wait: a pod that failed says more about the cause than its successor.
    failed = [pod.ended for pod in pods if pod.ended and _has_failed(pod.ended) and pod.ended.at > last_claimed_at]
    if failed:
        return _failure_problem(max(failed, key=lambda ended: ended.at))
    for pod in pods:
        if problem := _start_problem(pod):
            return problem
    for job in jobs:
        if job.failed_at is not None and job.failed_at > last_claimed_at:
            return Problem(ReadyReason.WORKERS_FAILING, f"the Job {job.name} was given up: {job.failure}")
    return None


def _start_problem(pod: WorkerPod) -> Problem | None:
    """Return why a pod does not start, or None if it does."""
    if pod.is_over or pod.is_terminating:
        return None
    if pod.waiting and pod.waiting[0] not in STARTING_REASONS:
        reason, message = pod.waiting
        kind = ReadyReason.IMAGE_UNAVAILABLE if reason in IMAGE_REASONS else ReadyReason.WORKERS_FAILING
        return Problem(kind, f"the pod {pod.name} cannot start: {message or reason}")
    if pod.not_scheduled:
        return Problem(ReadyReason.UNSCHEDULABLE, f"no node takes the pod {pod.name}: {pod.not_scheduled}")
    return None


def lost_node_problem(pods: Sequence[WorkerPod], now: float) -> Problem | None:
    """Return that nodes do not end their pods, or None. `now` is a Unix time in seconds."""
    overdue = [pod for pod in pods if pod.ends_at is not None and now > pod.ends_at and not pod.is_over]
    if not overdue:
        return None
    nodes = ", ".join(sorted({pod.node or "none" for pod in overdue}))
    named = f"the pod {overdue[0].name}" + (f" and {len(overdue) - 1} more" if len(overdue) > 1 else "")
    return Problem(
        ReadyReason.NODE_LOST,
        f"{named} should have ended and has not, for the node does not answer ({nodes}); the operator removes what "
        "stays, and other nodes go on",
    )


def _has_failed(ended: EndedContainer) -> bool:
    return ended.exit_code not in (0, EXIT_RESTART)


def _failure_problem(ended: EndedContainer) -> Problem:
    if ended.reason == "OOMKilled":
        advice = "a worker was killed for lack of memory; raise its limit or lower worker.slots"
        return Problem(ReadyReason.WORKERS_FAILING, advice)
    # The last line: what comes before it may be a traceback or the output of a library.
    last_line = ended.message.splitlines()[-1] if ended.message else ""
    if ended.exit_code in EXIT_REASONS and last_line:
        return Problem(EXIT_REASONS[ended.exit_code], last_line)
    return Problem(
        ReadyReason.WORKERS_FAILING,
        f"workers end with exit code {ended.exit_code}: {last_line or ended.reason or 'they printed nothing'}",
    )


# --- in Workloads of Kueue ----------------------------------------------------------------------------------------


def queue_problem(api: Api, namespace: str, jobs: Sequence[WorkerJob]) -> Problem | None:
    """Return why a Job waits for Kueue, or None if none does. Asks the API server only if a Job waits in a queue."""
    waiting = [job for job in jobs if job.is_suspended and not (job.is_terminating or job.failed_at)]
    if not waiting:
        return None
    job = waiting[0]
    if job.queue is None:
        return Problem(ReadyReason.QUEUED, f"the Job {job.name} {NO_QUEUE}")
    parts = [f"the Job {job.name} waits in the queue {job.queue}", _kueue_message(api, namespace, job)]
    return Problem(ReadyReason.QUEUED, ": ".join(filter(None, parts)))


def _kueue_message(api: Api, namespace: str, job: WorkerJob) -> str:
    """Return Kueue's own words; none where it has said nothing yet, or we may not read it."""
    for workloads in names.WORKLOADS:
        try:
            found, _ = api.list_all(workloads.path(namespace), labelSelector=f"{names.LABEL_JOB_UID}={job.uid}")
        except NotFound:  # another release of Kueue, or none
            continue
        except (Forbidden, StoreUnavailable):  # Kueue converts its versions itself, and may be down
            return ""
        conditions = [each for workload in found for each in workload.get("status", {}).get("conditions", [])]
        # QuotaReserved is the step that Jobs wait for. Evicted and others only tell of the past.
        waits = [each["message"] for each in conditions if (each["type"], each["status"]) == ("QuotaReserved", "False")]
        return waits[0] if waits else ""
    return NO_KUEUE


# --- in events of a Job -------------------------------------------------------------------------------------------


def pod_creation_problem(
    api: Api, namespace: str, jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod], now: float
) -> Problem | None:
    """
    Return why a Job gets no pods, or fewer than it should have, or None. Asks the API server only if some are overdue.

    Args:
        now: Unix time in seconds.
    """
    short = [job for job in jobs if _wants_pods(job) and _pods_of(job, pods) < job.parallelism]
    if not short or now - short[0].created_at < FIRST_POD_SECONDS:
        return None
    job, has = short[0], _pods_of(short[0], pods)
    events, _ = api.list_all(
        names.EVENT.path(namespace), fieldSelector=f"involvedObject.uid={job.uid},reason=FailedCreate"
    )
    if not events:
        return None
    # Events of the newer API have no lastTimestamp. Both are RFC 3339 in UTC, which sorts as text.
    newest = max(events, key=_time_of)
    if has and now - Time(_time_of(newest)).unix_seconds > RECENT_SECONDS:
        return None  # the pods that are missing now were there since, and are being replaced
    gets = f"{has} of {job.parallelism}" if has else "no"
    return Problem(ReadyReason.PODS_REFUSED, f"the Job {job.name} gets {gets} pods: {newest.get('message', '')}")


def _time_of(event: Json) -> str:
    time: str = event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
    return time


def _pods_of(job: WorkerJob, pods: Sequence[WorkerPod]) -> int:
    """Count the pods of a Job that are not over; those of an earlier template's have another name."""
    return sum(pod.name.startswith(f"{job.name}-") and not pod.is_over for pod in pods)


def _wants_pods(job: WorkerJob) -> bool:
    return bool(job.parallelism) and not (job.is_suspended or job.is_terminating or job.failed_at)


def job_without_pods(jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod]) -> WorkerJob | None:
    """Return a Job that should have pods and has none: something refuses them, or they are about to be created."""
    if any(not pod.is_over for pod in pods):
        return None
    wanting = [job for job in jobs if _wants_pods(job)]
    return wanting[0] if wanting else None
