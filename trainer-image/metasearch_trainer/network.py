"""
Networks: a cell repeated, and the hand-made ones that it is compared with.

    image ─ stem ─ [repeats × cell ─ cell/2] ─ … ─ repeats × cell ─ mean of pixels ─ linear ─ logits
                   └──── reductions times ──┘

The stem is a 3x3 convolution. A cell of stride 2 has `filter_scale` times the filters of the one before; only the
operations that read its two outer inputs are strided. Both outer inputs first pass a 1x1 convolution that gives them
the cell's number of filters; an input that no branch reads has none, for its weights would never learn.
Source: Liu et al. 2018 (PNAS), figure 1 and the authors' code; what Auto-Meta leaves open is listed in docs/choices.md.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right

from torch import Tensor

from metasearch.api import Concat, Space
from metasearch.api.latency import CLASSIFIER, CONCATENATION, INPUT, STEM, SUM, Part
from metasearch.errors import InvalidSpec
from metasearch.search.baselines import CONVOLUTIONS, FILTERS, HandMade
from metasearch.search.cells import BEFORE_PREVIOUS, OUTER_INPUTS, PREVIOUS, Cell
from metasearch_trainer.layers import ConvNormRelu, Linear, concatenate, flatten_pixels, memory_format, pool_globally
from metasearch_trainer.network_parts import classifier, convolution, operation
from metasearch_trainer.operations import Layer
from metasearch_trainer.parameters import ParameterLayout, Weights


class Network(ABC):
    """A classifier whose parameters are kept outside of it: layers that give features, and a linear layer on them."""

    layout: ParameterLayout
    multiply_adds: int
    """Per image of one task."""
    head: Linear
    """The classifier. Its parameters are the last of the layout."""

    def __call__(self, parameters: Tensor, images: Tensor, statistics: int = 0) -> Tensor:
        """
        Classify images.

        Args:
            parameters: (tasks, layout.size); each task has its own.
            images: (tasks, batch, channels, side, side), in [0, 1].
            statistics: how many of a task's images, the first, batch statistics come from; 0 for all of them.

        Returns:
            logits (tasks, batch, ways).
        """
        weights = Weights(self.layout.views(parameters), statistics)
        return self.head(weights, self._features(weights, stack_tasks(images), len(parameters)))

    def features(self, parameters: Tensor, images: Tensor, statistics: int = 0) -> Tensor:
        """Compute what the classifier sees, (tasks, batch, features); the arguments are those of a call."""
        weights = Weights(self.layout.views(parameters), statistics)
        return self._features(weights, stack_tasks(images), len(parameters))

    @abstractmethod
    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        """Map stacked images (batch, tasks * channels, side, side) to features (tasks, batch, features)."""


class _Feature:
    """The shape of a cell's output: channels of one task, and side in pixels."""

    def __init__(self, channels: int, side: int) -> None:
        self.channels, self.side = channels, side


class _CellLayers:
    """One cell of the network."""

    def __init__(
        self,
        layout: ParameterLayout,
        name: str,
        cell: Cell,
        inputs: dict[int, _Feature],
        filters: int,
        stride: int,
        concat: Concat,
    ) -> None:
        side = inputs[PREVIOUS].side
        out_side = -(-side // stride)
        self.cell = cell
        self.multiply_adds = 0
        self.parts: list[Part] = []
        self.adapters: dict[int, ConvNormRelu] = {}
        for outer in OUTER_INPUTS:
            if outer in cell.inputs:
                # Where the last cell was a reduction, the output of the one before it is twice as large.
                shrink = 2 if inputs[outer].side > side else 1
                part = Part(INPUT, inputs[outer].channels, filters, inputs[outer].side, shrink)
                self.parts.append(part)
                self.adapters[outer] = adapter = convolution(layout, f"{name}.input{outer}", part)
                # After a shrink the adapter's output already has the side of the other input.
                self.multiply_adds += adapter.multiply_adds(side)
        self.branches: list[tuple[Layer, ...]] = []
        for index, block in enumerate(cell.blocks):
            parts = [
                Part(
                    branch.operation,
                    filters,
                    filters,
                    *((side, stride) if branch.input in OUTER_INPUTS else (out_side, 1)),
                )
                for branch in block
            ]
            layers = tuple(
                operation(layout, f"{name}.block{index}.{position}", part)
                for position, part in zip(("first", "second"), parts, strict=True)
            )
            self.parts += [*parts, Part(SUM, filters, filters, out_side)]
            self.branches.append(layers)
            self.multiply_adds += sum(layer.multiply_adds(out_side) for layer in layers)
        self.outputs = tuple(range(len(cell))) if concat is Concat.ALL else cell.unused
        self.feature = _Feature(filters * len(self.outputs), out_side)
        if len(self.outputs) > 1:
            self.parts.append(Part(CONCATENATION, filters, self.feature.channels, out_side))

    def __call__(self, weights: Weights, before_previous: Tensor, previous: Tensor, tasks: int) -> Tensor:
        """Map two outputs (batch, tasks * channels, side, side) of earlier cells to this cell's."""
        outer = {BEFORE_PREVIOUS: before_previous, PREVIOUS: previous}
        values = {index: adapter(weights, outer[index]) for index, adapter in self.adapters.items()}
        for index, (block, (first, second)) in enumerate(zip(self.cell.blocks, self.branches, strict=True)):
            values[index] = first(weights, values[block.first.input]) + second(weights, values[block.second.input])
        return concatenate([values[index] for index in self.outputs], tasks)


class CellNetwork(Network):
    """A stem, the same cell again and again with weights of its own each time, and a linear classifier."""

    parts: list[Part]
    """All that a forward pass computes, one after the other."""

    def __init__(self, cell: Cell, space: Space, channels: int, side: int, ways: int) -> None:
        self.layout, self.filters = ParameterLayout(), space.filters
        self.parts = [Part(STEM, channels, space.filters, side, space.stem_stride)]
        self.stem = convolution(self.layout, "stem", self.parts[0])
        feature = _Feature(space.filters, -(-side // space.stem_stride))
        self.multiply_adds = self.stem.multiply_adds(feature.side)
        self.cells: list[_CellLayers] = []
        inputs = {BEFORE_PREVIOUS: feature, PREVIOUS: feature}  # the first cell reads the stem's output twice
        filters = space.filters
        for index, stride in enumerate(_strides(space)):
            # More filters where the image shrinks, so that a cell after a reduction is not much cheaper.
            filters *= space.filter_scale if stride == 2 else 1
            layers = _CellLayers(self.layout, f"cell{index}", cell, inputs, filters, stride, space.concat)
            self.cells.append(layers)
            self.multiply_adds += layers.multiply_adds
            self.parts += layers.parts
            inputs = {BEFORE_PREVIOUS: inputs[PREVIOUS], PREVIOUS: layers.feature}
        self.parts.append(Part(CLASSIFIER, inputs[PREVIOUS].channels, ways, inputs[PREVIOUS].side))
        self.head = classifier(self.layout, "head", self.parts[-1])
        self.multiply_adds += self.head.multiply_adds()

    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        previous = before_previous = self.stem(weights, x)
        for cell in self.cells:
            before_previous, previous = previous, cell(weights, before_previous, previous, tasks)
        return pool_globally(previous, tasks)


class Conv4(Network):
    """
    Four strided 3x3 convolutions and a linear classifier on all pixels, or on the mean over them: the hand-made network
    of Reptile's Omniglot experiments (Nichol et al. 2018; 113,221 parameters for 28x28 greyscale, 5 ways).
    """

    def __init__(self, channels: int, side: int, ways: int, filters: int = FILTERS, *, is_pooled: bool = False) -> None:
        self.layout = ParameterLayout()
        self.convolutions: list[ConvNormRelu] = []
        self.multiply_adds = 0
        self._flatten = pool_globally if is_pooled else flatten_pixels
        for index in range(CONVOLUTIONS):
            layer = ConvNormRelu(
                self.layout, f"conv{index}", channels if index == 0 else filters, filters, (3, 3), stride=2, bias=True
            )
            side = -(-side // 2)
            self.convolutions.append(layer)
            self.multiply_adds += layer.multiply_adds(side)
        self.head = Linear(self.layout, "head", filters * (1 if is_pooled else side * side), ways)
        self.multiply_adds += self.head.multiply_adds()

    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        for layer in self.convolutions:
            x = layer(weights, x)
        return self._flatten(x, tasks)


def hand_made_network(text: str, channels: int, side: int, ways: int) -> Network:
    """Build the hand-made network of a text such as Conv4-30; raises InvalidSpec where it is that of none."""
    described = HandMade.parse(text)
    return Conv4(channels, side, ways, described.filters, is_pooled=described.is_pooled)


def cell_network(cell: Cell, space: Space, channels: int, side: int, ways: int) -> CellNetwork:
    """
    Build the network of a cell, with as many filters as `space.maxParameters` leaves it.

    Args:
        channels: of the images.
        side: height and width of the images in pixels.

    Raises:
        InvalidSpec: even with one filter it has too many parameters.
    """

    def build(filters: int) -> CellNetwork:
        return CellNetwork(cell, space.model_copy(update={"filters": filters}), channels, side, ways)

    most = space.max_parameters
    if most is None:
        return build(space.filters)
    # Parameters grow with filters, so the most filters are found by bisection.
    fitting = bisect_right(range(1, space.filters + 1), most, key=lambda filters: build(filters).layout.size)
    if not fitting:
        smallest = build(1).layout.size
        raise InvalidSpec(f"the network has {smallest:,} parameters or more and space.maxParameters is {most:,}")
    return build(fitting)


def stack_tasks(images: Tensor) -> Tensor:
    """Stack (tasks, batch, channels, side, side) to (batch, tasks * channels, side, side), as layers read them."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=memory_format(images.device))


def _strides(space: Space) -> list[int]:
    """Return the stride of each cell: `repeats` of 1 before every 2 and after the last."""
    return ([1] * space.repeats + [2]) * space.reductions + [1] * space.repeats
