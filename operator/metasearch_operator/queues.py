"""What only Kueue tells: why a Job still waits in its queue."""

from __future__ import annotations

from collections.abc import Sequence

from metasearch.cluster.api import Api, Forbidden, NotFound
from metasearch.errors import StoreUnavailable
from metasearch.kubernetes import names
from metasearch_operator.copies import WorkerJob
from metasearch_operator.reasons import ReadyReason
from metasearch_operator.troubles import Trouble

NO_QUEUE = "is suspended, and in no queue; if Kueue has done that, name one in worker.queueName"
NO_KUEUE = "there is no Kueue in this cluster, so that it waits for ever; install it, or take worker.queueName away"


def queued(api: Api, namespace: str, jobs: Sequence[WorkerJob]) -> Trouble | None:
    """Asks the API server only if there is a Job that waits in a queue."""
    waiting = [job for job in jobs if job.is_suspended and not (job.is_leaving or job.failed_at)]
    if not waiting:
        return None
    job = waiting[0]
    if job.queue is None:
        return Trouble(ReadyReason.QUEUED, f"the Job {job.name} {NO_QUEUE}")
    said = [f"the Job {job.name} waits in the queue {job.queue}", _why(api, namespace, job)]
    return Trouble(ReadyReason.QUEUED, ": ".join(filter(None, said)))


def _why(api: Api, namespace: str, job: WorkerJob) -> str:
    """In Kueue's words; none where it has said nothing yet, or we may not read it."""
    for workloads in names.WORKLOADS:
        try:
            found, _ = api.list_all(workloads.path(namespace), labelSelector=f"{names.LABEL_JOB_UID}={job.uid}")
        except NotFound:  # another release of Kueue, or none
            continue
        except (Forbidden, StoreUnavailable):  # Kueue itself converts its versions, and may be away
            return ""
        conditions = [each for workload in found for each in workload.get("status", {}).get("conditions", [])]
        said = [each["message"] for each in conditions if (each["type"], each["status"]) == ("QuotaReserved", "False")]
        return said[0] if said else ""
    return NO_KUEUE
