"""
The inner loop of the learners whose outer loss is that of query images: gradient descent on a task's support images.

    phi_0 = theta
    phi_k+1 = phi_k - rate_k * g(phi_k),  where g is the gradient of the support images' loss, all of them at each step

An outer gradient is the derivative of the query images' loss at the end with respect to theta. It passes through every
step, and so through the derivative of g, which is the Hessian of the support loss. Learners differ in what they take
for it, so g comes in three forms of equal value: `first_order`, `exact` and `finite_difference`.

The rates may be learned too: one for each tensor of the network as in Meta-SGD (Li et al. 2017, which has one for each
parameter), or for each tensor and step as in MAML++ (Antoniou, Edwards and Storkey 2019). They are kept as logarithms,
so that they stay positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from metasearch.api import InnerLoopSettings, InnerRates, LearnedRatesSettings
from metasearch_trainer.adaptation import task_gradients
from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.network import Network
from metasearch_trainer.tasks import Support, Tasks

LOG_RATES = "log_inner_rates"
"""The name of learned rates in a state: (rows, tensors that move), one row for all steps or one each."""

Learned = Mapping[str, Tensor]
"""The tensors that an outer step moves, by the names in the state: `THETA`, and factors as logarithms."""

SupportGradient = Callable[[Network, Tensor, Support], Tensor]
"""Computes the gradients of the tasks' support losses at phi (tasks, size): (tasks, size)."""


class InnerLoop:
    """Gradient descent on several tasks at once, with rates that may be learned."""

    def __init__(
        self, network: Network, settings: InnerLoopSettings, device: torch.device, moved: range | None = None
    ) -> None:
        """
        Args:
            moved: the tensors of the network's layout that take steps, without a gap; None for all.
        """
        tensors = network.layout.parameters
        moved = range(len(tensors)) if moved is None else moved
        self.network, self.first_rate = network, float(settings.inner_learning_rate)
        self.steps, self.moved = settings.inner_steps, len(moved)
        kind = settings.inner_rates if isinstance(settings, LearnedRatesSettings) else InnerRates.FIXED
        self.rows = {InnerRates.FIXED: 0, InnerRates.PER_LAYER: 1, InnerRates.PER_LAYER_AND_STEP: self.steps}[kind]
        # Those that stay have rate 0.
        self._around = (moved.start, len(tensors) - moved.stop)
        sizes = torch.tensor([each.size for each in tensors])
        self._tensor_of_parameter = torch.arange(len(tensors)).repeat_interleave(sizes).to(device)

    def initial_rates(self, theta: Tensor) -> dict[str, Tensor]:
        """Return the state's tensor of rates before the first outer step, if they are learned, on theta's device."""
        return {LOG_RATES: theta.new_full((self.rows, self.moved), self.first_rate).log_()} if self.rows else {}

    def rate(self, learned: Learned, step: int) -> Tensor:
        """Return each parameter's rate in an inner step, (size,)."""
        if self.rows:
            # Evaluation may take more steps than training had: the last rates then serve for the rest.
            rates = learned[LOG_RATES][min(step, self.rows - 1)].exp()
        else:
            rates = learned[THETA].new_full((self.moved,), self.first_rate)
        return F.pad(rates, self._around)[self._tensor_of_parameter]

    def descend(
        self, learned: Learned, phi: Tensor, support: Support, steps: range, gradient: SupportGradient
    ) -> Tensor:
        """Return phi (tasks, size) after some of the steps, which begin at another."""
        for step in steps:
            phi = phi - self.rate(learned, step) * gradient(self.network, phi, support)
        return phi

    def adapt(self, learned: Learned, phi: Tensor, support: Support) -> Tensor:
        """Return phi (tasks, size) after all of the support's steps, detached."""
        return self.descend(learned, phi, support, range(support.steps), first_order).detach()


# --- the gradient of a step -----------------------------------------------------------------------------------------


def first_order(network: Network, phi: Tensor, support: Support) -> Tensor:
    """Compute the support gradients, and take their derivative for zero. Nothing is kept but them."""
    return task_gradients(network, phi.detach().requires_grad_(), support.images, support.labels)


def exact(network: Network, phi: Tensor, support: Support) -> Tensor:
    """Compute the support gradients with their derivative, for which all that a pass computes is kept."""
    return task_gradients(network, phi, support.images, support.labels, differentiable=True)


def finite_difference(network: Network, phi: Tensor, support: Support) -> Tensor:
    """
    Compute the support gradients, whose derivative is a difference of two others. Only phi is kept.

    A Hessian times a vector u is the derivative of the gradient along u: (g(phi + h u) - g(phi - h u)) / 2h.
    """
    differenced: Tensor = _DifferencedGradient.apply(phi, network, support)
    return differenced


class _DifferencedGradient(torch.autograd.Function):
    """The support gradients (tasks, size) at phi (tasks, size)."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, network: Network, support: Support) -> Tensor:
        ctx.save_for_backward(phi)
        ctx.network, ctx.support = network, support
        with torch.enable_grad():
            return first_order(network, phi, support)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, None, None]:
        (phi,) = ctx.saved_tensors
        # The length that balances the rounding error of a central difference against its third-order one: this share
        # of phi's own length. Shorter ones are worse in float32, longer ones cross more kinks of ReLU and pooling.
        share = torch.finfo(phi.dtype).eps ** (1 / 3)
        # Where a task's vector is 0, so is the difference; its root keeps the quotient finite.
        smallest = torch.finfo(phi.dtype).tiny ** 0.5
        length = share * phi.norm(dim=1, keepdim=True) / along.norm(dim=1, keepdim=True).clamp_min(smallest)
        with torch.enable_grad():
            ahead = first_order(ctx.network, phi + length * along, ctx.support)
            behind = first_order(ctx.network, phi - length * along, ctx.support)
        return (ahead - behind) / (2 * length), None, None


# --- the query loss -------------------------------------------------------------------------------------------------


def query_loss(network: Network, phi: Tensor, tasks: Tasks) -> Tensor:
    """
    Compute the mean cross-entropy () of all tasks' queries at phi (tasks, size), which can be differentiated once.

    Its gradient is computed at once and all else forgotten, so that the losses after several steps fit into memory.
    """
    loss: Tensor = _QueryLoss.apply(phi, network, tasks)
    return loss


class _QueryLoss(torch.autograd.Function):
    """The mean cross-entropy () of queries at phi (tasks, size)."""

    @staticmethod
    def forward(ctx: Any, phi: Tensor, network: Network, tasks: Tasks) -> Tensor:
        with torch.enable_grad():
            phi = phi.detach().requires_grad_()
            logits = network(phi, tasks.queries)
            loss = F.cross_entropy(logits.flatten(0, 1), tasks.query_labels.flatten())
            (gradient,) = torch.autograd.grad(loss, phi)
        ctx.save_for_backward(gradient)
        return loss.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return factor * gradient, None, None
