"""
Compare search methods by the best network that they find in a number of trials, on a table of trained networks.

    python benchmarks/search_quality.py                                            NAS-Bench-Macro
    python benchmarks/search_quality.py --lines Random LocalSearch "Progressive, Ridge"      a minute on one core
    python benchmarks/search_quality.py --table my.csv --separator - --score-field valid --test-field test

A trial is a look-up. For every seed the order of the layers and the order of the choices are drawn anew, so no method
gains by those of the file. A progressive search tries one uniform network for each choice first, and then fixes layer
after layer: what the other layers have is what those trials favour. These trials count as all do. `table_file.py` says
what a file must hold, `layer_table.py` how its networks grow.

The strategies run through the planner, as in any search, and never propose a network twice; TPE may, and the repeat
counts as a trial unless `--free-repeats` is given. The command fails where a line is better than ours.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import table_file
from layer_table import LayerTable, Network
from metasearch import api
from metasearch.errors import MetaSearchError
from metasearch.search import planner, strategies, surrogates
from metasearch.search.surrogates import Candidates, Observations
from metasearch.search.surrogates.base import Scores
from metasearch.search.trials import State, TrialResult, TrialSpec
from reporting import Claim, parser, publish
from simulation import simulate

NAS_BENCH_MACRO = Path(__file__).parent / "data" / "nas-bench-macro" / "nas-bench-macro.json"

ASKED_PER_TRIAL = 10
"""The most look-ups per trial of a method with free repeats, without which plain TPE would repeat itself for ever."""

OURS = "Progressive"
"""The default strategy with the default surrogate."""

WITHOUT_SURROGATE = "Progressive, parent's score"
FROM_UNIFORM = "LocalSearch, uniform first"

SEARCHES: dict[str, dict[str, Any]] = {
    OURS: {"strategy": "Progressive"},
    "Progressive, Ridge": {"strategy": "Progressive", "surrogate": {"type": "Ridge"}},
    WITHOUT_SURROGATE: {"strategy": "Progressive"},
    "LocalSearch": {"strategy": "LocalSearch"},
    FROM_UNIFORM: {"strategy": "LocalSearch"},
    "Evolution": {"strategy": "Evolution"},
    "Random": {"strategy": "Random"},
}
"""Settings of `spec.search`."""

TPE: dict[str, bool] = {"TPE": False, "Multivariate TPE": True}
"""Optuna's methods, and whether each is multivariate."""

LINES = (*SEARCHES, *TPE)


@dataclass(frozen=True)
class Task:
    """One search."""

    line: str
    trials: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """The network with the best validation score that a search found, and what the search cost."""

    task: Task
    look_ups: int
    regret: float
    """The best validation score of the table less that of the network found, in points."""
    test_regret: float | None
    """The same of test scores; None where they are not known."""
    rank: int
    """The rank of the network found by validation score, 1 for the table's best."""
    seconds: float


# --- our own searches ---------------------------------------------------------------------------------------------


class ParentScore:
    """A surrogate that learns nothing: a candidate is worth what its parent scored, or the mean where none has."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> ParentScorePredictor:  # noqa: ARG002
        return ParentScorePredictor(observations.scores)


class ParentScorePredictor:
    """Predicts as `ParentScore` says."""

    description = "the parent's score"

    def __init__(self, scores: Scores) -> None:
        self._mean = float(scores.mean())
        self.left_out: Scores = np.full(len(scores), np.nan)

    def predict(self, candidates: Candidates) -> Scores:
        parents = candidates.parent_scores
        return np.where(np.isnan(parents), self._mean, parents)


def run_search(table: LayerTable, task: Task) -> list[Network]:
    """Run the search stage through the planner, and return the networks in the order in which they were tried."""
    search = dict(SEARCHES[task.line])
    if task.line == FROM_UNIFORM:
        search["initial"] = [table.key(each) for each in table.smallest()][: task.trials]
    spec = api.MetaSearchSpec.model_validate(
        {
            "dataset": {"name": "omniglot"},
            # A table has one score for each network: neither a part of a training nor a second one says anything.
            "search": {**search, "earlyStopping": {"rule": "Never"}, "confirmations": 0},
            "budget": {"maxTrials": task.trials},
            "parallelism": 1,
            "seed": task.seed,
        }
    )
    surrogate = ParentScore if task.line == WITHOUT_SURROGATE else surrogates.factory(spec.search.surrogate, table)
    planned = planner.Search("table", spec, table, strategies.build(spec, table, surrogate), started_at=0.0)

    def looked_up(wanted: TrialSpec) -> TrialResult:
        return TrialResult(state=State.SUCCEEDED, score=table.score(table.read(wanted.candidate)))

    return [table.read(each.trial.spec.candidate) for each in simulate(planned, looked_up)]


# --- the others ---------------------------------------------------------------------------------------------------


def ask_tpe(table: LayerTable, multivariate: bool, seed: int) -> Iterator[Network]:
    """Yield the networks that Optuna's TPE suggests with its defaults; it learns the score of each before the next."""
    import optuna  # only this function needs it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(multivariate=multivariate, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while True:
        trial = study.ask()
        layers = [trial.suggest_categorical(f"layer {place}", each) for place, each in enumerate(table.choices)]
        network = Network(tuple(layers), len(layers))
        yield network
        study.tell(trial, table.score(network))


def take(asked: Iterator[Network], trials: int, free_repeats: bool) -> list[Network]:
    """Return the networks that a method suggests until its trials are spent."""
    networks: list[Network] = []
    for network in asked:
        networks.append(network)
        spent = len(set(networks)) if free_repeats else len(networks)
        if spent == trials or len(networks) == ASKED_PER_TRIAL * trials:
            break
    return networks


# --- all searches -------------------------------------------------------------------------------------------------


def run(table: LayerTable, free_repeats: bool, task: Task) -> Outcome:
    """Search once, in the table with an order of its own for the seed."""
    shuffled = table.shuffled(task.seed)
    started = time.perf_counter()
    if task.line in TPE:
        networks = take(ask_tpe(shuffled, TPE[task.line], task.seed), task.trials, free_repeats)
    else:
        networks = run_search(shuffled, task)
    return outcome(shuffled, task, networks, time.perf_counter() - started)


def outcome(table: LayerTable, task: Task, networks: Sequence[Network], seconds: float) -> Outcome:
    """Judge what a search has tried."""
    found = max(networks, key=table.score)  # of equal ones the first that was tried
    test = table.test(found)
    return Outcome(
        task=task,
        look_ups=len(networks),
        regret=100 * (table.best_score - table.score(found)),
        test_regret=None if test is None or table.best_test is None else 100 * (table.best_test - test),
        rank=table.rank(table.score(found)),
        seconds=seconds,
    )


def run_all(table: LayerTable, tasks: Sequence[Task], free_repeats: bool, jobs: int) -> list[Outcome]:
    """Return every task's outcome, in the tasks' order. Only the seconds depend on the number of jobs."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as processes:
        outcomes = processes.map(partial(run, table, free_repeats), tasks)
        progress = Console(stderr=True)
        return list(track(outcomes, "searching", total=len(tasks), console=progress, transient=True))


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Summarize the outcomes of each line and number of trials over all seeds; regrets are in points."""
    groups: dict[tuple[int, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.task.trials, each.task.line), []).append(each)
    return [_row(*task, group) for task, group in groups.items()]


def _row(trials: int, line: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    tests = [each.test_regret for each in outcomes if each.test_regret is not None]
    return {
        "trials": trials,
        "line": line,
        "seeds": len(outcomes),
        **_quartiles("regret", [each.regret for each in outcomes]),
        **(_quartiles("test regret", tests) if tests else {}),
        "median rank": float(statistics.median(each.rank for each in outcomes)),
        "best found by": sum(each.rank == 1 for each in outcomes),
        "look-ups": float(statistics.median(each.look_ups for each in outcomes)),
        "seconds": statistics.median(each.seconds for each in outcomes),
    }


def _quartiles(name: str, values: Sequence[float]) -> dict[str, float]:
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75)).round(4).tolist()
    return {
        name: median,
        "25%" if name == "regret" else "test 25%": lower,
        "75%" if name == "regret" else "test 75%": upper,
    }


def judged(found: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return a claim for each number of trials: ours is no worse than the best of the others, within its quartiles."""
    claims = []
    for ours in (row for row in found if row["line"] == OURS):
        others = [row for row in found if row["trials"] == ours["trials"] and row["line"] != OURS]
        if not others:
            continue
        best = min(others, key=lambda row: (row["regret"], row["75%"]))
        claims.append(
            Claim(
                f"after {ours['trials']} trials ours has a median regret of {ours['regret']:.3f}; the best other line, "
                f"{best['line']}, has {best['regret']:.3f} ({best['25%']:.3f} to {best['75%']:.3f})",
                ours["regret"] <= best["75%"],
            )
        )
    return claims


# --- the command --------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every search, print and write what they found, and judge it."""
    options = _parser().parse_args(arguments)
    fields = table_file.Fields(options.score_field, options.test_field, options.cost_field)
    try:
        table = table_file.load(options.table, fields, options.separator)
    except MetaSearchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{options.table.name}: {len(table):,} networks of {len(table.choices)} layers")
    tasks = [
        Task(line, trials, seed) for trials in options.trials for line in options.lines for seed in range(options.seeds)
    ]
    started = time.perf_counter()
    found = rows(run_all(table, tasks, options.free_repeats, options.jobs))
    print(f"{len(tasks):,} searches, {options.seeds} of a kind, took {time.perf_counter() - started:.0f} s")
    return publish("search_quality", found, judged(found), options.json)


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--table", type=Path, default=NAS_BENCH_MACRO, help="CSV or JSON; default: NAS-Bench-Macro")
    made.add_argument("--separator", default="", help='what stands between layers, such as "-"; default: nothing')
    made.add_argument("--score-field", default="mean_acc", help="field of the validation score; default: mean_acc")
    made.add_argument("--test-field", help="field of the test score; default: none")
    made.add_argument("--cost-field", default="params", help="field of the size, which may be missing; default: params")
    made.add_argument("--lines", nargs="+", choices=LINES, default=list(LINES), help="default: all")
    made.add_argument("--trials", type=_numbers, default=(35, 75, 100, 150), help="default: 35,75,100,150")
    made.add_argument("--seeds", type=_positive, default=20, help="searches of a kind; default: 20")
    made.add_argument("--free-repeats", action="store_true", help="only different networks count as trials")
    made.add_argument("--jobs", type=_positive, default=2, help="processes; default: 2")
    return made


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(_positive, text.split(",")))


if __name__ == "__main__":
    sys.exit(main())
