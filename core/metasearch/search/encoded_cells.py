"""Many cells of one size as arrays, for what is computed of a hundred thousand candidates at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from metasearch.search.cells import BEFORE_PREVIOUS, OUTER_INPUTS, PREVIOUS, Block, Cell

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

OUTER = len(OUTER_INPUTS)


@dataclass(frozen=True)
class EncodedCells:
    """
    Cells of equal size.

    Sources are counted from 0: the output of the cell before the previous one, that of the previous one, then blocks.
    """

    sources: Integers
    """The source that each branch reads, (cells, blocks, 2)."""
    operations: Integers
    """The number of each branch's operation in the space's list, (cells, blocks, 2)."""

    @classmethod
    def of(cls, cells: Sequence[Cell], operations: Sequence[str]) -> EncodedCells:
        """
        Encode cells of one size, at least one.

        Args:
            operations: the space's, whose order numbers them.
        """
        # Of the blocks of many cells few differ, so each is taken apart once.
        places: defaultdict[Block, int] = defaultdict(lambda: len(places))
        blocks = chain.from_iterable([cell.blocks for cell in cells])
        indices = np.fromiter(map(places.__getitem__, blocks), dtype=np.int64).reshape(len(cells), -1)
        number = {name: index for index, name in enumerate(operations)}
        sources = [[branch.input + OUTER for branch in block] for block in places]
        numbers = [[number[branch.operation] for branch in block] for block in places]
        return cls(np.array(sources, dtype=np.int64)[indices], np.array(numbers, dtype=np.int64)[indices])

    def __len__(self) -> int:
        return len(self.sources)

    def chunks(self, cells_at_once: int) -> Iterator[EncodedCells]:
        """Yield the cells in parts of so many, the last of which may be smaller."""
        for start in range(0, len(self), cells_at_once):
            part = slice(start, start + cells_at_once)
            yield EncodedCells(self.sources[part], self.operations[part])

    @property
    def blocks(self) -> int:
        """The number of blocks of each cell."""
        return int(self.sources.shape[1])

    @cached_property
    def reads(self) -> Integers:
        """The number of reads of each source, (cells, 2 + blocks)."""
        is_read: npt.NDArray[np.bool_] = self.sources.reshape(len(self), -1, 1) == np.arange(OUTER + self.blocks)
        reads: Integers = is_read.sum(1)
        return reads

    @cached_property
    def reads_outer(self) -> npt.NDArray[np.bool_]:
        """True where a branch reads the output of another cell, (cells, blocks, 2)."""
        return self.sources < OUTER

    @property
    def reads_of_previous(self) -> Integers:
        """The number of branches that read the previous cell's output, (cells,)."""
        return self.reads[:, PREVIOUS + OUTER]

    @property
    def reads_before_previous(self) -> Integers:
        """The number of branches that read the output of the cell before the previous one, (cells,)."""
        return self.reads[:, BEFORE_PREVIOUS + OUTER]

    @cached_property
    def is_unused(self) -> npt.NDArray[np.bool_]:
        """True where no other block reads a block, (cells, blocks)."""
        unused: npt.NDArray[np.bool_] = self.reads[:, OUTER:] == 0
        return unused
