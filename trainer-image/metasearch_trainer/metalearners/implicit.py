"""
iMAML, implicit gradients (Rajeswaran, Finn, Kakade and Levine 2019, algorithms 1 and 2).

    repeat:  sample tasks 1..n, each with support and query images
             phi_i  <- nearly the minimum of  support loss_i(phi) + lambda/2 |phi - theta|^2, by gradient steps
             v_i    <- the gradient of task i's query loss at phi_i
             g_i    <- (I + H_i / lambda)^-1 v_i, by a few steps of conjugate gradients; H_i is the support loss's
                       Hessian at phi_i
             theta  <- a step of the outer optimizer against mean_i g_i

At the minimum, the support gradient is lambda (theta - phi). To differentiate both sides with respect to theta gives
dphi/dtheta = (I + H/lambda)^-1, which does not ask what way led to the minimum. So memory does not grow with the number
of steps, and the gradient is exact only as far as the inner loop and the conjugate gradients have converged.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metasearch.api import ImplicitSettings
from metasearch_trainer.adaptation import loss_and_gradients
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, exact, first_order
from metasearch_trainer.metalearners.outer_optimizer import Derivatives
from metasearch_trainer.metalearners.query_learner import QueryLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks


class Implicit(QueryLearner):
    """Moves theta so that the best parameters near it for support images are good ones for query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(ImplicitSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)
        self.regularization = float(settings.regularization)
        self.conjugate_gradient_steps = settings.conjugate_gradient_steps

    def differentiate(self, state: State, tasks: Tasks, progress: Tensor) -> Derivatives:  # noqa: ARG002
        phi = self.adapt(state, tasks.support).requires_grad_()
        loss, query_gradient = loss_and_gradients(self.network, phi, tasks.queries, tasks.query_labels)
        support_gradient = exact(self.network, phi, tasks.support)

        def matrix(vector: Tensor) -> Tensor:
            """Multiply I + H / lambda of each task with a vector of each, (tasks, size)."""
            # Of a number: PyTorch loads a library of symbols, 2 seconds and 40 MiB, to differentiate anything else.
            (product,) = torch.autograd.grad((support_gradient * vector).sum(), phi, retain_graph=True)
            return vector + product / self.regularization

        gradients = conjugate_gradients(matrix, query_gradient, self.conjugate_gradient_steps)
        return Derivatives(loss, {THETA: gradients.mean(0)})

    def adapt(self, state: State, support: Support) -> Tensor:
        def gradient(network: Network, phi: Tensor, support: Support) -> Tensor:
            return first_order(network, phi, support) + self.regularization * (phi - state.theta)

        phi = state.theta.expand(len(support), -1)
        return self.inner.descend(state.tensors, phi, support, range(support.steps), gradient)


def conjugate_gradients(matrix: Callable[[Tensor], Tensor], right: Tensor, steps: int) -> Tensor:
    """
    Solve a linear system for each task (Hestenes and Stiefel 1952), from 0.

    Args:
        matrix: multiplies each task's symmetric matrix with a vector of each, (tasks, size).
        right: the right-hand sides, (tasks, size).

    Returns:
        (tasks, size). A task stops where its matrix is not positive along the next direction: the support loss may be
        concave there, more than lambda holds it.
    """
    solution, residual, direction = torch.zeros_like(right), right, right
    left = _squared(residual)
    for _ in range(steps):
        product = matrix(direction)
        curvature = (direction * product).sum(1, keepdim=True)
        # Chosen without a branch, since tasks run side by side. Once one has stopped, its direction stays the same.
        goes_on = curvature > 0
        length = torch.where(goes_on, left / torch.where(goes_on, curvature, 1), 0)
        solution = solution + length * direction
        residual = residual - length * product
        before, left = left, _squared(residual)
        turned = residual + left / before.clamp_min(torch.finfo(left.dtype).tiny) * direction
        direction = torch.where(goes_on, turned, direction)
    return solution


def _squared(vectors: Tensor) -> Tensor:
    """Return the squared lengths of vectors (tasks, size), (tasks, 1)."""
    return vectors.square().sum(1, keepdim=True)
