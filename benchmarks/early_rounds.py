"""
Measure what it costs to open rounds early, by searches among cells that were really trained.

    python benchmarks/early_rounds.py                 both learners, 30 seeds; two minutes on one core

Progressive, with surrogate Ridge, searches the cells of `cell_table.py` with and without `openRoundsEarly`, as many
trials each. Its regret is how much better the best of the 320 cells of three blocks is than the best that it trained.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from statistics import fmean, median
from typing import Any

import numpy as np

from cell_table import LEARNERS, SPACE
from measured_cells import MeasuredCells, MeasuredSpace
from metasearch.api import MetaSearchSpec
from metasearch.search import planner, strategies, surrogates
from reporting import Claim, parser, publish
from simulation import Ended, simulate

LARGE = 0.5
"""A regret in points of the score that would count against opening early, beyond that of whole rounds."""


def main() -> int:
    """Search with and without, and compare."""
    made = parser(__doc__)
    made.add_argument("--learners", nargs="+", choices=LEARNERS, default=list(LEARNERS))
    made.add_argument("--trials", type=int, nargs="+", default=[24, 40, 80], help="default: 24 40 80")
    made.add_argument("--workers", type=int, default=8, help="default: 8")
    made.add_argument("--seeds", type=int, default=30, help="default: 30")
    options = made.parse_args()
    rows = [
        row_of(learner, trials, options.workers, is_early, range(options.seeds))
        for learner in options.learners
        for trials in options.trials
        for is_early in (False, True)
    ]
    for whole, early in zip(rows[::2], rows[1::2], strict=True):
        more = np.subtract(early.pop("regrets"), whole.pop("regrets"))
        whole["more, mean"] = whole["its error"] = 0.0
        early["more, mean"], early["its error"] = float(more.mean()), float(more.std(ddof=1) / len(more) ** 0.5)
    return publish("early_rounds", rows, list(map(_claim, rows[::2], rows[1::2])), options.json)


def row_of(learner: str, trials: int, workers: int, is_early: bool, seeds: Iterable[int]) -> dict[str, Any]:
    """Return the regrets, in points of the score, and the workers' time, of searches from these seeds."""
    cells = MeasuredCells.of(learner)
    best = max(map(cells.worth, cells.pool))
    runs = [
        list(simulate(_search(cells, trials, workers, is_early, seed), cells.result, cells.seconds, workers))
        for seed in seeds
    ]
    regrets = [100 * (best - max(cells.worth(each.trial.spec.candidate.architecture) for each in run)) for run in runs]
    low, middle, high = np.quantile(regrets, [0.25, 0.5, 0.75])
    return {
        "learner": learner,
        "trials": trials,
        "workers": workers,
        "opened early": "yes" if is_early else "no",
        "seeds": len(runs),
        "regret": float(middle),
        "25%": float(low),
        "75%": float(high),
        "mean regret": fmean(regrets),
        "busy share": median(_busy_share(run, workers) for run in runs),
        "seconds": median(run[-1].ended for run in runs),
        "regrets": regrets,
    }


def _busy_share(run: list[Ended], workers: int) -> float:
    return sum(each.ended - each.begun for each in run) / (workers * run[-1].ended)


def _search(cells: MeasuredCells, trials: int, workers: int, is_early: bool, seed: int) -> planner.Search:
    spec = MetaSearchSpec.model_validate(
        {
            "dataset": {"name": "omniglot"},
            "space": SPACE.model_dump(by_alias=True, mode="json"),
            "search": {
                "surrogate": {"type": "Ridge"},
                "progressive": {"openRoundsEarly": is_early},
                "confirmations": 0,
                "earlyStopping": {"rule": "Never"},
            },
            "training": {"metaIterations": cells.short_length},
            "budget": {"maxTrials": trials},
            "parallelism": workers,
            "seed": seed,
        }
    )
    space = MeasuredSpace(cells, spec.space)
    strategy = strategies.build(spec, space, surrogates.factory(spec.search.surrogate, space))
    return planner.Search("early", spec, space, strategy, started_at=0.0)


def _claim(whole: dict[str, Any], early: dict[str, Any]) -> Claim:
    return Claim(
        f"{whole['learner']}, {whole['trials']} trials: median regret {early['regret']:.2f} with rounds opened early, "
        f"{whole['regret']:.2f} without; workers are busy {early['busy share']:.0%} and {whole['busy share']:.0%}",
        bool(early["regret"] <= whole["regret"] + LARGE and early["busy share"] > whole["busy share"]),
    )


if __name__ == "__main__":
    sys.exit(main())
