"""
Convolution, batch normalisation and ReLU of several tasks on a GPU, as one function that can be differentiated.

Forward are two kernels, backward four and a sum. The convolution's output is kept for the backward pass; ReLU's input
is computed from it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import triton
from torch import Tensor

from metasearch_trainer.convolution import Convolution
from metasearch_trainer.gpu import kernels

SUMMED = 16
"""Channels (or filters, backwards) over which a program sums at once; tensor cores take no fewer."""

MOST_KEPT = 32
"""Filters (or channels, backwards) that a program has the sums of; more would not fit into its registers."""

PRECISION = "tf32x3"
"""The precision of products; see `kernels`."""

PIXELS, WARPS = 64, 4
"""Pixels and warps of a program of a convolution. Programs are small, for there are few of them for 132 processors."""

GRADIENT_PIXELS, GRADIENT_WARPS = 32, 1
"""
The same of one that sums gradients of weights. With so small a result, a second warp would repeat what the first does.
"""

PART_PIXELS, MOST_PARTS = 256, 32
"""Output pixels over which a program sums the gradients of weights, at least; and the most parts of them."""

NORMALIZED = 4096
"""Pixels that a program normalises at once."""

MOST_NUMBERS = 2**31
"""The numbers of a tensor at which a kernel's 32-bit places would overflow."""

PlainForm = Callable[[Tensor, Tensor, Tensor | None, Tensor, Tensor], Tensor]
"""The same function in PyTorch's operations."""


def conv_norm_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    shape: Convolution,
    statistics: int,
    epsilon: float,
    plain_form: PlainForm,
) -> Tensor:
    """
    Convolve with zeros around the images, normalise with the batch's own statistics, apply ReLU.

    Args:
        x: (batch, tasks * channels, height, width), float32.
        weight: (tasks, filters, channels, *kernel); each task's are contiguous, and so are those below.
        bias, scale, shift: (tasks, filters).
        statistics: how many of the images, the first, mean and variance come from; 0 for all.
        plain_form: used where there is no kernel: for tensors of `MOST_NUMBERS` and more, for the gradients with
            statistics of some images, and for gradients that are differentiated in turn.

    Returns:
        (batch, tasks * filters, height / stride rounded up, width / stride rounded up)
    """
    batch, _, height, width = x.shape
    convolved = batch * len(weight) * shape.filters * shape.out_side(height) * shape.out_side(width)
    if max(x.numel(), convolved) >= MOST_NUMBERS:
        return plain_form(x, weight, bias, scale, shift)
    y: Tensor = _ConvNormRelu.apply(x.contiguous(), weight, bias, scale, shift, shape, statistics, epsilon, plain_form)
    return y


class _ConvNormRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        scale: Tensor,
        shift: Tensor,
        shape: Convolution,
        statistics: int,
        epsilon: float,
        plain_form: PlainForm,
    ) -> Tensor:
        # Triton launches on the current GPU, whichever the tensors are on.
        with torch.cuda.device_of(x):
            convolved = _convolved(x, weight, bias, shape)
            y, mean, inverse_deviation = _normalized(convolved, scale, shift, shape, statistics, epsilon)
        ctx.save_for_backward(x, weight, bias, scale, shift, convolved, mean, inverse_deviation)
        ctx.shape, ctx.plain_form, ctx.statistics = shape, plain_form, statistics
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        x, weight, bias, scale, shift, convolved, mean, inverse_deviation = ctx.saved_tensors
        if torch.is_grad_enabled() or 0 < ctx.statistics < len(x):
            return (*_plain_gradients(ctx, (x, weight, bias, scale, shift), gradient), None, None, None, None)
        gradient = gradient.contiguous()
        with torch.cuda.device_of(x):
            inner, scale_gradient, shift_gradient = _normalized_back(
                convolved, gradient, scale, shift, mean, inverse_deviation, ctx.shape
            )
            x_gradient = _convolved_back(inner, weight, x, ctx.shape) if ctx.needs_input_grad[0] else None
            weight_gradient = _weight_gradient(x, inner, weight, ctx.shape)
        bias_gradient = None if bias is None else inner.sum((0, 2, 3)).view_as(shift_gradient)
        return x_gradient, weight_gradient, bias_gradient, scale_gradient, shift_gradient, None, None, None, None


def _plain_gradients(ctx: Any, inputs: tuple[Tensor | None, ...], gradient: Tensor) -> list[Tensor | None]:
    """Compute the gradients of the plain form at the inputs, which can be differentiated if that is wanted."""
    is_differentiated = torch.is_grad_enabled()
    with torch.enable_grad():
        wanted = [each for each in inputs if each is not None and each.requires_grad]
        gradients = torch.autograd.grad(ctx.plain_form(*inputs), wanted, gradient, create_graph=is_differentiated)
    found = iter(gradients)
    return [next(found) if each is not None and each.requires_grad else None for each in inputs]


# --- launches -------------------------------------------------------------------------------------------------------


def _kept(size: int) -> int:
    """Return the filters or channels that a program has the sums of."""
    return int(min(MOST_KEPT, max(SUMMED, triton.next_power_of_2(size))))


def _sizes(shape: Convolution, height: int, width: int) -> dict[str, Any]:
    """Return the arguments that all kernels of a convolution have."""
    return {
        "channels": shape.channels,
        "filters": shape.filters,
        "height": height,
        "width": width,
        "out_height": shape.out_side(height),
        "out_width": shape.out_side(width),
        "kernel_height": shape.kernel[0],
        "kernel_width": shape.kernel[1],
        "stride": shape.stride,
        "dilation": shape.dilation,
        "precision": PRECISION,
        # Loops are not cut into stages, which would take registers from programs that could run beside.
        "num_stages": 1,
    }


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, shape: Convolution) -> Tensor:
    batch, _, height, width = x.shape
    tasks, out, kept = len(weight), (shape.out_side(height), shape.out_side(width)), _kept(shape.filters)
    y = x.new_empty(batch, tasks * shape.filters, *out)
    kernels.convolve[(triton.cdiv(batch * out[0] * out[1], PIXELS), tasks, triton.cdiv(shape.filters, kept))](
        x,
        weight,
        weight if bias is None else bias,
        y,
        batch,
        weight.stride(0),
        0 if bias is None else bias.stride(0),
        has_bias=bias is not None,
        block_filters=kept,
        block_channels=SUMMED,
        block_pixels=PIXELS,
        num_warps=WARPS,
        **_sizes(shape, height, width),
    )
    return y


def _convolved_back(gradient: Tensor, weight: Tensor, x: Tensor, shape: Convolution) -> Tensor:
    batch, _, height, width = x.shape
    x_gradient, kept = torch.empty_like(x), _kept(shape.channels)
    grid = (triton.cdiv(batch * height * width, PIXELS), len(weight), triton.cdiv(shape.channels, kept))
    kernels.convolve_back[grid](
        gradient,
        weight,
        x_gradient,
        batch,
        weight.stride(0),
        block_filters=SUMMED,
        block_channels=kept,
        block_pixels=PIXELS,
        num_warps=WARPS,
        **_sizes(shape, height, width),
    )
    return x_gradient


def _weight_gradient(x: Tensor, gradient: Tensor, weight: Tensor, shape: Convolution) -> Tensor:
    batch, _, height, width = x.shape
    tasks, pixels = len(weight), batch * gradient.shape[2] * gradient.shape[3]
    number = max(1, min(MOST_PARTS, pixels // PART_PIXELS))
    parts = x.new_empty(number, *weight.shape)
    filters, channels = _kept(shape.filters), _kept(shape.channels)
    blocks = triton.cdiv(shape.filters, filters) * triton.cdiv(shape.channels, channels)
    kernels.sum_weight_gradients[(number, tasks * shape.kernel[0] * shape.kernel[1], blocks)](
        x,
        gradient,
        parts,
        batch,
        tasks,
        triton.cdiv(pixels, number),
        block_filters=filters,
        block_channels=channels,
        block_pixels=GRADIENT_PIXELS,
        num_warps=GRADIENT_WARPS,
        **_sizes(shape, height, width),
    )
    return parts.sum(0)


def _normalized(
    x: Tensor, scale: Tensor, shift: Tensor, shape: Convolution, statistics: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    batch, channels, height, width = x.shape
    y, mean, inverse_deviation = torch.empty_like(x), x.new_empty(channels), x.new_empty(channels)
    kernels.normalize[(channels,)](
        x,
        scale,
        shift,
        y,
        mean,
        inverse_deviation,
        batch,
        scale.stride(0),
        min(statistics or batch, batch) * height * width,
        epsilon,
        **_normalize_constants(shape, height * width, batch),
    )
    return y, mean, inverse_deviation


def _normalized_back(
    x: Tensor,
    gradient: Tensor,
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    inverse_deviation: Tensor,
    shape: Convolution,
) -> tuple[Tensor, Tensor, Tensor]:
    batch, channels, height, width = x.shape
    x_gradient, own = torch.empty_like(x), (len(scale), shape.filters)
    scale_gradient, shift_gradient = x.new_empty(own), x.new_empty(own)
    kernels.normalize_back[(channels,)](
        x,
        gradient,
        scale,
        shift,
        mean,
        inverse_deviation,
        x_gradient,
        scale_gradient,
        shift_gradient,
        batch,
        scale.stride(0),
        **_normalize_constants(shape, height * width, batch),
    )
    return x_gradient, scale_gradient, shift_gradient


def _normalize_constants(shape: Convolution, size: int, batch: int) -> dict[str, Any]:
    block = min(NORMALIZED, triton.next_power_of_2(batch * size))
    return {"filters": shape.filters, "size": size, "relu": shape.relu, "block": block, "num_warps": 8}
