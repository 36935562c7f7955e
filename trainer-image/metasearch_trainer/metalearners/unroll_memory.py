"""
The memory of exact second derivatives, which is known before the first outer step.

A learner that differentiates through inner steps keeps what every one of them has computed. That is the same for each
step and task, so one forward pass of one task tells the sum.
"""

from __future__ import annotations

from typing import Any

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from metasearch.search.training_memory import DIFFERENTIABLE_FACTOR
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.metalearners.base import MetaLearner
from metasearch_trainer.metalearners.query_learner import QueryLearner
from metasearch_trainer.network import Network


def require_memory(learner: MetaLearner, images: ImageSet, device: torch.device, most_bytes: int | None) -> None:
    """
    Refuse a learner whose inner steps cannot all be kept in memory.

    Args:
        images: gives the images' shape.
        most_bytes: what the process may hold; None for all that the device has.

    Raises:
        MemoryError: the sum is above that.
    """
    if not isinstance(learner, QueryLearner) or learner.unrolled_steps == 0:
        return
    shape, steps, tasks = learner.training_tasks, learner.unrolled_steps, learner.meta_batch_size
    support = torch.zeros(1, shape.ways * shape.shots, images.channels, images.side, images.side, device=device)
    needed = int(DIFFERENTIABLE_FACTOR * forward_bytes(learner.network, support) * tasks * steps)
    allowed = _device_bytes(device) if most_bytes is None else most_bytes
    if needed > allowed:
        raise MemoryError(
            f"second derivatives through {steps} inner steps of {tasks} tasks keep at least {_readable(needed)}, and "
            f"there are {_readable(allowed)}; fewer inner steps or tasks per outer step keep less, and so do "
            "Truncated, Implicit, FOMAML, and MAML with secondOrder: FiniteDifference"
        )


def forward_bytes(network: Network, images: Tensor) -> int:
    """
    Return the bytes that a forward pass of one task keeps for its backward pass.

    Args:
        images: (1, batch, channels, side, side).
    """
    kept: dict[int, Any] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage  # by address, since several tensors may be views of one memory
        return tensor

    theta = torch.zeros(1, network.layout.size, device=images.device, requires_grad=True)
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network(theta, images)
    return sum(storage.nbytes() for storage in kept.values())


def _device_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def _readable(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
