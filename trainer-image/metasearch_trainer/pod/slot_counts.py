"""
The counts of a slot's process, which it leaves in a file for the supervisor to expose.

A file of its own for each process, which stays when the process is gone: the counters of a pod are sums over all of its
files, and so never fall. Mapped files, as the client's mode for several processes has them, would kill a training whose
disk is full.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError

from metasearch.metrics.model import Histogram
from metasearch.metrics.of_worker import SWITCH_BUCKETS
from metasearch.search.trials import Progress, TrialResult, TrialSpec
from metasearch_trainer.pod.shared_files import replace_file
from metasearch_trainer.trial import Observer
from metasearch_trainer.worker import TrialRunner

WRITE_SECONDS = 1.0
"""The file is written at most so often while a trial runs."""


@dataclass(frozen=True)
class SlotCounts:
    """The work that one process of a slot has done so far."""

    meta_iterations: int = 0
    tasks: int = 0
    images: int = 0
    busy_seconds: float = 0.0
    switch_seconds: Histogram = field(default_factory=lambda: Histogram.of([], SWITCH_BUCKETS))
    gpu_memory_bytes: int = 0
    """Allocated now."""


_json: TypeAdapter[SlotCounts] = TypeAdapter(SlotCounts)


def read_counts(path: Path) -> SlotCounts | None:
    """Return the counts in a file; None where there are none that can be read."""
    with suppress(OSError, ValidationError):
        return _json.validate_json(path.read_bytes())
    return None


class SlotCounter:
    """Counts the work of this process, and writes it to its file; an error of the disk costs the counts alone."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: monotonic, in seconds.
        """
        self.counts = SlotCounts()
        self._path, self._clock = path, clock
        self._written = float("-inf")
        self._ended_at: float | None = None
        self._counted_until = clock()

    def begin(self) -> None:
        """Begin a trial."""
        now = self._counted_until = self._clock()
        if self._ended_at is not None:
            took = Histogram.of([now - self._ended_at], SWITCH_BUCKETS)
            self.counts = replace(self.counts, switch_seconds=self.counts.switch_seconds.plus(took))

    def wait(self) -> None:
        """Take note that there is no work: what comes next is no switch."""
        self._ended_at = None

    def outer_step(self, tasks: int, images: int) -> None:
        """Count an outer step of so many tasks, and the images of them all."""
        counts = self.counts
        self.counts = replace(
            counts,
            meta_iterations=counts.meta_iterations + 1,
            tasks=counts.tasks + tasks,
            images=counts.images + images,
        )

    def go_on(self, gpu_memory_bytes: int) -> None:
        """Count the time of a trial that goes on, and write the file where that is due."""
        self._count_time(gpu_memory_bytes)
        if self._counted_until - self._written >= WRITE_SECONDS:
            self._write()

    def end(self, gpu_memory_bytes: int) -> None:
        """End a trial."""
        self._count_time(gpu_memory_bytes)
        self._ended_at = self._counted_until
        self._write()

    def _count_time(self, gpu_memory_bytes: int) -> None:
        now = self._clock()
        busy = self.counts.busy_seconds + now - self._counted_until
        self.counts = replace(self.counts, busy_seconds=busy, gpu_memory_bytes=gpu_memory_bytes)
        self._counted_until = now

    def _write(self) -> None:
        self._written = self._counted_until
        replace_file(self._path, _json.dump_json(self.counts))


class CountingTrainer:
    """Runs trials as another runner does, and counts what it does."""

    def __init__(self, runner: TrialRunner, counter: SlotCounter, device: torch.device) -> None:
        self._runner, self._counter, self._device = runner, counter, device

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult:
        def counted(progress: Progress) -> None:
            self._counter.go_on(self._allocated())
            observe(progress)

        self._counter.begin()
        try:
            return self._runner.run(trial, counted)
        finally:
            self._counter.end(self._allocated())

    def forget(self, trial: TrialSpec) -> None:
        self._runner.forget(trial)

    def _allocated(self) -> int:
        return torch.cuda.memory_allocated(self._device) if self._device.type == "cuda" else 0
