"""
The outer optimizer of learners that follow a gradient: Adam (Kingma and Ba 2015), or gradient descent with momentum.

Its moments are kept in the learner's state, so that a training that goes on from a checkpoint ends as if it had never
stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metasearch.api import MetaOptimizer, QuerySettings
from metasearch_trainer.metalearners.base import THETA, State

# Adam's defaults.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

MOMENTUM = 0.9
"""The share of its last step that gradient descent repeats."""

STEPS = "outer_steps"

LOGARITHM_STEP_SIZE = 0.01
"""The step size of learned factors, which are kept as logarithms: they move by factors, slower than weights do."""


@dataclass(frozen=True)
class Derivatives:
    """A loss and its derivatives."""

    loss: Tensor
    """The mean over a meta-batch, (), detached."""
    gradients: dict[str, Tensor]
    """With respect to each tensor of the state that moves, by its name: theta, and factors as logarithms."""


@dataclass(frozen=True)
class OuterOptimizer:
    """Moves all that is learned against its gradient."""

    kind: MetaOptimizer
    meta_learning_rate: float
    """The step size of theta before it is annealed."""
    annealing: float
    """The share of the training, at its end, in which step sizes fall to 0; in [0, 1]."""

    @classmethod
    def of(cls, settings: QuerySettings) -> OuterOptimizer:
        """Return the optimizer that a learner's settings name."""
        return cls(settings.meta_optimizer, float(settings.meta_learning_rate), float(settings.annealing))

    def initial_moments(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the memory before the first step, as tensors of a state, for tensors of the state that will move."""
        first = next(iter(tensors.values()))
        moments = {_first_moment(name): torch.zeros_like(tensor) for name, tensor in tensors.items()}
        if self.kind is MetaOptimizer.ADAM:
            moments |= {_second_moment(name): torch.zeros_like(tensor) for name, tensor in tensors.items()}
        # A tensor, since a CUDA graph cannot count in Python.
        return {STEPS: torch.zeros((), dtype=first.dtype, device=first.device), **moments}

    def step(self, state: State, gradients: Mapping[str, Tensor], progress: Tensor) -> None:
        """
        Move tensors of a state against their gradients, in place.

        Args:
            gradients: by the tensors' names: theta, and factors as logarithms.
            progress: share of the training that is done, () in [0, 1).
        """
        state.tensors[STEPS].add_(1)
        factor = annealed(progress, self.annealing)
        direction = _adam if self.kind is MetaOptimizer.ADAM else _momentum
        for name, gradient in gradients.items():
            tensor = state.tensors[name]
            step_size = (self.meta_learning_rate if name == THETA else LOGARITHM_STEP_SIZE) * factor
            tensor.sub_(step_size.to(tensor.dtype) * direction(state, name, gradient))


def annealed(progress: Tensor, share: float) -> Tensor:
    """
    Return the factor of a step size that falls along a cosine from 1 to 0 at the end of the training.

    Args:
        progress: share of the training that is done, () in [0, 1).
        share: the share of the training in which it falls, in [0, 1].
    """
    if share == 0:
        return torch.ones_like(progress)
    left = ((1 - progress) / share).clamp(max=1)
    return 0.5 * (1 - torch.cos(math.pi * left))


def learned(state: State) -> dict[str, Tensor]:
    """Return the tensors of a state that have moments, and so are moved, by name; they share the state's memory."""
    return {name: tensor for name, tensor in state.tensors.items() if _first_moment(name) in state.tensors}


def derivatives(state: State, loss: Callable[[Mapping[str, Tensor]], Tensor]) -> Derivatives:
    """Compute a loss () and differentiate it with respect to all that is learned."""
    # In copies, so that the state's own tensors never belong to a graph.
    copies = {name: tensor.clone().requires_grad_() for name, tensor in learned(state).items()}
    value = loss(copies)
    gradients = torch.autograd.grad(value, list(copies.values()))
    return Derivatives(value.detach(), dict(zip(copies, gradients, strict=True)))


def _adam(state: State, name: str, gradient: Tensor) -> Tensor:
    """Return Adam's direction for a tensor, whose moments are moved on in place."""
    steps = state.tensors[STEPS]
    first, second = state.tensors[_first_moment(name)], state.tensors[_second_moment(name)]
    first.lerp_(gradient, 1 - BETA1)
    second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
    size = (second / (1 - BETA2**steps)).sqrt_().add_(EPSILON)
    return first / (1 - BETA1**steps) / size


def _momentum(state: State, name: str, gradient: Tensor) -> Tensor:
    """Return the sum of a tensor's gradients so far, older ones counting less, which is moved on in place."""
    return state.tensors[_first_moment(name)].mul_(MOMENTUM).add_(gradient)


def _first_moment(name: str) -> str:
    return f"{name}_first_moment"


def _second_moment(name: str) -> str:
    return f"{name}_second_moment"
