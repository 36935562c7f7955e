"""
The two predictors that anything that has learned must beat: the parent's score, and the size alone.

Both are fitted as the surrogates are: by the scores' weights, with left-out predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from metasearch.search.encoded_cells import Floats
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.surrogates.least_squares import Ridge, fit_ridge


def fit_simple_predictors(observations: Observations, weights: Floats) -> tuple[ParentScore, Size]:
    """
    Fit both.

    Args:
        weights: how much each score counts, (observations,).
    """
    return ParentScore.fit(observations, weights), Size.fit(observations, weights)


@dataclass(frozen=True)
class ParentScore:
    """
    Predicts the parent's score, moved and stretched as the measured children tell; with none of them, just that score.

    A candidate whose parent's score is not known has the mean score of the measured ones of that kind, or of all.
    """

    by_parent: Ridge | None
    """Predicts the difference to the parent's score, so that where nothing is known the score stays as it is."""
    without_parent: float
    left_out: Scores
    description: ClassVar[str] = "the parent's score"

    @classmethod
    def fit(cls, observations: Observations, weights: Floats) -> ParentScore:
        parents = observations.candidates.parent_scores
        known = np.isfinite(parents)
        left_out = np.full(len(observations), np.nan)
        by_parent = None
        if known.any():
            differences = (observations.scores - parents)[known]
            by_parent = fit_ridge(parents[known, None], differences, weights[known])
            left_out[known] = parents[known] + by_parent.left_out
        counted = known if known.all() else ~known
        constant = fit_ridge(np.zeros((counted.sum(), 1)), observations.scores[counted], weights[counted])
        if not known.all():
            left_out[~known] = constant.left_out
        return cls(by_parent, constant.intercept, left_out)

    def predict(self, candidates: Candidates) -> Scores:
        parents = candidates.parent_scores
        differences = self.by_parent.predict(parents[:, None]) if self.by_parent else 0.0
        return np.where(np.isnan(parents), self.without_parent, parents + differences)


@dataclass(frozen=True)
class Size:
    """Predicts by ridge regression on the logarithms of sizes, or the mean score where no size is known."""

    fitted: Ridge
    left_out: Scores
    description: ClassVar[str] = "the size"

    @classmethod
    def fit(cls, observations: Observations, weights: Floats) -> Size:
        fitted = fit_ridge(_sizes(observations.candidates), observations.scores, weights)
        return cls(fitted, fitted.left_out)

    def predict(self, candidates: Candidates) -> Scores:
        return self.fitted.predict(_sizes(candidates))


def _sizes(candidates: Candidates) -> Floats:
    # A column that says nothing stands in where no size is known.
    return candidates.sizes if candidates.sizes.shape[1] else np.zeros((len(candidates), 1))
