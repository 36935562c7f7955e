"""Why workers do not work, told from what their Jobs and pods say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import STARTED
from staff import make_ended, make_job, make_pod

from metasearch.kubernetes.worker_job import LEFT
from metasearch_operator.copies import WorkerJob, WorkerPod
from metasearch_operator.troubles import IMAGE_REASONS, STARTING_REASONS, find_trouble, is_without_pods

FAILED_JOB = make_job(failed_at=STARTED + 5, failure="Job has reached the specified backoff limit")


def waiting(reason: str, message: str = "") -> WorkerPod:
    return make_pod("p", phase="Pending", waiting=(reason, message))


def over(exit_code: int, message: str = "", reason: str = "Error", at: float = STARTED + 1) -> WorkerPod:
    return make_pod("p", phase="Failed", ended=make_ended(exit_code, message, reason, at))


UNSCHEDULED = make_pod("p", phase="Pending", not_scheduled="0/2 nodes are available: 2 Insufficient cpu.")


@pytest.mark.parametrize(
    ("pods", "jobs", "reason", "words"),
    [
        pytest.param([UNSCHEDULED], [], "Unschedulable", "no node takes the pod p: 0/2 nodes", id="no node"),
        *(
            pytest.param(
                [waiting(reason, "no such tag")], [], "ImageUnavailable", "cannot start: no such tag", id=reason
            )
            for reason in sorted(IMAGE_REASONS)
        ),
        pytest.param(
            [waiting("CreateContainerConfigError")], [], "WorkersFailing", "cannot start: CreateContainer", id="config"
        ),
        pytest.param([over(2, "spec.x is wrong")], [], "InvalidSpec", "spec.x is wrong", id="spec"),
        pytest.param([over(3, "Loading\nno images")], [], "InvalidData", "no images", id="data, last line"),
        pytest.param([over(5, "read-only volume")], [], "StoreUnavailable", "read-only volume", id="store"),
        pytest.param([over(3)], [], "WorkersFailing", "exit code 3: Error", id="data, without a word"),
        pytest.param([over(137, reason="OOMKilled")], [], "WorkersFailing", "for lack of memory", id="memory"),
        pytest.param([over(1, "Trace\nboom")], [], "WorkersFailing", "exit code 1: boom", id="anything else"),
        pytest.param([over(1, reason="")], [], "WorkersFailing", "they printed nothing", id="without a word"),
        pytest.param([], [FAILED_JOB], "WorkersFailing", "was given up: Job has reached", id="a Job that was given up"),
        pytest.param([over(1, "boom"), UNSCHEDULED], [FAILED_JOB], "WorkersFailing", "boom", id="failures come first"),
    ],
)
def test_what_is_the_matter_is_told(
    pods: Sequence[WorkerPod], jobs: Sequence[WorkerJob], reason: str, words: str
) -> None:
    found = find_trouble(jobs, pods, last_claimed_at=STARTED)
    assert found is not None
    assert found.reason == reason
    assert words in found.message


@pytest.mark.parametrize(
    ("pods", "jobs"),
    [
        pytest.param([], [], id="nothing there"),
        pytest.param([make_pod()], [make_job()], id="at work"),
        *(pytest.param([waiting(reason)], [], id=f"starting {reason}") for reason in sorted(STARTING_REASONS)),
        pytest.param([over(LEFT)], [], id="told to leave"),
        pytest.param([make_pod("p", phase="Succeeded", ended=make_ended(0))], [], id="done"),
        pytest.param([over(1, at=STARTED)], [], id="failed before the last claim"),
        pytest.param([], [replace(FAILED_JOB, failed_at=STARTED)], id="given up before the last claim"),
        pytest.param([replace(UNSCHEDULED, is_leaving=True)], [], id="on its way out"),
    ],
)
def test_what_is_as_it_should_be_is_no_trouble(pods: Sequence[WorkerPod], jobs: Sequence[WorkerJob]) -> None:
    assert find_trouble(jobs, pods, last_claimed_at=STARTED) is None


def test_the_last_of_several_failures_is_told() -> None:
    found = find_trouble([], [over(1, "first"), over(1, "last", at=STARTED + 9)], STARTED)
    assert found is not None
    assert found.message.endswith("last")


@pytest.mark.parametrize(
    ("job", "pods", "expected"),
    [
        pytest.param(make_job(), [], True, id="it has none"),
        pytest.param(make_job(), [make_pod(phase="Failed")], True, id="it has only failed ones"),
        pytest.param(make_job(), [make_pod(phase="Pending")], False, id="one is about to start"),
        pytest.param(make_job(parallelism=0), [], False, id="it wants none"),
        pytest.param(make_job(is_suspended=True), [], False, id="it waits for Kueue"),
        pytest.param(make_job(is_leaving=True), [], False, id="it is removed"),
        pytest.param(FAILED_JOB, [], False, id="it was given up"),
    ],
)
def test_a_job_that_wants_pods_and_has_none_is_found(job: WorkerJob, pods: Sequence[WorkerPod], expected: bool) -> None:
    assert is_without_pods([job], pods) == (job if expected else None)
