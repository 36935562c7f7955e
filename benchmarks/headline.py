"""
Hold a finished search against the accuracy of the Auto-Meta paper, and evaluate its networks on other tasks too.

    make headline                                  the search of examples/omniglot-headline.yaml, then this
    python benchmarks/headline.py runs/headline    a search that is finished

The accuracies of 5-way 1-shot are the search's own: those of its final trials on 10,000 tasks of test classes each. A
network of prototypes learns any number of classes from any number of images, so the same weights are also evaluated on
5-way 5-shot and on 20-way 1-shot and 5-shot.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch

from metasearch import open_run
from metasearch.api import Classification, MetaSearchSpec, Task
from metasearch.outcome.figures import Estimate, FinalNetwork, FoundNetwork
from metasearch.outcome.results import SearchResult, over_seeds
from metasearch.search.trials import Accuracies, Trial
from metasearch.storage_layout import WEIGHTS, file_name
from metasearch_trainer.data import load
from metasearch_trainer.delivery import load_weights
from metasearch_trainer.evaluation import evaluate
from metasearch_trainer.metalearners import build
from metasearch_trainer.metalearners.base import THETA, State
from metasearch_trainer.network import CellNetwork
from metasearch_trainer.tasks import DeviceImages, stream
from metasearch_trainer.torch_setup import prepare_torch
from reporting import Claim, parser, publish

PARAMETERS = 25_900
PAPER = {"transductive": 98.94, "non_transductive": 97.44}
"""Auto-Meta's small network on Omniglot, 5-way 1-shot, in percent (Kim et al. 2018, table 1)."""

OTHERS = "T-NAS++ 99.55, T-NAS 99.36 (24.3k parameters, transductive; Lian et al. 2020)"

WAYS = tuple(way.field for way in Classification)
"""The fields of an accuracy, one for each way to classify queries."""

OTHER_TASKS = (Task(ways=5, shots=5), Task(ways=20, shots=1), Task(ways=20, shots=5))
PUBLISHED = {
    (5, 5): "T-NAS++ 99.95, T-NAS 99.94; Reptile 99.48 (transductive)",
    (20, 1): "iMAML 96.18; Reptile 89.43, 88.14 not transductive",
    (20, 5): "Reptile 97.12, 96.65 not transductive",
}
"""Figures from papers, in percent, by ways and shots."""


def main() -> int:
    """Print the search's accuracies, and the same networks' on other tasks."""
    arguments = _arguments()
    prepare_torch()
    folder: Path = arguments.folder
    run = open_run(folder)
    result = run.result
    if result.delivered is None or result.delivered.cut_short:
        print(f"{folder} has no network that was trained to its end yet; go on with make headline", file=sys.stderr)
        return 1
    weights = [folder / WEIGHTS / file_name(trial) for trial in result.delivered.trials]
    spec = result.search.spec
    rows = [*_search_rows(result), *_other_rows(result, weights, arguments.tasks)]
    return publish(
        "headline",
        rows,
        _claims(result.delivered),
        arguments.json,
        cell=result.delivered.candidate.text,
        spec=spec.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        trials=result.trials.model_dump(),
        wall_seconds=result.spent.wall_seconds,
        validation_curves=_curves(run.trials),
        weights={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weights},
        published={
            "5-way 1-shot": f"Auto-Meta {PAPER}; {OTHERS}",
            **{f"{w}-way {s}-shot": t for (w, s), t in PUBLISHED.items()},
        },
    )


def _curves(trials: Iterable[Trial]) -> dict[str, list[tuple[int, float]]]:
    """Return the validation scores on the way of every final trial, by outer steps."""
    final = [(trial.name, trial.result) for trial in trials if trial.has_network]
    return {name: [(point.meta_iteration, point.score) for point in result.curve] for name, result in final if result}


def _search_rows(result: SearchResult) -> Iterator[dict[str, Any]]:
    task = result.search.spec.task
    named: list[tuple[str, FinalNetwork[float]]] = [("found", network) for network in result.final]
    named += [(each.name, each) for each in result.baselines]
    for name, network in named:
        accuracies = {each: getattr(network, each) for each in WAYS}
        yield _row(name, network.parameter_count, task, network.seeds, network.tasks, accuracies)


def _other_rows(result: SearchResult, weights: list[Path], tasks: int) -> Iterator[dict[str, Any]]:
    """Evaluate the delivered networks on tasks of other ways and shots."""
    spec, delivered = result.search.spec, result.delivered
    assert delivered is not None
    with ProcessPoolExecutor(spec.parallelism, get_context("spawn"), initializer=prepare_torch) as pool:
        pending = {
            task: [pool.submit(_evaluated, spec, path, task, tasks, seed) for seed, path in enumerate(weights)]
            for task in OTHER_TASKS
        }
        for task, evaluations in pending.items():
            seeds = [evaluation.result() for evaluation in evaluations]
            accuracies = {name: over_seeds([getattr(each, name) for each in seeds]) for name in WAYS}
            yield _row("found", delivered.parameter_count, task, len(weights), tasks, accuracies)


def _evaluated(spec: MetaSearchSpec, weights: Path, task: Task, tasks: int, seed: int) -> Accuracies:
    """Evaluate the network of a file of weights on test classes; `seed` is of the tasks."""
    cpu = torch.device("cpu")
    delivered, test = load_weights(weights, cpu), DeviceImages(load(spec).test, cpu)
    recipe = delivered.description.recipe.model_copy(update={"task": task})
    found = delivered.learner.network
    assert isinstance(found, CellNetwork)
    # As many filters as it has: with another classifier, a limit of parameters would leave it other ones.
    space = delivered.description.space.model_copy(update={"filters": found.filters, "max_parameters": None})
    network = replace(delivered.description, recipe=recipe, space=space).network()
    # The classifier is made of prototypes, so only its place in theta changes with the number of ways.
    body = delivered.state.theta[: -found.head.size]
    theta = torch.cat([body, body.new_zeros(network.head.size)])
    state = State({**delivered.state.tensors, THETA: theta}, delivered.state.integers)
    learner = build(recipe, network, cpu)
    return evaluate(learner, state, test, recipe, tasks, stream("headline", task.ways, task.shots, seed)).accuracies


def _row(
    network: str, parameters: int, task: Task, seeds: int, tasks: int, accuracies: dict[str, Estimate[float]]
) -> dict[str, Any]:
    shown: dict[str, str] = {}
    for name, estimate in accuracies.items():
        shown |= {name: f"{100 * estimate.accuracy:.2f} ± {100 * estimate.interval:.2f}"}
    return {
        "network": network,
        "parameters": parameters,
        "task": f"{task.ways}-way {task.shots}-shot",
        "seeds": seeds,
        "tasks each": tasks,
        **shown,
    }


def _claims(delivered: FoundNetwork[float]) -> list[Claim]:
    claims = [
        Claim(
            f"{name.replace('_', '-')} {100 * getattr(delivered, name).accuracy:.2f}, at least {paper}, Auto-Meta's",
            100 * getattr(delivered, name).accuracy >= paper,
        )
        for name, paper in PAPER.items()
    ]
    few = f"{delivered.parameter_count:,} parameters, at most {PARAMETERS:,}"
    return [*claims, Claim(few, delivered.parameter_count <= PARAMETERS), Claim("3 seeds", len(delivered.trials) >= 3)]


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("folder", type=Path, help="of a finished search whose learner is Prototypes")
    made.add_argument("--tasks", type=int, default=400, help="tasks of other ways and shots, per seed; default: 400")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
