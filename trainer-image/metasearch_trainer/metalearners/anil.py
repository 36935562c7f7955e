"""
ANIL, "almost no inner loop" (Raghu, Raghu, Bengio and Vinyals 2020): MAML whose inner loop moves the classifier alone.

    repeat:  sample tasks 1..n, each with support and query images
             f               <- the features of all images, by the layers before the classifier
             head_i(theta)   <- the classifier adapted to the support images' features of task i by a few gradient steps
             theta           <- a step of the outer optimizer on mean_i of task i's query loss with head_i(theta)

The features are computed once, whatever the number of steps. A step of the classifier W is one of a linear model,
whose gradient is known in closed form, (softmax(W f) - labels) f^T. So the outer gradient is MAML's exact one, at the
price of a single forward and backward pass.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch.api import AnilSettings
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned
from metasearch_trainer.metalearners.prototypes import membership
from metasearch_trainer.metalearners.query_learner import LossLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks


class ANIL(LossLearner):
    """Moves theta so that a few gradient steps of the classifier help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(AnilSettings)
        head = range(network.head.weight, len(network.layout.parameters))  # the classifier's tensors are the last
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device, head), device)

    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        theta = learned[THETA].expand(len(tasks.support), -1)
        # Apart, as in evaluation: batch statistics are of the support images, and of the queries.
        support = self.network.features(theta, tasks.support.images)
        queries = self.network.features(theta, tasks.queries)
        weight, bias = self._adapted_head(learned, support, tasks.support)
        logits = self.network.head.logits(weight, bias, queries)
        return F.cross_entropy(logits.flatten(0, 1), tasks.query_labels.flatten())

    @torch.no_grad()
    def adapt(self, state: State, support: Support) -> Tensor:
        theta = state.theta.expand(len(support), -1)
        features = self.network.features(theta, support.images)
        weight, bias = self._adapted_head(state.tensors, features, support)
        return torch.cat([theta[:, : -self.network.head.size], weight.flatten(1), bias], 1)

    def _adapted_head(self, learned: Learned, features: Tensor, support: Support) -> tuple[Tensor, Tensor]:
        """Return weight (tasks, ways, features) and bias (tasks, ways) after the support's steps."""
        weight, bias = (each.expand(len(support), *each.shape) for each in self._head(learned[THETA]))
        answers = membership(support.labels, bias.shape[1]).to(features.dtype)  # (tasks, batch, ways)
        for step in range(support.steps):
            weight_rate, bias_rate = self._head(self.inner.rate(learned, step))
            logits = self.network.head.logits(weight, bias, features)
            error = (logits.softmax(-1) - answers) / answers.shape[1]
            weight = weight - weight_rate * (error.transpose(1, 2) @ features)
            bias = bias - bias_rate * error.sum(1)
        return weight, bias

    def _head(self, flat: Tensor) -> list[Tensor]:
        """Cut the classifier's part out of a flat vector (size,): (ways, features) and (ways,)."""
        return [view[0] for view in self.network.layout.views(flat[None])[self.network.head.weight :]]
