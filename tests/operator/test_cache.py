"""Objects are reduced to the fields that are used. As a real API server gives them: tests/cluster/test_cache.py."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from builders import SOME_CELL, STARTED, completed, make_accuracies, make_result, make_trial, pretend_result
from local_search import wait_until
from operator_builders import UID, make_search_json

from metasearch.cluster.api import Forbidden
from metasearch.cluster.reflector import Entry
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes.times import Time
from metasearch.kubernetes.trial_conversion import new_trial, status_of
from metasearch.search import trials
from metasearch.search.trials import Stage, Trial
from metasearch_operator.cache import (
    Cache,
    EndedContainer,
    WorkerLease,
    cached_trial,
    worker_job,
    worker_pod,
)

Json = dict[str, Any]

NOON = "2026-01-31T12:00:00Z"
NOON_SECONDS = Time(NOON).unix_seconds


def job(conditions: list[Json] | None = None, **changes: Any) -> Json:
    metadata = {
        "name": "j",
        "uid": "j-uid",
        "resourceVersion": "9",
        "creationTimestamp": NOON,
        "ownerReferences": [{"uid": "somebody"}, {"uid": UID, "controller": True}],
        **changes.pop("metadata", {}),
    }
    return {"metadata": metadata, "spec": {"parallelism": 3, **changes}, "status": {"conditions": conditions or []}}


def pod(status: Json | None = None, state: Json | None = None, **metadata: Any) -> Json:
    other = {"name": "injected", "state": {"waiting": {"reason": "PodInitializing"}}}
    containers = [other, *([{"name": "trainer", "state": state}] if state is not None else [])]
    return {
        "metadata": {"name": "p", "uid": "p-uid", **metadata},
        "status": {"phase": "Pending", "containerStatuses": containers, **(status or {})},
    }


# --- Jobs ---------------------------------------------------------------------------------------------------------


def test_of_a_job_is_kept_who_it_is_and_how_large() -> None:
    kept = worker_job(job())
    assert (kept.name, kept.uid, kept.owner, kept.created_at) == ("j", "j-uid", UID, NOON_SECONDS)
    assert (kept.parallelism, kept.is_suspended, kept.failed_at, kept.failure, kept.is_terminating) == (
        3,
        False,
        None,
        "",
        False,
    )


def test_a_job_says_that_it_waits_or_goes() -> None:
    assert worker_job(job(suspend=True)).is_suspended
    assert worker_job(job()).queue is None
    assert worker_job(job(metadata={"labels": {"kueue.x-k8s.io/queue-name": "team-a"}})).queue == "team-a"
    assert worker_job(job(metadata={"deletionTimestamp": NOON})).is_terminating


def test_a_job_that_nobody_controls_has_no_owner() -> None:
    assert worker_job(job(metadata={"ownerReferences": [{"uid": UID}]})).owner is None
    assert worker_job(job(metadata={"ownerReferences": []})).owner is None


@pytest.mark.parametrize("type", ["Failed", "Complete"])
def test_a_job_that_made_an_end_starts_no_more_pods(type: str) -> None:
    ended = {"type": type, "status": "True", "lastTransitionTime": NOON, "message": "backoff limit"}
    kept = worker_job(job([{"type": "FailureTarget", "status": "True", "lastTransitionTime": NOON}, ended]))
    assert (kept.failed_at, kept.failure) == (NOON_SECONDS, "backoff limit")
    assert worker_job(job([{**ended, "status": "False"}])).failed_at is None


# --- pods ---------------------------------------------------------------------------------------------------------


def test_of_a_pod_is_kept_what_it_is_doing() -> None:
    kept = worker_pod(pod({"phase": "Running"}, state={"running": {"startedAt": NOON}}))
    assert (kept.name, kept.uid, kept.phase, kept.is_terminating, kept.is_over) == (
        "p",
        "p-uid",
        "Running",
        False,
        False,
    )
    assert (kept.not_scheduled, kept.waiting, kept.ended) == (None, None, None)
    assert (kept.node, kept.ends_at) == (None, None)
    going = worker_pod({**pod(deletionTimestamp=NOON), "spec": {"nodeName": "node-1"}})
    assert going.is_terminating
    assert (going.node, going.ends_at) == ("node-1", NOON_SECONDS)


def test_a_pod_that_was_just_made_says_nothing_yet() -> None:
    kept = worker_pod({"metadata": {"name": "p", "uid": "p-uid"}})
    assert (kept.phase, kept.waiting, kept.ended, kept.not_scheduled) == ("Pending", None, None, None)


def test_a_pod_says_why_no_node_takes_it() -> None:
    conditions = [
        {"type": "Ready", "status": "False", "message": "no"},
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"},
    ]
    assert worker_pod(pod({"conditions": conditions})).not_scheduled == "0/2 nodes"
    scheduled = [{"type": "PodScheduled", "status": "True"}]
    assert worker_pod(pod({"conditions": scheduled})).not_scheduled is None


def test_a_pod_says_why_our_container_does_not_start() -> None:
    """Containers that others put beside the trainer's make no difference."""
    kept = worker_pod(pod(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}))
    assert kept.waiting == ("ImagePullBackOff", "no such image")
    assert worker_pod(pod(state={"waiting": {"reason": "ContainerCreating"}})).waiting == ("ContainerCreating", "")
    assert worker_pod(pod()).waiting is None


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        (
            {"exitCode": 3, "reason": "Error", "message": "no images\n", "finishedAt": NOON},
            EndedContainer(3, "Error", "no images", NOON_SECONDS),
        ),
        ({"exitCode": 137, "finishedAt": None}, EndedContainer(137, "", "", 0.0)),
    ],
)
def test_a_pod_says_how_our_container_ended(state: Json, ended: EndedContainer) -> None:
    assert worker_pod(pod({"phase": "Failed"}, state={"terminated": state})).ended == ended


# --- trials -------------------------------------------------------------------------------------------------------


def resource(trial: Trial, pod_uid: str | None = "pod") -> Json:
    made = new_trial(trial.spec, make_search_json())
    return {**made, "status": status_of(trial, pod_uid)}


def test_a_trial_is_kept_with_its_search_and_the_pod_of_its_claim() -> None:
    claimed = trials.claim(make_trial("a"), "w", STARTED, gpus=0.0)
    kept = cached_trial(resource(claimed))
    assert (kept.name, kept.owner, kept.pod_uid, kept.trial) == ("a", UID, "pod", claimed)
    assert cached_trial(resource(make_trial("a"))).pod_uid is None


def test_what_holds_no_trial_is_kept_as_nothing() -> None:
    """Such a resource must not keep the cache from being filled, nor the search from going on."""
    broken = resource(make_trial("a"))
    assert cached_trial({**broken, "spec": {}}).trial is None
    assert cached_trial({**broken, "status": {"state": "Asleep"}}).trial is None
    assert cached_trial({key: value for key, value in broken.items() if key != "status"}).trial == make_trial("a")


def test_a_claim_without_an_attempt_is_no_trial() -> None:
    """The CRD allows this, and whoever looks for the holder of the claim would fail."""
    claimed = resource(trials.claim(make_trial("a"), "w", STARTED, gpus=0.0))
    assert cached_trial({**claimed, "status": {**claimed["status"], "attempts": []}}).trial is None
    (attempt,) = claimed["status"]["attempts"]
    other = {**claimed["status"], "attempts": [{**attempt, "epoch": 2}]}
    assert cached_trial({**claimed, "status": other}).trial is None


@pytest.mark.parametrize(("stage", "candidate"), [(Stage.FINAL, SOME_CELL), (Stage.BASELINE, "Conv4")])
def test_a_final_trial_that_was_not_tested_is_no_trial(stage: Stage, candidate: str) -> None:
    done = make_trial("a", stage=stage, candidate=candidate)
    assert cached_trial(resource(completed(done, make_result()))).trial is None
    examined = completed(done, make_result(test=make_accuracies(0.5)))
    assert cached_trial(resource(examined)).trial == examined
    searched = completed(make_trial("a"), pretend_result(make_trial("a").spec))
    assert cached_trial(resource(searched)).trial == searched


# --- all of them --------------------------------------------------------------------------------------------------


def test_a_namespace_that_is_named_twice_is_watched_once() -> None:
    cache = Cache(None, ["a", "b", "a"], lambda _: None)  # type: ignore[arg-type]
    assert len(cache._all) == 4 * 2
    assert len(Cache(None, [], lambda _: None)._all) == 4  # type: ignore[arg-type]


class Leases:
    """A fake reflector of leases."""

    def __init__(self, seen_at: float, unbroken_since: float) -> None:
        self.unbroken_since, self._seen_at = unbroken_since, seen_at

    def of(self, _search: tuple[str, str]) -> list[Entry[str]]:
        return [Entry("p", "7", self._seen_at)]


@pytest.mark.parametrize(
    ("seen_at", "unbroken_since", "age"),
    [
        pytest.param(90.0, 10.0, 10.0, id="renewed ten seconds ago"),
        pytest.param(20.0, 10.0, 80.0, id="silent"),
        pytest.param(20.0, 95.0, 5.0, id="renewals could not be seen until just now"),
        pytest.param(20.0, math.inf, 0.0, id="renewals cannot be seen"),
    ],
)
def test_silence_counts_only_while_somebody_listens(seen_at: float, unbroken_since: float, age: float) -> None:
    cache = Cache(None, ["a"], lambda _: None, clock=lambda: 100.0)  # type: ignore[arg-type]
    cache._leases = [Leases(seen_at, unbroken_since)]  # type: ignore[list-item]
    assert cache.leases(("a", "test")) == {"p": WorkerLease("7", age)}


# --- what may be read -----------------------------------------------------------------------------------------------


class RefusingApi:
    """A fake `Api` that lists nothing, and refuses one namespace."""

    def list_all(self, path: str, **_query: str) -> tuple[list[Json], str]:
        if "/namespaces/closed/" in path:
            raise Forbidden(f"{path} is forbidden")
        return [], "1"

    def watch(self, *_: Any, **_query: str) -> Iterator[tuple[str, Json]]:
        time.sleep(0.01)
        return iter(())


def test_a_namespace_that_may_not_be_read_holds_up_no_other() -> None:
    cache = Cache(RefusingApi(), ["open", "closed"], lambda _: None)  # type: ignore[arg-type]
    assert not cache.is_synced
    with pytest.raises(StoreUnavailable, match="metatrials of the namespace open have not been listed yet"):
        cache.require_synced("open")
    cache.start()
    try:
        wait_until(lambda: cache.is_synced)
        cache.require_synced("open")
        with pytest.raises(Forbidden, match="may not list metatrials in the namespace closed"):
            cache.require_synced("closed")
    finally:
        cache.stop()
