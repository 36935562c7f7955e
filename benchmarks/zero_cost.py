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
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from cell_figures import (
    ARITHMETIC,
    BEGINNING,
    TIMES,
    Figure,
    Floats,
    beginnings,
    correlation,
    correlations,
    sizes,
    take_proxies,
    whole_trials,
)
from cell_table import LEARNERS, SPACE
from measured_cells import MeasuredCells, MeasuredSpace, Training
from metasearch.search.cells import parse_cell
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.surrogates.least_squares import fit_ridge
from metasearch.search.surrogates.ridge import RidgeSurrogate
from real_cells import BEST_SHARE, search_of, seconds_of
from reporting import Claim, parser, publish

RESAMPLES = 2000
"""Draws of cells for an interval."""

LEARNED_FROM, SPLITS = (24, 60), 50
"""Random cells from which Ridge learns to predict the others, and the draws of them."""

SEARCH = "Progressive, Ridge"
"""The search, of those in `real_cells.py`, whose surrogate is given proxies as features."""

GOES_ON = 8
"""One in so many of the screened is trained on, as with the default of `search.screening`."""


SCORES: dict[str, Callable[[Training], tuple[float, float]]] = {
    "one-block cells": lambda training: training.last.likelihood(),
    "their beginnings": Training.beginning,
}
"""Scores of the cells of one block, with their errors, from which Ridge learns to predict those of three."""

FILTERS = (0.5, 0.25)
"""Shares of the cells, the best by a figure, to which a screening by beginnings is confined."""


def main() -> int:
    """Print all tables, and whether what the documentation says holds."""
    arguments = _arguments()
    tables = {learner: MeasuredCells.of(learner) for learner in arguments.learners}
    taken = take_proxies(sorted({cell for cells in tables.values() for cell in cells.search_trials}))
    rows: list[dict[str, Any]] = []
    features: list[dict[str, Any]] = []
    searches: list[dict[str, Any]] = []
    claims = [_arithmetic_claim(next(iter(tables.values())), taken)]
    for learner, cells in tables.items():
        begun = beginnings(cells)
        ranked = list(rankings(cells, [*sizes(cells), *taken, *begun, whole_trials(cells), *ridges(cells)]))
        gained = list(as_features(cells, taken, begun))
        claims += _claims(learner, ranked, gained, {each.name for each in taken})
        rows += [{"learner": learner, **row} for row in ranked]
        features += [{"learner": learner, **row} for row in gained]
        searches += [{"learner": learner, **row} for row in screenings(cells, [*taken, *begun], arguments.seeds)]
        searches += [{"learner": learner, **row} for row in surrogate_searches(cells, taken, arguments.seeds)]
    for title, table in (("as features of Ridge", features), ("seconds to one of the best 2%", searches)):
        publish(title, table, [], None)
    return publish("zero_cost", rows, claims, arguments.json, features=features, searches=searches)


def _arithmetic_claim(cells: MeasuredCells, taken: Sequence[Figure]) -> Claim:
    arithmetic, measured = (
        next(figure for figure in taken if figure.name == name).of(cells.pool) for name in (ARITHMETIC, "synflow")
    )
    alike = fmean(correlation(arithmetic[0], each) for each in measured)
    return Claim(f"the expected synflow ranks cells as synflow does, with {alike:.3f}, at least .95", alike >= 0.95)


def _claims(
    learner: str, ranked: Sequence[dict[str, Any]], gained: Sequence[dict[str, Any]], proxies: set[str]
) -> Iterator[Claim]:
    whole = {row["figure"]: row["whole"][0] for row in ranked}
    ours, size, begun = whole[ARITHMETIC], whole["log parameters"], whole[BEGINNING]
    yield Claim(
        f"{learner}: the expected synflow ranks with {ours:.2f}, at least .1 above the number of parameters",
        ours - size >= 0.1,
    )
    best = max(whole[name] for name in proxies)
    yield Claim(
        f"{learner}: the best proxy has {best:.2f}, a beginning {begun:.2f}, at least .05 more", begun - best >= 0.05
    )
    most = max(
        row[f"{count} random cells: gain"][0] for row in gained if row["with"] in proxies for count in LEARNED_FROM
    )
    yield Claim(f"{learner}: no proxy adds .05 to Ridge from random cells; the most is {most:.3f}", most < 0.05)


# --- rankings -----------------------------------------------------------------------------------------------------


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


def beyond(values: Floats, worth: Floats, known: Floats) -> float:
    """Return the mean rank correlation of what the ranks of what is known, (figures, cells), leave of both ranks."""
    by = np.column_stack([np.ones(len(worth)), *rankdata(known, axis=1)])

    def left_over(each: Floats) -> Floats:
        ranks = rankdata(each)
        left: Floats = ranks - by @ np.linalg.lstsq(by, ranks, rcond=None)[0]
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
    worth, worth_of_long = (np.array([cells.worth(cell) for cell in some]) for some in (pool, long))
    after_long = np.array([cells.long[cell].last.likelihood()[0] for cell in long])
    by_size, space = np.concatenate([each.of(pool) for each in sizes(cells)]), MeasuredSpace(cells, SPACE)
    best, best_quarter = (np.argsort(-worth)[: len(pool) // each] for each in (10, 4))
    for figure in figures:
        values = figure.of(pool)
        is_size, is_worth = figure.name in {each.name for each in sizes(cells)}, np.array_equal(values[0], worth)
        yield {
            "figure": figure.name,
            "seconds": figure.seconds,
            "with itself": figure.reliability,
            "whole": with_interval(values, worth),
            "four times as long": with_interval(figure.of(long), after_long),
            "whole, given sizes": None if is_size else beyond(values, worth, by_size),
            "long, given whole": None if is_worth else beyond(figure.of(long), after_long, worth_of_long[None]),
            "whole, in the best quarter": fmean(
                correlation(each[best_quarter], worth[best_quarter]) for each in values
            ),
            "best tenth in its quarter": fmean(
                len(set(best) & set(np.argsort(-each)[: len(pool) // 4])) / len(best) for each in values
            ),
            "known from features": fmean(known_from_features(space, pool, each) for each in values),
        }


def ridges(cells: MeasuredCells) -> list[Figure]:
    """Return the predictions of Ridge from the cells of one block; what that cost is not among their seconds."""
    space, asked = MeasuredSpace(cells, SPACE), [*cells.one_block, *cells.pool]
    figures = []
    for name, score in SCORES.items():
        predicted = _predicted(cells, space, cells.one_block, asked, score)
        figures.append(Figure(f"Ridge, from {name}", (dict(zip(asked, predicted.tolist(), strict=True)),), 0.0))
    return figures


# --- features -----------------------------------------------------------------------------------------------------


def as_features(cells: MeasuredCells, proxies: Sequence[Figure], begun: Sequence[Figure]) -> Iterator[dict[str, Any]]:
    """Yield how well Ridge ranks the cells of three blocks with and without further features."""
    # Beginnings are there for comparison: what costs a training, if a short one.
    each_alone = {figure.name: [figure] for figure in (*proxies, *begun)}
    alone = _predictions(cells, [])
    worth = np.array([cells.worth(cell) for cell in cells.pool])
    for name, some in {"nothing": [], **each_alone, "all proxies": proxies}.items():
        row: dict[str, Any] = {"with": name}
        for (key, before), (_, after) in zip(alone.items(), _predictions(cells, some).items(), strict=True):
            row[key] = fmean(correlation(each, worth[kept]) for each, kept in after)
            row[f"{key}: gain"] = _gain(before, after, worth, over_cells=key in SCORES) if some else None
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
        name: [(_predicted(cells, space, cells.one_block, cells.pool, score), everything) for space in spaces]
        for name, score in SCORES.items()
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


def _predicted(
    cells: MeasuredCells,
    space: MeasuredSpace,
    learned: Sequence[str],
    asked: Sequence[str],
    score: Callable[[Training], tuple[float, float]] = SCORES["one-block cells"],
) -> Floats:
    """Return what Ridge predicts of some cells, (asked,), after it has learned from others."""

    def candidates(some: Sequence[str]) -> Candidates:
        return Candidates.of(space, [parse_cell(cell).canonical for cell in some], [np.nan] * len(some))

    scores, errors = np.array([score(cells.search_trials[cell]) for cell in learned]).T
    rounds = np.ones(len(learned), dtype=np.int64)
    observations = Observations(candidates=candidates(learned), scores=scores, errors=errors, rounds=rounds)
    return RidgeSurrogate().fit(observations, seed=(0,)).predict(candidates(asked))


# --- searches -----------------------------------------------------------------------------------------------------


def screenings(cells: MeasuredCells, figures: Sequence[Figure], seeds: int) -> Iterator[dict[str, Any]]:
    """
    Yield how soon random cells, of which one in eight goes on by a figure, have led to one of the best.

    Last are screenings by beginnings, of the cells alone that are among the best by another figure, one that is had
    before any training.
    """
    yield _search_row("random cells, all trained", [_screened(cells, None, seed) for seed in range(seeds)])
    for figure in (*sizes(cells), *figures):
        yield _search_row(f"random cells, by {figure.name}", [_screened(cells, figure, seed) for seed in range(seeds)])
    begun = next(figure for figure in figures if figure.name == BEGINNING)
    for figure in (*sizes(cells), *figures):
        for share in FILTERS if not figure.name.startswith("training") else ():
            # Cells that are not begun cost what it takes to look at them.
            looking = figure.seconds * len(cells.pool)
            found = [looking + _screened(cells, begun, seed, (figure, share)) for seed in range(seeds)]
            yield _search_row(f"best {share:.0%} by {figure.name}, by beginning", found, looking)


def _screened(
    cells: MeasuredCells, figure: Figure | None, seed: int, first: tuple[Figure, float] | None = None
) -> float:
    """
    Return the seconds of one worker; once all cells have been looked at, the best of the others are trained on.

    Args:
        figure: what goes on is chosen by it; None where everything does.
        first: a figure and the share of the cells, the best by it, that are taken at all before the others are.
    """
    best, order = cells.best(BEST_SHARE), np.random.default_rng(seed).permutation(cells.pool).tolist()
    if first is not None:
        by = first[0].values[seed % len(first[0].values)]
        least = float(np.quantile([by[cell] for cell in cells.pool], 1 - first[1]))
        order.sort(key=lambda cell: by[cell] < least)  # the order is kept within both parts
    if figure is None:
        return _seconds_until_best(cells, order, best)
    values = figure.values[seed % len(figure.values)]
    seconds, waiting = 0.0, []
    for number, cell in enumerate(order, start=1):
        seconds += figure.seconds
        waiting.append(cell)
        if number % GOES_ON == 0:
            chosen = max(waiting, key=values.__getitem__)
            waiting.remove(chosen)
            seconds += cells.whole_seconds(chosen) - (figure.seconds if figure.name == BEGINNING else 0.0)
            if chosen in best:
                return seconds
    return seconds + _seconds_until_best(cells, sorted(waiting, key=values.__getitem__, reverse=True), best)


def _seconds_until_best(cells: MeasuredCells, order: Sequence[str], best: set[str]) -> float:
    """Return the CPU time of training cells whole, one after another, up to the first of the best."""
    last = next(number for number, cell in enumerate(order) if cell in best)
    return sum(map(cells.whole_seconds, order[: last + 1]))


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
    return {"search": name, "seconds": middle, "25%": low, "75%": high, "of that before any training": taking}


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--seeds", type=int, default=50, help="searches of each kind; default: 50")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
