"""
Compare meta-learners by the accuracy that they reach in equal CPU time, on the same networks and tasks.

    python benchmarks/learners.py                            every learner for 30 s, three seeds; an hour on two cores
    python benchmarks/learners.py --seconds 30 120 600       the whole table; ten hours on two cores
    python benchmarks/learners.py --learners MAML --networks Conv4-30 --seeds 0

Each training has a process and a thread of its own, and as much of that process's CPU time as is asked for; sampling
tasks counts, evaluation does not. What a learner anneals follows the share of that time, so that each has a whole
training. Accuracies are of test classes of Omniglot, 5-way 1-shot, split by alphabet, which is harder than the split of
the published figures. Finished trainings are kept in a folder, and an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch
from torch import Generator

from kept_runs import measure_missing
from learner_training import train
from metasearch.api import Space, Task, Training
from metasearch.outcome.results import over_seeds
from metasearch.search.cells import parse_cell
from metasearch.search.trials import Accuracies, Accuracy
from metasearch_trainer import memory
from metasearch_trainer.data import omniglot
from metasearch_trainer.evaluation import evaluate
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import Conv4, Network, cell_network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, stream
from metasearch_trainer.torch_setup import prepare_torch
from reporting import parser, publish

LEARNERS: dict[str, dict[str, Any]] = {
    # Five steps at 0.01 suit so short a training better than the published eight at 0.001.
    "Reptile": {"reptile": {"innerSteps": 5, "innerLearningRate": "0.01"}},
    "FOMAML": {"fomaml": {"innerRates": "PerLayerAndStep", "metaLearningRate": "0.003"}},
    "MAML": {"maml": {"innerRates": "PerLayerAndStep", "metaLearningRate": "0.003"}},
    "ANIL": {"anil": {"innerRates": "PerLayerAndStep", "metaLearningRate": "0.003"}},
    "BOIL": {"boil": {"innerRates": "PerLayerAndStep", "metaLearningRate": "0.003"}},
    "ProtoMAML": {"protoMaml": {}},
    "Truncated": {"truncated": {"metaLearningRate": "0.003"}},
    "Implicit": {"implicit": {"metaLearningRate": "0.003"}},
    "Evolution": {"evolution": {}},
    "Prototypes, plain": {"prototypes": {"mergedTasks": 1, "symmetric": False, "metaLearningRate": "0.001"}},
    "Prototypes": {"prototypes": {}},
}
"""The settings of each learner, by its name in the table; the rest are its defaults."""

CELL = "max_pool3x3(-2)+conv3x3(-1) | conv5x5(-1)+conv5x5(0) | conv5x5(0)+conv5x5(0)"
NETWORKS = ("cell", "Conv4", "Conv4-30")
"""A cell that a quick search found (11,105 parameters), Reptile's network (113,221), and the same with 30 filters."""

PUBLISHED = {
    "MAML": "98.7 together after 60,000 iterations of 32 tasks (Finn et al. 2017)",
    "FOMAML": "98.3 together (Nichol et al. 2018)",
    "Reptile": "97.68 together, 95.39 alone after 100,000 meta-iterations (Nichol et al. 2018)",
    "Implicit": "99.50 together (Rajeswaran et al. 2019)",
    "Prototypes, plain": "98.8 alone, 60-way training (Snell et al. 2017)",
}
"""Percent in papers, for Conv4 with 64 filters on Omniglot, 5-way 1-shot, mostly with 1,200 characters at random."""


@dataclass(frozen=True)
class Run:
    """One training."""

    learner: str
    network: str
    seconds: int
    """CPU time of the training."""
    seed: int
    tasks: int
    """Number of test tasks."""

    @property
    def file_name(self) -> str:
        """A name under which its figures are kept; equal runs have equal names."""
        return f"{self.learner}-{self.network}-{self.seconds}s-{self.seed}-{self.tasks}.json".replace(", ", "-")


@dataclass(frozen=True)
class Figures:
    """The figures of one training."""

    run: Run
    meta_iterations: int
    parameters: int
    milliseconds: float
    """CPU time of an outer step."""
    task_milliseconds: float
    """CPU time to adapt to one test task and to classify its queries, in every way that is measured."""
    peak_mebibytes: float
    """Memory of the process, with PyTorch and the data, until the end of the training."""
    accuracies: dict[str, tuple[float, float]]
    """Shares in [0, 1] and half-widths of their 95% intervals, by the way of classifying."""


def main() -> int:
    """Run what has no figures yet, and print the table."""
    arguments = _arguments()
    runs = list(_runs(arguments))
    kept = measure_missing(runs, measure, arguments.folder, arguments.processes, "trainings")
    measured = [Figures(**{**fields, "run": Run(**fields["run"])}) for fields in kept]
    return publish("learners", _rows(measured), [], arguments.json, published=PUBLISHED)


# --- one training -------------------------------------------------------------------------------------------------


def measure(run: Run) -> Figures:
    """Train for the run's CPU time, then evaluate on test classes."""
    prepare_torch()
    splits, cpu = omniglot.load(), torch.device("cpu")
    name = run.learner.partition(",")[0]
    recipe = Recipe(task=Task(), training=Training.model_validate({"metaLearner": name, **LEARNERS[run.learner]}))
    network = _network(run.network)
    learner = build(recipe, network, cpu)
    state = learner.initial_state(Generator().manual_seed(run.seed))
    images = DeviceImages(splits.train.rotated(4), cpu)
    meta_iterations, spent = train(learner, state, images, run.seed, seconds=run.seconds)
    peak = memory.peak_bytes(cpu)
    started = time.process_time()
    test = DeviceImages(splits.test, cpu)
    accuracies = evaluate(learner, state, test, recipe, run.tasks, stream("learners", "test", run.seed)).accuracies
    return Figures(
        run=run,
        meta_iterations=meta_iterations,
        parameters=network.layout.size,
        milliseconds=1000 * spent / meta_iterations,
        task_milliseconds=1000 * (time.process_time() - started) / run.tasks,
        peak_mebibytes=(peak or 0) / 2**20,
        accuracies=_shares(accuracies),
    )


def _network(name: str) -> Network:
    if name == "cell":
        return cell_network(parse_cell(CELL).canonical, Space(filter_scale=1), 1, omniglot.SIDE, Task().ways)
    _, _, filters = name.partition("-")
    return Conv4(1, omniglot.SIDE, Task().ways, int(filters or 64))


def _shares(accuracies: Accuracies) -> dict[str, tuple[float, float]]:
    return {name: (accuracy["mean"], accuracy["interval"]) for name, accuracy in asdict(accuracies).items()}


# --- the table ----------------------------------------------------------------------------------------------------


def _rows(measured: Sequence[Figures]) -> list[dict[str, Any]]:
    """Return one row per learner, network and length, over its seeds."""

    def kind(figures: Figures) -> tuple[str, int, str]:
        return figures.run.network, figures.run.seconds, figures.run.learner

    ordered = sorted(measured, key=kind)
    return [_row(list(group)) for _, group in itertools.groupby(ordered, kind)]


def _row(seeds: Sequence[Figures]) -> dict[str, Any]:
    run = seeds[0].run
    accuracies: dict[str, float] = {}
    for name in seeds[0].accuracies:
        estimate = over_seeds([Accuracy(*each.accuracies[name], each.run.tasks) for each in seeds])
        accuracies |= {name: 100 * estimate.accuracy, f"{name} ±": 100 * estimate.interval}
    return {
        "network": run.network,
        "parameters": seeds[0].parameters,
        "CPU s": run.seconds,
        "learner": run.learner,
        "seeds": len(seeds),
        "iterations": round(fmean(each.meta_iterations for each in seeds)),
        **accuracies,
        "ms / iteration": fmean(each.milliseconds for each in seeds),
        "ms / test task": fmean(each.task_milliseconds for each in seeds),
        "peak MiB": max(each.peak_mebibytes for each in seeds),
    }


def _runs(arguments: argparse.Namespace) -> Iterator[Run]:
    # The shortest first, so that an interrupted run has compared all learners on something.
    for seconds, seed, network, learner in itertools.product(
        sorted(arguments.seconds), arguments.seeds, arguments.networks, arguments.learners
    ):
        yield Run(learner, network, seconds, seed, arguments.tasks)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    made.add_argument("--seconds", nargs="+", type=int, default=[30], help="CPU time of a training; default: 30")
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    made.add_argument("--tasks", type=int, default=300, help="test tasks; default: 300")
    made.add_argument("--processes", type=int, default=2, help="trainings at once; default: 2")
    made.add_argument("--folder", type=Path, default=Path(".cache/learners"), help="for finished trainings")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
