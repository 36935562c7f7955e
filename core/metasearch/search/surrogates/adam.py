"""
Adam (Kingma and Ba 2015), as torch.optim.Adam computes it.

It is written here because the first step of any torch.optim optimizer loads PyTorch's compiler, which takes seconds and
160 MB: more than fitting a surrogate does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moves tensors against their gradients, in place."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._tensors = tensors
        self._first = [torch.zeros_like(tensor) for tensor in tensors]
        self._second = [torch.zeros_like(tensor) for tensor in tensors]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], learning_rate: float) -> None:
        """Take one step; `gradients` are in the order of the tensors."""
        self._steps += 1
        size = learning_rate / (1 - BETA1**self._steps)
        correction = math.sqrt(1 - BETA2**self._steps)
        moments = zip(self._tensors, gradients, self._first, self._second, strict=True)
        for tensor, gradient, first, second in moments:
            first.lerp_(gradient, 1 - BETA1)
            second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            tensor.addcdiv_(first, second.sqrt().div_(correction).add_(EPSILON), value=-size)
