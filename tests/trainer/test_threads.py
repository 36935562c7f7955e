"""
Networks in a process with several threads, as a delivered one may be used.

PyTorch's own strided 1x1 convolution may end such a process (`layers._pointwise`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from metasearch.api import Operation, Space
from metasearch.search.cells import Branch, Cell, block
from metasearch.search.space import CellSpace
from metasearch_trainer.adaptation import Moments, adapt
from metasearch_trainer.layers import ConvNormRelu
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.parameters import ParameterLayout, Weights
from metasearch_trainer.tasks import Support

CELLS, STEPS, BATCH, SIDE, WAYS = 30, 2, 5, 28, 5
SPACE = Space(filters=10, filter_scale=1, operations=tuple(Operation))


class Convolutions(TorchDispatchMode):
    """Record kernel and stride of every convolution that PyTorch is asked for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.convolution.default:
            self.seen.add((tuple(args[1].shape[2:]), tuple(args[3])))
        return func(*args, **(kwargs or {}))


def adapt_random_cells() -> None:
    """Train random cells of all operations: what reads an outer input is strided, the rest is not."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    cells = CellSpace(SPACE.operations, max_blocks=2)
    images = torch.rand(1, STEPS * BATCH, 1, SIDE, SIDE, generator=generator)
    labels = torch.arange(WAYS).repeat(STEPS)[None]
    support = Support(images, labels, torch.arange(STEPS * BATCH).reshape(1, STEPS, BATCH))
    for _ in range(CELLS):
        network = CellNetwork(cells.sample(rng), SPACE, 1, SIDE, WAYS)
        theta = network.layout.initial(generator).float()
        adapt(network, theta, Moments.zero(theta).for_tasks(1), support, learning_rate=1e-3)


def test_networks_adapt_with_two_threads() -> None:
    """Training runs in a process of its own, for a corrupted heap ends it, or lets it wait for ever."""
    # Passive: on a busy machine threads that spin for each other cost most of the time.
    environment = os.environ | {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    ended = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.mark.parametrize("operation", list(Operation))
def test_no_1x1_convolution_is_strided(operation: Operation) -> None:
    """The check holds on processors where nothing crashes, too."""
    cell = Cell((block(Branch(-1, operation), Branch(-2, operation)),))
    network = CellNetwork(cell, SPACE, 1, 8, WAYS)
    theta = network.layout.initial(torch.Generator().manual_seed(0))[None]
    with Convolutions() as convolutions:
        network(theta, torch.rand(1, BATCH, 1, 8, 8, dtype=torch.float64))
    assert {stride for kernel, stride in convolutions.seen if kernel == (1, 1)} == {(1, 1)}


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("side", [7, 8])
def test_a_strided_1x1_layer_computes_the_strided_convolution(side: int, tasks: int) -> None:
    """Outputs and gradients agree in float64; both are in channels-last memory."""
    layout, generator = ParameterLayout(), torch.Generator().manual_seed(0)
    layer = ConvNormRelu(layout, "layer", 4, 6, (1, 1), stride=2, relu=False)
    theta = torch.stack([layout.initial(generator) for _ in range(tasks)]).requires_grad_()
    images = torch.rand(5, tasks * 4, side, side, generator=generator, dtype=torch.float64)
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    tensors = layout.views(theta)
    weight = tensors[layer.weight]
    convolved = F.conv2d(images, weight.flatten(0, 1), stride=2, groups=tasks)
    expected = F.batch_norm(convolved, None, None, training=True)
    computed = layer(Weights(tensors), images)
    torch.testing.assert_close(computed, expected, rtol=0, atol=1e-12)
    direction = torch.rand(computed.shape, generator=generator, dtype=torch.float64)
    gradients, expected_gradients = (
        torch.autograd.grad(each, (images, weight), direction, retain_graph=True) for each in (computed, expected)
    )
    torch.testing.assert_close(gradients, expected_gradients, rtol=0, atol=1e-12)
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in (computed, gradients[0]))


if __name__ == "__main__":
    torch.set_num_threads(2)
    adapt_random_cells()
