"""
Kernels of a convolution with batch normalisation and ReLU, for several tasks with weights of their own.

cuDNN runs a convolution of few channels in many groups as dozens of kernels, one group after another. These take all
tasks at once: a convolution is the sum over the kernel's taps of small matrix products, (filters, channels) by
(channels, pixels), one pair for each task.

Images are (batch, tasks * channels, side, side), contiguous: the pixels of a channel lie side by side. A tile of them
is loaded as (pixels, channels), so that the threads of a warp, which Triton deals out along the first axis, read
neighbours. A task's weights are contiguous, and `weight_stride` floats behind those of the task before it. A kernel is
compiled anew, which takes a second, for each value of its constants; numbers that would be different in every layer are
no constants, therefore.

With the precision "tf32x3", tensor cores compute each product of 32-bit floats as the sum of three, with an error like
that of 32-bit arithmetic; with "tf32" as one, of 11 bits.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language import constexpr

# Arguments have no types for Python; Triton finds them out.

NUMBERS = (
    *("batch", "tasks", "channels", "filters", "height", "width", "out_height", "out_width", "kernel_height"),
    *("kernel_width", "dilation", "weight_stride", "bias_stride", "pixels_of_part", "counted"),
)
"""Arguments of whose values Triton is not to compile variants, such as for those that 16 divides."""


@triton.jit(do_not_specialize=NUMBERS)
def convolve(
    x,
    weight,
    bias,
    y,
    batch,
    weight_stride,
    bias_stride,
    channels,
    filters,
    height,
    width,
    out_height,
    out_width,
    kernel_height,
    kernel_width,
    stride: constexpr,
    dilation,
    precision: constexpr,
    has_bias: constexpr,
    block_filters: constexpr,
    block_channels: constexpr,
    block_pixels: constexpr,
):
    """Compute y; a program has some pixels of all images of a task, and some filters."""
    pixel = tl.program_id(0) * block_pixels + tl.arange(0, block_pixels)
    task, tasks = tl.program_id(1), tl.num_programs(1)
    f = tl.program_id(2) * block_filters + tl.arange(0, block_filters)
    taps = kernel_height * kernel_width
    out_size = out_height * out_width
    image, place = pixel // out_size, pixel % out_size
    top = (place // out_width) * stride - dilation * (kernel_height // 2)
    left = (place % out_width) * stride - dilation * (kernel_width // 2)
    is_pixel = pixel < batch * out_size
    total = tl.zeros((block_filters, block_pixels), tl.float32)
    for first in range(0, channels, block_channels):
        c = first + tl.arange(0, block_channels)
        planes = ((image[:, None] * tasks + task) * channels + c[None, :]) * (height * width)
        rows = weight + task * weight_stride + (f[None, :] * channels + c[:, None]) * taps
        is_weight = (c < channels)[:, None] & (f < filters)[None, :]
        for tap in range(taps):
            row, column = top + tap // kernel_width * dilation, left + tap % kernel_width * dilation
            is_inside = is_pixel & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixels = tl.load(
                x + planes + (row * width + column)[:, None], is_inside[:, None] & (c < channels)[None, :], 0.0
            )
            weights = tl.load(rows + tap, is_weight, 0.0)
            total = tl.dot(tl.trans(weights), tl.trans(pixels), total, input_precision=precision)
    if has_bias:
        total += tl.load(bias + task * bias_stride + f, f < filters, 0.0)[:, None]
    out = ((image[:, None] * tasks + task) * filters + f[None, :]) * out_size + place[:, None]
    tl.store(y + out, tl.trans(total), is_pixel[:, None] & (f < filters)[None, :])


@triton.jit(do_not_specialize=NUMBERS)
def convolve_back(
    gradient,
    weight,
    x_gradient,
    batch,
    weight_stride,
    channels,
    filters,
    height,
    width,
    out_height,
    out_width,
    kernel_height,
    kernel_width,
    stride: constexpr,
    dilation,
    precision: constexpr,
    block_filters: constexpr,
    block_channels: constexpr,
    block_pixels: constexpr,
):
    """Compute the gradient of the images; a program has some of their pixels, and some channels."""
    pixel = tl.program_id(0) * block_pixels + tl.arange(0, block_pixels)
    task, tasks = tl.program_id(1), tl.num_programs(1)
    c = tl.program_id(2) * block_channels + tl.arange(0, block_channels)
    taps = kernel_height * kernel_width
    size = height * width
    out_size = out_height * out_width
    image, place = pixel // size, pixel % size
    bottom = place // width + dilation * (kernel_height // 2)
    right = place % width + dilation * (kernel_width // 2)
    is_pixel = pixel < batch * size
    total = tl.zeros((block_channels, block_pixels), tl.float32)
    for first in range(0, filters, block_filters):
        f = first + tl.arange(0, block_filters)
        planes = ((image[:, None] * tasks + task) * filters + f[None, :]) * out_size
        columns = weight + task * weight_stride + (f[None, :] * channels + c[:, None]) * taps
        is_weight = (c < channels)[:, None] & (f < filters)[None, :]
        for tap in range(taps):
            # The output pixel whose tap reads this pixel, if the stride leaves one.
            row, column = bottom - tap // kernel_width * dilation, right - tap % kernel_width * dilation
            is_inside = is_pixel & (row >= 0) & (column >= 0)
            if stride > 1:
                is_inside = is_inside & (row % stride == 0) & (column % stride == 0)
                row, column = row // stride, column // stride
            is_inside = is_inside & (row < out_height) & (column < out_width)
            gradients = tl.load(
                gradient + planes + (row * out_width + column)[:, None],
                is_inside[:, None] & (f < filters)[None, :],
                0.0,
            )
            weights = tl.load(columns + tap, is_weight, 0.0)
            total = tl.dot(weights, tl.trans(gradients), total, input_precision=precision)
    out = ((image[:, None] * tasks + task) * channels + c[None, :]) * size + place[:, None]
    tl.store(x_gradient + out, tl.trans(total), is_pixel[:, None] & (c < channels)[None, :])


@triton.jit(do_not_specialize=NUMBERS)
def sum_weight_gradients(
    x,
    gradient,
    parts,
    batch,
    tasks,
    pixels_of_part,
    channels,
    filters,
    height,
    width,
    out_height,
    out_width,
    kernel_height,
    kernel_width,
    stride: constexpr,
    dilation,
    precision: constexpr,
    block_filters: constexpr,
    block_channels: constexpr,
    block_pixels: constexpr,
):
    """
    Compute sums of the weights' gradients over parts of the output pixels, (parts, tasks, filters, channels, taps).

    A program has one part, task and tap, and some filters and channels. The caller adds the parts, always in the same
    order, where atomic additions would give another sum every time.
    """
    taps = kernel_height * kernel_width
    channel_blocks = tl.cdiv(channels, block_channels)
    part, task = tl.program_id(0), tl.program_id(1) // taps
    tap = tl.program_id(1) % taps
    f = tl.program_id(2) // channel_blocks * block_filters + tl.arange(0, block_filters)
    c = tl.program_id(2) % channel_blocks * block_channels + tl.arange(0, block_channels)
    out_size = out_height * out_width
    down = tap // kernel_width * dilation - dilation * (kernel_height // 2)
    aside = tap % kernel_width * dilation - dilation * (kernel_width // 2)
    total = tl.zeros((block_filters, block_channels), tl.float32)
    end = tl.minimum((part + 1) * pixels_of_part, batch * out_size)
    for begin in range(part * pixels_of_part, end, block_pixels):
        pixel = begin + tl.arange(0, block_pixels)
        image, place = pixel // out_size, pixel % out_size
        row, column = place // out_width * stride + down, place % out_width * stride + aside
        is_pixel = pixel < end
        is_inside = is_pixel & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        planes = (image[:, None] * tasks + task) * filters + f[None, :]
        gradients = tl.load(
            gradient + planes * out_size + place[:, None], is_pixel[:, None] & (f < filters)[None, :], 0.0
        )
        planes = (image[:, None] * tasks + task) * channels + c[None, :]
        pixels = tl.load(
            x + planes * (height * width) + (row * width + column)[:, None],
            is_inside[:, None] & (c < channels)[None, :],
            0.0,
        )
        total = tl.dot(tl.trans(gradients), pixels, total, input_precision=precision)
    out = (((part * tasks + task) * filters + f[:, None]) * channels + c[None, :]) * taps + tap
    tl.store(parts + out, total, (f < filters)[:, None] & (c < channels)[None, :])


@triton.jit(do_not_specialize=NUMBERS)
def normalize(
    x,
    scale,
    shift,
    y,
    mean,
    inverse_deviation,
    batch,
    weight_stride,
    counted,
    epsilon,
    filters,
    size: constexpr,
    relu: constexpr,
    block: constexpr,
):
    """Normalise one channel of one task by the mean and variance of its first pixels, as many as are counted."""
    channel, all_channels = tl.program_id(0), tl.num_programs(0)
    count = batch * size
    total = tl.zeros((block,), tl.float32)
    for begin in range(0, counted, block):
        pixel = begin + tl.arange(0, block)
        place = (pixel // size * all_channels + channel) * size + pixel % size
        total += tl.load(x + place, pixel < counted, 0.0)
    average = tl.sum(total) / counted
    # In a second pass: the difference of the mean square and the squared mean would lose digits.
    total = tl.zeros((block,), tl.float32)
    for begin in range(0, counted, block):
        pixel = begin + tl.arange(0, block)
        place = (pixel // size * all_channels + channel) * size + pixel % size
        difference = tl.where(pixel < counted, tl.load(x + place, pixel < counted, 0.0) - average, 0.0)
        total += difference * difference
    inverse = 1 / tl.sqrt(tl.sum(total) / counted + epsilon)
    tl.store(mean + channel, average)
    tl.store(inverse_deviation + channel, inverse)
    own = channel // filters * weight_stride + channel % filters
    factor = tl.load(scale + own) * inverse
    offset = tl.load(shift + own) - average * factor
    for begin in range(0, count, block):
        pixel = begin + tl.arange(0, block)
        place = (pixel // size * all_channels + channel) * size + pixel % size
        value = tl.load(x + place, pixel < count, 0.0) * factor + offset
        if relu:
            value = tl.where(value < 0, 0.0, value)  # not the maximum, which would hide what is no number
        tl.store(y + place, value, pixel < count)


@triton.jit(do_not_specialize=NUMBERS)
def normalize_back(
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
    weight_stride,
    filters,
    size: constexpr,
    relu: constexpr,
    block: constexpr,
):
    """Compute the gradients of one normalised channel of one task."""
    channel, all_channels = tl.program_id(0), tl.num_programs(0)
    count = batch * size
    own = channel // filters * weight_stride + channel % filters
    average, inverse = tl.load(mean + channel), tl.load(inverse_deviation + channel)
    factor = tl.load(scale + own) * inverse
    # As in `normalize`, to the last bit: ReLU has to let through what it let through there.
    offset = tl.load(shift + own) - average * factor
    sums = tl.zeros((block,), tl.float32)
    products = tl.zeros((block,), tl.float32)
    for begin in range(0, count, block):
        pixel = begin + tl.arange(0, block)
        place = (pixel // size * all_channels + channel) * size + pixel % size
        value = tl.load(x + place, pixel < count, 0.0)
        slope = tl.load(gradient + place, pixel < count, 0.0)
        if relu:
            slope = tl.where(value * factor + offset > 0, slope, 0.0)
        sums += slope
        products += slope * (value - average)
    total, product = tl.sum(sums), tl.sum(products) * inverse
    tl.store(shift_gradient + channel, total)
    tl.store(scale_gradient + channel, product)
    for begin in range(0, count, block):
        pixel = begin + tl.arange(0, block)
        place = (pixel // size * all_channels + channel) * size + pixel % size
        value = tl.load(x + place, pixel < count, 0.0)
        slope = tl.load(gradient + place, pixel < count, 0.0)
        if relu:
            slope = tl.where(value * factor + offset > 0, slope, 0.0)
        away = (value - average) * inverse
        tl.store(x_gradient + place, factor * (slope - (total + away * product) / count), pixel < count)
