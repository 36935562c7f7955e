"""
Evolution strategies for MAML (Song et al. 2020, algorithm 3; Salimans et al. 2017), with antithetic perturbations.

    repeat:  sample tasks 1..n, each with support and query images
             draw perturbations e_1..e_m from a standard normal distribution
             F(theta)  =  mean_i of task i's query loss after adapting theta to its support images
             g         <- mean_j of (F(theta + noise * e_j) - F(theta - noise * e_j)) / (2 * noise) * e_j
             theta     <- a step of the outer optimizer against g

In expectation, g is the gradient of F blurred by the noise. Nothing is differentiated but the support loss, inside of
F: the inner loop may be of any kind and length, and memory depends on neither its steps nor the population. The price
is variance: g has as many dimensions as there are pairs. Both of a pair see the same tasks, so that what they have in
common cancels.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor

from metasearch.api import EvolutionSettings
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, query_loss
from metasearch_trainer.metalearners.noise import normal
from metasearch_trainer.metalearners.outer_optimizer import STEPS, Derivatives
from metasearch_trainer.metalearners.query_learner import QueryLearner
from metasearch_trainer.network import Network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Tasks

NOISE_SEED = "noise_seed"


class Evolution(QueryLearner):
    """Moves theta in directions in which a few gradient steps on support images were seen to help with query images."""

    def __init__(self, recipe: Recipe, network: Network, device: torch.device) -> None:
        settings = recipe.settings(EvolutionSettings)
        super().__init__(settings, recipe.task, InnerLoop(network, settings, device), device)
        self.pairs, self.noise = settings.population // 2, float(settings.noise)

    def initial_state(self, generator: Generator) -> State:
        begun = super().initial_state(generator)
        return replace(begun, integers={NOISE_SEED: int(torch.randint(2**62, (), generator=generator))})

    def differentiate(self, state: State, tasks: Tasks, progress: Tensor) -> Derivatives:  # noqa: ARG002
        # Streams are numbered on through the training, by a counter that is a tensor of the state.
        first = state.tensors[STEPS].long() * self.pairs
        gradient, loss = torch.zeros_like(state.theta), torch.zeros_like(state.theta[0])
        for pair in range(self.pairs):
            perturbation = normal(state.integers[NOISE_SEED], first + pair, len(gradient)).to(gradient.dtype)
            ahead, behind = (
                self.fitness(replace_theta(state, state.theta + sign * self.noise * perturbation), tasks)
                for sign in (1, -1)
            )
            loss += (ahead + behind) / 2
            gradient += (ahead - behind) / (2 * self.noise) * perturbation
        return Derivatives(loss / self.pairs, {THETA: gradient / self.pairs})

    def fitness(self, state: State, tasks: Tasks) -> Tensor:
        """Compute the mean query loss () after adapting to the support images."""
        return query_loss(self.network, self.adapt(state, tasks.support), tasks)


def replace_theta(state: State, theta: Tensor) -> State:
    """Return the state with other parameters (size,)."""
    return replace(state, tensors={**state.tensors, THETA: theta})
