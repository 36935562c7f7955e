"""
Normal random numbers that are a function of what they are for, and of nothing else.

A generator has a state of its own, which a CUDA graph cannot advance and a checkpoint would have to hold. Here the
numbers are the hash of a seed, a step and an index instead, computed on the device (counter-based random numbers:
Salmon et al. 2011). The hash is the finalizer of SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# SplitMix64's odd constants, as signed numbers of 64 bits, since PyTorch multiplies no others.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64

_MANTISSA = 53
"""The number of bits of a float64's fraction."""


def normal(seed: int, stream: Tensor, size: int) -> Tensor:
    """
    Draw standard normal numbers.

    Args:
        seed: in [0, 2**62).
        stream: an integer tensor (); different streams of a seed are independent.

    Returns:
        (size,), float64 on the stream's device.
    """
    key = _mixed(_mixed(stream.long() + seed) + seed)
    index = torch.arange(2 * size, device=stream.device)
    bits = _shifted(_mixed(key + index * _GAMMA), 64 - _MANTISSA)
    # More than 0, whose logarithm is infinite.
    uniform = (bits.double() + 0.5).mul_(2.0**-_MANTISSA)
    first, second = uniform.view(2, size)
    return torch.sqrt(-2 * first.log()) * torch.cos(2 * math.pi * second)  # Box and Muller 1958


def _mixed(x: Tensor) -> Tensor:
    """Hash integers of 64 bits; products wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift to the right as if there were no sign, which PyTorch's shift would copy."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
