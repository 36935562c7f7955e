"""
The outer optimizer of learners that follow a gradient: Adam (Kingma and Ba 2015), and how its step size is annealed.

Its moments are kept in the learner's state, so that a training that goes on from a checkpoint ends as if it had never
stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from metasearch_trainer.metalearners.base import THETA, State

# Adam's defaults.
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8

STEPS = "outer_adam_steps"

LOGARITHM_STEP_SIZE = 0.01
"""The step size of learned factors, which are kept as logarithms: they move by factors, slower than weights do."""


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


def initial_moments(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return Adam's memory before the first step, as tensors of a state, for tensors of the state that it will move."""
    first = next(iter(tensors.values()))
    moments = {name: torch.zeros_like(tensor) for each, tensor in tensors.items() for name in _moments_of(each)}
    # A tensor, since a CUDA graph cannot count in Python.
    return {STEPS: torch.zeros((), dtype=first.dtype, device=first.device), **moments}


def learned(state: State) -> dict[str, Tensor]:
    """Return the tensors of a state that have moments, and so are moved, by name; they share the state's memory."""
    return {name: tensor for name, tensor in state.tensors.items() if _moments_of(name)[0] in state.tensors}


def derivatives(state: State, loss: Callable[[Mapping[str, Tensor]], Tensor]) -> dict[str, Tensor]:
    """Differentiate a loss () with respect to all that is learned, by name."""
    # In copies, so that the state's own tensors never belong to a graph.
    copies = {name: tensor.clone().requires_grad_() for name, tensor in learned(state).items()}
    return dict(zip(copies, torch.autograd.grad(loss(copies), list(copies.values())), strict=True))


def step(state: State, gradients: Mapping[str, Tensor], meta_learning_rate: float, factor: Tensor) -> None:
    """
    Move tensors of a state against their gradients, in place.

    Args:
        gradients: by the tensors' names: theta, and factors as logarithms.
        meta_learning_rate: theta's step size before it is annealed.
        factor: what `annealed` returns, ().
    """
    steps = state.tensors[STEPS].add_(1)
    for name, gradient in gradients.items():
        first, second = (state.tensors[each] for each in _moments_of(name))
        first.lerp_(gradient, 1 - BETA1)
        second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        size = (second / (1 - BETA2**steps)).sqrt_().add_(EPSILON)
        tensor = state.tensors[name]
        step_size = (meta_learning_rate if name == THETA else LOGARITHM_STEP_SIZE) * factor
        tensor.sub_(step_size.to(tensor.dtype) * (first / (1 - BETA1**steps)) / size)


def _moments_of(name: str) -> tuple[str, str]:
    """Return the names of a tensor's two moments."""
    return f"{name}_first_moment", f"{name}_second_moment"
