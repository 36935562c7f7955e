"""The time of a trial is divided among its parts."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest
from tiny_trials import SPLITS, TINY_SETTINGS, final_trial, tiny_spec, tiny_trial
from torch import device

from metasearch.search.trial_parts import Part, PartSeconds
from metasearch.search.trials import Progress, Reason, State
from metasearch_trainer.part_timer import PartTimer
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer
from metasearch_trainer.trial import TrialEnded


class SetClock:
    """A clock that shows what it was set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_counts_for_the_innermost_part_and_outside_of_parts_for_none() -> None:
    clock = SetClock()
    timer = PartTimer(clock)
    clock.now += 1000
    with timer.part(Part.TRAINING):
        clock.now += 1
        with timer.part(Part.DATA):
            clock.now += 20
            with timer.part(Part.WRITING):
                clock.now += 300
            clock.now += 20
        clock.now += 1
    clock.now += 1000
    with timer.part(Part.DATA):
        clock.now += 4000
    assert timer.seconds == PartSeconds(data=4040, training=2, evaluation=0, writing=300)


def test_a_part_that_ends_by_an_exception_counts_and_is_over() -> None:
    clock = SetClock()
    timer = PartTimer(clock)

    def fail() -> None:
        with timer.part(Part.EVALUATION):
            clock.now += 5
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    clock.now += 7
    with timer.part(Part.TRAINING):
        clock.now += 11
    assert timer.seconds == PartSeconds(evaluation=5, training=11)


def test_every_part_has_a_field() -> None:
    assert list(asdict(PartSeconds())) == [str(part) for part in Part]


class CountingClock:
    """A clock that moves a second at each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def trainer(folder: Path, **changes: object) -> Trainer:
    storage = LocalStorage(folder / "checkpoints", folder / "weights")
    return Trainer(tiny_spec(**changes), SPLITS, device("cpu"), storage, part_clock=CountingClock())


def test_a_trial_has_all_parts_and_a_change_of_parts_at_each_turn(tmp_path: Path) -> None:
    result = trainer(tmp_path).run(final_trial(), lambda _: None)
    assert result.state is State.SUCCEEDED
    # Readings by this clock: a part that is entered and left without another in it counts 1 s, one with a part in it 2.
    # Data: the fetch, the checkpoint, and the tasks of 8 outer steps.
    # Training: 8 steps with the drawing of tasks in them; of the four points of the curve the last is the score, so
    # three tests that parameters are finite, and one at the end.
    # Evaluation: three points of the curve, the validation and the test, each with a report in it; the latency.
    # Writing: reports after 8 steps and 5 evaluations, and the weights.
    assert result.part_seconds == PartSeconds(data=2 + 8, training=8 * 2 + 4, evaluation=5 * 2 + 1, writing=8 + 5 + 1)


@pytest.mark.parametrize("learner", ["Reptile", "Prototypes"])
def test_the_parts_are_nearly_all_of_the_time(tmp_path: Path, learner: str) -> None:
    changes: dict[str, object] = {"evaluation": {"tasks": 400}}
    if learner == "Prototypes":
        changes["training"] = {"metaLearner": learner, "metaIterations": 8, "prototypes": TINY_SETTINGS["prototypes"]}
    storage = LocalStorage(tmp_path / "checkpoints", None)
    result = Trainer(tiny_spec(**changes), SPLITS, device("cpu"), storage).run(tiny_trial(), lambda _: None)
    assert result.state is State.SUCCEEDED
    assert result.part_seconds is not None
    assert result.wall_seconds is not None
    measured = math.fsum(asdict(result.part_seconds).values())
    assert 0.5 * result.wall_seconds < measured <= result.wall_seconds + 0.05


def test_a_trial_that_ends_early_has_the_parts_so_far(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.meta_iteration == 1:
            raise TrialEnded(State.STOPPED, Reason.BUDGET_EXHAUSTED, "the budget was spent")

    result = trainer(tmp_path).run(tiny_trial(), stop)
    assert result.state is State.STOPPED
    assert result.part_seconds == PartSeconds(data=2 + 1, training=2, writing=1)
