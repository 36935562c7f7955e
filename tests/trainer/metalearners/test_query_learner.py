"""The learners with an inner loop: outer steps, resuming, rates, and what a CUDA graph asks of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_learners import (
    BEGINNING,
    CPU,
    SmoothNetwork,
    cell_network,
    double_state,
    draw_tasks,
    make_learner,
    support_gradient,
    with_steps,
)
from tiny_trials import SPLITS
from torch import Tensor
from torch.autograd.profiler import profile

from metasearch.api import MetaOptimizer
from metasearch_trainer.checkpoints import TrainingState, load_state, save_state
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.metalearners.evolution import NOISE_SEED
from metasearch_trainer.metalearners.implicit import conjugate_gradients
from metasearch_trainer.metalearners.inner_loop import LOG_RATES
from metasearch_trainer.metalearners.maml import step_weights
from metasearch_trainer.metalearners.outer_optimizer import STEPS, OuterOptimizer
from metasearch_trainer.tasks import DeviceImages, Tasks, sample_tasks

LEARNED: dict[str, Any] = {"inner_rates": "PerLayerAndStep", "inner_steps": 2}
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "FOMAML": ("FOMAML", LEARNED),
    "MAML": ("MAML", LEARNED),
    "FOMAML, SGD": ("FOMAML", LEARNED | {"meta_optimizer": "SGD"}),
    "MAML++": ("MAML", LEARNED | {"multi_step_loss": "0.5", "first_order_share": "0.4"}),
    "MAML, FiniteDifference": ("MAML", LEARNED | {"second_order": "FiniteDifference"}),
    "ANIL": ("ANIL", LEARNED),
    "BOIL": ("BOIL", LEARNED),
    "Prototypes": ("Prototypes", {"merged_tasks": 2}),
    "ProtoMAML": ("ProtoMAML", LEARNED),
    "Truncated": ("Truncated", LEARNED),
    "Implicit": ("Implicit", {"inner_steps": 3}),
    "Evolution": ("Evolution", {"population": 4}),
}
every_learner = pytest.mark.parametrize(("name", "settings"), LEARNERS.values(), ids=LEARNERS.keys())


def single_tasks(learner: Any, seed: int) -> Tasks:
    """Draw a meta-batch in float32, as a training does."""
    sampled = sample_tasks(np.random.default_rng(seed), SPLITS.train, learner.training_tasks, 2)
    return DeviceImages(SPLITS.train, CPU).tasks(sampled)


def train(learner: Any, state: State, steps: range) -> None:
    for step in steps:
        learner.outer_step(state, single_tasks(learner, step), torch.tensor(step / 6, dtype=torch.float64))


@every_learner
def test_a_training_that_goes_on_from_a_checkpoint_ends_as_one_that_never_stopped(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    learner = make_learner(name, **settings)
    whole = learner.initial_state(torch.Generator().manual_seed(0))
    begun = learner.initial_state(torch.Generator().manual_seed(0))
    train(learner, whole, range(4))
    train(learner, begun, range(2))
    save_state(TrainingState(begun), tmp_path / "checkpoint")
    torch.manual_seed(5)  # the global generator decides nothing
    loaded = load_state(tmp_path / "checkpoint", CPU)
    assert loaded is not None
    train(make_learner(name, **settings), loaded.learned, range(2, 4))
    assert loaded.learned.integers == whole.integers
    assert loaded.learned.tensors.keys() == whole.tensors.keys()
    assert all(torch.equal(loaded.learned.tensors[each], tensor) for each, tensor in whole.tensors.items())
    assert not torch.equal(whole.theta, begun.theta)


WAITS = {"aten::item", "aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::_unique2"}
"""Operations that make a Python number of a tensor, or a tensor whose size depends on one's values."""


def waits(call: Callable[[], object]) -> set[str]:
    """Return the operations of a call for which Python waits for the device."""
    with profile() as profiled:
        call()
    return WAITS & {event.name for event in profiled.function_events or ()}


@every_learner
def test_an_outer_step_copies_no_value_from_the_device(name: str, settings: dict[str, Any]) -> None:
    learner = make_learner(name, **settings)
    state = learner.initial_state(torch.Generator().manual_seed(0))
    tasks, memory = single_tasks(learner, 0), {each: id(tensor) for each, tensor in state.tensors.items()}
    assert waits(lambda: learner.outer_step(state, tasks, BEGINNING)) == set()
    assert {each: id(tensor) for each, tensor in state.tensors.items()} == memory


def test_a_copy_would_be_noticed() -> None:
    assert waits(torch.ones(()).item) == {"aten::item", "aten::_local_scalar_dense"}


@pytest.mark.parametrize(("progress", "factor"), [(0.0, 1.0), (0.5, 1.0), (0.75, 0.5)])
def test_the_first_outer_step_is_adams(progress: float, factor: float) -> None:
    """A first step of Adam is the annealed rate against the sign of each gradient; the last half is annealed."""
    learner = make_learner(
        "FOMAML", meta_learning_rate="0.02", annealing="0.5", inner_rates="PerLayer", inner_learning_rate="0.05"
    )
    state, tasks = double_state(learner), draw_tasks(learner)
    gradients = learner.differentiate(state, tasks, BEGINNING).gradients
    before = {name: tensor.clone() for name, tensor in state.tensors.items()}
    learner.outer_step(state, tasks, torch.tensor(progress, dtype=torch.float64))
    for name, rate in [(THETA, 0.02), (LOG_RATES, 0.01)]:
        is_clear = gradients[name].abs() > 1e-5  # epsilon is 1e-8
        assert float(is_clear.double().mean()) > 0.5
        change = (state.tensors[name] - before[name])[is_clear]
        torch.testing.assert_close(change, -rate * factor * gradients[name].sign()[is_clear], rtol=2e-3, atol=0)


@pytest.mark.parametrize(
    ("kind", "of_torch"),
    [
        (MetaOptimizer.ADAM, lambda weights: torch.optim.Adam([weights], lr=0.02)),
        (MetaOptimizer.SGD, lambda weights: torch.optim.SGD([weights], lr=0.02, momentum=0.9)),
    ],
)
def test_the_outer_optimizers_are_torchs(
    kind: MetaOptimizer, of_torch: Callable[[Tensor], torch.optim.Optimizer]
) -> None:
    weights = torch.linspace(-1, 1, 7, dtype=torch.float64)
    ours = OuterOptimizer(kind, meta_learning_rate=0.02, annealing=0.0)
    state = State({THETA: weights.clone(), **ours.initial_moments({THETA: weights})})
    optimizer = of_torch(weights)
    for step in range(5):
        weights.grad = torch.sin(3 * weights + step)
        assert torch.allclose(state.theta, weights, rtol=1e-9)
        ours.step(state, {THETA: weights.grad}, torch.tensor(step / 5, dtype=torch.float64))
        optimizer.step()
    torch.testing.assert_close(state.theta, weights, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [("PerLayer", [[0.1, 0.2, 0.3]]), ("PerLayerAndStep", [[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])],
)
def test_a_step_beyond_the_last_row_of_rates_uses_the_last(kind: str, rows: list[list[float]]) -> None:
    learner = make_learner("MAML", SmoothNetwork(), inner_rates=kind, inner_steps=3, inner_learning_rate="0.25")
    state, tasks = double_state(learner), draw_tasks(learner)
    torch.testing.assert_close(
        state.tensors[LOG_RATES].exp(), torch.full((len(rows), 3), 0.25).double(), rtol=1e-6, atol=0
    )
    state.tensors[LOG_RATES].copy_(torch.tensor(rows).log())
    phi = state.theta.expand(2, -1)
    sizes = [each.size for each in learner.network.layout.parameters]
    for step in range(5):
        row = rows[min(step, len(rows) - 1)]
        rate = torch.cat(
            [torch.full((size,), each, dtype=torch.float64) for size, each in zip(sizes, row, strict=True)]
        )
        phi = phi - rate * support_gradient(learner.network, phi, tasks)
    torch.testing.assert_close(learner.adapt(state, with_steps(tasks, 5).support), phi, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "moves"), [("ANIL", "head"), ("BOIL", "body")])
def test_only_one_part_of_the_network_is_adapted(name: str, moves: str) -> None:
    learner = make_learner(name, inner_steps=2)
    state, tasks = double_state(learner), draw_tasks(learner)
    change = learner.adapt(state, tasks.support) - state.theta
    head = learner.network.head.size
    parts = {"body": change[:, :-head], "head": change[:, -head:]}
    assert bool((parts.pop(moves) != 0).any(1).all())
    (other,) = parts.values()
    assert not other.any()


def test_evaluation_may_take_other_steps_than_training() -> None:
    learner = make_learner("FOMAML", inner_steps=2, evaluation_steps=7)
    assert (learner.training_tasks.passes.steps, learner.evaluation_passes.steps) == (2, 7)
    same = make_learner("FOMAML", inner_steps=2)
    assert (same.training_tasks.passes.steps, same.evaluation_passes.steps) == (2, 2)


def test_the_weights_of_the_multi_step_loss_sum_to_one() -> None:
    for progress in (0.0, 0.1, 0.3, 0.9):
        weights = step_weights(torch.tensor(progress, dtype=torch.float64), 0.3, 5)
        assert float(weights.sum()) == pytest.approx(1)
        assert float(weights[0]) == pytest.approx(max(0.0, (1 - progress / 0.3) / 5))
    torch.testing.assert_close(step_weights(BEGINNING, 0.3, 1), torch.ones(1).double())


def test_a_class_without_support_images_is_no_answer_of_proto_maml() -> None:
    learner = make_learner("ProtoMAML", inner_steps=2)
    state, tasks = double_state(learner), draw_tasks(learner)
    labels = torch.zeros_like(tasks.support.labels)
    labels[:, -1] = 1
    support = type(tasks.support)(tasks.support.images, labels, tasks.support.order)
    logits = learner.network(learner.adapt(state, support), tasks.queries)
    assert bool((logits[..., 2] == -torch.inf).all())
    assert bool(logits[..., :2].isfinite().all())


def test_conjugate_gradients_solve_each_task_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(3, 6, 6, generator=generator, dtype=torch.float64)
    matrices = roots @ roots.transpose(1, 2) + torch.eye(6)
    right = torch.randn(3, 6, generator=generator, dtype=torch.float64)

    def multiply(vectors: Tensor) -> Tensor:
        return (matrices @ vectors[:, :, None])[:, :, 0]

    expected = torch.linalg.solve(matrices, right)
    torch.testing.assert_close(conjugate_gradients(multiply, right, 6), expected, rtol=1e-6, atol=1e-8)
    # Further steps of a system that is solved do no harm.
    torch.testing.assert_close(conjugate_gradients(multiply, right, 40), expected)
    assert not conjugate_gradients(multiply, torch.zeros_like(right), 3).any()


def test_conjugate_gradients_stop_where_a_matrix_is_not_positive() -> None:
    diagonals = torch.tensor([[1.0, -2.0], [1.0, 4.0]])
    right = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    solved = conjugate_gradients(lambda vectors: diagonals * vectors, right, 2)
    assert solved[0].tolist() == [0, 0]  # the first direction already has curvature -1
    torch.testing.assert_close(solved[1], torch.tensor([1.0, 0.25]))


def test_evolutions_perturbations_come_from_its_state() -> None:
    learner = make_learner("Evolution", cell_network(), population=2)
    state, tasks = double_state(learner), draw_tasks(learner)
    first = learner.differentiate(state, tasks, BEGINNING).gradients[THETA]
    torch.manual_seed(9)
    assert torch.equal(first, learner.differentiate(state, tasks, BEGINNING).gradients[THETA])
    other = State(state.tensors, {NOISE_SEED: state.integers[NOISE_SEED] + 1})
    assert not torch.equal(first, learner.differentiate(other, tasks, BEGINNING).gradients[THETA])
    state.tensors[STEPS].add_(1)
    assert not torch.equal(first, learner.differentiate(state, tasks, BEGINNING).gradients[THETA])


@every_learner
def test_an_outer_step_returns_the_loss_that_it_lowers(name: str, settings: dict[str, Any]) -> None:
    """On the same meta-batch again and again, the loss falls; no step is taken in vain."""
    learner = make_learner(name, **settings | {"meta_learning_rate": "0.01", "annealing": "0"})
    state, tasks = double_state(learner), draw_tasks(learner)
    losses = [learner.outer_step(state, tasks, BEGINNING) for _ in range(12)]
    assert all(loss.shape == () and not loss.requires_grad for loss in losses)
    assert min(losses[-3:]) < min(losses[:3])
