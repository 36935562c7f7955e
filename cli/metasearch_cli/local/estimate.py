"""
Estimate how long a search takes on this machine, before it starts, while its settings can still be changed.

The cost of training is measured: a few small parts of real trainings, with the sizes of the search's spec, on noise
instead of its images. The rest is arithmetic. Early stopping, surrogates and the start of workers are left out.
"""

from __future__ import annotations

import heapq
import itertools
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from metasearch.api import Baseline, MetaSearchSpec
from metasearch.search.build import build_search
from metasearch.search.candidates import Candidate
from metasearch.search.cells import Cell, parse_cell
from metasearch.search.space import CellSpace
from metasearch.search.strategies import Answer
from metasearch.search.trials import Progress, Stage, State, TrialSpec
from metasearch_trainer.data.images import ImageSet, Splits
from metasearch_trainer.evaluation import TASKS_AT_ONCE
from metasearch_trainer.storage import LocalStorage
from metasearch_trainer.trainer import Trainer

CELLS_DRAWN = 15
"""The number of random cells of one size among which the typical one is chosen."""

TYPICAL = 0.7
"""The quantile, by multiply-adds, of the drawn cell that is measured: a search prefers larger cells a little."""

META_ITERATIONS = 3
"""The number of meta-iterations of a measured training. The first one warms up and is not counted."""

INNER_STEPS = 2
"""The most gradient steps per task in a measured training."""

PIXELS = 8_000
"""
The number of pixels that bounds a measurement: as many tasks are evaluated, and as many inner steps are taken, as there
are images of the search's size in so many pixels. So a measurement takes only seconds with large images, too.
"""

# A backward pass computes two products, for the inputs and for the weights, where the forward pass computes one.
BACKWARD = 3
"""The approximate cost of a gradient step, in forward passes."""


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
    """The cost of the hand-made network; None where the search has no baseline."""


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
        costs: of the search's networks, `space.maxBlocks` of them and perhaps the baseline.
        workers: the number of trials that run at a time.
    """
    # Round by round: a progressive search, the default, proposes a round only when the one before is over.
    sizes = trials_by_blocks(spec)
    searching = (
        _makespan([_search_seconds(spec, cost)] * size, workers) for size, cost in zip(sizes, costs.cells, strict=True)
    )
    # Scores mostly rise with size, so the best cells are taken to be among the largest.
    largest = max(index for index, number in enumerate(sizes) if number)
    final = [_final_seconds(spec, costs.cells[largest])] * (min(spec.final.top, sum(sizes)) * spec.final.seeds)
    if costs.baseline is not None:
        final += [_final_seconds(spec, costs.baseline)] * spec.final.seeds
    return Estimate(sum(sizes), sum(searching), len(final), _makespan(final, workers))


def trials_by_blocks(spec: MetaSearchSpec) -> list[int]:
    """
    Return the number of search trials whose cells have 1, 2, ... `space.maxBlocks` blocks.

    The first round is the strategy's own answer. Later rounds need scores, so they are taken to have a beam of cells
    that are a block larger each, and where a strategy has no rounds, cells as large as its first ones.
    """
    strategy, largest = build_search("estimate", spec, started_at=0.0).strategy, spec.space.max_blocks
    left, numbers = spec.budget.max_trials, [0] * largest
    first = strategy.propose([], left)  # needs no scores, and so trains no surrogate
    blocks = largest
    if not isinstance(first, Answer):
        sizes = [len(parse_cell(proposal.candidate.architecture)) for proposal in first[:left]]
        numbers = [sizes.count(size) for size in range(1, largest + 1)]
        blocks = max(sizes, default=largest)
    left -= sum(numbers)
    for _ in range((strategy.rounds or 1) - 1):
        blocks = min(blocks + 1, largest)
        taken = min(spec.search.beam_width, left)
        numbers[blocks - 1] += taken
        left -= taken
    if strategy.rounds is None:
        numbers[blocks - 1] += left
    return numbers


def _search_seconds(spec: MetaSearchSpec, cost: Cost) -> float:
    return spec.training.meta_iterations * cost.meta_iteration + _scored_tasks(spec) * cost.task


def _final_seconds(spec: MetaSearchSpec, cost: Cost) -> float:
    tasks = _scored_tasks(spec) + spec.final.tasks
    return spec.final.meta_iterations * cost.meta_iteration + tasks * cost.task


def _scored_tasks(spec: MetaSearchSpec) -> int:
    evaluation = spec.evaluation
    # The last point of the curve is the score itself, which is measured on more tasks.
    return evaluation.tasks + (evaluation.curve_points - 1) * evaluation.curve_tasks


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """
    Return the time at which the last of some trials ends, in seconds after the start of the first.

    Each begins as soon as a worker is free, the longest first (Graham's rule, 1969).
    """
    ends = [0.0] * workers
    for each in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + each)
    return max(ends)


# --- words --------------------------------------------------------------------------------------------------------


def sentences(spec: MetaSearchSpec, found: Estimate, workers: int) -> list[str]:
    """Return the estimate as a sentence, then a warning for each stage that `budget.wallTime` would cut short."""
    duration = (
        f"about {_text(found.seconds)} on this machine with {_counted(workers, 'worker')}: "
        f"{_counted(found.search_trials, 'search trial')} {_text(found.search_seconds)}, "
        f"{_counted(found.final_trainings, 'final training')} {_text(found.final_seconds)}"
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
        warned.append(
            f"the search trials need about {_text(found.search_seconds)}, and budget.wallTime leaves them "
            f"{_text(for_search)}: lower training.metaIterations ({spec.training.meta_iterations:,}), budget.maxTrials "
            "or search.beamWidth, or raise budget.wallTime"
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


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- measurement --------------------------------------------------------------------------------------------------


def measure(
    spec: MetaSearchSpec,
    channels: int,
    side: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> Costs | None:
    """
    Measure the costs of a search's networks by training some of them for a moment.

    Only the smallest and the largest cells are measured, since each takes up to some seconds. The sizes in between are
    interpolated.

    Args:
        channels: of the search's images.
        side: height and width of the search's images in pixels.
        clock: returns seconds, from any start.

    Returns:
        The costs, or None where a training failed. The search would fail in the same way and say why.
    """
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder), weights=None)
        trainer = Trainer(_small(spec, side), _noise(spec, channels, side), device, storage)
        largest = spec.space.max_blocks
        sizes = sorted({1, largest})
        measured = [_cost(spec, trainer, _trial(str(_typical(spec, trainer, blocks))), clock) for blocks in sizes]
        baseline = spec.final.baseline
        hand_made = (
            None if baseline is Baseline.NONE else _cost(spec, trainer, _trial(str(baseline), Stage.BASELINE), clock)
        )
    known = [cost for cost in measured if cost is not None]
    if len(known) < len(measured) or (hand_made is None and baseline is not Baseline.NONE):
        return None
    all_sizes = range(1, largest + 1)
    steps = np.interp(all_sizes, sizes, [cost.meta_iteration for cost in known])
    tasks = np.interp(all_sizes, sizes, [cost.task for cost in known])
    return Costs(tuple(Cost(float(step), float(task)) for step, task in zip(steps, tasks, strict=True)), hand_made)


def _small(spec: MetaSearchSpec, side: int) -> MetaSearchSpec:
    """Return the spec with fewer steps and tasks, and with all that decides the cost of each unchanged."""
    fitting = PIXELS // side**2
    inner_steps = max(1, min(INNER_STEPS, fitting))
    changes: dict[str, dict[str, Any]] = {
        "training": {"inner_steps": min(inner_steps, spec.training.inner_steps)},
        "evaluation": {
            "inner_steps": min(inner_steps, spec.evaluation.inner_steps),
            "tasks": max(2, min(TASKS_AT_ONCE, fitting)),
            "curve_points": 1,
        },
        "final": {"tasks": 2},
        # The limits are meant for a whole trial in a worker's process, and this process holds other things as well.
        "budget": {"trial_time": None, "trial_memory": None},
    }
    parts = {part: getattr(spec, part).model_copy(update=fields) for part, fields in changes.items()}
    # Rotated copies would take memory and time to make, and cost the same to train on.
    dataset = spec.dataset.model_copy(update={"rotations": 1})
    return spec.model_copy(update={**parts, "dataset": dataset})


def _noise(spec: MetaSearchSpec, channels: int, side: int) -> Splits:
    """Return random images of the search's size, enough for one task. The cost of training does not depend on them."""
    count = max(spec.training.shots, spec.task.shots + 1)
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)
    images = ImageSet.of([(str(index), pixels) for index in range(spec.task.ways)])
    return Splits(images, images, images)


def _typical(spec: MetaSearchSpec, trainer: Trainer, blocks: int) -> Cell:
    """Draw cells with so many blocks, and return the one at the quantile `TYPICAL` of their multiply-adds."""
    # A seed of its own, so that two estimates of one search measure the same cells.
    space, rng = CellSpace(spec.space.operations, blocks), np.random.default_rng(blocks)
    drawn = [space.sample(rng) for _ in range(CELLS_DRAWN)]
    drawn.sort(key=lambda cell: trainer.network(_trial(str(cell))).multiply_adds)
    return drawn[round(TYPICAL * (len(drawn) - 1))]


def _trial(candidate: str, stage: Stage = Stage.SEARCH) -> TrialSpec:
    return TrialSpec(
        name="estimate",
        stage=stage,
        round=1,
        candidate=Candidate(candidate),
        seed=0,
        meta_iterations=META_ITERATIONS,
        round_size=1,
    )


def _cost(spec: MetaSearchSpec, trainer: Trainer, trial: TrialSpec, clock: Callable[[], float]) -> Cost | None:
    """Return the cost of a network, from the times at which a small training of it reports; None if it fails."""
    trainer.forget(trial)  # all trials here have one name, so an earlier one's checkpoint would be gone on with
    times: list[float] = []

    def observe(_: Progress) -> None:
        times.append(clock())

    if trainer.run(trial, observe).state is not State.SUCCEEDED:
        return None
    # A training reports after each meta-iteration and then after each part of an evaluation, of which there is one:
    # `_small` has no more than TASKS_AT_ONCE tasks.
    ends_of_steps, end_of_evaluation = times[:META_ITERATIONS], times[META_ITERATIONS]
    # The fastest: whatever else the machine does can only make a step slower.
    training = min(after - before for before, after in itertools.pairwise(ends_of_steps))
    evaluation = end_of_evaluation - ends_of_steps[-1]
    small = trainer.spec
    return Cost(
        meta_iteration=training * spec.training.inner_steps / small.training.inner_steps,
        task=evaluation / small.evaluation.tasks * _images_of_task(spec) / _images_of_task(small),
    )


def _images_of_task(spec: MetaSearchSpec) -> int:
    """Return the approximate cost of one task of an evaluation, in forward passes of one image."""
    ways, evaluation = spec.task.ways, spec.evaluation
    # For the accuracy of queries alone, each is classified in a batch with the whole support set.
    alone = ways * (ways * spec.task.shots + 1)
    return BACKWARD * evaluation.inner_steps * evaluation.inner_batch_size + ways + alone


def measured_sentences(spec: MetaSearchSpec, channels: int, side: int, workers: int) -> list[str]:
    """
    Measure the costs on this machine's first GPU, or its CPU, and return the estimate for users.

    Args:
        channels: of the search's images.
        side: height and width of the search's images in pixels.
        workers: the number of processes that will train.

    Returns:
        Sentences; none where the measurement failed.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    costs = measure(spec, channels, side, torch.device("cuda:0" if gpus else "cpu"))
    if costs is None:
        return []
    # Trials that share a GPU slow each other down, about as if they took turns.
    at_once = min(workers, gpus) if gpus else workers
    return sentences(spec, estimate(spec, costs, at_once), workers)
