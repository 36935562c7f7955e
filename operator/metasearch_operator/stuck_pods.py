"""
Remove worker pods that nobody else will: those of a node that is gone for good, those whose supervisor hangs, and those
that another container, such as a proxy beside the worker, keeps running.

The Job of the workers replaces a pod only once it is gone (`podReplacementPolicy: Failed`), and what ends a pod is the
kubelet of its node. So a node that is lost for good would keep its slots for ever. Removing a pod while its container
may still run costs no result: the trial has been released, and a claim that is old records nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from metasearch.cluster.api import Api, Conflict, NotFound
from metasearch.kubernetes import names
from metasearch.kubernetes.times import Time
from metasearch_operator.cache import FAILED_PHASE, WorkerLease, WorkerPod
from metasearch_operator.lost_workers import is_silent
from metasearch_operator.reasons import ReadyReason

OVERDUE_SECONDS = 30.0
"""Time after the end of a pod's grace in which its node must have ended it, or be taken not to answer."""

HUNG_SECONDS = 300.0
"""Time without a renewal of its lease after which a pod that runs is told to end; longer than a node is cut off when
it is likely to come back."""


ENDED_SECONDS = 30.0
"""Time for the other containers of a pod to end after the worker's."""


def remove_stuck_pods(
    api: Api, namespace: str, pods: Sequence[WorkerPod], leases: Mapping[str, WorkerLease], now: float
) -> None:
    """
    Remove pods that should have ended and show no sign of life; tell pods to end that hang or outlive their worker.

    Args:
        leases: by the pod's name.
        now: Unix time in seconds, by the API server's clock, as a pod's end is.
    """
    for pod in pods:
        lease = leases.get(pod.name)
        if pod.ends_at is not None:
            is_overdue = now - pod.ends_at > OVERDUE_SECONDS
            # One that has no lease has not begun to work.
            if is_overdue and (lease is None or is_silent(api, namespace, pod.name, lease)):
                _remove(api, namespace, pod, now)
        elif not pod.is_over:
            hangs = lease is not None and lease.age > HUNG_SECONDS and is_silent(api, namespace, pod.name, lease)
            outlives = pod.ended is not None and now - pod.ended.at > ENDED_SECONDS
            if hangs or outlives:
                _delete(api, namespace, pod)


def _remove(api: Api, namespace: str, pod: WorkerPod, now: float) -> None:
    """Do with a pod what Kubernetes does with one whose node is no more: call it failed, and delete it at once."""
    if not pod.is_over:
        # The Job holds its pods by a finalizer until they are over, and by this condition does not count their failure.
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": ReadyReason.NODE_LOST,
            "message": f"the node {pod.node} has not ended the pod",
            "lastTransitionTime": Time.at(now),
        }
        with contextlib.suppress(Conflict, NotFound):
            api.patch(
                f"{names.POD.path(namespace, pod.name)}/status",
                [
                    {"op": "test", "path": "/metadata/uid", "value": pod.uid},
                    {"op": "replace", "path": "/status/phase", "value": FAILED_PHASE},
                    {"op": "add", "path": "/status/conditions/-", "value": condition},
                ],
            )
    _delete(api, namespace, pod, gracePeriodSeconds=0)


def _delete(api: Api, namespace: str, pod: WorkerPod, **options: int) -> None:
    # By uid as well: the cache may be behind, and the name have passed on.
    with contextlib.suppress(Conflict):
        api.delete(names.POD.path(namespace, pod.name), preconditions={"uid": pod.uid}, **options)
