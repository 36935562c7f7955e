"""
Why a search's workers do not work, in words for the person whose search it is.

Pure: from what its Jobs and pods say. What only an event of a Job tells (a quota, a policy that refuses its pods) is
asked for when there is a Job that wants pods and has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metasearch.errors import InvalidData, InvalidSpec, StoreUnavailable
from metasearch.kubernetes.worker_job import LEFT
from metasearch_operator.copies import EndedContainer, WorkerJob, WorkerPod
from metasearch_operator.reasons import ReadyReason

IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
STARTING_REASONS = frozenset({"", "ContainerCreating", "PodInitializing"})

EXIT_REASONS = {
    InvalidSpec.exit_code: ReadyReason.INVALID_SPEC,
    InvalidData.exit_code: ReadyReason.INVALID_DATA,
    StoreUnavailable.exit_code: ReadyReason.STORE_UNAVAILABLE,
}
"""A worker's exit codes, where it could say what is wrong."""


@dataclass(frozen=True)
class Trouble:
    """Something that a person has to mend, or a cluster."""

    reason: ReadyReason
    message: str


def find_trouble(jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod], last_claimed_at: float) -> Trouble | None:
    """
    What is worst of what is the matter.

    Args:
        last_claimed_at: when a worker last took a trial, as a Unix time in seconds; what failed before has been mended.
    """
    failed = [pod.ended for pod in pods if pod.ended and _has_failed(pod.ended) and pod.ended.at > last_claimed_at]
    if failed:
        return _of_failed(max(failed, key=lambda ended: ended.at))
    for pod in pods:
        if pod.is_over or pod.is_leaving:
            continue
        if pod.waiting and pod.waiting[0] not in STARTING_REASONS:
            reason, message = pod.waiting
            kind = ReadyReason.IMAGE_UNAVAILABLE if reason in IMAGE_REASONS else ReadyReason.WORKERS_FAILING
            return Trouble(kind, f"the pod {pod.name} cannot start: {message or reason}")
        if pod.not_scheduled:
            return Trouble(ReadyReason.UNSCHEDULABLE, f"no node takes the pod {pod.name}: {pod.not_scheduled}")
    for job in jobs:
        if job.failed_at is not None and job.failed_at > last_claimed_at:
            return Trouble(ReadyReason.WORKERS_FAILING, f"the Job {job.name} was given up: {job.failure}")
    return None


def is_without_pods(jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod]) -> WorkerJob | None:
    """A Job that wants pods and has none: something refuses them, or they are about to come."""
    if any(not pod.is_over for pod in pods):
        return None
    wanting = [job for job in jobs if job.parallelism and not (job.is_suspended or job.is_leaving or job.failed_at)]
    return wanting[0] if wanting else None


def _has_failed(ended: EndedContainer) -> bool:
    return ended.exit_code not in (0, LEFT)


def _of_failed(ended: EndedContainer) -> Trouble:
    if ended.reason == "OOMKilled":
        said = "a worker was killed for lack of memory; raise its limit or lower worker.slots"
        return Trouble(ReadyReason.WORKERS_FAILING, said)
    if ended.exit_code in EXIT_REASONS and ended.message:
        return Trouble(EXIT_REASONS[ended.exit_code], ended.message.splitlines()[-1])
    said = ended.message.splitlines()[-1] if ended.message else ended.reason
    return Trouble(
        ReadyReason.WORKERS_FAILING,
        f"workers end with exit code {ended.exit_code}: {said or 'they printed nothing'}",
    )
