"""
Votes of predictors in their weighted mean, from how well each predicts what it has not learned from.

This is stacking (Wolpert 1992) with votes that are not negative and add up to one (Breiman 1996).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from metasearch.search.encoded_cells import Floats

SMALLEST_VARIANCE = 1e-12
"""A variance that all left-out errors are held to have, so that predictors that make none have equal votes."""


def best_votes(residuals: Floats, weights: Floats) -> Floats:
    """
    Find the votes with which left-out errors are least, as a weighted mean of squares.

    Args:
        residuals: left-out prediction less score, (observations, predictors); at least one of each, few predictors.
        weights: how much each observation counts, (observations,).

    Returns:
        (predictors,), none negative, adding up to one.
    """
    predictors = residuals.shape[1]
    products = residuals.T @ (weights[:, None] * residuals) / weights.sum() + SMALLEST_VARIANCE * np.eye(predictors)
    least, best = np.inf, np.full(predictors, 1 / predictors)
    # Predictors are few, so the best votes are sought for every set of them that may have any.
    for count in range(1, predictors + 1):
        for chosen in map(list, combinations(range(predictors), count)):
            inverse = np.linalg.pinv(products[np.ix_(chosen, chosen)]).sum(1)
            votes = np.zeros(predictors)
            votes[chosen] = inverse / inverse.sum()
            error = votes @ products @ votes
            if votes.min() >= 0 and error < least:
                least, best = error, votes
    return best
