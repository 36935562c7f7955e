"""
The Ridge surrogate: linear in the figures of a candidate's network and in its parent's score.

It reads features and parents' scores; tokens are ignored. A feature that all measured candidates share says nothing,
and enters nothing: an input that only larger cells have cannot mislead it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metasearch import api
from metasearch.search.space import Space
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.surrogates.least_squares import Ridge, fit_ridge
from metasearch.search.surrogates.score_weights import features_with_parents, mean_parent_score, score_weights


def build(settings: api.Surrogate, space: Space[Any]) -> RidgeSurrogate:  # noqa: ARG001
    """Build the surrogate; it has no settings."""
    return RidgeSurrogate()


class RidgeSurrogate:
    """Fits anew at every call, in milliseconds."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> RidgePredictor:  # noqa: ARG002
        mean_parent = mean_parent_score(observations.candidates)
        features = features_with_parents(observations.candidates, mean_parent)
        return RidgePredictor(fit_ridge(features, observations.scores, score_weights(observations)), mean_parent)


class RidgePredictor:
    """A fitted regression."""

    def __init__(self, fitted: Ridge, mean_parent: float) -> None:
        self._fitted, self._mean_parent = fitted, mean_parent
        self.left_out: Scores = fitted.left_out

    @property
    def description(self) -> str:
        return f"Ridge, from {len(self.left_out)} scores"

    def predict(self, candidates: Candidates) -> Scores:
        return self._fitted.predict(features_with_parents(candidates, self._mean_parent))
