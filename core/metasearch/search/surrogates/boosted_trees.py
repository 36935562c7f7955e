"""
The Trees surrogate: gradient-boosted shallow regression trees (Friedman 2001), by scikit-learn.

It reads features, the sizes among them, and parents' scores; tokens are ignored. Trees see what is not linear, and how
two figures act together, but beyond what was measured they predict what they saw last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor

from metasearch import api
from metasearch.search.encoded_cells import Floats
from metasearch.search.space import Space
from metasearch.search.surrogates.base import Candidates, Observations, Scores
from metasearch.search.surrogates.score_weights import features_with_parents, mean_parent_score, score_weights

TREES, DEPTH, LEARNING_RATE = 100, 2, 0.1
FOLDS = 10
"""The parts of the scores, each predicted by trees that have learned from the others."""


def build(settings: api.Surrogate, space: Space[Any]) -> TreesSurrogate:  # noqa: ARG001
    """Build the surrogate; it has no settings."""
    return TreesSurrogate()


class TreesSurrogate:
    """Fits anew at every call: once with all scores, and once without each part of them."""

    def fit(self, observations: Observations, seed: Sequence[int]) -> TreesPredictor:
        mean_parent = mean_parent_score(observations.candidates)
        features = features_with_parents(observations.candidates, mean_parent)
        scores, weights = observations.scores, score_weights(observations)
        rng = np.random.default_rng(list(seed))
        state = int(rng.integers(2**31))  # which of equally good splits are taken
        folds = rng.permutation(len(scores)) % FOLDS
        left_out = np.full(len(scores), np.nan)
        if len(scores) > 1:
            for fold in np.unique(folds):
                kept = folds != fold
                left_out[~kept] = _fit(features[kept], scores[kept], weights[kept], state).predict(features[~kept])
        return TreesPredictor(_fit(features, scores, weights, state), mean_parent, left_out)


class TreesPredictor:
    """Fitted trees."""

    def __init__(self, fitted: GradientBoostingRegressor, mean_parent: float, left_out: Scores) -> None:
        self._fitted, self._mean_parent = fitted, mean_parent
        self.left_out: Scores = left_out

    @property
    def description(self) -> str:
        return f"Trees, from {len(self.left_out)} scores"

    def predict(self, candidates: Candidates) -> Scores:
        predicted: Scores = self._fitted.predict(features_with_parents(candidates, self._mean_parent))
        return predicted


def _fit(features: Floats, scores: Scores, weights: Floats, state: int) -> GradientBoostingRegressor:
    model = GradientBoostingRegressor(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=LEARNING_RATE, random_state=state
    )
    return model.fit(features, scores, sample_weight=weights / weights.mean())
