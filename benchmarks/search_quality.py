"""
Compare search methods by the best network that they find in a number of trials, on a table of trained networks.

    python benchmarks/search_quality.py                             NAS-Bench-Macro, about ten minutes on two cores
    python benchmarks/search_quality.py --table my.json --filler 0  any other table of layer sequences

MetaSearch's strategies run through its planner, as in any search, with scores from the table. A trial is a look-up. The
strategies never propose a network twice; TPE may, and the repeat counts as a trial unless `--free-repeats` is given.
The command fails when a claim below does not hold.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import zip_longest
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

import layer_table
from layer_table import Layers, LayerTable
from metasearch import api
from metasearch.errors import MetaSearchError
from metasearch.search import planner, strategies, surrogates
from metasearch.search.ranking import ranking_quality
from metasearch.search.trials import State, Trial, TrialResult, TrialSpec, by_round, claim, complete
from reporting import Claim, parser, publish

NAS_BENCH_MACRO = Path(__file__).parent / "data" / "nas-bench-macro" / "nas-bench-macro.json"

ASKED_PER_TRIAL = 10
"""The most look-ups per trial of a method with free repeats, without which plain TPE would repeat itself for ever."""


class Method(StrEnum):
    """A search method."""

    LSTM = "Progressive LSTM"
    MLP = "Progressive MLP"
    RANDOM = "Random"
    TPE = "TPE"
    MULTIVARIATE_TPE = "Multivariate TPE"
    EVOLUTION = "Evolution"
    LOCAL_SEARCH = "LocalSearch"


MOST_REGRET = {(Method.LSTM, 35): 0.02, (Method.LSTM, 75): 0.0}
"""The claims on NAS-Bench-Macro: the most median regret, in accuracy points, by method and trials."""


@dataclass(frozen=True)
class Task:
    """One search."""

    method: Method
    trials: int
    seed: int


@dataclass(frozen=True)
class Outcome:
    """The best network that a search found, and what the search cost."""

    task: Task
    look_ups: int
    regret: float
    """The accuracy of the table's best network less that of the best one found, in accuracy points."""
    rank: int
    """The rank of the best network found, 1 for the table's best."""
    seconds: float
    spearman: tuple[float | None, ...] = ()
    """The rank correlation of predictions and scores in each round from the second; empty except for Progressive."""


# --- our own searches ---------------------------------------------------------------------------------------------


def beam_width(table: LayerTable, trials: int) -> int:
    """
    Return the narrowest beam that spends all trials, or one less where the last round would then get none of them.

    Every network tried grows on in the next round, by itself as the child that ends in the filler. So a round has as
    many new children as there have been trials times the choices beside the filler; it tries them all, or the beam.
    """

    def tried(beam: int, size: int) -> int:
        total = len(table.choices[0])
        for choices in table.choices[1:size]:
            total += min(beam, total * (len(choices) - 1))
        return total

    enough = next((beam for beam in range(1, trials) if tried(beam, table.max_size) >= trials), trials)
    return enough if tried(enough, table.max_size - 1) < trials else max(1, enough - 1)


def run_search(table: LayerTable, search: api.Search, trials: int, seed: int) -> list[Trial]:
    """Run the search stage through the planner, and return its trials with their scores."""
    wanted = api.MetaSearchSpec(
        dataset=api.Dataset(name=api.DatasetName.OMNIGLOT),
        # A table has one score for each network: neither a part of a training nor a second one says anything.
        search=search.model_copy(
            update={"early_stopping": api.EarlyStopping(rule=api.EarlyStoppingRule.NEVER), "confirmations": 0}
        ),
        budget=api.Budget(max_trials=trials),
        parallelism=1,
        seed=seed,
    )
    strategy = strategies.build(wanted, table, surrogates.factory(wanted.search.surrogate, table))
    planned = planner.Search("table", wanted, table, strategy, started_at=0.0)
    done: list[Trial] = []
    while (step := planner.plan(planned, done, now=0.0)).phase is planner.Phase.SEARCHING:
        assert step.propose, "no trial is under way, so the planner has nothing to wait for"
        done += [_looked_up(table, trial) for trial in step.propose]
    return done


def _looked_up(table: LayerTable, wanted: TrialSpec) -> Trial:
    running = claim(Trial(spec=wanted), "table", now=0.0, gpus=0.0)
    result = TrialResult(state=State.SUCCEEDED, score=table.score(table.read(wanted.candidate)))
    return complete(running, running.epoch, result, now=0.0, max_attempts=1)


def spearman_by_round(trials: Sequence[Trial]) -> tuple[float | None, ...]:
    """Return the rank correlation of predicted and measured scores, in [-1, 1], of each round with predictions."""
    return tuple(
        ranking_quality(
            [trial.spec.predicted for trial in round if trial.spec.predicted is not None],
            [trial.score for trial in round if trial.score is not None],
        ).spearman
        for round in by_round(trials)
        if any(trial.spec.predicted is not None for trial in round)
    )


# --- the others ---------------------------------------------------------------------------------------------------


def ask_tpe(table: LayerTable, multivariate: bool, seed: int) -> Iterator[Layers]:
    """Yield the networks that Optuna's TPE suggests with its defaults; it learns the score of each before the next."""
    import optuna  # only this function needs it

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(multivariate=multivariate, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    while True:
        trial = study.ask()
        layers = tuple(
            trial.suggest_categorical(f"layer {place}", choices) for place, choices in enumerate(table.choices)
        )
        yield layers
        study.tell(trial, table.score(layers))


def take(asked: Iterator[Layers], trials: int, free_repeats: bool) -> list[Layers]:
    """Return the networks that a method suggests until its trials are spent."""
    networks: list[Layers] = []
    for network in asked:
        networks.append(network)
        spent = len(set(networks)) if free_repeats else len(networks)
        if spent == trials or len(networks) == ASKED_PER_TRIAL * trials:
            break
    return networks


# --- one search ---------------------------------------------------------------------------------------------------


def run(table: LayerTable, free_repeats: bool, task: Task) -> Outcome:
    """Search once."""
    started = time.perf_counter()
    spearman: tuple[float | None, ...] = ()
    match task.method:
        case Method.LSTM | Method.MLP | Method.RANDOM | Method.EVOLUTION | Method.LOCAL_SEARCH:
            trials = run_search(table, _search_spec(table, task), task.trials, task.seed)
            spearman = spearman_by_round(trials)
            networks = [table.read(trial.spec.candidate) for trial in trials]
        case Method.TPE | Method.MULTIVARIATE_TPE:
            multivariate = task.method is Method.MULTIVARIATE_TPE
            networks = take(ask_tpe(table, multivariate, task.seed), task.trials, free_repeats)
    seconds = time.perf_counter() - started
    best = max(map(table.score, networks))
    regret = 100 * (table.best_score - best)
    return Outcome(task, len(networks), regret, table.rank(best), seconds, spearman)


def _search_spec(table: LayerTable, task: Task) -> api.Search:
    if task.method in (Method.RANDOM, Method.EVOLUTION, Method.LOCAL_SEARCH):
        return api.Search(strategy=task.method)
    surrogate = "LSTM" if task.method is Method.LSTM else "MLP"
    return api.Search(
        strategy="Progressive",
        progressive=api.ProgressiveSearchSettings(beam_width=beam_width(table, task.trials)),
        surrogate=api.Surrogate(type=surrogate),
    )


# --- all searches -------------------------------------------------------------------------------------------------


def run_all(table: LayerTable, tasks: Sequence[Task], free_repeats: bool, jobs: int) -> list[Outcome]:
    """Return every task's outcome, in the tasks' order. Only the seconds depend on the number of jobs."""
    with ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (1,)) as processes:
        outcomes = processes.map(partial(run, table, free_repeats), tasks)
        progress = Console(stderr=True)
        return list(track(outcomes, "searching", total=len(tasks), console=progress, transient=True))


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Summarize the outcomes of each method and number of trials over all seeds; regrets are in accuracy points."""
    groups: dict[tuple[int, Method], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.task.trials, outcome.task.method), []).append(outcome)
    return [_row(*task, group) for task, group in groups.items()]


def _row(trials: int, method: Method, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    lower, median, upper = np.quantile([outcome.regret for outcome in outcomes], (0.25, 0.5, 0.75)).round(4).tolist()
    return {
        "trials": trials,
        "method": str(method),
        "median regret": median,
        "lower quartile": lower,
        "upper quartile": upper,
        "median rank": float(statistics.median(outcome.rank for outcome in outcomes)),
        "best found by": sum(outcome.rank == 1 for outcome in outcomes),
        "look-ups": float(statistics.median(outcome.look_ups for outcome in outcomes)),
        "seconds": statistics.median(outcome.seconds for outcome in outcomes),
        "Spearman in rounds 2, 3, …": [_mean(round) for round in zip_longest(*(each.spearman for each in outcomes))],
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(statistics.fmean(known), 2) if known else None


def judged(found: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return the claims about methods and numbers of trials that are among the rows."""
    return [
        Claim(
            f"{method} has a median regret of {row['median regret']:.3f} after {trials} trials, at most {most:.2f}",
            row["median regret"] <= most,
        )
        for (method, trials), most in MOST_REGRET.items()
        for row in found
        if (row["method"], row["trials"]) == (method, trials)
    ]


# --- the command --------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every search, print and write what they found, judge it where the table is NAS-Bench-Macro."""
    options = _parser().parse_args(arguments)
    try:
        table = layer_table.load(
            options.table, score_field=options.score_field, separator=options.separator, filler=options.filler
        )
    except MetaSearchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{options.table.name}: {len(table):,} networks of {table.max_size} layers; filler {table.filler}")
    tasks = [
        Task(method, trials, seed) for trials in options.trials for method in Method for seed in range(options.seeds)
    ]
    started = time.perf_counter()
    found = rows(run_all(table, tasks, options.free_repeats, options.jobs))
    print(f"{len(tasks):,} searches, {options.seeds} of a kind, took {time.perf_counter() - started:.0f} s")
    is_known = options.table == NAS_BENCH_MACRO and table.filler == "0"
    return publish("search_quality", found, judged(found) if is_known else [], options.json)


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--table", type=Path, default=NAS_BENCH_MACRO, help="JSON file; default: NAS-Bench-Macro")
    made.add_argument("--filler", help="choice for the layers not fixed yet; default: the first that all layers offer")
    made.add_argument("--separator", default="", help='what stands between layers, such as "-"; default: nothing')
    made.add_argument("--score-field", default="mean_acc", help="field of the accuracy; default: mean_acc")
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
