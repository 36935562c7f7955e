"""
Truncated back-propagation through the inner loop (Shaban, Cheng, Hatch and Boots 2019, K-RMD in their section 3).

    repeat:  sample tasks 1..n, each with support and query images
             phi_i(theta)  <- theta adapted to the support images of task i by K gradient steps
             theta         <- a step of the outer optimizer on mean_i of task i's query loss at phi_i(theta),
                              differentiated exactly through the last T steps alone

The steps before the last T are taken as in first-order MAML: their gradients are constants. So T = K is MAML, and T = 0
would be first-order MAML. Memory grows with T, not with K; the bias falls exponentially with T where the support loss
is strongly convex around the end of the loop (their theorem 3.4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch.api import TruncatedSettings
from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned, exact, first_order, query_loss
from metasearch_trainer.metalearners.query_learner import LossLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Tasks


class Truncated(LossLearner):
    """Moves theta so that gradient steps on support images help with query images, as the last of them depend on it."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(TruncatedSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)
        self.window = settings.window

    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        phi, steps = learned[THETA].expand(len(tasks.support), -1), tasks.support.steps
        before = steps - self.window
        phi = self.inner.descend(learned, phi, tasks.support, range(before), first_order)
        phi = self.inner.descend(learned, phi, tasks.support, range(before, steps), exact)
        return query_loss(self.network, phi, tasks)
