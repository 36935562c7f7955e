"""
Speed of the trainer's Reptile outer steps against the plain form of `plain.py`, both on one thread in one run.

Five cells of different weight; 5 tasks of 8 inner steps on 10 images of 28x28. The two take turns, and the ratio is the
median over pairs, since a shared machine's speed drifts. Their weights must agree to 1e-8 in float64 after three steps.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch
from torch import Tensor

import plain
from metasearch.api import OptimizerState, ReptileSettings, Space, Training
from metasearch.search.cells import Cell, parse_cell
from metasearch_trainer.metalearners.reptile import Reptile
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import Support, Tasks
from reporting import Claim, parser, publish

CELLS = {
    "one block": "conv3x3(-1)+max_pool3x3(-2)",
    "pools": "max_pool3x3(-1)+avg_pool3x3(-2) | identity(0)+max_pool3x3(-1) | avg_pool3x3(1)+identity(0)",
    "light": "conv3x3(-1)+identity(-2) | avg_pool3x3(-2)+max_pool3x3(0) | identity(0)+avg_pool3x3(-1) | "
    "conv3x3(1)+max_pool3x3(-1) | avg_pool3x3(2)+identity(1)",
    "mixed": "conv3x3(-1)+identity(-2) | conv5x5(-2)+max_pool3x3(0) | conv3x3(0)+avg_pool3x3(-1) | "
    "conv5x5(1)+max_pool3x3(-1) | conv3x3(2)+identity(1)",
    "heavy": "conv3x3(-1)+conv5x5(-2) | conv5x5(-2)+conv3x3(0) | conv3x3(0)+conv5x5(-1) | "
    "conv5x5(1)+max_pool3x3(-1) | conv3x3(2)+conv5x5(1)",
}
TASKS, INNER_STEPS, BATCH, SIDE, WAYS = 5, 8, 10, 28, 5
LEARNING_RATE, STEP_SIZE = 1e-3, 0.5
PROGRESS = torch.tensor(0.0, dtype=torch.float64)
LEAST_SPEED_UP, MOST_DIFFERENCE = 2.0, 1e-8


def main() -> int:
    """Measure all cells."""
    arguments = _arguments()
    torch.set_num_threads(1)
    space = Space(filters=arguments.filters, filter_scale=arguments.filter_scale)
    rows = [_measure(name, parse_cell(text), space, arguments.pairs) for name, text in CELLS.items()]
    speed_up = math.exp(statistics.fmean(math.log(row["speed-up"]) for row in rows))
    difference = max(row["difference"] for row in rows)
    claims = [
        Claim(f"the geometric mean of the speed-up is {speed_up:.2f}, at least 2", speed_up >= LEAST_SPEED_UP),
        Claim(f"weights differ by at most {difference:.1e}, no more than 1e-8", difference <= MOST_DIFFERENCE),
    ]
    return publish("trainer_speed", rows, claims, arguments.json)


def _measure(name: str, cell: Cell, space: Space, pairs: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    network = CellNetwork(cell, space, 1, SIDE, WAYS)
    theta = network.layout.initial(generator)
    images = (torch.rand(TASKS, INNER_STEPS, BATCH, 1, SIDE, SIDE, generator=generator) < 0.08).double()
    labels = torch.randint(0, WAYS, (TASKS, INNER_STEPS, BATCH), generator=generator)
    module = plain.PlainNetwork(cell, space, 1, SIDE, WAYS)
    difference = _difference(network, module, theta, images, labels)
    steps = _steps(network, module, theta, images, labels, torch.float32)
    for step in steps:
        step()  # to warm up
    times = [[_seconds(step) for step in steps] for _ in range(pairs)]
    return {
        "cell": name,
        "parameters": network.layout.size,
        "million multiply-adds": network.multiply_adds / 1e6,
        "plain steps/s": 1 / statistics.median(pair[0] for pair in times),
        "our steps/s": 1 / statistics.median(pair[1] for pair in times),
        "speed-up": statistics.median(pair[0] / pair[1] for pair in times),
        "difference": difference,
    }


def _steps(
    network: CellNetwork, module: plain.PlainNetwork, theta: Tensor, images: Tensor, labels: Tensor, dtype: torch.dtype
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions that take one outer step in the plain form and in ours, from the same parameters."""
    module.to(dtype)
    plain.load_flat(module, theta)
    learner = _learner(network)
    state, images = learner.state_of(theta.to(dtype, copy=True)), images.to(dtype)
    tasks = _tasks(images, labels)
    return (
        lambda: plain.outer_step(module, images, labels, STEP_SIZE, LEARNING_RATE),
        lambda: learner.outer_step(state, tasks, PROGRESS),
    )


def _difference(
    network: CellNetwork, module: plain.PlainNetwork, theta: Tensor, images: Tensor, labels: Tensor
) -> float:
    """Return the largest difference of any weight after three outer steps in float64."""
    learner = _learner(network)
    state = learner.state_of(theta.clone())
    module.double()
    plain.load_flat(module, theta)
    for _ in range(3):
        plain.outer_step(module, images, labels, STEP_SIZE, LEARNING_RATE)
        learner.outer_step(state, _tasks(images, labels), PROGRESS)
    return float((plain.flat(module) - state.theta).abs().max())


def _learner(network: CellNetwork) -> Reptile:
    """Return a Reptile learner whose outer step size stays the same."""
    settings = ReptileSettings(
        inner_learning_rate=Decimal(str(LEARNING_RATE)),
        meta_step_size=Decimal(str(STEP_SIZE)),
        final_meta_step_size=Decimal(str(STEP_SIZE)),
        optimizer_state=OptimizerState.FRESH,
    )
    return Reptile(Recipe(training=Training(reptile=settings)), network, torch.device("cpu"))


def _tasks(images: Tensor, labels: Tensor) -> Tasks:
    """Return tasks whose mini-batches are the given images and labels, in their order."""
    order = torch.arange(INNER_STEPS * BATCH).reshape(1, INNER_STEPS, BATCH).expand(TASKS, -1, -1)
    support = Support(images.flatten(1, 2), labels.flatten(1, 2), order)
    return Tasks(support, images[:, 0, :0], labels[:, 0, :0])


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--pairs", type=int, default=7, help="how often the two take turns")
    made.add_argument("--filters", type=int, default=Space().filters)
    made.add_argument("--filter-scale", type=int, default=Space().filter_scale)
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
