"""
Prototypical networks (Snell, Swersky and Zemel 2017), with the tasks of a meta-batch merged.

    repeat:  sample tasks 1..n of different classes, each with support and query images
             c_k    <- mean of the features of class k's support images, for all the tasks' classes
             p(k|q) <- softmax over k of -scale * |f(q) - c_k|^2
             theta  <- a step of the outer optimizer on the cross-entropy of the query images

The squared distance is linear in the query's features, but for a term that all classes share. So a prototype is a row
of an ordinary linear classifier, weight 2 * scale * c_k and bias -scale * |c_k|^2, and an adapted network is one like
any other's (Triantafillou et al. 2020, section 3).

Three things beyond the paper, each measured (docs/learners.md). Tasks are merged: a query is told apart from the
classes of several tasks at once, which costs nothing, as their features are there. It is symmetric: support images are
also classified by the prototypes of queries. And the scale is learned. Batch statistics stay per task, and of support
and query images apart, as in evaluation: shared ones would tell a query which task it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from metasearch.api import PrototypesSettings
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.outer_optimizer import OuterOptimizer, derivatives
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape

LOG_SCALE = "log_scale"


class Prototypes:
    """Moves theta so that images lie near the mean of their class, and far from those of others."""

    evaluation_passes = Passes(0)

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(PrototypesSettings)
        self.network, self.device, self.ways = network, device, recipe.task.ways
        self.meta_batch_size, self.merged = settings.meta_batch_size, settings.merged_tasks
        shots = settings.shots or recipe.task.shots
        self.training_tasks = TaskShape(self.ways, shots, settings.queries, Passes(0), self.merged)
        self.optimizer = OuterOptimizer.of(settings)
        self.symmetric = settings.symmetric

    def initial_state(self, generator: Generator) -> State:
        theta = self.network.layout.initial(generator).to(self.device, torch.float32)
        learned = {THETA: theta, LOG_SCALE: torch.zeros((), device=self.device)}
        return State({**learned, **self.optimizer.initial_moments(learned)})

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> Tensor:
        differentiated = derivatives(state, lambda learned: self.loss(learned[THETA], learned[LOG_SCALE], tasks))
        self.optimizer.step(state, differentiated.gradients, progress)
        return differentiated.loss

    def loss(self, theta: Tensor, log_scale: Tensor, tasks: Tasks) -> Tensor:
        """Compute the mean cross-entropy () of merged tasks; `theta` is (size,), `log_scale` ()."""
        # One theta for all tasks, repeated because layers take a set of weights per task.
        phi = theta.expand(len(tasks.support), -1)
        support = self._merge(self.network.features(phi, tasks.support.images))
        queries = self._merge(self.network.features(phi, tasks.queries))
        scale = log_scale.exp()
        loss = self._classified(support, queries, scale)
        if self.symmetric:
            loss = (loss + self._classified(queries, support, scale)) / 2
        return loss

    def adapt(self, state: State, support: Support) -> Tensor:
        with torch.no_grad():
            return with_prototypes(self.network, state.tensors, support, self.ways)

    def _merge(self, features: Tensor) -> Tensor:
        """Join the features of merged tasks: (tasks, ways * each, features) to (groups, classes, each, features)."""
        classes = self.ways * self.merged
        # Rows are sorted by class within a task, and tasks follow one another.
        return features.reshape(len(features) // self.merged, classes, -1, features.shape[-1])

    def _classified(self, support: Tensor, queries: Tensor, scale: Tensor) -> Tensor:
        """Compute the cross-entropy of queries by the means of support images, both (groups, classes, each, size)."""
        groups, classes, each, _ = queries.shape
        weight, bias = classifier(support.mean(2), scale)
        logits = self.network.head.logits(weight, bias, queries.flatten(1, 2))
        labels = torch.arange(classes, device=logits.device).repeat_interleave(each).expand(groups, -1)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def with_prototypes(network: Network, learned: Mapping[str, Tensor], support: Support, ways: int) -> Tensor:
    """
    Return theta for each task with a classifier made of its support images, (tasks, size).

    Args:
        learned: theta and the logarithm of the scale, by their names in a state.
    """
    theta = learned[THETA].expand(len(support), -1)
    features = network.features(theta, support.images)
    weight, bias = classifier(class_means(features, support.labels, ways), learned[LOG_SCALE].exp())
    # A class without a support image is no answer.
    bias = bias.masked_fill(~membership(support.labels, ways).any(1), float("-inf"))
    return torch.cat([theta[:, : -network.head.size], weight.flatten(1), bias], 1)


def membership(labels: Tensor, ways: int) -> Tensor:
    """Tell for each label (tasks, batch) which of the classes it names, (tasks, batch, ways)."""
    # Not one_hot, which on some devices looks at the labels' values first.
    return labels[:, :, None] == torch.arange(ways, device=labels.device)


def class_means(features: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Average features (tasks, batch, size) by labels (tasks, batch): (tasks, ways, size), 0 for a class without."""
    belongs = membership(labels, ways).to(features.dtype)  # (tasks, batch, ways)
    counts = belongs.sum(1).clamp(min=1)
    return belongs.transpose(1, 2) @ features / counts[:, :, None]


def classifier(prototypes: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the linear classifier whose logits are -scale * |x - c|^2, less the term that is the same for all classes.

    Args:
        prototypes: (tasks, ways, features).
        scale: ().

    Returns:
        weight (tasks, ways, features) and bias (tasks, ways).
    """
    return 2 * scale * prototypes, -scale * prototypes.square().sum(-1)
