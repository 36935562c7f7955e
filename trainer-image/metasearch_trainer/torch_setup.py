"""The setup of PyTorch in every process that trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def prepare_torch() -> None:
    """
    Use one thread, no denormal numbers, 32 bits, and the same kernels every time; called before any work.

    Two processes with two threads each on two cores run 13 to 40 times slower than with one.
    """
    torch.set_num_threads(1)
    # Adam's second moments of dead channels shrink for ever, and denormal numbers are a hundred times slower.
    torch.set_flush_denormal(True)
    # cuDNN would otherwise try several algorithms and keep the fastest of the moment: other sums in each process.
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    # By default cuDNN rounds the factors of 32-bit products to 11 bits: other scores than a CPU's.
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads, and then with as many as before: in a notebook the process is the user's."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
