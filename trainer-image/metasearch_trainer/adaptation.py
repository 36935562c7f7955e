"""
The inner loop: gradient steps on several tasks at once, with Adam without momentum.

    v   <- beta2 * v + (1 - beta2) * g^2
    phi <- phi - learning_rate * g / (sqrt(v / (1 - beta2^t)) + epsilon)

Adam with beta1 = 0 is what Reptile's authors use (supervised-reptile). They let the second moment v live on from task
to task and into evaluation; `OptimizerState.FRESH` starts it at zero in each task instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metasearch_trainer.network import Network

BETA2 = 0.999
EPSILON = 1e-8


@dataclass
class Moments:
    """Adam's memory: of one network (size,), or of one per task (tasks, size). `steps` is a float tensor ()."""

    second: Tensor
    steps: Tensor

    @classmethod
    def zero(cls, like: Tensor) -> Moments:
        return cls(torch.zeros_like(like), torch.zeros((), dtype=like.dtype, device=like.device))

    def for_tasks(self, tasks: int) -> Moments:
        """A copy for each of several tasks."""
        return Moments(self.second.expand(tasks, -1).clone(), self.steps.clone())


def adapt(
    network: Network, phi: Tensor, moments: Moments, images: Tensor, labels: Tensor, learning_rate: float
) -> None:
    """
    Train each task's parameters on its own images, in place.

    Args:
        phi: (tasks, size) with requires_grad; holds the start on entry and the adapted parameters on exit.
        moments: per task, (tasks, size); moves on with every step.
        images: (tasks, steps, batch, channels, side, side), in [0, 1].
        labels: (tasks, steps, batch), integers in [0, ways).
        learning_rate: Adam's, for parameters of any precision.
    """
    batch = images.shape[2]
    for step in range(images.shape[1]):
        logits = network(phi, images[:, step])  # (tasks, batch, ways)
        # Summed over tasks, which share no parameters; averaged over each task's batch.
        loss = F.cross_entropy(logits.flatten(0, 1), labels[:, step].flatten(), reduction="sum") / batch
        (gradient,) = torch.autograd.grad(loss, phi)
        with torch.no_grad():
            moments.steps.add_(1)
            moments.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
            corrected = moments.second / (1 - BETA2**moments.steps)
            phi.addcdiv_(gradient, corrected.sqrt_().add_(EPSILON), value=-learning_rate)
