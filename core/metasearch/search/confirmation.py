"""
The second look at the best candidates, before the final ones are chosen among them.

The best of many scores is in part the luckiest. So those that cannot be told from the best are trained once more, with
another seed, and ranked by the mean of both. It is done once the search stage is over, whatever ended it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import hypot

from metasearch.api import MetaSearchSpec
from metasearch.search import pareto
from metasearch.search.trials import NORMAL_95, Stage, State, Trial

SEED = 1
"""The seed of a second training; strategies propose the first one, 0."""

MAX_SHARE = 1 / 20
"""The most of `budget.maxTrials` that second looks take."""


def reserved(spec: MetaSearchSpec) -> int:
    """Return how many trials are kept for second looks; none where there is room for one, which would tell nothing."""
    most = min(spec.search.confirmations, int(spec.budget.max_trials * MAX_SHARE))
    return most if most > 1 else 0


def strategy_spec(spec: MetaSearchSpec) -> MetaSearchSpec:
    """Return the spec as a strategy sees it, with the trials that are left to it."""
    budget = spec.budget.model_copy(update={"max_trials": spec.budget.max_trials - reserved(spec)})
    return spec.model_copy(update={"budget": budget})


def first_looks(trials: Iterable[Trial]) -> list[Trial]:
    """Return the search trials that a strategy proposed."""
    return [trial for trial in trials if trial.spec.seed != SEED]


def wanted(spec: MetaSearchSpec, searching: Sequence[Trial]) -> list[Trial]:
    """
    Return the trials of which a second is wanted, best first; none where the best is told from all others.

    Args:
        searching: all search trials, second looks too.
    """
    # By the first seed alone, so that what is measured meanwhile changes nothing.
    ranked = [best.trial for best in pareto.ranked(first_looks(searching))]
    tied = [trial for trial in ranked if _cannot_be_told(ranked[0], trial)]
    return tied[: reserved(spec)] if len(tied) > 1 else []


def second_look(trial: Trial) -> Trial:
    """Return the trial that trains the same candidate with another seed, from the beginning."""
    spec = replace(
        trial.spec, seed=SEED, resumes=None, replaces=None, predicted=None, predicted_by=None, is_drawn=False
    )
    return replace(trial, spec=spec)


def second_looks(trials: Iterable[Trial]) -> list[Trial]:
    """Return the search trials that train a contender once more."""
    return [trial for trial in trials if is_second_look(trial)]


def is_second_look(trial: Trial) -> bool:
    """Tell whether a trial is a search trial that trains a contender once more."""
    return trial.spec.stage is Stage.SEARCH and trial.spec.seed == SEED


def _cannot_be_told(best: Trial, other: Trial) -> bool:
    """Tell whether a score may as well be the best's: it is within the 95% interval of their difference."""
    if other.spec.meta_iterations != best.spec.meta_iterations or other.state is not State.SUCCEEDED:
        return False
    difference = (best.score or 0.0) - (other.score or 0.0)
    return difference <= NORMAL_95 * hypot(best.score_error, other.score_error)
