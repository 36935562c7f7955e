"""
The memory of one outer step of each meta-learner against the number of inner steps.

A small cell network on 14x14 images, 4 tasks of 5 ways and 1 shot. A figure is the most memory that a process of its
own holds during the step, above what it held before; it includes some MiB that PyTorch's kernels take once. A curve
ends where it passes the limit.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch

from metasearch.api import SETTINGS, Space, Task, Training
from metasearch.api.training import settings_class
from metasearch.search.cells import parse_cell
from metasearch_trainer import memory
from metasearch_trainer.data.images import ImageSet
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, sample_tasks
from reporting import Claim, parser, publish

CPU = torch.device("cpu")
CELL, SPACE = "conv3x3(-1)+max_pool3x3(-2)", Space(filters=8, filter_scale=1)
WAYS, TASKS, SIDE = 5, 4, 14
STEPS = (1, 3, 10, 30, 100, 300, 1000)
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Curve:
    """A meta-learner with settings, and whether its memory is said to depend on the number of steps."""

    learner: str
    is_flat: bool
    settings: dict[str, Any]
    note: str = ""

    @property
    def name(self) -> str:
        """The learner, and what is special about its settings."""
        return f"{self.learner}, {self.note}" if self.note else self.learner


CURVES = (
    Curve("Reptile", True, {"shots": 1, "inner_batch_size": 5}),
    Curve("FOMAML", True, {}),
    Curve("FOMAML", False, {"inner_rates": "PerLayerAndStep"}, "learned rates"),
    Curve("ProtoMAML", True, {}),
    Curve("MAML", False, {}, "Exact"),
    Curve("MAML", False, {"second_order": "FiniteDifference"}, "FiniteDifference"),
    Curve("BOIL", False, {}),
    Curve("ANIL", False, {}),
    Curve("Truncated", True, {"window": 1}, "window 1"),
    Curve("Implicit", True, {}),
    Curve("Evolution", True, {"population": 2}, "population 2"),
)
MOST_GROWTH, LEAST_GROWTH = 1.25, 4.0


def main() -> int:
    """Measure all curves."""
    arguments = _arguments()
    torch.set_num_threads(1)
    steps = [each for each in STEPS if each <= arguments.most_steps]
    rows, claims = [], []
    for curve in CURVES:
        measured = _measure(curve, steps, arguments.limit_mebibytes * MEBIBYTE)
        held, seconds = [each[0] / MEBIBYTE for each in measured], [each[1] for each in measured]
        missing = [None] * (len(steps) - len(measured))
        listed = ", ".join(map(str, steps))
        rows.append(
            {
                "learner": curve.name,
                f"MiB at {listed} inner steps": [*held, *missing],
                f"seconds at {listed}": [*seconds, *missing],
            }
        )
        growth, last = held[-1] / held[0], steps[len(measured) - 1]
        if curve.is_flat:
            claims.append(Claim(f"{curve.name}: {growth:.2f} times the memory at {last} steps", growth < MOST_GROWTH))
        elif curve.name == "MAML, Exact":
            claims.append(Claim(f"{curve.name}: {growth:.1f} times the memory at {last} steps", growth > LEAST_GROWTH))
    network = CellNetwork(parse_cell(CELL), SPACE, 1, SIDE, WAYS)
    return publish("learner_memory", rows, claims, arguments.json, steps=steps, parameters=network.layout.size)


def _measure(curve: Curve, steps: list[int], limit: int) -> list[tuple[int, float]]:
    """Return bytes and seconds for each number of steps, up to the first that passes the limit."""
    measured: list[tuple[int, float]] = []
    # Forked, since to import PyTorch takes longer than most of the steps. No thread has been started yet.
    context = multiprocessing.get_context("fork")
    for count in steps:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_outer_step, args=(curve, count, sender))
        process.start()
        sender.close()
        measured.append(receiver.recv())
        process.join()
        if measured[-1][0] > limit:
            break
    return measured


def _outer_step(curve: Curve, steps: int, sender: Connection) -> None:
    """Take one outer step in this process, and send the bytes and seconds that it took."""
    field = SETTINGS[curve.learner]
    given = {"inner_steps": steps, "meta_batch_size": TASKS, "inner_learning_rate": "0.001", **curve.settings}
    training = Training(meta_learner=curve.learner, **{field: settings_class(field)(**given)})
    network = CellNetwork(parse_cell(CELL), SPACE, 1, SIDE, WAYS)
    learner = build(Recipe(task=Task(ways=WAYS), training=training), network, CPU)
    state = learner.initial_state(torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (WAYS * 4, 4, 1, SIDE, SIDE), dtype=np.uint8)
    images = ImageSet.of([(str(index), each) for index, each in enumerate(pixels)])
    tasks = DeviceImages(images, CPU).tasks(sample_tasks(rng, images, learner.training_tasks, TASKS))
    memory.reset_peak(CPU)
    before, started = memory.resident_bytes(), time.process_time()
    learner.outer_step(state, tasks, torch.tensor(0.0, dtype=torch.float64))
    sender.send((memory.peak_bytes(CPU) - before, time.process_time() - started))


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--most-steps", type=int, default=STEPS[-1], help="the most inner steps")
    made.add_argument("--limit-mebibytes", type=int, default=512, help="where a curve ends")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
