"""Alerts about GPUs, joined with NVIDIA's exporter (DCGM); where that is not there they never fire."""

from __future__ import annotations

from metasearch.metrics import of_worker
from metasearch.metrics.model import Metric
from metasearch.metrics.of_search import SEARCH_LABELS
from monitoring.alerts.external import GPU_ENGINE_ACTIVE, GPU_UTILISATION
from monitoring.alerts.model import Alert, Comparison, Group, Runbook, Severity, Threshold
from monitoring.alerts.promql import ACTIVE, BY_SEARCH, SEARCH_NAME, SHARE, SHARE_THRESHOLD, select


def by_pod(metric: Metric) -> str:
    """Return the mean of half an hour over the GPUs of each pod, whichever labels the scrape has left its name in."""
    mean = f"avg_over_time({select(metric)}[30m])"
    for label in ("namespace", "pod"):
        # Where labels are not honoured, `pod` is the exporter's own, and this one the pod that has the GPU.
        mean = f'label_replace({mean}, "{label}", "$1", "exported_{label}", "(.+)")'
    return f"avg by (namespace, pod) ({mean})"


BUSY_SLOTS = f"rate({select(of_worker.SLOT_BUSY_SECONDS)}[30m])"

IDLE = Alert(
    name="MetaSearchGpuIdle",
    severity=Severity.INFO,
    for_seconds=1800,
    labels=SEARCH_LABELS,
    when="the GPUs of a search's busy workers computed for less than $threshold of 30 minutes (as a share)",
    # A worker counts while its slots are busy for half of the time or more: idle ones are another alert's subject.
    measure=f"""\
avg {BY_SEARCH} (
  (
    {by_pod(GPU_ENGINE_ACTIVE)}
    or {by_pod(GPU_UTILISATION)} / 100
  )
  * on (namespace, pod) group_right ()
  group by ({", ".join((*SEARCH_LABELS, "pod"))}) ({BUSY_SLOTS} >= 0.5)
)""",
    threshold=Threshold(Comparison.BELOW, 0.2, is_share=True),
    guards=ACTIVE,
    summary=f"GPUs of the search {SEARCH_NAME} are hardly used",
    description=(
        f"GPUs of workers of the search {SEARCH_NAME} computed for {SHARE} of the last 30 minutes (alerts below "
        f"{SHARE_THRESHOLD}), though their slots had trials. Let more slots share a GPU, or give it a smaller one."
    ),
    runbook=Runbook(
        meaning="""\
Trials run on GPUs that compute little of the time. Networks of a search are small: one trial alone rarely fills a
GPU. The figure is DCGM's, `DCGM_FI_PROF_GR_ENGINE_ACTIVE` or, where that is not collected, `DCGM_FI_DEV_GPU_UTIL`.""",
        impact="Nothing is wrong with the result; GPU-hours are spent for less than they could do.",
        diagnosis="""\
How many slots share a GPU, and what holds them up?

    kubectl --namespace NAMESPACE get metasearch SEARCH --output jsonpath='{.spec.worker}{"\\n"}'
    kubectl --namespace NAMESPACE exec POD --container trainer -- nvidia-smi
    kubectl --namespace NAMESPACE top pods --selector metasearch.dev/search=SEARCH

- *A CPU is full*: Python launches kernels as fast as it can; more slots, with a CPU each, help.
- *GPU memory is nearly full*: more slots do not fit; a larger GPU, or smaller meta-batches.""",
        mitigation="""\
- Raise `spec.worker.slots`, with CPUs for them: [GPUs](../gpus.md) has the measured gain.
- Give the search a part of a GPU (MIG), or share it by time-slicing.
- Small cells are often as fast on CPUs: [speed](../performance.md).""",
    ),
)

GROUP = Group("metasearch.gpu", (IDLE,))
