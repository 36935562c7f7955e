"""
Search among cells that were really trained, and see how soon a search meets one of the best.

    python benchmarks/real_cells.py                      both learners, 50 seeds; some minutes on one core
    python benchmarks/real_cells.py --learners Reptile --seeds 5

The cells are those of `cell_table.py`: 320 random ones of three blocks, with the CPU seconds of their trainings. A
search has met one of the best when it has trained one of the best 2% as long as a search trial is. `Random` trains all
cells so long; with screening it trains them for a quarter first, as ours does.

Shown are also how far scores can be trusted, by cells that were trained with two seeds, and how well surrogates that
have seen cells of one block only rank those of three.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from cell_table import LEARNERS, SPACE
from measured_cells import TRANSDUCTIVE, Examination, MeasuredCells, MeasuredSpace, Training
from metasearch.api import MetaSearchSpec
from metasearch.search import planner, strategies, surrogates
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.confirmation import strategy_spec
from metasearch.search.ranking import ranking_quality
from metasearch.search.strategies.measured import Measured
from metasearch.search.surrogates.base import Candidates
from metasearch.search.trials import Stage, State, Trial, TrialSpec
from reporting import Claim, parser, publish
from simulation import simulate

BEST_SHARE = 0.02
"""The share of the cells of three blocks that counts as the best."""

TRIALS = 240
"""The trials of a search; enough that each meets one of the best."""

SCREENING = {"share": "0.25"}

SEARCHES: dict[str, dict[str, Any]] = {
    "Random": {"strategy": "Random"},
    "Random, screened": {"strategy": "Random", "screening": SCREENING},
    "Halving": {"strategy": "Halving"},
    "Progressive": {"strategy": "Progressive", "screening": SCREENING},
    "Progressive, Ridge": {"strategy": "Progressive", "screening": SCREENING, "surrogate": {"type": "Ridge"}},
    "Progressive, LSTM": {"strategy": "Progressive", "screening": SCREENING, "surrogate": {"type": "LSTM"}},
}
"""Settings of `spec.search`."""

OURS, RANDOM, SCREENED = "Progressive", "Random", "Random, screened"

PREDICTORS = ("Stacked", "Ridge", "Trees", "LSTM", "MLP")


def main() -> int:
    """Print all tables, and whether ours is as fast as is claimed."""
    arguments = _arguments()
    rows: list[dict[str, Any]] = []
    claims: list[Claim] = []
    reliability: list[dict[str, Any]] = []
    rankings: list[dict[str, Any]] = []
    for learner in arguments.learners:
        cells = MeasuredCells.of(learner)
        found = {name: seconds_to_best(cells, name, range(arguments.seeds)) for name in arguments.searches}
        rows += [_row(learner, name, seconds) for name, seconds in found.items()]
        claims += _claims(learner, {name: median(seconds) for name, seconds in found.items()})
        reliability += [{"learner": learner, **row} for row in reliabilities(cells)]
        rankings += [{"learner": learner, **row} for row in one_block_rankings(cells)]
        claims += _ranking_claims(learner, rankings)
    for title, table in (("reliability", reliability), ("from one block to three", rankings)):
        if table:
            publish(title, table, [], None)
    return publish("real_cells", rows, claims, arguments.json, reliability=reliability, rankings=rankings)


# --- searches -----------------------------------------------------------------------------------------------------


def seconds_to_best(cells: MeasuredCells, name: str, seeds: Sequence[int]) -> list[float]:
    """Return, for each seed, the seconds of one worker until one of the best is trained; infinite where it never is."""
    return [seconds_of(cells, search_of(cells, name, seed)) for seed in seeds]


def seconds_of(cells: MeasuredCells, search: planner.Search) -> float:
    """Return the seconds of one worker until a search has trained one of the best; infinite where it never does."""
    best = cells.best(BEST_SHARE)
    for each in simulate(search, cells.result, cells.seconds):
        if each.trial.spec.candidate.architecture in best and not each.trial.spec.is_beginning:
            return each.ended
    return float("inf")


def search_of(
    cells: MeasuredCells, name: str, seed: int, added: Mapping[str, Sequence[float]] | None = None
) -> planner.Search:
    """
    Set a search among measured cells up.

    Args:
        name: one of `SEARCHES`.
        added: further features of every cell, by its text, for its surrogate.
    """
    spec = MetaSearchSpec.model_validate(
        {
            "dataset": {"name": "omniglot"},
            "space": SPACE.model_dump(by_alias=True, mode="json"),
            "search": {**SEARCHES[name], "confirmations": 0, "earlyStopping": {"rule": "Never"}},
            "training": {"metaIterations": cells.short_length},
            "budget": {"maxTrials": TRIALS},
            "seed": seed,
        }
    )
    space = MeasuredSpace(cells, spec.space, added)
    strategy = strategies.build(strategy_spec(spec), space, surrogates.factory(spec.search.surrogate, space))
    return planner.Search("real", spec, space, strategy, started_at=0.0)


def _row(learner: str, name: str, seconds: Sequence[float]) -> dict[str, Any]:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {"learner": learner, "search": name, "seeds": len(seconds), "seconds": middle, "25%": low, "75%": high}


def _claims(learner: str, seconds: dict[str, float]) -> Iterator[Claim]:
    if not {OURS, RANDOM, SCREENED} <= set(seconds):
        return
    for other, share, least in ((RANDOM, "a third", 3), (SCREENED, "half", 2)):
        ratio = seconds[other] / seconds[OURS]
        yield Claim(
            f"{learner}: {other} takes {ratio:.1f} times as long as {OURS}, which is {share} or less", ratio >= least
        )


# --- scores -------------------------------------------------------------------------------------------------------

Score = Callable[[Training], float]


def _examined(figure: Callable[[Examination], float]) -> Score:
    return lambda training: figure(training.last)


def _negative_loss(way: str, tasks: int) -> Score:
    return _examined(lambda look: -look.loss[way][str(tasks)][0])


def _accuracy(way: str, tasks: int) -> Score:
    return _examined(lambda look: look.accuracy[way][str(tasks)][0])


SCORES: dict[str, Score] = {
    "accuracy alone, 100 tasks": _accuracy("non_transductive", 100),
    "accuracy alone, 25 tasks": _accuracy("non_transductive", 25),
    "accuracy together, 100 tasks": _accuracy(TRANSDUCTIVE, 100),
    "loss alone, 100 tasks": _negative_loss("non_transductive", 100),
    "loss together, 100 tasks": _negative_loss(TRANSDUCTIVE, 100),
    "loss together, 25 tasks": _negative_loss(TRANSDUCTIVE, 25),
    "training loss of the first quarter": lambda training: training.beginning()[0],
}


def reliabilities(cells: MeasuredCells) -> Iterator[dict[str, Any]]:
    """Yield, for each score, the share of its variance that is the cells' own, and what it says of longer training."""
    pairs = [(cells.search_trials[cell], second) for cell, second in cells.second_seeds.items()]
    for name, score in SCORES.items() if pairs else ():
        first, second = (np.array([score(pair[seed]) for pair in pairs]) for seed in (0, 1))
        # Seeds have other tasks, which are harder for all cells alike; that changes no ranking.
        noise = float(np.var(first - second, ddof=1) / 2)
        total = float(np.mean([first.var(ddof=1), second.var(ddof=1)]))
        long = [
            (score(cells.search_trials[cell]), _negative_loss(TRANSDUCTIVE, 100)(each))
            for cell, each in cells.long.items()
        ]
        is_beginning = name.startswith("training")
        yield {
            "score": name,
            "cells": len(pairs),
            "noise": noise**0.5,
            "of the cells": max(0.0, total - noise) ** 0.5,
            "share of variance": max(0.0, 1 - noise / total),
            "with the other seed": ranking_quality(first.tolist(), second.tolist()).spearman,
            "with four times as long": ranking_quality(*zip(*long, strict=True)).spearman if long else None,
            "seconds": median(
                pair[0].first.training_seconds if is_beginning else pair[0].last.training_seconds + pair[0].last.seconds
                for pair in pairs
            ),
        }


def one_block_rankings(cells: MeasuredCells) -> Iterator[dict[str, Any]]:
    """
    Yield the Spearman of predictions for three blocks by what has learned from one block alone.

    A search without screening has trained the cells of one block whole, one with screening their beginnings only.
    """
    search = search_of(cells, OURS, 0)
    pool = [parse_cell(cell).canonical for cell in cells.pool]
    worth = [cells.worth(cell) for cell in cells.pool]
    sizes = [float(np.log(cells.search_trials[cell].parameters)) for cell in cells.pool]
    yield {
        "predictor": "log parameters",
        **dict.fromkeys(("whole", "beginnings"), ranking_quality(sizes, worth).spearman),
    }
    seen = {"whole": _one_block(search, cells, is_beginning=False), "beginnings": _one_block(search, cells, True)}
    for kind in PREDICTORS:
        settings = search.spec.search.surrogate.model_copy(update={"type": kind})
        row: dict[str, Any] = {"predictor": kind}
        for name, measured in seen.items():
            predictor = surrogates.factory(settings, search.space)().fit(measured.observations(), seed=(0, 1))
            parents = [measured.parent_score(each) for each in pool]
            predicted = predictor.predict(Candidates.of(search.space, pool, parents))
            row[name] = ranking_quality(predicted.tolist(), worth).spearman
        yield row


def _one_block(search: planner.Search, cells: MeasuredCells, is_beginning: bool) -> Measured[Cell]:
    whole = search.spec.training.meta_iterations
    specs = [
        TrialSpec(
            name=cell,
            stage=Stage.SEARCH,
            candidate=search.space.write(parse_cell(cell).canonical),
            meta_iterations=whole // 4 if is_beginning else whole,
            is_beginning=is_beginning,
            seed=0,
            round=1,
        )
        for cell in cells.one_block
    ]
    return Measured(
        search.space, [Trial(spec=spec, state=State.SUCCEEDED, result=cells.result(spec)) for spec in specs]
    )


def _ranking_claims(learner: str, rankings: Sequence[dict[str, Any]]) -> Iterator[Claim]:
    # What the default search sees, which has no screening.
    spearman = {row["predictor"]: row["whole"] for row in rankings if row["learner"] == learner}
    ours, size = spearman["Stacked"], spearman["log parameters"]
    yield Claim(f"{learner}: from one block the default surrogate ranks with {ours:.2f}, at least .70", ours >= 0.7)
    yield Claim(
        f"{learner}: that is {ours - size:.2f} above the number of parameters, at least .05", ours - size >= 0.05
    )


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    made.add_argument("--seeds", type=int, default=50, help="default: 50")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
