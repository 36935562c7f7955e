"""The protocol of meta-learners, on every one that comes with MetaSearch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic.alias_generators import to_camel
from tiny_trials import (
    SPLITS,
    TINY_SETTINGS,
    HalfMinuteClock,
    final_trial,
    ignore,
    repeatable,
    tiny_spec,
    tiny_trainer,
)

from metasearch.api import META_LEARNERS, SETTINGS
from metasearch.errors import InvalidSpec
from metasearch.search.trials import Progress, State
from metasearch_trainer.delivery import load_weights
from metasearch_trainer.learner import FewShotLearner
from metasearch_trainer.metalearners import BUILT_IN, build
from metasearch_trainer.metalearners.base import MetaLearner
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.shutdown import WorkerShutdown
from metasearch_trainer.tasks import DeviceImages, Tasks, TaskShape, sample_tasks

CPU = torch.device("cpu")
ANY_PROGRESS = torch.tensor(0.3, dtype=torch.float64)


@pytest.fixture(params=[*BUILT_IN, "Reptile, Fresh"])
def training(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return settings that choose a meta-learner."""
    name, _, state = str(request.param).partition(", ")
    field = SETTINGS[name]
    settings = {**TINY_SETTINGS.get(field, {}), **({"optimizerState": state} if state else {})}
    return {"metaLearner": name, to_camel(field): settings}


def meta_batch(learner: MetaLearner) -> Tasks:
    """Return two tasks to learn from."""
    return _tasks(learner.training_tasks)


def unseen_tasks(learner: MetaLearner) -> Tasks:
    """Return two tasks to adapt to."""
    return _tasks(TaskShape(3, 2, 0, learner.evaluation_passes))


def _tasks(shape: TaskShape) -> Tasks:
    return DeviceImages(SPLITS.train, CPU).tasks(sample_tasks(np.random.default_rng(0), SPLITS.train, shape, 2))


def test_the_names_of_the_api_are_those_that_can_be_built() -> None:
    assert set(META_LEARNERS) == BUILT_IN.keys()


def test_a_name_that_is_not_installed_is_refused_with_those_that_are(tmp_path: Path) -> None:
    trainer = tiny_trainer(tmp_path)
    recipe = Recipe.of(tiny_spec(training={"metaLearner": "Unheard.Of-1"}), final_trial())
    with pytest.raises(InvalidSpec, match=r"metaLearner is 'Unheard\.Of-1', .* must be one of Reptile\b"):
        build(recipe, trainer.network(final_trial()), CPU)


def test_an_outer_step_writes_into_the_tensors_of_its_state(tmp_path: Path, training: dict[str, Any]) -> None:
    """A step makes no new tensors: a CUDA graph reads and writes the same memory each time."""
    recipe = Recipe.of(tiny_spec(training=training), final_trial())
    learner = build(recipe, tiny_trainer(tmp_path).network(final_trial()), CPU)
    state = learner.initial_state(torch.Generator().manual_seed(0))
    before, values = dict(state.tensors), {name: tensor.clone() for name, tensor in state.tensors.items()}
    learner.outer_step(state, meta_batch(learner), ANY_PROGRESS)
    assert state.tensors.keys() == before.keys()
    assert all(state.tensors[name] is tensor for name, tensor in before.items())
    assert not torch.equal(state.theta, values["theta"])
    assert not any(tensor.requires_grad for tensor in state.tensors.values())


def test_adapting_leaves_the_state_as_it_is(tmp_path: Path, training: dict[str, Any]) -> None:
    recipe = Recipe.of(tiny_spec(training=training), final_trial())
    learner = build(recipe, tiny_trainer(tmp_path).network(final_trial()), CPU)
    state = learner.initial_state(torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    phi = learner.adapt(state, unseen_tasks(learner).support)
    assert (phi.shape, phi.requires_grad) == ((2, learner.network.layout.size), False)
    assert not torch.equal(phi[0], phi[1])
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors.items())


def test_a_trial_that_is_resumed_ends_as_one_that_never_stopped(tmp_path: Path, training: dict[str, Any]) -> None:
    whole = tiny_trainer(tmp_path / "whole", training=training).run(final_trial(), ignore)
    assert whole.state is State.SUCCEEDED, whole.message

    def leave(progress: Progress) -> None:
        if progress.meta_iteration == 5:
            raise WorkerShutdown

    with pytest.raises(WorkerShutdown):
        tiny_trainer(tmp_path, HalfMinuteClock(), training=training).run(final_trial(), leave)
    reports: list[Progress] = []
    resumed = tiny_trainer(tmp_path, training=training).run(final_trial(), reports.append)
    assert {progress.started_from for progress in reports} == {5}
    assert repeatable(resumed) == repeatable(whole)
    name = resumed.weights or ""
    assert (tmp_path / "weights" / name).read_bytes() == (tmp_path / "whole" / "weights" / name).read_bytes()


def test_a_delivered_file_has_all_that_was_learned(tmp_path: Path, training: dict[str, Any]) -> None:
    trainer = tiny_trainer(tmp_path, training=training)
    result = trainer.run(final_trial(), ignore)
    path = tmp_path / "weights" / (result.weights or "")
    delivered = load_weights(path, CPU)
    recipe = Recipe.of(trainer.spec, final_trial())
    assert delivered.description.recipe == recipe
    begun = build(recipe, trainer.network(final_trial()), CPU).initial_state(torch.Generator())
    assert {name: tensor.shape for name, tensor in delivered.state.tensors.items()} == {
        name: tensor.shape for name, tensor in begun.tensors.items()
    }
    support = torch.rand(3, 1, 10, 10)
    classifier = FewShotLearner.load(path).adapt(support, torch.arange(3))
    assert classifier.classify(torch.rand(4, 1, 10, 10)).shape == (4,)
