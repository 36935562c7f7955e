"""
Rank measured trials: the Pareto front, and the order by score.

Scores of trials that were trained for different numbers of meta-iterations are not comparable, so those that were
trained longest come first. A candidate that was measured with several seeds counts once, with the mean of its scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import NamedTuple, TypeVar

from metasearch.search.trials import State, Trial, TrialResult

T = TypeVar("T")
Objective = Callable[[TrialResult], float | None]
"""Returns the figure of a result that should be small; None where it was not measured."""


def negative_score(result: TrialResult) -> float | None:
    return None if result.score is None else -result.score


def parameters(result: TrialResult) -> float | None:
    return result.parameter_count


def front(trials: Iterable[Trial], objectives: Sequence[Objective] = (negative_score, parameters)) -> list[Trial]:
    """
    Return the trials that no other beats (is as good in everything and better in something), by the first objective.

    Only trials that ran to their end, were trained longest and have every objective measured take part. Of trials that
    are equal in all objectives the first by name stands for the rest.
    """
    measured = _measured(trials, objectives)
    longest = max((_length(each.trial) for each in measured), default=0)
    contenders = sorted(
        (each for each in measured if _length(each.trial) == longest), key=lambda each: (each.values, each.trial.name)
    )
    return [each.trial for each in unbeaten(contenders, lambda each: each.values)]


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


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """
    Return one trial for each candidate that was measured, best first.

    Those with more meta-iterations come first, of them those with more seeds, which were looked at again for being the
    best, then the better score; ties go to the fewer parameters, then to the name. A candidate counts as its longest
    training says; of several seeds of that, the first stands for all.
    """
    measured = _measured(trials, (negative_score, parameters))
    measured.sort(key=lambda each: (-_length(each.trial), -each.seeds, each.values, each.trial.name))
    return [each.trial for each in measured]


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


class _Measured(NamedTuple):
    """A trial that stands for a candidate, and the candidate's objectives."""

    trial: Trial
    values: tuple[float, ...]
    """Means over seeds."""
    seeds: int


def _measured(trials: Iterable[Trial], objectives: Sequence[Objective]) -> list[_Measured]:
    """Return the measured candidates, each once, as its longest training says."""
    valued = [(trial, values) for trial in trials if (values := _values(trial, objectives)) is not None]
    values_of = {trial.name: values for trial, values in valued}
    measured = []
    for seeds in longest_trainings(trial for trial, _ in valued):
        means = tuple(map(fmean, zip(*(values_of[trial.name] for trial in seeds), strict=True)))
        measured.append(_Measured(seeds[0], means, len(seeds)))
    return measured


def _values(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Return the trial's objectives; None where it did not end with a network or one was not measured."""
    if trial.result is None or not (trial.state is State.SUCCEEDED or trial.has_network):
        return None
    values = tuple(value for objective in objectives if (value := objective(trial.result)) is not None)
    return values if len(values) == len(objectives) else None
