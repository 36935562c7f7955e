"""
Estimate how long a search takes, from what its networks cost, before it starts and its settings can still be changed.

The costs are measured (`costs.py`); the rest is the arithmetic here. Early stopping, surrogates and the start of
workers are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from metasearch.api import Deliver, MetaSearchSpec
from metasearch.plurals import counted
from metasearch.search.build import build_search
from metasearch.search.cells import parse_cell
from metasearch.search.strategies import Answer
from metasearch.search.strategies.base import Foreseeing
from metasearch.search.strategies.halving import Rungs
from metasearch.search.trial_costs import makespan, scored_tasks


@dataclass(frozen=True)
class Cost:
    """The cost of one network on one worker, in seconds."""

    meta_iteration: float
    """The time of one outer step, with all the tasks of its meta-batch."""
    task: float
    """The time to adapt to one task and to be evaluated on it."""


@dataclass(frozen=True)
class Costs:
    """The costs of a search's networks."""

    cells: tuple[Cost, ...]
    """The cost of a typical cell with 1, 2, ... `space.maxBlocks` blocks."""
    baseline: Cost | None
    """The cost of Conv4, which is about the costliest hand-made network; None where the search has no baselines."""
    final: Cost | None = None
    """The cost of a typical cell with `space.maxBlocks` in final trials; None where they are trained as the others."""


@dataclass(frozen=True)
class Estimate:
    """The number of trainings of each stage, and the wall time of the stage in seconds."""

    search_trials: int
    search_seconds: float
    final_trainings: int
    final_seconds: float

    @property
    def seconds(self) -> float:
        return self.search_seconds + self.final_seconds


# --- arithmetic ---------------------------------------------------------------------------------------------------


def estimate(spec: MetaSearchSpec, costs: Costs, workers: int) -> Estimate:
    """
    Compute the wall time of a search that no limit on time ends.

    Args:
        costs: of the search's networks, `space.maxBlocks` of them and perhaps a baseline.
        workers: the number of trials that run at a time.
    """
    # Round by round: a progressive search, the default, proposes a round only when the one before is over.
    sizes = trials_by_blocks(spec)
    searching = (
        makespan([_search_seconds(spec, cost)] * size, workers) for size, cost in zip(sizes, costs.cells, strict=True)
    )
    # Scores mostly rise with size, so the best cells are taken to be among the largest.
    largest = max(index for index, number in enumerate(sizes) if number)
    cell = costs.final or costs.cells[largest]
    final = [_final_seconds(spec, cell)] * (min(spec.final.top, sum(sizes)) * spec.final.seeds)
    if costs.baseline is not None:
        final += [_final_seconds(spec, costs.baseline)] * (len(spec.final.baselines) * spec.final.seeds)
    return Estimate(sum(sizes), sum(searching), len(final), makespan(final, workers))


def trials_by_blocks(spec: MetaSearchSpec) -> list[int]:
    """
    Return the number of search trials whose cells have 1, 2, ... `space.maxBlocks` blocks.

    As the strategy foresees it. Others are taken to have cells as large as those of their first round, which needs no
    scores. Trainings that go on are of the sizes that they have begun with.
    """
    strategy, largest = build_search("estimate", spec, started_at=0.0).strategy, spec.space.max_blocks
    left, numbers = spec.budget.max_trials, [0] * largest
    if isinstance(strategy, Foreseeing) and (shares := strategy.foresee(left)):
        for share in shares:
            numbers[share.size - 1] += round(share.trials)
        numbers[largest - 1] += left - sum(numbers)
        return numbers
    first = strategy.propose([], left)  # needs no scores, and so trains no surrogate
    blocks = largest
    if not isinstance(first, Answer):
        sizes = [len(parse_cell(proposal.candidate.architecture)) for proposal in first[:left]]
        numbers = [sizes.count(size) for size in range(1, largest + 1)]
        blocks = max(sizes, default=largest)
    left -= sum(numbers)
    numbers[blocks - 1] += left
    return numbers


def _search_seconds(spec: MetaSearchSpec, cost: Cost) -> float:
    """Return the mean time of a search trial, of which some may only begin a training and others go on with one."""
    rungs = Rungs.of_search(spec)
    lengths, shares = rungs.meta_iterations, rungs.shares
    steps = [length - before for before, length in zip((0, *lengths), lengths, strict=False)]
    meta_iterations = sum(share * each for share, each in zip(shares, steps, strict=True)) / sum(shares)
    # Only whole trainings are evaluated, and those that have gone on have no curve.
    tasks = scored_tasks(spec.evaluation) if len(lengths) == 1 else spec.evaluation.tasks * shares[-1] / sum(shares)
    return spec.evaluation.folds * (meta_iterations * cost.meta_iteration + tasks * cost.task)


def _final_seconds(spec: MetaSearchSpec, cost: Cost) -> float:
    tasks = scored_tasks(spec.evaluation) + spec.final.tasks
    return spec.final.meta_iterations * cost.meta_iteration + tasks * cost.task


# --- words --------------------------------------------------------------------------------------------------------


def sentences(spec: MetaSearchSpec, found: Estimate, workers: int) -> list[str]:
    """Return the estimate as a sentence, then a warning for each stage that `budget.wallTime` would cut short."""
    # How many cells a front has is not known before the search.
    most = "at most " if spec.final.deliver is Deliver.FRONT else ""
    duration = (
        f"about {_text(found.seconds)} on this machine with {counted(workers, 'worker')}: "
        f"{counted(found.search_trials, 'search trial')} {_text(found.search_seconds)}, "
        f"{most}{counted(found.final_trainings, 'final training')} {_text(found.final_seconds)}"
    )
    return [duration, *warnings(spec, found)]


def warnings(spec: MetaSearchSpec, found: Estimate) -> list[str]:
    """Return a sentence for each stage that does not fit `budget.wallTime`; it names the settings that would help."""
    if spec.budget.wall_time is None:
        return []
    whole = float(spec.budget.wall_time.seconds)
    for_search = (1 - float(spec.final.reserve)) * whole
    # The reserve is the least that final trainings have; a search that ends early leaves them more.
    for_final = whole - min(found.search_seconds, for_search)
    warned = []
    if found.search_seconds > for_search:
        folds = f"evaluation.folds ({spec.evaluation.folds}), " if spec.evaluation.folds > 1 else ""
        warned.append(
            f"the search trials need about {_text(found.search_seconds)}, and budget.wallTime leaves them "
            f"{_text(for_search)}: lower training.metaIterations ({spec.training.meta_iterations:,}), {folds}"
            "budget.maxTrials or search.progressive.beamWidth, or raise budget.wallTime"
        )
    if found.final_seconds > for_final:
        warned.append(
            f"the final trainings need about {_text(found.final_seconds)}, and budget.wallTime leaves them "
            f"{_text(for_final)}: lower final.metaIterations ({spec.final.meta_iterations:,}), final.top or "
            "final.seeds, or raise budget.wallTime; else they are cut short and delivered as far as they got"
        )
    return warned


def _text(seconds: float) -> str:
    """Format a duration in its one or two largest units: 40 s, 12 min, 1 h 20 min, 40 h."""
    # Rough on purpose: an estimate that is wrong by a quarter should not look exact.
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    if not hours:
        return f"{minutes} min"
    if hours >= 10:
        return f"{round(minutes / 60):,} h"
    return f"{hours} h {rest} min" if rest else f"{hours} h"
