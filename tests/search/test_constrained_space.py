"""Constraints: no candidate beyond a limit is ever proposed, and what nothing can meet is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from builders import make_spec

from metasearch.api import Operation, Space, Task
from metasearch.errors import InvalidSpec
from metasearch.search.build import build_space
from metasearch.search.candidates import Candidate
from metasearch.search.cells import parse_cell
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.hyperparameters import varied_space
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace
from metasearch.search.space import Space as AnySpace
from metasearch.search.training_memory import images_at_once
from metasearch_trainer.metalearners.unroll_memory import forward_bytes
from metasearch_trainer.network import Network, cell_network

FILTERS = {"name": "filters", "distribution": "LogUniform", "minimum": 4, "maximum": 64}
INNER_BATCH = {"name": "innerBatchSize", "distribution": "LogUniform", "minimum": 2, "maximum": 100}


def spec_with(constraints: dict[str, Any], hyperparameters: Sequence[dict[str, Any]] = (), **spec: Any) -> Any:
    space = {"operations": ["conv3x3", "conv5x5", "identity"], "maxBlocks": 3, "filters": 12}
    search = {"constraints": constraints, "hyperparameters": list(hyperparameters)}
    return make_spec(**{"space": space, "search": search, **spec})


def network_of(spec: Any, candidate: Candidate) -> Network:
    space = varied_space(spec.space, candidate.hyperparameters)
    return cell_network(parse_cell(candidate.architecture), space, 1, 28, spec.task.ways)


def met(space: AnySpace[Any]) -> list[Candidate]:
    """Return candidates that each way of the protocol leads to."""
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(20)]
    found = [*space.smallest(), *drawn, *(space.mutate(each, rng) for each in drawn)]
    found += [other for each in drawn[:3] for other in space.neighbours(each)]
    found += [child for each in space.smallest()[:3] for child in space.children(each)]
    found += [parent for each in drawn for parent in space.parents(each)]
    return [space.write(each) for each in found]


@pytest.mark.parametrize("hyperparameters", [[], [FILTERS]])
def test_networks_are_within_limits_as_the_trainer_builds_them(hyperparameters: list[dict[str, Any]]) -> None:
    limits = {"maxParameters": 20_000, "maxMultiplyAdds": 3_000_000}
    spec = spec_with(limits, hyperparameters)
    candidates = set(met(build_space(spec)))
    networks = [network_of(spec, each) for each in candidates]
    assert max(network.layout.size for network in networks) <= 20_000
    assert max(network.multiply_adds for network in networks) <= 3_000_000
    free = {each: network_of(spec, each) for each in met(build_space(spec_with({}, hyperparameters)))}
    assert max(network.layout.size for network in free.values()) > 20_000
    within = {each for each, net in free.items() if net.layout.size <= 20_000 and net.multiply_adds <= 3_000_000}
    assert within
    space = build_space(spec)
    assert {space.write(space.read(each)) for each in within} == within


def test_all_that_is_within_the_limits_is_there() -> None:
    spec = spec_with({"maxParameters": 20_000})
    plain = build_space(spec_with({}))
    fitting = [each for each in plain.smallest() if network_of(spec, plain.write(each)).layout.size <= 20_000]
    assert 0 < len(fitting) < len(plain.smallest())
    assert list(build_space(spec).smallest()) == fitting


def test_memory_depends_on_what_is_trained_on_at_a_time() -> None:
    spec = spec_with({"maxMemory": "30Mi"}, [INNER_BATCH, FILTERS])
    for candidate in set(met(build_space(spec))):
        network = network_of(spec, candidate)
        batch = int(str(candidate.hyperparameters["innerBatchSize"]))
        kept = forward_bytes(network, torch.zeros(1, batch, 1, 28, 28)) * spec.training.settings.meta_batch_size
        assert kept <= 1.2 * 30 * 2**20


def test_smallest_cells_get_values_with_which_they_are_within_the_limits() -> None:
    spec = spec_with({"maxParameters": 8_000}, [FILTERS])
    # With 4 filters each one-block cell is within it, and with 64 none of those that convolve is.
    assert len(build_space(spec).smallest()) > 0.9 * len(build_space(spec_with({}, [FILTERS])).smallest())


def test_where_no_large_cell_is_within_the_limits_smaller_ones_are_drawn() -> None:
    operations = ["conv3x3", "conv5x5"]
    spec = spec_with({"maxParameters": 80_000}, space={"operations": operations, "maxBlocks": 3, "filters": 12})
    space, rng = build_space(spec), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(5)]
    assert {len(each) for each in drawn} == {1}
    again = np.random.default_rng(0)
    assert drawn == [space.sample(again) for _ in range(5)]


@pytest.mark.parametrize("hyperparameters", [[], [FILTERS]])
@pytest.mark.parametrize(("limit", "value"), [("maxParameters", 90), ("maxMultiplyAdds", 1000), ("maxMemory", "5Ki")])
def test_a_constraint_that_nothing_can_meet_is_refused(
    limit: str, value: Any, hyperparameters: list[dict[str, Any]]
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        build_space(spec_with({limit: value}, hyperparameters))
    assert str(refused.value).startswith(f"spec.search.constraints.{limit} is ")
    assert "no network of one block has less than" in str(refused.value)


def test_a_recorded_candidate_beyond_a_limit_is_refused() -> None:
    space = build_space(spec_with({"maxParameters": 20_000}))
    with pytest.raises(InvalidSpec, match=r"is not within spec\.search\.constraints"):
        space.read(Candidate("conv3x3(-1)+conv3x3(-2)"))


# --- the arithmetic of memory ---


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(
    "network",
    [
        Space(operations=tuple(Operation)),
        Space(operations=tuple(Operation), filter_scale=1, repeats=1, reductions=1, concat="Unused"),
        Space(operations=tuple(Operation), filters=7, filter_scale=3, stem_stride=2, repeats=1),
    ],
)
def test_kept_values_are_those_of_a_forward_pass(network: Space, blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    cells = [CellSpace(network.operations, blocks).sample(rng) for _ in range(8)]
    sizes = network_sizes(EncodedCells.of(cells, network.operations), network, channels=3, side=30, ways=4)
    images = torch.zeros(1, 20, 3, 30, 30)
    measured = [forward_bytes(cell_network(cell, network, 3, 30, 4), images) for cell in cells]
    ratios = 4 * 20 * sizes.kept_values / np.array(measured)
    assert 0.85 < ratios.min() <= ratios.max() < 1.2


@pytest.mark.parametrize(
    ("training", "images"),
    [
        ({"reptile": {"metaBatchSize": 3, "innerBatchSize": 7}}, 3 * 7),
        ({"metaLearner": "FOMAML", "fomaml": {"metaBatchSize": 2, "shots": 3, "queries": 2}}, 2 * 5 * 3),
        ({"metaLearner": "FOMAML", "fomaml": {"metaBatchSize": 2, "shots": 3, "queries": 4}}, 2 * 5 * 4),
        ({"metaLearner": "MAML", "maml": {"metaBatchSize": 2, "innerSteps": 3}}, 2 * 5 * (1.6 * 3 + 1)),
        ({"metaLearner": "MAML", "maml": {"metaBatchSize": 2, "secondOrder": "FiniteDifference"}}, 2 * 5),
        ({"metaLearner": "Truncated", "truncated": {"metaBatchSize": 2, "window": 2}}, 2 * 5 * (1.6 * 2 + 1)),
        ({"metaLearner": "BOIL", "boil": {"metaBatchSize": 2}}, 2 * 5 * (1.6 + 1)),
        ({"metaLearner": "Prototypes", "prototypes": {"queries": 3}}, 16 * 5 * (1 + 3)),
        ({"metaLearner": "OfAPackage"}, 5 * 2),
    ],
)
def test_images_at_once(training: dict[str, Any], images: float) -> None:
    assert images_at_once(make_spec(training=training).training.settings, Task()) == pytest.approx(images)


# --- all there is ---


def test_everything_within_the_limits_is_listed_and_counted() -> None:
    plain, space = build_space(spec_with({})), build_space(spec_with({"maxParameters": 20_000}))
    one_block = [each for each in space.everything() if space.size(each) == 1]
    assert one_block == list(space.smallest())
    assert 0 < len(one_block) < len(plain.smallest())
    assert space.count(5) > 5
    with pytest.raises(InvalidSpec, match=r"is not within spec\.search\.constraints"):
        space.variants("conv3x3(-1)+conv3x3(-2)")
