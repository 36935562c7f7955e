"""What only events tell: why a Job gets no pods at all, such as a quota or a policy that refuses them."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch.cluster.api import Api
from metasearch.kubernetes import names
from metasearch_operator.copies import WorkerJob, WorkerPod
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.troubles import Trouble, is_without_pods

PATIENCE_SECONDS = 2.0
"""Time for the Job controller to make its first pod."""


def refusal(
    api: Api, namespace: str, jobs: Sequence[WorkerJob], pods: Sequence[WorkerPod], now: float
) -> Trouble | None:
    """Asks the API server only if there is a Job whose pods are overdue; `now` is a Unix time in seconds."""
    job = is_without_pods(jobs, pods)
    if job is None or now - job.created_at < PATIENCE_SECONDS:
        return None
    events, _ = api.list_all(
        names.EVENT.path(namespace), fieldSelector=f"involvedObject.uid={job.uid},reason=FailedCreate"
    )
    if not events:
        return None
    newest = max(events, key=lambda event: event.get("lastTimestamp") or event["metadata"]["creationTimestamp"])
    return Trouble(ReadyReason.PODS_REFUSED, f"the Job {job.name} gets no pods: {newest.get('message', '')}")
