"""Sizes by arithmetic are those of the networks that the trainer builds."""

from __future__ import annotations

import numpy as np
import pytest

from metasearch.api import Concat, Operation, Space
from metasearch.search.cells import parse_cell
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace
from metasearch_trainer.network import cell_network

EVERY_OPERATION = tuple(Operation)


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize(
    "space",
    [
        Space(operations=EVERY_OPERATION),
        Space(operations=EVERY_OPERATION, filter_scale=1, repeats=1, reductions=1, concat=Concat.UNUSED),
        Space(operations=EVERY_OPERATION, filters=7, filter_scale=3, stem_stride=2, repeats=1, reductions=2),
        Space(operations=EVERY_OPERATION, filters=40, filter_scale=1, max_parameters=30_000),
        Space(operations=EVERY_OPERATION, filters=3, filter_scale=1, max_parameters=1_000_000),
    ],
)
def test_networks_are_counted_as_the_trainer_builds_them(space: Space, blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    cells = [CellSpace(space.operations, blocks).sample(rng) for _ in range(20)]
    sizes = network_sizes(EncodedCells.of(cells, space.operations), space, channels=3, side=30, ways=4)
    built = [cell_network(cell, space, 3, 30, 4) for cell in cells]
    assert sizes.parameters.tolist() == [network.layout.size for network in built]
    assert sizes.multiply_adds.tolist() == [network.multiply_adds for network in built]
    assert sizes.filters.tolist() == [network.stem.shape[0] for network in built]


def test_an_operation_of_a_package_counts_nothing() -> None:
    space = Space(operations=("conv3x3", "identity", "theirs"))
    plain, other = (
        network_sizes(EncodedCells.of([cell], space.operations), space, 1, 28, 5)
        for cell in map(parse_cell, ("conv3x3(-1)+identity(-1)", "conv3x3(-1)+theirs(-1)"))
    )
    # A strided identity is a 1x1 convolution.
    assert other.parameters < plain.parameters
