"""
BOIL (Oh, Yoo, Kim and Yun 2021): MAML whose inner loop moves the layers that give features, and not the classifier.

    repeat:  sample tasks 1..n, each with support and query images
             phi_i(theta)  <- theta, its layers before the classifier adapted to the support images of task i
             theta         <- a step of the outer optimizer on mean_i of task i's query loss at phi_i(theta)

With the classifier fixed in a task, the features have to move to it: representations change, where ANIL reuses them.
The outer gradient is exact, and reaches the classifier too.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch.api import BoilSettings
from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned, exact, query_loss
from metasearch_trainer.metalearners.query_learner import LossLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Tasks


class BOIL(LossLearner):
    """Moves theta so that a few gradient steps of the layers before the classifier help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(BoilSettings)
        body = range(network.head.weight)  # the classifier's tensors are the last
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device, body), device)

    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        phi = learned[THETA].expand(len(tasks.support), -1)
        phi = self.inner.descend(learned, phi, tasks.support, range(tasks.support.steps), exact)
        return query_loss(self.network, phi, tasks)
