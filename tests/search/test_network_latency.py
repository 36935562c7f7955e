"""Latencies by arithmetic: the parts are those that the trainer builds, and what a limit refuses is said."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from builders import make_spec

from metasearch.api import Concat, MetaSearchSpec, Operation, Space
from metasearch.api.latency import Part
from metasearch.errors import InvalidSpec
from metasearch.search.build import build_space, random_figures, require_known_names
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_latency import Images, latencies, parts_of, possible_parts
from metasearch.search.network_limits import images_of
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace
from metasearch_trainer.network import cell_network

SPACE: dict[str, Any] = {"operations": ["conv3x3", "identity"], "maxBlocks": 2, "filters": 10}


def milliseconds_of(part: Part) -> float:
    """Return a latency that no other part has; a number that a float has exactly."""
    return (sum(map(ord, part.name)) + part.channels * 3 + part.filters * 7 + part.side * 11 + part.stride) / 1024


def row(part: Part) -> dict[str, Any]:
    name, channels, filters, side, stride = part
    milliseconds = f"{milliseconds_of(part):.12f}"
    return {
        "part": name,
        "channels": channels,
        "filters": filters,
        "side": side,
        "stride": stride,
        "milliseconds": milliseconds,
    }


def spec_within(limit: float, space: dict[str, Any], parts: list[Part] | None = None, **search: Any) -> MetaSearchSpec:
    """Return a spec with a limit, and a table of all parts of its networks unless others are given."""
    plain = make_spec(space=space, search=search)
    rows = [row(part) for part in (possible_parts(plain, images_of(plain)) if parts is None else parts)]
    latency = {"maxMilliseconds": f"{limit:.12f}", "ways": 5, "shots": 1, "shifts": 0, "parts": rows}
    return make_spec(space=space, search={**search, "constraints": {"latency": latency}})


def built(cell: Cell, space: Space) -> float:
    return sum(map(milliseconds_of, cell_network(cell, space, 1, 28, 5).parts))


# --- parts --------------------------------------------------------------------------------------------------------

EVERY_OPERATION = tuple(Operation)


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize(
    "space",
    [
        Space(operations=EVERY_OPERATION),
        Space(operations=EVERY_OPERATION, filter_scale=1, repeats=1, reductions=1, concat=Concat.UNUSED),
        Space(operations=EVERY_OPERATION, filters=7, filter_scale=3, stem_stride=2, repeats=1, reductions=2),
        Space(operations=EVERY_OPERATION, filters=3, reductions=5),  # the last cells see a single pixel
        Space(operations=EVERY_OPERATION, filters=6, max_parameters=3_000),
    ],
)
def test_networks_have_the_parts_that_the_trainer_builds(space: Space, blocks: int) -> None:
    rng, images = np.random.default_rng(blocks), Images(channels=3, side=30)
    cells = [CellSpace(space.operations, blocks).sample(rng) for _ in range(20)]
    spec = make_spec(space=space.model_dump(by_alias=True, mode="json"), task={"ways": 4})
    possible = set(possible_parts(spec, images))
    for cell in cells:
        network = cell_network(cell, space, 3, 30, 4)
        encoded = EncodedCells.of([cell], space.operations)
        counted: Counter[Part] = Counter()
        for part, times in parts_of(encoded, space, network.filters, images, 4):
            counted[part] += int(times[0])
        assert +counted == Counter(network.parts)
        assert set(network.parts) <= possible


def test_a_network_written_out() -> None:
    """One block, two reductions, 28 x 28 pixels: 10, 20 and 40 channels."""
    cell, space = parse_cell("conv3x3(-1)+identity(-2)"), Space()
    table = {
        Part("Stem", 1, 10, 28): 1.0,
        # Both inputs of the first cell are the stem's output; those of the second have 20 channels and, before, 10.
        Part("Input", 10, 20, 28): 10.0,
        Part("Input", 20, 40, 14): 100.0,
        Part("Input", 10, 40, 28, 2): 1_000.0,
        Part("conv3x3", 20, 20, 28, 2): 10_000.0,
        Part("identity", 20, 20, 28, 2): 20_000.0,
        Part("Sum", 20, 20, 14): 30_000.0,
        Part("conv3x3", 40, 40, 14, 2): 100_000.0,
        Part("identity", 40, 40, 14, 2): 200_000.0,
        Part("Sum", 40, 40, 7): 300_000.0,
        Part("Classifier", 40, 5, 7): 1_000_000.0,
    }
    encoded = EncodedCells.of([cell], space.operations)
    found = latencies(encoded, space, np.array([10]), Images(1, 28), 5, table | dict.fromkeys(unused_parts(), 7.0))
    assert found.tolist() == [1_661_121.0]


def unused_parts() -> list[Part]:
    """Return the parts of the other operations in the same places."""
    names = ("conv5x5", "avg_pool3x3", "max_pool3x3")
    return [Part(name, width, width, side, 2) for name in names for width, side in ((20, 28), (40, 14))]


def test_each_number_of_filters_has_parts_of_its_own() -> None:
    spec = make_spec(space={**SPACE, "maxParameters": 6_000})
    cells = [CellSpace(spec.space.operations, 2).sample(np.random.default_rng(seed)) for seed in range(12)]
    encoded = EncodedCells.of(cells, spec.space.operations)
    filters = network_sizes(encoded, spec.space, 1, 28, 5).filters
    assert len(set(filters.tolist())) > 2
    table = {part: milliseconds_of(part) for part in possible_parts(spec, images_of(spec))}
    found = latencies(encoded, spec.space, filters, images_of(spec), 5, table)
    assert found.tolist() == [built(cell, spec.space) for cell in cells]


# --- limits -------------------------------------------------------------------------------------------------------


def test_what_is_within_the_limit_is_there_and_nothing_else() -> None:
    plain = make_spec(space=SPACE)
    every = {str(cell): built(cell, plain.space) for cell in build_space(plain).everything()}
    limit = float(np.median(list(every.values())))
    found = {str(cell) for cell in build_space(spec_within(limit, SPACE)).everything()}
    assert found == {cell for cell, latency in every.items() if latency <= limit}
    assert 0 < len(found) < len(every)


def test_hyperparameters_make_networks_of_other_parts() -> None:
    filters = {"name": "filters", "distribution": "Choice", "values": [4, 10]}
    spec = spec_within(22, SPACE, hyperparameters=[filters])
    space = build_space(spec)
    drawn = [space.write(space.sample(np.random.default_rng(seed))) for seed in range(30)]
    found = [
        built(parse_cell(each.architecture), spec.space.model_copy(update={"filters": each.hyperparameters["filters"]}))
        for each in drawn
    ]
    assert {each.hyperparameters["filters"] for each in drawn} == {4, 10}
    assert max(found) <= 22


def test_random_networks_have_the_latencies_of_those_built() -> None:
    spec = spec_within(99, SPACE)
    found = random_figures(spec, 20, np.random.default_rng(3)).max_latency
    assert found is not None
    every = {built(cell, spec.space) for cell in CellSpace(spec.space.operations, 2).everything()}
    assert set(found.tolist()) <= every
    assert (len(found), len(set(found.tolist())) > 10) == (20, True)


def test_a_limit_that_nothing_can_meet_is_refused() -> None:
    spec = spec_within(0.25, SPACE)
    least = min(built(cell, spec.space) for cell in CellSpace(spec.space.operations, 1).everything())
    with pytest.raises(InvalidSpec) as refused:
        build_space(spec)
    assert str(refused.value) == (
        f"spec.search.constraints.latency.maxMilliseconds is 0.2500 and no network of one block has less than "
        f"{least:,.4f}; it must be more, or spec.space allow smaller networks"
    )


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (
            {"operations": ["conv3x3", "identity", "conv5x5"]},
            "conv5x5 from 20 to 20 channels at 28 pixels and stride 2",
        ),
        ({"filters": 12}, "Stem from 1 to 12 channels at 28 pixels and stride 1"),
        ({"maxBlocks": 3}, "Concatenation from 20 to 60 channels at 14 pixels and stride 1"),
        ({"stemStride": 2}, "Stem from 1 to 10 channels at 28 pixels and stride 2"),
    ],
)
def test_a_table_of_another_space_is_refused(change: dict[str, Any], missing: str) -> None:
    plain = make_spec(space=SPACE)
    spec = spec_within(99, {**SPACE, **change}, possible_parts(plain, images_of(plain)))
    with pytest.raises(InvalidSpec) as refused:
        require_known_names(spec)
    assert str(refused.value).startswith(f"spec.search.constraints.latency.parts has no {missing}, nor ")
    assert str(refused.value).endswith(
        "take spec.search.constraints.latency out and measure it anew with metasearch latency"
    )


def test_a_table_without_one_part_is_refused() -> None:
    plain = make_spec(space=SPACE)
    parts = possible_parts(plain, images_of(plain))
    last = Part("Classifier", 80, 5, 7)
    spec = spec_within(99, SPACE, [part for part in parts if part != last])
    sentence = (
        r"^spec\.search\.constraints\.latency\.parts has no Classifier from 80 to 5 channels at 7 pixels and stride 1; "
    )
    with pytest.raises(InvalidSpec, match=sentence):
        require_known_names(spec)
    with pytest.raises(InvalidSpec, match=sentence):
        list(build_space(spec).everything())


def test_a_table_of_other_images_is_refused() -> None:
    plain = make_spec(space=SPACE)
    spec = spec_within(99, SPACE, possible_parts(plain, Images(channels=1, side=32)))
    with pytest.raises(InvalidSpec, match="has no Stem from 1 to 10 channels at 28 pixels and stride 1, nor "):
        require_known_names(spec)


def test_a_part_twice_is_refused() -> None:
    part = Part("Stem", 1, 10, 28)
    with pytest.raises(InvalidSpec, match="must not have a part twice in parts"):
        spec_within(99, SPACE, [part, part])


def test_too_many_parts_are_refused_before_they_are_measured() -> None:
    filters = {"name": "filters", "distribution": "LogUniform", "minimum": 4, "maximum": 64}
    spec = make_spec(space=SPACE, search={"hyperparameters": [filters]})
    with pytest.raises(InvalidSpec, match="have more than 600 different parts, too many for "):
        possible_parts(spec, images_of(spec))
