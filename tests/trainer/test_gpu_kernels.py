"""The kernels for GPUs compute what PyTorch's operations do; here they run in Triton's interpreter, on the CPU."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch_trainer.convolution import Convolution

pytest.importorskip("triton", reason="Triton comes only with PyTorch for GPUs")

EPSILON = 1e-5
BATCH, TASKS = 3, 2

SHAPES = {
    "3x3": Convolution(10, 10, (3, 3), 1, 1, relu=True),
    "stem": Convolution(1, 10, (3, 3), 1, 1, relu=True),
    "row": Convolution(5, 5, (1, 5), 1, 1, relu=True),
    "column": Convolution(4, 7, (5, 1), 1, 1, relu=True),
    "pointwise": Convolution(50, 20, (1, 1), 1, 1, relu=True),
    "many channels": Convolution(70, 3, (1, 1), 1, 1, relu=True),
    "many filters": Convolution(3, 70, (1, 1), 1, 1, relu=True),
    "strided": Convolution(4, 6, (3, 3), 2, 1, relu=True),
    "strided pointwise": Convolution(6, 3, (1, 1), 2, 1, relu=True),
    "dilated": Convolution(3, 3, (3, 3), 1, 2, relu=True),
    "without ReLU": Convolution(3, 3, (3, 3), 1, 1, relu=False),
}


@pytest.fixture(scope="module")
def kernels() -> Callable[..., Tensor]:
    """The layer by our kernels, interpreted, since tests/conftest.py asks for that."""
    from metasearch_trainer.gpu.conv_norm_relu import conv_norm_relu

    return conv_norm_relu


def plain(shape: Convolution, statistics: int = 0) -> Callable[..., Tensor]:
    """Return the layer in PyTorch's operations, for parameters with an axis of tasks."""

    def form(x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
        flat = None if bias is None else bias.flatten()
        y = F.conv2d(x, weight.flatten(0, 1), flat, shape.stride, shape.padding, shape.dilation, len(weight))
        counted = y[: statistics or len(y)]
        mean = counted.mean((0, 2, 3), keepdim=True)
        variance = (counted - mean).square().mean((0, 2, 3), keepdim=True)
        y = (y - mean) * torch.rsqrt(variance + EPSILON) * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)
        return F.relu(y) if shape.relu else y

    return form


def inputs(shape: Convolution, side: int, dtype: torch.dtype, bias: bool = False) -> list[Tensor | None]:
    """Return images and parameters; those are cut out of one vector for each task, as a network's are."""
    generator = torch.Generator().manual_seed(0)
    sizes = [shape.filters * shape.channels * shape.kernel[0] * shape.kernel[1], *[shape.filters] * 3]
    flat = torch.randn(TASKS, 3 + sum(sizes), generator=generator, dtype=torch.float64)
    x = torch.randn(BATCH, TASKS * shape.channels, side, side, generator=generator, dtype=torch.float64)
    flat, x = flat.to(dtype).requires_grad_(), x.to(dtype).requires_grad_()
    _, weight, *others = torch.split(flat, [3, *sizes], dim=1)
    chosen, scale, shift = others
    return [x, weight.view(TASKS, shape.filters, shape.channels, *shape.kernel), chosen if bias else None, scale, shift]


def gradients(y: Tensor, given: list[Tensor | None]) -> list[Tensor]:
    """Differentiate a function of the output that weighs all of its elements differently."""
    weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return list(torch.autograd.grad((y * weights).sum(), [each for each in given if each is not None]))


def error(ours: Tensor, exact: Tensor) -> float:
    return float((ours.detach().double() - exact.detach()).norm() / exact.detach().norm())


@pytest.mark.parametrize(("name", "side"), list(itertools.product(SHAPES, (5, 2))))
def test_values_and_gradients_are_those_of_pytorch(kernels: Callable[..., Tensor], name: str, side: int) -> None:
    shape = SHAPES[name]
    given, exact = inputs(shape, side, torch.float32), inputs(shape, side, torch.float64)
    y = kernels(*given, shape, 0, EPSILON, plain(shape))
    expected = plain(shape)(*exact)
    assert error(y, expected) < 1e-5
    for ours, theirs in zip(gradients(y, given), gradients(expected, exact), strict=True):
        assert error(ours, theirs) < 1e-3


def test_a_bias_changes_nothing_and_has_no_gradient(kernels: Callable[..., Tensor]) -> None:
    shape = SHAPES["3x3"]
    given = inputs(shape, 5, torch.float32, bias=True)
    y = kernels(*given, shape, 0, EPSILON, plain(shape))
    without = kernels(*given[:2], None, *given[3:], shape, 0, EPSILON, plain(shape))
    torch.testing.assert_close(y, without, atol=1e-5, rtol=1e-5)
    assert float(gradients(y, given)[2].abs().max()) < 1e-4


def test_statistics_may_come_from_the_first_images(kernels: Callable[..., Tensor]) -> None:
    shape = SHAPES["row"]
    given, exact = inputs(shape, 5, torch.float32), inputs(shape, 5, torch.float64)
    y = kernels(*given, shape, 2, EPSILON, plain(shape, 2))
    expected = plain(shape, 2)(*exact)
    assert error(y, expected) < 1e-5
    for ours, theirs in zip(gradients(y, given), gradients(expected, exact), strict=True):
        assert error(ours, theirs) < 1e-4


def test_gradients_can_be_differentiated(kernels: Callable[..., Tensor]) -> None:
    """As MAML's outer gradient needs."""
    shape = SHAPES["3x3"]

    def second(given: list[Tensor | None], form: Callable[..., Tensor]) -> Tensor:
        x, weight = given[0], given[1]
        assert x is not None
        assert weight is not None
        (first,) = torch.autograd.grad(form(*given).square().sum(), weight, create_graph=True)
        (found,) = torch.autograd.grad(first.square().sum(), x)
        return found

    def ours(*given: Any) -> Tensor:
        return kernels(*given, shape, 0, EPSILON, plain(shape))

    found = second(inputs(shape, 5, torch.float32), ours)
    assert error(found, second(inputs(shape, 5, torch.float64), plain(shape))) < 1e-3


def test_what_32_bits_cannot_count_is_left_to_pytorch(
    kernels: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond that a kernel would write elsewhere in memory."""
    from metasearch_trainer.gpu import conv_norm_relu

    shape, asked = SHAPES["3x3"], []
    given = inputs(shape, 5, torch.float32)

    def plain_form(*all_five: Any) -> Tensor:
        asked.append(all_five)
        return plain(shape)(*all_five)

    numbers = BATCH * TASKS * shape.filters * 25
    for most, times in ((numbers + 1, 0), (numbers, 1)):
        monkeypatch.setattr(conv_norm_relu, "MOST_NUMBERS", most)
        kernels(*given, shape, 0, EPSILON, plain_form)
        assert len(asked) == times


def test_what_is_no_number_stays_none(kernels: Callable[..., Tensor]) -> None:
    """A training that has diverged is found out by its parameters, which ReLU must not mend."""
    shape = SHAPES["3x3"]
    given = inputs(shape, 5, torch.float32)
    x = given[0]
    assert x is not None
    with torch.no_grad():
        x[0, 0, 2, 2] = torch.nan
    assert kernels(*given, shape, 0, EPSILON, plain(shape)).isnan().any()
