"""
The parts that the learners with an inner loop and a query loss have in common: their tasks, and the outer step.

    repeat:  sample tasks 1..n, each with support and query images
             g      <- the outer gradient, which is what makes the learner
             theta  <- a step of the outer optimizer against g
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Generator, Tensor

from metasearch.api import InnerLoopSettings, Task
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.inner_loop import InnerLoop, Learned
from metasearch_trainer.metalearners.outer_optimizer import Derivatives, OuterOptimizer, derivatives
from metasearch_trainer.tasks import Passes, Support, Tasks, TaskShape


class QueryLearner(ABC):
    """A learner that follows a gradient of the query loss after the inner loop; an heir says which."""

    def __init__(self, settings: InnerLoopSettings, task: Task, inner: InnerLoop, device: torch.device) -> None:
        self.network, self.inner, self.device = inner.network, inner, device
        self.meta_batch_size, self.unrolled_steps = settings.meta_batch_size, settings.unrolled_steps
        shots = settings.shots or task.shots
        self.training_tasks = TaskShape(task.ways, shots, settings.queries, Passes(settings.inner_steps))
        self.evaluation_passes = Passes(settings.evaluation_steps or settings.inner_steps)
        self.optimizer = OuterOptimizer.of(settings)

    def initial_state(self, generator: Generator) -> State:
        theta = self.network.layout.initial(generator).to(self.device, torch.float32)
        learned = {THETA: theta, **self.initial_factors(theta)}
        return State({**learned, **self.optimizer.initial_moments(learned)})

    def initial_factors(self, theta: Tensor) -> dict[str, Tensor]:
        """Return what is learned besides theta before the first outer step: factors, as logarithms."""
        return self.inner.initial_rates(theta)

    def outer_step(self, state: State, tasks: Tasks, progress: Tensor) -> Tensor:
        differentiated = self.differentiate(state, tasks, progress)
        self.optimizer.step(state, differentiated.gradients, progress)
        return differentiated.loss

    @abstractmethod
    def differentiate(self, state: State, tasks: Tasks, progress: Tensor) -> Derivatives:
        """
        Compute the mean query loss after the inner loop, and the gradients that the outer optimizer follows.

        Args:
            state: stays as it is.
        """

    def adapt(self, state: State, support: Support) -> Tensor:
        return self.inner.adapt(state.tensors, state.theta.expand(len(support), -1), support)


class LossLearner(QueryLearner):
    """A learner whose outer gradient is the derivative of a loss; an heir says how the inner loop counts in it."""

    def differentiate(self, state: State, tasks: Tasks, progress: Tensor) -> Derivatives:  # noqa: ARG002
        return derivatives(state, lambda learned: self.loss(learned, tasks))

    @abstractmethod
    def loss(self, learned: Learned, tasks: Tasks) -> Tensor:
        """Compute the mean query loss () after the inner loop, differentiable by all that is learned."""
