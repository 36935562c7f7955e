"""Zero-cost proxies of networks so small that their values are worked out by hand, and the figures made of them."""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

import proxies
from cell_figures import Figure, correlation, correlations
from metasearch.api import Concat, Space
from metasearch.search.cells import parse_cell
from metasearch_trainer.layers import ConvNormRelu, Linear, flatten_pixels
from metasearch_trainer.network import Network
from metasearch_trainer.parameters import ParameterLayout, Weights
from proxies import Batch
from zero_cost import beyond


class Tiny(Network):
    """Some function of the pixels, or 1x1 convolutions, before a classifier."""

    def __init__(
        self,
        features: int,
        ways: int,
        convolution: tuple[int, int] | None = None,
        function: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> None:
        self.layout = ParameterLayout()
        channels, filters = convolution or (0, 0)
        self.convolution = ConvNormRelu(self.layout, "conv", channels, filters, (1, 1)) if convolution else None
        self.function = function
        self.head = Linear(self.layout, "head", features, ways)
        self.multiply_adds = 0

    def _features(self, weights: Weights, x: Tensor, tasks: int) -> Tensor:
        x = self.function(x) if self.convolution is None else self.convolution(weights, x)
        return flatten_pixels(x, tasks)


def batch(images: list[list[list[float]]], labels: list[list[int]] | None = None) -> Batch:
    """Return tasks of images of one pixel, each a list of channels."""
    pixels = torch.tensor(images, dtype=torch.float32)[..., None, None]
    return Batch(pixels, torch.tensor(labels or [[0] * len(task) for task in images]))


def theta(*parts: list[float]) -> Tensor:
    return torch.tensor([value for part in parts for value in part], dtype=torch.float32)


NORM_OF_TWO = ([1.0, 1.0], [0.0, 0.0])
"""Scales and shifts of the normalisation of two filters."""


# --- NASWOT ---


def two_filters(weights: list[float]) -> tuple[Network, Tensor]:
    """Return a convolution of two channels to two filters, with its parameters."""
    return Tiny(2, 2, convolution=(2, 2)), theta(weights, *NORM_OF_TWO, [1.0] * 4, [0.0] * 2)


def test_naswot_is_the_determinant_of_what_codes_agree_on() -> None:
    network, parameters = two_filters([1, 0, 0, 1])
    # A pixel above the batch's mean switches its ReLU on: the codes are 00, 10 and 01. So K = [2 1 1, 1 2 0, 1 0 2].
    images = batch([[[0, 0], [1, 0], [0, 1]]])
    assert proxies.naswot(network, parameters, images) == pytest.approx(log(4))


def test_naswot_of_two_images_with_the_same_code_is_minus_infinity() -> None:
    network, parameters = two_filters([1, 0, 0, 1])
    assert proxies.naswot(network, parameters, batch([[[0, 0], [0.1, 0], [1, 0]]])) == -np.inf


def test_codes_are_those_of_each_task_in_turn() -> None:
    network, parameters = two_filters([1, 0, 0, 1])
    images = batch([[[0, 0], [1, 1]], [[1, 0], [0, 1]]])
    assert proxies.relu_codes(network, parameters, images.images).tolist() == [[0, 0], [1, 1], [1, 0], [0, 1]]


# --- jacob_cov ---


def test_jacob_cov_of_a_linear_network() -> None:
    # Its output changes alike with every image, so that the two rows are the same, and the eigenvalues 2 and 0.
    network, floor = Tiny(3, 2), 1e-5
    parameters = theta([1, 2, 3, 4, 0, 1], [0, 0])
    expected = -(log(2 + floor) + 1 / (2 + floor) + log(floor) + 1 / floor)
    found = proxies.jacob_cov(network, parameters, batch([[[0.1, 0.2, 0.3], [0.9, 0, 0]]]))
    assert found == pytest.approx(expected, rel=1e-6)


def test_jacob_cov_of_a_network_that_changes_otherwise_with_each_image() -> None:
    # Squares times weights that add up to a half: an image's row is the image. These two have no correlation.
    network = Tiny(4, 2, function=torch.square)
    parameters = theta([0.25] * 8, [0, 0])
    found = proxies.jacob_cov(network, parameters, batch([[[1, 0, 1, 0], [1, 1, 0, 0]]]))
    assert found == pytest.approx(-2 * (log(1 + 1e-5) + 1 / (1 + 1e-5)), rel=1e-6)


# --- synflow ---


def test_synflow_of_a_classifier_adds_its_weights_up() -> None:
    found = proxies.synflow(Tiny(2, 2), theta([1, -2, 3, -4], [0, 0]), batch([[[0.5, 0.5]]]))
    assert found == pytest.approx(log(10))


def test_synflow_leaves_normalisation_out_and_counts_a_way_once_for_each_weight() -> None:
    # R = |-3| * (|1| + |-2|) = 9, and both layers have a share of 9. Normalised, one image alone would be nothing.
    parameters = theta([-3], [1], [0], [1, -2], [0, 0])
    found = proxies.synflow(Tiny(1, 2, convolution=(1, 1)), parameters, batch([[[0.5]]]))
    assert found == pytest.approx(log(18))


def expected(text: str, **space: object) -> float:
    described = Space.model_validate({"filters": 4, "filterScale": 1, "repeats": 1, "reductions": 0, **space})
    return proxies.expected_synflow(parse_cell(text), described, channels=1)


def gain(inputs: int) -> float:
    """Return what a convolution multiplies by: as many weights of the mean size sqrt(2 / n) * sqrt(2 / pi)."""
    return inputs * sqrt(2 / inputs) * sqrt(2 / pi)


def test_expected_synflow_multiplies_along_a_way_and_adds_ways_up() -> None:
    # The stem, an adapter, and two branches side by side; four filters in the end.
    read = gain(9) * gain(4)
    assert expected("conv3x3(-1)+max_pool3x3(-1)") == pytest.approx(log(4 * read * (gain(36) + 1)))
    # A factorised convolution is two. The other input has an adapter of its own, of the stem's output as well.
    assert expected("conv5x5(-1)+identity(-2)") == pytest.approx(log(4 * read * (gain(20) ** 2 + 1)))


def test_expected_synflow_reads_all_blocks_of_a_cell() -> None:
    chain, read = "identity(-1)+identity(-1) | conv3x3(0)+conv3x3(0)", gain(9) * gain(4)
    first, second = 2 * read, 2 * read * 2 * gain(36)
    assert expected(chain, concat=Concat.UNUSED) == pytest.approx(log(4 * second))
    assert expected(chain, concat=Concat.ALL) == pytest.approx(log(4 * (first + second)))


def test_expected_synflow_of_cells_in_a_row() -> None:
    # Two reductions, with 8 and 16 filters: an adapter reads the channels before it, and a strided identity is a
    # convolution of its own filters.
    first = 2 * gain(9) * gain(4) * gain(8)
    second = 2 * first * gain(8) * gain(16)
    found = expected("identity(-1)+identity(-1)", filterScale=2, repeats=0, reductions=2)
    assert found == pytest.approx(log(16 * second))


# --- gradients ---


def test_gradient_norm_and_snip_are_of_weights_alone() -> None:
    # Of the image 1 the logits are log 3 and 0, so probabilities are 3/4 and 1/4; of the image 0 it is its pixel that
    # makes its gradient zero. The mean over both images is (-1/8, 1/8). The biases' gradients are left out.
    network, parameters = Tiny(1, 2), theta([log(3), 0], [0, 0])
    images = batch([[[1], [0]]], labels=[[0, 1]])
    assert proxies.grad_norm(network, parameters, images) == pytest.approx(sqrt(2) / 8)
    assert proxies.snip(network, parameters, images) == pytest.approx(log(3) / 8)


def test_tasks_share_their_parameters() -> None:
    network, parameters = Tiny(1, 2), theta([log(3), 0], [0, 0])
    images = batch([[[1]], [[0]]], labels=[[0], [1]])
    assert proxies.grad_norm(network, parameters, images) == pytest.approx(sqrt(2) / 8)


# --- figures ---


def test_reliability_is_the_mean_of_all_pairs_of_times() -> None:
    # Cells of one block do not count. In order, in order, and with the last two changed: 1, 1/2 and 1/2.
    cells = ("a|", "b|", "c|", "d")
    times = ([1, 2, 3, 9], [10, 20, 30, 0], [1, 3, 2, 5])
    figure = Figure("x", tuple(dict(zip(cells, each, strict=True)) for each in times), 0.0)
    assert figure.reliability == pytest.approx(2 / 3)


def test_reliability_with_another_seed_is_of_the_cells_that_have_one() -> None:
    figure = Figure("x", ({"a|": 1, "b|": 2, "c|": 3},), 0.0, again={"a|": 5, "c|": 4})
    assert figure.reliability == pytest.approx(-1)


def test_rank_correlations_are_by_rows() -> None:
    first, second = np.array([[1.0, 2, 3], [1, 2, 3]]), np.array([[1.0, 8, 9], [9, 8, 1]])
    assert correlations(first, second).tolist() == pytest.approx([1, -1])


def test_what_is_known_already_tells_nothing_more() -> None:
    rng = np.random.default_rng(0)
    known, own = rng.normal(size=(2, 400))
    # What both have in common is only what is known: nothing is left but chance.
    first, second = known + 0.3 * rng.normal(size=400), known + 0.3 * own
    assert correlation(first, second) > 0.8
    assert abs(beyond(first[None], second, known[None])) < 0.15
    assert beyond((known + own)[None], second, known[None]) > 0.7
