"""Trials whose worker is gone are found and released."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from builders import STARTED, make_trial
from operator_builders import NAMESPACE, UID, RecordingApi, claimed, make_ended, make_pod

from metasearch.kubernetes.worker_job import LEASE_SECONDS
from metasearch.search.trials import LOST, Reason, StaleClaim, State
from metasearch_operator.cache import CachedTrial, WorkerLease, WorkerPod
from metasearch_operator.lost_workers import OrphanedTrial, find_orphaned, pod_of, release

POD = make_pod()
TRIAL = claimed(make_trial("a"), POD)
ON_RECORD = {f"/api/v1/namespaces/{NAMESPACE}/pods/{POD.name}": {"metadata": {"uid": POD.uid}, "status": {}}}
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{POD.name}"
SILENT = {POD.name: WorkerLease("7", LEASE_SECONDS + 1)}
OOM = replace(POD, phase="Failed", ended=make_ended(137, reason="OOMKilled"))


def lease(version: str) -> dict[str, Any]:
    return {LEASE: {"metadata": {"resourceVersion": version}}}


def orphaned(
    running: Sequence[CachedTrial],
    pods: Sequence[WorkerPod],
    leases: Mapping[str, WorkerLease] | None = None,
    objects: Mapping[str, Any] | None = None,
) -> dict[str, bool]:
    """Return the orphaned trials by name, with whether their worker was killed for lack of memory."""
    found = find_orphaned(running, pods, leases or {}, RecordingApi(objects or {}), NAMESPACE)
    return {orphan.trial.name: orphan.was_out_of_memory for orphan in found}


def test_a_worker_that_is_there_keeps_its_trials() -> None:
    assert not orphaned([TRIAL], [POD])
    assert not orphaned([TRIAL], [POD], {POD.name: WorkerLease("7", LEASE_SECONDS)})
    assert not orphaned([TRIAL], [replace(POD, ends_at=STARTED)])


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_has_lost_its_trials(phase: str) -> None:
    assert orphaned([TRIAL], [replace(POD, phase=phase)]) == {"a": False}


def test_a_pod_that_only_another_container_keeps_running_has_lost_its_trials() -> None:
    assert orphaned([TRIAL], [replace(POD, ended=make_ended(137, reason="OOMKilled"))]) == {"a": True}


def test_a_pod_that_is_gone_has_lost_its_trials() -> None:
    assert orphaned([TRIAL], []) == {"a": False}


def test_a_pod_that_only_the_cache_does_not_know_keeps_its_trials() -> None:
    assert not orphaned([TRIAL], [], objects=ON_RECORD)


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param({"metadata": {"uid": "another"}, "status": {}}, id="another of its name"),
        pytest.param({"metadata": {"uid": POD.uid}, "status": {"phase": "Failed"}}, id="one that has failed"),
    ],
)
def test_a_pod_that_is_not_the_one_or_not_at_work_has_lost_its_trials(pod: dict[str, Any]) -> None:
    (path,) = ON_RECORD
    assert orphaned([TRIAL], [], objects={path: pod}) == {"a": False}


def test_a_pod_that_gives_no_sign_of_life_has_lost_its_trials() -> None:
    """Its node does not answer, or its supervisor hangs: the pod is there all the same."""
    assert orphaned([TRIAL], [POD], SILENT, lease("7")) == {"a": False}
    assert orphaned([TRIAL], [POD], SILENT) == {"a": False}  # the lease is gone
    assert orphaned([TRIAL], [], SILENT, ON_RECORD | lease("7")) == {"a": False}


def test_a_renewal_that_only_the_cache_has_missed_keeps_the_trials() -> None:
    assert not orphaned([TRIAL], [POD], SILENT, lease("8"))


def test_a_trial_that_nobody_holds_is_left_alone() -> None:
    assert not orphaned([CachedTrial("a", UID, None, make_trial("a")), CachedTrial("b", UID, "x", None)], [])


def test_memory_is_to_blame_where_the_container_ran_that_trial_alone() -> None:
    assert orphaned([TRIAL], [OOM]) == {"a": True}
    other = claimed(make_trial("b"), POD, slot=1)
    assert orphaned([TRIAL, other], [OOM]) == {"a": False, "b": False}
    elsewhere = claimed(make_trial("b"), make_pod("elsewhere"))
    assert orphaned([TRIAL, elsewhere], [OOM, make_pod("elsewhere")]) == {"a": True}


def test_a_worker_tells_its_pod() -> None:
    assert pod_of("test-workers-0-a.1-12") == "test-workers-0-a"
    assert pod_of("with.dots.1-12") == "with.dots"


def test_a_worker_with_a_name_of_another_form_has_no_pod() -> None:
    """An empty name would read the list of all pods, which has no uid."""
    assert pod_of("somebody") is None
    trial = TRIAL.trial
    assert trial is not None
    held = replace(trial, attempts=(replace(trial.attempts[-1], worker="somebody"),))
    everything = {f"/api/v1/namespaces/{NAMESPACE}/pods/": {"metadata": {}}}
    assert orphaned([replace(TRIAL, trial=held)], [], objects=everything) == {"a": False}
    assert not orphaned([replace(TRIAL, trial=held)], [POD])


# --- how they are released -------------------------------------------------------------------------------------------


class Store:
    """A fake store that records the calls it gets."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done: list[tuple[Any, ...]] = []
        self._error = error

    def complete(self, trial: Any, result: Any, now: float) -> None:
        self._do("complete", trial.name, result.state, result.reason, now)

    def release_trial(self, name: str, worker: str, now: float, outcome: str) -> None:
        self._do("release", name, worker, now, outcome)

    def _do(self, *what: Any) -> None:
        self.done.append(what)
        if self._error:
            raise self._error


def test_a_lost_trial_is_given_back_and_lack_of_memory_is_an_attempt() -> None:
    assert TRIAL.trial is not None
    store = Store()
    release(OrphanedTrial(TRIAL.trial, was_out_of_memory=False), store, STARTED)
    release(OrphanedTrial(TRIAL.trial, was_out_of_memory=True), store, STARTED)
    assert store.done == [
        ("release", "a", f"{POD.name}.0-0", STARTED, LOST),
        ("complete", "a", State.FAILED, Reason.OUT_OF_MEMORY, STARTED),
    ]


@pytest.mark.parametrize("was_out_of_memory", [False, True])
def test_a_trial_that_was_released_before_is_no_problem(was_out_of_memory: bool) -> None:
    """The cache was behind, or somebody deleted the trial."""
    assert TRIAL.trial is not None
    release(OrphanedTrial(TRIAL.trial, was_out_of_memory), Store(StaleClaim("a")), STARTED)
