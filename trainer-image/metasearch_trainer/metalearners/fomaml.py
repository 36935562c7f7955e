"""
First-order MAML (Finn, Abbeel and Levine 2017, algorithm 1 with the approximation of their section 5.2).

    repeat:  sample tasks 1..n, each with support and query images
             phi_i  <- theta adapted to the support images of task i by a few gradient steps
             g      <- mean_i of the gradient of task i's query loss at phi_i
             theta  <- theta - step_size * g

MAML differentiates the query loss with respect to theta, through the inner loop. First order leaves out the second
derivatives, so that the gradient at the adapted parameters is taken for the one at theta.

As in the authors' code the outer step is Adam's; here without momentum, which is what the inner loop has as well.
`training.metaStepSize` is Adam's rate, so it must be far below Reptile's 1.0: 0.001 is theirs, 0.01 is faster at first.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from metasearch_trainer.adaptation import Moments, adapt, task_gradients
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks

SECOND_MOMENT, ADAM_STEPS = "outer_second_moment", "outer_adam_steps"


class FOMAML:
    """Moves theta so that a few gradient steps on support images help with query images."""

    queries_per_class = 5

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        training = recipe.training
        self.network, self.device = network, device
        self.learning_rate = float(training.inner_learning_rate)
        self.first_step_size = float(training.meta_step_size)
        self.last_step_size = float(training.final_meta_step_size)

    def initial_state(self, generator: Generator) -> State:
        theta = self.network.layout.initial(generator).to(self.device, torch.float32)
        moments = Moments.zero(theta)
        return State({THETA: theta, SECOND_MOMENT: moments.second, ADAM_STEPS: moments.steps})

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> None:
        gradient = self.outer_gradient(state, tasks)
        moments = Moments(state.tensors[SECOND_MOMENT], state.tensors[ADAM_STEPS])
        step_size = self.first_step_size + (self.last_step_size - self.first_step_size) * progress
        state.theta.sub_(step_size.to(state.theta.dtype) * gradient / moments.scale(gradient))

    def outer_gradient(self, state: State, tasks: Tasks) -> Tensor:
        """Compute the mean over tasks of the query loss's gradient at the adapted parameters, (size,)."""
        # `adapt` detaches phi from theta, which is what leaves out the second derivatives.
        phi = self.adapt(state, tasks.support).requires_grad_()
        return task_gradients(self.network, phi, tasks.queries, tasks.query_labels).mean(0)

    def adapt(self, state: State, support: Support) -> Tensor:
        moments = Moments.zero(state.theta).for_tasks(len(support))
        return adapt(self.network, state.theta, moments, support, self.learning_rate)
