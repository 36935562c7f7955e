"""
Figures of a cell's whole network that say how well it may learn, for surrogates that learn from few scores.

What decides is less the cell than the ways through all cells of the network: a cell that reads the output before the
previous one by-passes every other cell. A way is any path from the stem to the classifier; its length is the number of
convolutions on it. There may be billions of ways, so they are not listed: their number, mean and greatest length are
carried from cell to cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metasearch import api
from metasearch.search.cells import BEFORE_PREVIOUS, PREVIOUS
from metasearch.search.encoded_cells import OUTER, EncodedCells, Floats
from metasearch.search.network_size import CONVOLUTIONS, network_sizes, strides

NO_WAY = -1e9
"""The greatest length where there is no way."""

_NUMBER, _TOTAL, _MOST, _DEPTH = slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)
_COLUMNS = 7
"""The columns in which the number, total and greatest length of ways from either outer input, and the depth, are."""

NOMINAL_CHANNELS, NOMINAL_SIDE, NOMINAL_WAYS = 1, 28, 5
"""Images and tasks of the features. Others change all sizes alike, and cells are compared with each other."""

SIZE_FEATURES = ("log parameters", "log multiply-adds")


def feature_names(operations: tuple[str, ...]) -> tuple[str, ...]:
    """Name the columns of `cell_features`."""
    return (
        *(f"share of {operation}" for operation in operations),
        "blocks",
        "cell depth",
        "unused blocks",
        "share of reads of the output before the previous one",
        "share of ways by the previous cell",
        "mean convolutions on a way",
        "most convolutions on a way",
        *SIZE_FEATURES,
    )


def cell_features(cells: EncodedCells, space: api.Space) -> Floats:
    """
    Compute the features of cells of one size.

    Returns:
        (cells, features), in the order of `feature_names`.
    """
    lengths = np.array([1.0 if CONVOLUTIONS.get(operation, ()) else 0.0 for operation in space.operations])
    through = _Ways.through_cells(cells, lengths, space)
    by_previous = through.by_previous
    mean, most = _network_lengths(through, space)
    sizes = network_sizes(cells, space, NOMINAL_CHANNELS, NOMINAL_SIDE, NOMINAL_WAYS)
    # Shares, not numbers: three poolings of six do for a large cell what one of two does for a small one, and what is
    # learned from small cells goes on. Numbers that do go on, such as convolutions in a row and sizes, are below.
    shares = [(cells.operations == number).mean((1, 2)) for number in range(len(space.operations))]
    return np.column_stack(
        [
            *shares,
            np.full(len(cells), cells.blocks),
            through.depth,
            np.count_nonzero(cells.is_unused, axis=1),
            cells.reads_before_previous / (2 * cells.blocks),
            by_previous,
            mean,
            most,
            np.log(sizes.parameters),
            np.log(sizes.multiply_adds),
        ]
    ).astype(np.float64)


@dataclass(frozen=True)
class _Ways:
    """The ways through one cell, from each of its two outer inputs to its output; (cells, 2) each."""

    number: Floats
    total: Floats
    """The sum of their lengths."""
    most: Floats
    """The greatest of their lengths."""
    depth: Floats
    """The most operations on any of them, (cells,)."""

    @classmethod
    def through_cells(cls, cells: EncodedCells, lengths: Floats, space: api.Space) -> _Ways:
        """
        Count the ways.

        Args:
            lengths: of each operation, (operations,).
        """
        count, sources = len(cells), OUTER + cells.blocks
        # One row of all that is known of a source, because reading a row costs as much as reading a number.
        ways = np.zeros((count, sources, _COLUMNS))
        ways[:, :, _MOST] = NO_WAY
        for outer in range(OUTER):
            ways[:, outer, _NUMBER.start + outer] = 1.0
            ways[:, outer, _MOST.start + outer] = 0.0
        rows = np.arange(count) * sources
        for block in range(cells.blocks):
            to = ways[:, OUTER + block]
            for branch in range(2):
                read = ways.reshape(-1, _COLUMNS).take(rows + cells.sources[:, block, branch], axis=0)
                length = lengths[cells.operations[:, block, branch]][:, None]
                to[:, _NUMBER] += read[:, _NUMBER]
                to[:, _TOTAL] += read[:, _TOTAL] + length * read[:, _NUMBER]
                to[:, _MOST] = np.maximum(to[:, _MOST], read[:, _MOST] + length)
                to[:, _DEPTH] = np.maximum(to[:, _DEPTH], read[:, _DEPTH] + 1)
        is_output = cells.is_unused if space.concat is api.Concat.UNUSED else np.ones_like(cells.is_unused)
        outputs, blocks = is_output[:, :, None], ways[:, OUTER:]
        return cls(
            (blocks[:, :, _NUMBER] * outputs).sum(1),
            (blocks[:, :, _TOTAL] * outputs).sum(1),
            np.where(outputs, blocks[:, :, _MOST], NO_WAY).max(1),
            blocks[:, :, _DEPTH].max((1, 2)),
        )

    @property
    def by_previous(self) -> Floats:
        """The share of ways that begin at the previous cell's output, (cells,)."""
        share: Floats = self.number[:, PREVIOUS + OUTER] / self.number.sum(1)
        return share


def _network_lengths(through: _Ways, space: api.Space) -> tuple[Floats, Floats]:
    """Return the mean and the greatest length of the ways from the stem's output to the classifier, (cells,) each."""
    first, second = BEFORE_PREVIOUS + OUTER, PREVIOUS + OUTER
    cells = len(through.number)
    # Means instead of totals, and logarithms of numbers, which grow beyond any float with the cells.
    means = np.divide(through.total, through.number, out=np.zeros_like(through.total), where=through.number > 0)
    before_mean = previous_mean = np.zeros(cells)
    before_most = previous_most = np.zeros(cells)
    before_number = previous_number = np.zeros(cells)  # as logarithms
    with np.errstate(divide="ignore"):
        numbers = np.log(through.number)
    for _ in strides(space):
        log_first, log_second = numbers[:, first] + before_number, numbers[:, second] + previous_number
        number = np.logaddexp(log_first, log_second)
        weight = np.exp(log_second - number)
        mean = (1 - weight) * (before_mean + means[:, first]) + weight * (previous_mean + means[:, second])
        most = np.maximum(before_most + through.most[:, first], previous_most + through.most[:, second])
        before_mean, previous_mean = previous_mean, mean
        before_most, previous_most = previous_most, most
        before_number, previous_number = previous_number, number
    return previous_mean, previous_most
