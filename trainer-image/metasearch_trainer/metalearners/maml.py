"""
MAML (Finn, Abbeel and Levine 2017, algorithm 1), with parts of MAML++ (Antoniou, Edwards and Storkey 2019) as options.

    repeat:  sample tasks 1..n, each with support and query images
             phi_i(theta)  <- theta adapted to the support images of task i by a few gradient steps
             theta         <- a step of the outer optimizer on mean_i of task i's query loss at phi_i(theta)

The query loss is differentiated through the inner loop. With v = dL/dphi_K, each step back from k = K-1 to 0 takes away
the Hessian of the support loss times v:

    v <- v - H(phi_k) (rate_k * v)

That product is exact, by differentiating the support gradient, which keeps every step's pass in memory; or the
difference of two support gradients, which keeps phi_k alone.

The parts of MAML++ are learned rates (see `inner_loop`), the multi-step loss of its section 4.1, and first order in a
first share of the training (derivative-order annealing, section 4.2). Both schedules are tensors, since a CUDA graph of
the outer step cannot choose in Python: a step in which second derivatives count nothing takes as long as any.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch.api import MamlSettings, SecondOrder
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned, exact, finite_difference, query_loss
from metasearch_trainer.metalearners.outer_optimizer import Derivatives, derivatives
from metasearch_trainer.metalearners.query_learner import QueryLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks


class MAML(QueryLearner):
    """Moves theta so that a few gradient steps on support images help with query images, as the steps depend on it."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(MamlSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)
        is_exact = settings.second_order is SecondOrder.EXACT
        self.support_gradient = exact if is_exact else finite_difference
        self.multi_step_loss = float(settings.multi_step_loss)
        self.first_order_share = float(settings.first_order_share)

    def differentiate(self, state: State, tasks: Tasks, progress: Tensor) -> Derivatives:
        return derivatives(state, lambda learned: self.loss(learned, tasks, progress))

    def loss(self, learned: Learned, tasks: Tasks, progress: Tensor) -> Tensor:
        """Compute the mean query loss () after the inner loop, or after every step of it, weighted."""

        def gradient(network: Network, phi: Tensor, support: Support) -> Tensor:
            value = self.support_gradient(network, phi, support)
            if self.first_order_share == 0:
                return value
            # The same value, whose derivative counts nothing in the first share of the training.
            counts = (progress >= self.first_order_share).to(value.dtype)
            return value.detach() + counts * (value - value.detach())

        phi, steps = learned[THETA].expand(len(tasks.support), -1), tasks.support.steps
        losses = []
        for step in range(steps):
            phi = self.inner.descend(learned, phi, tasks.support, range(step, step + 1), gradient)
            if self.multi_step_loss > 0 or step == steps - 1:
                losses.append(query_loss(self.network, phi, tasks))
        if self.multi_step_loss == 0:
            return losses[-1]
        return torch.stack(losses) @ step_weights(progress, self.multi_step_loss, steps).to(phi.dtype)


def step_weights(progress: Tensor, share: float, steps: int) -> Tensor:
    """
    Return the weights (steps,) of the losses after each inner step, of sum 1.

    All are equal at first. Those before the last fall in a line to 0, where the share of the training is over.

    Args:
        progress: share of the training that is done, () in [0, 1).
        share: in (0, 1].
    """
    earlier = (1 - progress / share).clamp(min=0) / steps
    return torch.cat([earlier.expand(steps - 1), (1 - (steps - 1) * earlier)[None]])
