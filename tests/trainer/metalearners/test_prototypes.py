"""Prototypical networks: the classifier that prototypes make, and the loss of merged tasks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from metasearch.api import Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.metalearners.prototypes import Prototypes, class_means, classifier
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Support, Tasks, sample_tasks

WAYS, CPU = 3, torch.device("cpu")
NETWORK = CellNetwork(parse_cell("conv3x3(-1)+avg_pool3x3(-2)"), Space(filters=4, reductions=1), 1, 10, WAYS)
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 1, 10, 10), dtype=np.uint8)
IMAGES = DeviceImages(ImageSet.of([(str(index), pixels) for index, pixels in enumerate(PIXELS)]), CPU, torch.float64)


def prototypes(**settings: Any) -> Prototypes:
    fields = {"metaBatchSize": 4, "mergedTasks": 2, **settings}
    training = Training.model_validate({"metaLearner": "Prototypes", "prototypes": fields})
    return Prototypes(Recipe(task=Task(ways=WAYS), training=training), NETWORK, CPU)


def tasks_for(learner: Prototypes) -> Tasks:
    return IMAGES.tasks(sample_tasks(np.random.default_rng(1), IMAGES.images, learner.training_tasks, 4))


def theta() -> Tensor:
    return NETWORK.layout.initial(Generator().manual_seed(0))


def random(*shape: int) -> Tensor:
    return torch.rand(shape, generator=Generator().manual_seed(2), dtype=torch.float64)


def distances(queries: Tensor, means: Tensor) -> Tensor:
    """Compute squared distances (queries, means) of two lists of features, one by one."""
    return torch.stack([torch.stack([((query - mean) ** 2).sum() for mean in means]) for query in queries])


# --- the classifier -----------------------------------------------------------------------------------------------


def test_the_classifier_gives_the_softmax_of_scaled_distances() -> None:
    means, queries, scale = random(1, WAYS, 5), random(1, 7, 5) - 0.5, torch.tensor(1.7, dtype=torch.float64)
    weight, bias = classifier(means, scale)
    probabilities = NETWORK.head.logits(weight, bias, queries).softmax(-1)[0]
    expected = (-1.7 * distances(queries[0], means[0])).softmax(-1)
    assert torch.allclose(probabilities, expected, atol=1e-12)


def test_means_of_classes_of_different_sizes_in_any_order() -> None:
    features = torch.tensor([[[1.0], [10.0], [3.0], [20.0], [5.0]]], dtype=torch.float64)
    means = class_means(features, torch.tensor([[2, 0, 2, 0, 2]]), WAYS)
    assert means.flatten().tolist() == [15.0, 0.0, 3.0]


def test_a_class_without_a_support_image_is_never_the_answer() -> None:
    learner = prototypes()
    state = learner.initial_state(Generator().manual_seed(0))
    images = random(1, 4, 1, 10, 10).float()
    support = Support(images, torch.tensor([[0, 0, 2, 2]]), torch.zeros(1, 0, 4, dtype=torch.int64))
    logits = NETWORK(learner.adapt(state, support), random(1, 50, 1, 10, 10).float())
    assert set(logits.argmax(-1).flatten().tolist()) <= {0, 2}
    assert torch.isneginf(logits[..., 1]).all()


def test_adapting_gives_what_distances_to_the_means_give() -> None:
    learner, images, queries = prototypes(), random(1, 6, 1, 10, 10).float(), random(1, 5, 1, 10, 10).float()
    state = learner.initial_state(Generator().manual_seed(0))
    state.tensors["log_scale"].fill_(0.5)
    labels = torch.tensor([[0, 1, 2, 0, 1, 2]])
    phi = learner.adapt(state, Support(images, labels, torch.zeros(1, 0, 6, dtype=torch.int64)))
    features, seen = NETWORK.features(state.theta[None], images)[0], NETWORK.features(state.theta[None], queries)[0]
    means = torch.stack([features[labels[0] == label].mean(0) for label in range(WAYS)])
    expected = (-math.exp(0.5) * distances(seen, means)).softmax(-1)
    assert torch.allclose(NETWORK(phi, queries).softmax(-1)[0], expected, atol=1e-5)


# --- the loss -----------------------------------------------------------------------------------------------------


def loss_by_hand(learner: Prototypes, tasks: Tasks, symmetric: bool) -> float:
    """Compute the loss task by task and distance by distance."""
    support = [NETWORK.features(theta()[None], images[None])[0] for images in tasks.support.images]
    queries = [NETWORK.features(theta()[None], images[None])[0] for images in tasks.queries]
    losses = []
    for first in range(0, 4, learner.merged):
        here = slice(first, first + learner.merged)
        pairs = [(torch.cat(support[here]), torch.cat(queries[here]))]
        if symmetric:
            pairs.append((torch.cat(queries[here]), torch.cat(support[here])))
        for known, asked in pairs:
            classes = WAYS * learner.merged
            means = known.unflatten(0, (classes, -1)).mean(1)
            labels = torch.arange(classes).repeat_interleave(len(asked) // classes)
            losses.append(F.cross_entropy(-math.exp(0.3) * distances(asked, means), labels).item())
    return sum(losses) / len(losses)


@pytest.mark.parametrize("merged", [1, 2, 4])
@pytest.mark.parametrize("symmetric", [False, True])
def test_the_loss_is_that_of_distances_to_means_over_all_merged_classes(merged: int, symmetric: bool) -> None:
    learner = prototypes(mergedTasks=merged, symmetric=symmetric, shots=2, queries=3)
    tasks = tasks_for(learner)
    loss = learner.loss(theta(), torch.tensor(0.3, dtype=torch.float64), tasks).item()
    assert loss == pytest.approx(loss_by_hand(learner, tasks, symmetric), abs=1e-9)


def test_merged_tasks_have_no_class_in_common() -> None:
    learner = prototypes(mergedTasks=4)
    sampled = sample_tasks(np.random.default_rng(3), IMAGES.images, learner.training_tasks, 4)
    assert len({row // 8 for row in sampled.support_rows.flatten().tolist()}) == 12
    assert np.array_equal(sampled.support_rows // 8, sampled.query_rows // 8)


def test_the_gradient_is_that_of_finite_differences() -> None:
    learner, log_scale = prototypes(), torch.tensor(0.3, dtype=torch.float64)
    tasks, start = tasks_for(learner), theta().requires_grad_()
    (gradient,) = torch.autograd.grad(learner.loss(start, log_scale, tasks), start)
    direction, size = torch.randn(len(start), generator=Generator().manual_seed(4), dtype=torch.float64), 1e-6
    up, down = (learner.loss(theta() + sign * size * direction, log_scale, tasks).item() for sign in (1, -1))
    assert (up - down) / (2 * size) == pytest.approx(float(gradient @ direction), rel=1e-5)


def test_the_scale_is_learned_in_training_and_ends_at_rest() -> None:
    learner = prototypes()
    state = learner.initial_state(Generator().manual_seed(0))
    images = DeviceImages(IMAGES.images, CPU)
    tasks = images.tasks(sample_tasks(np.random.default_rng(1), images.images, learner.training_tasks, 4))
    learner.outer_step(state, tasks, torch.tensor(0.0, dtype=torch.float64))
    moved = float(state.tensors["log_scale"])
    assert abs(moved) == pytest.approx(0.01, rel=1e-3)  # Adam's first step is its step size
    learner.outer_step(state, tasks, torch.tensor(1 - 1e-9, dtype=torch.float64))
    assert float(state.tensors["log_scale"]) == pytest.approx(moved, abs=1e-9)
