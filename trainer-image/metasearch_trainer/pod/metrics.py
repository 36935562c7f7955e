"""Expose the metrics of a worker: what its slots have counted, and what the kernel counts of its container."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from metasearch.errors import InvalidSpec
from metasearch.metrics import of_worker
from metasearch.metrics.exposition import families
from metasearch.metrics.model import Histogram, Metric, Sample
from metasearch.metrics.server import all_addresses, serve
from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.pod.settings import Pod, Settings
from metasearch_trainer.pod.slot_counts import SlotCounts, read_counts
from metasearch_trainer.process_output import log


@dataclass(frozen=True)
class WorkerCollector(Collector):
    """Reads everything anew at each scrape, so that between two of them a worker spends nothing on its metrics."""

    settings: Settings
    pod: Pod
    group: ControlGroup
    clock: Callable[[], float]
    """Monotonic, in seconds."""
    started: float
    """When the worker began, by the clock."""

    def collect(self) -> Iterator[Family]:
        labels = (self.pod.namespace, self.settings.search)
        return families(of_worker.METRICS, [Sample(metric, labels, value) for metric, value in self._values()])

    def _values(self) -> Iterator[tuple[Metric, float | Histogram]]:
        yield from _totals(self._counts())
        yield of_worker.GPU_SECONDS, self.settings.gpus * (self.clock() - self.started)
        yield of_worker.GPU_MEMORY, sum(self._gpu_memory_bytes())
        spools = (self.settings.spool(slot) for slot in range(self.settings.slots))
        yield of_worker.SPOOLED, sum(spool.exists() for spool in spools)
        if (cpu_seconds := self.group.cpu_seconds()) is not None:
            yield of_worker.CPU_SECONDS, cpu_seconds
        if (memory_bytes := self.group.memory_bytes()) is not None:
            yield of_worker.MEMORY, memory_bytes

    def _counts(self) -> list[SlotCounts]:
        """Return the counts of every process that the slots have had."""
        return [counts for path in self.settings.counts.glob("*.json") if (counts := read_counts(path)) is not None]

    def _gpu_memory_bytes(self) -> Iterator[int]:
        """Yield what the latest process of each slot has allocated; what earlier ones had went with them."""
        for slot in range(self.settings.slots):
            starts = [int(path.stem.partition("-")[2]) for path in self.settings.counts.glob(f"{slot}-*.json")]
            if starts and (counts := read_counts(self.settings.counts / f"{slot}-{max(starts)}.json")) is not None:
                yield counts.gpu_memory_bytes


def _totals(every: list[SlotCounts]) -> Iterator[tuple[Metric, float | Histogram]]:
    yield of_worker.META_ITERATIONS, sum(counts.meta_iterations for counts in every)
    yield of_worker.TASKS, sum(counts.tasks for counts in every)
    yield of_worker.IMAGES, sum(counts.images for counts in every)
    yield of_worker.SLOT_BUSY_SECONDS, sum(counts.busy_seconds for counts in every)
    switches = SlotCounts().switch_seconds
    for counts in every:
        switches = switches.plus(counts.switch_seconds)
    yield of_worker.SWITCH_SECONDS, switches


@contextlib.contextmanager
def exposed(settings: Settings, pod: Pod, port: int) -> Iterator[None]:
    """
    Answer scrapes until the context is left; where the port is taken, say so and go on without.

    Args:
        port: 0 takes any free one.
    """
    registry = CollectorRegistry()
    registry.register(WorkerCollector(settings, pod, ControlGroup(), time.monotonic, time.monotonic()))
    try:
        server = serve(registry, all_addresses(), port)
    except InvalidSpec as error:
        log(error)  # no reason to train nothing
        yield
        return
    with contextlib.closing(server):
        yield
