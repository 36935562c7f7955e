"""A pod's trials keep checkpoints and weights in storage outside of it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_disk import no_file_beyond
from tiny_trials import SPLITS, HalfMinuteClock, final_trial, ignore, repeatable, tiny_spec, tiny_trainer, tiny_trial
from virtual_clock import VirtualClock

from metasearch.errors import StoreUnavailable
from metasearch.search.trials import Progress, Reason, Stage, State
from metasearch_trainer.artifact_stores import MountedFolder
from metasearch_trainer.delivery import load_weights
from metasearch_trainer.memory import Cap
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.storage import RETRY_SECONDS, LocalStorage, RemoteStorage, Storage
from metasearch_trainer.trainer import Trainer
from metasearch_trainer.trial import Observer

CHECKPOINT = "checkpoints/tiny-1-final.safetensors"
WEIGHTS = "weights/tiny-1-final.safetensors"


class Volume(MountedFolder):
    """A real folder that a test can make unavailable."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder, self.is_away = folder, False
        self.done: list[str] = []

    def check(self) -> None:
        self._do("check")
        super().check()

    def put(self, path: Path, name: str) -> None:
        self._do(f"put {name}")
        super().put(path, name)

    def get(self, name: str, path: Path) -> bool:
        self._do(f"get {name}")
        return super().get(name, path)

    def delete(self, name: str) -> None:
        self._do(f"delete {name}")
        super().delete(name)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def _do(self, what: str) -> None:
        if self.is_away:
            raise StoreUnavailable("the volume is away")
        self.done.append(what)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "volume")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def trainer_on(storage: Storage) -> Trainer:
    """Make a trainer on whose own clock every checkpoint is due."""
    trainer = Trainer(tiny_spec(), SPLITS, torch.device("cpu"), storage)
    trainer.clock = HalfMinuteClock()
    return trainer


@pytest.fixture
def storage(tmp_path: Path, volume: Volume, clock: VirtualClock) -> RemoteStorage:
    return RemoteStorage(tmp_path / "scratch", volume, clock.retry())


def leave_after(count: int) -> Observer:
    looks = itertools.count(1)

    def leave(progress: Progress) -> None:
        del progress
        if next(looks) == count:
            raise WorkerShutdown

    return leave


# --- weights ---


def test_weights_are_outside_before_the_result_is_known(storage: RemoteStorage, volume: Volume, tmp_path: Path) -> None:
    result = trainer_on(storage).run(final_trial(), ignore)
    assert result.weights == "tiny-1-final.safetensors"
    assert WEIGHTS in volume.names()
    assert load_weights(tmp_path / "volume" / WEIGHTS, torch.device("cpu")).state.theta.isfinite().all()
    assert list((tmp_path / "scratch" / "weights").iterdir()) == []


def test_without_a_storage_a_final_trial_succeeds_and_says_that_its_weights_are_not_kept(tmp_path: Path) -> None:
    result = trainer_on(LocalStorage(tmp_path / "checkpoints", None)).run(final_trial(), ignore)
    assert (result.state, result.weights) == (State.SUCCEEDED, None)


def test_weights_wait_for_a_storage_that_is_away(storage: RemoteStorage, volume: Volume, clock: VirtualClock) -> None:
    def be_away(progress: Progress) -> None:
        volume.is_away = progress.meta_iteration == 8

    clock.at_wait = lambda: setattr(volume, "is_away", clock.time < 400)
    assert trainer_on(storage).run(final_trial(), be_away).state is State.SUCCEEDED
    assert WEIGHTS in volume.names()
    assert len(clock.waits) > 5


def test_a_storage_that_stays_away_is_not_the_candidates_failure(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock
) -> None:
    volume.is_away = True
    with pytest.raises(StoreUnavailable, match="away"):
        trainer_on(storage).run(final_trial(), ignore)
    assert RETRY_SECONDS <= sum(clock.waits) <= RETRY_SECONDS + 40


# --- checkpoints ---


def test_a_final_trial_goes_on_in_another_pod(volume: Volume, clock: VirtualClock, tmp_path: Path) -> None:
    whole = tiny_trainer(tmp_path / "whole").run(final_trial(), ignore)
    with pytest.raises(WorkerShutdown):
        trainer_on(RemoteStorage(tmp_path / "one", volume, clock.retry())).run(final_trial(), leave_after(6))
    assert volume.names() == [CHECKPOINT]
    seen: list[int] = []
    other = trainer_on(RemoteStorage(tmp_path / "other", volume, clock.retry()))
    result = other.run(final_trial(), lambda progress: seen.append(progress.meta_iteration))
    assert seen[0] >= 4
    assert repeatable(result) == repeatable(whole)


def test_a_checkpoint_is_dropped_once_the_result_is_on_record(
    storage: RemoteStorage, volume: Volume, tmp_path: Path
) -> None:
    trainer = trainer_on(storage)
    with pytest.raises(WorkerShutdown):
        trainer.run(final_trial(), leave_after(6))
    trainer.run(final_trial(), ignore)
    assert volume.names() == [CHECKPOINT, WEIGHTS]
    trainer.forget(final_trial())
    assert volume.names() == [WEIGHTS]
    assert list((tmp_path / "scratch" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(1, 0, 0), (20, 3, 5), (70, 10, 13)])
def test_checkpoints_are_uploaded_once_a_minute_at_most(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock, seconds: int, fewest: int, most: int
) -> None:
    def pass_time(_: Progress) -> None:
        clock.time += seconds

    trainer_on(storage).run(final_trial(), pass_time)
    assert fewest <= volume.done.count(f"put {CHECKPOINT}") <= most


def test_a_checkpoint_that_is_outside_already_is_not_uploaded_again_when_leaving(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock
) -> None:
    def pass_time(progress: Progress) -> None:
        clock.time += 60
        if progress.meta_iteration == 4:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        trainer_on(storage).run(final_trial(), pass_time)
    before = volume.done.count(f"put {CHECKPOINT}")
    storage.keep(final_trial())
    assert volume.done.count(f"put {CHECKPOINT}") == before


def test_a_checkpoint_that_could_not_be_uploaded_is_tried_again_when_leaving(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock
) -> None:
    def pass_time(progress: Progress) -> None:
        clock.time += 30
        volume.is_away = progress.meta_iteration == 4
        if progress.meta_iteration == 5:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        trainer_on(storage).run(final_trial(), pass_time)
    assert volume.names() == [CHECKPOINT]


def test_training_goes_on_while_the_storage_is_away(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock
) -> None:
    def pass_time(progress: Progress) -> None:
        clock.time += 60
        volume.is_away = 0 < progress.meta_iteration < 8

    assert trainer_on(storage).run(final_trial(), pass_time).state is State.SUCCEEDED
    assert clock.waits == []


def test_a_baseline_is_kept_outside_too(storage: RemoteStorage, volume: Volume) -> None:
    baseline = tiny_trial("tiny-1-base", stage=Stage.BASELINE, candidate="Conv4")
    with pytest.raises(WorkerShutdown):
        trainer_on(storage).run(baseline, leave_after(3))
    assert volume.names() == ["checkpoints/tiny-1-base.safetensors"]


def test_search_trials_have_nothing_to_do_with_it(storage: RemoteStorage, volume: Volume, tmp_path: Path) -> None:
    volume.is_away = True
    trainer = trainer_on(storage)
    with pytest.raises(WorkerShutdown):
        trainer.run(tiny_trial(), leave_after(6))
    assert list((tmp_path / "scratch" / "checkpoints").iterdir())
    assert trainer.run(tiny_trial(), ignore).state is State.SUCCEEDED
    trainer.forget(tiny_trial())
    assert volume.done == []


def test_waiting_for_the_storage_does_not_count_as_the_trials_time(
    storage: RemoteStorage, volume: Volume, clock: VirtualClock
) -> None:
    spec = tiny_spec(budget={"trialTime": "60s"})
    trainer = Trainer(spec, SPLITS, torch.device("cpu"), storage, clock=lambda: clock.time)
    volume.is_away = True
    clock.at_wait = lambda: setattr(volume, "is_away", clock.time < 400)
    assert trainer.run(final_trial(), ignore).reason is None


def test_a_volume_without_room_is_said_to_have_none(tmp_path: Path) -> None:
    checkpoint = tmp_path / "scratch" / CHECKPOINT
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"x" * 5000)
    store = MountedFolder(tmp_path / "volume")
    with no_file_beyond(1000), pytest.raises(StoreUnavailable, match=r"volume: checkpoints/a cannot be written .*room"):
        store.put(checkpoint, "checkpoints/a")
    assert [path for path in (tmp_path / "volume").rglob("*") if path.is_file()] == []


# --- caps ---


def test_the_lower_of_two_caps_holds_and_is_named(tmp_path: Path) -> None:
    share = Cap(64 * 2**20, "its slot's 64 MiB of the pod's memory limit of 128 MiB")
    for trial_memory, named in [("1Gi", share.source), ("32Mi", "budget.trialMemory (32Mi)")]:
        spec = tiny_spec(budget={"trialMemory": trial_memory})
        trainer = Trainer(spec, SPLITS, torch.device("cpu"), LocalStorage(tmp_path, None), cap=share)
        result = trainer.run(replace(tiny_trial(), name="tiny-1-cap"), ignore)
        assert result.reason is Reason.OUT_OF_MEMORY
        assert (result.message or "").startswith(f"the trial needs more than {named}: ")
