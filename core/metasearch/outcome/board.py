"""
The board: every candidate that was measured, with its scores and what they took, and the front among them.

Computed from the trials alone. A candidate has a row for its search trials and another one for its final trials, for
scores of different lengths of training are not comparable. A row has the means over the seeds of its longest training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from metasearch.api import Evaluation, Split
from metasearch.errors import InvalidSpec
from metasearch.outcome.results import counted_seeds
from metasearch.search import pareto
from metasearch.search.candidates import Candidate
from metasearch.search.intervals import error_of_mean
from metasearch.search.trials import Stage, State, Trial


@dataclass(frozen=True)
class Figure:
    """A figure of a row."""

    of_trial: Callable[[Trial, Evaluation], float | None]
    """Returns the figure of a trial that has a result; None where it was not measured."""
    over_seeds: Callable[[Sequence[float]], float] = fmean
    """Joins the figures of several seeds."""
    is_cost: bool = True
    """True where less is better."""
    may_choose: bool = True
    """False where a front by it would choose among networks by what they are reported by."""


@dataclass(frozen=True)
class Row:
    """A candidate as one stage has measured it."""

    trial: str
    """The name of its first seed's trial; of several final ones, of that with the best score."""
    stage: Stage
    candidate: Candidate
    seeds: int
    meta_iterations: int
    """The outer steps that its trials were asked for."""
    figures: Mapping[str, float | None]
    """The values of FIGURES, by their names; None where they were not measured."""
    is_on_front: bool = False


DEFAULT_FRONT = ("score", "parameterCount")


def board(trials: Sequence[Trial], evaluation: Evaluation, front: Sequence[str] = DEFAULT_FRONT) -> list[Row]:
    """
    Return the rows: final ones, baselines, then the search's; of each stage the longest trained first, then by score.

    Args:
        trials: every trial on record, in any order; those that did not run to their end have no row.
        evaluation: of the search's spec.
        front: the names of the figures by which rows of one stage that were trained equally long beat each other: a row
            is on the front where no other is as good in all of them and better in one.

    Raises:
        InvalidSpec: a name of `front` is no figure, or one that is reported and must not choose.
    """
    require_front(front)
    rows: list[Row] = []
    for stage in (Stage.FINAL, Stage.BASELINE, Stage.SEARCH):
        of_stage = [trial for trial in trials if trial.spec.stage is stage]
        made = [_row(seeds, evaluation) for seeds in _groups(of_stage, stage)]
        made.sort(key=lambda row: (-row.meta_iterations, *_values(row, DEFAULT_FRONT), row.trial))
        rows += _with_front(made, front)
    return rows


def cost(row: Row, name: str) -> float:
    """Return a figure of a row so that less is better; infinity where it was not measured."""
    value = row.figures[name]
    return math.inf if value is None else value if FIGURES[name].is_cost else -value


def require_front(names: Iterable[str]) -> None:
    """Raise InvalidSpec where one of the names is no figure that a front may be made by."""
    choosing = [name for name, figure in FIGURES.items() if figure.may_choose]
    for name in names:
        if name in FIGURES and name not in choosing:
            raise InvalidSpec(f"a front by {name} would choose networks by what is reported of them; name others")
        if name not in FIGURES:
            raise InvalidSpec(
                f"{name!r} is no figure of a board that a front can be made by; it has {', '.join(choosing)}"
            )


# --- figures ------------------------------------------------------------------------------------------------------


def _is_by_training_loss(trial: Trial) -> bool:
    """Tell whether a score comes from the training loss: that of a beginning, whose learner has one."""
    result = trial.result
    return trial.spec.is_beginning and result is not None and result.training_score is not None


def _validation_score(trial: Trial, evaluation: Evaluation) -> float | None:
    is_folded = evaluation.folds > 1 and trial.spec.stage is Stage.SEARCH
    is_other = is_folded or evaluation.split is not Split.VALIDATION or _is_by_training_loss(trial)
    return None if is_other else trial.score


def _cross_validation_score(trial: Trial, evaluation: Evaluation) -> float | None:
    is_folded = evaluation.folds > 1 and trial.spec.stage is Stage.SEARCH
    return trial.score if is_folded and not _is_by_training_loss(trial) else None


def _measured(name: str) -> Callable[[Trial, Evaluation], float | None]:
    """Return a function that returns a field of a trial's result."""

    def of_trial(trial: Trial, _: Evaluation) -> float | None:
        value: float | None = getattr(trial.result, name)
        return value

    return of_trial


def _accuracy(field: str) -> Callable[[Trial, Evaluation], float | None]:
    """Return a function that returns an accuracy of a trial, each query alone."""

    def of_trial(trial: Trial, _: Evaluation) -> float | None:
        accuracies = getattr(trial.result, field)
        return None if accuracies is None else float(accuracies.non_transductive.mean)

    return of_trial


FIGURES: Mapping[str, Figure] = {
    "score": Figure(_measured("score"), is_cost=False),
    "scoreError": Figure(_measured("score_error"), error_of_mean),
    "trainingScore": Figure(_measured("training_score"), is_cost=False),
    "validationScore": Figure(_validation_score, is_cost=False),
    "crossValidationScore": Figure(_cross_validation_score, is_cost=False),
    "accuracy": Figure(_accuracy("validation"), is_cost=False),
    "testAccuracy": Figure(_accuracy("test"), is_cost=False, may_choose=False),
    "wallSeconds": Figure(_measured("wall_seconds")),
    "peakMemoryBytes": Figure(_measured("peak_memory_bytes"), max),
    "parameterCount": Figure(_measured("parameter_count"), max),
    "multiplyAdds": Figure(_measured("multiply_adds"), max),
    "latencyMs": Figure(_measured("latency_ms")),
}
"""The figures of a board, by the names that they have in its columns."""


# --- rows ---------------------------------------------------------------------------------------------------------


def _groups(trials: Sequence[Trial], stage: Stage) -> list[list[Trial]]:
    """Return the trials of each row."""
    if stage is not Stage.SEARCH:
        return counted_seeds(trials)
    return pareto.longest_trainings(trial for trial in trials if trial.state is State.SUCCEEDED and trial.result)


def _row(seeds: Sequence[Trial], evaluation: Evaluation) -> Row:
    first = seeds[0]
    figures: dict[str, float | None] = {}
    for name, figure in FIGURES.items():
        known = [value for trial in seeds if (value := figure.of_trial(trial, evaluation)) is not None]
        figures[name] = figure.over_seeds(known) if known else None
    return Row(first.name, first.spec.stage, first.spec.candidate, len(seeds), first.spec.meta_iterations, figures)


def _with_front(rows: Sequence[Row], front: Sequence[str]) -> list[Row]:
    """Mark the rows of one stage that are on the front."""
    longest = max((row.meta_iterations for row in rows), default=0)
    contenders = [
        row for row in rows if row.meta_iterations == longest and all(row.figures[name] is not None for name in front)
    ]
    contenders.sort(key=lambda row: (_values(row, front), row.trial))
    kept = {row.trial for row in pareto.unbeaten(contenders, lambda row: _values(row, front))}
    return [replace(row, is_on_front=row.trial in kept) for row in rows]


def _values(row: Row, names: Sequence[str]) -> tuple[float, ...]:
    """Return figures so that less is better; of those that were not measured infinity."""
    return tuple(cost(row, name) for name in names)
