"""
One flat vector for all of a network's parameters, and the tensors cut out of it.

Meta-learning is arithmetic on whole parameter sets (theta + step * (mean(phi) - theta)); on flat vectors that is
one line and one kernel. Several tasks are stacked as rows: (tasks, size).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

Initializer = Callable[[tuple[int, ...], Generator], Tensor]
"""Draws a float64 tensor of a shape."""


def he_normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw convolution weights (out, in, height, width) for a ReLU network (He et al. 2015)."""
    fan_in = math.prod(shape[1:])
    return torch.randn(shape, generator=generator, dtype=torch.float64) * math.sqrt(2 / fan_in)


def lecun_normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw weights (out, in) of a linear layer without a ReLU behind it (LeCun et al. 1998)."""
    return torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(shape[1])


def ones(shape: tuple[int, ...], _generator: Generator) -> Tensor:
    """Return ones, as normalisation scales start."""
    return torch.ones(shape, dtype=torch.float64)


def zeros(shape: tuple[int, ...], _generator: Generator) -> Tensor:
    """Return zeros, as biases start."""
    return torch.zeros(shape, dtype=torch.float64)


@dataclass(frozen=True)
class Parameter:
    """One tensor's name, shape without the task axis, and how it starts."""

    name: str
    shape: tuple[int, ...]
    initial: Initializer

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Weights:
    """The tensors of a forward pass, and the images whose statistics normalise its batches."""

    tensors: list[Tensor]
    """One per parameter, (tasks, *shape)."""
    statistics: int = 0
    """
    The number of a batch's images, the first ones, that its batch statistics come from; 0 for all of them.

    With the support images first, the others are classified each by itself, for they do not change the statistics.
    """

    def __getitem__(self, index: int) -> Tensor:
        return self.tensors[index]


@dataclass
class ParameterLayout:
    """The order of a network's tensors in its flat vector. Layers `add` to it while a network is built."""

    parameters: list[Parameter] = field(default_factory=list)

    def add(self, name: str, shape: tuple[int, ...], initial: Initializer) -> int:
        """Append a tensor; returns its index in what `views` returns."""
        self.parameters.append(Parameter(name, shape, initial))
        return len(self.parameters) - 1

    @property
    def size(self) -> int:
        """Length of the flat vector: the network's parameter count."""
        return sum(parameter.size for parameter in self.parameters)

    def initial(self, generator: Generator) -> Tensor:
        """Draw a flat vector (size,), float64 so that every precision starts from the same numbers."""
        return torch.cat([each.initial(each.shape, generator).flatten() for each in self.parameters])

    def views(self, flat: Tensor) -> list[Tensor]:
        """Cut (tasks, size) into one (tasks, *shape) per tensor; gradients flow back into `flat`."""
        pieces = torch.split(flat, [each.size for each in self.parameters], dim=1)
        return [piece.view(len(flat), *each.shape) for piece, each in zip(pieces, self.parameters, strict=True)]

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the tensors of one network's vector (size,) by their names, as saved to a file."""
        return {each.name: view[0] for each, view in zip(self.parameters, self.views(flat[None]), strict=True)}
