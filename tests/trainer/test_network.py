"""Networks: sizes, shapes, and that equal keys are equal computations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from metasearch.api import Concat, Operation, Space
from metasearch.errors import InvalidSpec
from metasearch.search.baselines import HandMade
from metasearch.search.cells import Branch, Cell, block, parse_cell
from metasearch_trainer.network import CellNetwork, Conv4, cell_network, hand_made_network

SPACE = Space(filters=3, filter_scale=1, reductions=1, operations=tuple(Operation))


def forward(network: CellNetwork, theta: Tensor, images: Tensor) -> Tensor:
    return network(theta[None], images[None])[0]


# --- sizes ---


def test_conv4_has_the_published_number_of_parameters() -> None:
    """113,221 is the size of Reptile's Omniglot network with 5 ways, biases and normalisation included."""
    assert Conv4(channels=1, side=28, ways=5).layout.size == 113_221


@pytest.mark.parametrize("text", ["Conv4", "Conv4-1", "Conv4-30", "Conv4Pooled"])
@pytest.mark.parametrize(("channels", "side", "ways"), [(1, 28, 5), (3, 84, 20), (2, 9, 2)])
def test_a_hand_made_network_is_as_large_as_a_plan_takes_it_to_be(
    text: str, channels: int, side: int, ways: int
) -> None:
    network = hand_made_network(text, channels, side, ways)
    assert network.layout.size == HandMade.parse(text).parameter_count(channels, side, ways)
    assert network.multiply_adds == HandMade.parse(text).multiply_adds(channels, side, ways)


def test_conv4_without_further_words_is_reptiles_network() -> None:
    """The same parameters in the same order, so the same initial weights."""
    assert hand_made_network("Conv4", 1, 28, 5).layout == Conv4(1, 28, 5).layout


def test_a_pooled_head_does_not_see_where_a_pixel_is() -> None:
    pooled, flat = hand_made_network("Conv4Pooled", 1, 32, 5), hand_made_network("Conv4", 1, 32, 5)
    images = torch.rand(1, 6, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for network, per_filter in ((pooled, 1), (flat, 4)):
        theta = network.layout.initial(torch.Generator().manual_seed(0)).float()[None]
        assert network.features(theta, images).shape == (1, 6, 64 * per_filter)
        assert network(theta, images).shape == (1, 6, 5)
    theta = flat.layout.initial(torch.Generator().manual_seed(0)).float()[None]
    pixels = flat.features(theta, images).view(6, 64, 4)
    body = torch.cat([theta[:, : -flat.head.size], torch.zeros(1, pooled.head.size)], dim=1)
    assert torch.allclose(pooled.features(body, images)[0], pixels.mean(2), atol=1e-6)


def test_parameters_of_a_cell_network_counted_by_hand() -> None:
    network = CellNetwork(parse_cell("conv3x3(-1)+identity(-1)"), Space(filters=10, filter_scale=2), 1, 28, 5)
    stem = 10 * 9 + 20
    first = (10 * 20 + 40) + (20 * 20 * 9 + 40) + (20 * 20 + 40)  # adapter, convolution, strided identity
    second = (20 * 40 + 80) + (40 * 40 * 9 + 80) + (40 * 40 + 80)
    head = 40 * 5 + 5
    assert network.layout.size == stem + first + second + head


def test_multiply_adds_counted_by_hand() -> None:
    network = CellNetwork(
        parse_cell("conv3x3(-1)+max_pool3x3(-1)"), Space(filters=4, filter_scale=1, reductions=1), 1, 8, 5
    )
    stem, adapter, convolution, head = 36 * 64, 16 * 64, 144 * 16, 4 * 5
    assert network.multiply_adds == stem + adapter + convolution + head


def test_a_strided_stem_halves_the_image_before_the_cells() -> None:
    cell = parse_cell("conv3x3(-1)+max_pool3x3(-1)")
    network = CellNetwork(cell, Space(filters=4, filter_scale=1, reductions=1, stem_stride=2), 1, 9, 5)
    stem, adapter, convolution, head = 36 * 25, 16 * 25, 144 * 9, 4 * 5  # sides 9, 5, 3
    assert network.multiply_adds == stem + adapter + convolution + head
    assert network.layout.size == CellNetwork(cell, Space(filters=4, filter_scale=1, reductions=1), 1, 9, 5).layout.size


def parameters_of(filters: int) -> int:
    """Count by hand the parameters of conv3x3(-1)+max_pool3x3(-1) with one reduction and no growth."""
    return filters * (9 + 2) + filters * (filters + 2) + filters * (9 * filters + 2) + 5 * filters + 5


@pytest.mark.parametrize("most", [200, 1000, parameters_of(9), parameters_of(9) - 1, 10**6])
def test_a_limit_on_parameters_leaves_as_many_filters_as_fit(most: int) -> None:
    space = Space(filters=20, filter_scale=1, reductions=1, max_parameters=most)
    network = cell_network(parse_cell("conv3x3(-1)+max_pool3x3(-1)"), space, 1, 8, 5)
    filters = max(filters for filters in range(1, 21) if parameters_of(filters) <= most)
    assert network.layout.size == parameters_of(filters) <= most
    assert network.head.shape == (5, filters)


def test_a_limit_that_no_network_can_keep_is_refused_with_both_numbers() -> None:
    cell = parse_cell(" | ".join(["conv3x3(-1)+conv3x3(-2)"] * 8))
    space = Space(filters=20, filter_scale=1, reductions=2, max_parameters=100)
    with pytest.raises(InvalidSpec, match=r"has \d+ parameters or more and space.maxParameters is 100"):
        cell_network(cell, space, 1, 8, 5)


def test_an_outer_input_that_no_branch_reads_has_no_parameters() -> None:
    names = [
        each.name for each in CellNetwork(parse_cell("conv3x3(-1)+identity(-1)"), SPACE, 1, 8, 5).layout.parameters
    ]
    assert any("input-1" in name for name in names)
    assert not any("input-2" in name for name in names)


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("side", [5, 8])
def test_every_operation_trains_and_halves_an_image_rounding_up(operation: Operation, side: int) -> None:
    cell = Cell(
        (block(Branch(-1, operation), Branch(-2, operation)), block(Branch(0, operation), Branch(-1, operation)))
    )
    network = CellNetwork(cell, Space(filters=3, reductions=2), 3, side, 4)
    theta = network.layout.initial(torch.Generator().manual_seed(0))[None].requires_grad_()
    logits = network(theta, torch.rand(1, 6, 3, side, side, dtype=torch.float64))
    assert logits.shape == (1, 6, 4)
    (gradient,) = torch.autograd.grad(logits.square().sum(), theta)
    assert all(part.any() for part in network.layout.named(gradient[0]).values())


def test_tasks_do_not_see_each_other() -> None:
    network = CellNetwork(parse_cell("conv3x3(-1)+sep_conv3x3(-2) | max_pool3x3(0)+dil_conv3x3(-1)"), SPACE, 1, 8, 5)
    generator = torch.Generator().manual_seed(0)
    thetas = torch.stack([network.layout.initial(generator) for _ in range(3)])
    images = torch.rand(3, 4, 1, 8, 8, generator=generator, dtype=torch.float64)
    together = network(thetas, images)
    for theta, own, logits in zip(thetas, images, together, strict=True):
        torch.testing.assert_close(forward(network, theta, own), logits, rtol=0, atol=1e-12)


# --- keys ---


def transported(
    source: CellNetwork, target: CellNetwork, theta: Tensor, order: tuple[int, ...], swaps: tuple[bool, ...]
) -> Tensor:
    """Move weights from source to target, block `order[i]` in place of block i; return nothing where layers differ."""
    weights = source.layout.named(theta)
    moved = {}
    for each in target.layout.parameters:
        parts = each.name.split(".")
        if len(parts) > 2 and parts[1].startswith("block"):
            index = int(parts[1].removeprefix("block"))
            parts[1] = f"block{order[index]}"
            if swaps[index]:
                parts[2] = "second" if parts[2] == "first" else "first"
        tensor = weights.get(".".join(parts))
        if tensor is None or tensor.shape != each.shape:
            return torch.empty(0)
        moved[each.name] = tensor
    cell_width = target.cells[0].feature.channels // len(order)
    # The classifier reads the blocks' outputs in their order.
    columns = np.concatenate([np.arange(cell_width) + cell_width * place for place in order])
    moved["head.weight"] = moved["head.weight"][:, columns]
    return torch.cat([moved[each.name].flatten() for each in target.layout.parameters])


def compute_the_same(one: Cell, other: Cell) -> bool:
    """Return whether some order of one network's weights gives the other equal outputs; every order is tried."""
    generator = torch.Generator().manual_seed(0)
    networks = [CellNetwork(cell, SPACE, 1, 6, 3) for cell in (one, other)]
    images = torch.rand(4, 1, 6, 6, generator=generator, dtype=torch.float64)
    theta = networks[0].layout.initial(generator)
    theta += 0.1 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)  # no two layers alike
    expected = forward(networks[0], theta, images)
    for order in itertools.permutations(range(len(one))):
        for swaps in itertools.product((False, True), repeat=len(one)):
            moved = transported(*networks, theta, order, swaps)
            if len(moved) and torch.allclose(forward(networks[1], moved, images), expected, rtol=0, atol=1e-9):
                return True
    return False


def random_cell(rng: np.random.Generator, blocks: int, operations: tuple[str, ...]) -> Cell:
    def branch(index: int) -> Branch:
        return Branch(int(rng.integers(-2, index)), operations[rng.integers(len(operations))])

    return Cell(tuple(block(branch(index), branch(index)) for index in range(blocks)))


@pytest.mark.parametrize("seed", range(12))
def test_cells_with_one_key_compute_the_same(seed: int) -> None:
    cell = random_cell(np.random.default_rng(seed), 3, ("conv3x3", "max_pool3x3"))
    assert compute_the_same(cell, cell.canonical)


def test_cells_with_different_keys_compute_something_different() -> None:
    """All pairs of 40 cells are compared; they have one operation, so that few differ by their layers alone."""
    rng = np.random.default_rng(0)
    cells = {cell.key: cell for cell in (random_cell(rng, 3, ("conv3x3",)) for _ in range(40))}
    pairs = itertools.combinations(cells.values(), 2)
    assert not [pair for pair in pairs if compute_the_same(*pair)]


def test_reading_one_twin_twice_computes_something_else_than_reading_both() -> None:
    twins = "conv3x3(-1)+conv3x3(-2) | conv3x3(-1)+conv3x3(-2)"
    both, one, other = (
        parse_cell(f"{twins} | conv3x3({left})+max_pool3x3({right})") for left, right in ((0, 1), (0, 0), (1, 1))
    )
    assert compute_the_same(one, other)
    assert not compute_the_same(both, one)


def test_only_unused_blocks_are_concatenated_on_request() -> None:
    cell = parse_cell("conv3x3(-1)+identity(-2) | conv3x3(0)+identity(-1)")
    widths = [CellNetwork(cell, Space(filters=4, concat=concat), 1, 8, 5).head.shape[1] for concat in Concat]
    assert widths == [32, 16]
