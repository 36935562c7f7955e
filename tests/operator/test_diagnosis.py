"""The cause why workers do not work is found in Jobs, pods, Workloads of Kueue and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import STARTED
from operator_builders import RecordingApi, make_ended, make_job, make_pod

from metasearch.cluster.api import Forbidden, NotFound
from metasearch.errors import StoreUnavailable
from metasearch.exit_codes import EXIT_RESTART
from metasearch_operator.cache import WorkerJob, WorkerPod
from metasearch_operator.diagnosis import (
    FIRST_POD_SECONDS,
    IMAGE_REASONS,
    RECENT_SECONDS,
    STARTING_REASONS,
    job_without_pods,
    lost_node_problem,
    pod_creation_problem,
    queue_problem,
    worker_problem,
)

Json = dict[str, Any]

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
def test_a_problem_is_named(pods: Sequence[WorkerPod], jobs: Sequence[WorkerJob], reason: str, words: str) -> None:
    found = worker_problem(jobs, pods, last_claimed_at=STARTED)
    assert found is not None
    assert found.reason == reason
    assert words in found.message


@pytest.mark.parametrize(
    ("pods", "jobs"),
    [
        pytest.param([], [], id="nothing there"),
        pytest.param([make_pod()], [make_job()], id="at work"),
        *(pytest.param([waiting(reason)], [], id=f"starting {reason}") for reason in sorted(STARTING_REASONS)),
        pytest.param([over(EXIT_RESTART)], [], id="after SIGTERM"),
        pytest.param([make_pod("p", phase="Succeeded", ended=make_ended(0))], [], id="done"),
        pytest.param([over(1, at=STARTED)], [], id="failed before the last claim"),
        pytest.param([], [replace(FAILED_JOB, failed_at=STARTED)], id="given up before the last claim"),
        pytest.param([replace(UNSCHEDULED, ends_at=STARTED)], [], id="on its way out"),
    ],
)
def test_what_is_as_it_should_be_is_no_problem(pods: Sequence[WorkerPod], jobs: Sequence[WorkerJob]) -> None:
    assert worker_problem(jobs, pods, last_claimed_at=STARTED) is None


def test_the_last_of_several_failures_is_named() -> None:
    found = worker_problem([], [over(1, "first"), over(1, "last", at=STARTED + 9)], STARTED)
    assert found is not None
    assert found.message.endswith("last")


def test_a_node_that_does_not_end_its_pods_is_named() -> None:
    leaving = [make_pod("a", ends_at=STARTED), make_pod("b", ends_at=STARTED, node="node-2")]
    found = lost_node_problem([make_pod(), *leaving], STARTED + 1)
    assert found is not None
    assert found.reason == "NodeLost"
    assert "the pod a and 1 more should have ended" in found.message
    assert "(node-1, node-2)" in found.message
    assert lost_node_problem(leaving, STARTED) is None  # within their grace
    assert lost_node_problem([replace(leaving[0], phase="Failed")], STARTED + 1) is None


@pytest.mark.parametrize(
    ("job", "pods", "expected"),
    [
        pytest.param(make_job(), [], True, id="it has none"),
        pytest.param(make_job(), [make_pod(phase="Failed")], True, id="it has only failed ones"),
        pytest.param(make_job(), [make_pod(phase="Pending")], False, id="one is about to start"),
        pytest.param(make_job(parallelism=0), [], False, id="it wants none"),
        pytest.param(make_job(is_suspended=True), [], False, id="it waits for Kueue"),
        pytest.param(make_job(is_terminating=True), [], False, id="it is removed"),
        pytest.param(FAILED_JOB, [], False, id="it was given up"),
    ],
)
def test_a_job_that_wants_pods_and_has_none_is_found(job: WorkerJob, pods: Sequence[WorkerPod], expected: bool) -> None:
    assert job_without_pods([job], pods) == (job if expected else None)


# --- in Workloads of Kueue ------------------------------------------------------------------------------------------

WAITING = make_job(queue="team-a", is_suspended=True)
NO_QUOTA = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default, 1 more needed"
BEGINNING = "the Job test-workers-0 waits in the queue team-a"


def condition(type: str, status: str, message: str) -> Json:
    return {"type": type, "status": status, "message": message}


def workload(*conditions: Json) -> Json:
    return {"status": {"conditions": conditions}}


def queue_message(api: RecordingApi) -> str:
    found = queue_problem(api, "team-a", [WAITING])  # type: ignore[arg-type]
    assert found is not None
    assert found.reason == "Queued"
    return found.message


def test_the_message_is_what_kueue_says_of_a_job_that_waits() -> None:
    api = RecordingApi(
        {"1": workload(condition("Evicted", "True", "preempted"), condition("QuotaReserved", "False", NO_QUOTA))}
    )
    assert queue_message(api) == f"{BEGINNING}: {NO_QUOTA}"
    assert api.asked == [
        (
            "list",
            "/apis/kueue.x-k8s.io/v1beta2/namespaces/team-a/workloads",
            {"labelSelector": "kueue.x-k8s.io/job-uid=job-uid"},
        )
    ]


@pytest.mark.parametrize(
    "api",
    [
        pytest.param(RecordingApi(), id="no Workload yet"),
        pytest.param(RecordingApi({"1": {}}), id="one that nobody has looked at yet"),
        pytest.param(RecordingApi({"1": workload(condition("QuotaReserved", "True", "in q"))}), id="about to start"),
        pytest.param(RecordingApi(errors={"list": Forbidden("no")}), id="it may not be read"),
        pytest.param(RecordingApi(errors={"list": StoreUnavailable("conversion webhook failed")}), id="Kueue is away"),
    ],
)
def test_a_job_of_which_kueue_says_nothing_waits_all_the_same(api: RecordingApi) -> None:
    assert queue_message(api) == BEGINNING


def test_an_older_kueue_is_asked_in_its_own_words() -> None:
    class Older(RecordingApi):
        def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
            if "v1beta2" in path:
                raise NotFound(path)
            return super().list_all(path, **query)

    assert queue_message(Older({"1": workload(condition("QuotaReserved", "False", NO_QUOTA))})).endswith(NO_QUOTA)


def test_the_message_says_that_a_cluster_has_no_kueue() -> None:
    assert "there is no Kueue" in queue_message(RecordingApi(errors={"list": NotFound("no such kind")}))


def test_a_suspended_job_in_no_queue_has_a_problem_of_its_own() -> None:
    """A person has suspended it, or a Kueue that manages all Jobs."""
    api = RecordingApi()
    found = queue_problem(api, "team-a", [make_job(is_suspended=True)])  # type: ignore[arg-type]
    assert found is not None
    assert "name one in worker.queueName" in found.message
    assert not api.asked


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(make_job(queue="team-a"), id="it was let in"),
        pytest.param(make_job(queue="team-a", is_suspended=True, is_terminating=True), id="it is removed"),
        pytest.param(make_job(queue="team-a", is_suspended=True, failed_at=1.0), id="it was given up"),
    ],
)
def test_nothing_is_asked_of_a_job_that_does_not_wait(job: WorkerJob) -> None:
    api = RecordingApi()
    assert queue_problem(api, "team-a", [job]) is None  # type: ignore[arg-type]
    assert not api.asked


# --- in events ------------------------------------------------------------------------------------------------------

LATER = STARTED + FIRST_POD_SECONDS


def event(message: str, at: str | None) -> dict[str, object]:
    return {"message": message, "lastTimestamp": at, "metadata": {"creationTimestamp": "2026-01-31T12:00:00Z"}}


def test_the_newest_refusal_of_a_jobs_pods_is_reported() -> None:
    api = RecordingApi(
        {
            "1": event("old", "2026-01-31T11:00:00Z"),
            "2": event("exceeded quota", None),
            "3": event("older", "2026-01-01"),
        }
    )
    found = pod_creation_problem(api, "team-a", [make_job()], [], LATER)
    assert found is not None
    assert (found.reason, found.message) == ("PodsRefused", "the Job test-workers-0 gets no pods: exceeded quota")
    ((_, path, query),) = api.asked
    assert path == "/api/v1/namespaces/team-a/events"
    assert query == {"fieldSelector": "involvedObject.uid=job-uid,reason=FailedCreate"}


def test_nothing_is_asked_as_long_as_pods_may_still_come() -> None:
    api = RecordingApi()
    assert pod_creation_problem(api, "team-a", [make_job()], [], LATER - 0.1) is None
    assert pod_creation_problem(api, "team-a", [make_job()], [make_pod(), make_pod("test-workers-0-b")], LATER) is None
    assert pod_creation_problem(api, "team-a", [], [], LATER) is None
    assert not api.asked


def test_a_job_that_gets_some_of_its_pods_is_told_of_while_they_are_refused() -> None:
    """As by a quota of one pod at a parallelism of two."""
    api = RecordingApi({"1": event("exceeded quota", "1970-01-01T00:20:00Z")})  # STARTED is 1000 s after the epoch
    jobs, pods = [make_job()], [make_pod(), make_pod("test-workers-9-a"), make_pod("test-workers-0-b", phase="Failed")]
    found = pod_creation_problem(api, "team-a", jobs, pods, 1200 + RECENT_SECONDS)
    assert found is not None
    assert found.message == "the Job test-workers-0 gets 1 of 2 pods: exceeded quota"
    assert pod_creation_problem(api, "team-a", jobs, pods, 1201 + RECENT_SECONDS) is None


def test_a_job_of_which_no_event_tells_is_waited_for() -> None:
    assert pod_creation_problem(RecordingApi(), "team-a", [make_job()], [], LATER) is None
