"""Pods that nobody else would remove are removed, and no others."""

from __future__ import annotations

from collections.abc import Mapping
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


def removed(
    pod: WorkerPod, now: float, lease_seconds: float | None = None, renewed: bool = False, errors: Any = None
) -> list[Mapping[str, Any]]:
    """Return the options of each deletion that is asked for, given the age of the pod's lease."""
    leases = {} if lease_seconds is None else {pod.name: WorkerLease("7", lease_seconds)}
    on_record = {LEASE: {"metadata": {"resourceVersion": "8" if renewed else "7"}}}
    api = RecordingApi(on_record, errors or {})
    remove_stuck_pods(api, NAMESPACE, [pod], leases, now)  # type: ignore[arg-type]
    assert all(asked[:2] == ("delete", PATH) for asked in api.asked)
    return [asked[2] for asked in api.asked]


@pytest.mark.parametrize("lease_seconds", [None, LEASE_SECONDS + 1])
def test_a_pod_that_its_node_does_not_end_is_removed(lease_seconds: float | None) -> None:
    assert removed(LEAVING, LATE, lease_seconds) == [{**SAME_UID, "gracePeriodSeconds": 0}]


def test_a_node_has_the_grace_and_some_more_to_end_its_pod() -> None:
    assert not removed(LEAVING, STARTED + OVERDUE_SECONDS)


def test_a_pod_that_works_is_left_to_its_node() -> None:
    assert not removed(POD, LATE, 0.0)
    assert not removed(LEAVING, LATE, LEASE_SECONDS)
    assert not removed(LEAVING, LATE, LEASE_SECONDS + 1, renewed=True)


def test_a_pod_that_hangs_is_told_to_end() -> None:
    assert removed(POD, STARTED, HUNG_SECONDS + 1) == [SAME_UID]
    assert not removed(POD, STARTED, HUNG_SECONDS)
    assert not removed(POD, STARTED, HUNG_SECONDS + 1, renewed=True)
    assert not removed(LEAVING, STARTED, HUNG_SECONDS + 1)  # once is enough


def test_a_pod_whose_other_containers_outlive_its_worker_is_told_to_end() -> None:
    ended = replace(POD, ended=make_ended(75, at=STARTED))
    assert removed(ended, STARTED + ENDED_SECONDS + 1) == [SAME_UID]
    assert not removed(ended, STARTED + ENDED_SECONDS)


def test_a_pod_that_is_over_stays_for_people_to_look_at() -> None:
    over = replace(POD, phase="Failed", ended=make_ended(1, at=STARTED))
    assert not removed(over, LATE + ENDED_SECONDS, HUNG_SECONDS + 1)
    assert not removed(replace(over, ends_at=STARTED), LATE)


def test_a_later_pod_of_the_name_is_no_error() -> None:
    assert removed(LEAVING, LATE, errors={"delete": Conflict("another uid")})
