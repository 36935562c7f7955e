"""The board: which of the measured candidates nothing else beats (the Pareto front), and which is best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from metasearch.search.trials import State, Trial, TrialResult

Objective = Callable[[TrialResult], float | None]
"""Something to make small; None where it was not measured."""


def negative_score(result: TrialResult) -> float | None:
    return None if result.score is None else -result.score


def parameters(result: TrialResult) -> float | None:
    return result.parameter_count


def latency(result: TrialResult) -> float | None:
    return result.latency_ms


def memory(result: TrialResult) -> float | None:
    return result.peak_memory_bytes


def wall_time(result: TrialResult) -> float | None:
    return result.wall_seconds


def front(trials: Iterable[Trial], objectives: Sequence[Objective] = (negative_score, parameters)) -> list[Trial]:
    """
    The trials that no other is at least as good as in everything and better in something, by the first objective.

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
    """The trial's place on the board; None where it did not end with a network or something was not measured."""
    if trial.result is None or not (trial.state is State.SUCCEEDED or trial.has_network):
        return None
    values = tuple(value for objective in objectives if (value := objective(trial.result)) is not None)
    return values if len(values) == len(objectives) else None


def ranked(trials: Iterable[Trial]) -> list[Trial]:
    """
    Trials that ran to their end, and final ones cut short with a network, best score first.

    Ties go to the fewer parameters, then to the name.
    """
    contenders = [(values, trial) for trial in trials if (values := _values(trial, (negative_score, parameters)))]
    return [trial for _, trial in sorted(contenders, key=lambda contender: (contender[0], contender[1].name))]
