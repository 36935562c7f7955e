"""Rank measured trials: the Pareto front, and the order by score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from metasearch.search.trials import State, Trial, TrialResult

Objective = Callable[[TrialResult], float | None]
"""Returns the figure of a result that should be small; None where it was not measured."""


def negative_score(result: TrialResult) -> float | None:
    return None if result.score is None else -result.score


def parameters(result: TrialResult) -> float | None:
    return result.parameter_count


def front(trials: Iterable[Trial], objectives: Sequence[Objective] = (negative_score, parameters)) -> list[Trial]:
    """
    Return the trials that no other beats (is as good in everything and better in something), by the first objective.

    Only trials that ran to their end and have every objective measured take part. Of trials that are equal in all
    objectives the first by name stands for the rest.
    """
    measured = ((_values(trial, objectives), trial) for trial in trials)
    contenders = [(values, trial) for values, trial in measured if values is not None]
    kept: list[tuple[tuple[float, ...], Trial]] = []
    for values, trial in sorted(contenders, key=lambda contender: (contender[0], contender[1].name)):
        # Sorted, so whatever beats this one has been kept before it.
        if not any(all(other <= own for other, own in zip(earlier, values, strict=True)) for earlier, _ in kept):
            kept.append((values, trial))
    return [trial for _, trial in kept]


def _values(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Return the trial's objectives; None where it did not end with a network or one was not measured."""
    if trial.result is None or not (trial.state is State.SUCCEEDED or trial.has_network):
        return None
    values = tuple(value for objective in objectives if (value := objective(trial.result)) is not None)
    return values if len(values) == len(objectives) else None


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """
    Return the trials that ran to their end, and final ones cut short with a network, best score first.

    Ties go to the fewer parameters, then to the name.
    """
    contenders = [(values, trial) for trial in trials if (values := _values(trial, (negative_score, parameters)))]
    return [trial for _, trial in sorted(contenders, key=lambda contender: (contender[0], contender[1].name))]
