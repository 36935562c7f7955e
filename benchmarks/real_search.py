"""
Search real Omniglot with several strategies at equal seconds of workers, and hold what each delivers on test classes.

    python benchmarks/real_search.py                       five seeds of each; three hours and more on two cores
    python benchmarks/real_search.py --searches Random Progressive --seeds 0 1

Each search is that of `examples/omniglot-quick.yaml` but for `search`, with one worker, and with as much of its CPU
time as is asked for: a strategy that begins many trainings and one that begins few cost the same. What follows is the
same for all: a second look at contenders, the final training of the best three, and the choice among them by
validation. Ranking candidates is not counted; on a cluster it is not done by workers. Finished searches are kept in a
folder, and an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported

import torch

from kept_runs import measure_missing
from metasearch.api import MetaSearchSpec
from metasearch.loading import load_search
from metasearch.outcome.results import SearchResult, summarize
from metasearch.reconcile import reconcile
from metasearch.search.build import build_search
from metasearch.search.intervals import student_interval
from metasearch.search.planner import Search
from metasearch.search.trials import Progress, Stage
from metasearch.stores.sqlite import SqliteStore
from metasearch_trainer.data import load
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.torch_setup import prepare_torch
from metasearch_trainer.trainer import Trainer
from reporting import Claim, parser, publish

EXAMPLE = Path("examples/omniglot-quick.yaml")
SCREENING = {"share": "0.25"}
OURS, RANDOM, JOINT = "Progressive", "Random, screened", "Progressive, hyperparameters"
HYPERPARAMETERS = [
    {"name": "filters", "distribution": "Uniform", "minimum": 7, "maximum": 14},
    {"name": "metaLearningRate", "distribution": "LogUniform", "minimum": "0.01", "maximum": "0.1"},
]
"""Those that may differ from cell to cell; the example has 10 filters and a rate of 0.03."""

SEARCHES: dict[str, dict[str, Any]] = {
    OURS: {"strategy": "Progressive", "progressive": {"beamWidth": 12}, "screening": SCREENING},
    RANDOM: {"strategy": "Random", "screening": SCREENING},
    JOINT: {
        "strategy": "Progressive",
        "progressive": {"beamWidth": 12},
        "screening": SCREENING,
        "hyperparameters": HYPERPARAMETERS,
    },
    "Random": {"strategy": "Random"},
    "Evolution": {"strategy": "Evolution"},
    "Halving": {"strategy": "Halving"},
}
"""Settings of `spec.search`."""

MAX_TRIALS = {True: 400, False: 120}
"""More than there is time for, by whether most trials are beginnings."""

TEST_TASKS = 600
POINTS = 0.03
"""The accuracy that ours is to be better than Random by, on average."""


@dataclass(frozen=True)
class Run:
    """One search."""

    search: str
    seed: int
    seconds: int
    """CPU time of the worker until the search stage ends."""

    @property
    def file_name(self) -> str:
        """A name under which its figures are kept."""
        return f"{self.search}-{self.seconds}s-{self.seed}.json".replace(", ", "-")


@dataclass(frozen=True)
class Figures:
    """The figures of one search."""

    run: Run
    cell: str
    """With its hyperparameters, where there are any."""
    parameters: int
    transductive: float
    alone: float
    """Accuracies on test classes, shares in [0, 1]."""
    trials: int
    """Trials of the search stage, beginnings included."""
    trained_whole: int
    search_seconds: float
    """CPU time of the worker in the search stage, second looks included."""
    planning_seconds: float
    """CPU time of ranking candidates."""


def main() -> int:
    """Run what has no figures yet, and print the table."""
    arguments = _arguments()
    # By seed first, so that an interrupted benchmark has some seeds of all searches.
    runs = [Run(name, seed, arguments.seconds) for seed, name in itertools.product(arguments.seeds, arguments.searches)]
    kept = measure_missing(runs, search_once, arguments.folder, arguments.processes, "searches")
    found = [Figures(**{**fields, "run": Run(**fields["run"])}) for fields in kept]
    by_search = {name: [each for each in found if each.run.search == name] for name in arguments.searches}
    rows = [_row(name, figures) for name, figures in by_search.items()]
    return publish("real_search", rows, list(_claims(by_search)), arguments.json, searches=kept)


# --- one search ---------------------------------------------------------------------------------------------------


def search_once(run: Run) -> Figures:
    """Search, train what is best in full, and return the figures of what is delivered."""
    prepare_torch()
    spec = _spec(run)
    with TemporaryDirectory() as folder:
        storage = LocalStorage(checkpoints=Path(folder), weights=None)
        trainer = Trainer(spec, load(spec), torch.device("cpu"), storage, clock=time.process_time)
        store = SqliteStore(Path(folder) / "trials.db")
        return _drive(run, build_search("real", spec, started_at=0.0), store, trainer)


def _spec(run: Run) -> MetaSearchSpec:
    search = SEARCHES[run.search]
    # The search stage ends at a hundredth of the time, and the final stage has as much as it needs.
    changes = {
        "search": search,
        "seed": run.seed,
        "budget": {
            "maxTrials": MAX_TRIALS["screening" in search or search["strategy"] == "Halving"],
            "wallTime": f"{100 * run.seconds}s",
        },
        "parallelism": 1,
    }
    fields = load_search(EXAMPLE).spec.model_dump(mode="json", by_alias=True)
    final = {**fields["final"], "reserve": "0.99", "baselines": [], "tasks": TEST_TASKS}
    return MetaSearchSpec.model_validate({**fields, **changes, "final": final})


def _drive(run: Run, search: Search, store: SqliteStore, trainer: Trainer) -> Figures:
    """Run trials one after the other, in the time that they take the worker."""
    spent = planning = search_seconds = 0.0
    while True:
        began = time.process_time()
        step = reconcile(search, store, now=spent)
        planning += time.process_time() - began
        if step.plan.phase.is_over:
            return _outcome(run, summarize(search, step.trials, step.plan, spent), search_seconds, planning)
        claimed = store.claim("worker", spent, 0.0)
        if claimed is None:
            continue  # the others were asked to stop
        began = time.process_time()
        result = trainer.run(claimed.spec, _ignore)
        spent += time.process_time() - began
        store.complete(claimed, result, spent)
        if claimed.spec.stage is Stage.SEARCH:
            search_seconds = spent


def _ignore(progress: Progress) -> None:
    """Let every trial run to its end."""


def _outcome(run: Run, result: SearchResult, search_seconds: float, planning: float) -> Figures:
    delivered = result.delivered
    assert delivered is not None, "no final training succeeded"
    return Figures(
        run=run,
        cell=delivered.candidate.text,
        parameters=delivered.parameter_count,
        transductive=delivered.transductive.accuracy,
        alone=delivered.non_transductive.accuracy,
        trials=result.spent.trials,
        trained_whole=sum(each.trained - each.beginnings for each in result.rounds),
        search_seconds=search_seconds,
        planning_seconds=planning,
    )


# --- tables -------------------------------------------------------------------------------------------------------


def _row(name: str, figures: Sequence[Figures]) -> dict[str, Any]:
    together, alone = [100 * each.transductive for each in figures], [100 * each.alone for each in figures]
    return {
        "search": name,
        "seeds": len(figures),
        "together %": fmean(together),
        "±": half_width(together),
        "least": min(together),
        "most": max(together),
        "alone %": fmean(alone),
        "± alone": half_width(alone),
        "parameters": round(fmean(each.parameters for each in figures)),
        "trials": round(fmean(each.trials for each in figures)),
        "whole": round(fmean(each.trained_whole for each in figures)),
        "seconds": fmean(each.search_seconds for each in figures),
        "planning s": fmean(each.planning_seconds for each in figures),
    }


def half_width(values: Sequence[float]) -> float:
    """Return half the width of the 95% interval of a mean over seeds; not a number for a single one."""
    return student_interval(values) if len(values) > 1 else float("nan")


def _claims(by_search: dict[str, list[Figures]]) -> Iterator[Claim]:
    if not {OURS, RANDOM} <= set(by_search):
        return
    ours = {each.run.seed: each.transductive for each in by_search[OURS]}
    gains = [ours[each.run.seed] - each.transductive for each in by_search[RANDOM]]
    mean, interval = 100 * fmean(gains), half_width([100 * gain for gain in gains])
    yield Claim(
        f"{OURS} is {mean:.1f} ± {interval:.1f} points better than {RANDOM}, at least {100 * POINTS:.0f}",
        fmean(gains) >= POINTS,
    )
    yield Claim(f"it is better for {sum(gain > 0 for gain in gains)} of {len(gains)} seeds", min(gains) > 0)
    means = {name: fmean(each.transductive for each in figures) for name, figures in by_search.items()}
    best = max((name for name in means if name not in (OURS, JOINT)), key=means.__getitem__)
    yield Claim(
        f"the best other is {best} with {100 * means[best]:.1f}%, {OURS} has {100 * means[OURS]:.1f}%",
        means[OURS] >= means[best],
    )
    if JOINT in by_search:
        joint = {each.run.seed: each.transductive for each in by_search[JOINT]}
        gains = [joint[seed] - accuracy for seed, accuracy in ours.items()]
        yield Claim(
            f"hyperparameters and cells searched together are {100 * fmean(gains):.1f} ± "
            f"{half_width([100 * gain for gain in gains]):.1f} points better than cells alone",
            fmean(gains) > 0,
        )


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES))
    made.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="default: 0 to 4")
    made.add_argument("--seconds", type=int, default=480, help="CPU time of each search stage; default: 480")
    made.add_argument("--processes", type=int, default=2, help="searches at once; default: 2")
    made.add_argument("--folder", type=Path, default=Path("runs/real-search"), help="default: %(default)s")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
