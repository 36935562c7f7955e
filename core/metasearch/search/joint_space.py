"""The space of cells together with the hyperparameters that a search varies beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np

from metasearch.search.candidates import Candidate
from metasearch.search.cell_networks import CellNetworks
from metasearch.search.cells import Cell
from metasearch.search.encoded_cells import Floats
from metasearch.search.hyperparameters import Values, VariedHyperparameters
from metasearch.search.network_limits import Figures, NetworkLimits
from metasearch.search.space import CellSpace, Tokens

REDRAWS = 20
"""Draws in a row that are forbidden, beyond a limit, or what was there before."""


@dataclass(frozen=True)
class JointCandidate:
    """A cell, and a value of each hyperparameter."""

    cell: Cell
    values: Values


class JointSpace:
    """
    Cells with hyperparameters. Steps, sizes and tokens are the cells'; features have the values' coordinates as well.

    A child keeps its parent's values, and has a twin in which one of them is drawn anew: so values spread with the
    cells that grow. What is drawn for a cell depends on the search's seed and the cell, not on what came before.
    """

    repeats_across_sizes = False

    def __init__(
        self,
        cells: CellSpace,
        varied: VariedHyperparameters,
        seed: int,
        limits: NetworkLimits,
    ) -> None:
        """
        Args:
            limits: a smallest cell whose network is beyond them has other values drawn for it, a few times.
        """
        self.cells, self.varied, self.seed, self.limits = cells, varied, seed, limits
        self.max_size = cells.max_size
        self.vocabulary_size, self.step_width = cells.vocabulary_size, cells.step_width
        self.size_features, self.continuous = cells.size_features, varied.continuous
        # Values that can be drawn anew, and will differ.
        self._variable = [index for index, each in enumerate(varied.distributions) if each.columns]

    def size(self, candidate: JointCandidate) -> int:
        return self.cells.size(candidate.cell)

    def smallest(self) -> Sequence[JointCandidate]:
        cells = self.cells.smallest()
        drawn = [self._drawn_for(cell) for cell in cells]
        candidates = [JointCandidate(cell, next(values)) for cell, values in zip(cells, drawn, strict=True)]
        redrawn = list(range(len(cells))) if self.limits.are_given else []
        for _ in range(REDRAWS):
            if not redrawn:
                break
            is_within = self.limits.admit(self.figures([candidates[index] for index in redrawn])).tolist()
            redrawn = [index for index, admitted in zip(redrawn, is_within, strict=True) if not admitted]
            for index in redrawn:
                candidates[index] = JointCandidate(cells[index], next(drawn[index]))
        return candidates

    def children(self, candidate: JointCandidate) -> Iterable[JointCandidate]:
        for cell in self.cells.children(candidate.cell):
            yield JointCandidate(cell, candidate.values)
            if (values := self._redrawn_for(cell, candidate.values)) is not None:
                yield JointCandidate(cell, values)

    def parents(self, candidate: JointCandidate) -> Iterable[JointCandidate]:
        """Yield the parents of which it has kept the values; any other values may have been drawn anew for it."""
        for cell in self.cells.parents(candidate.cell):
            yield JointCandidate(cell, candidate.values)

    def sample(self, rng: np.random.Generator) -> JointCandidate:
        return JointCandidate(
            self.cells.sample(rng), self.varied.at(lambda: rng.random(len(self.varied.names)).tolist())
        )

    def mutate(self, candidate: JointCandidate, rng: np.random.Generator) -> JointCandidate:
        """Change the cell or, as often, one value to a neighbour of it."""
        if self._variable and rng.integers(2):
            # The hyperparameter is drawn first: one with many neighbours is to change no more often than others.
            for index in rng.permutation(self._variable).tolist():
                if changed := self._neighbouring(candidate.values, index):
                    return JointCandidate(candidate.cell, changed[int(rng.integers(len(changed)))])
        return JointCandidate(self.cells.mutate(candidate.cell, rng), candidate.values)

    def neighbours(self, candidate: JointCandidate) -> Iterable[JointCandidate]:
        return chain.from_iterable(self.coordinates(candidate))

    def coordinates(self, candidate: JointCandidate) -> Sequence[Sequence[JointCandidate]]:
        """Return the lists of the cell, and one for each hyperparameter: its next values, or other choices."""
        cells = self.cells.coordinates(candidate.cell)
        return [
            *([JointCandidate(cell, candidate.values) for cell in changed] for changed in cells),
            *(
                [JointCandidate(candidate.cell, values) for values in self._neighbouring(candidate.values, index)]
                for index in self._variable
            ),
        ]

    def everything(self) -> Iterator[JointCandidate]:
        """Yield every cell with all values together; of a `continuous` one, those `distributions.STEP` apart."""
        for cell in self.cells.everything():
            yield from self._with_values(cell)

    def count(self, most: int) -> int:
        together = sum(1 for _ in islice(self.varied.everything(), most + 1))
        return self.cells.count(most) * together

    def variants(self, architecture: str) -> Iterator[JointCandidate]:
        """Yield a cell with values that are drawn for it, then with all others of `everything`."""
        for cell in self.cells.variants(architecture):
            first = next(self._drawn_for(cell))
            yield JointCandidate(cell, first)
            yield from (each for each in self._with_values(cell) if each.values != first)

    def key(self, candidate: JointCandidate) -> str:
        return f"{self.cells.key(candidate.cell)}; {self.varied.text(candidate.values)}"

    def tokens(self, candidate: JointCandidate) -> Tokens:
        """Return the cell's tokens: values are numbers, and among the features."""
        return self.cells.tokens(candidate.cell)

    def features(self, candidates: Sequence[JointCandidate]) -> Floats:
        """Compute the features of cells, in the networks that the values make of them, and the values' coordinates."""
        coordinates = np.array([self.varied.coordinates(each.values) for each in candidates])
        columns = coordinates.reshape(len(candidates), self.varied.columns)
        return np.hstack([self.cells.features_in(self.networks(candidates)), columns])

    def networks(self, candidates: Sequence[JointCandidate]) -> CellNetworks:
        """Return the cells of candidates with the settings of their networks."""
        return CellNetworks([each.cell for each in candidates], [self.varied.space(each.values) for each in candidates])

    def figures(self, candidates: Sequence[JointCandidate]) -> Figures:
        """Compute what limits on networks are for."""
        return self.limits.figures(
            self.networks(candidates), lambda: [self.varied.training(each.values) for each in candidates]
        )

    def cost(self, candidate: JointCandidate) -> float:
        """Return the cells' cost, times what the values make of the pairs of channels that it counts."""
        network = self.varied.space(candidate.values)
        widths = (network.filters * network.filter_scale**reduction for reduction in range(network.reductions + 1))
        pairs: int = sum(width**2 for width in widths)
        return (self.cells.cost(candidate.cell) + 1) * pairs * (1 + network.repeats)

    def write(self, candidate: JointCandidate) -> Candidate:
        return Candidate(str(candidate.cell), self.varied.named(candidate.values))

    def read(self, recorded: Candidate) -> JointCandidate:
        return JointCandidate(self.cells.read(recorded), self.varied.read(recorded.hyperparameters))

    def size_text(self, size: int) -> str:
        return self.cells.size_text(size)

    # --- values ---

    def _with_values(self, cell: Cell) -> Iterator[JointCandidate]:
        return (JointCandidate(cell, values) for values in self.varied.everything())

    def _neighbouring(self, values: Values, index: int) -> Sequence[Values]:
        neighbours = self.varied.distributions[index].neighbours(values[index])
        changed = (self.varied.replaced(values, index, value) for value in neighbours)
        return [each for each in changed if self.varied.are_allowed(each)]

    def _drawn_for(self, cell: Cell) -> Iterator[Values]:
        """Yield values that are drawn for a cell, others each time."""
        places = _uniform_numbers(f"{self.seed} {cell.key}")
        while True:
            yield self.varied.at(lambda: [next(places) for _ in self.varied.names])

    def _redrawn_for(self, cell: Cell, values: Values) -> Values | None:
        """Return the values with one of them drawn anew; None where nothing else was met."""
        if not self._variable:
            return None
        places = _uniform_numbers(f"{self.seed} {cell.key} {self.varied.text(values)}")
        index = self._variable[int(next(places) * len(self._variable))]
        for _ in range(REDRAWS):
            value = self.varied.distributions[index].at(next(places))
            changed = self.varied.replaced(values, index, value)
            if value != values[index] and self.varied.are_allowed(changed):
                return changed
        return None


def _uniform_numbers(name: str) -> Iterator[float]:
    """Yield the numbers, uniform in [0, 1), of the stream of a name."""
    # A hash, for a generator of NumPy takes twenty times as long to begin, and a round has tens of thousands of them.
    for block in count():
        digest = hashlib.blake2b(f"{name} {block}".encode(), digest_size=32).digest()
        for start in range(0, len(digest), 8):
            yield int.from_bytes(digest[start : start + 8]) / 2**64
