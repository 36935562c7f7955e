"""A slot's process counts its work, and a worker's metrics are the sums over all processes of its slots."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders import make_result, make_trial
from prometheus_client import CollectorRegistry

from metasearch.metrics.model import Histogram
from metasearch.metrics.of_worker import SWITCH_BUCKETS
from metasearch.search.trials import Progress, TrialResult, TrialSpec
from metasearch.worker_names import WorkerName
from metasearch_trainer.pod.control_group import ControlGroup
from metasearch_trainer.pod.metrics import WorkerCollector
from metasearch_trainer.pod.settings import MountPaths, Pod, Settings
from metasearch_trainer.pod.slot_counts import CountingTrainer, SlotCounter, read_counts
from metasearch_trainer.spool import PendingResult, Spool
from metasearch_trainer.trial import Observer

LABELS = {"namespace": "team-a", "search": "test"}


class Time:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Runner:
    """A runner whose trials take the given seconds a step."""

    def __init__(self, time: Time, counter: SlotCounter, steps: int, error: Exception | None = None) -> None:
        self._time, self._counter, self._steps, self._error = time, counter, steps, error

    def run(self, trial: TrialSpec, observe: Observer) -> TrialResult:
        del trial
        for step in range(self._steps):
            self._time.now += 2.0
            self._counter.outer_step(tasks=5, images=50)
            observe(Progress(step + 1))
        if self._error:
            raise self._error
        return make_result()

    def forget(self, trial: TrialSpec) -> None:
        raise AssertionError(f"{trial.name} is not over")


def run_trial(counter: SlotCounter, time: Time, steps: int, error: Exception | None = None) -> None:
    runner, reports = Runner(time, counter, steps, error), list[Progress]()
    CountingTrainer(runner, counter, torch.device("cpu")).run(make_trial("a").spec, reports.append)
    assert len(reports) == steps


def test_steps_tasks_images_and_seconds_are_counted(tmp_path: Path) -> None:
    time = Time()
    counter = SlotCounter(tmp_path / "0-1.json", time)
    run_trial(counter, time, steps=3)
    counts = read_counts(tmp_path / "0-1.json")
    assert counts is not None
    assert (counts.meta_iterations, counts.tasks, counts.images, counts.busy_seconds) == (3, 15, 150, 6.0)
    assert counts.switch_seconds.cumulative[-1] == 0


def test_a_trial_that_ends_in_an_error_counts_too(tmp_path: Path) -> None:
    time = Time()
    counter = SlotCounter(tmp_path / "0-1.json", time)
    with pytest.raises(RuntimeError, match="broken"):
        run_trial(counter, time, steps=2, error=RuntimeError("broken"))
    assert counter.counts.busy_seconds == 4.0


def test_the_time_between_two_trials_is_a_switch_but_not_a_wait_for_work(tmp_path: Path) -> None:
    time = Time()
    counter = SlotCounter(tmp_path / "0-1.json", time)
    run_trial(counter, time, steps=1)
    time.now += 0.5
    run_trial(counter, time, steps=1)
    time.now += 60
    counter.wait()
    run_trial(counter, time, steps=1)
    assert counter.counts.switch_seconds == Histogram.of([0.5], SWITCH_BUCKETS)


def test_a_disk_that_is_full_costs_the_counts_alone(tmp_path: Path) -> None:
    time = Time()
    run_trial(SlotCounter(tmp_path / "missing" / "0-1.json", time), time, steps=2)


def test_half_a_file_is_no_counts(tmp_path: Path) -> None:
    (tmp_path / "0-1.json").write_text('{"meta_iterations": 3, ')
    assert read_counts(tmp_path / "0-1.json") is None
    assert read_counts(tmp_path / "none.json") is None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings("test", 2, 1.5, False, 500, MountPaths(tmp_path, tmp_path, tmp_path))
    settings.make_scratch()
    return settings


def exposed(settings: Settings, time: Time) -> CollectorRegistry:
    registry = CollectorRegistry()
    group = ControlGroup(settings.paths.scratch, settings.paths.scratch / "own")
    registry.register(WorkerCollector(settings, Pod("team-a", "pod", "1", None), group, time, started=90.0))
    return registry


def test_counts_of_processes_that_ended_stay(settings: Settings) -> None:
    time = Time()
    registry = exposed(settings, time)
    for name in ("pod.0-1", "pod.0-2", "pod.1-1"):
        run_trial(SlotCounter(settings.counts_of(WorkerName.parse(name)), time), time, steps=2)
    assert registry.get_sample_value("metasearch_worker_meta_iterations_total", LABELS) == 6
    assert registry.get_sample_value("metasearch_worker_images_total", LABELS) == 300
    assert registry.get_sample_value("metasearch_worker_slot_busy_seconds_total", LABELS) == 12
    assert registry.get_sample_value("metasearch_worker_gpu_seconds_total", LABELS) == 1.5 * (112 - 90)


def test_gpu_memory_is_that_of_the_latest_process_of_each_slot(settings: Settings) -> None:
    time = Time()
    for name, held in (("pod.0-1", 7), ("pod.0-10", 20), ("pod.0-9", 8), ("pod.1-1", 100)):
        SlotCounter(settings.counts_of(WorkerName.parse(name)), time).end(held)
    assert exposed(settings, time).get_sample_value("metasearch_worker_gpu_memory_bytes", LABELS) == 120


def test_a_result_that_waits_is_spooled(settings: Settings) -> None:
    registry = exposed(settings, Time())
    assert registry.get_sample_value("metasearch_worker_results_spooled", LABELS) == 0
    Spool(settings.spool(1)).put(PendingResult(make_trial("a"), make_result(), 5.0))
    assert registry.get_sample_value("metasearch_worker_results_spooled", LABELS) == 1


def test_a_kernel_that_counts_nothing_has_no_such_metrics(settings: Settings) -> None:
    registry = exposed(settings, Time())
    assert registry.get_sample_value("metasearch_worker_cpu_seconds_total", LABELS) is None
    (settings.paths.scratch / "cpu.stat").write_text("usage_usec 1500000\n")
    (settings.paths.scratch / "memory.current").write_text("77\n")
    assert registry.get_sample_value("metasearch_worker_cpu_seconds_total", LABELS) == 1.5
    assert registry.get_sample_value("metasearch_worker_memory_bytes", LABELS) == 77
