"""Outer gradients equal those that torchopt computes: its differentiable SGD, and its implicit differentiation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchopt
from small_learners import (
    BEGINNING,
    SmoothNetwork,
    cell_network,
    double_state,
    draw_tasks,
    make_learner,
    one_of,
)
from torch import Tensor

from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.network import Network
from metasearch_trainer.tasks import Tasks

STEPS, RATE = 3, 0.3
COMMON = {"shots": 2, "queries": 2, "inner_learning_rate": str(RATE)}


class OneNetwork(torch.nn.Module):
    """A network with one set of parameters, as torchopt wants it."""

    def __init__(self, network: Network, theta: Tensor) -> None:
        super().__init__()
        self.flat = torch.nn.Parameter(theta)
        self.network = network

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.network(self.flat[None], images[None])[0], labels)


def unrolled(network: Network, theta: Tensor, tasks: Tasks, differentiated: int) -> Tensor:
    """Return the mean over tasks of the query loss's gradient through the last of the steps."""
    total = torch.zeros_like(theta)
    for index in range(len(tasks.support)):
        task = one_of(tasks, index)
        module = OneNetwork(network, theta.clone())
        optimizer = torchopt.MetaSGD(module, lr=RATE)
        for step in range(STEPS):
            if step == STEPS - differentiated:
                torchopt.stop_gradient(module)
                start = module.flat
            optimizer.step(module.loss(task.support.images[0], task.support.labels[0]))
        (gradient,) = torch.autograd.grad(module.loss(task.queries[0], task.query_labels[0]), start)
        total += gradient / len(tasks.support)
    return total


@pytest.mark.parametrize("network", [SmoothNetwork, cell_network])
@pytest.mark.parametrize(
    ("name", "settings", "differentiated"),
    [("MAML", {}, STEPS), ("Truncated", {"window": 1}, 1), ("Truncated", {"window": 2}, 2)],
)
def test_unrolled_gradients(network: Any, name: str, settings: dict[str, Any], differentiated: int) -> None:
    learner = make_learner(name, network(), inner_steps=STEPS, **COMMON | settings)
    state, tasks = double_state(learner), draw_tasks(learner)
    expected = unrolled(learner.network, state.theta, tasks, differentiated)
    torch.testing.assert_close(learner.differentiate(state, tasks, BEGINNING).gradients[THETA], expected)


@pytest.mark.filterwarnings("ignore:We've integrated functorch into PyTorch:FutureWarning")
def test_implicit_gradients() -> None:
    """Both solve to convergence; torchopt's minimum is found by its own SGD, its system by its own solver."""
    strength = 0.5
    learner = make_learner(
        "Implicit",
        SmoothNetwork(hidden=2),
        inner_steps=400,
        conjugate_gradient_steps=40,
        regularization=str(strength),
        **COMMON,
    )
    state, tasks = double_state(learner), draw_tasks(learner)
    network = learner.network

    def objective(phi: Tensor, theta: Tensor, task: Tasks) -> Tensor:
        images, labels = task.support.images, task.support.labels[0]
        return F.cross_entropy(network(phi[None], images)[0], labels) + strength / 2 * (phi - theta).square().sum()

    solve = torchopt.linear_solve.solve_cg(maxiter=100, atol=0, rtol=1e-12)

    @torchopt.diff.implicit.custom_root(torch.func.grad(objective, argnums=0), argnums=1, solve=solve)
    @torch.enable_grad()
    def minimum(start: Tensor, theta: Tensor, task: Tasks) -> Tensor:
        phi = start.detach().clone().requires_grad_()
        optimizer = torchopt.FuncOptimizer(torchopt.sgd(lr=RATE))
        for _ in range(400):
            (phi,) = optimizer.step(objective(phi, theta.detach(), task), (phi,))
            phi = phi.detach().requires_grad_()
        return phi

    expected = torch.zeros_like(state.theta)
    for index in range(len(tasks.support)):
        task, theta = one_of(tasks, index), state.theta.clone().requires_grad_()
        phi = minimum(theta, theta, task)
        loss = F.cross_entropy(network(phi[None], task.queries)[0], task.query_labels[0])
        expected += torch.autograd.grad(loss, theta)[0] / len(tasks.support)
    torch.testing.assert_close(
        learner.differentiate(state, tasks, BEGINNING).gradients[THETA], expected, rtol=1e-6, atol=1e-9
    )
