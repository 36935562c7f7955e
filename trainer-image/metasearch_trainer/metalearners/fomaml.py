"""
First-order MAML (Finn, Abbeel and Levine 2017, algorithm 1 with the approximation of their section 5.2).

    repeat:  sample tasks 1..n, each with support and query images
             phi_i  <- theta adapted to the support images of task i by a few gradient steps
             g      <- mean_i of the gradient of task i's query loss at phi_i
             theta  <- theta - step_size * g

MAML differentiates the query loss with respect to theta, through the inner loop. First order leaves out the second
derivatives, so that the gradient at the adapted parameters is taken for the one at theta.

The outer step is Adam's, as in the authors' code.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from metasearch.api import FomamlSettings
from metasearch_trainer.adaptation import task_gradients
from metasearch_trainer.metalearners import outer_adam
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.outer_adam import annealed
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape


class FOMAML:
    """Moves theta so that a few gradient steps on support images help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(FomamlSettings)
        self.network, self.device = network, device
        self.meta_batch_size = settings.meta_batch_size
        shots = settings.shots or recipe.task.shots
        self.training_tasks = TaskShape(recipe.task.ways, shots, settings.queries, Passes(settings.inner_steps))
        self.evaluation_passes = Passes(settings.evaluation_steps or settings.inner_steps)
        self.inner_learning_rate = float(settings.inner_learning_rate)
        self.meta_learning_rate, self.annealing = float(settings.meta_learning_rate), float(settings.annealing)

    def initial_state(self, generator: Generator) -> State:
        learned = {THETA: self.network.layout.initial(generator).to(self.device, torch.float32)}
        return State({**learned, **outer_adam.initial_moments(learned)})

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> None:
        factor = annealed(progress, self.annealing)
        gradients = {THETA: self.outer_gradient(state, tasks)}
        outer_adam.step(state, gradients, {THETA: self.meta_learning_rate * factor})

    def outer_gradient(self, state: State, tasks: Tasks) -> Tensor:
        """Compute the mean over tasks of the query loss's gradient at the adapted parameters, (size,)."""
        # `adapt` detaches phi from theta, which is what leaves out the second derivatives.
        phi = self.adapt(state, tasks.support).requires_grad_()
        return task_gradients(self.network, phi, tasks.queries, tasks.query_labels).mean(0)

    def adapt(self, state: State, support: Support) -> Tensor:
        phi = state.theta.expand(len(support), -1)
        for step in range(support.steps):
            start = phi.detach().requires_grad_()
            phi = start - self.inner_learning_rate * task_gradients(self.network, start, *support.batch(step))
        return phi.detach()
