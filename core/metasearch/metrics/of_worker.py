"""
Metrics of a worker: a pod with its slots.

They begin anew with each pod, and what a pod did since the last scrape goes with it: they are for what a worker does
now. What a search has done and spent is computed from its records, in `of_search.py`.
"""

from __future__ import annotations

from metasearch.metrics.model import PREFIX, Kind, Metric, Unit
from metasearch.metrics.of_search import SEARCH_LABELS

SWITCH_BUCKETS = (0.05, 0.1, 0.3, 1, 3, 10, 30, 100)
"""Bounds from what a process needs between two trials to an image that has to be decoded anew."""


def _gauge(name: str, help: str, *labels: str, unit: Unit | None = None) -> Metric:
    return Metric(f"{PREFIX}worker_{name}", Kind.GAUGE, help, (*SEARCH_LABELS, *labels), unit)


def _counter(name: str, help: str, unit: Unit | None = None) -> Metric:
    return Metric(f"{PREFIX}worker_{name}_total", Kind.COUNTER, help, SEARCH_LABELS, unit)


META_ITERATIONS = _counter("meta_iterations", "Meta-iterations that the slots of a worker have trained.")
TASKS = _counter("tasks", "Tasks that the slots of a worker have trained on.")
IMAGES = _counter("images", "Images of the tasks that the slots of a worker have trained on.")
SLOT_BUSY_SECONDS = _counter(
    "slot_busy_seconds", "Time in which the slots of a worker have run trials.", unit=Unit.SECONDS
)
SWITCH_SECONDS = Metric(
    f"{PREFIX}worker_slot_switch_seconds",
    Kind.HISTOGRAM,
    "Time of a slot between the end of a trial and the begin of the next, where it had not to wait for one.",
    SEARCH_LABELS,
    Unit.SECONDS,
    SWITCH_BUCKETS,
)
CPU_SECONDS = _counter("cpu_seconds", "CPU time of a worker, all its processes together.", unit=Unit.SECONDS)
MEMORY = _gauge("memory_bytes", "Memory of a worker, all its processes together.", unit=Unit.BYTES)
GPU_SECONDS = _counter("gpu_seconds", "GPUs of a worker times the time for which it has held them.", unit=Unit.SECONDS)
GPU_MEMORY = _gauge("gpu_memory_bytes", "GPU memory that the trials of a worker have allocated.", unit=Unit.BYTES)
SPOOLED = _gauge("results_spooled", "Results that wait on a worker's disk for an API server that takes them.")

METRICS = (
    META_ITERATIONS,
    TASKS,
    IMAGES,
    SLOT_BUSY_SECONDS,
    SWITCH_SECONDS,
    CPU_SECONDS,
    MEMORY,
    GPU_SECONDS,
    GPU_MEMORY,
    SPOOLED,
)
"""All metrics of a worker."""
