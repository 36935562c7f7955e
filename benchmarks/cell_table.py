"""
Measure random cells on Omniglot after short and longer trainings: the table from which `real_cells.py` draws.

    python benchmarks/cell_table.py                      both learners; two hours or three on two cores
    python benchmarks/cell_table.py --learners Reptile

Cells of three blocks are drawn as `Random` draws them, and all cells of one block are there. Each is trained as a
search trial of the quick examples is, and examined on 100 tasks of validation classes on the way and at the end. Some
are trained with a second seed, which says what of a score is noise, and some four times as long, which says what an
early score is worth. Kept are losses beside accuracies, each with its standard error over tasks, the training loss of
every outer step, and CPU seconds. The file grows by a line for each training, and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Generator, Tensor

from metasearch.api import Classification, Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch.search.space import CellSpace
from metasearch_trainer.data import omniglot
from metasearch_trainer.evaluation import evaluate
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import cell_network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, sample_tasks, stream
from metasearch_trainer.torch_setup import prepare_torch

FOLDER = Path("benchmarks/data/real-cells")

SPACE = Space(filters=10, filter_scale=1, reductions=2, max_blocks=3)
"""The space of the quick examples."""

TASKS, FEW_TASKS = 100, 25
"""Validation tasks of an examination, and those of its beginning whose figures are kept apart."""


@dataclass(frozen=True)
class Learner:
    """A meta-learner, and the outer steps after which its trainings are examined."""

    settings: dict[str, Any]
    short: tuple[int, ...]
    long: tuple[int, ...]


LEARNERS = {
    # The settings of examples/omniglot-reptile.yaml and of examples/omniglot-quick.yaml.
    "Reptile": Learner(
        {
            "metaLearner": "Reptile",
            "reptile": {"innerSteps": 5, "innerLearningRate": "0.01", "evaluationSteps": 10},
        },
        short=(10, 40),
        long=(10, 40, 160),
    ),
    "Prototypes": Learner({"metaLearner": "Prototypes"}, short=(12, 50), long=(12, 50, 200)),
}


@dataclass(frozen=True)
class Run:
    """One training of a cell."""

    learner: str
    cell: str
    seed: int
    examined: tuple[int, ...]
    """The outer steps after which it is examined; the last is the end."""

    @property
    def key(self) -> tuple[str, int, int]:
        """The fields that tell it from other trainings in the file of its learner."""
        return self.cell, self.seed, self.examined[-1]


def main() -> int:
    """Measure what the files lack."""
    arguments = _arguments()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for learner in arguments.learners:
        file: Path = arguments.folder / f"{learner.lower()}.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        there = {(row["cell"], row["seed"], row["meta_iterations"]) for row in map(json.loads, lines)}
        missing = [run for run in _runs(learner, arguments) if run.key not in there]
        with (
            ProcessPoolExecutor(arguments.processes, get_context("spawn"), initializer=prepare_torch) as pool,
            file.open("a", encoding="utf-8") as written,
        ):
            console = Console(stderr=True)
            for row in track(pool.map(measure, missing), learner, len(missing), console=console, transient=True):
                written.write(json.dumps(row) + "\n")
                written.flush()
    return 0


def measure(run: Run) -> dict[str, Any]:
    """Train a cell and examine it; returns the line of the table."""
    cpu, splits = torch.device("cpu"), omniglot.load()
    recipe = Recipe(task=Task(), training=Training.model_validate(LEARNERS[run.learner].settings))
    network = cell_network(parse_cell(run.cell).canonical, SPACE, 1, omniglot.SIDE, recipe.task.ways)
    learner = build(recipe, network, cpu)
    state = learner.initial_state(Generator().manual_seed(run.seed))
    images = DeviceImages(splits.train.rotated(4), cpu)
    validation = DeviceImages(splits.validation, cpu)
    losses, examinations, training_seconds = [], [], 0.0
    for done in range(1, run.examined[-1] + 1):
        started = time.process_time()
        rng = stream("cell table", run.seed, done)
        sampled = sample_tasks(rng, images.images, learner.training_tasks, learner.meta_batch_size)
        progress = torch.tensor((done - 1) / run.examined[-1], dtype=torch.float64)
        losses.append(float(learner.outer_step(state, images.tasks(sampled), progress)))
        training_seconds += time.process_time() - started
        if done in run.examined:
            started = time.process_time()
            answers = evaluate(learner, state, validation, recipe, TASKS, stream("cell table", "examine", run.seed))
            examinations.append(
                {
                    "meta_iteration": done,
                    "training_seconds": round(training_seconds, 3),
                    "seconds": round(time.process_time() - started, 3),
                    "accuracy": _figures(answers.correct),
                    "loss": _figures(answers.loss),
                }
            )
    return {
        "cell": run.cell,
        "seed": run.seed,
        "meta_iterations": run.examined[-1],
        "parameters": network.layout.size,
        "multiply_adds": network.multiply_adds,
        "training_loss": [round(loss, 4) for loss in losses],
        "examinations": examinations,
    }


def _figures(per_task: Tensor) -> dict[str, dict[str, list[float]]]:
    """Return mean and standard error over few and over all tasks of values (3, tasks), by the way of classifying."""
    return {
        way.field: {
            str(count): [round(float(row[:count].mean()), 5), round(float(row[:count].std()) / math.sqrt(count), 5)]
            for count in (FEW_TASKS, TASKS)
        }
        for way, row in zip(Classification, per_task, strict=True)
    }


def _runs(learner: str, arguments: argparse.Namespace) -> Iterator[Run]:
    rng, space = np.random.default_rng(0), CellSpace(SPACE.operations, SPACE.max_blocks)
    cells: dict[str, None] = {}  # in the order of drawing, each once
    while len(cells) < arguments.cells:
        cells[str(space.sample(rng))] = None
    drawn = list(cells)
    for cell in (*map(str, space.smallest()), *drawn):
        yield Run(learner, cell, 0, LEARNERS[learner].short)
    for cell in drawn[: arguments.second_seeds]:
        yield Run(learner, cell, 1, LEARNERS[learner].short)
    for cell in drawn[: arguments.long]:
        yield Run(learner, cell, 0, LEARNERS[learner].long)


def _arguments() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--cells", type=int, default=320, help="default: 320")
    made.add_argument("--second-seeds", type=int, default=32, help="cells trained twice; default: 32")
    made.add_argument("--long", type=int, default=56, help="cells trained four times as long; default: 56")
    made.add_argument("--processes", type=int, default=2, help="trainings at once; default: 2")
    made.add_argument("--folder", type=Path, default=FOLDER, help="default: %(default)s")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
