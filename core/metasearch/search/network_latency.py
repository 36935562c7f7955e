"""
The latency of the networks of cells, as the sum of the measured latencies of their parts, without building any.

So did ProxylessNAS (Cai et al. 2019) and FBNet (Wu et al. 2019) with a table of latencies. The parts are those of
`metasearch_trainer.network`'s networks; a test holds that both have the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from metasearch import api
from metasearch.api.latency import CLASSIFIER, CONCATENATION, INPUT, MAX_PARTS, STEM, SUM, Part
from metasearch.errors import InvalidSpec
from metasearch.search.encoded_cells import EncodedCells, Floats, Integers
from metasearch.search.hyperparameters import VariedHyperparameters
from metasearch.search.network_size import strides

REMEDY = "take spec.search.constraints.latency out and measure it anew with metasearch latency"


@dataclass(frozen=True)
class Images:
    """The images that networks classify."""

    channels: int
    side: int
    """Height and width in pixels."""


@dataclass(frozen=True)
class _Output:
    """The output of the stem or of a cell."""

    side: int
    """In pixels."""
    channels: list[tuple[int, Integers]]
    """The numbers of channels that it can have, and in which cells' networks it does: 1 or 0, (cells,)."""


def latencies(
    cells: EncodedCells, space: api.Space, filters: Integers, images: Images, ways: int, table: Mapping[Part, float]
) -> Floats:
    """
    Compute the latency of the networks of cells in milliseconds, (cells,).

    Args:
        filters: channels of the first convolution, (cells,).
        ways: classes in a task.
        table: milliseconds of each part.

    Raises:
        InvalidSpec: the table lacks a part.
    """
    milliseconds = np.zeros(len(cells))
    for width in np.unique(filters).tolist():
        chosen = np.flatnonzero(filters == width)
        alike = EncodedCells(cells.sources[chosen], cells.operations[chosen])
        total = np.zeros(len(alike))
        for part, times in parts_of(alike, space, width, images, ways):
            if part not in table:
                raise InvalidSpec(f"spec.search.constraints.latency.parts has no {part}; {REMEDY}")
            total += table[part] * times
        milliseconds[chosen] = total
    return milliseconds


def parts_of(
    cells: EncodedCells, space: api.Space, filters: int, images: Images, ways: int
) -> Iterator[tuple[Part, Integers]]:
    """
    Yield the parts that a network of cells with so many blocks can have, and how often each network has it, (cells,).

    A part may come more than once, to be added up. Its numbers may be all 0.

    Args:
        filters: channels of the first convolution.
        ways: classes in a task.
    """
    once = np.ones(len(cells), dtype=np.int64)
    of_all = space.concat is api.Concat.ALL
    outputs = once * cells.blocks if of_all else cells.is_unused.sum(1)
    joined = [
        (number, (outputs == number) * once) for number in ([cells.blocks] if of_all else range(1, cells.blocks + 1))
    ]
    uses = list(zip(space.operations, *_uses(cells, len(space.operations)), strict=True))
    yield Part(STEM, images.channels, filters, images.side, space.stem_stride), once
    before = previous = _Output(-(-images.side // space.stem_stride), [(filters, once)])
    width = filters
    for stride in strides(space):
        width *= space.filter_scale if stride == 2 else 1
        for read, reads in ((before, cells.reads_before_previous > 0), (previous, cells.reads_of_previous > 0)):
            # Where the last cell was a reduction, the output of the one before it is twice as large.
            shrink = 2 if read.side > previous.side else 1
            yield from ((Part(INPUT, each, width, read.side, shrink), reads * where) for each, where in read.channels)
        side = -(-previous.side // stride)
        for name, outer, inner in uses:
            yield Part(name, width, width, previous.side, stride), outer
            if cells.blocks > 1:
                yield Part(name, width, width, side), inner
        yield Part(SUM, width, width, side), once * cells.blocks
        yield from ((Part(CONCATENATION, width, each * width, side), where) for each, where in joined if each > 1)
        before, previous = previous, _Output(side, [(each * width, where) for each, where in joined])
    yield from ((Part(CLASSIFIER, each, ways, previous.side), where) for each, where in previous.channels)


def possible_parts(spec: api.MetaSearchSpec, images: Images) -> list[Part]:
    """
    List the parts that networks of a spec's candidates can have.

    Raises:
        InvalidSpec: there are too many for a table.
    """
    found: dict[Part, None] = {}
    none = [np.zeros((1, blocks, 2), dtype=np.int64) for blocks in range(1, spec.space.max_blocks + 1)]
    for space, filters in _networks(spec):
        for cells in none:
            parts = parts_of(EncodedCells(cells, cells), space, filters, images, spec.task.ways)
            found.update((part, None) for part, _ in parts)
        if len(found) > MAX_PARTS:
            raise InvalidSpec(
                f"the networks of spec.space have more than {MAX_PARTS} different parts, too many for "
                "spec.search.constraints.latency; there must be fewer operations, values of filters in "
                "spec.search.hyperparameters or, with spec.space.maxParameters, filters"
            )
    return list(found)


def require_parts(spec: api.MetaSearchSpec, images: Images) -> None:
    """
    Refuse a table of latencies that lacks a part that a network of the spec's candidates can have.

    Raises:
        InvalidSpec: says which, and how many more.
    """
    latency = spec.search.constraints.latency
    if latency is None:
        return
    table = latency.table
    if missing := [part for part in possible_parts(spec, images) if part not in table]:
        others = f", nor {len(missing) - 1:,} other parts of its networks" if len(missing) > 1 else ""
        raise InvalidSpec(f"spec.search.constraints.latency.parts has no {missing[0]}{others}; {REMEDY}")


def _uses(cells: EncodedCells, operations: int) -> Integers:
    """Count the branches that read other cells, and those that read blocks: (2, operations, cells)."""
    kinds = np.where(cells.reads_outer, 0, operations) + cells.operations
    # All are counted at once: a comparison with each operation takes ten times as long.
    places = kinds * len(cells) + np.arange(len(cells))[:, None, None]
    return np.bincount(places.ravel(), minlength=2 * operations * len(cells)).reshape(2, operations, -1)


def _networks(spec: api.MetaSearchSpec) -> Iterator[tuple[api.Space, int]]:
    """Yield the settings of networks that hyperparameters can make of a spec's space, and the filters of each."""
    of_space = tuple(each for each in spec.search.hyperparameters if each.name in api.SPACE_NAMES)
    search = spec.search.model_copy(update={"hyperparameters": of_space})
    varied = VariedHyperparameters(spec.model_copy(update={"search": search}))
    for space in map(varied.space, varied.everything()):
        for filters in [space.filters] if space.max_parameters is None else range(1, space.filters + 1):
            yield space, filters
