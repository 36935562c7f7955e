"""Cells as drawings: nothing overlaps, nothing is left out, and the same cell is always the same picture."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metasearch.api import Concat, Operation
from metasearch.search.cells import Branch, Cell, block, parse_cell
from metasearch_cli.report.drawing import BLOCK_HEIGHT, INPUT_SIZE, draw_cell, readable
from metasearch_cli.report.layout import OUTPUT, Layout, lay_out, nondecreasing

FLAT = parse_cell("conv3x3(-2)+conv3x3(-1) | identity(-1)+conv5x5(-1) | max_pool3x3(-2)+max_pool3x3(-2)")
CHAIN = parse_cell("conv3x3(-1)+identity(-2) | conv3x3(0)+identity(0) | conv3x3(1)+identity(-2)")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@st.composite
def cells(draw: st.DrawFn, max_blocks: int = 8) -> Cell:
    """Draw any cell of the existing operations and one whose name is long."""
    names = st.sampled_from([*Operation, "an_operation_with_a_very_long_name9x9"])
    branches = [
        [Branch(draw(st.integers(-2, index - 1)), draw(names)) for _ in range(2)]
        for index in range(draw(st.integers(1, max_blocks)))
    ]
    return Cell(tuple(block(one, other) for one, other in branches))


def for_any_cell(test: Callable[[Cell, Concat], None]) -> Callable[[], None]:
    """Run a test on cells that Hypothesis draws."""
    return given(cells(), st.sampled_from(Concat))(test)


class Picture(HTMLParser):
    """The boxes, texts and counts of tags in an SVG element."""

    def __init__(self, svg: str) -> None:
        super().__init__()
        self.boxes: dict[str, list[Box]] = {}
        self.counts: dict[str, int] = {}
        self.texts: list[str] = []
        self.size = (0.0, 0.0)
        self.feed(svg)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag == "svg":
            self.size = float(values["width"]), float(values["height"])
        if tag == "rect":
            left, top = float(values["x"]), float(values["y"])
            box = (left, top, left + float(values["width"]), top + float(values["height"]))
            self.boxes.setdefault(values["class"], []).append(box)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())

    @property
    def nodes(self) -> list[Box]:
        return [box for kind, boxes in self.boxes.items() if kind.startswith("node") for box in boxes]


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@for_any_cell
def test_no_two_nodes_and_no_two_blocks_overlap(cell: Cell, concat: Concat) -> None:
    picture = Picture(draw_cell(cell, concat))
    assert not any(overlap(one, other) for one, other in combinations(picture.nodes, 2))
    assert not any(overlap(one, other) for one, other in combinations(picture.boxes["block"], 2))


@for_any_cell
def test_everything_is_inside_the_picture(cell: Cell, concat: Concat) -> None:
    picture = Picture(draw_cell(cell, concat))
    width, height = picture.size
    boxes = [*picture.nodes, *picture.boxes["block"]]
    assert all(left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in boxes)


@for_any_cell
def test_every_input_operation_and_sum_is_drawn_once(cell: Cell, concat: Concat) -> None:
    boxes = Picture(draw_cell(cell, concat)).boxes
    assert len(boxes["node operation"]) == 2 * len(cell)
    assert len(boxes["node sum"]) == len(boxes["block"]) == len(cell)
    assert len(boxes["node input"]) == len([read for read in cell.inputs if read < 0])
    assert len(boxes["node output"]) == 1


@for_any_cell
def test_every_branch_and_every_block_that_leaves_ends_in_an_arrow(cell: Cell, concat: Concat) -> None:
    outputs = len(cell.unused) if concat is Concat.UNUSED else len(cell)
    assert Picture(draw_cell(cell, concat)).counts["polygon"] == 2 * len(cell) + outputs + 1  # and out of the cell


@for_any_cell
def test_the_same_cell_is_the_same_picture(cell: Cell, concat: Concat) -> None:
    assert draw_cell(cell, concat) == draw_cell(parse_cell(str(cell)), concat)


def test_operations_sit_inside_their_blocks() -> None:
    boxes = Picture(draw_cell(CHAIN, Concat.ALL)).boxes
    for frame in boxes["block"]:
        assert sum(overlap(frame, operation) for operation in boxes["node operation"]) == 2


def test_a_picture_has_a_name() -> None:
    svg = draw_cell(FLAT, Concat.ALL)
    assert 'role="img"' in svg
    assert f"<title>Cell of 3 blocks: {FLAT}</title>" in svg


def test_one_block_is_not_said_to_be_concatenated() -> None:
    assert "output" in Picture(draw_cell(parse_cell("conv3x3(-1)+identity(-1)"), Concat.ALL)).texts
    assert "concat" in Picture(draw_cell(FLAT, Concat.ALL)).texts


def test_a_picture_refers_to_nothing_outside_it() -> None:
    svg = draw_cell(CHAIN, Concat.UNUSED).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in svg
    assert "url(" not in svg


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("conv3x3", "conv 3×3"),
        ("max_pool3x3", "max pool 3×3"),
        ("identity", "identity"),
        ("conv1x7_7x1", "conv 1×7 7×1"),
        ("dil_conv3x3", "dil conv 3×3"),
        ("mix2", "mix2"),
    ],
)
def test_operations_are_named_for_people(operation: str, text: str) -> None:
    assert readable(operation) == text


# --- layout -------------------------------------------------------------------------------------------------------


def laid_out(cell: Cell) -> Layout:
    heights = dict.fromkeys(range(len(cell)), BLOCK_HEIGHT) | dict.fromkeys((-1, -2, OUTPUT), INPUT_SIZE[1])
    return lay_out(cell, range(len(cell)), heights, lane=10, gap=16)


@given(cells())
def test_passing_edges_keep_clear_of_blocks(cell: Cell) -> None:
    layout = laid_out(cell)
    for column in layout.columns:
        for upper, lower in pairwise(column):
            halves = [5 if item.is_lane else BLOCK_HEIGHT / 2 for item in (upper, lower) if item.source >= 0]
            assert layout.middles[lower] - layout.middles[upper] >= sum(halves) + 16 - 1e-6


@given(cells())
def test_every_edge_leads_to_the_next_column(cell: Cell) -> None:
    successors = laid_out(cell).successors
    assert all(target.column == item.column + 1 for item, targets in successors.items() for target in targets)


def test_blocks_stand_in_columns_by_depth() -> None:
    blocks = [
        [item.source for item in column if item.source >= 0 and not item.is_lane] for column in laid_out(CHAIN).columns
    ]
    assert blocks == [[], [0], [1], [2], []]
    blocks = [
        [item.source for item in column if item.source >= 0 and not item.is_lane] for column in laid_out(FLAT).columns
    ]
    assert sorted(blocks[1]) == [0, 1, 2]


@pytest.mark.parametrize(
    ("values", "nearest"),
    [([1, 2, 3], [1, 2, 3]), ([3, 1, 2], [2, 2, 2]), ([1, 4, 2, 5], [1, 3, 3, 5]), ([], []), ([2, 1], [1.5, 1.5])],
)
def test_the_nearest_nondecreasing_sequence(values: list[float], nearest: list[float]) -> None:
    assert nondecreasing(values) == nearest


@given(st.lists(st.floats(-1e3, 1e3), min_size=1))
def test_pooling_keeps_the_order_and_the_mean(values: list[float]) -> None:
    pooled = nondecreasing(values)
    assert pooled == sorted(pooled) or all(upper <= lower + 1e-9 for upper, lower in pairwise(pooled))
    assert sum(pooled) == pytest.approx(sum(values), abs=1e-6)
