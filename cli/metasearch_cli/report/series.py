"""Series of values for the charts and tables, taken from trials. Nothing is drawn or put into words here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats

from metasearch.outcome.attempt_outcomes import AttemptOutcome, outcome_of
from metasearch.outcome.results import SearchResult
from metasearch.search import pareto
from metasearch.search.attempts import attempt_seconds
from metasearch.search.cut_trials import without_replaced
from metasearch.search.pareto import MeasuredCandidate
from metasearch.search.ranking import FEWEST, Prediction, predictions
from metasearch.search.trials import CurvePoint, Stage, State, Trial, by_round

FAILED_SHOWN = 20
CURVES_SHOWN = 10
CHANCE = 0.05
"""The p-value up to which a round counts as ranked better than chance."""


def of_stage(trials: Iterable[Trial], *stages: Stage) -> list[Trial]:
    return [trial for trial in trials if trial.spec.stage in stages]


# --- progress -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """A search trial that ran and is over."""

    place: int
    """1 for the first that was over."""
    round: int
    state: State
    score: float | None
    best: float | None
    """The best score of whole trainings that ran to their end, up to this one."""
    is_beginning: bool
    """True where it was a part of a training, with a score of another kind."""
    ended_at: float
    """Unix time in seconds."""
    best_error: float | None
    """The standard error of `best`; None without one, and where it is not known."""


def ended_in_order(trials: Iterable[Trial]) -> list[Ended]:
    """Return search trials in the order in which they ended, without those that never ran."""
    over = [trial for trial in of_stage(trials, Stage.SEARCH) if trial.state.is_over and trial.attempts]
    best: float | None = None
    best_error: float | None = None
    found = []
    for place, trial in enumerate(sorted(over, key=_end), 1):
        # The score of a stopped trial is a point of its curve, and that of a beginning comes from the training loss:
        # neither is comparable with that of a whole training.
        is_whole = trial.state is State.SUCCEEDED and not trial.spec.is_beginning
        if is_whole and trial.score is not None and (best is None or trial.score > best):
            best, best_error = trial.score, trial.score_error or None
        ended_at, _, _ = _end(trial)
        found.append(
            Ended(
                place,
                trial.spec.round,
                trial.state,
                trial.score,
                best,
                trial.spec.is_beginning,
                ended_at,
                best_error,
            )
        )
    return found


def _end(trial: Trial) -> tuple[float, float, str]:
    last = trial.attempts[-1]
    return last.ended_at or last.started_at, last.started_at, trial.name


# --- predictions --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PredictedRound:
    """The predictions of a round that have been measured."""

    round: int
    predictions: tuple[Prediction, ...]
    p_value: float | None
    """Probability of a Kendall's tau at least as good by chance; None where there are too few to rank."""


def has_predicted(trials: Iterable[Trial]) -> bool:
    """Tell whether any trial was proposed with a prediction."""
    return any(trial.spec.predicted is not None for trial in trials)


def predicted_rounds(trials: Iterable[Trial]) -> list[PredictedRound]:
    """Return every round for which predictions were made."""
    return [_predicted(round) for round in by_round(without_replaced(trials)) if has_predicted(round)]


def _predicted(trials: Sequence[Trial]) -> PredictedRound:
    found = predictions(trials)
    return PredictedRound(trials[0].spec.round, found, _p_value(found))


def _p_value(found: Sequence[Prediction]) -> float | None:
    predicted, measured = [each.predicted for each in found], [each.measured for each in found]
    # Kendall's tau is not defined where all predictions or all scores tie.
    if len(found) < FEWEST or len(set(predicted)) == 1 or len(set(measured)) == 1:
        return None
    # One-sided, since a ranking that is upside down is no success of the surrogate.
    return float(stats.kendalltau(predicted, measured, alternative="greater").pvalue)


# --- learning curves ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """A trial's learning curve, as far as it got."""

    trial: str
    stage: Stage
    round: int
    candidate: str
    points: tuple[CurvePoint, ...]


def search_curves(trials: Iterable[Trial]) -> list[Curve]:
    """Return the curves of the best search trials, best first. A beginning's one point is not part of a curve."""
    ranked = [best.trial for best in pareto.ranked(of_stage(trials, Stage.SEARCH))]
    whole = [trial for trial in ranked if not trial.spec.is_beginning]
    return _curves(whole[:CURVES_SHOWN])


def longest_trained(trials: Iterable[Trial]) -> list[MeasuredCandidate]:
    """Return, best first, the cells measured with the most meta-iterations: only their scores are comparable."""
    ranked = pareto.ranked(of_stage(trials, Stage.SEARCH))
    return [each for each in ranked if each.trial.spec.meta_iterations == ranked[0].trial.spec.meta_iterations]


def final_curves(trials: Iterable[Trial]) -> list[Curve]:
    """Return the curves of final trials and the baselines', those under way too."""
    chosen = of_stage(trials, Stage.FINAL, Stage.BASELINE)
    return _curves(sorted(chosen, key=lambda trial: (trial.spec.stage, trial.spec.candidate.text, trial.spec.seed)))


def _curves(trials: Iterable[Trial]) -> list[Curve]:
    found = (
        Curve(
            trial.name,
            trial.spec.stage,
            trial.spec.round,
            trial.spec.candidate.text,
            trial.result.curve if trial.result else trial.progress.curve,
        )
        for trial in trials
    )
    return [curve for curve in found if curve.points]


# --- failures and time --------------------------------------------------------------------------------------------


def failed(trials: Iterable[Trial]) -> list[Trial]:
    """Return every trial that failed, in the order of the search."""
    lost = (trial for trial in trials if trial.state is State.FAILED)
    return sorted(lost, key=lambda trial: (trial.spec.stage is not Stage.SEARCH, trial.spec.round, trial.name))


@dataclass(frozen=True)
class TimeSpent:
    """Worker time of one round or stage, in seconds, by what became of it."""

    stage: Stage
    round: int
    """0 for the stages after the search."""
    trials: int
    complete: float
    """The time of attempts that ran to their end."""
    stopped: float
    """The time of attempts that early stopping or the budget ended."""
    lost: float
    """The time of attempts that failed, or whose worker was lost."""
    running: float

    @property
    def total(self) -> float:
        return self.complete + self.stopped + self.lost + self.running


def time_spent(result: SearchResult, trials: Sequence[Trial]) -> list[TimeSpent]:
    """Add up the time of each round, the final trials and the baselines', as far as there are any."""
    groups = [*by_round(trials), of_stage(trials, Stage.FINAL), of_stage(trials, Stage.BASELINE)]
    return [_time_spent(group, result.search.seen_at) for group in groups if group]


def _time_spent(trials: Sequence[Trial], now: float) -> TimeSpent:
    first = trials[0].spec
    seconds = dict.fromkeys(map(str, AttemptOutcome), 0.0)
    for attempt in (attempt for trial in trials for attempt in trial.attempts):
        seconds[outcome_of(attempt)] += attempt_seconds(attempt, now)
    return TimeSpent(first.stage, first.round if first.stage is Stage.SEARCH else 0, len(trials), **seconds)
