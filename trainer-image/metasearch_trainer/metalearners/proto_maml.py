"""
Proto-MAML (Triantafillou et al. 2020, section 3), first order: MAML whose classifier begins as prototypes.

    repeat:  sample tasks 1..n, each with support and query images
             c_k      <- mean of the features of class k's support images
             head_i   <- the linear classifier of squared distances: weight 2 * scale * c_k, bias -scale * |c_k|^2
             phi_i    <- (theta, head_i) adapted to the support images of task i by a few gradient steps
             theta    <- a step of the outer optimizer on mean_i of task i's query loss at phi_i

The gradients of the inner loop are constants, as in first-order MAML. The outer gradient flows back into theta on two
ways: through the layers before the classifier, and through the prototypes, which they made. Theta's own classifier is
never read. The scale is learned, as in `prototypes`; the paper's is 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch.api import ProtoMamlSettings
from metasearch_trainer.metalearners.base import State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned, first_order, query_loss
from metasearch_trainer.metalearners.prototypes import LOG_SCALE, with_prototypes
from metasearch_trainer.metalearners.query_learner import LossLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks


class ProtoMAML(LossLearner):
    """Moves theta so that prototypes, and a few gradient steps from there, help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(ProtoMamlSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)
        self.ways = recipe.task.ways

    def initial_factors(self, theta: Tensor) -> dict[str, Tensor]:
        return {LOG_SCALE: theta.new_zeros(()), **self.inner.initial_rates(theta)}

    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        phi = with_prototypes(self.network, learned, tasks.support, self.ways)
        phi = self.inner.descend(learned, phi, tasks.support, range(tasks.support.steps), first_order)
        return query_loss(self.network, phi, tasks)

    def adapt(self, state: State, support: Support) -> Tensor:
        with torch.no_grad():
            phi = with_prototypes(self.network, state.tensors, support, self.ways)
        return self.inner.adapt(state.tensors, phi, support)
