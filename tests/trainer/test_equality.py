"""The stacked, grouped form computes what the plain one does: nn.Module, deepcopy, torch.optim.Adam, task by task."""

from __future__ import annotations

from decimal import Decimal

import pytest
import torch
from torch import Tensor

import plain
from metasearch.api import Concat, OptimizerState, ReptileSettings, Space, Training
from metasearch.search.cells import parse_cell
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks

CELLS = {
    "one block": "conv3x3(-1)+max_pool3x3(-2)",
    "no weights": "max_pool3x3(-1)+avg_pool3x3(-2) | identity(0)+max_pool3x3(-1)",
    "one outer input": "conv3x3(-1)+identity(-1) | conv5x5(0)+identity(0)",
    "twins": "conv3x3(-1)+identity(-2) | conv3x3(-1)+identity(-2) | conv3x3(0)+identity(1)",
    "five blocks": "conv3x3(-1)+identity(-2) | conv5x5(-2)+max_pool3x3(0) | conv3x3(0)+avg_pool3x3(-1) | "
    "conv5x5(1)+max_pool3x3(-1) | conv3x3(2)+identity(1)",
}
SPACES = {
    "default": Space(filters=4),
    "repeats": Space(filters=4, repeats=1, reductions=1),
    "three reductions": Space(filters=3, reductions=3, filter_scale=1),
    "unused only": Space(filters=4, concat=Concat.UNUSED),
}
TASKS, STEPS, BATCH, SIDE, WAYS = 3, 2, 6, 13, 4  # an odd side: halves are rounded up


def meta_batch(generator: torch.Generator, channels: int = 1) -> tuple[Tensor, Tensor]:
    images = torch.rand(TASKS, STEPS, BATCH, channels, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return images, torch.randint(0, WAYS, (TASKS, STEPS, BATCH), generator=generator)


def tasks_of(images: Tensor, labels: Tensor) -> Tasks:
    """Make tasks whose mini-batches are those given: each image once, in order."""
    tasks, steps, batch = labels.shape
    order = torch.arange(steps * batch).reshape(1, steps, batch).expand(tasks, -1, -1)
    support = Support(images.flatten(1, 2), labels.flatten(1, 2), order)
    return Tasks(support, images[:, 0, :0], labels[:, 0, :0])


def reptile(network: CellNetwork, step_size: str, state: OptimizerState) -> Reptile:
    """Make Reptile with one step size throughout."""
    settings = ReptileSettings(
        inner_learning_rate=Decimal("0.001"),
        meta_step_size=Decimal(step_size),
        final_meta_step_size=Decimal(step_size),
        optimizer_state=state,
    )
    return Reptile(Recipe(training=Training(reptile=settings)), network, torch.device("cpu"))


ANY_PROGRESS = torch.tensor(0.3, dtype=torch.float64)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES.keys())
@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS.keys())
def test_three_outer_steps_give_equal_weights(text: str, space: Space) -> None:
    cell, generator = parse_cell(text), torch.Generator().manual_seed(0)
    network = CellNetwork(cell, space, 1, SIDE, WAYS)
    theta = network.layout.initial(generator)
    reference = plain.PlainNetwork(cell, space, 1, SIDE, WAYS).double()
    plain.load_flat(reference, theta)
    learner = reptile(network, "0.5", OptimizerState.FRESH)
    state = learner.state_of(theta.clone())
    for _ in range(3):
        images, labels = meta_batch(generator)
        plain.outer_step(reference, images, labels, step_size=0.5, learning_rate=1e-3)
        learner.outer_step(state, tasks_of(images, labels), ANY_PROGRESS)
    assert network.layout.size == len(plain.flat(reference))
    torch.testing.assert_close(state.theta, plain.flat(reference), rtol=0, atol=1e-8)


def test_a_kept_second_moment_lives_on_as_torchs_own_does() -> None:
    """With one task, the next outer step begins with the moments that Adam has after the steps of this one."""
    cell, space, generator = parse_cell(CELLS["one block"]), SPACES["default"], torch.Generator().manual_seed(0)
    network = CellNetwork(cell, space, 1, SIDE, WAYS)
    theta = network.layout.initial(generator)
    reference = plain.PlainNetwork(cell, space, 1, SIDE, WAYS).double()
    plain.load_flat(reference, theta)
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-3, betas=(0.0, 0.999))
    learner = reptile(network, "1", OptimizerState.KEPT)
    state = learner.state_of(theta.clone())
    for _ in range(3):
        images, labels = (each[:1] for each in meta_batch(generator))
        learner.outer_step(state, tasks_of(images, labels), ANY_PROGRESS)
        for x, y in zip(images[0], labels[0], strict=True):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(reference(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    torch.testing.assert_close(state.theta, plain.flat(reference), rtol=0, atol=1e-8)


def test_float32_gradients_are_close_to_float64_ones() -> None:
    """Gradients are compared, not steps: Adam without momentum begins with steps of one size, whatever the gradient."""
    cell, generator = parse_cell(CELLS["five blocks"]), torch.Generator().manual_seed(0)
    network = CellNetwork(cell, Space(filters=4), 1, SIDE, WAYS)
    theta = network.layout.initial(generator)[None]
    images, labels = (each[:1, 0] for each in meta_batch(generator))

    def gradient(dtype: torch.dtype) -> Tensor:
        parameters = theta.to(dtype).clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(network(parameters, images.to(dtype))[0], labels[0])
        return torch.autograd.grad(loss, parameters)[0].double()

    exact = gradient(torch.float64)
    assert float((gradient(torch.float32) - exact).norm() / exact.norm()) < 1e-3


def test_an_outer_step_never_asks_the_device_for_a_value() -> None:
    """A step can be a CUDA graph. Fake tensors have no values, and raise when one is asked for."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    network = CellNetwork(parse_cell(CELLS["five blocks"]), Space(filters=4), 1, SIDE, WAYS)
    with FakeTensorMode():
        learner = reptile(network, "0.5", OptimizerState.KEPT)
        images = torch.zeros(TASKS, STEPS, BATCH, 1, SIDE, SIDE)
        tasks = tasks_of(images, torch.zeros(TASKS, STEPS, BATCH, dtype=torch.long))
        learner.outer_step(learner.state_of(torch.zeros(network.layout.size)), tasks, torch.zeros(()))
