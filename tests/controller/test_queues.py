"""What only Kueue tells."""

from __future__ import annotations

from typing import Any

import pytest
from staff import RecordingApi, make_job

from metasearch.cluster.api import Forbidden, NotFound
from metasearch.errors import StoreUnavailable
from metasearch_operator.copies import WorkerJob
from metasearch_operator.queues import queued

WAITING = make_job(queue="team-a", is_suspended=True)
NO_QUOTA = "couldn't assign flavors to pod set main: insufficient unused quota for cpu in flavor default, 1 more needed"
BEGINNING = "the Job test-workers-0 waits in the queue team-a"

Json = dict[str, Any]


def condition(type: str, status: str, message: str) -> Json:
    return {"type": type, "status": status, "message": message}


def workload(*conditions: Json) -> Json:
    return {"status": {"conditions": conditions}}


def told(api: RecordingApi) -> str:
    found = queued(api, "team-a", [WAITING])  # type: ignore[arg-type]
    assert found is not None
    assert found.reason == "Queued"
    return found.message


def test_what_kueue_says_of_a_job_that_waits_is_told() -> None:
    api = RecordingApi(
        {"1": workload(condition("Evicted", "True", "preempted"), condition("QuotaReserved", "False", NO_QUOTA))}
    )
    assert told(api) == f"{BEGINNING}: {NO_QUOTA}"
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
    assert told(api) == BEGINNING


def test_an_older_kueue_is_asked_in_its_own_words() -> None:
    class Older(RecordingApi):
        def list_all(self, path: str, **query: str) -> tuple[list[Json], str]:
            if "v1beta2" in path:
                raise NotFound(path)
            return super().list_all(path, **query)

    assert told(Older({"1": workload(condition("QuotaReserved", "False", NO_QUOTA))})).endswith(NO_QUOTA)


def test_a_cluster_without_kueue_is_told() -> None:
    assert "there is no Kueue" in told(RecordingApi(errors={"list": NotFound("no such kind")}))


def test_a_job_that_is_suspended_and_in_no_queue_is_told() -> None:
    """By hand, or by a Kueue that looks after all Jobs."""
    api = RecordingApi()
    found = queued(api, "team-a", [make_job(is_suspended=True)])  # type: ignore[arg-type]
    assert found is not None
    assert "name one in worker.queueName" in found.message
    assert not api.asked


@pytest.mark.parametrize(
    "job",
    [
        pytest.param(make_job(queue="team-a"), id="it was let in"),
        pytest.param(make_job(queue="team-a", is_suspended=True, is_leaving=True), id="it is removed"),
        pytest.param(make_job(queue="team-a", is_suspended=True, failed_at=1.0), id="it was given up"),
    ],
)
def test_nothing_is_asked_of_a_job_that_does_not_wait(job: WorkerJob) -> None:
    api = RecordingApi()
    assert queued(api, "team-a", [job]) is None  # type: ignore[arg-type]
    assert not api.asked
