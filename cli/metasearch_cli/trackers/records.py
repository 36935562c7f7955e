"""
The part of a trial that an experiment tracker shows: parameters, learning curve and what was measured.

It is made from the trial on record alone, so that a search may be logged while it runs, or afterwards, to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from metasearch.search.trials import CurvePoint, State, Trial, TrialResult

_METRICS: Mapping[str, Callable[[TrialResult], float | None]] = {
    "scoreError": lambda result: result.score_error,
    "trainingScore": lambda result: result.training_score,
    "accuracy": lambda result: result.validation.non_transductive.mean if result.validation else None,
    "testAccuracy": lambda result: result.test.non_transductive.mean if result.test else None,
    "parameterCount": lambda result: result.parameter_count,
    "multiplyAdds": lambda result: result.multiply_adds,
    "wallSeconds": lambda result: result.wall_seconds,
    "peakMemoryBytes": lambda result: result.peak_memory_bytes,
    "latencyMs": lambda result: result.latency_ms,
}
"""The measurements of a result besides its score; the names are those of the columns of `metasearch board`."""


@dataclass(frozen=True)
class TrialRecord:
    """A trial that was claimed at least once, as a tracker shows it."""

    search: str
    trial: str
    parameters: Mapping[str, str]
    """The cell in text, its hyperparameters, and what else the result depends on."""
    curve: tuple[CurvePoint, ...]
    metrics: Mapping[str, float]
    """Empty until the trial is over; then what was measured of it."""
    step: int
    """The meta-iteration that `metrics` are of."""
    state: State
    started_at: float
    """Unix time in seconds at which the last attempt began."""
    ended_at: float | None
    """Unix time in seconds; None while it runs."""

    @property
    def curve_name(self) -> str:
        """The name of the curve; that of a beginning, whose scores are of another kind, has another."""
        return "beginningCurve" if self.parameters["isBeginning"] == "true" else "curve"

    def continues(self, earlier: TrialRecord) -> bool:
        """Tell whether this record only adds to an earlier one, so that it suffices to write what is new."""
        same_attempt = replace(earlier, curve=(), metrics={}, step=0, state=State.RUNNING, ended_at=None) == replace(
            self, curve=(), metrics={}, step=0, state=State.RUNNING, ended_at=None
        )
        return same_attempt and self.curve[: len(earlier.curve)] == earlier.curve and not earlier.state.is_over


def record_of(search: str, trial: Trial) -> TrialRecord | None:
    """Return what a tracker shows of a trial; None where no worker has ever claimed it."""
    if not trial.attempts:
        return None
    last, result, spec = trial.attempts[-1], trial.result, trial.spec
    return TrialRecord(
        search=search,
        trial=trial.name,
        parameters={
            "cell": spec.candidate.architecture,
            "stage": str(spec.stage),
            "round": str(spec.round),
            "seed": str(spec.seed),
            "metaIterations": str(spec.meta_iterations),
            "isBeginning": str(spec.is_beginning).lower(),
            **spec.candidate.texts,
        },
        curve=result.curve if result else trial.progress.curve,
        metrics=_metrics(trial, result) if result else {},
        step=(result.meta_iterations if result else None) or spec.meta_iterations,
        state=trial.state,
        started_at=last.started_at,
        ended_at=last.ended_at if trial.state.is_over else None,
    )


def _metrics(trial: Trial, result: TrialResult) -> dict[str, float]:
    # Scores of beginnings come from the training loss; in one chart with the others they would mislead.
    named = {"beginningScore" if trial.spec.is_beginning else "score": result.score}
    named |= {name: value(result) for name, value in _METRICS.items()}
    return {name: float(value) for name, value in named.items() if value is not None}


class Tracker(Protocol):
    """A place where records are shown. Methods raise StoreUnavailable where it cannot be written now."""

    def write(self, record: TrialRecord) -> None:
        """Write a record, or what it adds to the one of the same trial that was written last."""
        ...

    def close(self) -> None:
        """Write out what waits, and free what is held."""
        ...


class Changes:
    """Writes to a tracker the trials that have changed since it last did."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._written: dict[str, TrialRecord] = {}

    def write(self, search: str, trials: Iterable[Trial]) -> int:
        """Write what is new; return the number of trials on record there now."""
        for trial in trials:
            record = record_of(search, trial)
            if record is not None and record != self._written.get(record.trial):
                self._tracker.write(record)
                self._written[record.trial] = record
        return len(self._written)
