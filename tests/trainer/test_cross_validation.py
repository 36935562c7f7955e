"""Cross-validation: folds of classes, trained side by side, each scored on classes that its training has not seen."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from builders import make_spec
from image_datasets import write_class_folders
from tiny_trials import (
    META_ITERATIONS,
    SPLITS,
    HalfMinuteClock,
    bars,
    final_trial,
    ignore,
    repeatable,
    tiny_spec,
    tiny_trainer,
    tiny_trial,
)

from metasearch.errors import InvalidData, InvalidSpec
from metasearch.search.trials import Progress, Reason, State, Threshold, TrialResult
from metasearch_trainer import data, training
from metasearch_trainer.cross_validation import Images, cut, side_by_side, states_of, thetas
from metasearch_trainer.data import omniglot
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.evaluation import Answers
from metasearch_trainer.metalearners.base import State as Learned
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.tasks import Tasks
from metasearch_trainer.trainer import Trainer
from metasearch_trainer.training import Training

FOLDS = {"evaluation": {"folds": 3}}
CPU = torch.device("cpu")


# --- classes ------------------------------------------------------------------------------------------------------


def test_every_class_is_left_out_once() -> None:
    folds = cut(14, 4, seed=0)
    assert sorted(map(len, folds)) == [3, 3, 4, 4]
    assert sorted(np.concatenate(folds)) == list(range(14))


def test_the_cut_depends_on_the_seed_alone() -> None:
    assert all(map(np.array_equal, cut(40, 4, seed=3), cut(40, 4, seed=3)))
    assert not all(map(np.array_equal, cut(40, 4, seed=3), cut(40, 4, seed=4)))


def numbered(first: int, classes: int) -> ImageSet:
    """Make classes of 2 + number % 3 images, each of four pixels: ten times the number of its class, and its corner."""
    return ImageSet.of(
        [
            (
                str(number),
                np.tile(10 * number + np.arange(4, dtype=np.uint8).reshape(1, 1, 2, 2), (2 + number % 3, 1, 1, 1)),
            )
            for number in range(first, first + classes)
        ]
    )


def classes_of(images: ImageSet) -> dict[str, list[list[int]]]:
    """Return the distinct images of each class, by the class's name, read at the rows that the set gives."""
    return {
        name: np.unique(images.pixels[start : start + count].reshape(count, 4), axis=0).tolist()
        for name, start, count in zip(images.class_names, images.starts, images.counts, strict=True)
    }


def test_rotations_of_a_class_stay_together_and_are_not_scored() -> None:
    splits = Splits(train=numbered(0, 5), validation=numbered(5, 2), test=numbered(7, 2))
    spec = make_spec(dataset={"name": "omniglot", "rotations": 2}, task={"ways": 2}, evaluation={"folds": 3})
    images = Images.of(splits, spec, CPU)
    for fold in images.folds:
        scored, trained = fold.scored.images, fold.train.images
        turned = {f"{number}/180" for number in range(7) if str(number) not in scored.class_names}
        assert set(trained.class_names) == {name.removesuffix("/180") for name in turned} | turned
        assert classes_of(scored) == {
            name: [[10 * int(name) + corner for corner in range(4)]] for name in scored.class_names
        }
        for name, found in classes_of(trained).items():
            corners = [3, 2, 1, 0] if name.endswith("/180") else [0, 1, 2, 3]
            assert found == [[10 * int(name.removesuffix("/180")) + corner for corner in corners]]
        counts = {name: 2 + int(name.removesuffix("/180")) % 3 for name in trained.class_names}
        assert dict(zip(trained.class_names, trained.counts, strict=True)) == counts
    assert sorted(name for fold in images.folds for name in fold.scored.images.class_names) == list("0123456")


def test_the_split_stays_as_it_is_beside_the_folds() -> None:
    splits = Splits(train=numbered(0, 5), validation=numbered(5, 2), test=numbered(7, 2))
    without = make_spec(dataset={"name": "omniglot", "rotations": 4}, task={"ways": 2})
    folded = make_spec(dataset={"name": "omniglot", "rotations": 4}, task={"ways": 2}, evaluation={"folds": 2})
    plain, cross = Images.of(splits, without, CPU), Images.of(splits, folded, CPU)
    assert plain.folds == ()
    for part in ("train", "validation", "test"):
        one, other = getattr(plain, part).images, getattr(cross, part).images
        assert one.class_names == other.class_names
        assert classes_of(one) == classes_of(other)


def test_images_are_on_the_device_once() -> None:
    images = Images.of(SPLITS, tiny_spec(**FOLDS), CPU)
    shared = [images.train, images.validation, *(part for fold in images.folds for part in (fold.train, fold.scored))]
    rows = torch.zeros(1, dtype=torch.int64)
    assert {part.images.pixels.__array_interface__["data"][0] for part in shared} == {
        images.train.images.pixels.__array_interface__["data"][0]
    }
    assert torch.equal(images.train.gather(rows), images.folds[0].train.gather(rows))


# --- states -------------------------------------------------------------------------------------------------------


def test_states_that_were_joined_are_parted_again_and_share_their_tensors() -> None:
    states = [
        Learned({"theta": torch.full((2,), float(fold)), "rates": torch.ones(1)}, {"draws": fold}) for fold in range(12)
    ]
    joined = side_by_side(states)
    parted = states_of(joined, 12)
    assert [float(part.theta[0]) for part in parted] == list(range(12))
    assert [part.integers for part in parted] == [{"draws": fold} for fold in range(12)]
    assert {name for part in parted for name in part.tensors} == {"theta", "rates"}
    parted[11].theta.fill_(7.0)
    assert [float(theta[0]) for theta in thetas(joined)] == [*range(11), 7]


def test_a_state_without_folds_stays_as_it_is() -> None:
    state = Learned({"theta": torch.ones(2)}, {"draws": 1})
    assert (side_by_side([state]), states_of(state, 1)) == (state, [state])


# --- trials -------------------------------------------------------------------------------------------------------


def test_a_search_trial_trains_and_is_scored_on_each_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Its accuracies are means over the folds: a fold that answers nothing, one that answers half, and one all.

    So is its score, whether it is an accuracy, or the likelihood exp(-loss) of a mean loss: both are a half.
    """
    shares = itertools.cycle([0.0, 0.5, 1.0])
    drawn: list[Tasks] = []

    def answer(*_: object) -> Answers:
        share = next(shares)
        correct = torch.full((3, 10), share, dtype=torch.float64)
        return Answers(correct, torch.full_like(correct, 2 * share * math.log(2)))

    def outer_step(_self: Reptile, _state: Learned, tasks: Tasks, _progress: torch.Tensor) -> torch.Tensor:
        drawn.append(tasks)
        return torch.tensor(2.0 if len(drawn) > 3 * META_ITERATIONS / 2 else 0.0)

    monkeypatch.setattr(training, "evaluate", answer)
    monkeypatch.setattr(Reptile, "outer_step", outer_step)
    result = tiny_trainer(tmp_path, evaluation={"folds": 3, "curvePoints": 2}).run(tiny_trial(), ignore)
    assert (result.score, result.meta_iterations) == (pytest.approx(0.5), META_ITERATIONS)
    assert result.training_score == pytest.approx(math.exp(-2))  # of the second half of all folds' steps
    assert [point.score for point in result.curve] == pytest.approx([0.5, 0.5])
    assert result.validation is not None
    assert (result.validation.transductive.mean, result.validation.transductive.tasks) == (0.5, 30)
    # The standard deviation of ten zeros, ten halves and ten ones, by hand.
    assert result.validation.transductive.interval == pytest.approx(1.959964 * (5 / 29) ** 0.5 / 30**0.5)
    assert len(drawn) == 3 * META_ITERATIONS
    assert len({tuple(tasks.support.images.flatten().tolist()) for tasks in drawn}) == 3 * META_ITERATIONS


def accuracy_of(result: TrialResult) -> float:
    assert result.validation is not None
    return result.validation.transductive.mean


def test_a_fold_is_scored_as_a_trial_on_such_a_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds are trained independently: each ends as a search would whose split has the same classes and streams."""
    changes: dict[str, Any] = {"evaluation": {"folds": 3, "curvePoints": 1}}
    spec = tiny_spec(**changes)
    result = tiny_trainer(tmp_path / "folds", **changes).run(tiny_trial(), ignore)
    merged = SPLITS.train.merged_with(SPLITS.validation)
    named, means = Training._stream, list[float]()
    for index, left_out in enumerate(cut(len(merged.counts), 3, spec.seed)):
        split = Splits(
            merged.of_classes(np.setdiff1d(np.arange(len(merged.counts)), left_out)),
            merged.of_classes(left_out),
            SPLITS.test,
        )

        def of_fold(self: Training, *purpose: object, index: int = index) -> np.random.Generator:
            return named(self, *purpose, *(() if purpose == ("weights",) else ("fold", index)))

        monkeypatch.setattr(Training, "_stream", of_fold)
        storage = LocalStorage(tmp_path / f"alone-{index}", weights=None)
        alone = Trainer(tiny_spec(evaluation={"curvePoints": 1}), split, CPU, storage)
        means.append(accuracy_of(alone.run(tiny_trial(), ignore)))
    assert len(set(means)) > 1
    assert accuracy_of(result) == pytest.approx(fmean(means), abs=1e-12)


def test_final_trials_train_on_the_split(tmp_path: Path) -> None:
    plain = tiny_trainer(tmp_path / "plain").run(final_trial(), ignore)
    folded = tiny_trainer(tmp_path / "folded", **FOLDS).run(final_trial(), ignore)
    assert repeatable(plain) == repeatable(folded)


@pytest.mark.parametrize(("learner", "after"), [*(("Reptile", after) for after in (1, 5, 9, 12, 16)), ("Evolution", 6)])
def test_a_trial_that_is_interrupted_goes_on_in_its_folds(tmp_path: Path, after: int, learner: str) -> None:
    """Each fold has a mean of its weights; Evolution's state has a whole number as well."""
    changes = {**FOLDS, "training": {"metaLearner": learner, "averaging": "0.9"}}
    whole = tiny_trainer(tmp_path / "whole", **changes).run(tiny_trial(), ignore)
    looks = itertools.count(1)

    def leave(_: Progress) -> None:
        if next(looks) == after:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, HalfMinuteClock(), **changes).run(tiny_trial(), leave)
    steps: list[object] = []
    trainer = tiny_trainer(tmp_path, **changes)
    resumed = trainer.run(tiny_trial(), lambda progress: steps.append(progress.meta_iteration))
    assert repeatable(resumed) == repeatable(whole)
    assert steps[0] != 1 or after == 1


def test_a_threshold_is_compared_with_the_mean_over_folds(tmp_path: Path) -> None:
    whole = tiny_trainer(tmp_path / "whole", **FOLDS).run(tiny_trial(), ignore)
    reached = max(point.score for point in whole.curve[:2])
    trainer = tiny_trainer(tmp_path, **FOLDS)
    stopped = trainer.run(tiny_trial("stopped", thresholds=(Threshold(4, reached + 1e-6),)), ignore)
    assert (stopped.state, stopped.reason) == (State.STOPPED, Reason.EARLY_STOPPED)
    assert stopped.curve == whole.curve[:2]
    assert trainer.run(tiny_trial("passed", thresholds=(Threshold(4, reached),)), ignore).state is State.SUCCEEDED


def test_a_fold_that_diverges_fails_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)

    def diverge(_: Reptile, state: Learned, tasks: object, progress: object) -> None:
        del tasks, progress
        if next(calls) % 3 == 0:  # the last of three folds
            state.theta.fill_(float("nan"))

    monkeypatch.setattr(Reptile, "outer_step", diverge)
    result = tiny_trainer(tmp_path, **FOLDS).run(tiny_trial(), ignore)
    assert (result.state, result.reason, result.score) == (State.FAILED, Reason.DIVERGED, None)


# --- refusals -----------------------------------------------------------------------------------------------------


def refused(train: int = 9, validation: int = 6, **changes: Any) -> list[str]:
    splits = Splits(train=bars(0, train), validation=bars(20, validation), test=bars(40))
    return list(data.refusals(splits, tiny_spec(**changes)))


def test_folds_of_as_many_classes_as_a_task_takes_are_allowed() -> None:
    assert refused(evaluation={"folds": 5}) == []


@pytest.mark.parametrize("folds", [6, 16])
def test_folds_with_fewer_classes_than_a_task_are_refused(folds: int) -> None:
    assert refused(evaluation={"folds": folds}) == [
        f"omniglot has 15 training and validation classes, evaluation.folds is {folds} and task.ways is 3; "
        "folds must be at most 5, so that each has the classes of a task"
    ]


def test_what_a_fold_leaves_must_be_enough_for_merged_tasks() -> None:
    """The larger of two folds has 8 of 15 classes."""
    settings = {"metaBatchSize": 3, "mergedTasks": 3, "shots": 1}
    learner = {"training": {"metaLearner": "Prototypes", "prototypes": settings}}
    assert refused(**learner, evaluation={"folds": 3}) == []
    assert refused(**learner, evaluation={"folds": 2}) == [
        "omniglot has 7 training classes and training merges 3 tasks of 3 into one of 9; mergedTasks must be at most 2"
    ]


@pytest.mark.parametrize("field", ["innerBatchSize", "evaluationBatchSize"])
def test_a_batch_of_one_image_of_which_one_pixel_is_left_is_refused(field: str) -> None:
    """Images of these tests have 10 pixels."""
    small = {"space": {"reductions": 4}}
    assert refused(training={"reptile": {field: 1}}, space={"reductions": 3}) == []
    assert refused(training={"reptile": {field: 2}}, **small) == []
    expected = (
        f"training.reptile.{field} is 1 and 4 halvings of images of 10 pixels leave 1 pixel, so there is one value to "
        f"normalise; {field} must be 2 or more, space.reductions less, or dataset.imageSize more"
    )
    assert refused(training={"reptile": {field: 1}}, **small) == [expected]
    stem = {"space": {"reductions": 3, "stemStride": 2}}
    assert refused(training={"reptile": {field: 1}}, **stem) == [expected]
    final = {"training": {"reptile": {"shots": 1, field: 1}}}
    assert refused(final=final, **small) == [f"final.{expected}"]


def test_validation_classes_must_have_the_images_of_a_training_task() -> None:
    poor = ImageSet.of([(f"poor{index}", bars(30).pixels[:4]) for index in range(6)])
    splits = Splits(train=bars(0, 9), validation=poor, test=bars(40))
    five = {"training": {"reptile": {"shots": 5}}}
    assert list(data.refusals(splits, tiny_spec(**five))) == []
    assert list(data.refusals(splits, tiny_spec(**five, **FOLDS))) == [
        "validation class 'poor0' of omniglot has 4 images and a training task of another fold takes 5; "
        "each class must have as many as a task takes"
    ]


def test_the_spec_knows_how_many_classes_omniglot_has() -> None:
    for splits in (omniglot.load(), omniglot.load_random()):
        assert len(splits.train.counts) + len(splits.validation.counts) == 1200
    assert data.load(make_spec(task={"ways": 60}, evaluation={"folds": 20})).train.side == 28
    with pytest.raises(
        InvalidSpec, match=r"must have few enough evaluation\.folds that each has task\.ways of Omniglot's"
    ):
        make_spec(task={"ways": 61}, evaluation={"folds": 20})


def test_no_folds_and_folds_of_test_classes_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"evaluation\.folds is 0; it must be at least 1"):
        make_spec(evaluation={"folds": 0})
    with pytest.raises(InvalidSpec, match=r"must have folds only where split is Validation: no fold has a test class"):
        make_spec(evaluation={"folds": 2, "split": "Test"})


def test_a_folder_that_cannot_be_cut_is_refused_before_the_first_trial(tmp_path: Path) -> None:
    """It has six training and three validation classes."""
    folder = write_class_folders(tmp_path / "images")
    learner = {"reptile": {"shots": 3}}

    def load(folds: int) -> Splits:
        spec = make_spec(
            dataset={"folder": {"path": str(folder)}}, task={"ways": 3}, training=learner, evaluation={"folds": folds}
        )
        return data.load(spec)

    assert len(load(3).train.counts) == 6
    with pytest.raises(InvalidData, match=r"9 training and validation classes, evaluation\.folds is 4 .* at most 3, "):
        load(4)
