"""
Layers that run several tasks at once.

The tasks of a meta-batch have weights of their own, so their images are stacked along the channels, (batch, tasks *
channels, height, width), and convolved in as many groups as there are tasks. Batch statistics are per channel and so
per task. Memory is channels-last on a CPU, where that is what makes grouped convolutions fast; on a GPU a channel's
pixels lie side by side, for the kernels of `gpu` (docs/performance.md).

A layer holds no tensors. It knows where its parameters are in the network's `ParameterLayout` and is called with the
`Weights` of a forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch_trainer import kernel_support
from metasearch_trainer.convolution import Convolution
from metasearch_trainer.parameters import ParameterLayout, Weights, he_normal, lecun_normal, ones, zeros

HAS_KERNELS = kernel_support.missing() is None
"""The kernels for GPUs can be compiled here. Benchmarks turn them off."""

NORM_EPSILON = 1e-5  # PyTorch's default; TensorFlow's, as in supervised-reptile, is 1e-3


def memory_format(device: torch.device) -> torch.memory_format:
    """Return the order in memory of all that layers read and write on a device."""
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


class ConvNormRelu:
    """Convolution, batch normalisation with the batch's own statistics, ReLU."""

    def __init__(
        self,
        layout: ParameterLayout,
        name: str,
        channels: int,
        filters: int,
        kernel: tuple[int, int],
        stride: int = 1,
        dilation: int = 1,
        depthwise: bool = False,
        bias: bool = False,
        relu: bool = True,
    ) -> None:
        self.groups = channels if depthwise else 1
        self.shape = (filters, channels // self.groups, *kernel)
        self.convolution = Convolution(channels, filters, kernel, stride, dilation, relu)
        self.weight = layout.add(f"{name}.weight", self.shape, he_normal)
        # Normalisation cancels a bias. Only networks that are compared by their published size have one.
        self.bias = layout.add(f"{name}.bias", (filters,), zeros) if bias else None
        self.norm_scale = layout.add(f"{name}.norm.scale", (filters,), ones)
        self.norm_shift = layout.add(f"{name}.norm.shift", (filters,), zeros)

    def __call__(self, weights: Weights, x: Tensor) -> Tensor:
        """Map (batch, tasks * channels, side, side) to (batch, tasks * filters, side / stride rounded up, the same)."""
        bias = None if self.bias is None else weights[self.bias]
        tensors = (weights[self.weight], bias, weights[self.norm_scale], weights[self.norm_shift])

        def in_torch(x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
            return self._in_torch(x, weight, bias, scale, shift, weights.statistics)

        if not (HAS_KERNELS and x.is_cuda and x.dtype == torch.float32 and self.groups == 1):
            return in_torch(x, *tensors)
        # Imported here, since Triton is slow to import and needed on GPUs alone.
        from metasearch_trainer.gpu.conv_norm_relu import conv_norm_relu

        return conv_norm_relu(x, *tensors, self.convolution, weights.statistics, NORM_EPSILON, in_torch)

    def _in_torch(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor, statistics: int
    ) -> Tensor:
        """Compute the layer by PyTorch's operations; the parameters have an axis of tasks before their shape."""
        tasks, shape = len(weight), self.convolution
        weight = weight.flatten(0, 1)  # (tasks * filters, channels / groups, kh, kw)
        bias = None if bias is None else bias.flatten()
        if shape.kernel == (1, 1):
            x = _pointwise(x, weight, bias, shape.stride, tasks * self.groups)
        else:
            x = F.conv2d(x, weight, bias, shape.stride, shape.padding, shape.dilation, tasks * self.groups)
        # With the batch's own statistics in evaluation as well: a task has too few images for running ones, which would
        # also carry something from one task to the next.
        x = _normalize(x, scale.flatten(), shift.flatten(), statistics)
        # In place: the backward pass of batch_norm reads its input, not its output.
        return F.relu_(x) if shape.relu else x

    def multiply_adds(self, side: int) -> int:
        """Count the convolution's multiply-adds on one image; `side` is that of its output in pixels."""
        return math.prod(self.shape) * side * side


def _normalize(x: Tensor, scale: Tensor, shift: Tensor, statistics: int) -> Tensor:
    """
    Normalise a batch (batch, channels, height, width) per channel.

    Args:
        statistics: how many of the images, the first, mean and variance come from; 0 for all.
    """
    if not 0 < statistics < len(x):
        return F.batch_norm(x, None, None, scale, shift, training=True, momentum=0.0, eps=NORM_EPSILON)
    # Not batch_norm with these as running statistics, which would take them for constants in its backward pass.
    # Nor var_mean, which is five times slower than these two means in channels-last memory.
    first = x[:statistics]
    mean = F.adaptive_avg_pool2d(first, 1).mean(0)  # (channels, 1, 1)
    variance = F.adaptive_avg_pool2d((first - mean).square(), 1).mean(0)
    factor = scale[:, None, None] * torch.rsqrt(variance + NORM_EPSILON)
    return torch.addcmul(shift[:, None, None] - mean * factor, x, factor)


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, groups: int) -> Tensor:
    """
    Compute a 1x1 convolution with image rows as its batch.

    On one CPU thread PyTorch leaves 1x1 convolutions of fewer than 16 images to a slow loop over groups. A pointwise
    layer does not care what is a row and what an image, so the rows (free to reinterpret in channels-last memory) make
    the batch large enough for the fast path.

    A stride is taken by slicing, never by the convolution: the backward pass of a strided 1x1 convolution of fewer than
    16 channels in channels-last memory writes past its workspace, so that the process crashes or hangs, with one thread
    too where images are large (oneDNN's issue 6035, open in PyTorch 2.15).
    """
    pixels = x.permute(0, 2, 3, 1)
    if stride > 1:
        # Sliced in this order of dimensions, for the backward pass of a slice leaves channels-last memory.
        pixels = pixels[:, ::stride, ::stride]
    batch, height, width, channels = pixels.shape
    rows = pixels.reshape(batch * height, 1, width, channels).permute(0, 3, 1, 2)
    rows = F.conv2d(rows, weight, bias, groups=groups)  # (batch * height, out, 1, width)
    return rows.permute(0, 2, 3, 1).reshape(batch, height, width, -1).permute(0, 3, 1, 2)


class Linear:
    """The classifier: one linear layer per task."""

    def __init__(self, layout: ParameterLayout, name: str, features: int, ways: int) -> None:
        self.shape = (ways, features)
        self.weight = layout.add(f"{name}.weight", self.shape, lecun_normal)
        self.bias = layout.add(f"{name}.bias", (ways,), zeros)

    def __call__(self, weights: Weights, features: Tensor) -> Tensor:
        """Map features (tasks, batch, features) to logits (tasks, batch, ways)."""
        return self.logits(weights[self.weight], weights[self.bias], features)

    @staticmethod
    def logits(weight: Tensor, bias: Tensor, features: Tensor) -> Tensor:
        """
        Compute logits (tasks, batch, ways).

        Args:
            weight: (tasks, ways, features).
            bias: (tasks, ways).
            features: (tasks, batch, features).
        """
        return torch.baddbmm(bias.unsqueeze(1), features, weight.transpose(1, 2))

    @property
    def size(self) -> int:
        """The number of its parameters."""
        return math.prod(self.shape) + self.shape[0]

    def multiply_adds(self) -> int:
        """Count the multiply-adds on one image."""
        return math.prod(self.shape)


def pool_globally(x: Tensor, tasks: int) -> Tensor:
    """Average over all pixels: (batch, tasks * channels, height, width) to (tasks, batch, channels)."""
    # adaptive_avg_pool2d, not mean: the backward pass of mean leaves channels-last memory.
    return F.adaptive_avg_pool2d(x, 1).view(len(x), tasks, -1).transpose(0, 1)


def flatten_pixels(x: Tensor, tasks: int) -> Tensor:
    """Flatten pixels to features: (batch, tasks * channels, height, width) to (tasks, batch, features)."""
    return x.reshape(len(x), tasks, -1).transpose(0, 1)


def concatenate(outputs: Sequence[Tensor], tasks: int) -> Tensor:
    """Join channels within each task: several (batch, tasks * channels, h, w) to (batch, tasks * sum, h, w)."""
    if len(outputs) == 1:
        return outputs[0]
    if memory_format(outputs[0].device) is torch.contiguous_format:
        return torch.cat([x.unflatten(1, (tasks, -1)) for x in outputs], dim=2).flatten(1, 2)
    # Written on (batch, h, w, tasks, channels) so that the result stays channels-last without another copy.
    parts = [x.permute(0, 2, 3, 1).view(len(x), *x.shape[2:], tasks, -1) for x in outputs]
    return torch.cat(parts, dim=4).flatten(3, 4).permute(0, 3, 1, 2)
