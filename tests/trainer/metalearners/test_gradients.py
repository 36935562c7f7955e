"""Each learner's outer gradient is the derivative of the function that its file names, by central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_learners import (
    BEGINNING,
    SmoothNetwork,
    directions,
    double_state,
    draw_tasks,
    make_learner,
    moved,
    one_of,
    query_loss,
    slope,
    support_gradient,
    with_steps,
)
from torch import Tensor

from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.evolution import Evolution
from metasearch_trainer.metalearners.inner_loop import LOG_RATES
from metasearch_trainer.tasks import Tasks

STEPS = 3
COMMON = {"inner_steps": STEPS, "shots": 2, "queries": 2, "inner_learning_rate": "0.3"}
LEARNED = [{}, {"inner_rates": "PerLayer"}, {"inner_rates": "PerLayerAndStep"}]

Outcome = Callable[[Any, State, Tasks], Tensor]
"""The function that a learner differentiates, of a state; frozen parts are those of the state that is first given."""


def require_slopes(learner: Any, function: Callable[[State], Tensor], state: State, tasks: Tasks) -> None:
    """Require that the outer gradient's components are the function's slopes, for all that is learned."""
    gradients = learner.differentiate(state, tasks, BEGINNING).gradients
    assert {LOG_RATES in gradients} == {LOG_RATES in state.tensors}
    for name, gradient in gradients.items():
        for direction in directions(gradient.shape):
            computed = float((gradient * direction).sum())
            numeric = slope(lambda change, name=name: function(moved(state, name, change)), direction)
            assert computed == pytest.approx(numeric, rel=1e-5, abs=1e-8)
        assert float(gradient.norm()) > 1e-4


@pytest.mark.parametrize("rates", LEARNED, ids=["Fixed", "PerLayer", "PerLayerAndStep"])
@pytest.mark.parametrize("name", ["MAML", "ANIL", "BOIL"])
def test_the_gradient_of_the_query_loss_after_the_inner_loop(name: str, rates: dict[str, str]) -> None:
    """`adapt` differentiates nothing; the gradient is that of its outcome."""
    learner = make_learner(name, **COMMON | rates)
    state, tasks = double_state(learner), draw_tasks(learner)
    require_slopes(
        learner, lambda at: query_loss(learner.network, learner.adapt(at, tasks.support), tasks), state, tasks
    )


def rate_of(learner: Any, state: State, step: int) -> Tensor:
    """Return every parameter's rate from the state's logarithms, (size,)."""
    if LOG_RATES not in state.tensors:
        return torch.full_like(state.theta, learner.inner.first_rate)
    rows = state.tensors[LOG_RATES].exp()
    row = rows[min(step, len(rows) - 1)]
    return torch.cat(
        [rate.expand(each.size) for rate, each in zip(row, learner.network.layout.parameters, strict=True)]
    )


def frozen_gradients(learner: Any, state: State, tasks: Tasks, phi: Tensor) -> list[Tensor]:
    """Return the support gradients of each inner step that begins at phi."""
    gradients = []
    for step in range(STEPS):
        gradients.append(support_gradient(learner.network, phi, tasks))
        phi = phi - rate_of(learner, state, step) * gradients[-1]
    return gradients


@pytest.mark.parametrize("rates", LEARNED, ids=["Fixed", "PerLayer", "PerLayerAndStep"])
def test_first_order_takes_the_support_gradients_for_constants(rates: dict[str, str]) -> None:
    learner = make_learner("FOMAML", **COMMON | rates)
    state, tasks = double_state(learner), draw_tasks(learner)
    gradients = frozen_gradients(learner, state, tasks, state.theta.expand(2, -1))

    def function(at: State) -> Tensor:
        steps = sum(rate_of(learner, at, step) * gradients[step] for step in range(STEPS))
        return query_loss(learner.network, at.theta - steps, tasks)

    require_slopes(learner, function, state, tasks)


def test_first_order_is_the_gradient_at_the_adapted_parameters() -> None:
    learner = make_learner("FOMAML", **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)
    phi = learner.adapt(state, tasks.support).requires_grad_()
    (per_task,) = torch.autograd.grad(query_loss(learner.network, phi, tasks) * 2, phi)
    torch.testing.assert_close(learner.differentiate(state, tasks, BEGINNING).gradients[THETA], per_task.mean(0))


def prototypes_of(learner: Any, state: State, tasks: Tasks) -> Tensor:
    """Return theta with the classifier of squared distances to each class's mean, task by task."""
    rows = []
    for index in range(len(tasks.support)):
        task = one_of(tasks, index).support
        features = learner.network.features(state.theta[None], task.images)[0]
        means = torch.stack([features[task.labels[0] == label].mean(0) for label in range(3)])
        scale = float(state.tensors["log_scale"].exp())
        body = state.theta[: -learner.network.head.size]
        rows.append(torch.cat([body, (2 * scale * means).flatten(), -scale * (means**2).sum(1)]))
    return torch.stack(rows)


@pytest.mark.parametrize("rates", LEARNED, ids=["Fixed", "PerLayer", "PerLayerAndStep"])
def test_proto_maml_differentiates_the_prototypes_too(rates: dict[str, str]) -> None:
    learner = make_learner("ProtoMAML", **COMMON | rates)
    state, tasks = double_state(learner), draw_tasks(learner)
    gradients = frozen_gradients(learner, state, tasks, prototypes_of(learner, state, tasks))

    def function(at: State) -> Tensor:
        steps = sum(rate_of(learner, at, step) * gradients[step] for step in range(STEPS))
        return query_loss(learner.network, prototypes_of(learner, at, tasks) - steps, tasks)

    require_slopes(learner, function, state, tasks)


@pytest.mark.parametrize("window", [1, 2])
def test_truncated_differentiates_the_last_steps(window: int) -> None:
    """The function is the query loss after the last steps, of where each task begins them."""
    learner = make_learner("Truncated", window=window, **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)
    before = learner.adapt(state, with_steps(tasks, STEPS - window).support)

    def function(at: State) -> Tensor:
        losses = []
        for index, phi in enumerate(before):
            begun = moved(at, THETA, phi - state.theta)
            task = with_steps(one_of(tasks, index), window)
            losses.append(query_loss(learner.network, learner.adapt(begun, task.support), task))
        return torch.stack(losses).mean()

    require_slopes(learner, function, state, tasks)


@pytest.mark.parametrize("rates", LEARNED, ids=["Fixed", "PerLayer", "PerLayerAndStep"])
def test_truncated_with_a_window_of_all_steps_is_maml(rates: dict[str, str]) -> None:
    truncated, maml = (
        make_learner(name, **COMMON | rates | more) for name, more in [("Truncated", {"window": STEPS}), ("MAML", {})]
    )
    state, tasks = double_state(maml), draw_tasks(maml)
    torch.testing.assert_close(
        truncated.differentiate(state, tasks, BEGINNING).gradients,
        maml.differentiate(state, tasks, BEGINNING).gradients,
    )


@pytest.mark.parametrize("rates", LEARNED, ids=["Fixed", "PerLayer", "PerLayerAndStep"])
def test_finite_differences_give_nearly_the_exact_gradient(rates: dict[str, str]) -> None:
    maml = {
        order: make_learner("MAML", second_order=order, **COMMON | rates) for order in ("Exact", "FiniteDifference")
    }
    state, tasks = double_state(maml["Exact"]), draw_tasks(maml["Exact"])
    exact, near = (each.differentiate(state, tasks, BEGINNING).gradients for each in maml.values())
    first_order = make_learner("FOMAML", **COMMON | rates).differentiate(state, tasks, BEGINNING).gradients
    for name, gradient in exact.items():
        assert float((near[name] - gradient).norm()) < 1e-4 * float(gradient.norm())
        assert float((first_order[name] - gradient).norm()) > 1e-2 * float(gradient.norm())


def test_almost_no_inner_loop_is_the_general_road_with_a_mask() -> None:
    """MAML's inner loop with a rate of 0 for all but the classifier gives ANIL's gradient and parameters."""
    anil = make_learner("ANIL", inner_rates="PerLayerAndStep", **COMMON)
    maml = make_learner("MAML", inner_rates="PerLayerAndStep", **COMMON)
    state, tasks = double_state(anil), draw_tasks(anil)
    head = anil.network.head.weight
    rates = torch.full((STEPS, len(anil.network.layout.parameters)), -torch.inf, dtype=torch.float64)
    rates[:, head:] = state.tensors[LOG_RATES]
    masked = double_state(maml)
    masked.tensors[LOG_RATES].copy_(rates)
    computed, general = (
        each[0].differentiate(each[1], tasks, BEGINNING).gradients for each in ((anil, state), (maml, masked))
    )
    torch.testing.assert_close(computed[THETA], general[THETA])
    torch.testing.assert_close(computed[LOG_RATES], general[LOG_RATES][:, head:])
    torch.testing.assert_close(anil.adapt(state, tasks.support), maml.adapt(masked, tasks.support))


@pytest.mark.parametrize("order", ["Exact", "FiniteDifference"])
@pytest.mark.parametrize(
    ("progress", "weights"), [(0.0, (1 / 3, 1 / 3, 1 / 3)), (0.2, (1 / 6, 1 / 6, 2 / 3)), (0.6, (0.0, 0.0, 1.0))]
)
def test_the_multi_step_loss_weighs_the_losses_after_each_step(
    order: str, progress: float, weights: tuple[float, ...]
) -> None:
    """The share is 0.4: at 0.2 the weights of the first two steps have fallen by half."""
    learner = make_learner("MAML", second_order=order, multi_step_loss="0.4", **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)

    def function(at: State) -> Tensor:
        phis = [learner.adapt(at, with_steps(tasks, steps).support) for steps in (1, 2, 3)]
        losses = [weight * query_loss(learner.network, phi, tasks) for weight, phi in zip(weights, phis, strict=True)]
        return torch.stack(losses).sum()

    at = torch.tensor(progress, dtype=torch.float64)
    gradient = learner.differentiate(state, tasks, at).gradients[THETA]
    for direction in directions(gradient.shape):
        numeric = slope(lambda change: function(moved(state, THETA, change)), direction)
        assert float(gradient @ direction) == pytest.approx(numeric, rel=1e-4 if order == "FiniteDifference" else 1e-5)


@pytest.mark.parametrize("order", ["Exact", "FiniteDifference"])
def test_the_first_share_of_a_training_is_first_order(order: str) -> None:
    learner = make_learner("MAML", second_order=order, first_order_share="0.5", **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)
    early, late = (
        learner.differentiate(state, tasks, torch.tensor(at, dtype=torch.float64)).gradients[THETA]
        for at in (0.49, 0.5)
    )
    first_order = make_learner("FOMAML", **COMMON).differentiate(state, tasks, BEGINNING).gradients[THETA]
    always = make_learner("MAML", second_order=order, **COMMON).differentiate(state, tasks, BEGINNING).gradients[THETA]
    torch.testing.assert_close(early, first_order)
    torch.testing.assert_close(late, always)


def test_the_implicit_gradient_is_that_of_the_minimum() -> None:
    """After many inner steps phi is the minimum, as a function of theta; few parameters, so that CG solves exactly."""
    learner = make_learner(
        "Implicit",
        SmoothNetwork(hidden=2),
        inner_steps=400,
        conjugate_gradient_steps=40,
        regularization="0.5",
        **{name: COMMON[name] for name in ("shots", "queries", "inner_learning_rate")},
    )
    state, tasks = double_state(learner), draw_tasks(learner)
    phi = learner.adapt(state, tasks.support)
    left = support_gradient(learner.network, phi, tasks) + 0.5 * (phi - state.theta)
    assert float(left.abs().max()) < 1e-10  # it is the minimum
    require_slopes(
        learner, lambda at: query_loss(learner.network, learner.adapt(at, tasks.support), tasks), state, tasks
    )


def test_evolution_is_right_on_average() -> None:
    """
    The mean over 1,000 pairs lies within the error that normal perturbations have.

    Of a function that is nearly linear over the noise, an estimate from n pairs in d dimensions is off by a vector of
    mean square length |gradient|^2 (d + 1) / n.
    """
    learner = make_learner("Evolution", SmoothNetwork(hidden=2), population=2_000, noise="0.001", **COMMON)
    maml = make_learner("MAML", SmoothNetwork(hidden=2), **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)
    estimate = learner.differentiate(state, tasks, BEGINNING).gradients[THETA]
    gradient = maml.differentiate(state, tasks, BEGINNING).gradients[THETA]
    expected = float(gradient.norm()) * ((len(gradient) + 1) / 1_000) ** 0.5
    assert 0.7 * expected < float((estimate - gradient).norm()) < 1.3 * expected


def test_both_of_a_pair_of_perturbations_lie_opposite(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner("Evolution", population=4, noise="0.5", **COMMON)
    state, tasks = double_state(learner), draw_tasks(learner)
    seen: list[Tensor] = []

    def fitness(self: Evolution, at: State, given: Tasks) -> Tensor:  # noqa: ARG001
        assert given is tasks
        seen.append(at.theta - state.theta)
        return at.theta.sum()

    monkeypatch.setattr(Evolution, "fitness", fitness)
    learner.differentiate(state, tasks, BEGINNING)
    torch.testing.assert_close(seen[0], -seen[1])
    torch.testing.assert_close(seen[2], -seen[3])
    assert not torch.allclose(seen[0], seen[2])
    assert float(torch.cat(seen).std()) == pytest.approx(0.5, rel=0.1)
