"""
Learn what trials cost from those that are over, and tell what others will.

A training takes a time for each meta-iteration, an evaluation one for each task, and both are a line in the network's
multiply-adds: a constant for what every step takes, and the arithmetic. Fitted on a search's own trials, so that the
machine, its load and whatever else slows a search down are in it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from metasearch.api import Evaluation, MetaSearchSpec
from metasearch.search.attempts import attempt_seconds
from metasearch.search.encoded_cells import EncodedCells
from metasearch.search.network_size import network_sizes
from metasearch.search.space import CellSpace
from metasearch.search.trials import Stage, State, Trial

TYPICAL = 0.7
"""The quantile, by multiply-adds, of random cells that stands for those of a search, which prefers larger ones."""

CELLS_DRAWN = 15
"""Random cells of one size among which that is."""


@dataclass(frozen=True)
class Work:
    """The work of a trial."""

    meta_iterations: float
    """Those of its own, without those of a trial that it goes on from."""
    tasks: float
    """Tasks that it is evaluated on."""


@dataclass(frozen=True)
class Line:
    """Seconds, as a line in multiply-adds; neither part of it is negative."""

    constant: float
    slope: float

    @classmethod
    def fit(cls, multiply_adds: Sequence[float], seconds: Sequence[float]) -> Line:
        """Fit by least squares: a mean where the sizes tell nothing, and no constant where that would be negative."""
        if not seconds:
            return cls(0.0, 0.0)
        x, y = np.asarray(multiply_adds, dtype=float), np.asarray(seconds, dtype=float)
        centred = x - x.mean()
        spread = float(centred @ centred)
        slope = float(centred @ y) / spread if spread else 0.0
        constant = float(y.mean()) - slope * float(x.mean())
        if slope < 0 or not spread:
            return cls(float(y.mean()), 0.0)
        return cls(constant, slope) if constant >= 0 else cls(0.0, float(y.sum() / x.sum()))

    def at(self, multiply_adds: float) -> float:
        return self.constant + self.slope * multiply_adds


@dataclass(frozen=True)
class TrialCosts:
    """The times of a search's trials."""

    meta_iteration: Line
    task: Line
    besides: float
    """The factor by which an attempt takes longer than its training and its evaluation."""

    @classmethod
    def of(cls, spec: MetaSearchSpec, trials: Iterable[Trial]) -> TrialCosts | None:
        """Learn from trials that are over; None where none of them tells anything."""
        there = list(trials)
        done = [trial for trial in there if _tells(trial)]
        if not done:
            return None
        lengths = {trial.name: trial.spec.meta_iterations for trial in there}
        work = [work_of(spec, trial, lengths) for trial in done]
        sizes = [float(trial.result.multiply_adds or 0) for trial in done if trial.result]
        parts = [_parts(trial) for trial in done]
        trained = [
            (size, part / each.meta_iterations) for size, (part, _), each in zip(sizes, parts, work, strict=True)
        ]
        tested = [
            (size, part / each.tasks) for size, (_, part), each in zip(sizes, parts, work, strict=True) if each.tasks
        ]
        made = cls(Line.fit(*_columns(trained)), Line.fit(*_columns(tested)), 1.0)
        expected = sum(made.seconds(size, each) for size, each in zip(sizes, work, strict=True))
        return cls(made.meta_iteration, made.task, sum(map(_seconds, done)) / expected if expected else 1.0)

    def seconds(self, multiply_adds: float, work: Work) -> float:
        """Return the seconds of an attempt at so much work with a network of so many multiply-adds."""
        trained = work.meta_iterations * self.meta_iteration.at(multiply_adds)
        return self.besides * (trained + work.tasks * self.task.at(multiply_adds))


def work_of(spec: MetaSearchSpec, trial: Trial, lengths: Mapping[str, int]) -> Work:
    """
    Return the work of a trial that is not given up early.

    Args:
        lengths: meta-iterations of all trials by their names.
    """
    evaluation = spec.evaluation
    meta_iterations = trial.spec.meta_iterations - lengths.get(trial.spec.resumes or "", 0)
    if trial.spec.is_beginning:
        return Work(meta_iterations, 0.0)
    tasks = scored_tasks(evaluation, has_curve=trial.spec.resumes is None)
    if trial.spec.stage is not Stage.SEARCH:
        return Work(meta_iterations, tasks + spec.final.tasks)
    return Work(meta_iterations * evaluation.folds, tasks * evaluation.folds)


def scored_tasks(evaluation: Evaluation, has_curve: bool = True) -> int:
    """Return the number of tasks that a whole training is evaluated on, in the search; with folds, on each."""
    # The last point of the curve is the score itself, which is measured on more tasks.
    points = evaluation.curve_points - 1 if has_curve else 0
    return evaluation.tasks + points * evaluation.curve_tasks


def typical_multiply_adds(spec: MetaSearchSpec, size: int, channels: int, side: int) -> float:
    """Return the multiply-adds of the network of a typical cell with so many blocks, on such images."""
    space = CellSpace(spec.space.operations, size)
    rng = np.random.default_rng(size)  # of its own, so that two estimates of one search draw the same cells
    cells = EncodedCells.of([space.sample(rng) for _ in range(CELLS_DRAWN)], space.operations)
    counted: npt.NDArray[np.int64] = network_sizes(cells, spec.space, channels, side, spec.task.ways).multiply_adds
    return float(np.quantile(counted, TYPICAL))


def makespan(seconds: Sequence[float], slots: int) -> float:
    """
    Return the time at which the last of some trials ends, in seconds after the start of the first.

    Each begins as soon as a slot is free, the longest first (Graham's rule, 1969).
    """
    ends = [0.0] * slots
    for each in sorted(seconds, reverse=True):
        heapq.heappush(ends, heapq.heappop(ends) + each)
    return max(ends)


def _tells(trial: Trial) -> bool:
    result = trial.result
    is_whole = result is not None and trial.state is State.SUCCEEDED and len(trial.attempts) == 1
    return is_whole and result is not None and bool(result.multiply_adds and result.wall_seconds)


def _parts(trial: Trial) -> tuple[float, float]:
    """Return the seconds of training, and those of evaluation; all are training where the parts are not on record."""
    assert trial.result is not None
    parts = trial.result.part_seconds
    return (trial.result.wall_seconds or 0.0, 0.0) if parts is None else (parts.training, parts.evaluation)


def _seconds(trial: Trial) -> float:
    (attempt,) = trial.attempts
    return attempt_seconds(attempt, attempt.started_at)


def _columns(rows: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [first for first, _ in rows], [second for _, second in rows]
