"""Cells with the settings of the networks that they are repeated in, which hyperparameters may make different."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metasearch import api
from metasearch.search.cells import Cell
from metasearch.search.encoded_cells import EncodedCells


@dataclass(frozen=True)
class CellNetworks:
    """The networks of candidates, in the candidates' order."""

    cells: Sequence[Cell]
    spaces: Sequence[api.Space]
    """The settings of each one's network. Arithmetic is fast where many share one object."""

    def alike(self) -> Iterator[tuple[list[int], EncodedCells, api.Space]]:
        """Yield, of the networks with equal settings and cells of one size, the indices, the cells and the settings."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, (cell, space) in enumerate(zip(self.cells, self.spaces, strict=True)):
            groups.setdefault((len(cell), id(space)), []).append(index)
        for indices in groups.values():
            space = self.spaces[indices[0]]
            yield indices, EncodedCells.of([self.cells[index] for index in indices], space.operations), space
