"""Alerts about worker pods: whether they start, stay, and can write what they found."""

from __future__ import annotations

from metasearch.metrics import of_search, of_worker
from metasearch.metrics.of_search import SEARCH_LABELS
from monitoring.alerts import names
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import (
    ACTIVE,
    BY_SEARCH,
    BY_SEARCH_AND_REASON,
    COUNT,
    NOT_OVER,
    ON_SEARCH,
    SEARCH_NAME,
    SHARE,
    SHARE_THRESHOLD,
    condition,
    of_operators_with,
    one_of,
    select,
)

PODS = """\
    kubectl --namespace NAMESPACE describe metasearch SEARCH
    kubectl --namespace NAMESPACE get jobs,pods --selector metasearch.dev/search=SEARCH
"""

PENDING_PODS = f"sum {BY_SEARCH} ({select(of_search.WORKERS, phase='Pending')})"
STARTED_PODS = f"sum {BY_SEARCH} ({select(of_search.WORKERS, phase=one_of('Pending', 'Running'))})"

TOLD_ELSEWHERE = (
    *("InvalidSpec", "InvalidData", "ImageUnavailable", "WorkersFailing", "StoreUnavailable", "PodsRefused"),
    *("Queued", "OperatorError"),
)
"""Reasons that have alerts of their own, which say more."""

PENDING = Alert(
    name="MetaSearchWorkersPending",
    severity=Severity.WARNING,
    for_seconds=900,
    labels=SEARCH_LABELS,
    when="a search has no worker that runs, or more than $threshold of its pods (as a share) have not started",
    measure=f"""\
(
  {PENDING_PODS} / {STARTED_PODS}
  or {ON_SEARCH} sum {BY_SEARCH} ({condition("Ready", "False", "WaitingForWorkers", "Unschedulable", "NodeLost")})
)""",
    threshold=Threshold(Comparison.ABOVE, 0.5, is_share=True),
    guards=(f"unless {ON_SEARCH} {condition('Ready', 'False', *TOLD_ELSEWHERE)}", *ACTIVE),
    summary=f"Workers of the search {SEARCH_NAME} do not start",
    description=(
        f"Of the worker pods of the search {SEARCH_NAME}, {SHARE} wait to start (alerts above {SHARE_THRESHOLD}). It "
        "gets on slowly or not at all. The condition Ready has the scheduler's reason: lower what a pod asks for, or "
        "add nodes."
    ),
    runbook=Runbook(
        meaning="""\
Most worker pods of a search have been pending for a quarter of an hour, or it has none: no node takes them, or what
they need (a volume, an image that is pulled for the first time) takes its time.""",
        impact="The search gets on slowly or not at all, and `budget.wallTime` goes on being spent.",
        diagnosis=f"""\
What does the scheduler say? It is in the message of Ready, and in the pods' events:

{PODS}    kubectl --namespace NAMESPACE describe pods --selector metasearch.dev/search=SEARCH

- *Insufficient cpu, memory, nvidia.com/gpu*: a pod asks for more than any node has left.
- *untolerated taint*, *didn't match node selector*: `worker.template.tolerations`, `nodeSelector`.
- *unbound PersistentVolumeClaims*: the claim has no volume, or one in another zone.
- *no event, and no pod*: the Job's events (`kubectl describe job`) say what hinders it.

See also [pods are pending](../troubleshooting.md#pods-are-pending).""",
        mitigation="""\
- Lower `spec.parallelism`: pods that would only wait are not made then.
- Lower `spec.worker.template.resources`; any edit of `worker` makes a new Job.
- Add nodes, or free them. To stop the clock of the budget meanwhile, set `spec.suspend` to true.""",
    ),
)

IMAGE = Alert(
    name="MetaSearchWorkerImageUnavailable",
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="no worker of a search runs, because nodes cannot get the image (Ready has the reason ImageUnavailable)",
    measure=f"sum {BY_SEARCH} ({condition('Ready', 'False', 'ImageUnavailable')})",
    guards=ACTIVE,
    summary=f"The image of the workers of the search {SEARCH_NAME} cannot be pulled",
    description=(
        f"Nodes cannot get the trainer's image for the search {SEARCH_NAME}, so that none of its workers runs. The "
        "message of the condition Ready is the kubelet's: mend the image's name, or the registry's credentials."
    ),
    runbook=Runbook(
        meaning="The kubelet cannot get the image of a search's worker pods, and none of them runs.",
        impact="The search does not begin, or has stopped. Others are concerned as well if they use the same image.",
        diagnosis=f"""\
Which image, and what does the kubelet say?

{PODS}    kubectl --namespace NAMESPACE get events --field-selector reason=Failed

- *not found*: a typing error, or a tag that was never pushed.
- *unauthorized*: the Secrets of `image.pullSecrets` must be in the search's namespace.
- *no such host*, *timeout*: the registry, or the node's way to it.""",
        mitigation="""\
- Of one search: correct `spec.worker.template.image`; the operator makes a new Job.
- Of all: `helm upgrade` with the right `image.registry`, `image.tag` or `image.pullSecrets`.
- A registry that is away: the kubelet tries again by itself.""",
    ),
)

REFUSED = Alert(
    name="MetaSearchWorkersRefused",
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="a quota, a policy or a webhook refuses a search's pods (Ready has the reason PodsRefused)",
    measure=f"sum {BY_SEARCH} ({condition('Ready', 'False', 'PodsRefused')})",
    guards=ACTIVE,
    summary=f"The cluster refuses the workers of the search {SEARCH_NAME}",
    description=(
        f"The search {SEARCH_NAME} gets no worker pods: a quota, a policy, a webhook or a missing account refuses "
        "them. The message of the condition Ready says which; raise the quota, or ask for less."
    ),
    runbook=Runbook(
        meaning="""\
Something that decides over new pods refuses those of a search: a ResourceQuota, Pod Security, a webhook.""",
        impact="The search does not begin, or goes on without the workers that it lost.",
        diagnosis=f"""\
Who refuses, and in which words?

{PODS}    kubectl --namespace NAMESPACE describe jobs --selector metasearch.dev/search=SEARCH
    kubectl --namespace NAMESPACE describe resourcequotas

The words are explained under [a quota or a policy](../troubleshooting.md#a-quota-or-a-policy).""",
        mitigation="""\
- *exceeded quota*: have it raised, or lower `spec.parallelism` or `spec.worker.template.resources`.
- *serviceaccount … not found*: add the namespace to `watch.namespaces`, which makes the account.
- *failed calling webhook*: mend the webhook; nothing needs to be done here once it is back.
- *violates PodSecurity*: something changes the pods; look for a mutating webhook.""",
    ),
)

FAILING = Alert(
    name="MetaSearchWorkersFailing",
    severity=Severity.WARNING,
    for_seconds=300,
    labels=(*SEARCH_LABELS, "reason"),
    when="the workers of a search end before they train (Ready has the reason WorkersFailing or StoreUnavailable)",
    measure=f"sum {BY_SEARCH_AND_REASON} ({condition('Ready', 'False', 'WorkersFailing', 'StoreUnavailable')})",
    guards=ACTIVE,
    summary=f"Workers of the search {SEARCH_NAME} end before they train",
    description=(
        f"Worker pods of the search {SEARCH_NAME} end or do not start, and none has claimed a trial since "
        "({{ $labels.reason }}). The message of the condition Ready is the last line of their log; the log has the "
        "rest."
    ),
    runbook=Runbook(
        meaning="""\
Worker pods end with an error again and again, and none has claimed a trial since. With the reason `StoreUnavailable`
they cannot use `spec.storage`, or reach the API server.""",
        impact="""\
The search stands still. The operator makes new pods and later a new Job, so it goes on once the cause is gone.""",
        diagnosis=f"""\
What was the last that they said?

{PODS}    kubectl --namespace NAMESPACE logs --selector metasearch.dev/search=SEARCH --container trainer --tail 50
    kubectl --namespace NAMESPACE get pods --selector metasearch.dev/search=SEARCH \\
      --output custom-columns='NAME:.metadata.name,REASON:.status.containerStatuses[0].lastState.terminated.reason'

See [workers fail](../troubleshooting.md#workers-fail), [the storage](../troubleshooting.md#the-storage) and
[out of memory](../troubleshooting.md#out-of-memory).""",
        mitigation="""\
- *killed for lack of memory*: raise the limit in `spec.worker.template.resources`, or lower `spec.worker.slots`.
- The storage: free space on the claim, or mend the bucket, its Secret (`worker.storageSecret`) or the way to it.
- An error of the program: set `spec.suspend` to true, so that no pods are wasted, and report the log.""",
    ),
)

MEMORY = Alert(
    name="MetaSearchWorkersOutOfMemory",
    severity=Severity.WARNING,
    for_seconds=60,
    labels=SEARCH_LABELS,
    when="$threshold trials of a search or more have run out of memory within an hour",
    measure=f"sum {BY_SEARCH} (increase({select(of_search.ATTEMPTS, outcome='OutOfMemory')}[1h]))",
    threshold=Threshold(Comparison.AT_LEAST, 2),
    guards=ACTIVE,
    summary=f"Trials of the search {SEARCH_NAME} run out of memory",
    description=(
        f"Within an hour {COUNT} more attempts of the search {SEARCH_NAME} ended for lack of memory. Large cells never "
        "get a score, and the search turns to small ones. Give workers more memory, or let fewer trials share it."
    ),
    runbook=Runbook(
        meaning="""\
Attempts at trials end with `OutOfMemory`: the kernel killed the container that had this trial alone, a GPU had no
memory left, or `budget.trialMemory` was reached.""",
        impact="""\
Each such trial is tried again (`budget.maxAttempts`) and then fails, which takes time. As large cells are those that
fail, the search learns that large is bad, and its result may not be the best that it could have found.""",
        diagnosis="""\
Which trials, and how large are they?

    kubectl metasearch trials SEARCH --namespace NAMESPACE
    kubectl --namespace NAMESPACE get metatrials --selector metasearch.dev/search=SEARCH --output wide \\
      | grep OutOfMemory

How much do workers use, of how much? In Prometheus, beside the limit in `spec.worker.template.resources`:

    max by (namespace, search) (metasearch_worker_memory_bytes)
    max by (namespace, search) (metasearch_worker_gpu_memory_bytes)""",
        mitigation="""\
- Raise `spec.worker.template.resources.limits.memory`, or lower `spec.worker.slots`; the search goes on with new
  pods.
- On a GPU: lower `spec.worker.slots`, see [GPUs](../gpus.md).
- `budget.trialMemory` that is too tight: raise it; trials that failed stay failed.
- In the next search: bound the cells with `search.constraints`.""",
    ),
)

LOST_ATTEMPTS = f"sum {BY_SEARCH} (increase({select(of_search.ATTEMPTS, outcome='Lost')}[1h]))"
SLOTS_OF_A_WORKER = (
    f"sum {BY_SEARCH} (avg_over_time({select(of_search.SLOTS)}[1h]))"
    f" / sum {BY_SEARCH} (avg_over_time({select(of_search.WORKERS, phase='Running')}[1h]))"
)

LOST = Alert(
    name="MetaSearchWorkersLost",
    severity=Severity.WARNING,
    for_seconds=60,
    labels=SEARCH_LABELS,
    when="$threshold attempts of a search or more, of more than one worker, have lost theirs within an hour",
    measure=LOST_ATTEMPTS,
    threshold=Threshold(Comparison.AT_LEAST, 5),
    # One worker with many slots is no more than one loss.
    guards=(f"unless {ON_SEARCH} ({LOST_ATTEMPTS} <= 1.5 * {SLOTS_OF_A_WORKER})", *ACTIVE),
    summary=f"The search {SEARCH_NAME} loses workers",
    description=(
        f"Within an hour {COUNT} more attempts of the search {SEARCH_NAME} ended because their worker died or fell "
        "silent. They are tried again from their last checkpoint. Look for nodes that go away, and for pods that are "
        "killed for lack of memory."
    ),
    runbook=Runbook(
        meaning="""\
Workers vanish while they have trials: nodes that are taken away or do not answer, evictions, or a container with
several slots that is killed for lack of memory. An attempt counts as lost where the pod is gone, has ended, or has
not renewed its lease.""",
        impact="""\
No result is lost, and a trial goes on from its checkpoint where the search has a storage; without, it begins anew. A
trial that has lost ten workers fails.""",
        diagnosis=f"""\
What became of the pods?

{PODS}    kubectl --namespace NAMESPACE get events --sort-by .lastTimestamp \\
      | grep --ignore-case --extended-regexp 'evict|preempt|oom|kill|node'
    kubectl get nodes

What do the trials say?

    kubectl --namespace NAMESPACE get metatrials --selector metasearch.dev/search=SEARCH --output wide""",
        mitigation="""\
- Nodes that may go at any time (spot): set `spec.storage`, so that trials go on from checkpoints, and silence this
  alert there.
- Evictions for memory or disk: raise the requests in `spec.worker.template.resources`.
- Killed for lack of memory: as for [out of memory](MetaSearchWorkersOutOfMemory.md).
- One node: cordon it.""",
    ),
)

SPOOLED = Alert(
    name=names.SPOOLED,
    severity=Severity.WARNING,
    for_seconds=300,
    labels=SEARCH_LABELS,
    when="$threshold results of a search or more wait on the disks of its workers",
    measure=f"sum {BY_SEARCH} ({select(of_worker.SPOOLED)})",
    threshold=Threshold(Comparison.AT_LEAST, 1),
    # Workers tell of it also where no operator does, so nothing here needs one.
    guards=(of_operators_with(names.API_UNAVAILABLE), *NOT_OVER),
    summary=f"Results of the search {SEARCH_NAME} wait on workers' disks",
    description=(
        f"{COUNT} results of the search {SEARCH_NAME} could not be written to the API server and wait on the disks of "
        "worker pods. They are lost with their pods: keep the pods, and mend what keeps workers from the API server."
    ),
    runbook=Runbook(
        meaning="""\
Workers have finished trials and cannot write the results to the API server. They keep them on the pod's own disk and
try again.""",
        impact="""\
Nothing is lost while the pods live. A pod that is deleted or evicted takes its results with it, and the trials are
done again.""",
        diagnosis=f"""\
What do the workers say about the API server?

{PODS}    kubectl --namespace NAMESPACE logs --selector metasearch.dev/search=SEARCH --container trainer --tail 50

- *cannot be reached*, *timed out*: the API server, or a NetworkPolicy (`networkPolicy.apiServer`).
- *forbidden*: the role of the workers' account (`worker.serviceAccount.name`), or an admission policy that refuses
  the write.
- The operator's requests fail as well: see [the API server](MetaSearchApiServerUnavailable.md).""",
        mitigation="""\
- Do not delete or restart worker pods, suspend the search or change `spec.worker` before the results are written.
- Mend the way to the API server; the workers write by themselves within a minute.
- Roles: `helm upgrade` with `rbac.create: true`.""",
    ),
)

GROUP = Group("metasearch.workers", (PENDING, IMAGE, REFUSED, FAILING, MEMORY, LOST, SPOOLED))
