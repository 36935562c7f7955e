"""
A cell as a drawing: inputs at the left, blocks by depth, what leaves the cell at the right.

The SVG stands by itself. Where a page defines the colours named in COLOURS as CSS variables, it takes those.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from metasearch.api import Concat
from metasearch.plurals import counted
from metasearch.search.cells import BEFORE_PREVIOUS, PREVIOUS, Branch, Cell
from metasearch_cli.report.layout import OUTPUT, Item, Layout, lay_out

COLOURS = {
    "ink": "#16181d",
    "muted": "#5d6470",
    "edge": "#8a93a1",
    "frame": "#f4f5f7",
    "frame-line": "#d9dde3",
    "conv": "#dce8fd",
    "conv-line": "#8fb1ee",
    "pool": "#fbeacb",
    "pool-line": "#dfb566",
    "plain": "#ffffff",
    "plain-line": "#aab1bd",
    "previous": "#2f6fde",
    "before": "#a04bc4",
}
"""The colour of each part of the drawing, unless the page defines a CSS variable for it."""

OPERATION_HEIGHT = 28.0
OPERATION_GAP = 8.0
HEADING = 20.0  # above the operations of a block, for its number
PADDING = 10.0
SUM = 22.0
SUM_GAP = 16.0
BLOCK_HEIGHT = HEADING + 2 * OPERATION_HEIGHT + OPERATION_GAP + PADDING
INPUT_SIZE = (92.0, 42.0)
OUTPUT_WIDTH = 68.0
PORT = 14.0  # between two edges that end at the same side
COLUMN_GAP = 48.0
LANE = 10.0
ROW_GAP = 16.0
MARGIN = 8.0
CHARACTER = 7.3  # of the widest font in use, at 12.5 px
TAIL = 30.0  # the arrow that leaves the cell

_INPUTS = {
    PREVIOUS: ("input −1", "previous cell", "previous"),
    BEFORE_PREVIOUS: ("input −2", "the one before", "before"),
}


class Point(NamedTuple):
    """A point of the drawing, in pixels from its upper left corner."""

    x: float
    y: float


def draw_cell(cell: Cell, concat: str) -> str:
    """
    Draw a cell as an SVG element.

    Args:
        concat: of `spec.Concat`; which blocks leave the cell.
    """
    outputs = cell.unused if concat == Concat.UNUSED else tuple(range(len(cell)))
    return _Drawing(cell, outputs).svg()


def readable(operation: str) -> str:
    """Format an operation's name for people: max_pool3x3 becomes max pool 3×3."""
    spaced = re.sub(r"(?<=[a-z])(?=[0-9]+x[0-9])", " ", operation.replace("_", " "))
    return re.sub(r"(?<=[0-9])x(?=[0-9])", "×", spaced)


class _Drawing:
    """The measures of one drawing, and its parts."""

    def __init__(self, cell: Cell, outputs: Sequence[int]) -> None:
        self.cell, self.outputs = cell, outputs
        longest = max(len(readable(branch.operation)) for each in cell.blocks for branch in each)
        self.operation_width = max(84.0, round(longest * CHARACTER + 18))
        self.block_width = self.operation_width + SUM_GAP + SUM + 2 * PADDING
        heights = dict.fromkeys(range(len(cell)), BLOCK_HEIGHT) | dict.fromkeys(_INPUTS, INPUT_SIZE[1])
        heights[OUTPUT] = max(INPUT_SIZE[1], PORT * (len(outputs) + 1))
        self.layout: Layout = lay_out(cell, outputs, heights, LANE, ROW_GAP)

    def svg(self) -> str:
        width = self._left(self.cell.depth + 1) + OUTPUT_WIDTH + TAIL + MARGIN
        height = self.layout.height + 2 * MARGIN
        blocks = counted(len(self.cell), "block")
        # SVG paints in the order of the elements: edges cover the blocks' frames, and boxes cover the ends of edges.
        parts = "\n".join((*self._frames(), *self._edges(), *self._inputs(), *self._blocks(), *self._output()))
        style = f"min-width:{0.8 * width:.0f}px;max-width:100%;height:auto;font-family:inherit;color:{_colour('ink')}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="cell" role="img" font-size="12.5" '
            f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'style="{style}">\n'
            f"<title>Cell of {blocks}: {escape(str(self.cell))}</title>\n{parts}\n</svg>"
        )

    # --- places ---

    def _left(self, column: int) -> float:
        """Return the left edge of a column, in pixels."""
        if column == 0:
            return MARGIN
        return MARGIN + INPUT_SIZE[0] + COLUMN_GAP + (column - 1) * (self.block_width + COLUMN_GAP)

    def _middle(self, item: Item) -> float:
        return MARGIN + self.layout.middles[item]

    def _exit(self, item: Item) -> Point:
        """Return the point at which edges leave an item."""
        width = INPUT_SIZE[0] if item.column == 0 else self.block_width
        inset = PADDING if item.column and not item.is_lane else 0.0  # a block's edges leave from its sum
        shift = (HEADING - PADDING) / 2 if item.column and not item.is_lane else 0.0
        return Point(self._left(item.column) + width - inset, self._middle(item) + shift)

    def _operation(self, item: Item, place: int) -> Point:
        """Return the upper left corner of a block's upper (0) or lower (1) operation."""
        top = self._middle(item) - BLOCK_HEIGHT / 2 + HEADING
        return Point(self._left(item.column) + PADDING, top + place * (OPERATION_HEIGHT + OPERATION_GAP))

    def _branches(self, item: Item) -> Sequence[Branch]:
        """Return a block's branches from top to bottom, by the heights at which their edges arrive."""
        # In this order the two edges do not cross in front of the block.
        arriving = {source.source: self._middle(source) for source in self._sources(item)}
        return sorted(self.cell.blocks[item.source], key=lambda branch: arriving[branch.input])

    def _sources(self, item: Item) -> list[Item]:
        """Return the items of the previous column that lead to an item, from top to bottom."""
        before = self.layout.columns[item.column - 1]
        return [source for source in before if item in self.layout.successors[source]]

    # --- parts ---

    def _edges(self) -> Iterator[str]:
        for source, targets in self.layout.successors.items():
            colour = _INPUTS[source.source][2] if source.source in _INPUTS else "edge"
            if source.is_lane:
                start = Point(self._left(source.column), self._middle(source))
                yield _path(f"M{_xy(start)}H{_number(self._exit(source).x)}", colour)
            for target in targets:
                for end in self._entries(source, target):
                    yield _curve(self._exit(source), end, colour)
                    if not target.is_lane:
                        yield _arrow_head(end, colour)

    def _entries(self, source: Item, target: Item) -> Iterator[Point]:
        """Return the point at which edges from a source enter a target."""
        left, middle = self._left(target.column), self._middle(target)
        if target.is_lane:
            yield Point(left, middle)
        elif target.source == OUTPUT:
            sources = self._sources(target)
            yield Point(left, middle + PORT * (sources.index(source) - (len(sources) - 1) / 2))
        else:
            for place, branch in enumerate(self._branches(target)):
                if branch.input == source.source:
                    corner = self._operation(target, place)
                    yield Point(corner.x, corner.y + OPERATION_HEIGHT / 2)

    def _inputs(self) -> Iterator[str]:
        for item in self.layout.columns[0]:
            name, meaning, colour = _INPUTS[item.source]
            corner = Point(self._left(0), self._middle(item) - INPUT_SIZE[1] / 2)
            middle = corner.x + INPUT_SIZE[0] / 2
            yield _box("node input", corner, INPUT_SIZE, "plain", colour, radius=8)
            yield _text(name, Point(middle, corner.y + 17.5), weight=600)
            yield _text(meaning, Point(middle, corner.y + 32), "muted", size=10.5)

    def _block_items(self) -> Iterator[Item]:
        return (item for column in self.layout.columns[1:-1] for item in column if not item.is_lane)

    def _frames(self) -> Iterator[str]:
        for item in self._block_items():
            corner = Point(self._left(item.column), self._middle(item) - BLOCK_HEIGHT / 2)
            number = Point(corner.x + PADDING, corner.y + 14)
            yield _box("block", corner, (self.block_width, BLOCK_HEIGHT), "frame", "frame-line", radius=8)
            yield _text(f"block {item.source}", number, "muted", size=10.5, anchor="start")

    def _blocks(self) -> Iterator[str]:
        for item in self._block_items():
            out = self._exit(item)
            total = Point(out.x - SUM, out.y)
            for place, branch in enumerate(self._branches(item)):
                yield from self._branch(branch.operation, self._operation(item, place), total)
            yield _box("node sum", Point(total.x, out.y - SUM / 2), (SUM, SUM), "plain", "plain-line", radius=SUM / 2)
            yield _text("+", Point(total.x + SUM / 2, out.y + 5), size=15)

    def _branch(self, operation: str, corner: Point, total: Point) -> Iterator[str]:
        width, middle, kind = self.operation_width, corner.y + OPERATION_HEIGHT / 2, _kind(operation)
        yield _curve(Point(corner.x + width, middle), total, "edge")
        yield _box("node operation", corner, (width, OPERATION_HEIGHT), kind, f"{kind}-line", radius=5)
        yield _text(readable(operation), Point(corner.x + width / 2, middle + 4.3))

    def _output(self) -> Iterator[str]:
        (item,) = self.layout.columns[-1]
        height = max(INPUT_SIZE[1], PORT * (len(self.outputs) + 1))
        left, middle = self._left(item.column), self._middle(item)
        end = Point(left + OUTPUT_WIDTH + TAIL, middle)
        yield _path(f"M{_xy(Point(left + OUTPUT_WIDTH, middle))}H{_number(end.x - 4)}", "edge")
        yield _arrow_head(end, "edge")
        yield _box("node output", Point(left, middle - height / 2), (OUTPUT_WIDTH, height), "plain", "ink", radius=8)
        label = "concat" if len(self.outputs) > 1 else "output"
        yield _text(label, Point(left + OUTPUT_WIDTH / 2, middle + 4.3), weight=600)


# --- SVG ----------------------------------------------------------------------------------------------------------


def _kind(operation: str) -> str:
    """Return the class of the style sheet that colours an operation."""
    if "conv" in operation:
        return "conv"
    return "pool" if "pool" in operation else "plain"


def _colour(name: str) -> str:
    return f"var(--cell-{name},{COLOURS[name]})"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _xy(point: Point) -> str:
    return f"{_number(point.x)},{_number(point.y)}"


def _box(kind: str, corner: Point, size: tuple[float, float], fill: str, line: str, *, radius: float) -> str:
    width, height = size
    return (
        f'<rect class="{kind}" x="{_number(corner.x)}" y="{_number(corner.y)}" width="{_number(width)}" '
        f'height="{_number(height)}" rx="{_number(radius)}" style="fill:{_colour(fill)};stroke:{_colour(line)}"/>'
    )


def _text(
    text: str, at: Point, colour: str = "ink", *, size: float = 0, weight: int = 0, anchor: str = "middle"
) -> str:
    font = (f' font-size="{_number(size)}"' if size else "") + (f' font-weight="{weight}"' if weight else "")
    return (
        f'<text x="{_number(at.x)}" y="{_number(at.y)}" text-anchor="{anchor}"{font} '
        f'style="fill:{_colour(colour)}">{escape(text)}</text>'
    )


def _curve(start: Point, end: Point, colour: str) -> str:
    """Return the path of an edge from left to right, level at both ends."""
    half = (start.x + end.x) / 2
    return _path(f"M{_xy(start)}C{_xy(Point(half, start.y))} {_xy(Point(half, end.y))} {_xy(end)}", colour)


def _path(line: str, colour: str) -> str:
    return f'<path class="edge" d="{line}" style="fill:none;stroke:{_colour(colour)};stroke-width:1.4"/>'


def _arrow_head(tip: Point, colour: str) -> str:
    corners = " ".join(map(_xy, (tip, Point(tip.x - 6, tip.y - 3.2), Point(tip.x - 6, tip.y + 3.2))))
    return f'<polygon points="{corners}" style="fill:{_colour(colour)}"/>'
