"""A repeated recording does what launching every step does; the recording of a CUDA graph itself needs a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from small_learners import CPU, make_learner
from tiny_trials import SPLITS
from torch import Tensor

from metasearch.api import SETTINGS
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.outer_steps import GraphedSteps, LaunchedSteps, Recorded, outer_steps, preserved
from metasearch_trainer.tasks import DeviceImages, SampledTasks, sample_tasks

IMAGES = DeviceImages(SPLITS.train, CPU)
STEPS = 4

SMALL = {"Reptile": {"shots": 5}, "Prototypes": {"merged_tasks": 1}}
"""Settings for data of few classes and images."""


def recording(function: Callable[[], Tensor], moved: Mapping[str, Tensor]) -> Recorded:
    """Record as a graph does: repetitions differ only by what lies in tensors, and the result stays in its place."""
    with preserved(moved):
        result = function().clone()

    def repeat() -> None:
        result.copy_(function())

    return repeat, result


def begun(name: str) -> tuple[MetaLearner, State]:
    learner = make_learner(name, **SMALL.get(name, {}))
    return learner, learner.initial_state(torch.Generator().manual_seed(0))


def meta_batch(learner: MetaLearner, step: int) -> SampledTasks:
    return sample_tasks(np.random.default_rng(step), SPLITS.train, learner.training_tasks, learner.meta_batch_size)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recording_trains_as_launched_steps_do(name: str) -> None:
    """Meta-batches differ, and so does the share of the training that is done, by which rates fall."""
    learner, launched = begun(name)
    _, recorded = begun(name)
    one, other = LaunchedSteps(learner, launched, IMAGES), GraphedSteps(learner, recorded, IMAGES, recording)
    for step in range(STEPS):
        sampled, share = meta_batch(learner, step), step / STEPS
        expected = one.take(sampled, share).clone()
        torch.testing.assert_close(other.take(sampled, share), expected, rtol=0, atol=0, equal_nan=True)
    for tensor, of_recorded in zip(launched.tensors.values(), recorded.tensors.values(), strict=True):
        torch.testing.assert_close(of_recorded, tensor, rtol=0, atol=0)


def test_a_step_moves_the_parameters() -> None:
    """Else equal states would say nothing."""
    learner, state = begun("Reptile")
    before = state.theta.clone()
    LaunchedSteps(learner, state, IMAGES).take(meta_batch(learner, 0), 0.0)
    assert not torch.equal(before, state.theta)


def test_the_steps_before_a_recording_leave_the_state_as_it_was() -> None:
    learner, state = begun("Reptile")
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    with preserved(state.tensors):
        LaunchedSteps(learner, state, IMAGES).take(meta_batch(learner, 0), 0.0)
    for name, tensor in state.tensors.items():
        assert torch.equal(tensor, before[name])


def test_a_cpu_launches_its_steps() -> None:
    learner, state = begun("Reptile")
    assert isinstance(outer_steps(learner, state, IMAGES), LaunchedSteps)
