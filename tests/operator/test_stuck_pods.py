"""Pods that nobody else would remove are removed, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from builders import STARTED
from operator_builders import NAMESPACE, RecordingApi, make_ended, make_pod

from metasearch.cluster.api import Conflict
from metasearch.kubernetes.worker_job import LEASE_SECONDS
from metasearch_operator.cache import WorkerLease, WorkerPod
from metasearch_operator.stuck_pods import ENDED_SECONDS, HUNG_SECONDS, OVERDUE_SECONDS, remove_stuck_pods

POD = make_pod()
PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/{POD.name}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{POD.name}"
LEAVING = replace(POD, ends_at=STARTED)
LATE = STARTED + OVERDUE_SECONDS + 1
SAME_UID = {"preconditions": {"uid": POD.uid}}
AT_ONCE = {**SAME_UID, "gracePeriodSeconds": 0}


def asked(
    pod: WorkerPod, now: float, lease_seconds: float | None = None, renewed: bool = False, errors: Any = None
) -> list[Any]:
    """Return the requests that are made about a pod, given the age of its lease: `failed`, or options of a deletion."""
    leases = {} if lease_seconds is None else {pod.name: WorkerLease("7", lease_seconds)}
    on_record = {LEASE: {"metadata": {"resourceVersion": "8" if renewed else "7"}}}
    api = RecordingApi(on_record, errors or {})
    remove_stuck_pods(api, NAMESPACE, [pod], leases, now)  # type: ignore[arg-type]
    return [_in_short(*request) for request in api.asked]


def _in_short(verb: str, path: str, content: Any) -> Any:
    if verb == "delete":
        assert path == PATH
        return content
    assert (verb, path) == ("patch", f"{PATH}/status")
    test, phase, condition = content
    assert test == {"op": "test", "path": "/metadata/uid", "value": POD.uid}
    assert condition["value"]["type"] == "DisruptionTarget"  # which the Job does not count as a failure
    return phase["value"]


@pytest.mark.parametrize("lease_seconds", [None, LEASE_SECONDS + 1])
def test_a_pod_that_its_node_does_not_end_is_removed(lease_seconds: float | None) -> None:
    assert asked(LEAVING, LATE, lease_seconds) == ["Failed", AT_ONCE]


def test_a_node_has_the_grace_and_some_more_to_end_its_pod() -> None:
    assert not asked(LEAVING, STARTED + OVERDUE_SECONDS)


def test_a_pod_that_works_is_left_to_its_node() -> None:
    assert not asked(POD, LATE, 0.0)
    assert not asked(LEAVING, LATE, LEASE_SECONDS)
    assert not asked(LEAVING, LATE, LEASE_SECONDS + 1, renewed=True)


def test_a_pod_that_hangs_is_told_to_end() -> None:
    assert asked(POD, STARTED, HUNG_SECONDS + 1) == [SAME_UID]
    assert not asked(POD, STARTED, HUNG_SECONDS)
    assert not asked(POD, STARTED, HUNG_SECONDS + 1, renewed=True)
    assert not asked(LEAVING, STARTED, HUNG_SECONDS + 1)  # once is enough


def test_a_pod_whose_other_containers_outlive_its_worker_is_told_to_end() -> None:
    ended = replace(POD, ended=make_ended(75, at=STARTED))
    assert asked(ended, STARTED + ENDED_SECONDS + 1) == [SAME_UID]
    assert not asked(ended, STARTED + ENDED_SECONDS)


def test_a_pod_that_is_over_stays_for_people_to_look_at() -> None:
    over = replace(POD, phase="Failed", ended=make_ended(1, at=STARTED))
    assert not asked(over, LATE + ENDED_SECONDS, HUNG_SECONDS + 1)
    assert asked(replace(over, ends_at=STARTED), LATE) == [AT_ONCE]  # as it was asked for before


def test_a_later_pod_of_the_name_is_no_error() -> None:
    assert len(asked(LEAVING, LATE, errors={"patch": Conflict("uid"), "delete": Conflict("uid")})) == 2
