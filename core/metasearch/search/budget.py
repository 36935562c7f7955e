"""Add up what a search has spent, from its trials alone, and find the limits of its budget that it has reached."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

from pydantic import Field

from metasearch.api import MetaSearchSpec, SpecModel
from metasearch.search.attempts import attempt_seconds
from metasearch.search.cut_trials import is_cut
from metasearch.search.trials import Stage, State, Trial

SECONDS_PER_HOUR = 3600


class Limit(StrEnum):
    """A limit of `spec.budget`."""

    TRIALS = "maxTrials"
    FAILED_TRIALS = "maxFailedTrials"
    WALL_TIME = "wallTime"
    GPU_HOURS = "gpuHours"


class Spent(SpecModel):
    """The trials, time and GPU-hours that a search has used so far."""

    trials: int = Field(description="search trials proposed, without those that a limit stopped")
    failed_trials: int = Field(description="search trials that failed")
    wall_seconds: float = Field(description="since the search began, pauses left out")
    worker_seconds: float = Field(description="sum over all attempts, failed and lost ones too")
    gpu_hours: float = Field(description="GPU share x hours, summed over all attempts, failed and lost ones too")


def spent(trials: Iterable[Trial], wall_seconds: float, now: float) -> Spent:
    """Add up a search's trials; attempts still under way count up to `now`, a Unix time in seconds."""
    proposed = failed = 0
    worker_seconds = gpu_seconds = 0.0
    for trial in trials:
        # Final trials are not counted: maxTrials and maxFailedTrials are limits of the search stage.
        if trial.spec.stage is Stage.SEARCH:
            # A trial that a limit stopped has told nothing, and under a larger budget another takes its place.
            proposed += not is_cut(trial)
            failed += trial.state is State.FAILED
        for attempt in trial.attempts:
            seconds = attempt_seconds(attempt, now)
            worker_seconds += seconds
            gpu_seconds += seconds * attempt.gpus
    return Spent(
        trials=proposed,
        failed_trials=failed,
        wall_seconds=wall_seconds,
        worker_seconds=worker_seconds,
        gpu_hours=gpu_seconds / SECONDS_PER_HOUR,
    )


def used_shares(spec: MetaSearchSpec, used: Spent) -> dict[Limit, float]:
    """
    Return how much of each limit that `spec.budget` sets is used: 1 where it is reached, more beyond.

    The status, the report and the progress bar all show these.
    """
    budget = spec.budget
    shares = {
        Limit.TRIALS: used.trials / budget.max_trials,
        # So many failures are tolerated; it is the one after them that ends the stage.
        Limit.FAILED_TRIALS: used.failed_trials / (budget.max_failed_trials + 1),
    }
    if budget.wall_time is not None:
        shares[Limit.WALL_TIME] = _share(used.wall_seconds, budget.wall_time.seconds)
    if budget.gpu_hours is not None:
        shares[Limit.GPU_HOURS] = _share(used.gpu_hours, float(budget.gpu_hours))
    return shares


def used_share(spec: MetaSearchSpec, used: Spent) -> float:
    """Return how much is used of the limit that is nearest."""
    return max(used_shares(spec, used).values())


def _share(used: float, limit: float) -> float:
    """Divide by a limit that may be zero, which allows nothing."""
    return used / limit if limit else float(used > 0)


def seconds_left(spec: MetaSearchSpec, wall_seconds: float) -> float:
    """Return the seconds until `budget.wallTime` next ends a stage; infinite where it does not."""
    if spec.budget.wall_time is None:
        return math.inf
    whole = spec.budget.wall_time.seconds
    # The search stage ends first, to leave the final stage its share; the final stage ends with the whole time.
    ends = ((1 - float(spec.final.reserve)) * whole, float(whole))
    return min((end - wall_seconds for end in ends if end > wall_seconds), default=math.inf)


def reached(spec: MetaSearchSpec, used: Spent, stage: Stage) -> Limit | None:
    """
    Return the limit that ends a stage, if any.

    The search stage ends early enough to leave final trials their share of time and GPU-hours. `maxTrials` is no such
    limit: the planner just proposes no more than that.
    """
    budget = spec.budget
    if stage is Stage.SEARCH and used.failed_trials > budget.max_failed_trials:
        return Limit.FAILED_TRIALS
    share = 1 - float(spec.final.reserve) if stage is Stage.SEARCH else 1.0
    if budget.wall_time is not None and used.wall_seconds >= share * budget.wall_time.seconds:
        return Limit.WALL_TIME
    # On CPUs no GPU-hours are used, so a limit of 0 allows such a search.
    if budget.gpu_hours is not None and used.gpu_hours > 0 and used.gpu_hours >= share * float(budget.gpu_hours):
        return Limit.GPU_HOURS
    return None
