"""A search's Job is sized, made, resized, replaced and deleted. On a real API server: tests/cluster/test_jobs.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from builders import STARTED, completed, make_result, make_spec, make_trial
from operator_builders import NAMESPACE, RecordingApi, make_job

from metasearch.cluster.api import Conflict, NotFound, Refused
from metasearch.kubernetes.worker_job import most_pods, slots_per_pod
from metasearch.search import trials
from metasearch.search.trials import LOST, Trial
from metasearch_operator.cache import WorkerJob
from metasearch_operator.jobs import IDLE_SECONDS, RECREATE_SECONDS, delete_jobs, desired_pods, ensure_job

JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
MINE, OTHER = f"{JOBS}/test-workers-0", f"{JOBS}/test-workers-1"
LATER = STARTED + RECREATE_SECONDS + 1

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
        pytest.param(2, [make_job(is_terminating=True)], [], id="it is about to go"),
        pytest.param(2, [make_job(failed_at=LATER - 1)], [], id="it was given up just now"),
        pytest.param(3, [make_job(failed_at=LATER - 1)], [], id="it was given up, and is too small"),
        pytest.param(2, [make_job(failed_at=STARTED)], [DELETE], id="it was given up a while ago"),
        pytest.param(2, [make_job(failed_at=STARTED, is_terminating=True)], [], id="it was given up, and removed"),
    ],
)
def test_the_next_step_is_taken(pods: int, jobs: Sequence[WorkerJob], asked: list[Any]) -> None:
    api = RecordingApi()
    ensure_job(api, wanted(pods), jobs, LATER)
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
def test_a_cache_that_is_behind_does_no_harm(jobs: Sequence[WorkerJob], verb: str, error: Exception) -> None:
    ensure_job(RecordingApi(errors={verb: error}), wanted(), jobs, LATER)


def test_what_is_refused_is_raised() -> None:
    with pytest.raises(Refused, match="exceeded quota"):
        ensure_job(RecordingApi(errors={"create": Refused("exceeded quota")}), wanted(), [], LATER)


def test_all_jobs_are_deleted() -> None:
    api = RecordingApi()
    delete_jobs(api, NAMESPACE, [make_job(), ANOTHER, make_job(is_terminating=True)])
    assert api.asked == [DELETE, DELETE_OTHER]


# --- its size -----------------------------------------------------------------------------------------------------


def pending(number: int) -> list[Trial]:
    return [make_trial(f"p{index}") for index in range(number)]


def running(*workers: str) -> list[Trial]:
    return [trials.claim(make_trial(worker), worker, STARTED, gpus=0.0) for worker in workers]


def done(*workers: str, ended: float = STARTED) -> list[Trial]:
    return [trials.complete(trial, trial.epoch, make_result(), ended, max_attempts=1) for trial in running(*workers)]


def needed(recorded: Sequence[Trial], now: float = STARTED, **spec: Any) -> int:
    return desired_pods(make_spec(**{"parallelism": 4, **spec}), recorded, now, in_queue=False)


@pytest.mark.parametrize(
    ("recorded", "pods"),
    [
        pytest.param([], 0, id="nothing to do"),
        pytest.param(pending(1), 1, id="one trial"),
        pytest.param(pending(9), 4, id="more than may run at once"),
        pytest.param(running("a.0-0", "b.0-0"), 2, id="all claimed"),
        pytest.param([*running("a.0-0"), *pending(1)], 2, id="one claimed"),
        pytest.param(done("a.0-0", "b.0-0", "c.0-0"), 3, id="idle since now"),
        pytest.param(done("a.0-0", "a.0-1", "a.0-1"), 1, id="one slot, by whatever process"),
    ],
)
def test_there_is_a_slot_for_every_trial_that_may_run(recorded: Sequence[Trial], pods: int) -> None:
    assert needed(recorded) == pods


def test_a_slot_that_has_nothing_to_do_is_kept_for_a_while() -> None:
    idle = done("a.0-0", "b.0-0")
    assert needed([*idle, *running("c.0-0")], STARTED + IDLE_SECONDS - 0.1) == 3
    assert needed([*idle, *running("c.0-0")], STARTED + IDLE_SECONDS) == 1
    assert needed(idle, STARTED + IDLE_SECONDS) == 0


def test_a_slot_that_was_lost_is_not_counted_for_ever() -> None:
    (lost,) = running("a.0-0")
    freed = trials.release(lost, STARTED, LOST)
    assert needed([freed], STARTED + IDLE_SECONDS) == 1
    assert needed([completed(make_trial("x"), make_result())], STARTED + 2 * IDLE_SECONDS) == 0


@pytest.mark.parametrize(
    ("slots", "parallelism", "open_trials", "pods"),
    [(2, 4, 1, 1), (2, 4, 3, 2), (2, 4, 9, 2), (3, 4, 9, 1), (8, 4, 9, 1), (8, 4, 1, 1), (1, 1, 9, 1)],
)
def test_slots_share_pods(slots: int, parallelism: int, open_trials: int, pods: int) -> None:
    assert needed(pending(open_trials), worker={"slots": slots}, parallelism=parallelism) == pods


@pytest.mark.parametrize(("slots", "parallelism"), [(1, 4), (2, 4), (3, 4), (4, 4), (8, 4), (2, 5)])
def test_there_are_no_more_pods_than_trials_take(slots: int, parallelism: int) -> None:
    spec = make_spec(worker={"slots": slots}, parallelism=parallelism)
    per_pod, most = slots_per_pod(spec), most_pods(spec)
    for open_trials in range(3 * parallelism):
        pods = desired_pods(spec, pending(open_trials), STARTED, in_queue=False)
        assert pods == most or pods * per_pod >= open_trials > (pods - 1) * per_pod
        assert pods <= most


def test_a_job_in_a_queue_keeps_its_size() -> None:
    """Kueue would take its pods away and have it queue again."""
    for recorded in (pending(1), running("a.0-0"), []):
        assert desired_pods(make_spec(parallelism=4), recorded, STARTED + 2 * IDLE_SECONDS, in_queue=True) == 4
