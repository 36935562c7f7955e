"""Series that alerts use and other programs expose: Prometheus itself, and NVIDIA's exporter for GPUs (DCGM)."""

from __future__ import annotations

from metasearch.metrics.model import Kind, Metric

UP = Metric("up", Kind.GAUGE, "1 for a target whose last scrape succeeded, else 0.", ("job", "instance", "namespace"))
ALERTS = Metric("ALERTS", Kind.GAUGE, "1 for each alert that is pending or firing.", ("alertname", "alertstate"))

DCGM_LABELS = ("namespace", "pod", "exported_namespace", "exported_pod", "gpu", "UUID")
"""Those that are used; the pod that has the GPU is an `exported_` one where the scrape does not honour labels."""

GPU_ENGINE_ACTIVE = Metric(
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE", Kind.GAUGE, "Share of time in which a GPU computed, from 0 to 1.", DCGM_LABELS
)
GPU_UTILISATION = Metric(
    "DCGM_FI_DEV_GPU_UTIL", Kind.GAUGE, "Share of time in which a kernel ran on a GPU, in percent.", DCGM_LABELS
)

METRICS = (UP, ALERTS, GPU_ENGINE_ACTIVE, GPU_UTILISATION)
