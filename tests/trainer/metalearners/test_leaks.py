"""
Nothing but images of a class tells a query's class: where those say nothing, nothing can be learned.

A trap: normalised by the support set's statistics, the queries of a task have something in common with its support
images and with no others, such as the value of a blank background. Where tasks are merged into one of more ways, that
gives a query's task away, whatever the images show.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small_learners import CPU, WAYS, cell_network, make_learner
from tiny_trials import SPLITS, bars
from torch import Tensor

from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.layers import ConvNormRelu, Linear, flatten_pixels
from metasearch_trainer.metalearners.base import State
from metasearch_trainer.metalearners.prototypes import Prototypes
from metasearch_trainer.network import Network
from metasearch_trainer.parameters import ParameterLayout, Weights
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Support, Tasks, sample_tasks

MERGED, STEPS, LAST = 4, 200, 80
CLASSES = WAYS * MERGED


class PixelNetwork(Network):
    """One normalised convolution and a classifier on its pixels, which sees what a blank background became."""

    def __init__(self) -> None:
        self.layout = ParameterLayout()
        self.convolution = ConvNormRelu(self.layout, "convolution", 1, 4, (3, 3))
        self.head = Linear(self.layout, "head", 400, WAYS)
        self.multiply_adds = self.convolution.multiply_adds(10) + self.head.multiply_adds()

    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        return flatten_pixels(self.convolution(weights, x), tasks)


def noise_tasks(step: int) -> Tasks:
    """Make tasks of noise in the middle of a blank background, each image with a density of its own, new every step."""
    rng = np.random.default_rng(step)
    density = rng.uniform(0.05, 0.5, (MERGED, 2, WAYS, 1, 1, 1))
    images = torch.zeros(MERGED, 2, WAYS, 1, 10, 10)
    images[..., 2:8, 2:8] = torch.from_numpy(rng.random((MERGED, 2, WAYS, 1, 6, 6)) < density).float()
    labels = torch.arange(WAYS).expand(MERGED, -1)
    return Tasks(Support(images[:, 0], labels, torch.zeros(MERGED, 0, WAYS, dtype=torch.int64)), images[:, 1], labels)


class LeakingPrototypes(Prototypes):
    """Prototypes that normalises queries by the statistics of their task's support images."""

    def loss(self, theta: Tensor, log_scale: Tensor, tasks: Tasks) -> Tensor:
        phi, count = theta.expand(len(tasks.support), -1), tasks.support.images.shape[1]
        features = self.network.features(phi, torch.cat([tasks.support.images, tasks.queries], 1), statistics=count)
        support, queries = self._merge(features[:, :count]), self._merge(features[:, count:])
        return self._classified(support, queries, log_scale.exp())


def loss_on_noise(kind: type[Prototypes]) -> float:
    """Return the mean of the last training losses, each before its step."""
    settings = {"meta_batch_size": MERGED, "merged_tasks": MERGED, "meta_learning_rate": "0.01"}
    recipe = Recipe.model_validate(
        {"task": {"ways": WAYS}, "training": {"metaLearner": "Prototypes", "prototypes": settings}}, by_name=True
    )
    learner, losses = kind(recipe, PixelNetwork(), CPU), []
    state = learner.initial_state(torch.Generator().manual_seed(0))
    for step in range(STEPS):
        tasks = noise_tasks(step)
        losses.append(float(learner.loss(state.theta, state.tensors["log_scale"], tasks)))
        learner.outer_step(state, tasks, torch.tensor(0.0, dtype=torch.float64))
    return sum(losses[-LAST:]) / LAST


def test_prototypes_learn_nothing_from_noise() -> None:
    """
    No classifier's expected loss is below the logarithm of the number of labels if images say nothing about them.

    The bound is some ten standard errors of the mean: the last 80 losses have a standard deviation of 0.03.
    """
    assert loss_on_noise(Prototypes) > math.log(CLASSES) - 0.03


def test_shared_statistics_would_tell_a_querys_task() -> None:
    """The same check finds the trap: a loss far below that of a guess."""
    assert loss_on_noise(LeakingPrototypes) < math.log(CLASSES) - 0.2


# --- shuffled labels ---


UNSEEN = bars(9, 9)


def shuffled(tasks: Tasks, rng: np.random.Generator) -> Tasks:
    """Deal a task's images anew to its support and its queries, and so to its labels."""
    count = tasks.support.images.shape[1]
    images = torch.cat([tasks.support.images, tasks.queries], 1)
    order = torch.from_numpy(np.argsort(rng.random(images.shape[:2]), 1))
    images = images[torch.arange(len(images))[:, None], order]
    return replace(tasks, support=replace(tasks.support, images=images[:, :count]), queries=images[:, count:])


def as_drawn(tasks: Tasks, rng: np.random.Generator) -> Tasks:  # noqa: ARG001
    return tasks


Deal = Callable[[Tasks, np.random.Generator], Tasks]


def draw(learner: Any, images: ImageSet, count: int, rng: np.random.Generator, deal: Deal) -> Tasks:
    sampled = sample_tasks(rng, images, learner.training_tasks, count)
    return deal(DeviceImages(images, CPU).tasks(sampled), rng)


def accuracy(learner: Any, state: State, deal: Deal, count: int = 600) -> tuple[float, float]:
    """Return the accuracy on fresh tasks of unseen classes, and its standard error."""
    tasks = draw(learner, UNSEEN, count, np.random.default_rng(1), deal)
    phi = learner.adapt(state, tasks.support)
    with torch.no_grad():
        right = (learner.network(phi, tasks.queries).argmax(-1) == tasks.query_labels).double().mean(1)
    return float(right.mean()), float(right.std() / math.sqrt(count))


def trained(name: str, settings: dict[str, Any], deal: Deal) -> tuple[float, float]:
    """Return the accuracy after 60 outer steps, and its standard error."""
    learner = make_learner(name, cell_network(), shots=1, queries=1, **settings)
    state, rng = learner.initial_state(torch.Generator().manual_seed(0)), np.random.default_rng(0)
    for step in range(60):
        tasks = draw(learner, SPLITS.train, learner.meta_batch_size, rng, deal)
        learner.outer_step(state, tasks, torch.tensor(step / 60, dtype=torch.float64))
    return accuracy(learner, state, deal)


FOUR: dict[str, Any] = {"meta_batch_size": 4, "meta_learning_rate": "0.01"}
LEARNERS: list[tuple[str, dict[str, Any]]] = [
    ("Prototypes", {"meta_batch_size": 3, "merged_tasks": 3}),
    ("MAML", FOUR),
    ("ProtoMAML", FOUR),
    ("FOMAML", FOUR),
    ("MAML", FOUR | {"second_order": "FiniteDifference", "inner_rates": "PerLayer"}),
    ("ANIL", FOUR | {"inner_learning_rate": "1"}),
    ("BOIL", FOUR),
    ("Truncated", FOUR),
    ("Implicit", FOUR | {"inner_steps": 4, "inner_learning_rate": "0.2", "regularization": "0.5"}),
    ("Evolution", FOUR),
]


@pytest.mark.parametrize(("name", "settings"), LEARNERS[:3])
def test_shuffled_labels_teach_nothing(name: str, settings: dict[str, Any]) -> None:
    """Trained and tested on images that were dealt at random a learner guesses."""
    mean, error = trained(name, settings, shuffled)
    assert abs(mean - 1 / WAYS) < 4 * error


@pytest.mark.parametrize(("name", "settings"), LEARNERS)
def test_their_own_labels_teach_something(name: str, settings: dict[str, Any]) -> None:
    """After the same training on images as they were drawn, it does not guess about classes that it has never seen."""
    mean, error = trained(name, settings, as_drawn)
    assert mean > 1 / WAYS + 8 * error
