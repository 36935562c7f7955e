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
from metasearch_trainer.tasks import Support

# Adam's defaults (Kingma and Ba 2015), which supervised-reptile leaves as they are.
BETA2 = 0.999
EPSILON = 1e-8


@dataclass
class Moments:
    """The memory of Adam without momentum: of one network (size,), or of one network per task (tasks, size)."""

    second: Tensor
    steps: Tensor
    """Number of steps so far, a float tensor (), since a CUDA graph cannot count in Python."""

    @classmethod
    def zero(cls, like: Tensor) -> Moments:
        """Return the memory before the first step on parameters `like` these."""
        return cls(torch.zeros_like(like), torch.zeros((), dtype=like.dtype, device=like.device))

    def for_tasks(self, tasks: int) -> Moments:
        """Return a copy for each of several tasks."""
        return Moments(self.second.expand(tasks, -1).clone(), self.steps.clone())

    def scale(self, gradient: Tensor) -> Tensor:
        """Take in a gradient, and return what Adam divides it by: its recent size, of the same shape."""
        self.steps.add_(1)
        self.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        # Without the correction the first steps would be 1 / sqrt(1 - beta2), some thirty, times too long.
        corrected = self.second / (1 - BETA2**self.steps)
        return corrected.sqrt_().add_(EPSILON)


def adapt(
    network: Network, theta: Tensor, moments: Moments, support: Support, learning_rate: float
) -> tuple[Tensor, Tensor]:
    """
    Train a copy of the parameters on each task.

    Args:
        theta: (size,), where every task starts; stays as it is.
        moments: per task, (tasks, size); moves on in place with every step.
        learning_rate: Adam's.

    Returns:
        The adapted parameters, (tasks, size), detached; and the mean loss of all tasks before the last step, ().
    """
    # A copy for each task: `expand` would give all of them the same memory, in which the steps below would collide.
    phi = theta.repeat(len(support), 1).requires_grad_()
    loss = torch.full((), torch.nan, device=phi.device)
    for step in range(support.steps):
        loss, gradient = loss_and_gradients(network, phi, *support.batch(step))
        with torch.no_grad():
            phi.addcdiv_(gradient, moments.scale(gradient), value=-learning_rate)
    return phi.detach(), loss


def task_gradients(
    network: Network, phi: Tensor, images: Tensor, labels: Tensor, differentiable: bool = False
) -> Tensor:
    """Compute each task's gradient alone; see `loss_and_gradients`."""
    return loss_and_gradients(network, phi, images, labels, differentiable)[1]


def loss_and_gradients(
    network: Network, phi: Tensor, images: Tensor, labels: Tensor, differentiable: bool = False
) -> tuple[Tensor, Tensor]:
    """
    Compute the gradient of each task's mean cross-entropy with respect to that task's parameters.

    Args:
        phi: (tasks, size), with requires_grad.
        images: (tasks, batch, channels, side, side), in [0, 1].
        labels: (tasks, batch), integers in [0, ways).
        differentiable: whether the gradient can itself be differentiated, which keeps all that it was computed from.

    Returns:
        The mean cross-entropy of all tasks (), detached, and the gradients (tasks, size).
    """
    logits = network(phi, images)  # (tasks, batch, ways)
    # Summed over tasks, which share no parameters, so that one backward pass gives each task its own gradient.
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / labels.shape[1]
    (gradient,) = torch.autograd.grad(loss, phi, create_graph=differentiable)
    return loss.detach() / len(phi), gradient
