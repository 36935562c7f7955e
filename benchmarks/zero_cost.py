"""
Find out what zero-cost proxies tell of cells that were really trained, as a ranking, a screening and as features.

    python benchmarks/zero_cost.py                       both learners, 50 seeds; ten minutes on one core
    python benchmarks/zero_cost.py --learners Reptile --seeds 5

The cells are those of `cell_table.py`, the proxies those of `proxies.py`: of an untrained network and one meta-batch of
Omniglot's train classes, 16 tasks of 10 images. They are taken several times, each time with other weights and images,
which says what of a proxy is chance. They stand beside what costs nothing, a network's sizes, and beside what
screening looks at, the training loss of the first outer steps.

Intervals are of 95%: over cells drawn anew with replacement, or, where so said, the middle 95% of the draws.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean, median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import track
from scipy.stats import rankdata
from torch import Generator

from cell_table import LEARNERS, SPACE
from measured_cells import MeasuredCells, MeasuredSpace
from metasearch.api import Task, Training
from metasearch.search.cells import parse_cell
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.surrogates.least_squares import fit_ridge
from metasearch.search.surrogates.ridge import RidgeSurrogate
from metasearch_trainer.data import omniglot
from metasearch_trainer.metalearners import build
from metasearch_trainer.network import cell_network
from metasearch_trainer.recipe import Recipe
from metasearch_trainer.tasks import DeviceImages, sample_tasks, stream
from proxies import PROXIES, Batch
from real_cells import BEST_SHARE, search_of, seconds_of
from reporting import Claim, parser, publish

Floats = npt.NDArray[np.float64]

TIMES = 3
"""The number of times that proxies are taken, each with other weights and images."""

RESAMPLES = 2000
"""Draws of cells for an interval."""

LEARNED_FROM, SPLITS = (24, 60), 50
"""Random cells from which Ridge learns to predict the others, and the draws of them."""

SEARCH = "Progressive, Ridge"
"""The search, of those in `real_cells.py`, whose surrogate is given proxies as features."""

GOES_ON = 8
"""One in so many of the screened is trained on, as with the default of `search.screening`."""


@dataclass(frozen=True)
class Figure:
    """A figure of every cell that may say how good it is."""

    name: str
    values: tuple[Mapping[str, float], ...]
    """By cell; several where it was taken several times."""
    seconds: float
    """CPU time to take it once, the median over cells of three blocks."""
    again: Mapping[str, float] | None = None
    """Its values with another seed where there are some, of fewer cells, and `values` has one time only."""

    def of(self, cells: Sequence[str]) -> Floats:
        """Return the values of some cells, (times, cells)."""
        return np.array([[each[cell] for cell in cells] for each in self.values])

    @property
    def reliability(self) -> float | None:
        """The rank correlation of the cells of three blocks with themselves, taken another time; None where exact."""
        if self.again is not None:
            cells = list(self.again)
            return correlation(self.of(cells)[0], np.array([self.again[cell] for cell in cells]))
        values = self.of([cell for cell in self.values[0] if "|" in cell])
        pairs = [(first, second) for first in range(len(values)) for second in range(first)]
        return fmean(correlation(values[first], values[second]) for first, second in pairs) if pairs else None


def main() -> int:
    """Print all tables."""
    arguments = _arguments()
    tables = [MeasuredCells.of(learner) for learner in arguments.learners]
    taken = take_proxies(sorted({cell for table in tables for cell in table.search_trials}))
    rows: list[dict[str, Any]] = []
    features: list[dict[str, Any]] = []
    searches: list[dict[str, Any]] = []
    for learner, cells in zip(arguments.learners, tables, strict=True):
        figures = [*sizes(cells), *taken, *beginnings(cells)]
        rows += [{"learner": learner, **row} for row in rankings(cells, figures)]
        features += [{"learner": learner, **row} for row in as_features(cells, [*taken, *beginnings(cells)])]
        searches += [{"learner": learner, **row} for row in screenings(cells, figures, arguments.seeds)]
        searches += [{"learner": learner, **row} for row in surrogate_searches(cells, taken, arguments.seeds)]
    for title, table in (("as features of Ridge", features), ("seconds to one of the best 2%", searches)):
        publish(title, table, [], None)
    return publish("zero_cost", rows, _claims(), arguments.json, features=features, searches=searches)


def _claims() -> list[Claim]:
    return []


# --- figures ------------------------------------------------------------------------------------------------------


def take_proxies(cells: Sequence[str]) -> list[Figure]:
    """Take every proxy of every cell."""
    cpu = torch.device("cpu")
    images = DeviceImages(omniglot.load().train.rotated(4), cpu)
    recipe = Recipe(task=Task(), training=Training.model_validate(LEARNERS["Prototypes"].settings))
    values: dict[str, list[dict[str, float]]] = {name: [{} for _ in range(TIMES)] for name in PROXIES}
    seconds: dict[str, list[float]] = {name: [] for name in PROXIES}
    for cell in track(cells, "proxies", console=Console(stderr=True), transient=True):
        network = cell_network(parse_cell(cell).canonical, SPACE, 1, omniglot.SIDE, recipe.task.ways)
        learner = build(recipe, network, cpu)
        for seed in range(TIMES):
            theta = network.layout.initial(Generator().manual_seed(seed)).float()
            rng = stream("zero cost", seed)
            batch = Batch.of(
                images.tasks(sample_tasks(rng, images.images, learner.training_tasks, learner.meta_batch_size))
            )
            for name, proxy in PROXIES.items():
                started = time.process_time()
                values[name][seed][cell] = proxy(network, theta, batch)
                if "|" in cell:
                    seconds[name].append(time.process_time() - started)
    return [Figure(name, tuple(values[name]), median(seconds[name])) for name in PROXIES]


def sizes(cells: MeasuredCells) -> list[Figure]:
    """Return what costs nothing."""
    trainings = cells.search_trials
    return [
        Figure("log parameters", ({cell: log(each.parameters) for cell, each in trainings.items()},), 0.0),
        Figure("log multiply-adds", ({cell: log(each.multiply_adds) for cell, each in trainings.items()},), 0.0),
    ]


def beginnings(cells: MeasuredCells) -> list[Figure]:
    """Return what a short training says: the loss of its first outer step or steps, and what screening goes by."""
    trainings, again = cells.search_trials, cells.second_seeds
    steps = next(iter(trainings.values())).first.meta_iteration
    whole = median(trainings[cell].first.training_seconds for cell in cells.pool)
    figures = []
    for count in (1, 3):
        first, second = (
            {cell: -fmean(each.training_loss[:count]) for cell, each in some.items()} for some in (trainings, again)
        )
        name = f"training loss of {count} outer step{'s' if count > 1 else ''}"
        figures.append(Figure(name, (first,), whole * count / steps, second))
    first, second = ({cell: each.beginning()[0] for cell, each in some.items()} for some in (trainings, again))
    # One name for both learners, whose beginnings are of 10 and of 12 outer steps.
    return [*figures, Figure("training loss of the beginning", (first,), whole, second)]


# --- rankings -----------------------------------------------------------------------------------------------------


def correlation(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of (cells,) and (cells,)."""
    return float(correlations(first[None], second[None])[0])


def correlations(first: Floats, second: Floats) -> Floats:
    """Return Spearman's rank correlation of each row of (rows, cells) with that of another, (rows,)."""
    ranks = [rankdata(each, axis=1) for each in (first, second)]
    one, other = (each - each.mean(1, keepdims=True) for each in ranks)
    found: Floats = (one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return found


def with_interval(values: Floats, worth: Floats) -> list[float]:
    """
    Return the mean rank correlation of several times with what cells are worth, and the ends of its interval.

    Args:
        values: (times, cells).
        worth: (cells,).
    """
    drawn = np.random.default_rng(0).integers(len(worth), size=(RESAMPLES, len(worth)))
    resampled = np.mean([correlations(each[drawn], worth[drawn]) for each in values], axis=0)
    return [fmean(correlation(each, worth) for each in values), *np.quantile(resampled, [0.025, 0.975]).tolist()]


def given_sizes(values: Floats, worth: Floats, sizes: Floats) -> float:
    """Return the mean rank correlation of what the ranks of sizes, (sizes, cells), leave over of the ranks of both."""
    known = np.column_stack([np.ones(len(worth)), *rankdata(sizes, axis=1)])

    def left_over(each: Floats) -> Floats:
        ranks = rankdata(each)
        left: Floats = ranks - known @ np.linalg.lstsq(known, ranks, rcond=None)[0]
        return left

    return fmean(float(np.corrcoef(left_over(each), left_over(worth))[0, 1]) for each in values)


def known_from_features(space: MeasuredSpace, cells: Sequence[str], values: Floats) -> float:
    """Return the share of the variance of values (cells,) that a regression on the cells' features predicts."""
    features = space.features([parse_cell(cell).canonical for cell in cells])
    left_out = fit_ridge(features, values, np.ones(len(values))).left_out
    return 1 - float(np.mean((values - left_out) ** 2) / values.var())


def rankings(cells: MeasuredCells, figures: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    """Yield how well each figure ranks the cells of three blocks."""
    pool, long = cells.pool, [cell for cell in cells.pool if cell in cells.long]
    worth = np.array([cells.worth(cell) for cell in pool])
    long_worth = np.array([cells.long[cell].last.likelihood()[0] for cell in long])
    space = MeasuredSpace(cells, SPACE)
    by_size = np.concatenate([each.of(pool) for each in sizes(cells)])
    best = np.argsort(-worth)[: len(pool) // 10]
    for figure in figures:
        values = figure.of(pool)
        is_size = figure.name in {each.name for each in sizes(cells)}
        yield {
            "figure": figure.name,
            "seconds": figure.seconds,
            "with itself": figure.reliability,
            "whole": with_interval(values, worth),
            "four times as long": with_interval(figure.of(long), long_worth),
            "given sizes": None if is_size else given_sizes(values, worth, by_size),
            "known from features": fmean(known_from_features(space, pool, each) for each in values),
            "best tenth in its best quarter": fmean(
                len(set(best) & set(np.argsort(-each)[: len(pool) // 4])) / len(best) for each in values
            ),
        }


# --- features -----------------------------------------------------------------------------------------------------


def as_features(cells: MeasuredCells, figures: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    """Yield how well Ridge ranks the cells of three blocks with and without further features."""
    proxies = [each for each in figures if each.name in PROXIES]
    # Several at once are named by the last but one row.
    added = {"nothing": [], **{each.name: [each] for each in figures}, "all proxies": proxies}
    alone = _predictions(cells, [])
    worth = np.array([cells.worth(cell) for cell in cells.pool])
    for name, some in added.items():
        row: dict[str, Any] = {"with": name}
        for (key, before), (_, after) in zip(alone.items(), _predictions(cells, some).items(), strict=True):
            row[key] = fmean(correlation(each, worth[kept]) for each, kept in after)
            if some:
                row[f"{key}: gain"] = _gain(before, after, worth, over_cells=key == "one-block cells")
            else:
                row[f"{key}: gain"] = None
        yield row


Prediction = tuple[Floats, npt.NDArray[np.int64]]
"""Predicted scores of some of the cells, and which cells they are."""


def _gain(before: Sequence[Prediction], after: Sequence[Prediction], worth: Floats, over_cells: bool) -> list[float]:
    """Return the mean gain in rank correlation, and its interval, over cells or over splits."""
    gains = np.array(
        [
            correlation(new, worth[kept]) - correlation(old, worth[kept])
            for (old, kept), (new, _) in zip(before, after, strict=True)
        ]
    )
    if over_cells:
        drawn = np.random.default_rng(0).integers(len(worth), size=(RESAMPLES, len(worth)))
        spread = np.mean(
            [
                correlations(new[drawn], worth[drawn]) - correlations(old[drawn], worth[drawn])
                for (old, _), (new, _) in zip(before, after, strict=True)
            ],
            axis=0,
        )
    else:
        spread = gains
    return [float(gains.mean()), *np.quantile(spread, [0.025, 0.975]).tolist()]


def _predictions(cells: MeasuredCells, added: Sequence[Figure]) -> dict[str, list[Prediction]]:
    """Return Ridge's predictions, by what it has learned from; a figure's times take turns."""
    spaces = [MeasuredSpace(cells, SPACE, added_features(cells, added, turn)) for turn in range(TIMES)]
    everything = np.arange(len(cells.pool))
    predictions = {
        "one-block cells": [(_predicted(cells, space, cells.one_block, cells.pool), everything) for space in spaces]
    }
    for count in LEARNED_FROM:
        made: list[Prediction] = []
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(len(cells.pool))
            learned, kept = ([cells.pool[index] for index in part] for part in (order[:count], order[count:]))
            made.append((_predicted(cells, spaces[split % TIMES], learned, kept), order[count:]))
        predictions[f"{count} random cells"] = made
    return predictions


def added_features(cells: MeasuredCells, figures: Sequence[Figure], turn: int) -> dict[str, list[float]] | None:
    """Return further features of every cell, each figure as it was taken one of the times; None without figures."""
    if not figures:
        return None
    return {
        cell: [figure.values[turn % len(figure.values)][cell] for figure in figures] for cell in cells.search_trials
    }


def _predicted(cells: MeasuredCells, space: MeasuredSpace, learned: Sequence[str], asked: Sequence[str]) -> Floats:
    def candidates(some: Sequence[str]) -> Candidates:
        return Candidates.of(space, [parse_cell(cell).canonical for cell in some], [np.nan] * len(some))

    scores, errors = np.array([cells.search_trials[cell].last.likelihood() for cell in learned]).T
    rounds = np.ones(len(learned), dtype=np.int64)
    observations = Observations(candidates=candidates(learned), scores=scores, errors=errors, rounds=rounds)
    return RidgeSurrogate().fit(observations, seed=(0,)).predict(candidates(asked))


# --- searches -----------------------------------------------------------------------------------------------------


def screenings(cells: MeasuredCells, figures: Sequence[Figure], seeds: int) -> Iterator[dict[str, Any]]:
    """
    Yield how soon figures alone lead to one of the best.

    Cells come in random order and one in eight goes on by its figure, or all of them are looked at before any training.
    """
    for figure in [None, *figures]:
        found = [_screened(cells, figure, seed) for seed in range(seeds)]
        yield _search_row(f"random cells, by {figure.name}" if figure else "random cells, all trained", found)
    for figure in figures:
        looking = figure.seconds * len(cells.pool)
        found = [
            looking + _trained_until_best(cells, sorted(cells.pool, key=values.__getitem__, reverse=True))
            for values in figure.values
        ]
        yield _search_row(f"all cells, best first by {figure.name}", found)


def _screened(cells: MeasuredCells, figure: Figure | None, seed: int) -> float:
    """Return the seconds of one worker; once all cells have been looked at, the best of the others are trained on."""
    best, order = cells.best(BEST_SHARE), np.random.default_rng(seed).permutation(cells.pool).tolist()
    if figure is None:
        return _trained_until_best(cells, order)
    values = figure.values[seed % len(figure.values)]
    seconds, waiting = 0.0, []
    for number, cell in enumerate(order, start=1):
        seconds += figure.seconds
        waiting.append(cell)
        if number % GOES_ON == 0:
            chosen = max(waiting, key=values.__getitem__)
            waiting.remove(chosen)
            seconds += _whole_seconds(cells, chosen)
            if chosen in best:
                return seconds
    waiting.sort(key=values.__getitem__, reverse=True)
    return seconds + _trained_until_best(cells, waiting)


def _trained_until_best(cells: MeasuredCells, order: Sequence[str]) -> float:
    best, seconds = cells.best(BEST_SHARE), 0.0
    for cell in order:
        seconds += _whole_seconds(cells, cell)
        if cell in best:
            break
    return seconds


def _whole_seconds(cells: MeasuredCells, cell: str) -> float:
    """Return the CPU time of a whole trial."""
    last = cells.search_trials[cell].last
    return last.training_seconds + last.seconds


def surrogate_searches(cells: MeasuredCells, proxies: Sequence[Figure], seeds: int) -> Iterator[dict[str, Any]]:
    """Yield how soon the search with Ridge meets one of the best, with proxies as features of all cells."""
    for name, some in {"": [], **{each.name: [each] for each in proxies}, "all proxies": proxies}.items():
        found = [
            seconds_of(cells, search_of(cells, SEARCH, seed, added_features(cells, some, seed)))
            for seed in range(seeds)
        ]
        # Ridge ranks all cells that there are, so the proxies of all of them are taken before its first prediction.
        taking = sum(figure.seconds for figure in some) * len(cells.search_trials)
        yield _search_row(f"{SEARCH}, with {name}" if name else SEARCH, [taking + each for each in found], taking)


def _search_row(name: str, seconds: Sequence[float], taking: float = 0.0) -> dict[str, Any]:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75]).tolist()
    return {"search": name, "seconds": middle, "25%": low, "75%": high, "of that proxies": taking}


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--seeds", type=int, default=50, help="searches of each kind; default: 50")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
