"""
Simulate searches of the paper's size, and show how much of the time their workers are at work.

    python benchmarks/busy_share.py                       2, 8 and 112 workers, some ten minutes on one core
    python benchmarks/busy_share.py --trials 2000 --only Evolution

The strategies run through the real planner; only the trials are pretended. A trial takes a constant and a multiple of
its multiply-adds in seconds, the line that was measured on cells of the quick search, and some noise; a part of a
training takes its share of the multiple, and the constant only where it is the last. It scores more
the more multiply-adds the cell has, as real cells do, and by a part of its own. The time of planning is left out.

Trials are claimed by priority, as everywhere. Strategies with rounds have their costliest trials first then, by
`Space.cost`; what that is worth is shown by two other orders: costliest first by multiply-adds, and the order of
proposing, which is best predicted first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import log
from typing import Any

import numpy as np

from metasearch import api
from metasearch.search import planner, strategies, surrogates
from metasearch.search.cells import Cell
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace
from metasearch.search.strategies import History, Proposals, Strategy
from metasearch.search.trials import State, TrialResult, TrialSpec
from reporting import Claim, parser, publish
from simulation import by_priority, simulate

START, PER_MILLION = 1.57, 6.90
"""Seconds of a trial, and seconds more for each million multiply-adds: 40 meta-iterations on one core."""

NOISE = 0.1
"""Standard deviation of the logarithm of a trial's seconds."""

WORKERS = (2, 8, 112)
"""A small machine, a larger one, and the GPUs of Auto-Meta's search."""

LONGER = 0.005
"""The share by which a search may take longer with the costliest trials first, which chance decides in a single one."""

Setting = dict[str, Any]

RIDGE: Setting = {"type": "Ridge"}

AUTO_META: Setting = {"firstTrials": 55, "beamWidth": 100, "refitTrials": 100}

SETTINGS: dict[str, Setting] = {
    "Progressive": {"search": {"surrogate": RIDGE}},
    "Progressive, opened early": {"search": {"surrogate": RIDGE, "progressive": {"openRoundsEarly": True}}},
    "Progressive, Auto-Meta's plan": {"search": {"surrogate": RIDGE, "progressive": AUTO_META}},
    "Progressive, Auto-Meta's plan opened early": {
        "search": {"surrogate": RIDGE, "progressive": {**AUTO_META, "openRoundsEarly": True}}
    },
    "Evolution": {"search": {}},
    "LocalSearch": {"search": {}},
    "LocalSearch, 16 starts": {"search": {"localSearch": {"starts": 16}}},
    "Halving": {"search": {}},
    "Priority": {"search": {}},
    "Priority, 112 a round": {"search": {"priority": {"roundTrials": 112, "capacity": 1000}}},
    "Random": {"search": {}},
    # All 756 cells of up to two blocks of three operations.
    "Grid": {"search": {}, "space": {"operations": ["conv3x3", "conv5x5", "max_pool3x3"], "maxBlocks": 2}},
}
"""Fields of each search. The name begins with the strategy's."""

WITH_ROUNDS = ("Progressive, Auto-Meta's plan", "LocalSearch", "LocalSearch, 16 starts")

ClaimKey = Callable[[TrialSpec, int, float], tuple[Any, ...]]

ORDERS: dict[str, ClaimKey] = {
    "by priority": lambda spec, position, _million: by_priority(spec, position),
    "multiply-adds": lambda spec, _position, million: (spec.round, -million),
    "as proposed": lambda spec, position, _million: (spec.round, position),
}
"""Trials that can be claimed are sorted by one of these, of the trial, its place among all and its multiply-adds."""


@dataclass(frozen=True)
class Simulated:
    """The course of a search stage."""

    trials: int
    seconds: float
    """The time from the first claim to the last end."""
    work: float
    """Seconds of all trials."""
    best: float
    """The best score of a whole training."""

    def busy_share(self, workers: int) -> float:
        """Return the share of the workers' time in which they had a trial, in [0, 1]."""
        return self.work / (workers * self.seconds)


class Remembered:
    """A strategy whose answers are kept, for they depend on the history alone and not on the order of claims."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy, self.rounds, self.varies_fidelity = strategy, strategy.rounds, strategy.varies_fidelity
        self.preliminary_rounds = strategy.preliminary_rounds
        self._answers: dict[int, Proposals] = {}

    def propose(self, history: History, room: int) -> Proposals:
        key = hash((room, tuple((trial.name, trial.state, trial.score) for trial in history)))
        if key not in self._answers:
            self._answers[key] = self.strategy.propose(history, room)
        return self._answers[key]

    def title(self, round: int) -> str:
        return self.strategy.title(round)


class ListedSpace(CellSpace):
    """A space that lists the children of a cell only once: searches of a kind ask for the same ones again and again."""

    def __init__(self, operations: Sequence[str], max_blocks: int, network: api.Space) -> None:
        super().__init__(operations, max_blocks, network)
        self.children = cache(lambda cell: list(CellSpace.children(self, cell)))  # type: ignore[method-assign]


class World:
    """Knows the seconds and the score of every trial of a space."""

    def __init__(self, space: CellSpace, meta_iterations: int) -> None:
        """
        Args:
            meta_iterations: of a whole training.
        """
        self.space, self.whole = space, meta_iterations
        self._million: dict[str, float] = {}
        self._lengths: dict[str, int] = {}

    def million(self, spec: TrialSpec) -> float:
        """Return the million multiply-adds of the trial's network."""
        text = spec.candidate.architecture
        if text not in self._million:
            self._million[text] = self._counted(self.space.read(spec.candidate))
        return self._million[text]

    def _counted(self, cell: Cell) -> float:
        encoded = EncodedCells.of([cell], self.space.operations)
        return float(network_sizes(encoded, self.space.network, channels=1, side=28, ways=5).multiply_adds[0]) / 1e6

    def seconds(self, spec: TrialSpec) -> float:
        """Return a trial's seconds; one that goes on takes the rest, and beginnings are not examined."""
        self._lengths[spec.name] = spec.meta_iterations
        share = (spec.meta_iterations - self._lengths.get(spec.resumes or "", 0)) / self.whole
        noise = np.random.default_rng([0, *spec.candidate.text.encode()]).normal()
        examined = 0.0 if spec.is_beginning else START
        return float((examined + PER_MILLION * self.million(spec) * share) * np.exp(NOISE * noise))

    def score(self, spec: TrialSpec) -> float:
        """Return a score that rises with the length of training, by a fifth from nothing to the whole."""
        own = np.random.default_rng([1, *spec.candidate.text.encode()]).normal()
        score = 0.45 + 0.07 * log(self.million(spec) + 0.1) + 0.05 * own
        return float(np.clip(score * (0.8 + 0.2 * spec.meta_iterations / self.whole), 0.0, 1.0))


def simulated(search: planner.Search, world: World, workers: int, order: ClaimKey) -> Simulated:
    """Run the search stage with so many workers, each of which claims its next trial as soon as it is free."""

    def result(spec: TrialSpec) -> TrialResult:
        return TrialResult(state=State.SUCCEEDED, score=world.score(spec))

    def key(spec: TrialSpec, position: int) -> tuple[Any, ...]:
        return order(spec, position, world.million(spec))

    ended = list(simulate(search, result, world.seconds, workers, key))
    whole = [each.trial.score or 0.0 for each in ended if not each.trial.spec.is_beginning]
    work = sum(each.ended - each.begun for each in ended)
    return Simulated(len(ended), ended[-1].ended, work, max(whole, default=0.0))


# --- searches -----------------------------------------------------------------------------------------------------


def search_of(name: str, trials: int, workers: int, seed: int) -> tuple[planner.Search, World]:
    """Build a search of so many trials, of a setting above."""
    setting = SETTINGS[name]
    search = {
        "strategy": name.partition(",")[0],
        "earlyStopping": {"rule": "Never"},
        "confirmations": 0,
        **setting["search"],
    }
    fields = {"dataset": {"name": "omniglot"}, "space": setting.get("space", {}), "search": search}
    spec = api.MetaSearchSpec.model_validate(
        {**fields, "budget": {"maxTrials": max(trials, 756)} if "Grid" in name else {"maxTrials": trials}}
    ).model_copy(update={"parallelism": workers, "seed": seed})
    space = _space(spec.space.model_dump_json())
    strategy = strategies.build(spec, space, surrogates.factory(spec.search.surrogate, space))
    return planner.Search("busy", spec, space, strategy, started_at=0.0), World(space, spec.training.meta_iterations)


@cache
def _space(fields: str) -> ListedSpace:
    network = api.Space.model_validate_json(fields)
    return ListedSpace(network.operations, network.max_blocks, network)


def rows_of(name: str, trials: int, workers: int, seeds: Iterable[int], orders: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row for each order of claims, with the medians over the seeds."""
    found: dict[str, list[Simulated]] = {order: [] for order in orders}
    began = time.process_time()
    for seed in seeds:
        search, world = search_of(name, trials, workers, seed)
        remembered = replace(search, strategy=Remembered(search.strategy))
        for order in orders:
            found[order].append(simulated(remembered, world, workers, ORDERS[order]))
    spent = time.process_time() - began
    return [
        {
            "strategy": name,
            "workers": workers,
            "claimed": order,
            "seeds": len(runs),
            "trials": int(statistics.median(each.trials for each in runs)),
            "busy share": round(statistics.median(each.busy_share(workers) for each in runs), 4),
            "best score": round(statistics.median(each.best for each in runs), 3),
            "makespan, s": round(statistics.median(each.seconds for each in runs), 1),
            "planning, s": round(spent / len(runs), 1),
        }
        for order, runs in found.items()
    ]


def judged(rows: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return the claims: claiming the costliest first never takes noticeably longer than claiming as proposed."""
    spans = {(row["strategy"], row["workers"], row["claimed"]): row["makespan, s"] for row in rows}
    return [
        Claim(
            f"{name} with {workers} workers takes {spans[name, workers, 'by priority']:.0f} s, and "
            f"{seconds:.0f} s where trials are claimed in the order of proposing",
            spans[name, workers, "by priority"] <= seconds * (1 + LONGER),
        )
        for (name, workers, claimed), seconds in spans.items()
        if claimed == "as proposed"
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate every strategy with every number of workers."""
    options = _parser().parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for name in options.only or SETTINGS:
        for workers in options.workers:
            orders = list(ORDERS) if name in WITH_ROUNDS else ["by priority"]
            rows += rows_of(name, options.trials, workers, range(options.seeds), orders)
            print(f"{name}, {workers} workers: done", file=sys.stderr)
    return publish("busy_share", rows, judged(rows), options.json)


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument("--trials", type=int, default=455, help="search trials; default: 455, Auto-Meta's")
    made.add_argument("--workers", type=int, nargs="+", default=WORKERS, help="default: 2 8 112")
    made.add_argument("--seeds", type=int, default=2, help="searches of a kind, of which the median counts; default: 2")
    made.add_argument("--only", nargs="+", choices=list(SETTINGS), help="searches to simulate; default: all")
    return made


if __name__ == "__main__":
    sys.exit(main())
