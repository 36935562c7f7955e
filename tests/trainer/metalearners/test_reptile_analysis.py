"""
The expected outer gradients that Nichol, Achiam and Schulman (2018) derive in their section 5.

To first order in the inner rate a, with k gradients in all (the last is the query images' for MAML), they are
combinations of AvgGrad, the mean gradient of a mini-batch, and AvgGradInner, the mean of one mini-batch's Hessian times
the gradient of another, which makes mini-batches of one task agree:

    MAML     1 AvgGrad - 2 (k-1) a AvgGradInner
    FOMAML   1 AvgGrad -   (k-1) a AvgGradInner
    Reptile  k AvgGrad - k (k-1) / 2 a AvgGradInner

Means are exact here: over all orders in which the mini-batches of a task can come.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from small_learners import BEGINNING, SmoothNetwork, double_state, draw_tasks, make_learner
from torch import Tensor

from metasearch_trainer.metalearners.base import THETA
from metasearch_trainer.metalearners.inner_loop import first_order
from metasearch_trainer.tasks import Tasks

RATE = 0.00001
BATCHES = 4


def batches() -> list[Tasks]:
    """Return tasks with equal labels and different images, whose support images are the mini-batches of one task."""
    learner = make_learner("FOMAML", SmoothNetwork(), shots=2)
    return [draw_tasks(learner, count=1, seed=seed) for seed in range(BATCHES)]


def with_queries(support: Tasks, queries: Tasks) -> Tasks:
    """Return a task of two mini-batches."""
    return replace(support, queries=queries.support.images, query_labels=queries.support.labels)


def combination(gradient: Tensor, theta: Tensor) -> tuple[float, float]:
    """Return the factors of AvgGrad and of -a AvgGradInner in a gradient, by least squares."""
    network, drawn = SmoothNetwork(), batches()

    def loss(batch: Tasks) -> Callable[[Tensor], Tensor]:
        return lambda at: F.cross_entropy(network(at[None], batch.support.images)[0], batch.support.labels[0])

    gradients = [torch.func.grad(loss(batch))(theta) for batch in drawn]
    inner = [
        torch.autograd.functional.hvp(loss(drawn[one]), theta, gradients[other])[1]
        for one, other in itertools.permutations(range(BATCHES), 2)
    ]
    columns = torch.stack([torch.stack(gradients).mean(0), -RATE * torch.stack(inner).mean(0)], 1)
    # Of one size, or the second would be lost beside the first.
    sizes = columns.norm(dim=0)
    first, second = (torch.linalg.lstsq(columns / sizes, gradient[:, None]).solution[:, 0] / sizes).tolist()
    return first, second


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize(("name", "factor"), [("MAML", 2), ("FOMAML", 1)])
def test_maml(name: str, factor: int, k: int) -> None:
    learner = make_learner(name, SmoothNetwork(), inner_steps=k - 1, shots=2, inner_learning_rate=f"{RATE:.5f}")
    state = double_state(learner)
    pairs = [with_queries(*pair) for pair in itertools.permutations(batches(), 2)]
    order = torch.zeros(1, k - 1, 6, dtype=torch.int64)
    tasks = [replace(pair, support=replace(pair.support, order=order)) for pair in pairs]
    gradient = torch.stack([learner.differentiate(state, each, BEGINNING).gradients[THETA] for each in tasks]).mean(0)
    first, second = combination(gradient, state.theta)
    assert first == pytest.approx(1, rel=1e-6)
    assert second == pytest.approx(factor * (k - 1), rel=1e-3)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_reptile_with_gradient_descent(k: int) -> None:
    """Its outer gradient is (theta - phi) / a after k steps, each on another mini-batch."""
    learner = make_learner("FOMAML", SmoothNetwork(), inner_steps=1, inner_learning_rate=f"{RATE:.5f}")
    state = double_state(learner)
    changes = []
    for order in itertools.permutations(batches(), k):
        phi = state.theta[None]
        for batch in order:
            phi = learner.inner.descend(state.tensors, phi, batch.support, range(1), first_order)
        changes.append((state.theta - phi[0].detach()) / RATE)
    first, second = combination(torch.stack(changes).mean(0), state.theta)
    assert first == pytest.approx(k, rel=1e-6)
    assert second == pytest.approx(k * (k - 1) / 2, rel=1e-3)
