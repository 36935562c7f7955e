"""The weight of each measured score, and the figures that regressions read of a candidate."""

from __future__ import annotations

import numpy as np

from metasearch.search.encoded_cells import Floats
from metasearch.search.surrogates.base import Candidates, Observations
from metasearch.search.surrogates.least_squares import fit_ridge

SMALLEST_MISFIT = 1e-4
"""The least standard deviation, of a score in [0, 1], that the features are held to leave unexplained."""


def mean_parent_score(candidates: Candidates) -> float:
    """Return the mean of the known parents' scores, 0 where none is known."""
    known = candidates.parent_scores[np.isfinite(candidates.parent_scores)]
    return float(known.mean()) if len(known) else 0.0


def features_with_parents(candidates: Candidates, mean_parent: float) -> Floats:
    """Join features and parents' scores; a parent's score that is not known counts as the mean."""
    parents = np.where(np.isnan(candidates.parent_scores), mean_parent, candidates.parent_scores)
    return np.column_stack([candidates.features, parents])


def score_weights(observations: Observations) -> Floats:
    """
    Return the inverse of the variance of each score about what its candidate's features can tell, (observations,).

    That variance is of two kinds: the square of the score's own error, and what features cannot tell, which is
    estimated from what a ridge regression leaves over. So scores of small errors do not count without bound.
    """
    features = features_with_parents(observations.candidates, mean_parent_score(observations.candidates))
    first = fit_ridge(features, observations.scores, np.ones(len(observations)))
    left_over = np.mean((observations.scores - first.left_out) ** 2 - observations.errors**2)
    misfit = np.fmax(left_over, SMALLEST_MISFIT**2)  # the least one, too, where one score leaves nothing to tell it by
    weights: Floats = 1 / (misfit + observations.errors**2)
    return weights
