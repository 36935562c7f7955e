"""A search's Job is made, resized, replaced and removed. On a real API server: tests/cluster/test_workforce.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders import STARTED
from staff import NAMESPACE, RecordingApi, make_job

from metasearch.cluster.api import Conflict, NotFound, Refused
from metasearch_operator.copies import WorkerJob
from metasearch_operator.workforce import RETRY_SECONDS, dismiss, employ

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
MINE, OTHER = f"{JOBS}/test-workers-0", f"{JOBS}/test-workers-1"
LATER = STARTED + RETRY_SECONDS + 1

CREATE = ("create", JOBS, "test-workers-0")
DELETE = ("delete", MINE, {"preconditions": {"uid": "job-uid"}})
DELETE_OTHER = ("delete", OTHER, {"preconditions": {"uid": "other-uid"}})


def resize(pods: int) -> tuple[Any, ...]:
    test = {"op": "test", "path": "/metadata/uid", "value": "job-uid"}
    return ("patch", MINE, [test, {"op": "replace", "path": "/spec/parallelism", "value": pods}])


def wanted(pods: int = 2) -> dict[str, Any]:
    return {"metadata": {"name": "test-workers-0", "namespace": NAMESPACE}, "spec": {"parallelism": pods}}


ANOTHER = make_job(name="test-workers-1", uid="other-uid")


@pytest.mark.parametrize(
    ("pods", "jobs", "asked"),
    [
        pytest.param(2, [], [CREATE], id="there is none"),
        pytest.param(0, [], [], id="none is needed"),
        pytest.param(2, [make_job()], [], id="it is as it should be"),
        pytest.param(3, [make_job()], [resize(3)], id="it is too small"),
        pytest.param(0, [make_job()], [resize(0)], id="nobody is needed now"),
        pytest.param(2, [ANOTHER], [DELETE_OTHER, CREATE], id="it has another template"),
        pytest.param(2, [ANOTHER, make_job()], [DELETE_OTHER], id="an old one is still there"),
        pytest.param(2, [make_job(is_leaving=True)], [], id="it is about to go"),
        pytest.param(2, [make_job(failed_at=LATER - 1)], [], id="it was given up just now"),
        pytest.param(3, [make_job(failed_at=LATER - 1)], [], id="it was given up, and is too small"),
        pytest.param(2, [make_job(failed_at=STARTED)], [DELETE], id="it was given up a while ago"),
        pytest.param(2, [make_job(failed_at=STARTED, is_leaving=True)], [], id="it was given up, and removed"),
    ],
)
def test_the_next_step_is_taken(pods: int, jobs: Sequence[WorkerJob], asked: list[Any]) -> None:
    api = RecordingApi()
    employ(api, wanted(pods), jobs, LATER)
    assert api.asked == asked


@pytest.mark.parametrize(
    ("jobs", "verb", "error"),
    [
        pytest.param([], "create", Conflict("it is there"), id="made already"),
        pytest.param([make_job(parallelism=9)], "patch", Conflict("another uid"), id="replaced already"),
        pytest.param([make_job(parallelism=9)], "patch", NotFound("gone"), id="gone already"),
        pytest.param([make_job(failed_at=STARTED)], "delete", Conflict("another uid"), id="removed and made anew"),
    ],
)
def test_a_copy_that_is_behind_does_no_harm(jobs: Sequence[WorkerJob], verb: str, error: Exception) -> None:
    employ(RecordingApi(errors={verb: error}), wanted(), jobs, LATER)


def test_what_is_refused_is_not_passed_over() -> None:
    with pytest.raises(Refused, match="exceeded quota"):
        employ(RecordingApi(errors={"create": Refused("exceeded quota")}), wanted(), [], LATER)


def test_all_workers_are_let_go() -> None:
    api = RecordingApi()
    dismiss(api, NAMESPACE, [make_job(), ANOTHER, make_job(is_leaving=True)])
    assert api.asked == [DELETE, DELETE_OTHER]
