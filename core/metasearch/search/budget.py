"""What a search has spent, counted from its trials alone, and which limit that reaches."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from metasearch.api import MetaSearchSpec
from metasearch.search.trials import Stage, State, Trial

SECONDS_PER_HOUR = 3600


class Limit(StrEnum):
    """A limit of `spec.budget`."""

    TRIALS = "maxTrials"
    FAILED_TRIALS = "maxFailedTrials"
    WALL_TIME = "wallTime"
    GPU_HOURS = "gpuHours"


@dataclass(frozen=True)
class Spent:
    """What a search has used so far."""

    trials: int
    """Search trials proposed."""
    failed_trials: int
    """Search trials that failed."""
    wall_seconds: float
    """Since the search began, pauses left out."""
    gpu_hours: float
    """GPU share x time of every attempt."""
    worker_seconds: float
    """Time of every attempt, failed and lost ones too."""


def spent(trials: Iterable[Trial], wall_seconds: float, now: float) -> Spent:
    """Add up a search's trials; attempts still under way count up to `now`, a Unix time in seconds."""
    proposed = failed = 0
    worker_seconds = gpu_seconds = 0.0
    for trial in trials:
        if trial.spec.stage is Stage.SEARCH:
            proposed += 1
            failed += trial.state is State.FAILED
        for attempt in trial.attempts:
            seconds = max(0.0, (now if attempt.ended_at is None else attempt.ended_at) - attempt.started_at)
            worker_seconds += seconds
            gpu_seconds += seconds * attempt.gpus
    return Spent(proposed, failed, wall_seconds, gpu_seconds / SECONDS_PER_HOUR, worker_seconds)


def seconds_left(spec: MetaSearchSpec, wall_seconds: float) -> float:
    """Time until `budget.wallTime` next ends a stage; infinite where it does not."""
    if spec.budget.wall_time is None:
        return math.inf
    whole = spec.budget.wall_time.seconds
    ends = ((1 - float(spec.final.reserve)) * whole, float(whole))
    return min((end - wall_seconds for end in ends if end > wall_seconds), default=math.inf)


def reached(spec: MetaSearchSpec, used: Spent, stage: Stage) -> Limit | None:
    """
    The limit that ends a stage, if any.

    The search stage ends early enough to leave final trials their share of time and GPU-hours. `maxTrials` is no such
    limit: the planner just proposes no more than that.
    """
    budget = spec.budget
    if stage is Stage.SEARCH and used.failed_trials > budget.max_failed_trials:
        return Limit.FAILED_TRIALS
    share = 1 - float(spec.final.reserve) if stage is Stage.SEARCH else 1.0
    if budget.wall_time is not None and used.wall_seconds >= share * budget.wall_time.seconds:
        return Limit.WALL_TIME
    if budget.gpu_hours is not None and used.gpu_hours > 0 and used.gpu_hours >= share * float(budget.gpu_hours):
        return Limit.GPU_HOURS
    return None
