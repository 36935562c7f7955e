"""
Reptile (Nichol, Achiam and Schulman 2018, algorithm 2; official code: openai/supervised-reptile).

    repeat:  sample tasks 1..n
             phi_i  <- theta adapted to task i by a few gradient steps
             theta  <- theta + step_size * mean_i(phi_i - theta)

The tasks of a meta-batch are adapted side by side. Where Adam's second moment lives on, every task starts from the same
one and their mean is kept; the official code hands it from one task to the next instead, which side by side is not
possible (docs/choices.md has the measured difference to a fresh one).
"""

from __future__ import annotations

import torch
from torch import Tensor

from metasearch_trainer.adaptation import Moments, adapt
from metasearch_trainer.network import Network


class Reptile:
    """Holds theta, and moves it."""

    def __init__(
        self,
        network: Network,
        theta: Tensor,
        moments: Moments,
        tasks: int,
        learning_rate: float,
        keeps_moments: bool,
    ) -> None:
        """
        Args:
            theta: (network.layout.size,), moved in place.
            moments: Adam's, like theta; moved in place where it `keeps_moments`, else left at zero.
            tasks: the size of a meta-batch.
            learning_rate: of the inner loop.
            keeps_moments: whether Adam's second moment lives on from task to task.
        """
        self.network, self.theta, self.moments = network, theta, moments
        self.learning_rate, self.keeps_moments = learning_rate, keeps_moments
        # A buffer that lives on, as a CUDA graph of an outer step needs it.
        self._phi = theta.repeat(tasks, 1).requires_grad_()  # (tasks, size)

    def outer_step(self, images: Tensor, labels: Tensor, step_size: Tensor) -> None:
        """
        One outer step.

        Args:
            images: (tasks, inner steps, batch, channels, side, side).
            labels: (tasks, inner steps, batch).
            step_size: epsilon in the paper, a tensor () in [0, 1].
        """
        with torch.no_grad():
            self._phi.copy_(self.theta.expand_as(self._phi))
        task_moments = self.moments.for_tasks(len(self._phi))
        adapt(self.network, self._phi, task_moments, images, labels, self.learning_rate)
        with torch.no_grad():
            self.theta.lerp_(self._phi.mean(0), step_size)
            if self.keeps_moments:
                self.moments.second.copy_(task_moments.second.mean(0))
                self.moments.steps.copy_(task_moments.steps)
