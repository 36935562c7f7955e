"""
First-order MAML (Finn, Abbeel and Levine 2017, algorithm 1 with the approximation of their section 5.2).

    repeat:  sample tasks 1..n, each with support and query images
             phi_i  <- theta adapted to the support images of task i by a few gradient steps
             g      <- mean_i of the gradient of task i's query loss at phi_i
             theta  <- a step of the outer optimizer against g (Adam in the authors' code)

MAML differentiates the query loss with respect to theta, through the inner loop. First order takes the inner loop's
gradients for constants: then phi_i = theta - constant, and the gradient at phi_i is that at theta. Memory does not grow
with the number of steps, but for one set of parameters a step where rates are learned.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch.api import FomamlSettings
from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned, first_order, query_loss
from metasearch_trainer.metalearners.query_learner import LossLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Tasks


class FOMAML(LossLearner):
    """Moves theta so that a few gradient steps on support images help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(FomamlSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)

    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        phi = learned[THETA].expand(len(tasks.support), -1)
        phi = self.inner.descend(learned, phi, tasks.support, range(tasks.support.steps), first_order)
        return query_loss(self.network, phi, tasks)
