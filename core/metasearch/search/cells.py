"""
Cells, which the search finds. Structure only; the layers are in `metasearch_trainer`.

A block adds two branches; a branch applies an operation to an input. Inputs are the outputs of the two previous cells
(-1 the last, -2 the one before it) or of an earlier block of the same cell (0, 1, ...). A cell concatenates its blocks.
Source: Liu et al. 2018 (PNAS), section 3.1.

Text form, for people:  conv3x3(-1)+identity(-2) | max_pool3x3(0)+conv5x5(-1)
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from metasearch.errors import InvalidCell

PREVIOUS = -1
BEFORE_PREVIOUS = -2
OUTER_INPUTS = (BEFORE_PREVIOUS, PREVIOUS)

_BRANCH = re.compile(r"\s*([a-z][a-z0-9_]*)\s*\(\s*(-?[0-9]+)\s*\)\s*")


class Branch(NamedTuple):
    """One operation on one input. Sorted by input, then operation."""

    input: int
    operation: str

    def __str__(self) -> str:
        return f"{self.operation}({self.input})"


class Block(NamedTuple):
    """Two branches whose outputs are added. `block` builds it in normal form."""

    first: Branch
    second: Branch

    def __str__(self) -> str:
        return f"{self.first}+{self.second}"


def block(one: Branch, other: Branch) -> Block:
    """Return the block of two branches. Addition commutes, so swapped branches give the same block."""
    return Block(one, other) if one <= other else Block(other, one)


@dataclass(frozen=True)
class Cell:
    """
    One or more blocks, each reading earlier ones.

    Two cells are equal when they are numbered alike; `canonical` is the same for all numberings of one computation.
    """

    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        if not self.blocks:
            raise InvalidCell("a cell has no blocks; it must have at least one, such as conv3x3(-1)+identity(-2)")
        for index, each in enumerate(self.blocks):
            for branch in each:
                if not BEFORE_PREVIOUS <= branch.input < index:
                    raise InvalidCell(
                        f"block {index} reads input {branch.input}; it may read {BEFORE_PREVIOUS}..{index - 1}"
                    )

    def __str__(self) -> str:
        return " | ".join(map(str, self.blocks))

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def inputs(self) -> frozenset[int]:
        """The inputs that some branch reads."""
        return frozenset(branch.input for each in self.blocks for branch in each)

    @property
    def unused(self) -> tuple[int, ...]:
        """Blocks that no other block reads."""
        return tuple(index for index in range(len(self)) if index not in self.inputs)

    @cached_property
    def depths(self) -> tuple[int, ...]:
        """The number of blocks on the longest way to each block, itself included."""
        depths: list[int] = []
        for each in self.blocks:
            depths.append(1 + max((depths[branch.input] for branch in each if branch.input >= 0), default=0))
        return tuple(depths)

    @property
    def depth(self) -> int:
        """Number of blocks stacked on the longest path: 1 for a flat cell, len(cell) for a chain."""
        return max(self.depths)

    @cached_property
    def canonical(self) -> Cell:
        """The representative of all numberings of this computation."""
        chosen = min((self._renumbered(order) for order in _candidate_orders(self)), key=lambda cell: cell.blocks)
        chosen.__dict__["canonical"] = chosen  # so that it need not be found again
        return chosen

    @property
    def key(self) -> str:
        """Text of the canonical form: equal for two cells exactly when one is a renumbering of the other."""
        return str(self.canonical)

    def without(self, index: int) -> Cell:
        """Return the cell without a block that no other block reads."""
        # A block that reads a later one than the block taken out reads it under its new number.
        kept = [each for position, each in enumerate(self.blocks) if position != index]
        renumbered = (
            block(*(Branch(read - 1 if read > index else read, operation) for read, operation in each)) for each in kept
        )
        return Cell(tuple(renumbered))

    def _renumbered(self, order: Sequence[int]) -> Cell:
        """Renumber: block `order[i]` becomes block i; `order` must keep every block after those it reads."""
        new_index = {old: new for new, old in enumerate(order)} | {outer: outer for outer in OUTER_INPUTS}
        blocks = (self.blocks[old] for old in order)
        # `block` sorts the branches again, because their inputs have new numbers.
        return Cell(tuple(block(*(Branch(new_index[read], operation) for read, operation in each)) for each in blocks))


def _candidate_orders(cell: Cell) -> Iterator[tuple[int, ...]]:
    """
    Yield the block orders among which the canonical one is.

    Blocks are sorted by depth and then by what they compute from the outer inputs. Blocks that still tie are twins:
    the same structure with weights of their own, so which of them a later block reads matters, and every order of
    them must be tried. Few cells have twins.
    """
    structure = _structures(cell)
    order = sorted(range(len(cell)), key=lambda index: (cell.depths[index], structure[index]))
    # Twins have the same depth, so sorting by depth first leaves them side by side for groupby.
    groups = [tuple(twins) for _, twins in itertools.groupby(order, key=lambda index: structure[index])]
    for choice in itertools.product(*(itertools.permutations(twins) for twins in groups)):
        yield tuple(itertools.chain.from_iterable(choice))


def _structures(cell: Cell) -> list[str]:
    """Write out what each block computes, with every input in full: alike for twins, different otherwise."""
    # A text may double with each block; with eight of them it stays within some kilobytes.
    texts: list[str] = []
    for each in cell.blocks:
        sides = (f"{operation}({texts[read] if read >= 0 else read})" for read, operation in each)
        texts.append("+".join(sorted(sides)))
    return texts


# --- text and JSON ------------------------------------------------------------------------------------------------


def parse_cell(text: str, operations: Sequence[str] | None = None) -> Cell:
    """
    Read the text form of a cell.

    Args:
        text: such as `conv3x3(-1)+identity(-2) | max_pool3x3(0)+conv5x5(-1)`; space is free.
        operations: the names allowed; any name where None.

    Raises:
        InvalidCell: says which block and what would be right.
    """
    return Cell(tuple(_parse_block(index, part, operations) for index, part in enumerate(text.split("|"))))


def _parse_block(index: int, text: str, operations: Sequence[str] | None) -> Block:
    sides = text.split("+")
    if len(sides) != 2:
        raise InvalidCell(
            f"block {index} is {text.strip()!r}; it must be two branches, such as conv3x3(-1)+identity(-2)"
        )
    return block(_parse_branch(index, sides[0], operations), _parse_branch(index, sides[1], operations))


def _parse_branch(index: int, text: str, operations: Sequence[str] | None) -> Branch:
    match = _BRANCH.fullmatch(text)
    if match is None:
        raise InvalidCell(
            f"block {index} has the branch {text.strip()!r}; it must be operation(input), such as conv3x3(-1)"
        )
    operation = match[1]
    if operations is not None and operation not in operations:
        raise InvalidCell(f"block {index} has the operation {operation!r}; it must be one of {', '.join(operations)}")
    return Branch(int(match[2]), operation)


def cell_to_json(cell: Cell) -> dict[str, Any]:
    """Return the JSON form: {"blocks": [[{"input": -1, "operation": "conv3x3"}, {...}], ...]}."""
    return {"blocks": [[branch._asdict() for branch in each] for each in cell.blocks]}


def cell_from_json(value: Mapping[str, Any]) -> Cell:
    """Read the JSON form; raises InvalidCell where it is not one."""
    try:
        blocks = tuple(
            block(*(Branch(int(branch["input"]), str(branch["operation"])) for branch in each))
            for each in value["blocks"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidCell(
            'a cell in JSON must be {"blocks": [[{"input": -1, "operation": "conv3x3"}, {…}], …]}'
        ) from error
    return Cell(blocks)
