"""
The protocol of a space of architectures, and the space of cells.

`benchmarks/layer_table.py` has a second space: networks looked up in a table of measured accuracies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from itertools import chain, combinations_with_replacement, islice, product
from math import factorial, prod
from typing import Protocol, TypeVar

import numpy as np

from metasearch import api
from metasearch.errors import InvalidCell
from metasearch.plurals import counted
from metasearch.search.candidates import Candidate
from metasearch.search.cell_features import SIZE_FEATURES, cell_features, feature_names
from metasearch.search.cell_networks import CellNetworks
from metasearch.search.cells import OUTER_INPUTS, Block, Branch, Cell, block, parse_cell
from metasearch.search.encoded_cells import EncodedCells, Floats

C = TypeVar("C")

Tokens = tuple[tuple[int, ...], ...]
"""An architecture as a surrogate reads it: one tuple of ids per step, all of one width. No id has two meanings."""


class Space(Protocol[C]):
    """
    Architectures that grow step by step; an architecture's size is its number of steps, 1 to `max_size`.

    Every method gives the same answer for the same arguments, and lists in the same order, in every process.
    """

    max_size: int
    """The number of steps of the largest architectures."""

    vocabulary_size: int
    """Token ids are 0 .. vocabulary_size - 1."""

    step_width: int
    """The number of ids in each step of `tokens`."""

    size_features: Sequence[int]
    """The columns of `features` that are logarithms of a network's sizes, such as its parameters; there may be none."""

    repeats_across_sizes: bool
    """True where an architecture may compute the same as a smaller one, and so be known before it is tried."""

    continuous: Sequence[str]
    """The names of hyperparameters with too many values to list: `everything` and `variants` have only some of them."""

    def size(self, candidate: C) -> int:
        """Return the number of a candidate's steps, 1 to `max_size`."""
        ...

    def smallest(self) -> Sequence[C]:
        """List every architecture of size 1, each once."""
        ...

    def children(self, candidate: C) -> Iterable[C]:
        """Yield every architecture that is `candidate` and one step more; none at `max_size`. May repeat itself."""
        ...

    def parents(self, candidate: C) -> Iterable[C]:
        """Yield every architecture of which `candidate` is a child; none at size 1. May repeat itself."""
        ...

    def sample(self, rng: np.random.Generator) -> C:
        """Draw an architecture of the largest size."""
        ...

    def mutate(self, candidate: C, rng: np.random.Generator) -> C:
        """Make one random change that keeps the size. Now and then the result computes the same as the candidate."""
        ...

    def neighbours(self, candidate: C) -> Iterable[C]:
        """Yield every candidate that one change of `mutate` can make. May repeat itself."""
        ...

    def coordinates(self, candidate: C) -> Sequence[Sequence[C]]:
        """
        Sort the neighbours by what is changed: a list for each part of the candidate that can be changed by itself.

        May repeat itself. Candidates of one size have equally many lists.
        """
        ...

    def everything(self) -> Iterator[C]:
        """
        Yield every candidate of every size, smaller sizes first, no two that compute the same. Lazy.

        It ends early where candidates are too rare to find them all.
        """
        ...

    def count(self, most: int) -> int:
        """
        Return the number of candidates that `everything` yields where it is at most `most`.

        Where it is larger, some number above `most` that it has at least, without counting them all.

        Raises:
            InvalidSpec: candidates are too rare to find them all.
        """
        ...

    def variants(self, architecture: str) -> Iterator[C]:
        """
        Yield every candidate with an architecture; the first is that which `search.initial` means by it. Lazy.

        Raises:
            InvalidSpec: the architecture is none of this space, or candidates with it are too rare to find them all.
        """
        ...

    def key(self, candidate: C) -> str:
        """Return a text that is equal for two architectures exactly when they compute the same."""
        ...

    def tokens(self, candidate: C) -> Tokens:
        """Return the architecture as a surrogate reads it."""
        ...

    def features(self, candidates: Sequence[C]) -> Floats:
        """
        Compute figures that a surrogate may learn from more easily than from tokens.

        Returns:
            (candidates, features); as many for each, whatever its size.
        """
        ...

    def cost(self, candidate: C) -> float:
        """Return a number that grows with what the architecture costs; ties in score go to the cheaper."""
        ...

    def write(self, candidate: C) -> Candidate:
        """Write a candidate for people and for records; `read` reads it back."""
        ...

    def read(self, recorded: Candidate) -> C:
        """Read a recorded candidate; raises InvalidSpec where it is none of this space."""
        ...

    def size_text(self, size: int) -> str:
        """Name a size for people, such as "2 blocks"."""
        ...


def candidate_key(space: Space[C], candidate: Candidate) -> str:
    """
    Return a text that is equal for two candidates exactly when they train the same.

    Raises:
        InvalidSpec: the architecture is none of this space.
    """
    read = space.read(candidate)
    # A strategy may vary hyperparameters that the space knows nothing of.
    known = space.write(read).hyperparameters
    others = {name: value for name, value in candidate.hyperparameters.items() if name not in known}
    return Candidate(space.key(read), others).text


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

_CELLS_AT_ONCE = 4096
"""Cells whose features are computed together; the arrays of more would fall out of the processor's caches."""

_CHUNKS_AT_ONCE = 2


class CellSpace:
    """
    Cells of up to `max_blocks` blocks, in canonical form, so that of all numberings of a cell only one is met.

    With five operations: 55 cells of one block, 5,115 of two; 120, 210, 325 and 465 children per parent with 2 to 5
    blocks. With PNAS's eight: 136 and 31,620.
    """

    repeats_across_sizes = False  # each block adds a computation of its own to the output
    continuous: Sequence[str] = ()
    step_width = 4

    def __init__(self, operations: Sequence[str], max_blocks: int, network: api.Space | None = None) -> None:
        """
        Args:
            network: what a cell is repeated in, for features of the whole; None for the defaults.
        """
        self.max_size = max_blocks
        self.operations = tuple(operations)
        self.network = (network or api.Space()).model_copy(update={"operations": self.operations})
        # Ids of inputs come first, then those of operations. No block of a cell reads its last one, hence the - 1.
        self._inputs = len(OUTER_INPUTS) + max_blocks - 1
        self.vocabulary_size = self._inputs + len(self.operations)
        self._operation_ids = {name: self._inputs + index for index, name in enumerate(self.operations)}
        self._blocks = [_blocks(self.operations, index) for index in range(max_blocks)]
        names = feature_names(self.operations)
        self.size_features: Sequence[int] = [names.index(name) for name in SIZE_FEATURES]

    def size(self, candidate: Cell) -> int:
        return len(candidate)

    def smallest(self) -> Sequence[Cell]:
        return [Cell((each,)) for each in self._blocks[0]]

    def children(self, candidate: Cell) -> Iterable[Cell]:
        if len(candidate) < self.max_size:
            for each in self._blocks[len(candidate)]:
                yield Cell((*candidate.blocks, each)).canonical

    def parents(self, candidate: Cell) -> Iterable[Cell]:
        if len(candidate) > 1:
            for last in candidate.unused:
                yield candidate.without(last).canonical

    def sample(self, rng: np.random.Generator) -> Cell:
        # Uniform over numbered cells: a computation with more numberings is drawn more often.
        blocks = [choices[rng.integers(len(choices))] for choices in self._blocks]
        return Cell(tuple(blocks)).canonical

    def mutate(self, candidate: Cell, rng: np.random.Generator) -> Cell:
        """Change the input or the operation of one branch, each as often as the other (Real et al. 2019)."""
        index, side = int(rng.integers(len(candidate))), int(rng.integers(2))
        reads, operations = self._other_inputs(candidate, index, side), self._other_operations(candidate, index, side)
        # A space of one operation has inputs to change only; of inputs there are always two or more.
        changed = operations if operations and rng.integers(2) else reads
        return _with_branch(candidate, index, side, changed[rng.integers(len(changed))])

    def neighbours(self, candidate: Cell) -> Iterable[Cell]:
        return chain.from_iterable(self.coordinates(candidate))

    def coordinates(self, candidate: Cell) -> Sequence[Sequence[Cell]]:
        """Return a list for each branch: the branch has another input, or another operation."""
        branches = product(range(len(candidate)), range(2))
        return [
            [
                _with_branch(candidate, index, side, branch)
                for others in (self._other_inputs, self._other_operations)
                for branch in others(candidate, index, side)
            ]
            for index, side in branches
        ]

    def everything(self) -> Iterator[Cell]:
        for size in range(1, self.max_size + 1):
            yield from self._of_size(size)

    def _of_size(self, size: int) -> Iterator[Cell]:
        if size == 1:
            yield from self.smallest()
            return
        seen: set[Cell] = set()
        for child in chain.from_iterable(map(self.children, self._of_size(size - 1))):
            if child not in seen:
                seen.add(child)
                yield child

    def count(self, most: int) -> int:
        # Every cell has at most one numbering for each order of its blocks.
        numberings = [prod(map(len, self._blocks[:size])) for size in range(1, self.max_size + 1)]
        at_least = sum(-(-number // factorial(size)) for size, number in enumerate(numberings, 1))
        return at_least if at_least > most else sum(1 for _ in islice(self.everything(), most + 1))

    def variants(self, architecture: str) -> Iterator[Cell]:
        yield self.read(Candidate(architecture))

    def _other_inputs(self, candidate: Cell, index: int, side: int) -> list[Branch]:
        branch = candidate.blocks[index][side]
        reads = (*OUTER_INPUTS, *range(index))
        return [Branch(read, branch.operation) for read in reads if read != branch.input]

    def _other_operations(self, candidate: Cell, index: int, side: int) -> list[Branch]:
        branch = candidate.blocks[index][side]
        return [Branch(branch.input, operation) for operation in self.operations if operation != branch.operation]

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

    def features(self, candidates: Sequence[Cell]) -> Floats:
        return self.features_in(self.networks(candidates))

    def features_in(self, networks: CellNetworks) -> Floats:
        """Compute the features of cells in networks that may differ in their settings, (cells, features)."""
        rows = np.empty((len(networks.cells), len(feature_names(self.operations))))
        for indices, encoded, network in networks.alike():
            rows[indices] = _encoded_features(encoded, network)
        return rows

    def networks(self, candidates: Sequence[Cell]) -> CellNetworks:
        """Return the cells with the settings of their networks, which are all the same."""
        return CellNetworks(candidates, [self.network] * len(candidates))

    def cost(self, candidate: Cell) -> float:
        return sum(_KERNEL_AREA.get(branch.operation, 0) for each in candidate.blocks for branch in each)

    def write(self, candidate: Cell) -> Candidate:
        return Candidate(str(candidate))

    def read(self, recorded: Candidate) -> Cell:
        cell = _read(recorded.architecture, self.operations)
        if len(cell) > self.max_size:
            raise InvalidCell(f"{cell} has {len(cell)} blocks; it may have {self.max_size} at most (space.maxBlocks)")
        return cell

    def size_text(self, size: int) -> str:
        return counted(size, "block")


@lru_cache(maxsize=16_384)
def _read(text: str, operations: tuple[str, ...]) -> Cell:
    """Read a cell in canonical form. Strategies read the whole history for every proposal, hence the cache."""
    return parse_cell(text, operations).canonical


def _encoded_features(cells: EncodedCells, network: api.Space) -> Floats:
    """Compute the features of cells of one size in one network setting, (cells, features)."""
    if len(cells) <= _CELLS_AT_ONCE:
        return cell_features(cells, network)
    with ThreadPoolExecutor(_CHUNKS_AT_ONCE) as threads:
        return np.concatenate(list(threads.map(partial(cell_features, space=network), cells.chunks(_CELLS_AT_ONCE))))


def _with_branch(cell: Cell, index: int, side: int, branch: Branch) -> Cell:
    """Return the cell with one branch of one of its blocks replaced."""
    kept = cell.blocks[index][1 - side]
    return Cell((*cell.blocks[:index], block(branch, kept), *cell.blocks[index + 1 :])).canonical


def _blocks(operations: Sequence[str], index: int) -> list[Block]:
    """List every block that may have that index in a cell."""
    branches = [Branch(read, operation) for read in (*OUTER_INPUTS, *range(index)) for operation in operations]
    return [block(*pair) for pair in combinations_with_replacement(branches, 2)]
