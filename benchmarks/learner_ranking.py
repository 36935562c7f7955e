"""
Ask whether cells rank alike under two meta-learners, and how much of a cheap score is noise.

    python benchmarks/learner_ranking.py             40 minutes on two cores
    python benchmarks/learner_ranking.py --cells 4   a glance

Random cells are trained as search trials are, for about the same CPU time with either learner and with several seeds,
and once more for ten times as long or longer. Reported are the spread between cells and between seeds of one cell, the
share of a score's variance that is the cell's own, and how well the short scores rank the long ones. Scores are of
validation classes of Omniglot, 5-way 1-shot, each query by itself beside the support images.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean, variance
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Generator

from learner_training import train
from metasearch.api import Space, Task, Training
from metasearch.search.cells import parse_cell
from metasearch.search.ranking import ranking_quality
from metasearch.search.space import CellSpace
from metasearch_trainer.data import omniglot
from metasearch_trainer.evaluation import evaluate
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import cell_network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, stream
from metasearch_trainer.torch_setup import prepare_torch
from reporting import parser, publish

SPACE = Space(filters=10, filter_scale=1, reductions=2)
MAX_BLOCKS = 3


@dataclass(frozen=True)
class Learner:
    """A meta-learner with the lengths of short and long trainings, in outer steps."""

    settings: dict[str, Any]
    short: tuple[int, ...]
    """The first takes about as long with every learner."""
    long: int


LEARNERS = {
    # The settings of examples/omniglot-reptile.yaml and of examples/omniglot-headline.yaml.
    "Reptile": Learner(
        {
            "metaLearner": "Reptile",
            "reptile": {"innerSteps": 5, "innerLearningRate": "0.01", "evaluationSteps": 10},
        },
        short=(40,),
        long=400,
    ),
    "Prototypes": Learner({"metaLearner": "Prototypes"}, short=(80, 240), long=1200),
}


@dataclass(frozen=True)
class Run:
    """One training of a cell."""

    learner: str
    cell: str
    seed: int
    meta_iterations: int
    tasks: int
    """Number of validation tasks."""


@dataclass(frozen=True)
class Scored:
    """The score of a training, in percent, and its CPU time, evaluation included."""

    run: Run
    score: float
    seconds: float


def main() -> int:
    """Train all cells, and print how they rank."""
    arguments = _arguments()
    runs = list(_runs(arguments))
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        scored = list(
            track(pool.map(measure, runs), "trainings", len(runs), console=Console(stderr=True), transient=True)
        )
    rows = [_row(name, length, scored) for name, learner in LEARNERS.items() for length in learner.short]
    between = spearman(*(_means(scored, name, LEARNERS[name].short[0]) for name in LEARNERS))
    long = spearman(*(_means(scored, name, LEARNERS[name].long) for name in LEARNERS))
    print(f"Spearman of the two learners over {arguments.cells} cells: {between:.2f} short, {long:.2f} long")
    cells = [_cell_row(scored, cell) for cell in sorted({each.run.cell for each in scored})]
    return publish("learner_ranking", rows, [], arguments.json, between_learners=[between, long], cells=cells)


def measure(run: Run) -> Scored:
    """Train and score a cell."""
    prepare_torch()
    cpu, started = torch.device("cpu"), time.process_time()
    splits = omniglot.load()
    recipe = Recipe(task=Task(), training=Training.model_validate(LEARNERS[run.learner].settings))
    network = cell_network(parse_cell(run.cell).canonical, SPACE, 1, omniglot.SIDE, Task().ways)
    learner = build(recipe, network, cpu)
    state = learner.initial_state(Generator().manual_seed(run.seed))
    train(learner, state, DeviceImages(splits.train.rotated(4), cpu), run.seed, meta_iterations=run.meta_iterations)
    validation = DeviceImages(splits.validation, cpu)
    # The same tasks for all cells of a seed, as in a search.
    answers = evaluate(learner, state, validation, recipe, run.tasks, stream("ranking", run.seed))
    return Scored(run, 100 * answers.accuracies.non_transductive.mean, time.process_time() - started)


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the rank correlation of two lists of scores; 0 where one does not vary."""
    return ranking_quality(one, other).spearman or 0.0


# --- the table ----------------------------------------------------------------------------------------------------


def _row(name: str, length: int, scored: Sequence[Scored]) -> dict[str, Any]:
    short = [each for each in scored if (each.run.learner, each.run.meta_iterations) == (name, length)]
    seeds = sorted({each.run.seed for each in short})
    by_seed = [[each.score for each in short if each.run.seed == seed] for seed in seeds]  # cells in one order
    of_cells = list(zip(*by_seed, strict=True))
    within = fmean(variance(scores) for scores in of_cells)
    # The variance of means over seeds has its share of the noise in it.
    between = max(0.0, variance([fmean(scores) for scores in of_cells]) - within / len(seeds))
    long = _means(scored, name, LEARNERS[name].long)
    return {
        "learner": name,
        "meta-iterations": length,
        "CPU s": fmean(each.seconds for each in short),
        "mean score": fmean(each.score for each in short),
        "sd of cells": between**0.5,
        "sd of seeds": within**0.5,
        "reliability": between / (between + within),
        "Spearman of seeds": fmean(spearman(one, other) for one, other in itertools.combinations(by_seed, 2)),
        "Spearman with long, one seed": fmean(spearman(scores, long) for scores in by_seed),
        "Spearman with long, mean of seeds": spearman(_means(scored, name, length), long),
    }


def _means(scored: Sequence[Scored], learner: str, meta_iterations: int) -> list[float]:
    """Return the mean score over seeds of each cell."""
    chosen = [each for each in scored if (each.run.learner, each.run.meta_iterations) == (learner, meta_iterations)]
    cells = dict.fromkeys(each.run.cell for each in chosen)
    return [fmean(each.score for each in chosen if each.run.cell == cell) for cell in cells]


def _cell_row(scored: Sequence[Scored], cell: str) -> dict[str, Any]:
    """Return all scores of a cell, by learner and length."""
    chosen = [each for each in scored if each.run.cell == cell]
    scores: dict[str, list[float]] = {}
    for each in chosen:
        scores.setdefault(f"{each.run.learner}, {each.run.meta_iterations}", []).append(each.score)
    return {"cell": cell, **scores}


def _runs(arguments: argparse.Namespace) -> Iterator[Run]:
    rng = np.random.default_rng(0)
    cells: dict[str, None] = {}  # in the order of drawing, each once
    while len(cells) < arguments.cells:
        space = CellSpace(SPACE.operations, int(rng.integers(1, MAX_BLOCKS + 1)))
        cells[str(space.sample(rng).canonical)] = None
    for name, learner in LEARNERS.items():
        for length, seed, cell in itertools.product(learner.short, range(arguments.seeds), cells):
            yield Run(name, cell, seed, length, arguments.tasks)
        for cell in cells:
            yield Run(name, cell, arguments.seeds, learner.long, arguments.long_tasks)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--cells", type=int, default=12, help="random cells of one to three blocks; default: 12")
    made.add_argument("--seeds", type=int, default=3, help="short trainings of each cell; default: 3")
    made.add_argument("--tasks", type=int, default=100, help="validation tasks of a short training; default: 100")
    made.add_argument("--long-tasks", type=int, default=400, help="validation tasks of a long training; default: 400")
    made.add_argument("--processes", type=int, default=2, help="trainings at once; default: 2")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
