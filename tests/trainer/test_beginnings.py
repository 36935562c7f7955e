"""Trials that are the beginning of a training, and trials that go on from one."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_trials import META_ITERATIONS, SPLITS, TINY_SETTINGS, ignore, repeatable, tiny_spec, tiny_trainer, tiny_trial
from virtual_clock import VirtualClock

from metasearch.search.trials import State, TrialSpec
from metasearch_trainer.artifact_stores import MountedFolder
from metasearch_trainer.metalearners.prototypes import Prototypes
from metasearch_trainer.scoring import add_loss, no_losses, training_score
from metasearch_trainer.storage import RemoteStorage
from metasearch_trainer.trainer import Trainer

BEGINNING = tiny_trial("tiny-1-begun", meta_iterations=2, is_beginning=True)
MIDDLE = tiny_trial("tiny-2-middle", meta_iterations=4, is_beginning=True, resumes="tiny-1-begun")
REST = tiny_trial("tiny-2-whole", resumes="tiny-1-begun")
PROTOTYPES: dict[str, Any] = {"metaLearner": "Prototypes", "prototypes": TINY_SETTINGS["prototypes"]}


def checkpoint(folder: Path, trial: TrialSpec) -> Path:
    return folder / "checkpoints" / f"{trial.name}.safetensors"


def test_a_beginning_is_scored_by_its_training_loss_and_not_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    outer_step = Prototypes.outer_step

    def recorded(self: Prototypes, *arguments: Any) -> torch.Tensor:
        loss = outer_step(self, *arguments)
        losses.append(float(loss))
        return loss

    monkeypatch.setattr(Prototypes, "outer_step", recorded)
    trial = tiny_trial(meta_iterations=5, is_beginning=True)
    result = tiny_trainer(tmp_path, training=PROTOTYPES).run(trial, ignore)
    assert (result.state, result.validation, result.meta_iterations, len(losses)) == (State.SUCCEEDED, None, 5, 5)
    # The second half, from the third step on.
    mean = sum(losses[2:]) / 3
    spread = math.sqrt(sum((loss - mean) ** 2 for loss in losses[2:]) / 2 / 3)
    assert result.score == pytest.approx(math.exp(-mean))
    assert result.score_error == pytest.approx(math.exp(-mean) * spread)
    assert [point.meta_iteration for point in result.curve] == [5]


def test_a_beginning_in_folds_is_scored_by_the_losses_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half of four steps in two folds has the losses 4 to 7: a mean of 5.5."""
    steps = itertools.count()
    monkeypatch.setattr(Prototypes, "outer_step", lambda *_: torch.tensor(float(next(steps))))
    trainer = tiny_trainer(tmp_path, training=PROTOTYPES, evaluation={"folds": 2})
    result = trainer.run(tiny_trial(meta_iterations=4, is_beginning=True), ignore)
    assert result.score == pytest.approx(math.exp(-5.5))


def test_a_learner_without_a_loss_is_scored_on_a_few_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer_step = Prototypes.outer_step

    def silent(self: Prototypes, *arguments: Any) -> torch.Tensor:
        return torch.full_like(outer_step(self, *arguments), math.nan)

    monkeypatch.setattr(Prototypes, "outer_step", silent)
    result = tiny_trainer(tmp_path, training=PROTOTYPES).run(BEGINNING, ignore)
    assert 0 < (result.score or 0) < 1
    assert result.validation is None


@pytest.mark.parametrize(
    ("training", "folds"), [({}, 1), (PROTOTYPES, 1), ({"averaging": "0.9"}, 1), ({"averaging": "0.9"}, 3)]
)
def test_what_goes_on_from_a_beginning_ends_like_an_unbroken_training(
    tmp_path: Path, training: Any, folds: int
) -> None:
    broken = tiny_trainer(tmp_path / "broken", training=training, evaluation={"folds": folds})
    for trial in (BEGINNING, MIDDLE):
        broken.run(trial, ignore)
        broken.forget(trial)
    assert not checkpoint(tmp_path / "broken", BEGINNING).exists()
    rest = tiny_trial("tiny-3-whole", resumes=MIDDLE.name)
    gone_on = broken.run(rest, ignore)
    broken.forget(rest)
    whole = tiny_trainer(tmp_path / "unbroken", training=training, evaluation={"folds": folds})
    unbroken = whole.run(tiny_trial(), ignore)
    assert (gone_on.score, gone_on.validation) == (unbroken.score, unbroken.validation)
    assert gone_on.meta_iterations == META_ITERATIONS
    assert list((tmp_path / "broken" / "checkpoints").iterdir()) == []


def test_a_checkpoint_of_a_beginning_stays_for_those_that_go_on_from_it(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    trainer.run(BEGINNING, ignore)
    trainer.forget(BEGINNING)
    assert checkpoint(tmp_path, BEGINNING).exists()


def test_a_lost_checkpoint_costs_time_and_changes_nothing(tmp_path: Path) -> None:
    kept, lost = tiny_trainer(tmp_path / "kept"), tiny_trainer(tmp_path / "lost")
    for trainer in (kept, lost):
        trainer.run(BEGINNING, ignore)
    checkpoint(tmp_path / "lost", BEGINNING).unlink()
    assert repeatable(kept.run(REST, ignore)) == repeatable(lost.run(REST, ignore))


def test_another_pod_goes_on_from_a_beginning(tmp_path: Path) -> None:
    clock = VirtualClock()
    store = MountedFolder(tmp_path / "store")
    (tmp_path / "store").mkdir()

    def trainer(pod: str) -> Trainer:
        storage = RemoteStorage(tmp_path / pod, store, clock.retry())
        return Trainer(tiny_spec(), SPLITS, torch.device("cpu"), storage)

    first = trainer("one")
    first.run(BEGINNING, ignore)
    first.forget(BEGINNING)
    assert checkpoint(tmp_path / "store", BEGINNING).exists()
    steps: list[int] = []
    other = trainer("other")
    result = other.run(REST, lambda progress: steps.append(progress.meta_iteration))
    other.forget(REST)
    assert steps[0] == 3
    assert result.score == tiny_trainer(tmp_path / "alone").run(tiny_trial(), ignore).score
    assert not checkpoint(tmp_path / "store", BEGINNING).exists()


def test_no_losses_make_no_score() -> None:
    assert training_score(no_losses(torch.device("cpu"))) is None


def test_one_loss_has_no_known_error() -> None:
    losses = no_losses(torch.device("cpu"))
    add_loss(losses, torch.tensor(1.0))
    score = training_score(losses)
    assert score is not None
    assert (score.value, score.error) == (pytest.approx(math.exp(-1)), 0.0)
