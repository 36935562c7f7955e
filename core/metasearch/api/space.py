"""The settings of the space of cells, and of the network that a cell is repeated in."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from metasearch.api.base import WHOLE_NUMBER, Rule, SpecModel
from metasearch.api.names import OPERATION_MAX_LENGTH, OPERATION_PATTERN


class Operation(StrEnum):
    """The operations that come with MetaSearch. Their layers are in `metasearch_trainer.operations`."""

    CONV_3X3 = "conv3x3"
    CONV_5X5 = "conv5x5"
    IDENTITY = "identity"
    AVG_POOL_3X3 = "avg_pool3x3"
    MAX_POOL_3X3 = "max_pool3x3"
    SEP_CONV_3X3 = "sep_conv3x3"
    SEP_CONV_5X5 = "sep_conv5x5"
    SEP_CONV_7X7 = "sep_conv7x7"
    CONV_1X7_7X1 = "conv1x7_7x1"
    DIL_CONV_3X3 = "dil_conv3x3"


OperationName = Annotated[str, Field(max_length=OPERATION_MAX_LENGTH, pattern=OPERATION_PATTERN)]
"""The name of an operation of MetaSearch or of an installed package."""


class Concat(StrEnum):
    """The blocks whose outputs make a cell's output."""

    ALL = "All"
    UNUSED = "Unused"


class Space(SpecModel):
    """The cells that can be tried, and the network that a cell is repeated in."""

    operations: tuple[OperationName, ...] = Field(
        default=(
            Operation.CONV_3X3,
            Operation.CONV_5X5,
            Operation.IDENTITY,
            Operation.AVG_POOL_3X3,
            Operation.MAX_POOL_3X3,
        ),
        min_length=1,
        max_length=16,
        description="operations are what a branch may do: names of MetaSearch's own "
        f"({', '.join(Operation)}) or of those that an installed package adds; conv5x5 is factorised (1x5, 5x1). "
        "Default: Auto-Meta's five.",
    )
    max_blocks: int = Field(
        default=5, ge=1, le=8, description="maxBlocks is the number of blocks of the largest cells. Default: 5."
    )
    filters: int = Field(
        default=10,
        ge=1,
        le=512,
        description="filters is the number of channels of the first convolution and of the cells before any reduction. "
        "Default: 10, Auto-Meta's small setting.",
    )
    filter_scale: Annotated[Literal[1, 2, 3, 4], WHOLE_NUMBER] = Field(
        default=2, description="filterScale multiplies the channels at each reduction. Default: 2."
    )
    repeats: int = Field(
        default=0,
        ge=0,
        le=8,
        description="repeats is the number of stride-1 cells before each reduction and after the last. Default: 0.",
    )
    reductions: int = Field(
        default=2,
        ge=0,
        le=5,
        description="reductions is the number of stride-2 cells; each halves the image's side. Default: 2.",
    )
    stem_stride: Annotated[Literal[1, 2], WHOLE_NUMBER] = Field(
        default=1,
        description="stemStride is the stride of the first convolution. 2 halves the side of the image before any "
        "cell, which makes a network two to three times as fast. Default: 1.",
    )
    max_parameters: int | None = Field(
        default=None,
        ge=100,
        le=1_000_000_000,
        description="maxParameters is the most parameters of a network, normalisation and classifier included. A cell "
        "whose network would have more gets as many filters, fewer than filters says, as it may have. Default: no "
        "limit, every network has filters.",
    )
    concat: Concat = Field(
        default=Concat.ALL,
        description="concat says which blocks' outputs make the cell's output: All (PNAS's own code), or Unused (only "
        "those that no other block reads). Default: All.",
    )

    rules = (
        Rule(
            cel="!has(self.operations) || self.operations.all(x, self.operations.exists_one(y, y == x))",
            message="must not name an operation twice in operations",
            holds=lambda space: len(set(space.operations)) == len(space.operations),
        ),
        Rule(
            cel="!has(self.repeats) || !has(self.reductions) || self.repeats + self.reductions > 0",
            message="must have at least one cell: repeats or reductions must be 1 or more",
            holds=lambda space: space.repeats + space.reductions > 0,
        ),
    )
