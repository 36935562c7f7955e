"""
The Ridge surrogate: linear in the figures of a candidate's network and in its parent's score.

It reads features and parents' scores; tokens are ignored. A feature that all measured candidates share says nothing,
and enters nothing: an input that only larger cells have cannot mislead it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metasearch import api
from metasearch.search.encoded_cells import Floats
from metasearch.search.space import Space
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.surrogates.least_squares import Ridge, fit_ridge

SMALLEST_MISFIT = 1e-4
"""The least standard deviation, of a score in [0, 1], that the features are held to leave unexplained."""


def build(settings: api.Surrogate, space: Space[Any]) -> RidgeSurrogate:  # noqa: ARG001
    """Build the surrogate; it has no settings."""
    return RidgeSurrogate()


class RidgeSurrogate:
    """Fits anew at every call, in milliseconds."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> RidgePredictor:  # noqa: ARG002
        known = observations.candidates.parent_scores
        mean_parent = float(np.nanmean(known)) if np.isfinite(known).any() else 0.0
        features = _with_parents(observations.candidates, mean_parent)
        first = fit_ridge(features, observations.scores, np.ones(len(observations)))
        # What features leave over is of two kinds: the scores' own errors, and what they cannot tell.
        left_over = float(np.mean((observations.scores - first.left_out) ** 2))
        misfit = max(left_over - float(np.mean(observations.errors**2)), SMALLEST_MISFIT**2)
        fitted = fit_ridge(features, observations.scores, 1 / (misfit + observations.errors**2))
        return RidgePredictor(fitted, mean_parent)


class RidgePredictor:
    """A fitted regression."""

    def __init__(self, fitted: Ridge, mean_parent: float) -> None:
        self._fitted, self._mean_parent = fitted, mean_parent
        self.left_out: Scores = fitted.left_out

    def predict(self, candidates: Candidates) -> Scores:
        return self._fitted.predict(_with_parents(candidates, self._mean_parent))


def _with_parents(candidates: Candidates, mean_parent: float) -> Floats:
    """Join features and parents' scores; where that is not known it counts as the mean of those that are."""
    parents = np.where(np.isnan(candidates.parent_scores), mean_parent, candidates.parent_scores)
    return np.column_stack([candidates.features, parents])
