"""
The number of parameters and multiply-adds of the networks of cells, and of values that training keeps, by arithmetic.

Nothing is built, so that candidates can be compared by size, and refused for it, by the hundred thousand and where no
PyTorch is. The networks are `metasearch_trainer.network`'s; a test holds that both count alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metasearch import api
from metasearch.search.encoded_cells import EncodedCells, Floats, Integers


@dataclass(frozen=True)
class Convolution:
    """A convolution that keeps the number of channels, with its normalisation."""

    weights_per_pair: int
    """Weights for each pair of an input and an output channel; of a depthwise one, for each channel."""
    is_depthwise: bool = False

    def multiply_adds(self, filters: Floats) -> Floats:
        """Count the multiply-adds of one pixel of the output, which are as many as the weights."""
        return self.weights_per_pair * (filters if self.is_depthwise else filters * filters)

    def parameters(self, filters: Floats) -> Floats:
        """Count the weights, and the normalisation's scales and shifts."""
        return self.multiply_adds(filters) + 2 * filters

    def kept_values(self, filters: Floats) -> Floats:
        """Count the values of one pixel of the output that are kept: before normalisation and after ReLU."""
        return NORMALIZED * filters


NORMALIZED = 2
"""The times that the output of a convolution with normalisation and ReLU is kept."""

POINTWISE = Convolution(1)


def _separable(area: int) -> tuple[Convolution, ...]:
    return (Convolution(area, is_depthwise=True), POINTWISE) * 2


CONVOLUTIONS: Mapping[str, tuple[Convolution, ...]] = {
    api.Operation.CONV_3X3: (Convolution(9),),
    api.Operation.CONV_5X5: (Convolution(5), Convolution(5)),
    api.Operation.IDENTITY: (),
    api.Operation.AVG_POOL_3X3: (),
    api.Operation.MAX_POOL_3X3: (),
    api.Operation.SEP_CONV_3X3: _separable(9),
    api.Operation.SEP_CONV_5X5: _separable(25),
    api.Operation.SEP_CONV_7X7: _separable(49),
    api.Operation.CONV_1X7_7X1: (Convolution(7), Convolution(7)),
    api.Operation.DIL_CONV_3X3: (Convolution(9),),
}
"""The convolutions of each operation of ours, at stride 1. Those of an installed package are not known here."""

STRIDED: Mapping[str, tuple[Convolution, ...]] = {**CONVOLUTIONS, api.Operation.IDENTITY: (POINTWISE,)}
"""The same at stride 2."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the networks of some cells."""

    filters: Integers
    """Channels of the first convolution, (cells,)."""
    parameters: Integers
    """All that is trained, normalisation and classifier included, (cells,)."""
    multiply_adds: Integers
    """Per image, (cells,)."""
    kept_values: Integers
    """
    The values that a forward pass keeps per image for its backward pass, (cells,). Within some percent: the few values
    that do not grow with the images are left out.
    """


def network_sizes(cells: EncodedCells, space: api.Space, channels: int, side: int, ways: int) -> Sizes:
    """
    Compute the sizes of the networks of cells, each with as many filters as `space.maxParameters` leaves it.

    Operations of installed packages count nothing. Where one filter is too many already, that is the size.

    Args:
        channels: of the images.
        side: height and width of the images in pixels.
        ways: classes in a task.
    """

    def count(filters: Integers) -> Sizes:
        return _count(cells, space, filters, channels, side, ways)

    filters = np.full(len(cells), space.filters)
    if space.max_parameters is None:
        return count(filters)
    # Parameters grow with filters, so the most filters are found by bisection, for all cells at once.
    fits, too_many = np.ones(len(cells), dtype=np.int64), filters + 1
    while np.any(too_many - fits > 1):
        middle = (fits + too_many) // 2
        is_fitting = count(middle).parameters <= space.max_parameters
        fits, too_many = np.where(is_fitting, middle, fits), np.where(is_fitting, too_many, middle)
    return count(fits)


def strides(space: api.Space) -> list[int]:
    """Return the stride of each cell of a network: `repeats` of 1 before every 2 and after the last."""
    return ([1] * space.repeats + [2]) * space.reductions + [1] * space.repeats


def _count(cells: EncodedCells, space: api.Space, filters: Integers, channels: int, side: int, ways: int) -> Sizes:
    width = filters.astype(np.float64)
    outputs = cells.is_unused.sum(1) if space.concat is api.Concat.UNUSED else np.full(len(cells), cells.blocks)
    reads_before, reads_previous = cells.reads_before_previous > 0, cells.reads_of_previous > 0
    image = channels * side**2
    side = -(-side // space.stem_stride)
    parameters = 9 * channels * width + 2 * width
    multiply_adds = 9 * channels * width * side**2
    kept = image + NORMALIZED * width * side**2
    before = previous = width  # channels of the two outer inputs
    is_shrunk = False  # whether the output before the previous one is twice as large as the previous one
    for stride in strides(space):
        width = width * (space.filter_scale if stride == 2 else 1)
        # Both outer inputs first pass a 1x1 convolution; one that no branch reads has none.
        read_channels = reads_before * before + reads_previous * previous
        parameters = parameters + width * (read_channels + 2 * (reads_before * 1 + reads_previous))
        multiply_adds = multiply_adds + width * read_channels * side**2
        kept = kept + NORMALIZED * width * (reads_before * 1 + reads_previous) * side**2
        kept = kept + (reads_before * before * side**2 if is_shrunk else 0)  # the pixels that it takes are a copy
        side = -(-side // stride)
        for branches in _branches(cells, space.operations, width, stride):
            parameters = parameters + branches.parameters
            multiply_adds = multiply_adds + branches.multiply_adds * side**2
            kept = kept + branches.kept_values * side**2
        kept = kept + _sums_kept(cells, outputs) * width * side**2
        before, previous, is_shrunk = previous, width * outputs, stride == 2
    parameters = parameters + ways * (previous + 1)
    multiply_adds = multiply_adds + ways * previous
    return Sizes(filters, parameters.astype(np.int64), multiply_adds.astype(np.int64), kept.astype(np.int64))


def _sums_kept(cells: EncodedCells, outputs: Integers) -> Integers:
    """Count how often the width of a cell is kept of sums of branches, and of their concatenation, (cells,)."""
    read = np.count_nonzero(~cells.is_unused, axis=1)
    # A cell of one output block has no concatenation, and its sum is what the next cell reads.
    kept: Integers = read + outputs
    return kept


@dataclass(frozen=True)
class _Branches:
    """The branches of many cells with one kind of layer, (cells,) each."""

    parameters: Floats
    multiply_adds: Floats
    """Per pixel of the output."""
    kept_values: Floats
    """Per pixel of the output."""


def _branches(cells: EncodedCells, operations: Sequence[str], width: Floats, stride: int) -> list[_Branches]:
    """Count each operation's layers in all branches of a cell."""
    counted = []
    for number, operation in enumerate(operations):
        uses = cells.operations == number
        outer, inner = (uses & cells.reads_outer).sum((1, 2)), (uses & ~cells.reads_outer).sum((1, 2))
        if operation == api.Operation.MAX_POOL_3X3:  # keeps for each pixel which one was the greatest, in eight bytes
            none = np.zeros(len(cells))
            counted.append(_Branches(none, none, (outer + inner) * 2 * width))
        if operation == api.Operation.IDENTITY and stride == 2:
            none = np.zeros(len(cells))
            counted.append(_Branches(none, none, outer * width))  # the pixels that it takes are a copy
        for convolutions, times in (
            ((STRIDED if stride == 2 else CONVOLUTIONS).get(operation, ()), outer),
            (CONVOLUTIONS.get(operation, ()), inner),
        ):
            counted += [
                _Branches(
                    times * each.parameters(width), times * each.multiply_adds(width), times * each.kept_values(width)
                )
                for each in convolutions
            ]
    return counted
