"""
Rank measured trials: the Pareto front, and the order by score.

Scores of trials that were trained for different numbers of meta-iterations are not comparable, so those that were
trained longest come first. A candidate that was measured with several seeds counts once, with the mean of its scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

from metasearch.search.intervals import error_of_mean
from metasearch.search.trials import State, Trial, TrialResult

T = TypeVar("T")
Objective = Callable[[TrialResult], float | None]
"""Returns the figure of a result that should be small; None where it was not measured."""


def negative_score(result: TrialResult) -> float | None:
    return None if result.score is None else -result.score


def parameters(result: TrialResult) -> float | None:
    return result.parameter_count


@dataclass(frozen=True)
class MeasuredCandidate:
    """A candidate and what its longest training has measured."""

    seeds: tuple[Trial, ...]
    """The trials of that training, one for each seed, the first seed first; each has a score."""
    objectives: tuple[float, ...]
    """The means over seeds of the figures that it was ranked by."""

    @property
    def trial(self) -> Trial:
        """The trial of the first seed, which stands for the candidate."""
        return self.seeds[0]

    @property
    def score(self) -> float:
        """The mean over seeds, in [0, 1]."""
        return fmean(trial.score or 0.0 for trial in self.seeds)

    @property
    def score_error(self) -> float | None:
        """The standard error of `score`; None where that of a seed's score is not known."""
        return standard_error(self.seeds)


def standard_error(seeds: Sequence[Trial]) -> float | None:
    """
    Return the standard error of the mean score of several trainings, or of the one of a single.

    It comes from the scores' own errors, which are over tasks, and is at least what the spread over seeds says: seeds
    that happen to agree say less than their tasks do. None where the error of a score is not known.
    """
    errors = [trial.score_error for trial in seeds]
    if 0.0 in errors:
        return None
    over_tasks = error_of_mean(errors)
    if len(seeds) == 1:
        return over_tasks
    return max(over_tasks, stdev(trial.score or 0.0 for trial in seeds) / math.sqrt(len(seeds)))


def front(
    trials: Iterable[Trial], objectives: Sequence[Objective] = (negative_score, parameters)
) -> list[MeasuredCandidate]:
    """
    Return those that no other beats (is as good in everything and better in something), by the first objective.

    Only trials that ran to their end, were trained longest and have every objective measured take part. Of candidates
    that are equal in all objectives the first by its trial's name stands for the rest.
    """
    measured = _measured(trials, objectives)
    longest = max((_length(each.trial) for each in measured), default=0)
    contenders = sorted(
        (each for each in measured if _length(each.trial) == longest),
        key=lambda each: (each.objectives, each.trial.name),
    )
    return unbeaten(contenders, lambda each: each.objectives)


def unbeaten(contenders: Sequence[T], values: Callable[[T], Sequence[float]]) -> list[T]:
    """
    Return those that none before them equals or beats in every value, in their order.

    Args:
        contenders: in ascending order of their values, so that none is beaten by a later one.
        values: returns the figures of one that should be small.
    """
    kept: list[T] = []
    for contender in contenders:
        own = values(contender)
        if not any(all(other <= mine for other, mine in zip(values(each), own, strict=True)) for each in kept):
            kept.append(contender)
    return kept


def ranked(trials: Iterable[Trial]) -> list[MeasuredCandidate]:
    """
    Return each candidate that was measured, best first.

    Those with more meta-iterations come first, of them those with more seeds, which were looked at again for being the
    best, then the better score; ties go to the fewer parameters, then to the name. A candidate counts as its longest
    training says.
    """
    measured = _measured(trials, (negative_score, parameters))
    measured.sort(key=lambda each: (-_length(each.trial), -len(each.seeds), each.objectives, each.trial.name))
    return measured


def by_score(trials: Iterable[Trial]) -> list[Trial]:
    """Return every measured trial, the best score first; ties go to the fewer parameters, then to the name."""
    valued = [(values, trial) for trial in trials if (values := _values(trial, (negative_score, parameters)))]
    return [trial for _, trial in sorted(valued, key=lambda each: (each[0], each[1].name))]


def longest_trainings(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Return the trials of each candidate's longest training, one for each seed, the first seed first."""
    by_candidate: dict[str, list[Trial]] = {}
    for trial in trials:
        by_candidate.setdefault(trial.spec.candidate.text, []).append(trial)
    found = []
    for same in by_candidate.values():
        longest = max(map(_length, same))
        found.append(
            sorted((each for each in same if _length(each) == longest), key=lambda each: (each.spec.seed, each.name))
        )
    return found


def _length(trial: Trial) -> int:
    return trial.spec.meta_iterations


def _measured(trials: Iterable[Trial], objectives: Sequence[Objective]) -> list[MeasuredCandidate]:
    """Return the measured candidates, each once, as its longest training says."""
    valued = [(trial, values) for trial in trials if (values := _values(trial, objectives)) is not None]
    values_of = {trial.name: values for trial, values in valued}
    measured = []
    for seeds in longest_trainings(trial for trial, _ in valued):
        means = tuple(map(fmean, zip(*(values_of[trial.name] for trial in seeds), strict=True)))
        measured.append(MeasuredCandidate(tuple(seeds), means))
    return measured


def _values(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Return the trial's objectives; None where it did not end with a network or one was not measured."""
    if trial.result is None or not (trial.state is State.SUCCEEDED or trial.has_network):
        return None
    values = tuple(value for objective in objectives if (value := objective(trial.result)) is not None)
    return values if len(values) == len(objectives) else None
