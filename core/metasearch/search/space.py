"""
What a search needs to know of a space of candidates, and the space of cells.

`benchmarks/layer_table.py` has a second space: networks looked up in a table of measured accuracies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Protocol, TypeVar

import numpy as np

from metasearch import api
from metasearch.search.cells import OUTER_INPUTS, Block, Branch, Cell, block, parse_cell

C = TypeVar("C")

Tokens = tuple[tuple[int, ...], ...]
"""What a surrogate reads: one tuple of ids per step, all of one width. Ids that mean different things differ."""


class Space(Protocol[C]):
    """
    Candidates that grow level by level, from 1 to `levels`.

    Every method gives the same answer for the same arguments, and lists in the same order, in every process.
    """

    levels: int
    """The last level."""

    vocabulary_size: int
    """Token ids are 0 .. vocabulary_size - 1."""

    step_width: int
    """Number of ids in each step of `tokens`."""

    repeats_across_levels: bool
    """Whether a candidate may compute the same as one of an earlier level, and so be known before it is tried."""

    def first_level(self) -> Sequence[C]:
        """Every candidate of level 1, each once."""
        ...

    def children(self, candidate: C) -> Iterable[C]:
        """Every candidate that is `candidate` and one step more; none at the last level. May repeat itself."""
        ...

    def random(self, rng: np.random.Generator) -> C:
        """A candidate of the last level."""
        ...

    def key(self, candidate: C) -> str:
        """Equal for two candidates exactly when they compute the same."""
        ...

    def tokens(self, candidate: C) -> Tokens:
        """The candidate as a surrogate reads it."""
        ...

    def cost(self, candidate: C) -> float:
        """Something that grows with the candidate's size; ties in score go to the cheaper."""
        ...

    def text(self, candidate: C) -> str:
        """For people and for records; `parse` reads it back."""
        ...

    def parse(self, text: str) -> C:
        """Raises InvalidSpec where the text is no candidate of this space."""
        ...


_KERNEL_AREA: Mapping[str, int] = {
    api.Operation.CONV_3X3: 9,
    api.Operation.CONV_5X5: 10,
    api.Operation.SEP_CONV_3X3: 2,
    api.Operation.SEP_CONV_5X5: 2,
    api.Operation.SEP_CONV_7X7: 2,
    api.Operation.CONV_1X7_7X1: 14,
    api.Operation.DIL_CONV_3X3: 9,
}
"""Weights per pair of channels, to compare cells by; the depthwise part of separable convolutions hardly counts."""


class CellSpace:
    """
    Cells of up to `max_blocks` blocks, in canonical form, so that of all numberings of a cell only one is met.

    With five operations: 55 cells of one block, 5,115 of two; 120, 210, 325 and 465 children per parent at levels 2
    to 5. With PNAS's eight: 136 and 31,620.
    """

    repeats_across_levels = False  # the number of blocks tells two levels apart
    step_width = 4

    def __init__(self, operations: Sequence[str], max_blocks: int) -> None:
        self.levels = max_blocks
        self.operations = tuple(operations)
        self._inputs = len(OUTER_INPUTS) + max_blocks - 1
        self.vocabulary_size = self._inputs + len(self.operations)
        self._operation_ids = {name: self._inputs + index for index, name in enumerate(self.operations)}
        self._blocks = [_blocks(self.operations, place) for place in range(max_blocks)]

    def first_level(self) -> Sequence[Cell]:
        return [Cell((each,)) for each in self._blocks[0]]

    def children(self, candidate: Cell) -> Iterable[Cell]:
        if len(candidate) < self.levels:
            for each in self._blocks[len(candidate)]:
                yield Cell((*candidate.blocks, each)).canonical

    def random(self, rng: np.random.Generator) -> Cell:
        blocks = [choices[rng.integers(len(choices))] for choices in self._blocks]
        return Cell(tuple(blocks)).canonical

    def key(self, candidate: Cell) -> str:
        return candidate.key

    def tokens(self, candidate: Cell) -> Tokens:
        """Per block: input, input, operation, operation, as in PNAS. Inputs share ids, and so do operations."""
        return tuple(
            (
                each.first.input + len(OUTER_INPUTS),
                each.second.input + len(OUTER_INPUTS),
                self._operation_ids[each.first.operation],
                self._operation_ids[each.second.operation],
            )
            for each in candidate.blocks
        )

    def cost(self, candidate: Cell) -> float:
        return sum(_KERNEL_AREA.get(branch.operation, 0) for each in candidate.blocks for branch in each)

    def text(self, candidate: Cell) -> str:
        return str(candidate)

    def parse(self, text: str) -> Cell:
        return parse_cell(text, self.operations).canonical


def _blocks(operations: Sequence[str], place: int) -> list[Block]:
    """Every block that may stand at a place of a cell."""
    branches = [Branch(read, operation) for read in (*OUTER_INPUTS, *range(place)) for operation in operations]
    return [block(*pair) for pair in combinations_with_replacement(branches, 2)]
