"""Cases for the alerts about GPUs."""

from __future__ import annotations

from alert_cases.form import (
    NAME,
    NAMESPACE,
    RUNNING,
    Case,
    Firing,
    labelled,
    of_search,
    search_labels,
    silent_when_over,
    steady,
)

ACTIVE, UTILISATION = "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"


def busy(per_sample: float, *pods: str) -> dict[str, str]:
    """Return a search whose workers' slots are busy for so many of every 30 seconds."""
    names = (of_search("worker_slot_busy_seconds_total", pod=pod) for pod in pods)
    return {**RUNNING, **dict.fromkeys(names, f"0+{per_sample}x360")}


def gpu(metric: str, pod: str, value: float) -> dict[str, str]:
    return {labelled(metric, namespace=NAMESPACE, pod=pod, gpu="0"): steady(value)}


# Half of the time is reached when the window of half an hour is full.
FIRING = Firing(
    3600,
    search_labels("info"),
    f"GPUs of the search {NAME} are hardly used",
    f"GPUs of workers of the search {NAME} computed for 19% of the last 30 minutes (alerts below 20%), though their "
    "slots had trials. Let more slots share a GPU, or give it a smaller one.",
)

IDLE = Case(
    "MetaSearchGpuIdle",
    "19% in the mean of two pods that are busy half of the time",
    {**busy(15, "w-0", "w-1"), **gpu(ACTIVE, "w-0", 0.125), **gpu(ACTIVE, "w-1", 0.255)},
    FIRING,
)

CASES = (
    IDLE,
    *silent_when_over(IDLE),
    Case(
        "MetaSearchGpuIdle",
        "only the utilisation is known, and labels are not honoured",
        {
            **busy(15, "w-0"),
            labelled(
                UTILISATION,
                namespace="gpu-operator",
                pod="dcgm-exporter-1",
                exported_namespace=NAMESPACE,
                exported_pod="w-0",
                gpu="0",
            ): steady(19),
        },
        FIRING,
    ),
    Case("MetaSearchGpuIdle", "20%", {**busy(15, "w-0"), **gpu(ACTIVE, "w-0", 0.2)}),
    Case("MetaSearchGpuIdle", "slots that are hardly busy", {**busy(14.1, "w-0"), **gpu(ACTIVE, "w-0", 0.1)}),
    Case(
        "MetaSearchGpuIdle",
        "the share of the engine is better than the utilisation",
        {**busy(30, "w-0"), **gpu(ACTIVE, "w-0", 0.9), **gpu(UTILISATION, "w-0", 5)},
    ),
    Case("MetaSearchGpuIdle", "somebody else's GPU", {**busy(30, "w-0"), **gpu(ACTIVE, "notebook", 0)}),
    Case("MetaSearchGpuIdle", "no DCGM", busy(30, "w-0")),
)
