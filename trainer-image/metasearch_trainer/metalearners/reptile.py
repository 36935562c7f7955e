"""
Reptile (Nichol, Achiam and Schulman 2018, algorithm 2; official code: openai/supervised-reptile).

    repeat:  sample tasks 1..n
             phi_i  <- theta adapted to task i by a few gradient steps
             theta  <- theta + step_size * mean_i(phi_i - theta)

The tasks of a meta-batch are adapted side by side. Where Adam's second moment lives on, every task starts from the same
one and their mean is kept; the official code hands it from one task to the next instead, which side by side is not
possible (docs/choices.md has the measured difference to a fresh one).
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from metasearch.api import OptimizerState, ReptileSettings
from metasearch_trainer.adaptation import Moments, adapt
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape

SECOND_MOMENT, ADAM_STEPS = "second_moment", "adam_steps"


class Reptile:
    """Moves theta towards the mean of the parameters that are adapted to a meta-batch's tasks."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(ReptileSettings)
        self.network, self.device = network, device
        self.meta_batch_size = settings.meta_batch_size
        # No queries: it learns from where adaptation leads, not from how well that does on other images.
        passes = Passes(settings.inner_steps, settings.inner_batch_size)
        self.training_tasks = TaskShape(recipe.task.ways, settings.shots, 0, passes)
        self.evaluation_passes = Passes(settings.evaluation_steps, settings.evaluation_batch_size)
        self.learning_rate = float(settings.inner_learning_rate)
        self.first_step_size = float(settings.meta_step_size)
        self.last_step_size = float(settings.final_meta_step_size)
        self.keeps_moments = settings.optimizer_state is OptimizerState.KEPT

    def initial_state(self, generator: Generator) -> State:
        return self.state_of(self.network.layout.initial(generator).to(self.device, torch.float32))

    def state_of(self, theta: Tensor) -> State:
        """Return the state that begins with `theta` (size,), of any precision, which the outer steps will move."""
        if not self.keeps_moments:
            return State({THETA: theta})
        moments = Moments.zero(theta)
        return State({THETA: theta, SECOND_MOMENT: moments.second, ADAM_STEPS: moments.steps})

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> Tensor:
        phi, moments, loss = self._adapted(state, tasks.support)
        step_size = self.first_step_size + (self.last_step_size - self.first_step_size) * progress
        state.theta.lerp_(phi.mean(0), step_size.to(state.theta.dtype))
        if self.keeps_moments:
            state.tensors[SECOND_MOMENT].copy_(moments.second.mean(0))
            state.tensors[ADAM_STEPS].copy_(moments.steps)
        return loss

    def adapt(self, state: State, support: Support) -> Tensor:
        return self._adapted(state, support)[0]

    def _adapted(self, state: State, support: Support) -> tuple[Tensor, Moments, Tensor]:
        """Return each task's parameters and moments after the inner loop, (tasks, size) each, and its last loss ()."""
        start = self._moments(state).for_tasks(len(support))
        # `adapt` moves the moments on in place: `start` has those after the last step then.
        phi, loss = adapt(self.network, state.theta, start, support, self.learning_rate)
        return phi, start, loss

    def _moments(self, state: State) -> Moments:
        if not self.keeps_moments:
            return Moments.zero(state.theta)
        # The state's own tensors; `for_tasks` copies them, so that adapting leaves the state as it is.
        return Moments(state.tensors[SECOND_MOMENT], state.tensors[ADAM_STEPS])
