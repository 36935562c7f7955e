"""
Simulate searches, and show how far the estimate of the time that remains is from the truth.

    python benchmarks/remaining.py                        24 searches, a minute on one core
    python benchmarks/remaining.py --recorded runs/*      and searches of this machine, which have ended

The planner, the strategies and the estimate are real; trials are pretended, with the times and scores of busy_share.py.
At a quarter, a half and three quarters of each search's time, what was estimated then is compared with what was left.
The error is (estimated - left) / whole time, so that -0.1 is a tenth of the search too early.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from busy_share import NOISE, PER_MILLION, START, World
from metasearch import api
from metasearch.loading import parse_search
from metasearch.outcome.figures import Confidence
from metasearch.outcome.remaining import Remaining, remaining
from metasearch.search import budget, planner, strategies, surrogates
from metasearch.search.baselines import HandMade
from metasearch.search.build import build_search
from metasearch.search.confirmation import strategy_spec
from metasearch.search.pareto import ranked
from metasearch.search.space import CellSpace
from metasearch.search.trial_costs import work_of
from metasearch.search.trial_parts import PartSeconds
from metasearch.search.trials import Accuracies, Accuracy, Stage, State, Trial, TrialResult, TrialSpec
from metasearch.stores.sqlite import SqliteStore
from reporting import Claim, parser, publish
from simulation import Moment, course

AT = (0.25, 0.5, 0.75)
"""Shares of a search's time at which it is asked."""

BESIDES = 0.2
"""Seconds of a trial besides training and evaluation."""

TRIALS, SEEDS = 120, (0, 1, 2)

COMMON = {
    "dataset": {"name": "omniglot"},
    "budget": {"maxTrials": TRIALS},
    "parallelism": 2,
    # About as long as a quarter of the search, so that it is asked in both stages.
    "final": {"top": 3, "seeds": 1, "metaIterations": 1_000, "tasks": 1_000},
}

SEARCHES: dict[str, dict[str, Any]] = {
    "Progressive": {"search": {"surrogate": {"type": "Ridge"}}},
    "Progressive, screened": {"search": {"surrogate": {"type": "Ridge"}, "screening": {"share": "0.25"}}},
    "Random": {"search": {"strategy": "Random"}},
    "Halving": {"search": {"strategy": "Halving"}},
    "Evolution": {"search": {"strategy": "Evolution"}},
    "Progressive, 8 workers": {"search": {"surrogate": {"type": "Ridge"}}, "parallelism": 8},
    "Random, 8 workers": {"search": {"strategy": "Random"}, "parallelism": 8},
    "Progressive, long finals": {
        "search": {"surrogate": {"type": "Ridge"}},
        "final": {"top": 3, "seeds": 3, "metaIterations": 5_000, "tasks": 1_000},
    },
}


@dataclass(frozen=True)
class Asked:
    """An estimate, and the truth."""

    search: str
    at: float
    error: float | None
    """None where nothing could be told."""
    confidence: Confidence | None


class Trials(World):
    """
    Knows the results of search trials and of final ones.

    Training takes the seconds that busy_share.py has for a million multiply-adds, each with a noise of its own, and
    evaluation the constant, which grows with the tasks.
    """

    def __init__(self, space: CellSpace, spec: api.MetaSearchSpec) -> None:
        super().__init__(space, spec.training.meta_iterations)
        self._spec, self._meta_iterations = spec, dict[str, int]()

    def parts(self, spec: TrialSpec) -> PartSeconds:
        """Return the seconds of a trial's training and of its evaluation."""
        self._meta_iterations[spec.name] = spec.meta_iterations
        trial = Trial(spec=spec)
        work = work_of(self._spec, trial, self._meta_iterations)
        ordinary = self._spec.evaluation.tasks
        noise = float(np.exp(NOISE * np.random.default_rng([0, *spec.name.encode()]).normal()))
        trained = PER_MILLION * self.million(spec) * work.meta_iterations / self.whole
        return PartSeconds(training=noise * trained, evaluation=noise * START * work.tasks / ordinary)

    def seconds(self, spec: TrialSpec) -> float:
        parts = self.parts(spec)
        return BESIDES + parts.training + parts.evaluation

    def result(self, spec: TrialSpec) -> TrialResult:
        accuracy = Accuracy(self.score(spec) if spec.stage is not Stage.BASELINE else 0.5, 0.01, 100)
        accuracies = Accuracies(accuracy, accuracy, accuracy)
        return TrialResult(
            state=State.SUCCEEDED,
            meta_iterations=spec.meta_iterations,
            score=accuracy.mean,
            score_error=0.01,
            validation=accuracies,
            test=None if spec.stage is Stage.SEARCH else accuracies,
            parameter_count=round(1e4 * self.million(spec)),
            multiply_adds=round(1e6 * self.million(spec)),
            image_channels=1,
            image_side=28,
            wall_seconds=self.seconds(spec) - BESIDES,
            part_seconds=self.parts(spec),
        )

    def million(self, spec: TrialSpec) -> float:
        if spec.stage is Stage.BASELINE:
            return HandMade.parse(spec.candidate.architecture).multiply_adds(1, 28, self._spec.task.ways) / 1e6
        return super().million(spec)


def simulated(name: str, seed: int) -> list[Asked]:
    """Run a search in virtual time, and ask at each share of its time."""
    fields = SEARCHES[name]
    spec = api.MetaSearchSpec.model_validate({**COMMON, **fields}).model_copy(update={"seed": seed})
    space = CellSpace(spec.space.operations, spec.space.max_blocks, spec.space)
    strategy = strategies.build(strategy_spec(spec), space, surrogates.factory(spec.search.surrogate, space))
    search, world = planner.Search("remaining", spec, space, strategy, 0.0), Trials(space, spec)
    return list(_asked(name, search, list(course(search, world.result, world.seconds, spec.parallelism))))


def _asked(name: str, search: planner.Search, moments: Sequence[Moment]) -> Iterator[Asked]:
    end = moments[-1].now
    for share in AT:
        # A clock's time, between two ends of trials as mostly in life.
        now = search.started_at + share * (end - search.started_at)
        seen = next(moment for moment in reversed(moments) if moment.now <= now)
        found = _estimate(search, seen, now)
        if found is None:
            yield Asked(name, share, None, None)
        else:
            whole = end - search.started_at
            yield Asked(name, share, (found.seconds - (end - now)) / whole, found.confidence)


def _estimate(search: planner.Search, seen: Moment, now: float) -> Remaining | None:
    trials = seen.trials
    spent = budget.spent(trials, search.wall_seconds(now), now)
    return remaining(search, trials, ranked(_searching(trials)), spent, seen.phase, now)


def _searching(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage is Stage.SEARCH]


# --- searches that have been -------------------------------------------------------------------------------------


def recorded(folder: Path) -> list[Asked]:
    """Ask of a run that has ended, as if its later trials had not been."""
    store = SqliteStore(folder / "trials.db")
    row = store.search()
    assert row is not None, f"{folder} has no search"
    resource = parse_search(row.resource)
    search = build_search(row.name, resource.spec, row.started_at)
    trials = store.trials()
    end = max(attempt.ended_at or 0.0 for trial in trials for attempt in trial.attempts)
    moments = [_as_it_was(trials, search.started_at + share * (end - search.started_at)) for share in AT]
    return list(
        _asked(
            f"{row.name} with seed {search.spec.seed}, as it ran",
            search,
            [*moments, Moment(end, trials, planner.Phase.SUCCEEDED)],
        )
    )


def _as_it_was(trials: Sequence[Trial], now: float) -> Moment:
    """Return the trials that had begun, each as far as it was."""
    found = []
    for trial in trials:
        attempts = tuple(each for each in trial.attempts if each.started_at <= now)
        if not attempts:
            continue
        is_over = (attempts[-1].ended_at or now) < now
        open_attempts = (*attempts[:-1], replace(attempts[-1], ended_at=None, outcome=None))
        found.append(trial if is_over else replace(trial, attempts=open_attempts, state=State.RUNNING, result=None))
    is_final = any(trial.spec.stage is not Stage.SEARCH for trial in found)
    return Moment(now, found, planner.Phase.FINAL if is_final else planner.Phase.SEARCHING)


# --- figures -----------------------------------------------------------------------------------------------------


def row_of(name: str, asked: Sequence[Asked]) -> dict[str, Any]:
    errors = [each.error for each in asked if each.error is not None]
    return {
        "of": name,
        "asked": len(asked),
        "told": len(errors),
        "median error": round(statistics.median(map(abs, errors)), 3) if errors else None,
        "largest error": round(max(map(abs, errors)), 3) if errors else None,
        "bias": round(statistics.fmean(errors), 3) if errors else None,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate every search with every seed."""
    made = parser(__doc__)
    made.add_argument("--recorded", nargs="*", type=Path, default=[], help="folders of runs that have ended")
    made.add_argument("--only", nargs="+", choices=list(SEARCHES), help="searches to simulate; default: all")
    options = made.parse_args(arguments)
    asked: list[Asked] = []
    for name in options.only or SEARCHES:
        for seed in SEEDS:
            asked += simulated(name, seed)
        print(f"{name}: done", file=sys.stderr)
    for folder in options.recorded:
        asked += recorded(folder)
    rows = [row_of(f"at {share:.0%}", [each for each in asked if each.at == share]) for share in AT]
    rows += [
        row_of(f"confidence {level}", [each for each in asked if each.confidence is level]) for level in Confidence
    ]
    rows += [
        row_of(name, [each for each in asked if each.search == name]) for name in dict.fromkeys(e.search for e in asked)
    ]
    return publish("remaining", rows, judged(rows), options.json)


def judged(rows: Sequence[dict[str, Any]]) -> list[Claim]:
    by_name = {row["of"]: row["median error"] for row in rows}
    return [
        Claim(
            f"at {share:.0%} of the time the median error is {by_name[f'at {share:.0%}']:.1%} of it",
            by_name[f"at {share:.0%}"] <= most,
        )
        for share, most in zip(AT, (0.15, 0.1, 0.05), strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
