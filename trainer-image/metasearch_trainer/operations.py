"""
The candidate operations: what each name in `spec.space.operations` does to an image.

To add one of ours: write its layers here, register it in `OPERATIONS`, and name it in `metasearch.api.Operation`.
A package adds one through an entry point of the group `metasearch.operations` that is a `Builder`.
An operation keeps the number of channels and divides the side by `stride` (rounded up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from metasearch.api import Operation
from metasearch.extensions import Group, find
from metasearch_trainer.layers import ConvNormRelu
from metasearch_trainer.parameters import ParameterLayout, Weights


class Layer(Protocol):
    """An operation at one place of a network."""

    def __call__(self, weights: Weights, x: Tensor) -> Tensor:
        """Map (batch, tasks * channels, side, side) to the same with side / stride, rounded up."""
        ...

    def multiply_adds(self, side: int) -> int:
        """Count the multiply-adds on one image of one task; `side` is that of the output in pixels."""
        ...


class Sequential:
    """Layers one after another; a stride is taken by the first of them, so all outputs have the same side."""

    def __init__(self, *layers: Layer) -> None:
        self.layers = layers

    def __call__(self, weights: Weights, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(weights, x)
        return x

    def multiply_adds(self, side: int) -> int:
        return sum(layer.multiply_adds(side) for layer in self.layers)


class Pool:
    """3x3 pooling. The average leaves out padding, so that borders are not darkened."""

    def __init__(self, kind: Operation, stride: int) -> None:
        self.kind, self.stride = kind, stride

    def __call__(self, weights: Weights, x: Tensor) -> Tensor:  # noqa: ARG002
        if self.kind is Operation.MAX_POOL_3X3:
            return F.max_pool2d(x, 3, self.stride, padding=1)
        return F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)

    def multiply_adds(self, side: int) -> int:  # noqa: ARG002
        return 0  # additions or comparisons only


class Identity:
    """The input itself."""

    def __call__(self, weights: Weights, x: Tensor) -> Tensor:  # noqa: ARG002
        return x

    def multiply_adds(self, side: int) -> int:  # noqa: ARG002
        return 0


Builder = Callable[[ParameterLayout, str, int, int], Layer]
"""Makes an operation from (layout, prefix of its parameters' names, filters, stride)."""


def _conv(size: int, dilation: int = 1) -> Builder:
    def build(layout: ParameterLayout, name: str, filters: int, stride: int) -> Layer:
        return ConvNormRelu(layout, name, filters, filters, (size, size), stride, dilation)

    return build


def _factorised(size: int) -> Builder:
    """Build a 1 x size and a size x 1 convolution: the reach of a square one with 2 / size of its weights."""

    def build(layout: ParameterLayout, name: str, filters: int, stride: int) -> Layer:
        return Sequential(
            ConvNormRelu(layout, f"{name}.row", filters, filters, (1, size), stride),
            ConvNormRelu(layout, f"{name}.column", filters, filters, (size, 1)),
        )

    return build


def _separable(size: int) -> Builder:
    """Build a depthwise and a pointwise convolution, twice, as in PNAS."""

    def build(layout: ParameterLayout, name: str, filters: int, stride: int) -> Layer:
        def once(part: str, stride: int) -> Layer:
            return Sequential(
                ConvNormRelu(layout, f"{name}.{part}.depth", filters, filters, (size, size), stride, depthwise=True),
                ConvNormRelu(layout, f"{name}.{part}.point", filters, filters, (1, 1)),
            )

        return Sequential(once("one", stride), once("two", 1))

    return build


def _pool(kind: Operation) -> Builder:
    def build(_layout: ParameterLayout, _name: str, _filters: int, stride: int) -> Layer:
        return Pool(kind, stride)

    return build


def _identity(layout: ParameterLayout, name: str, filters: int, stride: int) -> Layer:
    # A strided identity would drop three pixels of four without looking; PNAS's own code has a 1x1 convolution there.
    return Identity() if stride == 1 else ConvNormRelu(layout, name, filters, filters, (1, 1), stride)


OPERATIONS: Mapping[str, Builder] = {
    Operation.CONV_3X3: _conv(3),
    Operation.CONV_5X5: _factorised(5),
    Operation.IDENTITY: _identity,
    Operation.AVG_POOL_3X3: _pool(Operation.AVG_POOL_3X3),
    Operation.MAX_POOL_3X3: _pool(Operation.MAX_POOL_3X3),
    Operation.SEP_CONV_3X3: _separable(3),
    Operation.SEP_CONV_5X5: _separable(5),
    Operation.SEP_CONV_7X7: _separable(7),
    Operation.CONV_1X7_7X1: _factorised(7),
    Operation.DIL_CONV_3X3: _conv(3, dilation=2),
}


def builder_of(name: str) -> Builder:
    """Return what makes an operation, ours or an installed package's; raises InvalidSpec where there is none."""
    return find(Group.OPERATIONS, name, OPERATIONS, "spec.space.operations")
