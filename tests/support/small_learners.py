"""Meta-learners on networks and tasks so small that derivatives can be checked in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tiny_trials import SPLITS
from torch import Tensor

from metasearch.api import SETTINGS, Space, Task, Training
from metasearch.api.training import settings_class
from metasearch.search.cells import parse_cell
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.layers import Linear, flatten_pixels
from metasearch_trainer.metalearners import build
from metasearch_trainer.metalearners.base import MetaLearner, State
from metasearch_trainer.network import CellNetwork, Network
from metasearch_trainer.parameters import ParameterLayout, Weights, lecun_normal
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, Tasks, sample_tasks

CPU = torch.device("cpu")
WAYS = 3
BEGINNING = torch.tensor(0.0, dtype=torch.float64)


class SmoothNetwork(Network):
    """Two linear layers with tanh between them: every derivative exists everywhere."""

    def __init__(self, pixels: int = 100, hidden: int = 4, ways: int = WAYS) -> None:
        self.layout = ParameterLayout()
        self.weight = self.layout.add("hidden.weight", (hidden, pixels), lecun_normal)
        self.head = Linear(self.layout, "head", hidden, ways)
        self.multiply_adds = hidden * pixels + self.head.multiply_adds()

    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        return (flatten_pixels(x, tasks) @ weights[self.weight].transpose(1, 2)).tanh()


def cell_network() -> Network:
    """Make a network with every kind of layer but max pooling."""
    cell, space = parse_cell("conv3x3(-1)+avg_pool3x3(-2)"), Space(filters=4, reductions=1, filter_scale=1)
    return CellNetwork(cell, space, 1, 10, WAYS)


def make_learner(name: str, network: Network | None = None, ways: int = WAYS, **settings: Any) -> Any:
    """Make a meta-learner with settings by their names in Python; Any, since learners differ in what they offer."""
    field = SETTINGS[name]
    given = settings_class(field)(**settings)
    recipe = Recipe(task=Task(ways=ways), training=Training(meta_learner=name, **{field: given}))
    return build(recipe, network or cell_network(), CPU)


def double_state(learner: MetaLearner, seed: int = 0) -> State:
    """Return the learner's first state in float64."""
    state = learner.initial_state(torch.Generator().manual_seed(seed))
    return replace(state, tensors={name: tensor.double() for name, tensor in state.tensors.items()})


def draw_tasks(learner: MetaLearner, count: int = 2, seed: int = 0, images: ImageSet = SPLITS.train) -> Tasks:
    """Draw a meta-batch in float64."""
    sampled = sample_tasks(np.random.default_rng(seed), images, learner.training_tasks, count)
    return DeviceImages(images, CPU, torch.float64).tasks(sampled)


def with_steps(tasks: Tasks, steps: int) -> Tasks:
    """Return the tasks for an inner loop of another length."""
    order = tasks.support.order[:, :1].expand(-1, steps, -1)
    return replace(tasks, support=replace(tasks.support, order=order))


def one_of(tasks: Tasks, index: int) -> Tasks:
    """Return one of the tasks."""
    chosen = slice(index, index + 1)
    support = tasks.support
    return Tasks(
        replace(support, images=support.images[chosen], labels=support.labels[chosen], order=support.order[chosen]),
        tasks.queries[chosen],
        tasks.query_labels[chosen],
    )


def query_loss(network: Network, phi: Tensor, tasks: Tasks) -> Tensor:
    """Return the mean over tasks of the mean cross-entropy of their queries."""
    losses = [
        F.cross_entropy(logits, labels)
        for logits, labels in zip(network(phi, tasks.queries), tasks.query_labels, strict=True)
    ]
    return torch.stack(losses).mean()


def support_gradient(network: Network, phi: Tensor, tasks: Tasks) -> Tensor:
    """Return each task's gradient of the mean cross-entropy of its support images, task by task, (tasks, size)."""
    rows = []
    for index, row in enumerate(phi.detach()):
        at = row.clone().requires_grad_()
        task = one_of(tasks, index).support
        loss = F.cross_entropy(network(at[None], task.images)[0], task.labels[0])
        rows.append(torch.autograd.grad(loss, at)[0])
    return torch.stack(rows)


def moved(state: State, name: str, change: Tensor) -> State:
    """Return the state with one of its tensors changed."""
    return replace(state, tensors={**state.tensors, name: state.tensors[name] + change})


def slope(function: Callable[[Tensor], Tensor], direction: Tensor, length: float = 1e-6) -> float:
    """Return a central difference of a function of a change along a direction."""
    return float((function(length * direction) - function(-length * direction)) / (2 * length))


def directions(shape: torch.Size, count: int = 3) -> list[Tensor]:
    """Return random directions of length about 1."""
    generator = torch.Generator().manual_seed(1)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(count)]
    return [each / each.norm() for each in drawn]
