"""Networks that normalise by the first images of a batch: values and gradients agree with direct computations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch.api import Space
from metasearch.search.cells import parse_cell
from metasearch_trainer.layers import NORM_EPSILON, ConvNormRelu
from metasearch_trainer.network import CellNetwork, Conv4, Network
from metasearch_trainer.parameters import ParameterLayout, Weights

CELL = parse_cell("conv3x3(-1)+max_pool3x3(-2) | sep_conv3x3(-1)+identity(0)")
NETWORKS: dict[str, Callable[[], Network]] = {
    "cell": lambda: CellNetwork(CELL, Space(filters=3, filter_scale=1, reductions=1), 1, 8, 3),
    "Conv4": lambda: Conv4(1, 16, 3, filters=4),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    name: str = request.param
    return NETWORKS[name]()


def parameters(network: Network, tasks: int) -> Tensor:
    """Draw different parameters for each task in float64; normalisation's are not ones and zeros either."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.stack([network.layout.initial(generator) for _ in range(tasks)])
    return theta + 0.1 * torch.randn(theta.shape, generator=generator, dtype=torch.float64)


def images(tasks: int, count: int, side: int = 16, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(tasks, count, 1, side, side, generator=generator, dtype=torch.float64)


def test_other_queries_do_not_change_an_answer(network: Network) -> None:
    phi, support, queries = parameters(network, 2), images(2, 4), images(2, 3, seed=2)
    scores = network(phi, torch.cat([support, queries], 1), 4)
    order = torch.tensor([2, 0, 1])
    permuted = network(phi, torch.cat([support, queries[:, order]], 1), 4)
    torch.testing.assert_close(permuted[:, 4:], scores[:, 4:][:, order])
    replaced = torch.cat([support, queries[:, :1], images(2, 5, seed=3)], 1)
    torch.testing.assert_close(network(phi, replaced, 4)[:, :5], scores[:, :5])


def test_support_images_are_scored_as_in_a_batch_of_their_own(network: Network) -> None:
    phi, support = parameters(network, 2), images(2, 4)
    scores = network(phi, torch.cat([support, images(2, 3, seed=2)], 1), 4)
    torch.testing.assert_close(scores[:, :4], network(phi, support))


@pytest.mark.parametrize("statistics", [0, 4])
def test_statistics_of_all_images_make_the_ordinary_forward_pass(network: Network, statistics: int) -> None:
    phi, support = parameters(network, 2), images(2, 4)
    assert torch.equal(network(phi, support, statistics), network(phi, support))


def test_a_layer_agrees_with_the_definition() -> None:
    layout = ParameterLayout()
    layer = ConvNormRelu(layout, "layer", 2, 3, (3, 3), stride=2)
    theta = torch.randn(2, layout.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(5, 4, 7, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = layer(Weights(layout.views(theta), statistics=2), x)
    for task in range(2):
        weight, scale, shift = (view[task] for view in layout.views(theta))
        convolved = F.conv2d(x[:, 2 * task : 2 * task + 2], weight, stride=2, padding=1)
        for channel in range(3):
            values = [float(value) for value in convolved[:2, channel].flatten()]
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            expected = (convolved[:, channel] - mean) / (variance + NORM_EPSILON) ** 0.5
            expected = (scale[channel] * expected + shift[channel]).clamp(min=0)
            torch.testing.assert_close(y[:, 3 * task + channel], expected)


def test_gradients_of_a_layer_agree_with_finite_differences() -> None:
    layout = ParameterLayout()
    layer = ConvNormRelu(layout, "layer", 2, 3, (1, 1), relu=False)
    theta = torch.randn(2, layout.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(4, 4, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def forward(theta: Tensor, x: Tensor) -> Tensor:
        return layer(Weights(layout.views(theta), statistics=2), x)

    assert torch.autograd.gradcheck(forward, (theta.requires_grad_(), x.requires_grad_()))
    assert torch.autograd.gradgradcheck(forward, (theta, x))


def test_gradients_of_a_query_loss_agree_with_finite_differences(network: Network) -> None:
    phi, batch = parameters(network, 1), torch.cat([images(1, 3, side=8), images(1, 3, side=8, seed=2)], 1)
    if isinstance(network, Conv4):
        batch = torch.cat([images(1, 3), images(1, 3, seed=2)], 1)

    def loss(phi: Tensor) -> Tensor:
        return F.cross_entropy(network(phi, batch, 3)[0, 3:], torch.arange(3))

    (gradient,) = torch.autograd.grad(loss(phi.requires_grad_()), phi)
    phi = phi.detach()
    # Along random directions: one number each, instead of one per parameter.
    for seed in range(5):
        direction = torch.randn(phi.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        step = 1e-6
        difference = (loss(phi + step * direction) - loss(phi - step * direction)) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), difference, rtol=1e-5, atol=1e-8)
