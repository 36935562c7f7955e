"""
The layers of the parts of a cell's network, for networks and for those that measure a part by itself.
"""

from __future__ import annotations

from metasearch.api.latency import INPUT, STEM, Part
from metasearch_trainer.layers import ConvNormRelu, Linear
from metasearch_trainer.operations import Layer, builder_of
from metasearch_trainer.parameters import ParameterLayout

KERNELS = {STEM: (3, 3), INPUT: (1, 1)}


def convolution(layout: ParameterLayout, name: str, part: Part) -> ConvNormRelu:
    """Build the convolution of the stem, or of an outer input of a cell."""
    return ConvNormRelu(layout, name, part.channels, part.filters, KERNELS[part.name], part.stride)


def operation(layout: ParameterLayout, name: str, part: Part) -> Layer:
    """Build an operation, ours or an installed package's; raises InvalidSpec where there is none."""
    return builder_of(part.name)(layout, name, part.filters, part.stride)


def classifier(layout: ParameterLayout, name: str, part: Part) -> Linear:
    """Build the classifier."""
    return Linear(layout, name, part.channels, part.filters)
