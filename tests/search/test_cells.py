"""Cells: structure, canonical form, text and JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metasearch.errors import InvalidCell
from metasearch.search.cells import Block, Branch, Cell, block, cell_from_json, cell_to_json, parse_cell

OPERATIONS = ("conv3x3", "identity", "max_pool3x3")


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = 5) -> Cell:
    """Draw any cell of three operations."""
    count = draw(st.integers(1, max_blocks))
    branches = [st.builds(Branch, st.integers(-2, index - 1), st.sampled_from(OPERATIONS)) for index in range(count)]
    return Cell(tuple(block(draw(branch), draw(branch)) for branch in branches))


@st.composite
def renumberings(draw: st.DrawFn) -> tuple[Cell, Cell]:
    """Draw a cell, and the same with its blocks in another order that keeps every block after those it reads."""
    cell = draw(cells())
    order: list[int] = []
    while len(order) < len(cell):
        ready = [
            index
            for index, each in enumerate(cell.blocks)
            if index not in order and all(branch.input < 0 or branch.input in order for branch in each)
        ]
        order.append(draw(st.sampled_from(ready)))
    return cell, renumbered(cell, order)


def renumbered(cell: Cell, order: list[int]) -> Cell:
    place = {old: new for new, old in enumerate(order)}
    return Cell(
        tuple(
            block(*(Branch(place.get(branch.input, branch.input), branch.operation) for branch in cell.blocks[old]))
            for old in order
        )
    )


def all_blocks(index: int, operations: tuple[str, ...]) -> list[Block]:
    branches = [Branch(read, operation) for read in range(-2, index) for operation in operations]
    return [block(one, other) for one, other in itertools.combinations_with_replacement(branches, 2)]


def orders(cell: Cell) -> Iterator[Cell]:
    """Yield the cell in every possible numbering: the slow way to decide whether two cells are the same."""
    for order in itertools.permutations(range(len(cell))):
        place = {old: new for new, old in enumerate(order)}
        if all(place.get(branch.input, -1) < place[index] for index, each in enumerate(cell.blocks) for branch in each):
            yield renumbered(cell, list(order))


# --- structure ---


def test_swapped_branches_are_the_same_block() -> None:
    one, other = Branch(-1, "conv3x3"), Branch(-2, "identity")
    assert block(one, other) == block(other, one)


@pytest.mark.parametrize(
    ("text", "depth", "unused"),
    [
        ("conv3x3(-1)+identity(-2)", 1, (0,)),
        ("conv3x3(-1)+identity(-2) | conv3x3(-1)+conv3x3(-2)", 1, (0, 1)),
        ("conv3x3(-1)+identity(-2) | conv3x3(0)+identity(-1) | identity(1)+identity(0)", 3, (2,)),
        ("conv3x3(-1)+identity(-2) | conv3x3(0)+identity(-1) | identity(-1)+identity(0)", 2, (1, 2)),
    ],
)
def test_depth_counts_stacked_blocks_and_unused_are_read_by_none(
    text: str, depth: int, unused: tuple[int, ...]
) -> None:
    cell = parse_cell(text)
    assert (cell.depth, cell.unused) == (depth, unused)


def test_a_block_may_not_read_itself_or_a_later_one() -> None:
    with pytest.raises(InvalidCell, match=r"block 0 reads input 0; it may read -2\.\.-1"):
        Cell((block(Branch(0, "conv3x3"), Branch(-1, "identity")),))


def test_a_cell_has_at_least_one_block() -> None:
    with pytest.raises(InvalidCell, match="no blocks"):
        Cell(())


# --- canonical form ---


@given(renumberings())
def test_renumbering_the_blocks_never_changes_the_key(pair: tuple[Cell, Cell]) -> None:
    cell, other = pair
    assert cell.key == other.key


@given(cells())
def test_the_canonical_form_is_one_of_the_numberings_and_stays_as_it_is(cell: Cell) -> None:
    assert cell.canonical in set(orders(cell))
    assert cell.canonical.canonical == cell.canonical


def test_keys_tell_apart_exactly_what_the_slow_comparison_tells_apart() -> None:
    """All 7,560 cells of three blocks and two operations; 3,840 of them differ, counted by trying every numbering."""
    operations = ("conv3x3", "identity")
    every = (Cell(blocks) for blocks in itertools.product(*(all_blocks(index, operations) for index in range(3))))
    slow_by_key: dict[str, set[Cell]] = {}
    for cell in every:
        slow_by_key.setdefault(cell.key, set()).add(min(orders(cell), key=str))
    assert len(slow_by_key) == 3840
    assert all(len(different) == 1 for different in slow_by_key.values())


def test_reading_one_twin_twice_differs_from_reading_both() -> None:
    """Blocks 0 and 1 are alike but have weights of their own, so it matters which of them block 2 reads."""
    twins = "conv3x3(-1)+identity(-2) | conv3x3(-1)+identity(-2)"
    both = parse_cell(f"{twins} | conv3x3(0)+identity(1)")
    one = parse_cell(f"{twins} | conv3x3(0)+identity(0)")
    other = parse_cell(f"{twins} | conv3x3(1)+identity(1)")
    assert both.key != one.key
    assert one.key == other.key


# --- text and JSON ---


@given(cells())
def test_text_and_json_are_read_back_as_written(cell: Cell) -> None:
    assert parse_cell(str(cell)) == cell
    assert cell_from_json(cell_to_json(cell)) == cell


def test_a_person_may_write_a_cell_with_any_spacing_and_order_of_branches() -> None:
    assert parse_cell(" identity( -2 )+conv3x3(-1)|max_pool3x3(0) + conv3x3( -1)") == parse_cell(
        "conv3x3(-1)+identity(-2) | conv3x3(-1)+max_pool3x3(0)"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"block 0 is ''; it must be two branches"),
        ("conv3x3(-1)", r"block 0 is 'conv3x3\(-1\)'; it must be two branches"),
        ("conv3x3(-1)+identity(-2) | ", r"block 1 is ''"),
        ("conv3x3-1+identity(-2)", r"block 0 has the branch 'conv3x3-1'; it must be operation\(input\)"),
        ("conv3x3(-1)+identity(-2) | conv3x3(1)+identity(0)", r"block 1 reads input 1; it may read -2\.\.0"),
        ("conv3x3(-1)+identity(-3)", r"block 0 reads input -3; it may read -2\.\.-1"),
        ("conv9x9(-1)+identity(-2)", r"block 0 has the operation 'conv9x9'; it must be one of conv3x3, identity"),
    ],
)
def test_a_wrong_text_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InvalidCell, match=sentence):
        parse_cell(text, OPERATIONS)


@pytest.mark.parametrize("value", [{}, {"blocks": [[{"input": -1}]]}, {"blocks": 3}, {"blocks": [[1, 2]]}, []])
def test_a_wrong_json_is_refused_with_a_sentence(value: dict[str, object]) -> None:
    with pytest.raises(InvalidCell, match="a cell in JSON must be"):
        cell_from_json(value)
