"""The figures of a cell's network, against counting every way by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

import numpy as np
import pytest

from metasearch.api import Concat, Space
from metasearch.search.candidates import Candidate
from metasearch.search.cell_features import cell_features, feature_names
from metasearch.search.cells import Cell
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_size import strides
from metasearch.search.space import CellSpace

OPERATIONS = Space().operations


def named(cell: str | Cell, space: Space) -> dict[str, float]:
    """Return the features of one cell by name."""
    parsed = CellSpace(OPERATIONS, 8).read(Candidate(cell)) if isinstance(cell, str) else cell
    (row,) = cell_features(EncodedCells.of([parsed], OPERATIONS), space)
    return dict(zip(feature_names(OPERATIONS), row.tolist(), strict=True))


def ways(cell: Cell, space: Space) -> list[int]:
    """List the number of convolutions on every way through the network, by walking each."""
    last = len(strides(space)) - 1
    outputs = range(len(cell)) if space.concat is Concat.ALL else cell.unused

    def through(index: int, block: int) -> Iterator[int]:
        for branch in cell.blocks[block]:
            here = int(branch.operation.startswith("conv"))
            if branch.input >= 0:
                earlier = through(index, branch.input)
            else:
                earlier = whole(index + branch.input) if index + branch.input >= 0 else iter([0])
            yield from (here + length for length in earlier)

    def whole(index: int) -> Iterator[int]:
        for block in outputs:
            yield from through(index, block)

    return list(whole(last))


@pytest.mark.parametrize(
    "space",
    [
        Space(reductions=2, operations=OPERATIONS),
        Space(reductions=1, repeats=1, concat=Concat.UNUSED, operations=OPERATIONS),
    ],
)
def test_lengths_are_those_of_all_ways(space: Space) -> None:
    rng = np.random.default_rng(0)
    for blocks in (1, 2, 3):
        cells = CellSpace(OPERATIONS, blocks)
        for _ in range(8):
            cell = cells.sample(rng)
            counted, features = ways(cell, space), named(cell, space)
            assert features["mean convolutions on a way"] == pytest.approx(fmean(counted))
            assert features["most convolutions on a way"] == max(counted)
            assert features["cell depth"] == cell.depth


def test_a_deep_network_has_more_ways_than_a_float_can_count() -> None:
    space = Space(repeats=8, reductions=5, operations=OPERATIONS)
    cell = " | ".join(["conv3x3(-1)+conv5x5(-1)"] * 8)
    features = named(cell, space)
    assert features["mean convolutions on a way"] == len(strides(space)) == 53
    assert all(math.isfinite(value) for value in features.values())


def test_a_cell_that_skips_the_previous_one_makes_a_network_half_as_deep() -> None:
    space = Space(reductions=2, operations=OPERATIONS)
    skips, follows = (named(f"conv3x3({read})+conv3x3({read})", space) for read in (-2, -1))
    assert (skips["most convolutions on a way"], follows["most convolutions on a way"]) == (1, 2)
    assert (skips["share of ways by the previous cell"], follows["share of ways by the previous cell"]) == (0, 1)
    assert skips["share of conv3x3"] == follows["share of conv3x3"] == 1
    assert skips["log parameters"] < follows["log parameters"] + 0.5


def test_a_cell_of_twice_the_same_block_has_the_shares_of_one() -> None:
    space = Space(operations=OPERATIONS)
    block = "max_pool3x3(-2)+conv5x5(-1)"
    once, twice = named(block, space), named(f"{block} | {block}", space)
    shares = [name for name in once if name.startswith("share of")]
    assert [once[name] for name in shares] == [twice[name] for name in shares]
    assert once["share of max_pool3x3"] == once["share of reads of the output before the previous one"] == 0.5
    assert once["log parameters"] < twice["log parameters"]
