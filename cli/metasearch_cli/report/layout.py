"""
Lay out the parts of a drawn cell. Numbers only; `drawing` makes a picture of them.

The cell's inputs stand in the first column, its blocks in columns by depth, what leaves it in the last. An edge that
passes a column does so in a lane of its own, so it never runs behind a block (after Sugiyama et al. 1981). Heights are
those that bring neighbours nearest to one line, in least squares, with the order and the gaps kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from metasearch.search.cells import Cell

SWEEPS = 8
"""Passes over the columns, forth and back; few cells change after three."""

OUTPUT = -3
"""The number of the cell's output, in the numbering of inputs, which are -1 and -2."""


@dataclass(frozen=True, order=True)
class Item:
    """Something that takes up height in a column: a source of edges, what leaves the cell, or an edge passing by."""

    source: int
    """An input or block, numbered as a branch reads it, or OUTPUT."""
    column: int
    is_lane: bool = False


Edges = Mapping[Item, Sequence[Item]]
"""The items of the next column that each item leads to."""


@dataclass(frozen=True)
class Layout:
    """A cell's items from the first column to the last, each column from top to bottom."""

    columns: tuple[tuple[Item, ...], ...]
    successors: Edges
    middles: Mapping[Item, float]
    """The height of each item's middle; the highest upper edge is at 0."""
    height: float


def lay_out(cell: Cell, outputs: Iterable[int], heights: Mapping[int, float], lane: float, gap: float) -> Layout:
    """
    Args:
        outputs: the blocks that the cell's output is made of.
        heights: of every input that is read, every block, and OUTPUT.
        lane: the height that a passing edge takes.
        gap: between two items of a column.
    """
    successors = _edges(cell, frozenset(outputs))
    predecessors = _reversed(successors)
    size = {item: lane if item.is_lane else heights[item.source] for item in successors}
    columns = _ordered(_columns(successors), successors, predecessors)
    middles = _stacked(columns, size, gap)
    for _ in range(SWEEPS):
        for neighbours, sweep in ((predecessors, columns[1:]), (successors, columns[-2::-1])):
            for column in sweep:
                _align(column, neighbours, size, gap, middles)
    top = min(middles[item] - size[item] / 2 for item in middles)
    bottom = max(middles[item] + size[item] / 2 for item in middles)
    return Layout(
        tuple(map(tuple, columns)), successors, {item: middle - top for item, middle in middles.items()}, bottom - top
    )


# --- the graph ----------------------------------------------------------------------------------------------------


def _edges(cell: Cell, outputs: frozenset[int]) -> dict[Item, list[Item]]:
    """Return every item, with those of the next column that it leads to."""
    column = {read: 0 for read in cell.inputs if read < 0} | dict(enumerate(cell.depths)) | {OUTPUT: cell.depth + 1}
    edges: dict[Item, list[Item]] = {Item(source, place): [] for source, place in sorted(column.items())}
    for source in sorted(column):
        targets = {index for index, each in enumerate(cell.blocks) if source in (each.first.input, each.second.input)}
        targets |= {OUTPUT} if source in outputs else set()
        _lead(edges, Item(source, column[source]), [Item(target, column[target]) for target in sorted(targets)])
    return edges


def _lead(edges: dict[Item, list[Item]], source: Item, targets: Sequence[Item]) -> None:
    """Lead a source to its targets, in a lane that its edges share through every column they pass."""
    last = max((target.column for target in targets), default=source.column)
    stop = source
    for column in range(source.column + 1, last + 1):
        edges[stop].extend(target for target in targets if target.column == column)
        if column < last:
            passing = Item(source.source, column, is_lane=True)
            edges[stop].append(passing)
            edges[passing] = []
            stop = passing


def _reversed(edges: Edges) -> dict[Item, list[Item]]:
    found: dict[Item, list[Item]] = {item: [] for item in edges}
    for item, targets in edges.items():
        for target in targets:
            found[target].append(item)
    return found


def _columns(edges: Edges) -> list[list[Item]]:
    count = 1 + max(item.column for item in edges)
    return [sorted(item for item in edges if item.column == place) for place in range(count)]


# --- order within columns -----------------------------------------------------------------------------------------


def _ordered(columns: list[list[Item]], successors: Edges, predecessors: Edges) -> list[list[Item]]:
    """Return the columns in the order with the fewest crossings that sorting by neighbours' mean places finds."""
    # The barycentre method of Sugiyama et al. It may make things worse on the way, so the best so far is kept.
    best, fewest = columns, _crossings(columns, successors)
    for _ in range(SWEEPS):
        columns = _sorted_by(columns, predecessors)
        columns = _sorted_by(columns[::-1], successors)[::-1]
        crossings = _crossings(columns, successors)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _sorted_by(columns: Sequence[list[Item]], neighbours: Edges) -> list[list[Item]]:
    """Sort each column by the mean place of its items' neighbours in the column before it."""
    done = [columns[0]]
    for column in columns[1:]:
        place = {item: index for index, item in enumerate(done[-1])}
        own = {item: float(index) for index, item in enumerate(column)}
        mean = {item: fmean([place[each] for each in neighbours[item]] or [own[item]]) for item in column}
        done.append(sorted(column, key=lambda item: (mean[item], own[item])))
    return done


def _crossings(columns: Sequence[Sequence[Item]], successors: Edges) -> int:
    place = {item: index for column in columns for index, item in enumerate(column)}
    total = 0
    for column in columns[:-1]:
        # Every pair of edges is compared: a cell has a dozen of them, for which nothing faster is worth its code.
        ends = [(place[item], place[target]) for item in column for target in successors[item]]
        total += sum((a - c) * (b - d) < 0 for index, (a, b) in enumerate(ends) for c, d in ends[:index])
    return total


# --- heights ------------------------------------------------------------------------------------------------------


def _stacked(columns: Sequence[Sequence[Item]], size: Mapping[Item, float], gap: float) -> dict[Item, float]:
    """Return the middles of all items where every column begins at 0."""
    middles: dict[Item, float] = {}
    for column in columns:
        top = 0.0
        for item in column:
            middles[item] = top + size[item] / 2
            top += size[item] + gap
    return middles


def _align(
    column: Sequence[Item], neighbours: Edges, size: Mapping[Item, float], gap: float, middles: dict[Item, float]
) -> None:
    """Move a column's items to the mean height of their neighbours, as near as their order and the gaps let them."""
    wanted = [fmean([middles[each] for each in neighbours[item]] or [middles[item]]) for item in column]
    # Less the least distance from the first item, heights only have to keep their order: an isotonic regression.
    offsets = [0.0]
    for upper, lower in pairwise(column):
        offsets.append(offsets[-1] + (size[upper] + size[lower]) / 2 + gap)
    raised = nondecreasing([want - offset for want, offset in zip(wanted, offsets, strict=True)])
    middles.update((item, value + offset) for item, value, offset in zip(column, raised, offsets, strict=True))


def nondecreasing(values: Sequence[float]) -> list[float]:
    """Return the nondecreasing sequence nearest to `values` in least squares, by pooling adjacent violators."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, length = value, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, length = (mean * length + other * others) / (length + others), length + others
        pools.append((mean, length))
    return [mean for mean, length in pools for _ in range(length)]
