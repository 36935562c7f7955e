"""The space of cells: known numbers, and what the protocol promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metasearch.api import Operation, Space
from metasearch.errors import InvalidCell
from metasearch.search.candidates import Candidate
from metasearch.search.cells import Branch, Cell, block
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace

FIVE = tuple(Space().operations)
EIGHT = tuple(Operation)[:8]
FIRST_MUTATIONS = [
    "avg_pool3x3(-2)+conv5x5(-1) | conv5x5(-1)+identity(-1) | conv5x5(-1)+identity(-1)",
    "avg_pool3x3(-1)+conv5x5(-1) | conv5x5(-1)+identity(-1) | conv5x5(-1)+identity(-1)",
    "avg_pool3x3(-1)+conv5x5(-1) | avg_pool3x3(-1)+conv5x5(-1) | conv5x5(-1)+identity(-1)",
]
"""The first mutations of a cell of three blocks; a change of them changes every search that mutates."""


@pytest.mark.parametrize(
    ("operations", "one_block", "two_blocks"),
    [(FIVE, 55, 5_115), (EIGHT, 136, 31_620)],  # unique up to renumbering; 136 is also in Liu et al. 2018, section 3.1
)
def test_numbers_of_different_cells(operations: tuple[str, ...], one_block: int, two_blocks: int) -> None:
    space = CellSpace(operations, 2)
    first = space.smallest()
    second = {space.key(child) for cell in first for child in space.children(cell)}
    assert (len({space.key(cell) for cell in first}), len(second)) == (one_block, two_blocks)


def test_numbers_of_children_per_parent() -> None:
    """Five operations and unordered branches give n(n + 1) / 2 children for n = 5 * (blocks + 2)."""
    space = CellSpace(FIVE, 5)
    cell, counts = space.smallest()[0], []
    while children := list(space.children(cell)):
        counts.append(len(children))
        cell = children[0]
    assert counts == [120, 210, 325, 465]


def test_parents_are_those_of_which_a_cell_is_a_child() -> None:
    space, rng = CellSpace(("conv3x3", "identity"), 3), np.random.default_rng(0)
    smaller = {child for cell in space.smallest() for child in space.children(cell)}
    for _ in range(5):
        cell = space.sample(rng)
        expected = {parent for parent in smaller if cell in space.children(parent)}
        assert set(space.parents(cell)) == expected
    assert not list(space.parents(space.smallest()[0]))


def test_features_come_in_the_order_of_cells_of_any_size() -> None:
    space, rng = CellSpace(FIVE, 3), np.random.default_rng(0)
    cells = [space.sample(rng), space.smallest()[3], space.sample(rng), space.smallest()[0]]
    assert np.array_equal(space.features(cells), np.vstack([space.features([cell]) for cell in cells]))


def test_features_of_thousands_of_cells_are_those_of_each() -> None:
    space = CellSpace(FIVE, 2)
    cells = [cell for cell in space.smallest() for _ in range(100)]  # 5,500 of one size
    assert np.array_equal(space.features(cells)[::100], space.features(space.smallest()))


def test_size_features_are_logarithms_of_the_networks_sizes() -> None:
    space = CellSpace(FIVE, 1)
    cells = list(space.smallest())
    sizes = network_sizes(EncodedCells.of(cells, FIVE), space.network, channels=1, side=28, ways=5)
    expected = np.log(np.column_stack([sizes.parameters, sizes.multiply_adds]))
    assert np.array_equal(space.features(cells)[:, list(space.size_features)], expected)


def test_cells_of_the_last_round_have_no_children() -> None:
    space = CellSpace(FIVE, 1)
    assert not list(space.children(space.smallest()[0]))


def test_every_candidate_is_met_in_canonical_form() -> None:
    space = CellSpace(FIVE, 3)
    parent = space.sample(np.random.default_rng(0))
    assert parent == parent.canonical
    two = next(iter(space.children(space.smallest()[7])))
    assert all(child == child.canonical for child in space.children(two))


@given(st.integers(0, 2**32))
def test_random_candidates_are_of_the_last_round_and_read_back_from_text(seed: int) -> None:
    space = CellSpace(FIVE, 4)
    cell = space.sample(np.random.default_rng(seed))
    assert len(cell) == 4
    assert space.read(space.write(cell)) == cell


@given(st.integers(0, 2**32))
def test_tokens_tell_candidates_apart_and_stay_within_the_vocabulary(seed: int) -> None:
    space = CellSpace(FIVE, 3)
    rng = np.random.default_rng(seed)
    one, other = space.sample(rng), space.sample(rng)
    assert (space.tokens(one) == space.tokens(other)) == (one == other)
    steps = space.tokens(one)
    assert {len(step) for step in steps} == {space.step_width}
    assert all(0 <= token < space.vocabulary_size for step in steps for token in step)


def test_inputs_and_operations_have_tokens_of_their_own() -> None:
    space = CellSpace(FIVE, 5)
    steps = [step for cell in space.smallest() for step in space.tokens(cell)]
    inputs = {token for step in steps for token in step[:2]}
    operations = {token for step in steps for token in step[2:]}
    assert not inputs & operations


def test_cost_grows_with_convolutions() -> None:
    space = CellSpace(FIVE, 1)
    pools, convolutions = (
        space.read(Candidate("max_pool3x3(-1)+identity(-2)")),
        space.read(Candidate("conv3x3(-1)+conv5x5(-2)")),
    )
    assert space.cost(pools) < space.cost(convolutions)


def test_a_text_with_an_operation_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidCell, match="must be one of identity"):
        CellSpace(("identity",), 2).read(Candidate("conv3x3(-1)+identity(-2)"))


def test_a_parsed_text_becomes_canonical() -> None:
    space = CellSpace(FIVE, 2)
    swapped = "identity(-1)+identity(-1) | conv3x3(-2)+conv3x3(-2)"
    assert isinstance(space.read(Candidate(swapped)), Cell)
    assert space.write(space.read(Candidate(swapped))).text == space.read(Candidate(swapped)).key


# --- mutation ---


@given(st.integers(0, 2**32), st.integers(1, 5), st.sampled_from([FIVE, EIGHT, ("identity",)]))
def test_a_mutation_changes_one_input_or_operation_and_keeps_the_size(
    seed: int, blocks: int, operations: tuple[str, ...]
) -> None:
    space = CellSpace(operations, blocks)
    rng = np.random.default_rng(seed)
    parent = space.sample(rng)
    child = space.mutate(parent, rng)
    assert child == child.canonical == space.read(space.write(child))
    assert child.key in neighbours(space, parent)


def neighbours(space: CellSpace, cell: Cell) -> set[str]:
    """Return the keys of every cell in which one branch has another input, or another operation."""
    found = set()
    for index, each in enumerate(cell.blocks):
        for side, branch in enumerate(each):
            reads = {Branch(read, branch.operation) for read in range(-2, index)}
            others = {Branch(branch.input, operation) for operation in space.operations}
            for changed in (reads | others) - {branch}:
                blocks = list(cell.blocks)
                blocks[index] = block(changed, each[1 - side])
                found.add(Cell(tuple(blocks)).key)
    return found


def test_mutations_reach_every_neighbour_and_are_the_same_for_a_seed() -> None:
    space = CellSpace(FIVE, 2)
    parent = space.read(Candidate("conv3x3(-1)+identity(-2) | max_pool3x3(0)+conv5x5(-1)"))
    drawn = [space.mutate(parent, np.random.default_rng(seed)).key for seed in range(400)]
    assert set(drawn) == neighbours(space, parent) == {each.key for each in space.neighbours(parent)}
    assert drawn[:3] == [space.mutate(parent, np.random.default_rng(seed)).key for seed in range(3)]


def test_golden_mutations() -> None:
    space, rng = CellSpace(FIVE, 3), np.random.default_rng(0)
    cell, texts = space.sample(rng), []
    for _ in range(3):
        cell = space.mutate(cell, rng)
        texts.append(space.write(cell).text)
    assert texts == FIRST_MUTATIONS


# --- all of a space ---


def test_everything_is_every_cell_of_every_size_once() -> None:
    space = CellSpace(FIVE, 2)
    listed = list(space.everything())
    keys = {space.key(cell) for cell in listed}
    assert len(listed) == len(keys) == 55 + 5_115
    assert [len(cell) for cell in listed[:56]] == [1] * 55 + [2]


@pytest.mark.parametrize("most", [55 + 5_115, 100_000])
def test_a_space_that_is_small_enough_is_counted(most: int) -> None:
    assert CellSpace(FIVE, 2).count(most) == 55 + 5_115


@pytest.mark.parametrize(
    ("blocks", "most", "at_least"),
    [
        # The blocks of each size, 55, 120 and so on, divided by the orders of so many blocks and rounded up.
        (2, 100, 55 + 55 * 120 // 2),
        (3, 5_000, 55 + 3_300 + 55 * 120 * 210 // 6),
        (2, 5_000, 5_001),
    ],
)
def test_a_larger_space_has_at_least_so_many(blocks: int, most: int, at_least: int) -> None:
    assert CellSpace(FIVE, blocks).count(most) == at_least


def test_neighbours_are_sorted_by_the_branch_that_differs() -> None:
    space = CellSpace(FIVE, 2)
    cell = space.read(Candidate("conv3x3(-1)+identity(-2) | max_pool3x3(0)+conv5x5(-1)"))
    sizes = [len(changes) for changes in space.coordinates(cell)]
    # Four other operations each; one other input in the first block, two in the second.
    assert sizes == [5, 5, 6, 6]
    other_branches = [
        {frozenset(text.replace(" | ", "+").split("+")) for text in map(str, changes)}
        for changes in space.coordinates(cell)
    ]
    assert all("max_pool3x3(0)" in each and "conv5x5(-1)" in each for each in other_branches[0] | other_branches[1])


def test_a_cell_with_too_many_blocks_is_refused() -> None:
    with pytest.raises(InvalidCell, match=r"has 2 blocks; it may have 1 at most \(space.maxBlocks\)"):
        CellSpace(FIVE, 1).read(Candidate("conv3x3(-1)+identity(-2) | max_pool3x3(0)+conv5x5(-1)"))
