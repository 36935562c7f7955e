"""
How long a search will take on this machine, about: said before it starts, while its settings can still be changed.

What training costs is measured: a few small parts of real trainings, at the sizes that the search asks for, on noise
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
TYPICAL = 0.7
"""The quantile by multiply-adds of the drawn cell that is measured: a search prefers the larger ones a little."""

META_ITERATIONS = 3
"""What is trained to measure a cell; the first warms up and does not count."""

INNER_STEPS = 2
PIXELS = 8_000
"""Of one image of each task that a cell is evaluated on, and of each inner step: less work with large images."""

BACKWARD = 3
"""Forward passes that a gradient step costs, about."""


@dataclass(frozen=True)
class Cost:
    """What one network costs on one worker, in seconds."""

    meta_iteration: float
    task: float
    """To adapt to one task and be evaluated on it."""


@dataclass(frozen=True)
class Costs:
    """What the networks of a search cost."""

    cells: tuple[Cost, ...]
    """A typical cell of each number of blocks, from 1."""
    baseline: Cost | None


@dataclass(frozen=True)
class Estimate:
    """How long the stages take."""

    search_trials: int
    search_seconds: float
    final_trainings: int
    final_seconds: float

    @property
    def seconds(self) -> float:
        return self.search_seconds + self.final_seconds


# --- arithmetic ---------------------------------------------------------------------------------------------------


def estimate(spec: MetaSearchSpec, costs: Costs, workers: int) -> Estimate:
    """How long a search takes with so many trials at a time, if no limit on time ends it."""
    sizes = trials_by_blocks(spec)
    searching = (
        _makespan([_search_seconds(spec, cost)] * size, workers) for size, cost in zip(sizes, costs.cells, strict=True)
    )
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
    first = strategy.propose([], left)
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
    return evaluation.tasks + (evaluation.curve_points - 1) * evaluation.curve_tasks


def _makespan(seconds: Sequence[float], workers: int) -> float:
    """When the last of some trials ends, each begun as soon as a worker is free, the longest first."""
    ends = [0.0] * workers
    for each in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + each)
    return max(ends)


# --- words --------------------------------------------------------------------------------------------------------


def sentences(spec: MetaSearchSpec, found: Estimate, workers: int) -> list[str]:
    """The estimate, and a warning for each stage that `budget.wallTime` would cut short."""
    told = (
        f"about {_text(found.seconds)} on this machine with {_counted(workers, 'worker')}: "
        f"{_counted(found.search_trials, 'search trial')} {_text(found.search_seconds)}, "
        f"{_counted(found.final_trainings, 'final training')} {_text(found.final_seconds)}"
    )
    return [told, *warnings(spec, found)]


def warnings(spec: MetaSearchSpec, found: Estimate) -> list[str]:
    """What does not fit `budget.wallTime`, and what would."""
    if spec.budget.wall_time is None:
        return []
    whole = float(spec.budget.wall_time.seconds)
    for_search = (1 - float(spec.final.reserve)) * whole
    for_final = whole - min(found.search_seconds, for_search)
    told = []
    if found.search_seconds > for_search:
        told.append(
            f"the search trials need about {_text(found.search_seconds)}, and budget.wallTime leaves them "
            f"{_text(for_search)}: lower training.metaIterations ({spec.training.meta_iterations:,}), budget.maxTrials "
            "or search.beamWidth, or raise budget.wallTime"
        )
    if found.final_seconds > for_final:
        told.append(
            f"the final trainings need about {_text(found.final_seconds)}, and budget.wallTime leaves them "
            f"{_text(for_final)}: lower final.metaIterations ({spec.final.meta_iterations:,}), final.top or "
            "final.seeds, or raise budget.wallTime; else they are cut short and delivered as far as they got"
        )
    return told


def _text(seconds: float) -> str:
    """The one or two largest units: 40 s, 12 min, 1 h 20 min, 40 h."""
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
    Train a little to see what it costs; None where that fails, as the search itself will tell.

    Sizes between the smallest and the largest are interpolated, for each takes up to some seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(Path(folder), weights=None)
        trainer = Trainer(_small(spec, side), _noise(spec, channels, side), device, storage)
        largest = spec.space.max_blocks
        at = sorted({1, largest})
        measured = [_cost(spec, trainer, _trial(str(_typical(spec, trainer, blocks))), clock) for blocks in at]
        baseline = spec.final.baseline
        hand_made = (
            None if baseline is Baseline.NONE else _cost(spec, trainer, _trial(str(baseline), Stage.BASELINE), clock)
        )
    known = [cost for cost in measured if cost is not None]
    if len(known) < len(measured) or (hand_made is None and baseline is not Baseline.NONE):
        return None
    everywhere = range(1, largest + 1)
    steps = np.interp(everywhere, at, [cost.meta_iteration for cost in known])
    tasks = np.interp(everywhere, at, [cost.task for cost in known])
    return Costs(tuple(Cost(float(step), float(task)) for step, task in zip(steps, tasks, strict=True)), hand_made)


def _small(spec: MetaSearchSpec, side: int) -> MetaSearchSpec:
    """The spec with little to do, and everything that decides what that costs as it is."""
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
        "budget": {"trial_time": None, "trial_memory": None},
    }
    parts = {part: getattr(spec, part).model_copy(update=fields) for part, fields in changes.items()}
    dataset = spec.dataset.model_copy(update={"rotations": 1})
    return spec.model_copy(update={**parts, "dataset": dataset})


def _noise(spec: MetaSearchSpec, channels: int, side: int) -> Splits:
    """Images enough for a task, of the search's size; what they show costs nothing."""
    count = max(spec.training.shots, spec.task.shots + 1)
    pixels = np.random.default_rng(0).integers(0, 256, (count, channels, side, side), dtype=np.uint8)
    images = ImageSet.of([(str(index), pixels) for index in range(spec.task.ways)])
    return Splits(images, images, images)


def _typical(spec: MetaSearchSpec, trainer: Trainer, blocks: int) -> Cell:
    """Draw a cell with so many blocks, rather large than small."""
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
    """What a network costs, from the times at which a small training of it says how far it is."""
    trainer.forget(trial)  # a checkpoint, should one have been due
    times: list[tuple[int, float]] = []

    def observe(progress: Progress) -> None:
        times.append((progress.meta_iteration, clock()))

    if trainer.run(trial, observe).state is not State.SUCCEEDED:
        return None
    # One look after each meta-iteration, then one after the evaluation.
    looks = [at for _, at in times[: META_ITERATIONS + 1]]
    training = min(after - before for before, after in itertools.pairwise(looks[:META_ITERATIONS]))
    evaluation = looks[META_ITERATIONS] - looks[META_ITERATIONS - 1]
    small = trainer.spec
    return Cost(
        meta_iteration=training * spec.training.inner_steps / small.training.inner_steps,
        task=evaluation / small.evaluation.tasks * _images_of_task(spec) / _images_of_task(small),
    )


def _images_of_task(spec: MetaSearchSpec) -> int:
    """Forward passes of one image that a task of an evaluation costs, about."""
    ways, evaluation = spec.task.ways, spec.evaluation
    alone = ways * (ways * spec.task.shots + 1)
    return BACKWARD * evaluation.inner_steps * evaluation.inner_batch_size + ways + alone


def foretell(spec: MetaSearchSpec, channels: int, side: int, workers: int) -> list[str]:
    """What to tell a user before the search starts, in sentences; none where nothing could be measured."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    costs = measure(spec, channels, side, torch.device("cuda:0" if gpus else "cpu"))
    if costs is None:
        return []
    # Trials that share a GPU slow each other down, about as if they took turns.
    at_once = min(workers, gpus) if gpus else workers
    return sentences(spec, estimate(spec, costs, at_once), workers)
